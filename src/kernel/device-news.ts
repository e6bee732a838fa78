import type { EventMessage } from "./event-socket.ts";
import { decodeAttributes, text, u32 } from "./netlink-messages.ts";

/** What rtnetlink announces of devices, their addresses and their routes (rtnetlink(7)). */

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_DELADDR = 21;
const RTM_DELROUTE = 25;
const INTERFACE_HEADER_LENGTH = 16;
const ROUTE_HEADER_LENGTH = 12;
const IFF_UP = 1;
const LINK_ATTRIBUTES = { name: [3, text], master: [10, u32] } as const;
const ROUTE_ATTRIBUTES = { index: [4, u32] } as const;

/** RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR. */
export const DEVICE_GROUPS = [1, 5, 9] as const;
/** RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE: much is told there on a router, so only who has routes listens. */
export const ROUTE_GROUPS = [7, 11] as const;

export type DeviceNews =
  | {
      readonly type: "link";
      readonly index: number;
      readonly name: string;
      readonly up: boolean;
      /** The number of the bridge that it is a port of, 0 for none. */
      readonly master: number;
    }
  /** Removed, or moved to another network namespace. */
  | { readonly type: "gone"; readonly index: number }
  /** It has lost an address or a route. */
  | { readonly type: "bereft"; readonly index: number };

/** `undefined` for what is no such news. */
export function decodeDeviceNews({ type, octets }: Pick<EventMessage, "type" | "octets">): DeviceNews | undefined {
  switch (type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return decodeLink(type, octets);
    case RTM_DELADDR:
      return octets.length < 8 ? undefined : { type: "bereft", index: octets.readUInt32LE(4) };
    case RTM_DELROUTE: {
      const { index } = decodeAttributes(ROUTE_ATTRIBUTES, octets.subarray(ROUTE_HEADER_LENGTH));
      return index === undefined ? undefined : { type: "bereft", index };
    }
    default:
      return undefined;
  }
}

function decodeLink(type: number, octets: Buffer): DeviceNews | undefined {
  // A bridge tells of its ports with the same messages, in a family of its own: DELLINK is then a port's leaving.
  if (octets.length < INTERFACE_HEADER_LENGTH || octets[0] !== 0) return undefined;
  const index = octets.readInt32LE(4);
  if (type === RTM_DELLINK) return { type: "gone", index };
  const { name = "", master = 0 } = decodeAttributes(LINK_ATTRIBUTES, octets.subarray(INTERFACE_HEADER_LENGTH));
  return { type: "link", index, name, master, up: (octets.readUInt32LE(8) & IFF_UP) !== 0 };
}
