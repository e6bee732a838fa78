import { type DataHeaderLayout, dataHeaderLength } from "./data-header.ts";

/** What carries the frames of a session. */
export interface OuterLayers {
  readonly encapsulation: "udp" | "ip";
  readonly family: 4 | 6;
  /** Frames bear a tag that their device does not know of; its number does not matter. */
  readonly vlan?: number | undefined;
}

const UDP_HEADER_OCTETS = 8;
const ETHERNET_HEADER_OCTETS = 14;
/** IEEE 802.1Q: TPID and TCI. */
export const VLAN_TAG_OCTETS = 4;
/** RFC 3931 4.1.2.1 against 4.1.1.1: over UDP flags, version and a reserved field stand before the Session ID. */
const UDP_ONLY_OCTETS = 4;

/** Octets that are added to the payload of an Ethernet frame until it is an IP packet (RFC 4719 3.3). */
export function overheadOf(layout: DataHeaderLayout, { encapsulation, family, vlan }: OuterLayers): number {
  const ip = family === 4 ? 20 : 40;
  const carrier = encapsulation === "udp" ? UDP_HEADER_OCTETS : -UDP_ONLY_OCTETS;
  const tag = vlan === undefined ? 0 : VLAN_TAG_OCTETS;
  return ip + carrier + dataHeaderLength(layout) + ETHERNET_HEADER_OCTETS + tag;
}

/**
 * The cookie that counts for `mtu = "auto"`: the longer one, though it may be that of the other direction. So both ends come
 * to the same MTU, as the two ends of a link have to: Linux gives an l2tpeth device no frame that exceeds its own MTU.
 */
export function longerCookie(session: { readonly localCookie: Uint8Array; readonly remoteCookie: Uint8Array }) {
  const { localCookie, remoteCookie } = session;
  return localCookie.length > remoteCookie.length ? localCookie : remoteCookie;
}

/** Octets that "auto" is less than the MTU which the kernel computes from what we send. */
export function mtuReduction(session: {
  readonly mtu: number | "auto";
  readonly localCookie: Uint8Array;
  readonly remoteCookie: Uint8Array;
}): number {
  return session.mtu === "auto" ? longerCookie(session).length - session.remoteCookie.length : 0;
}

/** What is wrong with an MTU that makes packets longer than the path carries; `undefined`: nothing. */
export function mtuFlaw(
  mtu: number | "auto",
  pathMtu: number,
  layout: DataHeaderLayout,
  layers: OuterLayers,
): string | undefined {
  const overhead = overheadOf(layout, layers);
  if (mtu === "auto" || mtu + overhead <= pathMtu) return undefined;
  const sum = `${mtu} octets and ${overhead} of headers make ${mtu + overhead}`;
  return `mtu = ${mtu} does not fit the path to the peer: ${sum}, it carries ${pathMtu}; at most ${pathMtu - overhead} fits (mtu = "auto")`;
}
