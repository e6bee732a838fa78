import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ShowReport, TunnelReport } from "../../src/daemon/show-report.ts";
import { execute, type NetworkNamespace, type Outcome } from "./namespaces.ts";

/** One line of a daemon's log. Not all that it can have; only what is looked at. */
export interface LogEntry {
  /** When it arrived here, in milliseconds of the epoch. */
  readonly at: number;
  readonly level: string;
  /** The constant name of what happened; empty for a line that is not JSON. */
  readonly event: string;
  readonly message: string;
  readonly tunnel?: string;
  readonly session?: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const POLL_MS = 100;

/** The compiled program: what users run. */
const program = main();

/** Waits until `condition` gives something, and returns that. Throws when `deadlineMs` is over. */
export async function until<T>(
  what: string,
  deadlineMs: number,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** `l2tpv3-lcc --conf FILE`, running in a namespace as a process of its own. */
export class DaemonProcess {
  readonly name: string;
  /** Everything it has logged so far. */
  readonly log: LogEntry[] = [];
  readonly configurationFile: string;
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #listeners: ((entry: LogEntry) => void)[] = [];
  #stderr = "";

  /** Writes `configuration` into `directory` as `name`.toml and starts the daemon with it. */
  constructor(
    namespace: Pick<NetworkNamespace, "spawn">,
    {
      name,
      directory,
      configuration,
      args = [],
    }: {
      readonly name: string;
      readonly directory: string;
      readonly configuration: string;
      readonly args?: readonly string[];
    },
  ) {
    this.name = name;
    this.configurationFile = join(directory, `${name}.toml`);
    writeFileSync(this.configurationFile, configuration, { mode: 0o600 });
    // Of its own process group: Ctrl-C on our terminal is ours to act on.
    const options: SpawnOptions = { stdio: ["ignore", "pipe", "pipe"], detached: true };
    this.#child = namespace.spawn(process.execPath, [program, "--conf", this.configurationFile, ...args], options);
    this.exited = new Promise((resolve) => this.#child.on("close", (code, signal) => resolve({ code, signal })));
    this.#child.stderr?.on("data", (octets: Buffer) => {
      this.#stderr += octets.toString();
    });
    if (this.#child.stdout !== null) createInterface(this.#child.stdout).on("line", (line) => this.#heard(line));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it wrote to its standard error. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Calls `listener` with every entry from now on. */
  onEntry(listener: (entry: LogEntry) => void): void {
    this.#listeners.push(listener);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) this.#child.kill(signal);
  }

  /** Runs another command of the program (`show`, `close paris` …) against this daemon. */
  command(...args: readonly string[]): Promise<Outcome> {
    return execute(process.execPath, [program, ...args, "--conf", this.configurationFile]);
  }

  /** The same for a command that goes on until it gets a signal: everything that it has said, and its end. */
  follow(...args: readonly string[]): FollowedCommand {
    return new FollowedCommand(process.execPath, [program, ...args, "--conf", this.configurationFile]);
  }

  /** The words of a command line, for a shell. */
  commandLine(...args: readonly string[]): string {
    return [process.execPath, program, ...args, "--conf", this.configurationFile].join(" ");
  }

  /** `show --json`, or `undefined` while the daemon does not answer. */
  async show(): Promise<ShowReport | undefined> {
    const { code, stdout } = await this.command("show", "--json");
    return code === 0 ? JSON.parse(stdout) : undefined;
  }

  /** The only, or the first, tunnel that it shows. */
  async tunnel(): Promise<TunnelReport | undefined> {
    return (await this.show())?.tunnels[0];
  }

  /** Waits until the first tunnel shown meets `condition`. */
  untilTunnel(what: string, deadlineMs: number, condition: (tunnel: TunnelReport) => boolean): Promise<TunnelReport> {
    return this.#explained(
      until(`${this.name}: ${what}`, deadlineMs, async () => {
        const tunnel = await this.tunnel();
        return tunnel !== undefined && condition(tunnel) ? tunnel : undefined;
      }),
    );
  }

  /** Waits until the first tunnel and all its sessions are established. */
  untilUp(deadlineMs: number): Promise<TunnelReport> {
    return this.untilTunnel("tunnel and sessions established", deadlineMs, isUp);
  }

  /** Waits for a log entry, from the `from`-th on, that meets `condition`. */
  untilLogged(what: string, deadlineMs: number, condition: (entry: LogEntry) => boolean, from = 0): Promise<LogEntry> {
    return this.#explained(
      until(`${this.name}: log entry: ${what}`, deadlineMs, () => this.log.slice(from).find(condition)),
    );
  }

  /** Sends the signal and waits for the end. Throws when it does not come. */
  async stop(signal: NodeJS.Signals, deadlineMs = 10_000): Promise<Exit & { readonly afterMs: number }> {
    const start = Date.now();
    this.signal(signal);
    await this.#explained(until(`${this.name}: exit after ${signal}`, deadlineMs, () => !this.running));
    return { ...(await this.exited), afterMs: Date.now() - start };
  }

  #heard(line: string): void {
    const entry = parse(line);
    this.log.push(entry);
    for (const listener of this.#listeners) listener(entry);
  }

  /** A wait that fails tells what the daemon said last. */
  async #explained<T>(wait: Promise<T>): Promise<T> {
    try {
      return await wait;
    } catch (error) {
      const last = this.log.slice(-15).map(({ level, message }) => `  ${level} ${message}`);
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error([reason, `last log lines of ${this.name}:`, ...last, this.#stderr].join("\n"), { cause: error });
    }
  }
}

/** A command that runs. */
export class FollowedCommand {
  readonly exited: Promise<Exit>;
  stdout = "";
  stderr = "";
  readonly #child: ChildProcess;

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.exited = new Promise((resolve) => this.#child.on("close", (code, signal) => resolve({ code, signal })));
    this.#child.stdout?.on("data", (octets: Buffer) => {
      this.stdout += octets.toString();
    });
    this.#child.stderr?.on("data", (octets: Buffer) => {
      this.stderr += octets.toString();
    });
  }

  get lines(): readonly string[] {
    return this.stdout.split("\n").slice(0, -1);
  }

  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Throws when its end does not come. */
  async stop(signal: NodeJS.Signals): Promise<Exit> {
    this.#child.kill(signal);
    const late = new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error(`it goes on after ${signal}`)), 10_000).unref();
    });
    return Promise.race([this.exited, late]);
  }
}

/** Established, and every session in it. */
function isUp(tunnel: TunnelReport): boolean {
  return tunnel.state === "established" && tunnel.sessions.every(({ state }) => state === "established");
}

function parse(line: string): LogEntry {
  const at = Date.now();
  try {
    const { level, event = "", message, msg, ...rest } = JSON.parse(line);
    return { ...rest, at, level: String(level), event, message: message ?? msg ?? line };
  } catch {
    return { at, level: "", event: "", message: line };
  }
}

/** From test/support in the tree as well as from its compiled copy under dist. */
function main(): string {
  const top = fileURLToPath(new URL("../..", import.meta.url));
  const candidates = [join(top, "dist/bin/main.js"), join(top, "bin/main.js")];
  return candidates.find((path) => existsSync(path)) ?? candidates[0] ?? "";
}
