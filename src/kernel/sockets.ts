import { KernelError } from "./kernel-error.ts";
import * as libc from "./libc.ts";
import { applyPlacement, atPlace, isAtDevice } from "./placement.ts";
import { decodeSocketAddress, encodeSocketAddress, type SocketAddress, socketAddressText } from "./socket-address.ts";

/** UDP, or L2TP directly over IP (protocol 115, RFC 3931 4.1.1); the address says which IP version. */
export type SocketKind = "udp" | "ip";

/** TCP port service multiplexer, which has no use over UDP. */
const NOBODY = 1;

/** What a connection's socket is made of. */
export interface ConnectionSocketRequest {
  /** Default: UDP. */
  readonly kind?: SocketKind;
  readonly local: SocketAddress;
  /** Over IP: the Control Connection ID that its messages carry. UDP sockets know nothing of it. */
  readonly connectionId?: number;
}

/**
 * Sockets as descriptors. They are made here because node:dgram has no public way to its own descriptor, which a managed
 * kernel tunnel is made over, and makes none of protocol 115. The order is: `openConnectionSocket`, then
 * `dgramSocket.bind({ fd })`, which adopts the descriptor (and closes it in the end), then `connectSocket(fd, remote)`.
 *
 * Several UDP sockets share a port with SO_REUSEADDR: a connected one then gets exactly its peer's datagrams and the
 * listener all others. Between `bind` and `connect` the new socket takes what should go to the listener, so whoever
 * reads must dispatch by source and Control Connection ID, never by socket. Over IP the kernel itself hands out control
 * messages by Control Connection ID: 0 to the listener, others to the socket bound with that id, or to nobody.
 */

/**
 * The socket for control connections that others open. Throws EADDRINUSE while anyone else, a second daemon for
 * example, has the port: that is why SO_REUSEADDR is set after `bind`. But one that is bound to a device stands beside
 * that for all of them, which finds out. `shared`: sockets of our own may have the port, so nothing is found out.
 */
export function openListener(local: SocketAddress, kind: SocketKind = "udp", shared = false): number {
  return opened(kind, local, (fd) => {
    if (shared || isAtDevice()) libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_REUSEADDR, 1);
    attempt("bind", kind, local, () => libc.bind(fd, encodeSocketAddress(local, 0)));
    libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_REUSEADDR, 1);
  });
}

/** The socket of one control connection, not connected yet; over UDP it may share its port with a listener. */
export function openConnectionSocket({ kind = "udp", local, connectionId = 0 }: ConnectionSocketRequest): number {
  return opened(kind, local, (fd) => {
    libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_REUSEADDR, 1);
    const id = kind === "ip" ? connectionId : 0;
    attempt("bind", kind, local, () => libc.bind(fd, encodeSocketAddress(local, id)));
  });
}

/** From now on the socket sends to `remote` and receives from it alone. May be called again with another `remote`. */
export function connectSocket(fd: number, remote: SocketAddress, kind: SocketKind = "udp"): void {
  attempt("connect", kind, remote, () => libc.connect(fd, encodeSocketAddress(remote, 0)));
}

/**
 * Makes a UDP socket that others may still hold take nothing any more: it is connected to a port of its own address that
 * nobody sends from. Over IP its id is nobody else's.
 */
