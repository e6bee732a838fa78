import type { Datapath, SessionCounters, SessionRequest, TunnelRequest } from "./datapath.ts";
import { KernelError } from "./kernel-error.ts";
import { type KernelThread, type KernelThreadEvents, startKernelThread } from "./kernel-thread.ts";
import { dup } from "./libc.ts";
import type { Completion, Job, Operation } from "./operations.ts";
import { tunnelRefusal } from "./refusals.ts";

interface Pending {
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
  readonly #start: (events: KernelThreadEvents) => KernelThread;
  readonly #pending = new Map<number, Pending>();
  #thread: KernelThread | undefined;
  #threadEnded: Promise<void> = Promise.resolve();
  #failure: KernelError | undefined;
  #outbox: Job[] = [];
  #serial = 0;

  constructor(start: (events: KernelThreadEvents) => KernelThread = startKernelThread) {
    this.#start = start;
  }

  /** Starts the thread, which otherwise the first tunnel has to wait for: some 50 ms. */
  prepare(): void {
    if (this.#thread !== undefined || this.#failure !== undefined) return;
    this.#threadEnded = new Promise((resolve) => {
      this.#thread = this.#start({
        completed: (completions) => this.#completed(completions),
        failed: (error) => this.#failed(error),
        ended: () => {
          this.#failed(new Error("it has ended"));
          resolve();
        },
      });
    });
  }

  async createTunnel(tunnel: TunnelRequest): Promise<void> {
    const { localControlConnectionId, remoteControlConnectionId } = tunnel;
    if (this.#failure !== undefined) throw this.#failure;
    // The thread gets a descriptor of its own: ours may be closed, and its number in use again, before its turn comes.
    const fd = this.#duplicate(tunnel);
    await this.#ask({ type: "create-tunnel", localControlConnectionId, remoteControlConnectionId, fd });
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

  async deleteSession(localSessionId: number): Promise<void> {
    await this.#ask({ type: "delete-session", localSessionId });
  }

  async counters(localControlConnectionId?: number): Promise<readonly SessionCounters[]> {
    if (this.#thread === undefined) return [];
    return (await this.#ask({ type: "counters", localControlConnectionId })).counters ?? [];
  }

  async close(): Promise<void> {
    if (this.#thread !== undefined && this.#failure === undefined) {
      const closed = this.#ask({ type: "close" });
      this.#failure = new KernelError("the kernel datapath is closed", { errno: "ESHUTDOWN", command: "close" });
      await closed;
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
    this.prepare();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const job: Job = { serial: this.#serial++, operation };
    // What is asked while the datagrams of one turn of the event loop are worked on crosses to the thread together.
    if (this.#outbox.length === 0) setImmediate(() => this.#flush());
    this.#outbox.push(job);
    return new Promise((resolve, reject) => this.#pending.set(job.serial, { resolve, reject }));
  }

  #flush(): void {
    this.#thread?.post(this.#outbox);
    this.#outbox = [];
  }

  #completed(completions: readonly Completion[]): void {
    for (const completion of completions) {
      const pending = this.#pending.get(completion.serial);
      this.#pending.delete(completion.serial);
      const { refusal } = completion;
      if (refusal === undefined) pending?.resolve(completion);
      else pending?.reject(new KernelError(refusal.message, refusal));
    }
  }

  #failed(cause: Error): void {
    const message = `the thread that talks to the kernel failed: ${cause.message}`;
    this.#failure ??= new KernelError(message, { errno: "EIO", command: "kernel-worker", cause });
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }
}
