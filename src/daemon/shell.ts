import { lookup } from "node:dns/promises";
import type { TunnelConfiguration } from "../control/configuration.ts";
import type { Core, Effect, Input, Instant, LocalEndpoint } from "../control/core.ts";
import { canonicalAddress, endpointText } from "../control/endpoint.ts";
import { addressOfInterface } from "../kernel/addresses.ts";
import type { Datapath } from "../kernel/datapath.ts";
import { KernelError } from "../kernel/kernel-error.ts";
import { inNamespace } from "../kernel/netns.ts";
import { ANYWHERE, placed } from "../kernel/placement.ts";
import { applySocketOptions } from "../kernel/socket-options.ts";
import type { Log } from "./log.ts";
import type { MessageTap, PassingMessage } from "./message-tap.ts";
import { MtuWarnings } from "./mtu-warnings.ts";
import { type Keeping, Outbox } from "./outbox.ts";
import { type PolicyKernel, Protection } from "./protection.ts";
import { traceOf } from "./trace.ts";
import { Transport } from "./transport.ts";

/** So long may work go on before the event loop gets its turn, and so many steps of it are done in any case. */
const SLICE_MS = 4;
const LEAST_STEPS = 64;

/** setTimeout takes no more; a later deadline is looked at again then. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

type Of<T extends Effect["type"]> = Extract<Effect, { readonly type: T }>;

/** The daemon's clock: monotonic, in milliseconds, and the same for every process from boot to boot. */
export function monotonicNow(): Instant {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

export interface ShellOptions {
  readonly policies?: PolicyKernel | undefined;
  readonly tap?: MessageTap | undefined;
  readonly keeping?: Keeping | undefined;
}

/** The imperative shell around the core: inputs in, effects out, and the daemon's only timer. */
export class Shell {
  readonly transport: Transport;
  readonly protection: Protection;
  readonly #core: Core;
  readonly #datapath: Datapath;
  readonly #log: Log;
  readonly #tap: MessageTap | undefined;
  #tunnels: ReadonlyMap<string, TunnelConfiguration>;
  readonly #inbox: Input[] = [];
  /** What the last turn asked for, and how much of it is done: all of it before the next turn. */
  #effects: readonly Effect[] = [];
  #performed = 0;
  /** Since when this round of the event loop has been working, and how many steps it has done. */
  #slice: { readonly began: Instant; steps: number } | undefined;
  /** This round has worked long enough: what is left waits for the next one. */
  #yielded = false;
  #taking = false;
  #closed = false;
  #stopping = false;
  #timer: NodeJS.Timeout | undefined;
  /** The deadline that the timer is set for. */
  #timerAt: Instant = Number.POSITIVE_INFINITY;
  #settled: () => void = () => undefined;
  /** Sockets of tunnels that the datapath is deleting. */
  readonly #beingDeleted = new Set<number>();
  readonly #outbox: Outbox;
  readonly #mtuWarnings: MtuWarnings;

  /** `policies`: stands in for the kernel's IPsec in tests. */
  constructor(
    core: Core,
    datapath: Datapath,
    log: Log,
    tunnels: readonly TunnelConfiguration[],
    { policies, tap, keeping }: ShellOptions = {},
  ) {
    this.#tap = tap;
    this.#tunnels = byName(tunnels);
    this.protection = new Protection(this, policies);
    this.#core = core;
    this.#datapath = datapath;
    this.#log = log;
    this.#mtuWarnings = new MtuWarnings(log);
    this.transport = new Transport(
      (octets, from, to) => {
        this.#passes({ direction: "received", octets, peer: from, local: to });
        this.#acceptSoon({ type: "datagram", octets, from, to });
      },
      (error, local) => this.#trouble(error, local),
      keeping?.sockets,
    );
    this.#outbox = new Outbox(this.transport, this.#passes, keeping);
  }

  /** Everything that happens comes through here, one after the other. */
  accept(input: Input): void {
    if (input.type === "shutdown") this.#stopping = true;
    if (this.#closed) return;
    this.#inbox.push(input);
    this.#work();
  }

  /** It has been told to end, and waits for the peers. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** For how long something has been due that the core had no turn for, in milliseconds. */
  get overdueMs(): number {
    return Math.max(0, monotonicNow() - (this.#core.nextDeadline() ?? Number.POSITIVE_INFINITY));
  }

  /** Datagrams that wait in the sockets are taken together: one acknowledgement serves them all. */
  #acceptSoon(input: Input): void {
    if (this.#closed) return;
    this.#inbox.push(input);
    if (this.#inbox.length === 1) setImmediate(() => this.#work());
  }

  /**
   * Takes what has happened, then performs what is due by now, step by step. A thousand sessions that come or go are
   * thousands of steps: other sockets, timers and requests get their turn in between.
   */
  #work(): void {
    if (this.#taking || this.#closed || this.#yielded) return;
    this.#taking = true;
    const slice = this.#openSlice();
    while (!this.#yielded && this.#step()) {
      slice.steps += 1;
      this.#yielded = slice.steps >= LEAST_STEPS && monotonicNow() - slice.began >= SLICE_MS;
    }
    this.#taking = false;
    if (!this.#yielded) this.#arm();
  }

  /** One for each round of the event loop, however many inputs it brings. */
  #openSlice() {
    if (this.#slice !== undefined) return this.#slice;
    this.#slice = { began: monotonicNow(), steps: 0 };
    setImmediate(() => {
      this.#slice = undefined;
      this.release();
      if (!this.#yielded) return;
      this.#yielded = false;
      this.#work();
    });
    return this.#slice;
  }

  /** The next effect, or the next turn. Returns whether there was anything to do. */
  #step(): boolean {
    const effect = this.#effects[this.#performed];
    if (effect !== undefined) {
      this.#performed += 1;
      this.#guard(() => this.#perform(effect));
    } else if (!this.#takeTurn()) return false;
    if (this.#isSettled()) this.#settled();
    return true;
  }

  #takeTurn(): boolean {
    const input = this.#inbox.shift();
    if (input === undefined && !this.#isDue()) return false;
    this.#effects = [];
    this.#performed = 0;
    // Everything that was asked for with the former ones has been done.
    if (input?.type === "configuration-changed") this.#tunnels = byName(input.tunnels);
    this.#guard(() => {
      const now = monotonicNow();
      this.#effects = input === undefined ? this.#core.expire(now) : this.#core.receive(input, now);
    });
    return true;
  }

  #isSettled(): boolean {
    return this.#performed >= this.#effects.length && this.#core.idle();
  }

  #isDue(): boolean {
    const deadline = this.#core.nextDeadline();
    return deadline !== undefined && deadline <= monotonicNow();
  }

  /** The datapath has lost the tunnel and reads its socket no longer. */
  tunnelLost(localControlConnectionId: number, reason: string): void {
    this.#takeBack(localControlConnectionId);
    this.accept({ type: "tunnel-refused", localControlConnectionId, reason });
  }

  /** Resolves when no control connection waits for anything any more. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#settled = resolve;
      if (this.#inbox.length === 0 && this.#isSettled()) resolve();
    });
  }

  /** What is held goes out now. */
  release(): void {
    this.#outbox.release(this.#guard);
  }

  /** Nothing is taken any more. */
  close(): void {
    this.release();
    this.#closed = true;
    clearTimeout(this.#timer);
    this.transport.closeAll();
  }

  /** A wall: one bad turn, or one effect that fails, does not end the daemon or take others with it. */
  readonly #guard = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#log.write({ level: "error", event: "internal-error", message });
    }
  };

  /** A timer that comes too early only looks at the deadline again: few inputs have to touch it. */
  #arm(): void {
    const deadline = this.#core.nextDeadline();
    if (deadline === undefined || deadline >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    const delay = Math.min(LONGEST_TIMEOUT_MS, Math.max(0, Math.ceil(deadline - monotonicNow())));
    this.#timer = setTimeout(() => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#work();
    }, delay);
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "send":
      case "reply":
        this.#outbox.send(effect);
        return;
      case "log":
        this.#log.write(effect);
        return;
      case "open-socket":
      case "connect-socket":
      case "close-socket":
        this.#performOnSocket(effect);
        return;
      case "resolve-peer":
        void this.#resolve(effect);
        return;
      case "check-protection":
        this.#inbox.push(this.protection.judge(effect));
        return;
      default:
        this.#performOnDatapath(effect);
    }
  }

  /** Shown to whoever wants to see it. */
  readonly #passes = (message: PassingMessage): void => {
    if (this.#log.tracing) this.#log.write(traceOf(message.direction, message.octets, message.peer));
    if (this.#tap?.wanted) this.#guard(() => this.#tap?.passed(message));
  };

  #performOnSocket(effect: Of<"open-socket" | "connect-socket" | "close-socket">): void {
    this.release();
    const { localControlConnectionId } = effect;
    if (effect.type === "close-socket") {
      this.#closeSocket(localControlConnectionId);
      this.#beingDeleted.delete(localControlConnectionId);
      return;
    }
    try {
      if (effect.type === "open-socket") this.#openSocket(effect);
      else this.#connectSocket(effect);
    } catch (error) {
      this.#closeSocket(localControlConnectionId);
      this.#inbox.push({ type: "socket-failed", localControlConnectionId, reason: reasonOf(error) });
    }
  }

  #openSocket(request: Of<"open-socket">): void {
    const { tunnel, localControlConnectionId, encapsulation, family, protect } = request;
    const options = this.#tunnels.get(tunnel);
    const { netns, bindDevice: device } = options ?? ANYWHERE;
    placed(options ?? ANYWHERE, () => {
      const address = presentAddress(request.local.address, family, netns);
      const local = { ...request.local, address, netns, device };
      const bound = protect === undefined ? local : this.protection.demand(tunnel, local, protect);
      this.transport.open(localControlConnectionId, { ...request, local: bound });
    });
    const bound = this.transport.boundTo(localControlConnectionId);
    if (bound !== undefined && protect !== undefined) {
      this.protection.guard(tunnel, localControlConnectionId, bound, protect);
    }
    const fd = this.transport.descriptor(localControlConnectionId);
    if (fd === undefined || options === undefined) return;
    applySocketOptions(fd, family, options, encapsulation === "udp");
    if (encapsulation === "udp" && !options.udpChecksum) this.transport.leaveDataBare(localControlConnectionId, family);
  }

  #connectSocket({ localControlConnectionId, remote }: Of<"connect-socket">): void {
    const bound = this.transport.boundTo(localControlConnectionId);
    if (bound !== undefined) this.protection.move(localControlConnectionId, bound, remote);
    this.transport.connect(localControlConnectionId, remote);
  }

  #closeSocket(localControlConnectionId: number): void {
    this.transport.close(localControlConnectionId);
    this.protection.release(localControlConnectionId);
  }

  #performOnDatapath(
    effect: Of<
      | "create-tunnel"
      | "delete-tunnel"
      | "create-session"
      | "raise-session"
      | "lower-session"
      | "delete-session"
      | "change-session"
      | "query-activity"
    >,
  ): void {
    switch (effect.type) {
      case "create-tunnel":
        this.release();
        void this.#createTunnel(effect);
        return;
      case "delete-tunnel":
        this.release();
        void this.#deleteTunnel(effect.localControlConnectionId);
        return;
      case "create-session":
        void this.#createSession(effect);
        return;
      case "raise-session":
        void this.#raiseSession(effect.localSessionId);
        return;
      case "lower-session":
        this.#datapath.lowerSession(effect.localSessionId).catch((error) => this.#datapathTrouble(error));
        return;
      case "delete-session":
        this.#datapath.deleteSession(effect.localSessionId).catch((error) => this.#datapathTrouble(error));
        return;
      case "change-session":
        void this.#changeSession(effect);
        return;
      case "query-activity":
        void this.#queryActivity(effect.localControlConnectionId);
        return;
    }
  }

  async #createTunnel({ localControlConnectionId, remoteControlConnectionId }: Of<"create-tunnel">): Promise<void> {
    const { transport } = this;
    try {
      const fd = this.#datapath.readsSocket
        ? transport.handOver(localControlConnectionId)
        : transport.descriptor(localControlConnectionId);
      if (fd === undefined) return;
      await this.#datapath.createTunnel({
        localControlConnectionId,
        remoteControlConnectionId,
        encapsulation: transport.encapsulation(localControlConnectionId),
        netns: transport.netns(localControlConnectionId),
        fd,
        onControlDatagram: transport.receiverFor(localControlConnectionId),
      });
      this.accept({ type: "tunnel-created", localControlConnectionId });
    } catch (error) {
      this.#takeBack(localControlConnectionId);
      this.accept({ type: "tunnel-refused", localControlConnectionId, reason: reasonOf(error) });
    }
  }

  #takeBack(localControlConnectionId: number): void {
    this.#guard(() => this.transport.takeBack(localControlConnectionId));
  }

  async #deleteTunnel(localControlConnectionId: number): Promise<void> {
    this.#beingDeleted.add(localControlConnectionId);
    try {
      await this.#datapath.deleteTunnel(localControlConnectionId);
    } catch (error) {
      this.#datapathTrouble(error);
    }
    // The connection lingers: its peer's retransmissions still want an answer. But with ids that are typed in the
    // socket may have been closed, and the one that bears its name now is of the next attempt.
    if (this.#beingDeleted.delete(localControlConnectionId)) this.#takeBack(localControlConnectionId);
  }

  async #createSession({ session }: Of<"create-session">): Promise<void> {
    const { localSessionId } = session;
    try {
      const fd = this.transport.descriptor(session.localControlConnectionId);
      const encapsulation = this.transport.encapsulation(session.localControlConnectionId);
      if (fd !== undefined) this.#mtuWarnings.look(session, { fd, encapsulation });
      await this.#datapath.createSession(session);
      this.accept({ type: "session-created", localSessionId });
    } catch (error) {
      this.accept({ type: "session-refused", localSessionId, reason: reasonOf(error) });
    }
  }

  async #raiseSession(localSessionId: number): Promise<void> {
    try {
      await this.#datapath.raiseSession(localSessionId);
    } catch (error) {
      this.accept({ type: "session-refused", localSessionId, reason: reasonOf(error) });
    }
  }

  /** What cannot be changed so ends the session, which comes back with all of it as soon as it can. */
  async #changeSession({ localSessionId, settings }: Of<"change-session">): Promise<void> {
    try {
      await this.#datapath.changeSession(localSessionId, settings);
    } catch (error) {
      this.accept({ type: "session-refused", localSessionId, reason: reasonOf(error) });
    }
  }

  async #queryActivity(localControlConnectionId: number): Promise<void> {
    try {
      const counters = await this.#datapath.counters(localControlConnectionId);
      const receivedPackets = counters.reduce((sum, session) => sum + session.receivedPackets, 0);
      this.accept({ type: "activity", localControlConnectionId, receivedPackets });
    } catch (error) {
      // Unanswered, the question ends in a HELLO.
      this.#datapathTrouble(error);
    }
  }

  async #resolve({ tunnel, host, family }: Of<"resolve-peer">): Promise<void> {
    try {
      const found = await lookup(host, { family: family ?? 0, all: true });
      const [address = "", ...others] = new Set(found.map((each) => canonicalAddress(each.address) ?? each.address));
      this.accept({ type: "peer-resolved", tunnel, host, address, others });
    } catch (error) {
      this.accept({ type: "peer-unresolved", tunnel, host, reason: reasonOf(error) });
    }
  }

  #trouble(error: Error, local: LocalEndpoint): void {
    const { netns } = local;
    const details = { local: endpointText(local), ...(netns === undefined ? {} : { netns }) };
    this.#log.write({ level: "debug", event: "socket-error", message: error.message, details });
  }

  #datapathTrouble(error: unknown): void {
    const details = error instanceof KernelError ? { errno: error.errno, command: error.command } : {};
    this.#log.write({ level: "warn", event: "datapath-error", message: reasonOf(error), details });
  }
}

function byName(tunnels: readonly TunnelConfiguration[]): ReadonlyMap<string, TunnelConfiguration> {
  return new Map(tunnels.map((tunnel) => [tunnel.name, tunnel]));
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** "@eth0" is whatever address that interface has at the moment. Throws `KernelError`. */
function presentAddress(address: string, family: 4 | 6, netns: string | undefined): string {
  if (!address.startsWith("@")) return address;
  return inNamespace(netns, () => addressOfInterface(address.slice(1), family));
}
