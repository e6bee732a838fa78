import * as libc from "./libc.ts";
import { dump } from "./netlink-dump.ts";
import { decodeAttributes, NETLINK_ROUTE, octets, u32 } from "./netlink-messages.ts";

/** Routes of the main table (rtnetlink(7)). */

const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
/** struct rtmsg: family, lengths of destination and source, TOS, table, protocol, scope, type, flags. */
const HEADER_OCTETS = 12;
const RT_TABLE_MAIN = 254;
const RTM_F_CLONED = 0x200;
/** What a route has whose maker names no metric. */
const IPV6_METRIC = 1024;
const ATTRIBUTES = { destination: [1, octets], index: [4, u32], metric: [6, u32], table: [15, u32] } as const;

export interface RouteFact {
  /** CIDR notation, IPv6 as in RFC 5952. */
  readonly destination: string;
  /** `undefined`: none, or several. */
  readonly device: string | undefined;
}

/**
 * Those of the calling thread's network namespace beside which the kernel takes no other to the same network, unless a metric
 * is named. Throws a `KernelError`.
 */
export function listRoutes(): RouteFact[] {
  const messages = dump(NETLINK_ROUTE, RTM_GETROUTE, Buffer.alloc(HEADER_OCTETS));
  return messages.flatMap(({ type, octets: message }) => {
    const route = type === RTM_NEWROUTE ? decodeRoute(message) : undefined;
    return route === undefined ? [] : [{ destination: route.destination, device: libc.interfaceName(route.index) }];
  });
}

/** The body of a RTM_NEWROUTE; `undefined` for what is in nobody's way. `index`: 0 for no interface, or several. */
export function decodeRoute(message: Buffer): { readonly destination: string; readonly index: number } | undefined {
  const [family, length, , tos, tableOctet] = message;
  const attributes = decodeAttributes(ATTRIBUTES, message.subarray(HEADER_OCTETS));
  const { index = 0, metric = 0, table = tableOctet } = attributes;
  if (table !== RT_TABLE_MAIN || tos !== 0 || (message.readUInt32LE(8) & RTM_F_CLONED) !== 0) return undefined;
  if (metric !== (family === libc.AF_INET6 ? IPV6_METRIC : 0)) return undefined;
  if (family === libc.AF_INET)
    return { destination: `${(attributes.destination ?? [0, 0, 0, 0]).join(".")}/${length}`, index };
  if (family !== libc.AF_INET6) return undefined;
  return { destination: `${libc.inetNtop(family, attributes.destination ?? new Uint8Array(16))}/${length}`, index };
}
