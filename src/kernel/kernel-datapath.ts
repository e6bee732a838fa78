import { refusalOf, refusalsOf } from "./adoption.ts";
import type {
  AdoptedSession,
  Datapath,
  DatapathEvents,
  DatapathNews,
  DeviceSettings,
  SessionCounters,
  SessionRequest,
  TunnelRequest,
} from "./datapath.ts";
import { Inventory, madeOf } from "./inventory.ts";
import { KernelError } from "./kernel-error.ts";
import { type KernelThread, type KernelThreadEvents, startKernelThread } from "./kernel-thread.ts";
import { close, dup } from "./libc.ts";
import type { Completion, Job, Operation } from "./operations.ts";
import { tunnelRefusal } from "./refusals.ts";

interface Pending {
  readonly operation: Operation;
  resolve(completion: Completion): void;
  reject(error: KernelError): void;
}

/**
 * Frames flow in the kernel: a managed L2TP tunnel over the control connection's own socket, an l2tpeth device per
 * session. The calls run in a worker thread, because some of them block for long.
 */
export class KernelDatapath implements Datapath {
  readonly name = "kernel";
  readonly readsSocket = false;
  readonly #events: DatapathEvents;
  readonly #start: (events: KernelThreadEvents) => KernelThread;
  readonly #pending = new Map<number, Pending>();
  /** What the thread is known to have made, for its successor should it die. */
  #made = new Inventory(() => performance.now());
  /** What a thread that died may have left in the kernel: the next one begins by removing it. */
  #remnants: Operation[] = [];
  #thread: KernelThread | undefined;
  #threadEnded: Promise<void> = Promise.resolve();
  #closed: KernelError | undefined;
  #outbox: Job[] = [];
  #serial = 0;

  constructor(events: DatapathEvents, start: (events: KernelThreadEvents) => KernelThread = startKernelThread) {
    this.#events = events;
    this.#start = start;
  }

