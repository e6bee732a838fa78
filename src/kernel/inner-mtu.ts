import { type DataHeaderLayout, dataHeaderLength } from "./data-header.ts";

/** What carries the frames of a tunnel. */
export interface OuterLayers {
  readonly encapsulation: "udp" | "ip";
  readonly family: 4 | 6;
}

const UDP_HEADER_OCTETS = 8;
const ETHERNET_HEADER_OCTETS = 14;
/** RFC 3931 4.1.2.1 against 4.1.1.1: over UDP flags, version and a reserved field stand before the Session ID. */
const UDP_ONLY_OCTETS = 4;

/** Octets that are added to the payload of an Ethernet frame until it is an IP packet (RFC 4719 3.3). */
export function overheadOf(layout: DataHeaderLayout, { encapsulation, family }: OuterLayers): number {
  const ip = family === 4 ? 20 : 40;
  const carrier = encapsulation === "udp" ? UDP_HEADER_OCTETS : -UDP_ONLY_OCTETS;
  return ip + carrier + dataHeaderLength(layout) + ETHERNET_HEADER_OCTETS;
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
