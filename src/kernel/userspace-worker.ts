import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import type { Backlog } from "./control-inbox.ts";
import { SOL_UDP, UDP_GRO } from "./datagram-batch.ts";
import type { DatapathNews, DeviceSettings, SessionRequest } from "./datapath.ts";
import { changeDevice } from "./device-change.ts";
import { DeviceKeeper } from "./device-keeper.ts";
import { DEVICE_GROUPS, decodeDeviceNews, ROUTE_GROUPS } from "./device-news.ts";
import { EventSocket } from "./event-socket.ts";
import { Forwarder } from "./forwarder.ts";
import { Pulse } from "./heartbeat.ts";
import { longerCookie, overheadOf } from "./inner-mtu.ts";
import { KernelError } from "./kernel-error.ts";
import { read, SO_RCVBUFFORCE, SO_SNDBUFFORCE, SOL_SOCKET } from "./libc.ts";
import { callLinks } from "./links.ts";
import { NETLINK_ROUTE, type NetlinkRequest } from "./netlink-messages.ts";
import { type NetlinkAnswer, NetlinkSocket } from "./netlink-socket.ts";
import { enterNamespace } from "./netns.ts";
import { configureDevice, lowerDevice, raiseDevice } from "./session-device.ts";
import { isIpv6Socket, pathMtu, setIfPossible } from "./sockets.ts";
import { openTap } from "./tap.ts";
import type { WorkerAnswer, WorkerCommand, WorkerMessage, WorkerRequest, WorkerSetup } from "./userspace-messages.ts";

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
  readonly #pulse: Pulse;
  readonly #wakeUps = Buffer.alloc(8);
  readonly #forwarder: Forwarder;
  readonly #links = new NetlinkSocket(NETLINK_ROUTE);
  readonly #exchange = (requests: readonly NetlinkRequest[]): readonly NetlinkAnswer[] =>
    this.#links.exchange(requests);
  readonly #events = new EventSocket(NETLINK_ROUTE, DEVICE_GROUPS);
  readonly #keeper = new DeviceKeeper({
    links: (calls) => callLinks(this.#exchange, calls),
    now: () => performance.now(),
    lost: (localSessionId, reason) => this.#tell({ type: "session-lost", localSessionId, reason }),
    port: (interfaceName, condition) => this.#tell({ type: "port", interfaceName, condition }),
    notice: (notice) => this.#tell({ type: "notice", notice }),
    listenToRoutes: () => this.#listenToRoutes(),
  });
  /** When the keeper wants to look at devices again. */
  #keepAt = 0;
  #hearsRoutes = false;
  #closed = false;

  constructor(port: MessagePort, setup: WorkerSetup) {
    this.#port = port;
    this.#setup = setup;
    this.#pulse = new Pulse(setup.heartbeat);
    this.#forwarder = new Forwarder({
      controlDatagram: (localControlConnectionId, octets) =>
        this.#post({ type: "control-datagram", localControlConnectionId, octets }, [octets.buffer as ArrayBuffer]),
      deviceLost: (localSessionId) => this.#post({ type: "device-lost", localSessionId }, []),
    });
    this.#forwarder.watch({ fd: setup.eventFd, pump: () => this.#serve() });
    this.#forwarder.watch({ fd: this.#events.fd, pump: () => this.#hear() });
  }

  run(): void {
    try {
      while (!this.#closed && this.#pulse.beat()) {
        const now = performance.now();
        if (now >= this.#keepAt) this.#keepAt = now + this.#keeper.step();
        const patience = Math.ceil(Math.max(0, this.#keepAt - performance.now()));
        this.#forwarder.turn(Math.min(LONGEST_WAIT_MS, patience));
      }
    } finally {
      this.#events.close();
      this.#links.close();
      this.#forwarder.close();
    }
  }

  #post(message: WorkerMessage, transfer: readonly ArrayBuffer[]): void {
    this.#port.postMessage(message, transfer);
  }

  #tell(news: DatapathNews): void {
    this.#post({ type: "news", news }, []);
  }

  #listenToRoutes(): void {
    if (this.#hearsRoutes) return;
    this.#hearsRoutes = true;
    for (const group of ROUTE_GROUPS) this.#events.join(group);
  }

  #hear(): void {
    const { lost } = this.#events.read((message) => {
      const news = decodeDeviceNews(message);
      if (news !== undefined) this.#keeper.take(news);
    });
    if (lost) this.#keeper.reconcile();
    this.#keepAt = 0;
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
        for (const id of this.#forwarder.sessionsOf(command.localControlConnectionId)) this.#keeper.removed(id);
        this.#forwarder.removeTunnel(command.localControlConnectionId);
        return NOTHING;
      case "open-device":
        return { ...NOTHING, tapFd: openTap(command.interfaceName) };
      case "create-session":
        this.#createSession(command.session, command.tapFd);
        return NOTHING;
      case "raise-session":
        this.#raiseSession(command.localSessionId, command.addresses, command.routes);
        return NOTHING;
      case "lower-session":
        this.#lowerSession(command.localSessionId);
        return NOTHING;
      case "change-session":
        this.#changeSession(command.localSessionId, command.before, command.settings);
        return NOTHING;
      case "delete-session":
        this.#forwarder.removeSession(command.localSessionId);
        this.#keeper.removed(command.localSessionId);
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
    const { vlan } = session;
    const layers = { encapsulation: "udp", family: isIpv6Socket(socket) ? 6 : 4, vlan } as const;
    const longest = { ...sendLayout, cookie: longerCookie(session) };
    const mtu = session.mtu === "auto" ? pathMtu(socket) - overheadOf(longest, layers) : session.mtu;
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
      vlan,
      tapFd,
    });
    this.#keeper.added(session);
  }

  #raiseSession(localSessionId: number, addresses: readonly string[], routes: readonly string[]): void {
    const session = this.#forwarder.session(localSessionId);
    if (session === undefined) refuse("ENODEV", "raise-session", `there is no session ${localSessionId}`);
    raiseDevice(this.#exchange, session.interfaceName, addresses, routes);
    this.#forwarder.raise(localSessionId);
    this.#keeper.switched(localSessionId, true);
  }

  #changeSession(localSessionId: number, before: DeviceSettings, settings: DeviceSettings): void {
    const session = this.#forwarder.session(localSessionId);
    if (session === undefined) refuse("ENODEV", "change-session", `there is no session ${localSessionId}`);
    const { interfaceName } = session;
    const device = { ...before, interfaceName, lowerName: undefined, raised: this.#forwarder.isRaised(localSessionId) };
    const refusal = changeDevice({ links: (calls) => callLinks(this.#exchange, calls) }, device, settings);
    this.#keeper.changed({ localSessionId, interfaceName, ...settings });
    if (refusal !== undefined) throw new KernelError(refusal.message, refusal);
  }

  #lowerSession(localSessionId: number): void {
    const session = this.#forwarder.session(localSessionId);
    if (session === undefined) refuse("ENODEV", "lower-session", `there is no session ${localSessionId}`);
    try {
      lowerDevice(this.#exchange, session.interfaceName);
    } finally {
      // Whatever became of the device: frames flow no more.
      this.#forwarder.lower(localSessionId);
      this.#keeper.switched(localSessionId, false);
    }
  }
}

if (parentPort === null) throw new Error("userspace-worker runs in a worker thread");
const setup: WorkerSetup = workerData;
// Before any socket is made.
enterNamespace(setup.netns);
new UserspaceWorker(parentPort, setup).run();
