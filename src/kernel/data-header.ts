/**
 * The data header of L2TPv3 over UDP (RFC 3931 4.1.2.1), before the frame.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |T|x|x|x|x|x|x|x|x|x|x|x|  Ver  |          Reserved (0)         |
 *     |                           Session ID                          |
 *     |               Cookie (optional, 4 or 8 octets)                |
 *     |  Default L2-Specific Sublayer (optional, RFC 3931 4.6): V S x | Sequence Number
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * Everything here works on ranges of a buffer and allocates nothing: it runs once per packet.
 */

/** Flags and Version, Session ID. */
const FIXED_OCTETS = 8;
const L2_SUBLAYER_OCTETS = 4;
/** In the first octet of the sublayer: the packet is for VCCV, no frame (RFC 5085 6.1); its sequence number is valid. */
const VCCV_BIT = 0x80;
const SEQUENCED_BIT = 0x40;
const CONTROL_BIT = 0x80;
const VERSION_MASK = 0x0f;
const VERSION = 3;
const CONTROL_HEADER_OCTETS = 12;

/** What stands behind the Session ID is agreed per session and per direction. */
export interface DataHeaderLayout {
  /** 0, 4 or 8 octets. */
  readonly cookie: Uint8Array;
  readonly l2Sublayer: "none" | "default";
}

export type DatagramKind = "control" | "data" | "neither";

/** Octets from the first of the header to the first of the frame: 8 to 20. */
export function dataHeaderLength(layout: DataHeaderLayout): number {
  return FIXED_OCTETS + layout.cookie.length + (layout.l2Sublayer === "default" ? L2_SUBLAYER_OCTETS : 0);
}

/**
 * The header before every frame sent to `remoteSessionId`. Flags other than Ver, the reserved octets and the sublayer
 * (S=0; `putSequence` changes that) are zero. RFC 3931 4.1.2.1, 4.6
 */
export function encodeDataHeader(remoteSessionId: number, layout: DataHeaderLayout): Uint8Array {
  const header = new Uint8Array(dataHeaderLength(layout));
  header[1] = VERSION;
  new DataView(header.buffer).setUint32(4, remoteSessionId);
  header.set(layout.cookie, FIXED_OCTETS);
  return header;
}

/** Sets S and Sequence Number in a header that begins at `start`, which must have the sublayer. RFC 3931 4.6 */
export function putSequence(octets: Uint8Array, start: number, headerLength: number, sequence: number): void {
  const sublayer = start + headerLength - L2_SUBLAYER_OCTETS;
  octets[sublayer] = SEQUENCED_BIT;
  octets[sublayer + 1] = sequence >>> 16;
  octets[sublayer + 2] = sequence >>> 8;
  octets[sublayer + 3] = sequence;
}

export const NOT_SEQUENCED = -1;
export const NO_FRAME = -2;

/**
 * What the sublayer before a frame says: its Sequence Number, that it has none (0 is a valid one), or that it is a packet
 * of VCCV, which nobody may send to us, for we do not offer that (RFC 5085 6.3). RFC 3931 4.6
 */
export function readSublayer(octets: Uint8Array, frame: number): number {
  const flags = octets[frame - 4] as number;
  if ((flags & VCCV_BIT) !== 0) return NO_FRAME;
  if ((flags & SEQUENCED_BIT) === 0) return NOT_SEQUENCED;
  return ((octets[frame - 3] as number) << 16) + ((octets[frame - 2] as number) << 8) + (octets[frame - 1] as number);
}

/**
 * Control message (T bit), data, or neither: a runt, or L2TPv2. Ver is judged before anything else of a header, the other
 * bits are ignored on receipt, because bits 1, 4, 6 and 7 mean something in version 2 only. RFC 3931 3.2.1, 4.1.2.1
 *
 * A version 2 control message without ids may be the SCCRQ of a peer that speaks both versions. RFC 3931 4.7.3
 */
export function datagramKind(octets: Uint8Array, start: number, end: number): DatagramKind {
  if (end - start < 2) return "neither";
  const version = (octets[start + 1] as number) & VERSION_MASK;
  if (version !== VERSION) return version === 2 && isUnaddressed(octets, start, end) ? "control" : "neither";
  const kind = ((octets[start] as number) & CONTROL_BIT) === 0 ? "data" : "control";
  return end - start < (kind === "data" ? FIXED_OCTETS : CONTROL_HEADER_OCTETS) ? "neither" : kind;
}

/** A control message with Tunnel ID and Session ID 0, as version 2 has them. */
function isUnaddressed(octets: Uint8Array, start: number, end: number): boolean {
  if (end - start < CONTROL_HEADER_OCTETS || ((octets[start] as number) & CONTROL_BIT) === 0) return false;
  return readSessionId(octets, start) === 0;
}

/**
 * The octets that a control message says it has, at least its header's and at most those there are. Needed only where the
 * end of the datagram is not known. RFC 3931 3.2.1
 */
export function controlLength(octets: Uint8Array, start: number, end: number): number {
  const length = ((octets[start + 2] as number) << 8) + (octets[start + 3] as number);
  return Math.min(Math.max(length, CONTROL_HEADER_OCTETS), end - start);
}

/** The Session ID of a datagram that `datagramKind` called "data"; 0 is never a session's. */
export function readSessionId(octets: Uint8Array, start: number): number {
  return (
    (octets[start + 4] as number) * 0x1000000 +
    ((octets[start + 5] as number) << 16) +
    ((octets[start + 6] as number) << 8) +
    (octets[start + 7] as number)
  );
}

/** No frame, for the cookie is not the one agreed on (RFC 3931 4.5). */
export const WRONG_COOKIE = -2;

/**
 * Where the frame of a data message begins, or below 0 where it must be discarded: -1, it is too short for the layout, or
 * WRONG_COOKIE. The sublayer is skipped, see `readSublayer`. Every octet of the cookie is compared, whichever differs first.
 */
export function frameStart(octets: Uint8Array, start: number, end: number, layout: DataHeaderLayout): number {
  const frame = start + dataHeaderLength(layout);
  if (frame > end) return -1;
  let difference = 0;
  const { cookie } = layout;
  for (let index = 0; index < cookie.length; index++) {
    difference |= (octets[start + FIXED_OCTETS + index] as number) ^ (cookie[index] as number);
  }
  return difference === 0 ? frame : WRONG_COOKIE;
}
