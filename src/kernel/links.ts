import { isIPv4 } from "node:net";
import { AF_INET, AF_INET6, inetPton } from "./libc.ts";
import {
  type AttributeValues,
  decodeAttributes,
  encodeAttributes,
  type NetlinkRequest,
  NLM_F_DUMP,
  nested,
  octets,
  text,
  u8,
  u16,
  u32,
} from "./netlink-messages.ts";
import type { NetlinkAnswer } from "./netlink-socket.ts";

/** rtnetlink, as far as the device of a session needs it (rtnetlink(7)). */

const RTM = {
  RTM_NEWLINK: 16,
  RTM_GETLINK: 18,
  RTM_SETLINK: 19,
  RTM_NEWADDR: 20,
  RTM_DELADDR: 21,
  RTM_NEWROUTE: 24,
  RTM_DELROUTE: 25,
  RTM_GETROUTE: 26,
} as const;
/** Nobody's route is replaced, and none stands beside it. */
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const IFF_UP = 1;
const RTEXT_FILTER_SKIP_STATS = 8;
const INTERFACE_HEADER_LENGTH = 16;
const ADDRESS_HEADER_LENGTH = 8;
const ROUTE_HEADER_LENGTH = 12;
export const RT_TABLE_MAIN = 254;
/** The answer is the route itself, with its table, and not what becomes of one packet. */
const ROUTE_ITSELF = 0x2000 | 0x1000;
const RTPROT_STATIC = 4;
const RT_SCOPE_LINK = 253;
const RTN_UNICAST = 1;
const IN6_ADDR_GEN_MODE_NONE = 1;

const LINK_ATTRIBUTES = {
  name: [3, text],
  mtu: [4, u32],
  master: [10, u32],
  information: [
    18,
    nested({ kind: [1, text], portKind: [4, text], port: [5, nested({ isolated: [33, u8] } as const)] } as const),
  ],
  alias: [20, text],
  filter: [29, u32],
} as const;

/** What is only asked for: the kernel's answers have something else in these places, or differ from driver to driver. */
const WISHES = {
  ...LINK_ATTRIBUTES,
  lower: [5, u32],
  subInterface: [18, nested({ kind: [1, text], data: [2, nested({ vlan: [1, u16] } as const)] } as const)],
  families: [
    26,
    nested({
      ipv4: [2, nested({ settings: [1, nested({ strictReversePath: [8, u32] } as const)] } as const)],
      ipv6: [10, nested({ addressGeneration: [8, u8] } as const)],
    } as const),
  ],
} as const;

const ADDRESS_ATTRIBUTES = { address: [1, octets], local: [2, octets] } as const;
const ROUTE_ATTRIBUTES = { destination: [1, octets], index: [4, u32], gateway: [5, octets] } as const;

/** Devices are named, not numbered: the kernel finds them by name just as well, which saves a look-up. */
export type LinkCall =
  | { readonly command: "RTM_GETLINK"; readonly name: string }
  /** Whatever its name is. */
  | { readonly command: "RTM_GETLINK"; readonly name: ""; readonly index: number }
  | { readonly command: "RTM_SETLINK"; readonly name: string; readonly mtu: number }
  | { readonly command: "RTM_SETLINK"; readonly name: string; readonly master: number }
  | { readonly command: "RTM_SETLINK"; readonly name: string; readonly up: boolean }
  | { readonly command: "RTM_SETLINK"; readonly name: string; readonly alias: string }
  /** Gives the device of that number the name. */
  | { readonly command: "RTM_SETLINK"; readonly name: string; readonly index: number }
  /**
   * So that the device neither says nor hears anything beside its sub-interfaces: it takes no IPv4 packets whose sender is not
   * reached through it, and gives itself no IPv6 address.
   */
  | { readonly command: "RTM_SETLINK"; readonly name: string; readonly quiet: "ipv4" | "ipv6" }
  /** Makes a sub-interface of the device of that number, for frames of a VLAN (IEEE 802.1Q), as yet down. */
  | {
      readonly command: "RTM_NEWLINK";
      readonly name: string;
      readonly lower: number;
      readonly vlan: number;
      readonly mtu: number;
    }
  /** The device is a port of a bridge. */
  | { readonly command: "RTM_NEWLINK"; readonly name: string; readonly isolated: boolean }
  /** `address`: CIDR notation, IPv4 or IPv6. `index` is the device's number. */
  | { readonly command: "RTM_NEWADDR" | "RTM_DELADDR"; readonly index: number; readonly address: string }
  /** `destination`: CIDR notation, and " via " with a router's address where there is one. The device has to be up. */
  | { readonly command: "RTM_NEWROUTE" | "RTM_DELROUTE"; readonly index: number; readonly destination: string }
  /** Finds the route that packets to the middle of the destination take. */
  | { readonly command: "RTM_GETROUTE"; readonly destination: string };

