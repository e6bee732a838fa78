import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { constants } from "node:os";
import type { Endpoint, LocalEndpoint } from "../control/core.ts";
import { type Encapsulation, encapsulationOf, endpointText, familyOf, isAnyAddress } from "../control/endpoint.ts";
import { datagramKind } from "../kernel/data-header.ts";
import { errnoName } from "../kernel/kernel-error.ts";
import * as libc from "../kernel/libc.ts";
import { decodeSocketAddress, encodeSocketAddress, LONGEST_SOCKET_ADDRESS } from "../kernel/socket-address.ts";
import { sendChecksums } from "../kernel/socket-options.ts";
import { connectSocket, localAddress, openConnectionSocket, openListener, park } from "../kernel/sockets.ts";
import type { SocketKeeper } from "./kept-sockets.ts";

/** Octets of the longest datagram. */
const LONGEST_DATAGRAM = 65_535;

/** Datagrams looked at when a socket is closed, far above what a window lets a peer send. */
const MOST_WAITING = 1_024;

/** Where a waiting datagram and its sender's address are read to; whoever takes them copies. */
const drained = Buffer.alloc(LONGEST_DATAGRAM);
const drainedFrom = Buffer.alloc(LONGEST_SOCKET_ADDRESS);

/** A control datagram, `to` the local address, port and place of the socket that took it. */
export type Receiver = (octets: Uint8Array, from: Endpoint, to: LocalEndpoint) => void;

/** An error on a socket that concerns one datagram, not the socket. */
export type SocketTrouble = (error: Error, local: LocalEndpoint) => void;

interface Listener {
  /** Ours, to send with. */
  readonly fd: number;
  readonly local: LocalEndpoint;
  /** Reads from a duplicate of `fd`. */
  readonly reader: Socket;
}

/** What a connection's socket is to be. */
export interface SocketRequest {
  readonly encapsulation: Encapsulation;
  readonly local: LocalEndpoint;
  /** `undefined`: it takes datagrams from anyone. */
  readonly remote: Endpoint | undefined;
}

interface ConnectionSocket {
  readonly encapsulation: Encapsulation;
  /** Ours; the kernel's tunnel is made over it. */
  readonly fd: number;
  readonly local: LocalEndpoint;
  /** Whom it is connected to. */
  remote: Endpoint | undefined;
  /** The IP version of a socket whose data packets have no UDP checksum. */
  bare?: 4 | 6;
  /** Reads from a duplicate of `fd`; absent while the datapath reads. */
  reader: Socket | undefined;
}

/**
 * L2TP over UDP (RFC 3931 4.1.2) and over IP (4.1.1, of which the kernel adds and takes away the four zero octets), IPv4
 * and IPv6: listeners, and one socket for each control connection. Who reads hands over every control datagram alike:
 * between bind and connect a new UDP socket takes what is meant for others, so nothing may depend on the socket that a
 * datagram came by.
 */
export class Transport {
  readonly #receive: Receiver;
  readonly #trouble: SocketTrouble;
  readonly #listeners = new Map<string, Listener>();
  readonly #connections = new Map<number, ConnectionSocket>();
  readonly #keeper: SocketKeeper | undefined;

  /** `keeper`: keeps every socket beyond the end of this process. */
  constructor(receive: Receiver, trouble: SocketTrouble, keeper?: SocketKeeper) {
    this.#receive = receive;
    this.#trouble = trouble;
    this.#keeper = keeper;
  }

