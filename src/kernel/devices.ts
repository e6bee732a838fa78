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
  readonly mtu: number;
  /** The name of the bridge, or other device, that it is a port of. */
  readonly bridge: string | undefined;
}

/** Those of the calling thread's network namespace, by name. Throws a `KernelError`. */
export function listDevices(): Map<string, DeviceFact> {
  const links = dump(NETLINK_ROUTE, RTM_GETLINK, Buffer.alloc(HEADER_OCTETS)).flatMap(({ type, octets }) => {
    const news = decodeLinkNews(type, octets);
    return news?.type === "link" ? [{ ...decodeLink(octets), hasCarrier: news.link.condition === "up" }] : [];
  });
  const names = new Map(links.map(({ index, name }) => [index, name]));
  return new Map(
    links.map(({ name, kind, hasCarrier, mtu, master }) => [
      name,
      { isBridge: kind === "bridge", hasCarrier, mtu, bridge: names.get(master) },
    ]),
  );
}