type AddressCall = Extract<LinkCall, { readonly address: string }>;
type RouteCall = Extract<LinkCall, { readonly destination: string; readonly index: number }>;
type RouteQuestion = Extract<LinkCall, { readonly command: "RTM_GETROUTE" }>;
type SubInterfaceCall = Extract<LinkCall, { readonly lower: number }>;

/** Those that name a device. */
export type NamedCall = Extract<LinkCall, { readonly name: string }>;

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  /** The number of the bridge that the device is a port of, 0 for none. */
  readonly master: number;
  /** "bridge", "veth"; empty where the driver has no name, as for Ethernet cards and l2tpeth devices. */
  readonly kind: string;
  /** Words that somebody has put on it. */
  readonly alias: string;
  /** As a port of a bridge. */
  readonly isolated: boolean;
}

export interface FoundRoute {
  /** The number of the device; 0: several, or none. */
  readonly index: number;
  /** Bits of its destination. */
  readonly prefixLength: number;
  /** RT_TABLE_MAIN, or another. */
  readonly table: number;
}

export interface LinkAnswer {
  /** "": done; else "ENODEV". */
  readonly errno: string;
  readonly extendedAck: string;
  /** What RTM_GETLINK brings. */
  readonly link: Link | undefined;
  /** What RTM_GETROUTE brings. */
  readonly route?: FoundRoute;
}

/** Sends the calls in their order; synchronous. */
export function callLinks(
  exchange: (requests: readonly NetlinkRequest[]) => readonly NetlinkAnswer[],
  calls: readonly LinkCall[],
): LinkAnswer[] {
  return exchange(calls.map(encodeLinkCall)).map(({ errno, extendedAck, messages: [message] }, i) => {
    const answer = { errno, extendedAck, link: undefined };
    if (message === undefined) return answer;
    return calls[i]?.command === "RTM_GETROUTE"
      ? { ...answer, route: decodeRoute(message) }
      : { ...answer, link: decodeLink(message) };
  });
}

export function encodeLinkCall(call: LinkCall): NetlinkRequest {
  const type = RTM[call.command];
  switch (call.command) {
    case "RTM_NEWADDR":
    case "RTM_DELADDR":
      return { type, flags: 0, payload: encodeAddress(call) };
    case "RTM_DELROUTE":
      return { type, flags: 0, payload: encodeRoute(call) };
    case "RTM_GETROUTE":
      return { type, flags: 0, payload: encodeRouteQuestion(call) };
    case "RTM_NEWROUTE":
      return { type, flags: NLM_F_CREATE | NLM_F_EXCL, payload: encodeRoute(call) };
    default:
      return { type, flags: "lower" in call ? NLM_F_CREATE | NLM_F_EXCL : 0, payload: encodeInterface(call) };
  }
}

/** Everything that the kernel has in the way of devices. */
export function linkDump(): NetlinkRequest {
  const filter = encodeAttributes(LINK_ATTRIBUTES, { filter: RTEXT_FILTER_SKIP_STATS });
  return { type: RTM.RTM_GETLINK, flags: NLM_F_DUMP, payload: [Buffer.alloc(INTERFACE_HEADER_LENGTH), filter] };
}

/** struct ifinfomsg: family, type, index, flags, change mask; then the attributes. */
function encodeInterface(call: NamedCall): Uint8Array[] {
  const header = Buffer.alloc(INTERFACE_HEADER_LENGTH);
  if ("index" in call) header.writeInt32LE(call.index, 4);
  if ("up" in call) {
    header.writeUInt32LE(call.up ? IFF_UP : 0, 8);
    header.writeUInt32LE(IFF_UP, 12);
  }
  const name = call.name === "" ? {} : { name: call.name };
  return [header, encodeAttributes(WISHES, { ...name, ...wishesOf(call) })];
}

