import { readdirSync } from "node:fs";
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

/** How often it is looked whether the event loop is late, and how long what was found counts. */
const RESOLUTION_MS = 20;
const WINDOW_MS = 60_000;

export interface ProcessFacts {
  readonly residentBytes: number;
  /** User and system, of all threads. */
  readonly cpuSeconds: number;
  /** Of the epoch. */
  readonly startedAtSeconds: number;
  readonly openFiles: number;
  /** How late the event loop was, over the last minute or so. */
  readonly lagP99Seconds: number;
  readonly lagMaxSeconds: number;
}

/** Watches the event loop from its making until `close`. */
export class ProcessWatch {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #since = performance.now();

  constructor() {
    this.#histogram.enable();
  }

  facts(): ProcessFacts {
    const { user, system } = process.cpuUsage();
    const facts = {
      residentBytes: process.memoryUsage.rss(),
      cpuSeconds: (user + system) / 1e6,
      startedAtSeconds: Date.now() / 1000 - process.uptime(),
      // Itself is one of them.
      openFiles: readdirSync("/proc/self/fd").length - 1,
      lagP99Seconds: this.#late(this.#histogram.percentile(99)),
      lagMaxSeconds: this.#late(this.#histogram.max),
    };
    this.#beginAnew();
    return facts;
  }

  close(): void {
    this.#histogram.disable();
  }

  /** Measured is the whole time from one look to the next, in nanoseconds; 0 and less while there was none. */
  #late(nanoseconds: number): number {
    return this.#histogram.count === 0 ? 0 : Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000);
  }

  /** Not at each look: several may be looking. */
  #beginAnew(): void {
    if (performance.now() - this.#since < WINDOW_MS) return;
    this.#histogram.reset();
    this.#since = performance.now();
  }
}
