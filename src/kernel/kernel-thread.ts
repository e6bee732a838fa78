import { closeSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import type { DatapathNews } from "./datapath.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Adopted } from "./leftovers.ts";
import { eventfd, SOCK_NONBLOCK } from "./libc.ts";
import type { Completion, Job } from "./operations.ts";

/** What becomes of the thread that talks to the kernel. */
export interface KernelThreadEvents {
  completed(completions: readonly Completion[]): void;
  /** What others did in the kernel. */
  heard(news: readonly DatapathNews[]): void;
  /** It died of an error; nothing will be completed any more. */
  failed(error: Error): void;
  /** It is gone, for whatever reason. */
  ended(): void;
}

export interface KernelThread {
  post(jobs: readonly Job[]): void;
  /** Whether it has taken a turn since the last time this was asked. */
  responds(): boolean;
}

export interface KernelThreadSetup {
  readonly eventFd: number;
  /** Of its `Heartbeat`. */
  readonly heartbeat: SharedArrayBuffer;
  /** Network namespace that the thread lives in; `undefined`: the daemon's own. */
  readonly netns: string | undefined;
  /** What of an earlier process is not to be swept away. */
  readonly adopted: Adopted;
}

export interface KernelThreadMessage {
  readonly completions: readonly Completion[];
  readonly news: readonly DatapathNews[];
}

/** The eight octets of a one, whatever the order of octets. */
const WAKE_UP = new Uint8Array(BigUint64Array.of(1n).buffer);

/** The compiled worker stands beside the compiled version of this file: threads do not run from the sources. */
export function startKernelThread(
  events: KernelThreadEvents,
  netns?: string,
  adopted: Adopted = new Map(),
): KernelThread {
  const eventFd = eventfd(0, SOCK_NONBLOCK);
  const heartbeat = new Heartbeat();
  const workerData: KernelThreadSetup = { eventFd, heartbeat: heartbeat.shared, netns, adopted };
  const worker = new Worker(new URL("./kernel-worker.js", import.meta.url), {
    name: "kernel",
    workerData,
    // It holds a queue of requests and an inventory, and makes much short-lived garbage: a small heap does.
    resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 128 },
  });
  let hasEnded = false;
  const wake = () => {
    if (!hasEnded) writeSync(eventFd, WAKE_UP);
  };
  // Without this `process.exit` would wait until the thread's poll returns.
  const interrupt = () => {
    heartbeat.stop();
    wake();
  };
  process.on("exit", interrupt);
  worker.on("message", ({ completions, news }: KernelThreadMessage) => {
    // What others have done comes behind what we were asked for before.
    if (completions.length > 0) events.completed(completions);
    if (news.length > 0) events.heard(news);
  });
  worker.on("error", (error) => events.failed(error));
  worker.on("exit", () => {
    process.off("exit", interrupt);
    hasEnded = true;
    closeSync(eventFd);
    events.ended();
  });
  return {
    post(jobs) {
      worker.postMessage(jobs);
      wake();
    },
    responds: () => hasEnded || heartbeat.hasTurned(wake),
  };
}
