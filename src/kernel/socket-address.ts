import { KernelError } from "./kernel-error.ts";
import * as libc from "./libc.ts";

/**
 * An IPv4 address in dotted notation ("0.0.0.0": any) or an IPv6 address ("::": any; a link-local one with its link,
 * "fe80::1%eth0"), and a UDP port (0: any free one). Sockets of L2TP over IP have port 0.
 */
export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

/** Room for any of them. */
export const LONGEST_SOCKET_ADDRESS = 32;

const IPV4_LENGTH = 16;
/** struct sockaddr_l2tpip6, of which struct sockaddr_in6 is the beginning. */
const IPV6_LENGTH = 32;

/**
 * struct sockaddr_in or sockaddr_in6; with a `connectionId` struct sockaddr_l2tpip or sockaddr_l2tpip6, which are laid
 * out alike but for that one field. Throws KernelError EINVAL for what is no address, ENODEV where there is no such link.
 */
export function encodeSocketAddress({ address, port }: SocketAddress, connectionId = 0): Buffer {
  if (address.includes(":")) return encodeIpv6(address, port, connectionId);
  const octets = Buffer.alloc(IPV4_LENGTH);
  octets.writeUInt16LE(libc.AF_INET, 0);
  octets.writeUInt16BE(port, 2);
  octets.set(libc.inetPton(libc.AF_INET, address), 4);
  octets.writeUInt32LE(connectionId, 8);
  return octets;
}

function encodeIpv6(text: string, port: number, connectionId: number): Buffer {
  const [address = "", link] = text.split("%");
  const octets = Buffer.alloc(IPV6_LENGTH);
  octets.writeUInt16LE(libc.AF_INET6, 0);
  octets.writeUInt16BE(port, 2);
  octets.set(libc.inetPton(libc.AF_INET6, address), 8);
  octets.writeUInt32LE(link === undefined ? 0 : indexOf(link), 24);
  octets.writeUInt32LE(connectionId, 28);
  return octets;
}

function indexOf(link: string): number {
  const index = libc.interfaceIndex(link);
  if (index !== 0) return index;
  throw new KernelError(`there is no interface ${link}`, { errno: "ENODEV", command: "if_nametoindex" });
}

/** The inverse of `encodeSocketAddress`. */
export function decodeSocketAddress(octets: Buffer): SocketAddress {
  const port = octets.readUInt16BE(2);
  if (octets.readUInt16LE(0) !== libc.AF_INET6) return { address: octets.subarray(4, 8).join("."), port };
  const address = libc.inetNtop(libc.AF_INET6, octets.subarray(8, 24));
  const scope = octets.length >= 28 ? octets.readUInt32LE(24) : 0;
  const link = scope === 0 || !isLinkLocal(octets) ? undefined : libc.interfaceName(scope);
  return { address: link === undefined ? address : `${address}%${link}`, port };
}

/** fe80::/10 */
function isLinkLocal(octets: Buffer): boolean {
  return octets[8] === 0xfe && ((octets[9] ?? 0) & 0xc0) === 0x80;
}

/** "192.0.2.1:1701", "[2001:db8::1]:1701". */
export function socketAddressText({ address, port }: SocketAddress): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
