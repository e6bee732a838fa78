import { close as closeInThreadPool, closeSync } from "node:fs";
import { ControlInbox, type ControlReceiver, newBacklog } from "./control-inbox.ts";
import type {
  Datapath,
  DatapathEvents,
  DatapathNews,
  DeviceSettings,
  SessionCounters,
  SessionRequest,
  TunnelRequest,
} from "./datapath.ts";
import { ForwardingThread, type WorkerEvent } from "./forwarding-thread.ts";
import { KernelError } from "./kernel-error.ts";
import { sessionFlaw } from "./session-check.ts";
import type { WorkerAnswer, WorkerCommand } from "./userspace-messages.ts";
import { waitingControlMessages } from "./waiting-messages.ts";

/** `close` waits so long for devices to go; what is left then goes with the process. */
const LONGEST_CLOSE_MS = 800;
/** How many devices go at a time: one thread of Node's pool of four is left for other work. */
const RETIREMENT_LANES = 3;
/** Pieces taken from a socket that is given back; above what a window lets a peer send. */
const MOST_WAITING = 1_024;

interface Socket extends ControlReceiver {
  readonly fd: number;
  /** The forwarding thread has it. */
  isForwarded: boolean;
}

interface Device {
  readonly localControlConnectionId: number;
  readonly interfaceName: string;
  readonly fd: number;
  settings: DeviceSettings;
  /** It was set down after it had been up: the kernel has dropped addresses. */
  isLowered: boolean;
  /** Which was told. */
  isLost: boolean;
}

/**
 * Ethernet pseudowires without L2TP in the kernel: one TAP device per session; a thread of its own carries the frames
 * to and from the sockets of the control connections (RFC 3931 4.1.2.1, 4.5). It runs from the built package only.
 */
export class UserspaceDatapath implements Datapath {
  readonly name = "userspace";
  readonly readsSocket = true;
  readonly #events: DatapathEvents;
  readonly #netns: string | undefined;
  readonly #inbox = new ControlInbox();
  /** By local Control Connection ID. */
  readonly #sockets = new Map<number, Socket>();
  /** By local Session ID. */
  readonly #devices = new Map<number, Device>();
  /** Devices on their way out, by name. */
  readonly #retiring = new Map<string, Promise<void>>();
  readonly #lanes: Promise<void>[] = Array.from({ length: RETIREMENT_LANES }, () => Promise.resolve());
  #nextLane = 0;
  #lastRequest: Promise<unknown> = Promise.resolve();
  #thread: ForwardingThread | undefined;
  #closing: Promise<void> | undefined;
  #closed = false;

  /** `netns`: network namespace that devices are made in; `undefined`: the daemon's own. */
  constructor(events: DatapathEvents, netns?: string) {
    this.#events = events;
    this.#netns = netns;
  }

