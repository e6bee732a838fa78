import type { HookConfiguration, HookEvent } from "../config/site.ts";
import { hookEnvironment } from "./hook-environment.ts";
import { type HookEnd, type HookProcess, KILL_GRACE_MS, type RunHook, runHook } from "./hook-process.ts";
import type { Log, LogEntry } from "./log.ts";
import type { Transition } from "./transitions.ts";

/** Hooks that run at the same time, and those of one tunnel or session that wait for the one before them. */
const MOST_RUNNING = 8;
const MOST_WAITING = 16;

/** Who is killed for its timeout may still be waited for, so that it is told. */
const FAREWELL_MS = 500;

/** Since the daemon began. */
export interface HookCounts {
  run: number;
  /** Of those: not started, not ended in time, or with an exit code that is not 0. */
  failed: number;
  /** Not run, for there were too many. */
  dropped: number;
}

interface Job {
  readonly transition: Transition;
  readonly command: readonly string[];
}

/**
 * Runs executables when something happens. Those of one tunnel, or of one session, run one after the other in the order
 * of the events; nobody waits for them but the end of the daemon, and that only so long.
 */
export class Hooks {
  readonly counts = new Map<HookEvent, HookCounts>();
  #configuration: HookConfiguration;
  readonly #log: Pick<Log, "write">;
  readonly #run: RunHook;
  /** By tunnel, or tunnel and session; the one whose turn is next is first. */
  readonly #waiting = new Map<string, Job[]>();
  readonly #running = new Map<string, HookProcess>();
  #scheduled = false;
  #stopped = false;
  #settled: () => void = () => undefined;

  constructor(configuration: HookConfiguration, log: Pick<Log, "write">, run: RunHook = runHook) {
    this.#configuration = configuration;
    this.#log = log;
    this.#run = run;
    this.follow(configuration);
  }

  /** From the next event on; what waits is run as it was meant. */
  follow(configuration: HookConfiguration): void {
    this.#configuration = configuration;
    for (const event of Object.keys(configuration.commands) as HookEvent[]) {
      if (!this.counts.has(event)) this.counts.set(event, { run: 0, failed: 0, dropped: 0 });
    }
  }

  /** Whether there are any. */
  get wanted(): boolean {
    return Object.keys(this.#configuration.commands).length > 0;
  }

  tell(transition: Transition): void {
    const command = this.#configuration.commands[transition.event];
    if (command === undefined || this.#stopped) return;
    const key = keyOf(transition);
    const queue = this.#waiting.get(key) ?? [];
    this.#waiting.set(key, queue);
    queue.push({ transition, command });
    // The latest matter most: they tell how things are.
    if (queue.length > MOST_WAITING) this.#drop(queue.shift(), `more than ${MOST_WAITING} are waiting`);
    this.#schedule();
  }

  /** Resolves when all have run, or when the time for that is over and they have been ended. */
  async finish(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#configuration.timeoutMs + KILL_GRACE_MS + FAREWELL_MS);
    });
    await Promise.race([this.#idle(), over]);
    clearTimeout(timer);
    this.stop();
  }

  /** Ends what runs, and runs nothing more. */
  stop(): void {
    this.#stopped = true;
    for (const queue of this.#waiting.values()) for (const job of queue) this.#drop(job, "the daemon ends");
    this.#waiting.clear();
    for (const process of this.#running.values()) process.kill();
  }

  #idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#settled = resolve;
      this.#settleIfIdle();
    });
  }

  #settleIfIdle(): void {
    if (this.#waiting.size === 0 && this.#running.size === 0) this.#settled();
  }

  /** One in each round of the event loop: to start a process takes milliseconds. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#startNext()) this.#schedule();
    });
  }

  #startNext(): boolean {
    if (this.#running.size >= MOST_RUNNING) return false;
    for (const [key, queue] of this.#waiting) {
      if (this.#running.has(key)) continue;
      const job = queue.shift();
      this.#waiting.delete(key);
      // Behind the others: everyone has a turn.
      if (queue.length > 0) this.#waiting.set(key, queue);
      if (job !== undefined) this.#start(key, job);
      return true;
    }
    return false;
  }

  #start(key: string, { transition, command }: Job): void {
    const began = performance.now();
    const process = this.#run({
      command,
      environment: hookEnvironment(transition),
      timeoutMs: this.#configuration.timeoutMs,
      onLine: (line) => this.#write("info", "hook-output", line, transition),
    });
    this.#running.set(key, process);
    void process.ended.then((end) => {
      this.#running.delete(key);
      this.#ended(end, `${Math.round(performance.now() - began)} ms`, { transition, command });
      this.#settleIfIdle();
      this.#schedule();
    });
  }

  #ended({ ok, words }: HookEnd, duration: string, { transition, command }: Job): void {
    this.#count(transition.event, "run");
    if (!ok) this.#count(transition.event, "failed");
    const message = `hook ${transition.event}, ${command[0]}: ${words} (${duration})`;
    this.#write(ok ? "info" : "warn", ok ? "hook-ended" : "hook-failed", message, transition);
  }

  #drop(job: Job | undefined, reason: string): void {
    if (job === undefined) return;
    const { event } = job.transition;
    this.#count(event, "dropped");
    this.#write("warn", "hook-dropped", `hook ${event} is not run: ${reason}`, job.transition);
  }

  #count(event: HookEvent, what: keyof HookCounts): void {
    const counts = this.counts.get(event);
    if (counts !== undefined) counts[what] += 1;
  }

  #write(level: LogEntry["level"], event: string, message: string, { event: hook, tunnel, session }: Transition): void {
    const place = { tunnel: tunnel.name, ...(session === undefined ? {} : { session: session.name }) };
    this.#log.write({ level, event, message, ...place, details: { hook } });
  }
}

function keyOf({ tunnel, session }: Transition): string {
  return session === undefined ? tunnel.name : `${tunnel.name}/${session.name}`;
}