  /**
   * Port 0: over IP. Which namespace and device it is opened at says `placed`, and `local` only tells them to who receives.
   * Throws KernelError EADDRINUSE where another program has the address and port.
   */
  listen(local: LocalEndpoint): void {
    const name = nameOfListener(local);
    const kept = this.#keeper?.take(name);
    const fd = kept ?? openListener(local, encapsulationOf(local), this.#keeper?.inherited);
    if (kept === undefined) this.#keeper?.keep(name, fd);
    this.#listeners.set(keyOf(local), { fd, local, reader: this.#reader(libc.dup(fd), local) });
  }

  unlisten(local: LocalEndpoint): void {
    const listener = this.#listeners.get(keyOf(local));
    if (listener === undefined) return;
    this.#listeners.delete(keyOf(local));
    listener.reader.close();
    libc.close(listener.fd);
    this.#keeper?.release(nameOfListener(local));
  }

  /** Throws KernelError. */
  open(localControlConnectionId: number, { encapsulation, local, remote }: SocketRequest): void {
    const fd = openConnectionSocket({ kind: encapsulation, local, connectionId: localControlConnectionId });
    const bound = { ...local, port: encapsulation === "ip" ? 0 : localAddress(fd).port };
    const socket: ConnectionSocket = { encapsulation, fd, local: bound, remote: undefined, reader: undefined };
    this.#connections.set(localControlConnectionId, socket);
    try {
      this.#keeper?.keep(nameOfConnection(localControlConnectionId), fd);
      socket.reader = this.#reader(libc.dup(fd), bound);
      if (remote !== undefined) this.connect(localControlConnectionId, remote);
    } catch (error) {
      this.close(localControlConnectionId);
      throw error;
    }
  }

  /**
   * Goes on with a socket that an earlier process had kept for this connection; `remote` is whom it is connected to, as far as
   * that is known. What has come meanwhile is received at once. Returns whether there is one.
   */
  adopt(localControlConnectionId: number, { encapsulation, local, remote }: SocketRequest): boolean {
    const fd = this.#keeper?.take(nameOfConnection(localControlConnectionId));
    if (fd === undefined) return false;
    const { address, port } = localAddress(fd);
    const bound = { ...local, address, port: encapsulation === "ip" ? 0 : port };
    const socket: ConnectionSocket = { encapsulation, fd, local: bound, remote, reader: undefined };
    this.#connections.set(localControlConnectionId, socket);
    this.#drain(socket);
    socket.reader = this.#reader(libc.dup(fd), bound);
    return true;
  }

  /** Throws KernelError; the socket is closed then. */
  connect(localControlConnectionId: number, remote: Endpoint): void {
    const socket = this.#connections.get(localControlConnectionId);
    if (socket === undefined) return;
    try {
      connectSocket(socket.fd, remote, socket.encapsulation);
    } catch (error) {
      this.close(localControlConnectionId);
      throw error;
    }
    socket.remote = remote;
  }

  close(localControlConnectionId: number): void {
    const socket = this.#connections.get(localControlConnectionId);
    if (socket === undefined) return;
    this.#connections.delete(localControlConnectionId);
    this.#drain(socket);
    socket.reader?.close();
    if (this.#keeper !== undefined) {
      // Until its keeper lets go of it, it must not take what is meant for the next one.
      park(socket.fd, socket.encapsulation);
      this.#keeper.release(nameOfConnection(localControlConnectionId));
    }
    libc.close(socket.fd);
  }

  /**
   * What waits in a socket may be for others: a peer that opens anew sends to the old connection's socket, and before it
   * is connected a socket takes whatever comes to its port.
   */
  #drain({ fd, local }: ConnectionSocket): void {
    for (let left = MOST_WAITING; left > 0; left--) {
      const length = libc.recvfrom(fd, drained, drained.length, libc.MSG_DONTWAIT, drainedFrom);
      if (length === -constants.errno.EAGAIN) return;
      const octets = drained.subarray(0, Math.max(0, length));
      if (isControl(octets)) this.#receive(octets.slice(), decodeSocketAddress(drainedFrom), local);
    }
  }

  /** The local address of each connection's socket in a network namespace, as the kernel chose it when it was connected. */
  *localAddresses(netns?: string): Generator<readonly [localControlConnectionId: number, address: string]> {
    for (const [id, { fd, local }] of this.#connections) {
      if (local.netns === netns) yield [id, localAddress(fd).address];
    }
  }

  /** Address and port of the connection's socket as they are now; port 0: over IP. `undefined`: there is none (any more). */
  local(localControlConnectionId: number): Endpoint | undefined {
    const socket = this.#connections.get(localControlConnectionId);
    if (socket === undefined) return undefined;
    const { address, port } = localAddress(socket.fd);
    return { address, port: socket.encapsulation === "ip" ? 0 : port };
  }

  /** The descriptor to build a tunnel on; it stays ours. `undefined`: there is no such socket (any more). */
  descriptor(localControlConnectionId: number): number | undefined {
    return this.#connections.get(localControlConnectionId)?.fd;
  }

  /** How the connection's messages are carried; of a socket that is gone already nobody asks. */
  encapsulation(localControlConnectionId: number): Encapsulation {
    return this.#connections.get(localControlConnectionId)?.encapsulation ?? "udp";
  }

  /** The address, port and place that the connection's socket is bound to. */
  boundTo(localControlConnectionId: number): LocalEndpoint | undefined {
    return this.#connections.get(localControlConnectionId)?.local;
  }

  /** The network namespace of the connection's socket. */
  netns(localControlConnectionId: number): string | undefined {
    return this.#connections.get(localControlConnectionId)?.local.netns;
  }

  /** Leaves reading to the datapath, which gets a descriptor of its own. */
  handOver(localControlConnectionId: number): number | undefined {
    const socket = this.#connections.get(localControlConnectionId);
    if (socket === undefined) return undefined;
    const fd = libc.dup(socket.fd);
    // Before the datapath reads, who takes everything for the peer's: what came before the socket was connected is not.
    this.#drain(socket);
    socket.reader?.close();
    socket.reader = undefined;
    return fd;
  }

  /** Where datagrams go that the datapath reads from this connection's socket, even when the socket is closed by then. */
  receiverFor(localControlConnectionId: number): (octets: Uint8Array) => void {
    const { local, remote } = this.#connections.get(localControlConnectionId) ?? {};
    return (octets) => {
      if (local !== undefined && remote !== undefined) this.#receive(octets, remote, local);
    };
  }

