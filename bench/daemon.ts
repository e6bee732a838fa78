/** The real daemon as a process of its own on loopback, for what is measured from outside. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NetworkNamespace } from "../test/support/namespaces.ts";

/** One line of the table that `npm run bench` prints. */
export interface Measurement {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly goal: number | undefined;
}

/** What a measurement looks at in a log line. */
export interface LogLine {
  /** Milliseconds of the epoch, by the daemon's own clock. */
  readonly at: number;
  readonly event: string;
  readonly msg: unknown;
}

/** The two ends, on addresses of their own. */
export const INITIATOR = { name: "initiator", address: "127.0.0.1", peer: "127.0.0.2" } as const;
export const RESPONDER = { name: "responder", address: "127.0.0.2", peer: "127.0.0.1" } as const;
export type End = typeof INITIATOR | typeof RESPONDER;

/** The one tunnel of every configuration here. */
export const TUNNEL = "bench";

export interface SiteOptions {
  readonly port: number;
  readonly sessions: number;
  readonly receiveWindow: number;
  readonly datapath?: "none" | "userspace";
  readonly logLevel?: "info" | "trace";
  /** Where the daemon runs; without it, here. */
  readonly namespace?: NetworkNamespace;
}

const MAIN = fileURLToPath(new URL("../bin/main.js", import.meta.url));
const POLL_MS = 20;
const PATIENCE_MS = 60_000;
const READ_OCTETS = 1 << 20;

const HEAP_EVENT = "heap-used";

/** Node's arguments for a daemon that tells its heap's size in its log at SIGPWR. */
export const HEAP_PROBE = [
  "--expose-gc",
  "--import",
  `data:text/javascript,${encodeURIComponent(`
    process.on("SIGPWR", () => {
      for (let round = 0; round < 3; round++) gc();
      console.log(JSON.stringify({ time: new Date(), event: "${HEAP_EVENT}", msg: process.memoryUsage().heapUsed }));
    });
  `)}`,
];

const LOOP_EVENT = "longest-block";

/**
 * Node's arguments for a daemon that tells in its log, at SIGPWR, how long its main thread did not come back to its
 * event loop at most since the last time: by the clock, and less what of that it stood ready and other threads had the
 * processors (the second figure of schedstat), which is how long it would be on a machine that has enough of them.
 */
export const LOOP_PROBE = [
  "--import",
  `data:text/javascript,${encodeURIComponent(`
    import { readFileSync } from "node:fs";
    import { monitorEventLoopDelay } from "node:perf_hooks";
    const RESOLUTION_MS = 1;
    const awaitedMs = () => Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[1]) / 1e6;
    const unawaitedMs = () => performance.now() - awaitedMs();
    const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    delay.enable();
    let [longest, last] = [0, unawaitedMs()];
    setInterval(() => {
      const now = unawaitedMs();
      longest = Math.max(longest, now - last - RESOLUTION_MS);
      last = now;
    }, RESOLUTION_MS).unref();
    process.on("SIGPWR", () => {
      const msg = { clockMs: delay.max / 1e6, ownMs: longest };
      console.log(JSON.stringify({ time: new Date(), event: "${LOOP_EVENT}", msg }));
      delay.reset();
      [longest, last] = [0, unawaitedMs()];
    });
  `)}`,
];

/** In milliseconds. */
export interface LongestBlock {
  readonly clockMs: number;
  /** Less the time in which it waited for a processor. */
  readonly ownMs: number;
}

const running = new Set<ChildProcess>();