export function park(fd: number, kind: SocketKind): void {
  if (kind === "ip") return;
  try {
    libc.connect(fd, encodeSocketAddress({ ...localAddress(fd), port: NOBODY }, 0));
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
}

/** The address and port that the socket is bound to; once connected the address is never 0.0.0.0. */
export function localAddress(fd: number): SocketAddress {
  return decodeSocketAddress(libc.getsockname(fd));
}

/** The largest IP packet that reaches the peer unfragmented, as far as the kernel knows. The socket must be connected. */
export function pathMtu(fd: number): number {
  return isIpv6Socket(fd)
    ? libc.getsockopt(fd, libc.IPPROTO_IPV6, libc.IPV6_MTU)
    : libc.getsockopt(fd, libc.IPPROTO_IP, libc.IP_MTU);
}

export function isIpv6Socket(fd: number): boolean {
  return libc.getsockname(fd).readUInt16LE(0) === libc.AF_INET6;
}

export function close(fd: number): void {
  libc.close(fd);
}

/** For options that only some kernels have or only root may set, and that make things faster, nothing else. */
export function setIfPossible(fd: number, level: number, name: number, value: number): void {
  try {
    libc.setsockopt(fd, level, name, value);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
}

function opened(kind: SocketKind, local: SocketAddress, prepare: (fd: number) => void): number {
  const isIpv6 = local.address.includes(":");
  const family = isIpv6 ? libc.AF_INET6 : libc.AF_INET;
  const protocol = kind === "udp" ? libc.IPPROTO_UDP : libc.IPPROTO_L2TP;
  let fd = -1;
  atPlace(() =>
    attempt("socket", kind, local, () => {
      fd = libc.socket(family, libc.SOCK_DGRAM | libc.SOCK_NONBLOCK, protocol);
    }),
  );
  try {
    setOptions(fd, kind, isIpv6);
    applyPlacement(fd);
    prepare(fd);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  return fd;
}

function setOptions(fd: number, kind: SocketKind, isIpv6: boolean): void {
  // So that "::" and 0.0.0.0 can be listened on side by side. Sockets of protocol 115 are of one IP version by nature, and
  // refuse the option (EINVAL).
  if (isIpv6 && kind === "udp") libc.setsockopt(fd, libc.IPPROTO_IPV6, libc.IPV6_V6ONLY, 1);
  // Over IPv4 Linux lets no socket of protocol 115 send a message longer than the MTU, unless it may be fragmented.
  if (!isIpv6 && kind === "ip") libc.setsockopt(fd, libc.IPPROTO_IP, libc.IP_MTU_DISCOVER, libc.IP_PMTUDISC_DONT);
}

type Command = "socket" | "bind" | "connect";

/** The same error number means another thing to another command. */
const HINTS: Readonly<Record<Command, Readonly<Record<string, string>>>> = {
  socket: {
    EAFNOSUPPORT: "this machine has no IPv6",
    EPROTONOSUPPORT: "this kernel has no L2TP over IP: module l2tp_ip or l2tp_ip6 is not loaded",
    ESOCKTNOSUPPORT: "this kernel has no L2TP over IP: module l2tp_ip or l2tp_ip6 is not loaded",
  },
  bind: {
    EADDRINUSE: "another program, perhaps a second l2tpv3-lcc, has this address and port",
    EADDRNOTAVAIL: "this machine has no such address",
    EACCES: "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE",
    ENODEV: "this machine has no such interface",
  },
  connect: {
    EACCES: "not permitted: it is a broadcast address, or a firewall or route of this machine prohibits it",
    EINVAL: "the local address cannot reach it: a loopback address reaches this machine alone",
    ENETUNREACH: "there is no route to it",
    EHOSTUNREACH: "there is no route to it",
    ENODEV: "this machine has no such interface",
    EPERM: "an IPsec policy discards it",
    ESRCH: "an IPsec policy protects it, but there is no key, and nobody who negotiates one",
  },
};

const VERBS: Readonly<Record<Command, string>> = {
  socket: "open a socket for",
  bind: "bind to",
  connect: "connect to",
};

function attempt(command: Command, kind: SocketKind, address: SocketAddress, call: () => void): void {
  try {
    call();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const reason = HINTS[command][error.errno] ?? error.errno;
    const where = kind === "udp" ? `UDP ${socketAddressText(address)}` : `IP protocol 115, ${address.address}`;
    const message = `cannot ${VERBS[command]} ${where}: ${reason} (${error.errno})`;
    throw new KernelError(message, { errno: error.errno, command, cause: error });
  }
}
