import { readUint16, readUint32, writeUint16, writeUint32 } from "./octets.ts";
import { ProtocolError } from "./protocol-error.ts";

/**
 * The control message header, RFC 3931 3.2.1, as it stands after the UDP header, or over IP after 32 zero bits.
 *
 *     0                   1                   2                   3
 *     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *    |T|L|x|x|S|x|x|x|x|x|x|x|  Ver  |             Length            |
 *    |                     Control Connection ID                     |
 *    |               Ns              |               Nr              |
 */
export interface ControlHeader {
  /** The receiver's id of the control connection; 0 while the sender has not learnt it (RFC 3931 5.4.3). */
  readonly controlConnectionId: number;
  readonly ns: number;
  readonly nr: number;
  /** Octets from the T bit to the end of the last AVP. What follows in the datagram does not count. */
  readonly length: number;
}

/** Octets of a control header, and so of a whole ZLB. */
export const HEADER_LENGTH = 12;

/** What the 16-bit Length can say. */
export const MAX_MESSAGE_LENGTH = 0xffff;

const TYPE_LENGTH_SEQUENCE_BITS = 0xc8;
const VERSION_MASK = 0x0f;
const VERSION = 3;
const VERSION_2 = 2;
/** In version 2 these two say that more stands in the header, and a control message never has them (RFC 2661 3.1). */
const OFFSET_PRIORITY_BITS = 0x03;
const FLAGS_AND_VERSION = 0xc803;
const NR_OFFSET = 10;

/**
 * Reserved bits are ignored. Throws ProtocolError where RFC 3931 7.1 wants the datagram discarded.
 *
 * A header in version 2 passes only where both of its 16-bit ids are 0: that of an SCCRQ, whose sender may speak version 3
 * too (RFC 3931 4.7.3). All else of version 2 belongs to a tunnel that does not exist here, and its ids must not be taken
 * for a Control Connection ID.
 */
export function decodeHeader(octets: Uint8Array): ControlHeader {
  if (octets.length < HEADER_LENGTH) {
    throw new ProtocolError("malformed-header", `${octets.length} octets are too few for a control header`);
  }
  // Ver before all: in another version the other bits mean something else (RFC 3931 4.1.2.1).
  const version = (octets[1] ?? 0) & VERSION_MASK;
  if (version !== VERSION && !isUnaddressedVersion2(octets))
    throw new ProtocolError("unsupported-version", `version ${version} is not ${VERSION}`);
  if (((octets[0] ?? 0) & TYPE_LENGTH_SEQUENCE_BITS) !== TYPE_LENGTH_SEQUENCE_BITS) {
    throw new ProtocolError("malformed-header", "the T, L and S bits of a control message have to be set");
  }
  const length = readUint16(octets, 2);
  if (length < HEADER_LENGTH || length > octets.length) {
    throw new ProtocolError("malformed-header", `Length ${length} does not fit a datagram of ${octets.length} octets`);
  }
  return {
    controlConnectionId: readUint32(octets, 4),
    ns: readUint16(octets, 8),
    nr: readUint16(octets, NR_OFFSET),
    length,
  };
}

/** Of a datagram that decodeHeader has accepted. */
export function isVersion2(octets: Uint8Array): boolean {
  return ((octets[1] ?? 0) & VERSION_MASK) === VERSION_2;
}

function isUnaddressedVersion2(octets: Uint8Array): boolean {
  return isVersion2(octets) && ((octets[0] ?? 0) & OFFSET_PRIORITY_BITS) === 0 && readUint32(octets, 4) === 0;
}

/** Writes 12 octets to the start of `target`. Throws RangeError where a number does not fit its field. */
export function writeHeader(target: Uint8Array, header: ControlHeader): void {
  checkField("Control Connection ID", header.controlConnectionId, 0xffff_ffff);
  checkField("Ns", header.ns, 0xffff);
  checkField("Nr", header.nr, 0xffff);
  checkField("Length", header.length, MAX_MESSAGE_LENGTH);
  writeUint16(target, 0, FLAGS_AND_VERSION);
  writeUint16(target, 2, header.length);
  writeUint32(target, 4, header.controlConnectionId);
  writeUint16(target, 8, header.ns);
  writeUint16(target, NR_OFFSET, header.nr);
}

/** Length of an encoded message, or of a datagram that decodeHeader has accepted. */
export function readLength(octets: Uint8Array): number {
  return readUint16(octets, 2);
}

/** Nr of an encoded message: what it acknowledged when it was built. */
export function readNr(octets: Uint8Array): number {
  return readUint16(octets, NR_OFFSET);
}

/**
 * Rewrites Nr in an encoded message, in place: a retransmission carries the current Nr (RFC 3931 4.2). A Message Digest
 * covers Nr and has to be computed again afterwards.
 */
export function patchNr(octets: Uint8Array, nr: number): void {
  if (octets.length < HEADER_LENGTH) throw new RangeError(`${octets.length} octets are no control message`);
  checkField("Nr", nr, 0xffff);
  writeUint16(octets, NR_OFFSET, nr);
}

function checkField(field: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${field} ${value} is not an integer from 0 to ${max}`);
  }
}
