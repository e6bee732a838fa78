import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import type { Endpoint } from "../control/core.ts";
import * as libc from "../kernel/libc.ts";
import {
  connectSocket,
  encodeSocketAddress,
  localAddress,
  openConnectionSocket,
  openListener,
} from "../kernel/sockets.ts";

/** A control datagram, `to` the local address and port of the socket that took it. */
export type Receiver = (octets: Uint8Array, from: Endpoint, to: Endpoint) => void;

/** An error on a socket that concerns one datagram, not the socket. */
export type SocketTrouble = (error: Error, local: Endpoint) => void;

interface ConnectionSocket {
  /** Ours; the kernel's tunnel is made over it. */
  readonly fd: number;
  readonly local: Endpoint;
  connected: boolean;
  /** Reads from a duplicate of `fd`; absent while the datapath reads. */
  reader: Socket | undefined;
}

/**
 * L2TP over UDP and IPv4 (RFC 3931 4.1.2): listeners, and one socket for each control connection. Who reads hands over
 * every control datagram alike: between bind and connect a new socket takes what is meant for others, so nothing may
 * depend on the socket that a datagram came by.
 */
export class UdpTransport {
  readonly #receive: Receiver;
  readonly #trouble: SocketTrouble;
  readonly #listeners = new Map<string, Socket>();
  readonly #connections = new Map<number, ConnectionSocket>();

  constructor(receive: Receiver, trouble: SocketTrouble) {
    this.#receive = receive;
    this.#trouble = trouble;
  }

  /** Throws KernelError EADDRINUSE where another program has the address and port. */
  listen(local: Endpoint): void {
    const fd = openListener(local);
    this.#listeners.set(nameOf(local), this.#reader(fd, local));
  }

  /** Throws KernelError. */
  open(localControlConnectionId: number, local: Endpoint, remote: Endpoint | undefined): void {
    const fd = openConnectionSocket({ local });
    const bound = { ...local, port: localAddress(fd).port };
    const reader = this.#reader(libc.dup(fd), bound);
    this.#connections.set(localControlConnectionId, { fd, local: bound, connected: false, reader });
    if (remote !== undefined) this.connect(localControlConnectionId, remote);
  }

  /** Throws KernelError. */
  connect(localControlConnectionId: number, remote: Endpoint): void {
    const socket = this.#connections.get(localControlConnectionId);
    if (socket === undefined) return;
    connectSocket(socket.fd, remote);
    socket.connected = true;
  }

  close(localControlConnectionId: number): void {
    const socket = this.#connections.get(localControlConnectionId);
    if (socket === undefined) return;
    this.#connections.delete(localControlConnectionId);
    socket.reader?.close();
    libc.close(socket.fd);
  }

  /** The descriptor to build a tunnel on; it stays ours. `undefined`: there is no such socket (any more). */
  descriptor(localControlConnectionId: number): number | undefined {
    return this.#connections.get(localControlConnectionId)?.fd;
  }

  /** Leaves reading to the datapath, which gets a descriptor of its own. */
  handOver(localControlConnectionId: number): number | undefined {
    const socket = this.#connections.get(localControlConnectionId);
    if (socket === undefined) return undefined;
    socket.reader?.close();
    socket.reader = undefined;
    return libc.dup(socket.fd);
  }

  /** A control datagram that the datapath read. */
  handedOver(localControlConnectionId: number, octets: Uint8Array, from: Endpoint): void {
    const socket = this.#connections.get(localControlConnectionId);
    if (socket !== undefined) this.#receive(octets, from, socket.local);
  }

  /** The datapath reads no longer. */
  takeBack(localControlConnectionId: number): void {
    const socket = this.#connections.get(localControlConnectionId);
    if (socket !== undefined) socket.reader ??= this.#reader(libc.dup(socket.fd), socket.local);
  }

  send(localControlConnectionId: number, to: Endpoint, octets: Uint8Array): void {
    const socket = this.#connections.get(localControlConnectionId);
    if (socket === undefined) return;
    try {
      transmit(socket, to, octets);
    } catch {
      // The error of an earlier datagram (ICMP unreachable) is reported once, in place of this one: that is its report.
      this.#again(socket, to, octets);
    }
  }

  #again(socket: ConnectionSocket, to: Endpoint, octets: Uint8Array): void {
    try {
      transmit(socket, to, octets);
    } catch (error) {
      // Lost like any datagram: retransmission and keepalive see to it.
      this.#trouble(error as Error, socket.local);
    }
  }

  /** Sends from the listener whose address and port is `from`. */
  reply(from: Endpoint, to: Endpoint, octets: Uint8Array): void {
    const listener = this.#listeners.get(nameOf(from)) ?? this.#connectionAt(from);
    listener?.send(octets, to.port, to.address, (error) => {
      if (error !== null) this.#trouble(error, from);
    });
  }

  /** The socket of an attempt of ours can take an SCCRQ too, while it is not connected. */
  #connectionAt(local: Endpoint): Socket | undefined {
    for (const socket of this.#connections.values()) {
      if (!socket.connected && nameOf(socket.local) === nameOf(local)) return socket.reader;
    }
    return undefined;
  }

  closeAll(): void {
    for (const id of [...this.#connections.keys()]) this.close(id);
    for (const listener of this.#listeners.values()) listener.close();
    this.#listeners.clear();
  }

  /** node:dgram takes the descriptor over, and closes it in the end. */
  #reader(fd: number, local: Endpoint): Socket {
    // Addresses are numbers here: nothing is to be looked up.
    const reader = createSocket({ type: "udp4", lookup: (host, _options, found) => found(null, host, 4) });
    reader.on("message", (octets: Buffer, from: RemoteInfo) => {
      if (isControl(octets)) this.#receive(octets, { address: from.address, port: from.port }, local);
    });
    reader.on("error", (error) => this.#trouble(error, local));
    reader.bind({ fd });
    return reader;
  }
}

function transmit({ fd, connected }: ConnectionSocket, to: Endpoint, octets: Uint8Array): void {
  if (connected) libc.send(fd, octets, octets.length, libc.MSG_DONTWAIT);
  else libc.sendto(fd, octets, octets.length, libc.MSG_DONTWAIT, encodeSocketAddress(to));
}

/**
 * The T bit and Ver 3. The rest that comes by a control socket is data of sessions that the kernel does not know (yet),
 * L2TP version 2, or noise.
 */
function isControl(octets: Uint8Array): boolean {
  return octets.length >= 2 && ((octets[0] ?? 0) & 0x80) !== 0 && ((octets[1] ?? 0) & 0x0f) === 3;
}

function nameOf({ address, port }: Endpoint): string {
  return `${address}:${port}`;
}
