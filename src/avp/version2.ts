import { MANDATORY_BIT } from "./avp-header.ts";
import type { RawAvp } from "./decode.ts";
import type { SingleAvp } from "./definition.ts";
import { AVP_HEADER_LENGTH } from "./format.ts";
import { HEADER_LENGTH } from "./header.ts";
import { MESSAGES } from "./messages.ts";
import { readUint16, writeUint16 } from "./octets.ts";
import { AVPS } from "./registry.ts";
import { RFC2661_AVPS } from "./rfc2661-avps.ts";

/*
 * As much of L2TP version 2 as it takes to turn it down (RFC 3931 4.7.3, 5.4.2; RFC 2661 3.1, 6.4). Its control header
 * has the shape of ours, with a Tunnel ID and a Session ID of 16 bits in place of the Control Connection ID.
 */

const FLAGS_AND_VERSION = 0xc802;
/** Result Code of a StopCCN: the version is not supported, and the Error Code is the highest that is. */
const VERSION_NOT_SUPPORTED = { result: 5, error: 3 } as const;

/** The Tunnel ID that the sender of a version 2 SCCRQ wants to be answered at; 0 where it gives none that can be read. */
export function assignedTunnelId(avps: readonly RawAvp[]): number {
  const { vendorId, type } = RFC2661_AVPS.assignedTunnelId;
  const found = avps.find((avp) => avp.vendorId === vendorId && avp.type === type);
  return found === undefined || found.hidden || found.octets.length !== 2 ? 0 : readUint16(found.octets, 0);
}

/**
 * The StopCCN that answers a version 2 SCCRQ, in version 2: Ns 0, Nr 1. `peerTunnelId` is the one that the peer has
 * assigned; RFC 2661 wants one of ours as well, 1 to 65535, though nobody will ever use it.
 */
export function encodeVersion2Refusal(peerTunnelId: number, ownTunnelId: number): Uint8Array {
  const octets = new Uint8Array(MAX_LENGTH);
  let end = writeRow(octets, HEADER_LENGTH, AVPS.messageType, MESSAGES.StopCCN.type);
  end = writeRow(octets, end, RFC2661_AVPS.assignedTunnelId, ownTunnelId);
  end = writeRow(octets, end, AVPS.resultCode, VERSION_NOT_SUPPORTED);
  writeUint16(octets, 0, FLAGS_AND_VERSION);
  writeUint16(octets, 2, end);
  writeUint16(octets, 4, peerTunnelId);
  writeUint16(octets, 10, 1);
  return octets.slice(0, end);
}

/** Three AVPs with four octets at most. */
const MAX_LENGTH = HEADER_LENGTH + 3 * (AVP_HEADER_LENGTH + 4);

function writeRow<T>(octets: Uint8Array, offset: number, { type, format, mandatory }: SingleAvp<T>, value: T): number {
  const end = format.encode(octets, offset + AVP_HEADER_LENGTH, value);
  writeUint16(octets, offset, (end - offset) | (mandatory ? MANDATORY_BIT : 0));
  writeUint16(octets, offset + 4, type);
  return end;
}
