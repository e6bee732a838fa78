import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import type { Backlog } from "./control-inbox.ts";
import { dataHeaderLength } from "./data-header.ts";
import { SOL_UDP, UDP_GRO } from "./datagram-batch.ts";
import type { SessionRequest } from "./datapath.ts";
import { Forwarder } from "./forwarder.ts";
import { KernelError } from "./kernel-error.ts";
import { read, SO_RCVBUFFORCE, SO_SNDBUFFORCE, SOL_SOCKET } from "./libc.ts";
import { NETLINK_ROUTE, type NetlinkRequest } from "./netlink-messages.ts";
import { type NetlinkAnswer, NetlinkSocket } from "./netlink-socket.ts";
import { configureDevice, lowerDevice, raiseDevice } from "./session-device.ts";
import { isIpv6Socket, pathMtu, setIfPossible } from "./sockets.ts";
import { openTap } from "./tap.ts";
import type { WorkerAnswer, WorkerCommand, WorkerMessage, WorkerRequest, WorkerSetup } from "./userspace-messages.ts";

const IPV4_OCTETS = 20;
const IPV6_OCTETS = 40;
/** UDP outside, the Ethernet header of the frame inside. */
const HEADER_OCTETS = 8 + 14;
/** A burst of 64 kB pieces while this thread does something else. */
const SOCKET_BUFFER_OCTETS = 4 * 1024 * 1024;
/** Only the event descriptor ends a wait; should a wake-up ever be missed, this bounds the harm. */
const LONGEST_WAIT_MS = 1_000;

type Outcome = Pick<WorkerAnswer, "counters" | "discarded" | "tapFd">;

const NOTHING: Outcome = { counters: [], discarded: 0 };

function refuse(errno: string, command: string, message: string): never {
  throw new KernelError(message, { errno, command });
}

class UserspaceWorker {
  readonly #port: MessagePort;
  readonly #setup: WorkerSetup;
  readonly #stop: Int32Array;
  readonly #wakeUps = Buffer.alloc(8);
  readonly #forwarder: Forwarder;
  readonly #links = new NetlinkSocket(NETLINK_ROUTE);
  readonly #exchange = (requests: readonly NetlinkRequest[]): readonly NetlinkAnswer[] =>
    this.#links.exchange(requests);
  #closed = false;

  constructor(port: MessagePort, setup: WorkerSetup) {
    this.#port = port;
    this.#setup = setup;
    this.#stop = new Int32Array(setup.stop);
    this.#forwarder = new Forwarder({
      controlDatagram: (localControlConnectionId, octets) =>
        this.#post({ type: "control-datagram", localControlConnectionId, octets }, [octets.buffer as ArrayBuffer]),
      deviceLost: (localSessionId) => this.#post({ type: "device-lost", localSessionId }, []),
    });
    this.#forwarder.watch({ fd: setup.eventFd, pump: () => this.#serve() });
  }

  run(): void {
    try {
      while (!this.#closed && Atomics.load(this.#stop, 0) === 0) this.#forwarder.turn(LONGEST_WAIT_MS);
    } finally {
      this.#links.close();
      this.#forwarder.close();
    }
  }

  #post(message: WorkerMessage, transfer: readonly ArrayBuffer[]): void {
    this.#port.postMessage(message, transfer);
  }

  #serve(): void {
    read(this.#setup.eventFd, this.#wakeUps, 8);
    for (;;) {
      const next: { message: WorkerRequest } | undefined = receiveMessageOnPort(this.#port);
      if (next === undefined) return;
      this.#answer(next.message);
    }
  }

  #answer({ serial, command }: WorkerRequest): void {
    try {
      this.#post({ type: "answer", serial, ...this.#perform(command) }, []);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      const { message, errno, command: refused, extendedAck } = error;
      this.#post(
        { type: "answer", serial, ...NOTHING, refusal: { message, errno, command: refused, extendedAck } },
        [],
      );
    }
  }

  #perform(command: WorkerCommand): Outcome {
    switch (command.type) {
      case "create-tunnel":
        this.#createTunnel(command.localControlConnectionId, command.fd, command.backlog);
        return NOTHING;
      case "delete-tunnel":
        this.#forwarder.removeTunnel(command.localControlConnectionId);
        return NOTHING;
      case "open-device":
        return { ...NOTHING, tapFd: openTap(command.interfaceName) };
      case "create-session":
        this.#createSession(command.session, command.tapFd);
        return NOTHING;
      case "raise-session":
        this.#raiseSession(command.localSessionId, command.addresses);
        return NOTHING;
      case "lower-session":
        this.#lowerSession(command.localSessionId);
        return NOTHING;
      case "delete-session":
        this.#forwarder.removeSession(command.localSessionId);
        return NOTHING;
      case "counters":
        return {
          counters: this.#forwarder.counters(command.localControlConnectionId),
          discarded: this.#forwarder.discarded(command.localControlConnectionId),
        };
      case "close":
        this.#closed = true;
        return NOTHING;
    }
  }

  #createTunnel(localControlConnectionId: number, fd: number, backlog: Backlog): void {
    setIfPossible(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_OCTETS);
    setIfPossible(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER_OCTETS);
    setIfPossible(fd, SOL_UDP, UDP_GRO, 1);
    this.#forwarder.addTunnel(localControlConnectionId, fd, backlog);
  }

  #createSession(session: SessionRequest, tapFd: number): void {
    const { localControlConnectionId, localSessionId, interfaceName } = session;
    const socket = this.#forwarder.socketOf(localControlConnectionId);
    if (socket === undefined) refuse("ENODEV", "create-session", `there is no tunnel ${localControlConnectionId}`);
    const sendLayout = { cookie: session.remoteCookie, l2Sublayer: session.l2Sublayer };
    const headers = (isIpv6Socket(socket) ? IPV6_OCTETS : IPV4_OCTETS) + HEADER_OCTETS + dataHeaderLength(sendLayout);
    const mtu = session.mtu === "auto" ? pathMtu(socket) - headers : session.mtu;
    configureDevice(this.#exchange, { ...session, mtu });
    this.#forwarder.addSession({
      localControlConnectionId,
      localSessionId,
      remoteSessionId: session.remoteSessionId,
      receiveLayout: { cookie: session.localCookie, l2Sublayer: session.l2Sublayer },
      sendLayout,
      sendSequencing: session.sendSequencing,
      receiveSequencing: session.receiveSequencing,
      sequencing: {
        timeoutMs: session.reorderTimeoutMs,
        window: session.sequenceWindow,
        resyncAfter: session.resyncAfter,
      },
      interfaceName,
      tapFd,
    });
  }

  #raiseSession(localSessionId: number, addresses: readonly string[]): void {
    const session = this.#forwarder.session(localSessionId);
    if (session === undefined) refuse("ENODEV", "raise-session", `there is no session ${localSessionId}`);
    raiseDevice(this.#exchange, session.interfaceName, addresses);
    this.#forwarder.raise(localSessionId);
  }

  #lowerSession(localSessionId: number): void {
    const session = this.#forwarder.session(localSessionId);
    if (session === undefined) refuse("ENODEV", "lower-session", `there is no session ${localSessionId}`);
    try {
      lowerDevice(this.#exchange, session.interfaceName);
    } finally {
      // Whatever became of the device: frames flow no more.
      this.#forwarder.lower(localSessionId);
    }
  }
}

if (parentPort === null) throw new Error("userspace-worker runs in a worker thread");
new UserspaceWorker(parentPort, workerData as WorkerSetup).run();
