import { KernelError } from "./kernel-error.ts";
import * as libc from "./libc.ts";
import { decodeAttributes, encodeAttributes, NETLINK_ROUTE, octets, u32 } from "./netlink-messages.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import { addressOctets } from "./xfrm-layout.ts";

/** rtnetlink(7). */
const RTM_GETROUTE = 26;
/** struct rtmsg. */
const HEADER_OCTETS = 12;
const ATTRIBUTES = { destination: [1, octets], device: [4, u32], preferredSource: [7, octets] } as const;

/**
 * The local address that a socket bound to none would send from. Nothing is sent, and IPsec is not asked, as connecting a
 * socket would. `device`: what the socket is bound to. Throws a `KernelError`: ENETUNREACH without a route.
 */
export function sourceAddressTo(address: string, device: string | undefined): string {
  const destination = addressOctets(address);
  const header = Buffer.alloc(HEADER_OCTETS);
  header.writeUInt8(destination.length === 4 ? libc.AF_INET : libc.AF_INET6, 0);
  header.writeUInt8(destination.length * 8, 1);
  const link = device ?? address.split("%")[1];
  const by = link === undefined ? {} : { device: libc.interfaceIndex(link) };
  const { errno, messages } = ask([header, encodeAttributes(ATTRIBUTES, { destination, ...by })]);
  const [route] = messages;
  const found = route && decodeAttributes(ATTRIBUTES, route.subarray(HEADER_OCTETS)).preferredSource;
  if (found !== undefined) return textOf(found, address);
  const reason = ROUTELESS.has(errno) || errno === "" ? "there is no route to it" : errno;
  const details = { errno: errno === "" ? "ENETUNREACH" : errno, command: "RTM_GETROUTE" };
  throw new KernelError(`no local address for ${address}: ${reason}`, details);
}

const ROUTELESS: ReadonlySet<string> = new Set(["ENETUNREACH", "EHOSTUNREACH", "ENETDOWN"]);

function ask(payload: readonly Uint8Array[]) {
  const socket = new NetlinkSocket(NETLINK_ROUTE);
  try {
    const [answer] = socket.exchange([{ type: RTM_GETROUTE, flags: 0, payload }]);
    return answer ?? { errno: "EIO", messages: [] };
  } finally {
    socket.close();
  }
}

/** A link-local source is of the destination's link. */
function textOf(source: Uint8Array, destination: string): string {
  if (source.length === 4) return source.join(".");
  const isLinkLocal = source[0] === 0xfe && ((source[1] ?? 0) & 0xc0) === 0x80;
  const [, link] = destination.split("%");
  return `${libc.inetNtop(libc.AF_INET6, source)}${isLinkLocal && link !== undefined ? `%${link}` : ""}`;
}