  /** The datapath reads no longer. */
  takeBack(localControlConnectionId: number): void {
    const socket = this.#connections.get(localControlConnectionId);
    if (socket !== undefined) socket.reader ??= this.#reader(libc.dup(socket.fd), socket.local);
  }

  /** Data packets that go by the socket have no UDP checksum, and control messages have one (RFC 3931 4.1.2.3). */
  leaveDataBare(localControlConnectionId: number, family: 4 | 6): void {
    const socket = this.#connections.get(localControlConnectionId);
    if (socket !== undefined) socket.bare = family;
  }

  send(localControlConnectionId: number, to: Endpoint, octets: Uint8Array): void {
    const socket = this.#connections.get(localControlConnectionId);
    if (socket === undefined) return;
    const { fd, bare } = socket;
    // It is one socket with one option: data that goes out in this moment has a checksum too, which does no harm.
    if (bare !== undefined) sendChecksums(fd, bare, true);
    this.#transmit(socket, to, octets);
    if (bare !== undefined) sendChecksums(fd, bare, false);
  }

  #transmit(socket: ConnectionSocket, to: Endpoint, octets: Uint8Array): void {
    // The error of an earlier datagram (ICMP unreachable) is reported once, in place of the next: so there are two tries.
    if (transmit(socket, to, octets) >= 0) return;
    this.#judge(transmit(socket, to, octets), to, socket.local);
  }

  /** Sends from the listener whose address and port is `from`, or one of that port: the socket that took the question. */
  reply(from: LocalEndpoint, to: Endpoint, octets: Uint8Array): void {
    const listener = this.#listeners.get(keyOf(from)) ?? this.#listenerLike(from);
    if (listener === undefined) return;
    this.#judge(transmit({ fd: listener.fd, remote: undefined }, to, octets), to, from);
  }

  /** Lost like any datagram: retransmission and keepalive see to it. */
  #judge(result: number, to: Endpoint, local: LocalEndpoint): void {
    if (result < 0) this.#trouble(new Error(`send to ${endpointText(to)}: ${errnoName(-result)}`), local);
  }

  /** An SCCRQ can come by the socket of an attempt of ours, while that is not connected. */
  #listenerLike({ address, port, netns, device }: LocalEndpoint): Listener | undefined {
    const alike = [...this.#listeners.values()].filter(({ local }) => {
      if (local.netns !== netns || local.port !== port) return false;
      // Over IP none is bound to a device.
      return familyOf(local.address) === familyOf(address) && (port === 0 || local.device === device);
    });
    return alike.find(({ local }) => isAnyAddress(local.address)) ?? alike[0];
  }

  closeAll(): void {
    for (const id of [...this.#connections.keys()]) this.close(id);
    for (const { local } of [...this.#listeners.values()]) this.unlisten(local);
  }

  /** node:dgram takes the descriptor over, and closes it in the end. */
  #reader(fd: number, local: LocalEndpoint): Socket {
    // Addresses are numbers here: nothing is to be looked up.
    const family = familyOf(local.address);
    const reader = createSocket({ type: `udp${family}`, lookup: (host, _options, found) => found(null, host, family) });
    reader.on("message", (octets: Buffer, from: RemoteInfo) => {
      // Node has looked the link up among the interfaces of the daemon's own namespace.
      if (local.netns !== undefined && from.address.includes("%")) return;
      // Over UDP port 0 cannot be answered; over IP there is none.
      if (isControl(octets) && (from.port === 0) === (local.port === 0)) {
        this.#receive(octets, { address: from.address, port: from.port }, local);
      }
    });
    reader.on("error", (error) => this.#trouble(error, local));
    reader.bind({ fd });
    return reader;
  }
}

function keyOf({ netns = "", device = "", ...endpoint }: LocalEndpoint): string {
  return [endpointText(endpoint), device, netns].join(" ");
}

/** By which they are kept, and found again: without ":" (sd_pid_notify_with_fds(3)). */
function nameOfListener(local: LocalEndpoint): string {
  return `listener-${encodeURIComponent(keyOf(local))}`;
}

function nameOfConnection(localControlConnectionId: number): string {
  return `connection-${localControlConnectionId}`;
}

/** Octets sent, or the negative error number. */
function transmit({ fd, remote }: Pick<ConnectionSocket, "fd" | "remote">, to: Endpoint, octets: Uint8Array): number {
  if (remote !== undefined) return libc.send(fd, octets, octets.length, libc.MSG_DONTWAIT);
  return libc.sendto(fd, octets, octets.length, libc.MSG_DONTWAIT, encodeSocketAddress(to));
}

/** The rest that comes by a control socket is data of sessions that the kernel does not know (yet), or noise. */
function isControl(octets: Uint8Array): boolean {
  return datagramKind(octets, 0, octets.length) === "control";
}
