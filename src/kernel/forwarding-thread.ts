import { closeSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { Heartbeat } from "./heartbeat.ts";
import { KernelError } from "./kernel-error.ts";
import { eventfd, SOCK_NONBLOCK } from "./libc.ts";
import type { WorkerAnswer, WorkerCommand, WorkerMessage, WorkerRequest, WorkerSetup } from "./userspace-messages.ts";

/** What the thread tells without having been asked. */
export type WorkerEvent = Exclude<WorkerMessage, WorkerAnswer>;

interface Pending {
  resolve(answer: WorkerAnswer): void;
  reject(error: KernelError): void;
}

/** The eight octets of a one, whatever the order of octets. */
const WAKE_UP = new Uint8Array(BigUint64Array.of(1n).buffer);

/** The thread that runs userspace-worker.ts, and the requests it has not answered yet. */
export class ForwardingThread {
  readonly #worker: Worker;
  readonly #eventFd = eventfd(0, SOCK_NONBLOCK);
  readonly #heartbeat = new Heartbeat();
  readonly #pending = new Map<number, Pending>();
  readonly #ended: Promise<void>;
  #serial = 0;
  #closing = false;
  #failure: KernelError | undefined;

  /** `fail` is called once, should the thread end without having been asked to. */
  constructor(netns: string | undefined, hear: (event: WorkerEvent) => void, fail: (error: KernelError) => void) {
    const workerData: WorkerSetup = { eventFd: this.#eventFd, heartbeat: this.#heartbeat.shared, netns };
    // Without tracking: it opens devices whose descriptors become ours, and must not close them when it ends.
    const options = { workerData, trackUnmanagedFds: false };
    this.#worker = new Worker(new URL("./userspace-worker.js", import.meta.url), options);
    this.#worker.on("message", (message: WorkerMessage) => {
      if (message.type === "answer") this.#settle(message);
      else hear(message);
    });
    this.#worker.on("error", (cause) => this.#fail(cause, fail));
    this.#ended = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        process.off("exit", this.#interrupt);
        closeSync(this.#eventFd);
        this.#fail(new Error("it has ended"), this.#closing ? () => {} : fail);
        resolve();
      });
    });
    // Without this `process.exit` would wait until the thread's poll returns.
    process.on("exit", this.#interrupt);
  }

  /** Rejects with a `KernelError`: the thread's answer, or that it has failed. */
  ask(command: WorkerCommand): Promise<WorkerAnswer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const request: WorkerRequest = { serial: this.#serial++, command };
    return new Promise((resolve, reject) => {
      this.#pending.set(request.serial, { resolve, reject });
      this.#worker.postMessage(request);
      writeSync(this.#eventFd, WAKE_UP);
    });
  }

  /** Whether it has taken a turn since the last time this was asked. One that has failed is not waited for. */
  responds(): boolean {
    if (this.#failure !== undefined) return true;
    return this.#heartbeat.hasTurned(() => void writeSync(this.#eventFd, WAKE_UP));
  }

  /** Resolves when the thread is gone. */
  async end(): Promise<void> {
    this.#closing = true;
    await this.ask({ type: "close" }).catch(() => {});
    await this.#ended;
  }

  #settle(answer: WorkerAnswer): void {
    const pending = this.#pending.get(answer.serial);
    this.#pending.delete(answer.serial);
    if (answer.refusal === undefined) pending?.resolve(answer);
    else pending?.reject(new KernelError(answer.refusal.message, answer.refusal));
  }

  #fail(cause: Error, fail: (error: KernelError) => void): void {
    if (this.#failure !== undefined) return;
    const message = `the forwarding thread of the userspace datapath failed: ${cause.message}`;
    this.#failure = new KernelError(message, { errno: "EIO", command: "userspace-worker", cause });
    fail(this.#failure);
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }

  readonly #interrupt = (): void => {
    this.#heartbeat.stop();
    writeSync(this.#eventFd, WAKE_UP);
  };
}