  prepare(): void {
    if (!this.#closed) this.#running();
  }

  createTunnel({ localControlConnectionId, encapsulation, fd, onControlDatagram }: TunnelRequest): Promise<void> {
    return this.#inOrder(async () => {
      if (encapsulation === "ip") {
        closeSync(fd);
        throw refusal("EPROTONOSUPPORT", "create-tunnel", "only the kernel's datapath carries frames over IP");
      }
      if (this.#sockets.has(localControlConnectionId)) {
        closeSync(fd);
        throw refusal("EEXIST", "create-tunnel", `tunnel ${localControlConnectionId} exists already`);
      }
      // Before it is asked for: a control datagram may overtake the answer.
      const backlog = newBacklog();
      const socket: Socket = { fd, backlog, onControlDatagram, isForwarded: false };
      this.#sockets.set(localControlConnectionId, socket);
      try {
        await this.#ask({ type: "create-tunnel", localControlConnectionId, fd, backlog });
        socket.isForwarded = true;
      } catch (error) {
        this.#closeSocket(localControlConnectionId);
        throw error;
      }
    });
  }

  deleteTunnel(localControlConnectionId: number): Promise<void> {
    return this.#inOrder(async () => {
      if (!this.#sockets.has(localControlConnectionId)) return;
      await this.#ask({ type: "delete-tunnel", localControlConnectionId });
      this.#forgetTunnel(localControlConnectionId);
    });
  }

  createSession(session: SessionRequest): Promise<void> {
    return this.#inOrder(async () => {
      const { localControlConnectionId, localSessionId, interfaceName } = session;
      const { mtu, bridge, isolated, addresses, routes } = session;
      const flaw = sessionFlaw(session);
      if (flaw !== undefined)
        throw refusal("EINVAL", "create-session", `cannot make session ${localSessionId}: ${flaw}`);
      if (!this.#sockets.has(localControlConnectionId)) {
        throw refusal("ENODEV", "create-session", `there is no tunnel ${localControlConnectionId}`);
      }
      if (this.#devices.has(localSessionId)) {
        throw refusal("EEXIST", "create-session", `session ${localSessionId} exists already`);
      }
      await this.#retiring.get(interfaceName);
      const { tapFd = -1 } = await this.#ask({ type: "open-device", interfaceName });
      const settings = { mtu, bridge, isolated, addresses, routes };
      const device: Device = {
        localControlConnectionId,
        interfaceName,
        settings,
        fd: tapFd,
        isLowered: false,
        isLost: false,
      };
      this.#devices.set(localSessionId, device);
      try {
        await this.#ask({ type: "create-session", session, tapFd });
      } catch (error) {
        await this.#retire(localSessionId);
        throw error;
      }
    });
  }

  raiseSession(localSessionId: number): Promise<void> {
    return this.#inOrder(async () => {
      const device = this.#devices.get(localSessionId);
      if (device === undefined) throw refusal("ENODEV", "raise-session", `there is no session ${localSessionId}`);
      const addresses = device.isLowered ? device.settings.addresses : [];
      await this.#ask({ type: "raise-session", localSessionId, addresses, routes: device.settings.routes });
      device.isLowered = false;
    });
  }

  lowerSession(localSessionId: number): Promise<void> {
    return this.#inOrder(async () => {
      const device = this.#devices.get(localSessionId);
      if (device === undefined) throw refusal("ENODEV", "lower-session", `there is no session ${localSessionId}`);
      device.isLowered = true;
      await this.#ask({ type: "lower-session", localSessionId });
    });
  }

  changeSession(localSessionId: number, settings: DeviceSettings): Promise<void> {
    return this.#inOrder(async () => {
      const device = this.#devices.get(localSessionId);
      if (device === undefined) throw refusal("ENODEV", "change-session", `there is no session ${localSessionId}`);
      const before = device.settings;
      device.settings = settings;
      await this.#ask({ type: "change-session", localSessionId, before, settings });
    });
  }

  async deleteSession(localSessionId: number): Promise<void> {
    let gone: Promise<void> | undefined;
    await this.#inOrder(async () => {
      if (!this.#devices.has(localSessionId)) return;
      await this.#ask({ type: "delete-session", localSessionId });
      gone = this.#retire(localSessionId);
    });
    // Outside, so that the requests behind this one need not wait for it.
    await gone;
  }

  async counters(localControlConnectionId?: number): Promise<readonly SessionCounters[]> {
    return (await this.#look(localControlConnectionId)).counters;
  }

  /**
   * Datagrams received by all tunnels, or one, that nobody took: unknown Session ID or version, runts, and control
   * messages that came faster than they are handled.
   */
  async discarded(localControlConnectionId?: number): Promise<number> {
    return (await this.#look(localControlConnectionId)).discarded;
  }

  responds(): boolean {
    return this.#thread?.responds() ?? true;
  }

  close(): Promise<void> {
    this.#closing ??= this.#inOrder(async () => {
      // One by one, so that the sockets are what they were before: the daemon may go on with its own descriptors.
      for (const localControlConnectionId of this.#sockets.keys()) {
        await this.#ask({ type: "delete-tunnel", localControlConnectionId }).catch(() => {});
      }
      this.#closed = true;
      await this.#thread?.end();
      this.#forgetAll();
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, LONGEST_CLOSE_MS);
      });
      await Promise.race([Promise.all(this.#lanes), patience]);
      clearTimeout(timer);
    });
    return this.#closing;
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lastRequest.then(work);
    this.#lastRequest = result.catch(() => {});
    return result;
  }

  #look(localControlConnectionId: number | undefined): Promise<Pick<WorkerAnswer, "counters" | "discarded">> {
    return this.#inOrder(async () => {
      if (this.#thread === undefined || this.#closed) return { counters: [], discarded: 0 };
      return this.#ask({ type: "counters", localControlConnectionId });
    });
  }

  async #ask(command: WorkerCommand): Promise<WorkerAnswer> {
    if (this.#closed) throw refusal("ESHUTDOWN", command.type, "the userspace datapath is closed");
    return this.#running().ask(command);
  }

  #running(): ForwardingThread {
    this.#thread ??= new ForwardingThread(this.#netns, this.#hear, this.#fail);
    return this.#thread;
  }

  #forgetTunnel(localControlConnectionId: number): void {
    this.#closeSocket(localControlConnectionId);
    for (const [localSessionId, device] of this.#devices) {
      if (device.localControlConnectionId === localControlConnectionId) void this.#retire(localSessionId);
    }
  }

  #forgetAll(): void {
    for (const localControlConnectionId of this.#sockets.keys()) this.#forgetTunnel(localControlConnectionId);
  }

  /** What the thread had read or left unread is handed over first, so that whoever reads from now on misses nothing. */
  #closeSocket(localControlConnectionId: number): void {
    const socket = this.#sockets.get(localControlConnectionId);
    if (socket === undefined) return;
    this.#sockets.delete(localControlConnectionId);
    this.#inbox.flush(socket);
    const waiting = waitingControlMessages(socket.fd, MOST_WAITING);
    closeSync(socket.fd);
    for (const octets of waiting) socket.onControlDatagram(octets);
  }

  /**
   * Resolves when the device is gone. Closing a TAP waits for every processor (RCU, some 16 ms), so that happens in the
   * thread pool.
   */
  #retire(localSessionId: number): Promise<void> {
    const device = this.#devices.get(localSessionId);
    if (device === undefined) return Promise.resolve();
    const { interfaceName, fd } = device;
    this.#devices.delete(localSessionId);
    const lane = this.#nextLane++ % RETIREMENT_LANES;
    const before = this.#lanes[lane] ?? Promise.resolve();
    const gone = before.then(() => new Promise<void>((resolve) => closeInThreadPool(fd, () => resolve())));
    this.#lanes[lane] = gone;
    this.#retiring.set(interfaceName, gone);
    return gone.then(() => {
      if (this.#retiring.get(interfaceName) === gone) this.#retiring.delete(interfaceName);
    });
  }

  readonly #hear = (event: WorkerEvent): void => {
    if (event.type === "control-datagram") {
      const socket = this.#sockets.get(event.localControlConnectionId);
      if (socket !== undefined) this.#inbox.push(socket, event.octets);
      return;
    }
    if (this.#closing !== undefined) return;
    if (event.type === "news") this.#hearNews(event.news);
    else this.#loseSession(event.localSessionId, "was removed by someone");
  };

  #hearNews(news: DatapathNews): void {
    if (news.type === "port") this.#events.portChanged(news.interfaceName, news.condition);
    else if (news.type === "notice") this.#events.noticed(news.notice);
    else if (news.type === "session-lost") this.#loseSession(news.localSessionId, news.reason);
  }

  /** Told once: that a device was removed is heard by the forwarder and by the keeper. */
  #loseSession(localSessionId: number, reason: string): void {
    const device = this.#devices.get(localSessionId);
    if (device === undefined || device.isLost) return;
    device.isLost = true;
    const words = reason.startsWith("interface ") ? reason : `interface ${device.interfaceName} ${reason}`;
    this.#events.sessionLost(localSessionId, words);
  }

  /** Nothing reads the descriptors any more: the devices go, so that nobody takes them for working ones. */
  readonly #fail = (error: KernelError): void => {
    this.#thread = undefined;
    const lost = [...this.#sockets].flatMap(([id, { isForwarded }]) => (isForwarded ? [id] : []));
    this.#forgetAll();
    if (this.#closing !== undefined) return;
    for (const localControlConnectionId of lost) this.#events.tunnelLost(localControlConnectionId, error.message);
  };
}

function refusal(errno: string, command: string, message: string): KernelError {
  return new KernelError(message, { errno, command });
}
