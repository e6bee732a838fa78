import { isIPv4 } from "node:net";
import { AF_INET, AF_INET6, inetPton } from "./libc.ts";
import {
  type AttributeValues,
  decodeAttributes,
  encodeAttributes,
  type NetlinkRequest,
  nested,
  octets,
  text,
  u32,
} from "./netlink-messages.ts";
import type { NetlinkAnswer } from "./netlink-socket.ts";

/** rtnetlink, as far as the device of a session needs it (rtnetlink(7)). */

const RTM = { RTM_SETLINK: 19, RTM_GETLINK: 18, RTM_NEWADDR: 20 } as const;
const IFF_UP = 1;
const RTEXT_FILTER_SKIP_STATS = 8;
const INTERFACE_HEADER_LENGTH = 16;
const ADDRESS_HEADER_LENGTH = 8;

const LINK_ATTRIBUTES = {
  name: [3, text],
  mtu: [4, u32],
  master: [10, u32],
  information: [18, nested({ kind: [1, text] } as const)],
  filter: [29, u32],
} as const;

const ADDRESS_ATTRIBUTES = { address: [1, octets], local: [2, octets] } as const;

/** Devices are named, not numbered: the kernel finds them by name just as well, which saves a look-up. */
export type LinkCall =
  | { readonly command: "RTM_GETLINK"; readonly name: string }
  | { readonly command: "RTM_SETLINK"; readonly name: string; readonly mtu: number }
  | { readonly command: "RTM_SETLINK"; readonly name: string; readonly master: number }
  | { readonly command: "RTM_SETLINK"; readonly name: string; readonly up: boolean }
  /** `address`: CIDR notation, IPv4 or IPv6. `index` is the device's number. */
  | { readonly command: "RTM_NEWADDR"; readonly index: number; readonly address: string };

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  /** The number of the bridge that the device is a port of, 0 for none. */
  readonly master: number;
  /** "bridge", "veth", "l2tpeth"; empty where the driver has no name. */
  readonly kind: string;
}

export interface LinkAnswer {
  /** "": done; else "ENODEV". */
  readonly errno: string;
  readonly extendedAck: string;
  /** What RTM_GETLINK brings. */
  readonly link: Link | undefined;
}

/** Sends the calls in their order; synchronous. */
export function callLinks(
  exchange: (requests: readonly NetlinkRequest[]) => readonly NetlinkAnswer[],
  calls: readonly LinkCall[],
): LinkAnswer[] {
  return exchange(calls.map(encodeLinkCall)).map(({ errno, extendedAck, messages: [message] }) => ({
    errno,
    extendedAck,
    link: message === undefined ? undefined : decodeLink(message),
  }));
}

export function encodeLinkCall(call: LinkCall): NetlinkRequest {
  const payload = call.command === "RTM_NEWADDR" ? encodeAddress(call) : encodeInterface(call);
  return { type: RTM[call.command], flags: 0, payload };
}

/** struct ifinfomsg: family, type, index, flags, change mask; then the attributes. */
function encodeInterface(call: Exclude<LinkCall, { command: "RTM_NEWADDR" }>): Uint8Array[] {
  const header = Buffer.alloc(INTERFACE_HEADER_LENGTH);
  let attributes: AttributeValues<typeof LINK_ATTRIBUTES> = { name: call.name };
  if ("up" in call) {
    header.writeUInt32LE(call.up ? IFF_UP : 0, 8);
    header.writeUInt32LE(IFF_UP, 12);
  } else if ("mtu" in call) {
    attributes = { ...attributes, mtu: call.mtu };
  } else if ("master" in call) {
    attributes = { ...attributes, master: call.master };
  } else {
    attributes = { ...attributes, filter: RTEXT_FILTER_SKIP_STATS };
  }
  return [header, encodeAttributes(LINK_ATTRIBUTES, attributes)];
}

/** struct ifaddrmsg: family, prefix length, flags, scope, index; then the attributes. */
function encodeAddress({ index, address }: Extract<LinkCall, { command: "RTM_NEWADDR" }>): Uint8Array[] {
  const [host = "", prefixLength = ""] = address.split("/");
  const family = isIPv4(host) ? AF_INET : AF_INET6;
  const header = Buffer.alloc(ADDRESS_HEADER_LENGTH);
  header.writeUInt8(family, 0);
  header.writeUInt8(prefixLength === "" ? (isIPv4(host) ? 32 : 128) : Number(prefixLength), 1);
  header.writeUInt32LE(index, 4);
  const octetsOfHost = inetPton(family, host);
  return [header, encodeAttributes(ADDRESS_ATTRIBUTES, { local: octetsOfHost, address: octetsOfHost })];
}

function decodeLink(message: Buffer): Link {
  const attributes = decodeAttributes(LINK_ATTRIBUTES, message.subarray(INTERFACE_HEADER_LENGTH));
  return {
    index: message.readInt32LE(4),
    name: attributes.name ?? "",
    up: (message.readUInt32LE(8) & IFF_UP) !== 0,
    mtu: attributes.mtu ?? 0,
    master: attributes.master ?? 0,
    kind: attributes.information?.kind ?? "",
  };
}
