import { KernelError } from "./kernel-error.ts";
import * as libc from "./libc.ts";
import { dump } from "./netlink-dump.ts";
import { decodeAttributes, NETLINK_ROUTE, octets } from "./netlink-messages.ts";

/** Addresses of the machine's interfaces, whether these are up or not (rtnetlink(7)). */

const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
/** struct ifaddrmsg. */
const HEADER_OCTETS = 8;
const RT_SCOPE_UNIVERSE = 0;
const IFA_F_DADFAILED = 0x08;
const IFA_F_TENTATIVE = 0x40;
/** IFA_LOCAL is missing for IPv6; with IPv4 IFA_ADDRESS may be the other end's. */
const ATTRIBUTES = { address: [1, octets], local: [2, octets] } as const;

export interface InterfaceAddress {
  readonly index: number;
  readonly family: 4 | 6;
  /** IPv6 as in RFC 5952, a link-local one with its link ("fe80::1%eth0"). */
  readonly address: string;
  /** Of worldwide or site-wide meaning, not of one link or this machine alone. */
  readonly isGlobal: boolean;
}

/** In the kernel's order: of each interface the primary address comes first. Throws a `KernelError`. */
export function listAddresses(): InterfaceAddress[] {
  const messages = dump(NETLINK_ROUTE, RTM_GETADDR, Buffer.alloc(HEADER_OCTETS));
  return messages.flatMap(({ type, octets: message }) => (type === RTM_NEWADDR ? (decodeAddress(message) ?? []) : []));
}

/** The body of a RTM_NEWADDR; `undefined` for what cannot be bound (yet). */
export function decodeAddress(message: Buffer): InterfaceAddress | undefined {
  const [family, , flags = 0, scope] = message;
  const { address, local = address } = decodeAttributes(ATTRIBUTES, message.subarray(HEADER_OCTETS));
  if (local === undefined || (family !== libc.AF_INET && family !== libc.AF_INET6)) return undefined;
  if ((flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) !== 0) return undefined;
  return {
    index: message.readUInt32LE(4),
    family: family === libc.AF_INET ? 4 : 6,
    address: addressText(local, message.readUInt32LE(4)),
    isGlobal: scope === RT_SCOPE_UNIVERSE,
  };
}

/** The first global one. Throws a `KernelError`: ENODEV without the interface, EADDRNOTAVAIL without an address. */
export function addressOfInterface(name: string, family: 4 | 6): string {
  const index = libc.interfaceIndex(name);
  if (index === 0) throw missing(`this machine has no interface ${name}`, "ENODEV");
  const found = listAddresses().find((each) => each.index === index && each.family === family && each.isGlobal);
  if (found === undefined) throw missing(`interface ${name} has no IPv${family} address`, "EADDRNOTAVAIL");
  return found.address;
}

function missing(message: string, errno: string): KernelError {
  return new KernelError(message, { errno, command: "bind" });
}

function addressText(octets: Uint8Array, index: number): string {
  if (octets.length === 4) return octets.join(".");
  const text = libc.inetNtop(libc.AF_INET6, octets);
  const link = octets[0] === 0xfe && ((octets[1] ?? 0) & 0xc0) === 0x80 ? libc.interfaceName(index) : undefined;
  return link === undefined ? text : `${text}%${link}`;
}
