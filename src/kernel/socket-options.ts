import { IPPROTO_IP, SOL_SOCKET, setsockopt } from "./libc.ts";

/** What the outer headers of a control connection, control messages and data alike, carry. */
export interface OuterHeaderOptions {
  /** `undefined`: as the kernel does by default, which discovers the path's MTU. */
  readonly df: boolean | undefined;
  /** With ECN bits 0 (RFC 9601). */
  readonly tos: number;
  /** `undefined`: the kernel's default. */
  readonly ttl: number | undefined;
  readonly udpChecksum: boolean;
}

const IPPROTO_IPV6 = 41;
const SOL_UDP = 17;
const SO_NO_CHECK = 11;
const UDP_NO_CHECK6_TX = 101;
const UDP_NO_CHECK6_RX = 102;

/** The same three things by their names in ip(7) and ipv6(7). */
const OPTIONS = {
  /** IP_MTU_DISCOVER, IP_TOS, IP_TTL. */
  4: { level: IPPROTO_IP, discovery: 10, tos: 1, ttl: 2 },
  /** IPV6_MTU_DISCOVER, IPV6_TCLASS, IPV6_UNICAST_HOPS. */
  6: { level: IPPROTO_IPV6, discovery: 23, tos: 67, ttl: 16 },
} as const;

/** IP_PMTUDISC_DO and IP_PMTUDISC_DONT; those of IPv6 have the same numbers. */
const DISCOVERY = { do: 2, dont: 0 } as const;

/**
 * Sets what differs from the kernel's defaults; `isUdp` false for protocol 115, which has no checksum of its own. A
 * managed tunnel takes TOS, TTL and checksum from its socket too, but sends data packets without Don't Fragment.
 * Throws a `KernelError`.
 */
export function applySocketOptions(fd: number, family: 4 | 6, options: OuterHeaderOptions, isUdp = true): void {
  const { level, discovery, tos, ttl } = OPTIONS[family];
  if (options.df !== undefined) setsockopt(fd, level, discovery, options.df ? DISCOVERY.do : DISCOVERY.dont);
  if (options.tos !== 0) setsockopt(fd, level, tos, options.tos);
  if (options.ttl !== undefined) setsockopt(fd, level, ttl, options.ttl);
  if (options.udpChecksum || !isUdp) return;
  sendChecksums(fd, family, false);
  if (family === 6) setsockopt(fd, SOL_UDP, UDP_NO_CHECK6_RX, 1);
}

/**
 * Whether packets that a UDP socket sends from now on have a checksum. Control messages always have one (RFC 3931 4.1.2.3),
 * and a listener on IPv6 takes nothing without.
 */
export function sendChecksums(fd: number, family: 4 | 6, on: boolean): void {
  const [level, option] = family === 4 ? [SOL_SOCKET, SO_NO_CHECK] : [SOL_UDP, UDP_NO_CHECK6_TX];
  setsockopt(fd, level, option, on ? 0 : 1);
}