function wishesOf(call: NamedCall): AttributeValues<typeof WISHES> {
  if (call.command === "RTM_GETLINK") return { filter: RTEXT_FILTER_SKIP_STATS };
  if (call.command === "RTM_NEWLINK") return "lower" in call ? subInterface(call) : port(call);
  if ("mtu" in call) return { mtu: call.mtu };
  if ("master" in call) return { master: call.master };
  if ("alias" in call) return { alias: call.alias };
  if (!("quiet" in call)) return {};
  const ipv4 = { settings: { strictReversePath: 1 } };
  const ipv6 = { addressGeneration: IN6_ADDR_GEN_MODE_NONE };
  return { families: call.quiet === "ipv4" ? { ipv4 } : { ipv6 } };
}

function port({ isolated }: { readonly isolated: boolean }): AttributeValues<typeof WISHES> {
  return { information: { portKind: "bridge", port: { isolated: isolated ? 1 : 0 } } };
}

function subInterface({ mtu, lower, vlan }: SubInterfaceCall): AttributeValues<typeof WISHES> {
  return { mtu, lower, subInterface: { kind: "vlan", data: { vlan } } };
}

/** struct ifaddrmsg: family, prefix length, flags, scope, index; then the attributes. */
function encodeAddress({ index, address }: AddressCall): Uint8Array[] {
  const [host = "", prefixLength = ""] = address.split("/");
  const family = familyOf(host);
  const header = Buffer.alloc(ADDRESS_HEADER_LENGTH);
  header.writeUInt8(family, 0);
  header.writeUInt8(prefixLength === "" ? (isIPv4(host) ? 32 : 128) : Number(prefixLength), 1);
  header.writeUInt32LE(index, 4);
  const octetsOfHost = inetPton(family, host);
  return [header, encodeAttributes(ADDRESS_ATTRIBUTES, { local: octetsOfHost, address: octetsOfHost })];
}

/** struct rtmsg: family, lengths of destination and source, TOS, table, protocol, scope, type, flags; then the attributes. */
function encodeRoute({ index, destination }: RouteCall): Uint8Array[] {
  const [network = "", router] = destination.split(" via ");
  const [host = "", prefixLength = ""] = network.split("/");
  const family = familyOf(host);
  const header = Buffer.alloc(ROUTE_HEADER_LENGTH);
  const scope = family === AF_INET && router === undefined ? RT_SCOPE_LINK : 0;
  header.set([family, Number(prefixLength), 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST]);
  const gateway = router === undefined ? {} : { gateway: inetPton(family, router) };
  return [header, encodeAttributes(ROUTE_ATTRIBUTES, { destination: inetPton(family, host), index, ...gateway })];
}

function encodeRouteQuestion({ destination }: RouteQuestion): Uint8Array[] {
  const [host = "", prefixLength = ""] = (destination.split(" via ")[0] ?? "").split("/");
  const family = familyOf(host);
  const address = middleOf(inetPton(family, host), Number(prefixLength));
  const header = Buffer.alloc(ROUTE_HEADER_LENGTH);
  header.set([family, address.length * 8]);
  header.writeUInt32LE(ROUTE_ITSELF, 8);
  return [header, encodeAttributes(ROUTE_ATTRIBUTES, { destination: address })];
}

/** The first address of a network may be its broadcast address, and 0.0.0.0 is this host. */
function middleOf(network: Uint8Array, prefixLength: number): Uint8Array {
  const at = Math.floor(prefixLength / 8);
  return network.map((octet, i) => (i === at ? octet | (0x80 >> (prefixLength % 8)) : octet));
}

function decodeRoute(message: Buffer): FoundRoute {
  const { index = 0 } = decodeAttributes(ROUTE_ATTRIBUTES, message.subarray(ROUTE_HEADER_LENGTH));
  return { index, prefixLength: message.readUInt8(1), table: message.readUInt8(4) };
}

function familyOf(host: string): number {
  return isIPv4(host) ? AF_INET : AF_INET6;
}

export function decodeLink(message: Buffer): Link {
  const attributes = decodeAttributes(LINK_ATTRIBUTES, message.subarray(INTERFACE_HEADER_LENGTH));
  return {
    index: message.readInt32LE(4),
    name: attributes.name ?? "",
    up: (message.readUInt32LE(8) & IFF_UP) !== 0,
    mtu: attributes.mtu ?? 0,
    master: attributes.master ?? 0,
    kind: attributes.information?.kind ?? "",
    alias: attributes.alias ?? "",
    isolated: attributes.information?.port?.isolated === 1,
  };
}
