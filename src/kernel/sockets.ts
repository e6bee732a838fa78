import { KernelError } from "./kernel-error.ts";
import * as libc from "./libc.ts";

/** An IPv4 address in dotted notation ("0.0.0.0": any) and a UDP port (0: any free one). */
export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

/**
 * UDP sockets as descriptors. They are made here because node:dgram has no public way to its own descriptor, which a
 * managed kernel tunnel is made over. The order is: `openConnectionSocket`, then `dgramSocket.bind({ fd })`, which adopts
 * the descriptor (and closes it in the end), then `connectSocket(fd, remote)`. A socket that is connected when node:dgram
 * adopts it can never send: with an address it gets EISCONN, without one ERR_SOCKET_DGRAM_NOT_CONNECTED.
 *
 * Several sockets share a port with SO_REUSEADDR: a connected one then gets exactly its peer's datagrams and the
 * listener all others. Between `bind` and `connect` the new socket takes what should go to the listener, so whoever
 * reads must dispatch by source and Control Connection ID, never by socket.
 */

/** struct sockaddr_in. */
export function encodeSocketAddress({ address, port }: SocketAddress): Buffer {
  const octets = Buffer.alloc(16);
  octets.writeUInt16LE(libc.AF_INET, 0);
  octets.writeUInt16BE(port, 2);
  octets.set(libc.inetPton(libc.AF_INET, address), 4);
  return octets;
}

/** The inverse of `encodeSocketAddress`. */
export function decodeSocketAddress(octets: Buffer): SocketAddress {
  return { address: octets.subarray(4, 8).join("."), port: octets.readUInt16BE(2) };
}

/**
 * The socket for control connections that others open. Throws EADDRINUSE while anyone else, a second daemon for
 * example, has the port: that is why SO_REUSEADDR is set after `bind`.
 */
export function openListener(local: SocketAddress): number {
  return opened((fd) => {
    attempt("bind", local, () => libc.bind(fd, encodeSocketAddress(local)));
    libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_REUSEADDR, 1);
  });
}

/** The socket of one control connection, not connected yet; it may share its port with a listener. */
export function openConnectionSocket({ local }: { local: SocketAddress }): number {
  return opened((fd) => {
    libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_REUSEADDR, 1);
    attempt("bind", local, () => libc.bind(fd, encodeSocketAddress(local)));
  });
}

/** From now on the socket sends to `remote` and receives from it alone. May be called again with another `remote`. */
export function connectSocket(fd: number, remote: SocketAddress): void {
  attempt("connect", remote, () => libc.connect(fd, encodeSocketAddress(remote)));
}

/** The address and port that the socket is bound to; once connected the address is never 0.0.0.0. */
export function localAddress(fd: number): SocketAddress {
  return decodeSocketAddress(libc.getsockname(fd));
}

/** The largest IP packet that reaches the peer unfragmented, as far as the kernel knows. The socket must be connected. */
export function pathMtu(fd: number): number {
  return libc.getsockopt(fd, libc.IPPROTO_IP, libc.IP_MTU);
}

/** For options that only some kernels have or only root may set, and that make things faster, nothing else. */
export function setIfPossible(fd: number, level: number, name: number, value: number): void {
  try {
    libc.setsockopt(fd, level, name, value);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
}

function opened(prepare: (fd: number) => void): number {
  const fd = libc.socket(libc.AF_INET, libc.SOCK_DGRAM | libc.SOCK_NONBLOCK, 0);
  try {
    prepare(fd);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  return fd;
}

/** The same error number means another thing to another command. */
const HINTS: Readonly<Record<"bind" | "connect", Readonly<Record<string, string>>>> = {
  bind: {
    EADDRINUSE: "another program, perhaps a second l2tpv3-lcc, has this address and port",
    EADDRNOTAVAIL: "this machine has no such address",
    EACCES: "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE",
  },
  connect: {
    EACCES: "not permitted: it is a broadcast address, or a firewall or route of this machine prohibits it",
    EINVAL: "the local address cannot reach it: a loopback address reaches this machine alone",
    ENETUNREACH: "there is no route to it",
    EHOSTUNREACH: "there is no route to it",
  },
};

function attempt(command: "bind" | "connect", { address, port }: SocketAddress, call: () => void): void {
  try {
    call();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const verb = command === "bind" ? "bind to" : "connect to";
    const reason = HINTS[command][error.errno] ?? error.errno;
    const message = `cannot ${verb} UDP ${address}:${port}: ${reason} (${error.errno})`;
    throw new KernelError(message, { errno: error.errno, command, cause: error });
  }
}