/** A directory for configurations, logs and admin sockets. However the bench ends, it and its daemons go with it. */
export function scratchDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-bench-"));
  process.on("exit", () => {
    for (const child of running) child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  return directory;
}

/** Throws when it does not become true. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${PATIENCE_MS / 1_000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** `l2tpv3-lcc --conf FILE`. Its log goes to a file, so that reading it costs the daemon nothing. */
export class BenchDaemon {
  readonly #adminSocket: string;
  readonly #log: number;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #unread = "";
  readonly lines: LogLine[] = [];

  /** `nodeArguments` stand before the program's name. */
  constructor(directory: string, end: End, options: SiteOptions, nodeArguments: readonly string[] = []) {
    this.#adminSocket = join(directory, `${end.name}.sock`);
    const configuration = join(directory, `${end.name}.toml`);
    const log = join(directory, `${end.name}.log`);
    writeFileSync(configuration, toml(end, options, this.#adminSocket));
    const output = openSync(log, "w");
    this.#log = openSync(log, "r");
    const command = [...nodeArguments, MAIN, "--conf", configuration];
    const stdio: SpawnOptions = { stdio: ["ignore", output, "inherit"] };
    const { namespace } = options;
    this.#child =
      namespace === undefined
        ? spawn(process.execPath, command, stdio)
        : namespace.spawn(process.execPath, command, stdio);
    closeSync(output);
    running.add(this.#child);
    this.#exited = new Promise((resolve) => {
      this.#child.once("exit", () => {
        running.delete(this.#child);
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Reads what it has logged meanwhile. */
  readLog(): readonly LogLine[] {
    const chunk = Buffer.alloc(READ_OCTETS);
    for (let length = readSync(this.#log, chunk); length > 0; length = readSync(this.#log, chunk)) {
      this.#unread += chunk.toString("utf8", 0, length);
    }
    const lines = this.#unread.split("\n");
    this.#unread = lines.pop() ?? "";
    for (const line of lines) {
      const { time, event, msg } = JSON.parse(line);
      this.lines.push({ at: Date.parse(time), event, msg });
    }
    return this.lines;
  }

  /** When each entry with this event was made, from the `from`-th line on. */
  times(event: string, from = 0): readonly number[] {
    const lines = this.readLog().slice(from);
    return lines.filter((line) => line.event === event).map(({ at }) => at);
  }

  /** Waits for `count` entries with this event, from the `from`-th line on. */
  async untilLogged(event: string, count = 1, from = 0): Promise<readonly number[]> {
    await until(`${count} times ${event}`, () => {
      if (this.#child.exitCode !== null) throw new Error(`the daemon ended with code ${this.#child.exitCode}`);
      return this.times(event, from).length >= count;
    });
    return this.times(event, from);
  }

  /** Puts `open` or `close` of the tunnel, or of a session, to its admin socket; resolves when it is done. */
  command(command: "open" | "close", session?: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#adminSocket);
      socket.on("connect", () => socket.end(`${JSON.stringify({ command, tunnel: TUNNEL, session })}\n`));
      socket.on("error", reject);
      socket.on("end", () => resolve());
      socket.resume();
    });
  }

  /** Octets of its heap that are in use after a collection. It has to run with `HEAP_PROBE`. */
  async heapUsed(): Promise<number> {
    const before = this.times(HEAP_EVENT).length;
    this.#child.kill("SIGPWR");
    await this.untilLogged(HEAP_EVENT, before + 1);
    return Number(this.lines.findLast(({ event }) => event === HEAP_EVENT)?.msg);
  }

  /** How long its main thread was busy with one thing at most since the last call. It has to run with `LOOP_PROBE`. */
  async longestBlock(): Promise<LongestBlock> {
    const before = this.times(LOOP_EVENT).length;
    this.#child.kill("SIGPWR");
    await this.untilLogged(LOOP_EVENT, before + 1);
    return this.lines.findLast(({ event }) => event === LOOP_EVENT)?.msg as LongestBlock;
  }

  /** Kibibytes of memory that it occupies. */
  residentKib(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]);
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
    closeSync(this.#log);
  }
}

function toml({ name, address, peer }: End, options: SiteOptions, adminSocket: string): string {
  const { port, sessions, receiveWindow, datapath = "none", logLevel = "info" } = options;
  const names = Array.from({ length: sessions }, (_, index) => `s${index + 1}`);
  const own = {
    hostname: `"${name}"`,
    router_id: `"${address}"`,
    listen: name === "responder" ? `["udp:${address}:${port}"]` : "[]",
    datapath: `"${datapath}"`,
    admin_socket: `"${adminSocket}"`,
    log_level: `"${logLevel}"`,
  };
  const tunnel = {
    role: `"${name}"`,
    peer: `"${peer}"`,
    local: `"${address}"`,
    local_port: name === "responder" ? port : 0,
    peer_port: port,
    receive_window: receiveWindow,
  };
  const table = (title: string, keys: Readonly<Record<string, string | number>>) =>
    [`[${title}]`, ...Object.entries(keys).map(([key, value]) => `${key} = ${value}`), ""].join("\n");
  return [
    table("lcce", own),
    table(`tunnel.${TUNNEL}`, tunnel),
    ...names.map((session) => table(`tunnel.${TUNNEL}.session.${session}`, { cookie_size: 8 })),
  ].join("\n");
}
