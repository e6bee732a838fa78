import { avpEnd, HIDDEN_BIT, isIetfAvp, MESSAGE_TYPE_LENGTH } from "./avp-header.ts";
import { AVP_HEADER_LENGTH, MAX_AVP_LENGTH } from "./format.ts";
import { decodeHeader, HEADER_LENGTH } from "./header.ts";
import { MESSAGES } from "./messages.ts";
import { copyOctets, readUint16 } from "./octets.ts";
import { AVPS } from "./registry.ts";

const NONCE_CARRIERS: readonly number[] = [MESSAGES.SCCRQ.type, MESSAGES.SCCRP.type];

/**
 * The Control Message Authentication Nonce of an SCCRQ or SCCRP, `undefined` where there is none, and the same one that
 * decodeMessage finds. An SCCRP cannot be verified without it (RFC 3931 5.4.1), so it is read before; nothing is to be
 * kept of it, or believed of the message, until verifyMessage has agreed. Throws ProtocolError where the datagram has no
 * sound control header.
 */
export function peekNonce(octets: Uint8Array): Uint8Array | undefined {
  const { length } = decodeHeader(octets);
  if (!mayCarryNonce(octets, length)) return undefined;
  let offset = HEADER_LENGTH + MESSAGE_TYPE_LENGTH;
  while (offset < length) {
    const end = avpEnd(octets, offset, length);
    if (end === undefined) return undefined;
    const first = offset + AVP_HEADER_LENGTH;
    if (isIetfAvp(octets, offset, AVPS.controlMessageAuthenticationNonce.type) && end > first) {
      // It must not be hidden (RFC 3931 5.3); one that is, is malformed.
      if ((readUint16(octets, offset) & HIDDEN_BIT) === 0) return copyOctets(octets, first, end);
    }
    offset = end;
  }
  return undefined;
}

function mayCarryNonce(octets: Uint8Array, length: number): boolean {
  if (length < HEADER_LENGTH + MESSAGE_TYPE_LENGTH) return false;
  const shape = readUint16(octets, HEADER_LENGTH) & (HIDDEN_BIT | MAX_AVP_LENGTH);
  if (shape !== MESSAGE_TYPE_LENGTH || !isIetfAvp(octets, HEADER_LENGTH, AVPS.messageType.type)) return false;
  return NONCE_CARRIERS.includes(readUint16(octets, HEADER_LENGTH + AVP_HEADER_LENGTH));
}