  /** Starts the thread, which otherwise the first tunnel has to wait for: some 50 ms. */
  prepare(): void {
    if (this.#thread !== undefined || this.#closed !== undefined) return;
    this.#threadEnded = new Promise((resolve) => {
      // A thread that has failed has a successor, maybe, before it has ended.
      let hasFailed = false;
      const fail = (error: Error) => {
        if (!hasFailed) this.#failed(error);
        hasFailed = true;
      };
      this.#thread = this.#start({
        completed: (completions) => this.#completed(completions),
        heard: (news) => {
          for (const each of news) this.#hear(each);
        },
        failed: fail,
        ended: () => {
          fail(new Error("it has ended"));
          resolve();
        },
      });
    });
    const remnants = this.#remnants;
    this.#remnants = [];
    // Should that fail the devices go with their sockets, at the latest.
    for (const operation of remnants) this.#post(operation).catch(() => {});
  }

  async createTunnel(tunnel: TunnelRequest): Promise<void> {
    const { localControlConnectionId, remoteControlConnectionId, encapsulation } = tunnel;
    if (this.#closed !== undefined) throw this.#closed;
    // The thread gets a descriptor of its own: ours may be closed, and its number in use again, before its turn comes.
    const fd = this.#duplicate(tunnel);
    const ids = { localControlConnectionId, remoteControlConnectionId };
    await this.#ask({ type: "create-tunnel", ...ids, encapsulation, fd });
  }

  async adoptTunnel(tunnel: TunnelRequest, sessions: readonly AdoptedSession[]): Promise<ReadonlyMap<number, string>> {
    const { localControlConnectionId, remoteControlConnectionId, encapsulation } = tunnel;
    if (this.#closed !== undefined) throw this.#closed;
    const fd = this.#duplicate(tunnel);
    const ids = { localControlConnectionId, remoteControlConnectionId };
    const adopted = this.#ask({ type: "adopt-tunnel", ...ids, encapsulation, fd, sessions });
    // At once, so that nothing comes in between that is asked of them.
    const unanswered = sessions.filter(({ made }) => !made);
    const outcomes = unanswered.map(({ session }) => refusalOf(this.createSession(session)));
    const { lost = [] } = await adopted;
    return new Map([...lost, ...refusalsOf(unanswered, await Promise.all(outcomes))]);
  }

  async deleteTunnel(localControlConnectionId: number): Promise<void> {
    await this.#ask({ type: "delete-tunnel", localControlConnectionId });
  }

  async createSession(session: SessionRequest): Promise<void> {
    await this.#ask({ type: "create-session", session });
  }

  async raiseSession(localSessionId: number): Promise<void> {
    await this.#ask({ type: "raise-session", localSessionId });
  }

  async lowerSession(localSessionId: number): Promise<void> {
    await this.#ask({ type: "lower-session", localSessionId });
  }

  async changeSession(localSessionId: number, settings: DeviceSettings): Promise<void> {
    await this.#ask({ type: "change-session", localSessionId, settings });
  }

  async deleteSession(localSessionId: number): Promise<void> {
    await this.#ask({ type: "delete-session", localSessionId });
  }

  async counters(localControlConnectionId?: number): Promise<readonly SessionCounters[]> {
    if (this.#thread === undefined) return [];
    return (await this.#ask({ type: "counters", localControlConnectionId })).counters ?? [];
  }

  responds(): boolean {
    return this.#thread?.responds() ?? true;
  }

  async close(): Promise<void> {
    const isNeeded = this.#thread !== undefined || this.#remnants.length > 0;
    if (isNeeded && this.#closed === undefined) {
      const closed = this.#ask({ type: "close" });
      this.#closed = new KernelError("the kernel datapath is closed", { errno: "ESHUTDOWN", command: "close" });
      await closed.catch(() => {});
    }
    await this.#threadEnded;
  }

  #duplicate({ localControlConnectionId, remoteControlConnectionId, fd }: TunnelRequest): number {
    try {
      return dup(fd);
    } catch (cause) {
      if (!(cause instanceof KernelError)) throw cause;
      const answer = { errno: cause.errno, extendedAck: "" };
      const refusal = tunnelRefusal(localControlConnectionId, remoteControlConnectionId, answer);
      throw new KernelError(refusal.message, { ...refusal, cause });
    }
  }

  #ask(operation: Operation): Promise<Completion> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    this.prepare();
    return this.#post(operation);
  }

  #post(operation: Operation): Promise<Completion> {
    const job: Job = { serial: this.#serial++, operation };
    // What is asked while the datagrams of one turn of the event loop are worked on crosses to the thread together.
    if (this.#outbox.length === 0) setImmediate(() => this.#flush());
    this.#outbox.push(job);
    return new Promise((resolve, reject) => this.#pending.set(job.serial, { operation, resolve, reject }));
  }

  #flush(): void {
    this.#thread?.post(this.#outbox);
    this.#outbox = [];
  }

  #completed(completions: readonly Completion[]): void {
    for (const completion of completions) {
      const pending = this.#pending.get(completion.serial);
      if (pending === undefined) continue;
      this.#pending.delete(completion.serial);
      const { refusal } = completion;
      if (refusal === undefined) {
        this.#note(pending.operation, completion);
        pending.resolve(completion);
      } else {
        pending.reject(new KernelError(refusal.message, refusal));
      }
    }
  }

  #hear(news: DatapathNews): void {
    if (this.#closed !== undefined) return;
    switch (news.type) {
      case "session-lost":
        this.#events.sessionLost(news.localSessionId, news.reason);
        return;
      case "tunnel-lost":
        this.#made.removeTunnel(news.localControlConnectionId);
        this.#events.tunnelLost(news.localControlConnectionId, news.reason);
        return;
      case "port":
        this.#events.portChanged(news.interfaceName, news.condition);
        return;
      case "notice":
        this.#events.noticed(news.notice);
    }
  }

  #note(operation: Operation, { lost }: Completion): void {
    if (operation.type === "adopt-tunnel") {
      this.#made.addTunnel(operation.localControlConnectionId);
      for (const { session, made } of operation.sessions) {
        if (made && lost?.has(session.localSessionId) !== true) this.#made.addSession(session);
      }
    } else if (operation.type === "create-tunnel") this.#made.addTunnel(operation.localControlConnectionId);
    else if (operation.type === "delete-tunnel") this.#made.removeTunnel(operation.localControlConnectionId);
    else if (operation.type === "create-session") this.#made.addSession(operation.session);
    else if (operation.type === "delete-session") this.#made.removeSession(operation.localSessionId);
  }

  /** The thread is dead. The kernel still has what it made, but nobody would ever remove it. */
  #failed(cause: Error): void {
    const message = `the thread that talks to the kernel failed: ${cause.message}`;
    const failure = new KernelError(message, { errno: "EIO", command: "kernel-worker", cause });
    const outstanding = [...this.#pending.values()];
    const beingDeleted = outstanding.map(({ operation }) =>
      operation.type === "delete-tunnel" ? operation.localControlConnectionId : undefined,
    );
    const lost = this.#made.tunnels().filter((local) => !beingDeleted.includes(local));
    this.#keepRemnants(outstanding.map(({ operation }) => operation));
    for (const { operation } of this.#outbox) if ("fd" in operation) close(operation.fd);
    this.#thread = undefined;
    this.#outbox = [];
    this.#pending.clear();
    for (const { reject } of outstanding) reject(failure);
    if (this.#closed !== undefined) return;
    for (const local of lost) this.#events.tunnelLost(local, message);
  }

  #keepRemnants(outstanding: readonly Operation[]): void {
    this.#remnants = outstanding.filter(({ type }) => type === "remove-remnants");
    const tunnels = this.#made.tunnels();
    // Those that were being made may be in the kernel or not; their names are worth waiting for.
    const begun = outstanding.flatMap((each) => (each.type === "create-session" ? [each.session] : []));
    const sessions = [...this.#made.sessions(undefined), ...begun].map(madeOf);
    if (tunnels.length > 0) this.#remnants.push({ type: "remove-remnants", tunnels, sessions });
    this.#made = new Inventory(() => performance.now());
  }
}
