/**
 * One end of a pseudowire without a control plane: a process, started in a network namespace with an IPC channel, that
 * runs the userspace datapath as its parent tells it. The parent is bench/userspace-datapath.ts or the interop test.
 */
import { readFileSync } from "node:fs";
import type { SessionCounters, SessionRequest } from "../src/kernel/datapath.ts";
import { KernelError } from "../src/kernel/kernel-error.ts";
import * as libc from "../src/kernel/libc.ts";
import type { SocketAddress } from "../src/kernel/socket-address.ts";
import { connectSocket, openConnectionSocket } from "../src/kernel/sockets.ts";
import { UserspaceDatapath } from "../src/kernel/userspace-datapath.ts";

const AF_PACKET = 17;
const ETH_P_ALL = 0x0003;
const LARGEST_FRAME = 65_536;
/** struct sockaddr_ll, as far as bind reads it. */
const LINK_ADDRESS_OCTETS = 20;

const datapath = new UserspaceDatapath({
  sessionLost: (id, reason) => tell({ event: "trouble", message: `session ${id}: ${reason}` }),
  tunnelLost: (id, reason) => tell({ event: "trouble", message: `tunnel ${id}: ${reason}` }),
  portChanged: (name, condition) => tell({ event: "trouble", message: `${name} is ${condition}` }),
  noticed: ({ message }) => tell({ event: "trouble", message }),
});
/** The daemon's own descriptors of the sockets, by control connection. */
const sockets = new Map<number, number>();
const captures = new Map<string, number>();

export interface SiteCalls {
  /** A connected socket; the datapath gets a descriptor of its own of it when `createTunnel` is called. */
  openSocket(localControlConnectionId: number, local: SocketAddress, remote: SocketAddress): void;
  createTunnel(localControlConnectionId: number): Promise<void>;
  deleteTunnel(localControlConnectionId: number): Promise<void>;
  createSession(session: SessionRequest): Promise<void>;
  raiseSession(localSessionId: number): Promise<void>;
  lowerSession(localSessionId: number): Promise<void>;
  deleteSession(localSessionId: number): Promise<void>;
  counters(): Promise<readonly SessionCounters[]>;
  discarded(): Promise<number>;
  close(): Promise<void>;
  /** As the daemon sends a control message: on its own descriptor. */
  sendDatagram(localControlConnectionId: number, octets: Uint8Array): void;
  /** From now on the frames that a device receives are kept. */
  capture(interfaceName: string): void;
  sendFrame(interfaceName: string, octets: Uint8Array): void;
  capturedFrames(interfaceName: string): readonly Uint8Array[];
  /** Microseconds of processor time that this process has used. */
  processorTime(): number;
  /** Ends the process as a daemon that forgot `close` would. */
  exit(): void;
}

const calls: SiteCalls = {
  openSocket(localControlConnectionId, local, remote) {
    const fd = openConnectionSocket({ local });
    connectSocket(fd, remote);
    sockets.set(localControlConnectionId, fd);
  },
  createTunnel: (localControlConnectionId) =>
    datapath.createTunnel({
      localControlConnectionId,
      remoteControlConnectionId: 1,
      encapsulation: "udp",
      fd: libc.dup(socketOf(localControlConnectionId)),
      onControlDatagram: (octets) => tell({ event: "control-datagram", octets }),
    }),
  deleteTunnel: (localControlConnectionId) => datapath.deleteTunnel(localControlConnectionId),
  createSession: (session) => datapath.createSession(session),
  raiseSession: (localSessionId) => datapath.raiseSession(localSessionId),
  lowerSession: (localSessionId) => datapath.lowerSession(localSessionId),
  deleteSession: (localSessionId) => datapath.deleteSession(localSessionId),
  counters: () => datapath.counters(),
  discarded: () => datapath.discarded(),
  close: () => datapath.close(),
  sendDatagram(localControlConnectionId, octets) {
    const sent = libc.send(socketOf(localControlConnectionId), octets, octets.length, 0);
    if (sent !== octets.length) throw new Error(`send: ${sent}`);
  },
  capture(interfaceName) {
    const fd = libc.socket(AF_PACKET, libc.SOCK_RAW | libc.SOCK_NONBLOCK, 0);
    const address = Buffer.alloc(LINK_ADDRESS_OCTETS);
    address.writeUInt16LE(AF_PACKET, 0);
    address.writeUInt16BE(ETH_P_ALL, 2);
    address.writeInt32LE(Number(readFileSync(`/sys/class/net/${interfaceName}/ifindex`, "utf8")), 4);
    libc.bind(fd, address);
    captures.set(interfaceName, fd);
  },
  sendFrame(interfaceName, octets) {
    const sent = libc.send(captureOf(interfaceName), octets, octets.length, 0);
    if (sent !== octets.length) throw new Error(`send: ${sent}`);
  },
  capturedFrames(interfaceName) {
    const frames: Uint8Array[] = [];
    const buffer = Buffer.alloc(LARGEST_FRAME);
    for (;;) {
      const length = libc.recv(captureOf(interfaceName), buffer, buffer.length, libc.MSG_DONTWAIT);
      if (length < 0) return frames;
      frames.push(Uint8Array.from(buffer.subarray(0, length)));
    }
  },
  processorTime() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  exit: () => process.exit(0),
};

export interface SiteRequest {
  readonly serial: number;
  readonly call: keyof SiteCalls;
  readonly args: readonly unknown[];
}

export type SiteMessage =
  | { readonly event: "answer"; readonly serial: number; readonly value: unknown }
  | {
      readonly event: "refusal";
      readonly serial: number;
      readonly message: string;
      /** Empty for what is no `KernelError`. */
      readonly errno: string;
    }
  | { readonly event: "control-datagram"; readonly octets: Uint8Array }
  | { readonly event: "trouble"; readonly message: string };

function socketOf(localControlConnectionId: number): number {
  const fd = sockets.get(localControlConnectionId);
  if (fd === undefined) throw new Error(`no socket ${localControlConnectionId}`);
  return fd;
}

function captureOf(interfaceName: string): number {
  const fd = captures.get(interfaceName);
  if (fd === undefined) throw new Error(`no capture on ${interfaceName}`);
  return fd;
}

function tell(message: SiteMessage): void {
  process.send?.(message);
}

async function serve({ serial, call, args }: SiteRequest): Promise<void> {
  try {
    const perform: (...args: never[]) => unknown = calls[call];
    tell({ event: "answer", serial, value: await perform(...(args as never[])) });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    tell({ event: "refusal", serial, message, errno: error instanceof KernelError ? error.errno : "" });
  }
}

if (process.send !== undefined) {
  process.on("message", (request: SiteRequest) => void serve(request));
  process.on("disconnect", () => process.exit(1));
}
