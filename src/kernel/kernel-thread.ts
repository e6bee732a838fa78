import { Worker } from "node:worker_threads";
import type { Completion, Job } from "./operations.ts";

/** What becomes of the thread that talks to the kernel. */
export interface KernelThreadEvents {
  completed(completions: readonly Completion[]): void;
  /** It died of an error; nothing will be completed any more. */
  failed(error: Error): void;
  /** It is gone, for whatever reason. */
  ended(): void;
}

export interface KernelThread {
  post(jobs: readonly Job[]): void;
}

/** The compiled worker stands beside the compiled version of this file: threads do not run from the sources. */
export function startKernelThread(events: KernelThreadEvents): KernelThread {
  const worker = new Worker(new URL("./kernel-worker.js", import.meta.url), {
    name: "kernel",
    // It holds a queue of requests and an inventory, and makes much short-lived garbage: a small heap does.
    resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 128 },
  });
  worker.on("message", (completions: readonly Completion[]) => events.completed(completions));
  worker.on("error", (error) => events.failed(error));
  worker.on("exit", () => events.ended());
  return { post: (jobs) => worker.postMessage(jobs) };
}
