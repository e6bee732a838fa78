import { callLinks } from "./links.ts";
import { NETLINK_ROUTE } from "./netlink-messages.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import { inNamespace } from "./netns.ts";

/**
 * The MTU of each of these devices, by name; those that are not there are left out. Synchronous. `netns`: their network
 * namespace, the daemon's own where there is none. Throws a `KernelError`.
 */
export function deviceMtus(names: readonly string[], netns: string | undefined): ReadonlyMap<string, number> {
  // A socket is for ever of the namespace that it was made in.
  const socket = inNamespace(netns, () => new NetlinkSocket(NETLINK_ROUTE));
  try {
    const calls = names.map((name) => ({ command: "RTM_GETLINK", name }) as const);
    const links = callLinks((requests) => socket.exchange(requests), calls);
    return new Map(links.flatMap(({ link }) => (link === undefined ? [] : [[link.name, link.mtu] as const])));
  } finally {
    socket.close();
  }
}
