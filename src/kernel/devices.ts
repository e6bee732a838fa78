import { decodeLinkNews } from "./link-news.ts";
import { decodeLink } from "./links.ts";
import { dump } from "./netlink-dump.ts";
import { NETLINK_ROUTE } from "./netlink-messages.ts";

const RTM_GETLINK = 18;
/** struct ifinfomsg. */
const HEADER_OCTETS = 16;

/** A network device as rtnetlink shows it. */
export interface DeviceFact {
  readonly isBridge: boolean;
  /** Up, and something is connected. */
  readonly hasCarrier: boolean;
}

/** Those of the calling thread's network namespace, by name. Throws a `KernelError`. */
export function listDevices(): Map<string, DeviceFact> {
  const devices = new Map<string, DeviceFact>();
  for (const { type, octets } of dump(NETLINK_ROUTE, RTM_GETLINK, Buffer.alloc(HEADER_OCTETS))) {
    const news = decodeLinkNews(type, octets);
    if (news?.type !== "link") continue;
    const { name, condition } = news.link;
    devices.set(name, { isBridge: decodeLink(octets).kind === "bridge", hasCarrier: condition === "up" });
  }
  return devices;
}
