/**
 * The data header of L2TPv3 over UDP (RFC 3931 4.1.2.1), before the frame.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |T|x|x|x|x|x|x|x|x|x|x|x|  Ver  |          Reserved (0)         |
 *     |                           Session ID                          |
 *     |               Cookie (optional, 4 or 8 octets)                |
 *     |  Default L2-Specific Sublayer (optional, RFC 3931 4.6): x S x | Sequence Number
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * Everything here works on ranges of a buffer and allocates nothing: it runs once per packet.
 */

/** Flags and Version, Session ID. */
const FIXED_OCTETS = 8;
const L2_SUBLAYER_OCTETS = 4;
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
 * (no sequencing: S=0) are zero. RFC 3931 4.1.2.1, 4.6
 */
export function encodeDataHeader(remoteSessionId: number, layout: DataHeaderLayout): Uint8Array {
  const header = new Uint8Array(dataHeaderLength(layout));
  header[1] = VERSION;
  new DataView(header.buffer).setUint32(4, remoteSessionId);
  header.set(layout.cookie, FIXED_OCTETS);
  return header;
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

/**
 * Where the frame of a data message begins, or -1: it is too short for the layout, or its cookie is not the one agreed
 * on and it must be discarded (RFC 3931 4.5). The sublayer is skipped: without sequencing its content is not judged
 * (RFC 3931 4.6). Every octet of the cookie is compared, whichever differs first.
 */
export function frameStart(octets: Uint8Array, start: number, end: number, layout: DataHeaderLayout): number {
  const frame = start + dataHeaderLength(layout);
  if (frame > end) return -1;
  let difference = 0;
  const { cookie } = layout;
  for (let index = 0; index < cookie.length; index++) {
    difference |= (octets[start + FIXED_OCTETS + index] as number) ^ (cookie[index] as number);
  }
  return difference === 0 ? frame : -1;
}
