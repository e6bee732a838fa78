import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { plain } from "./hook-environment.ts";

/** Between SIGTERM and SIGKILL. */
export const KILL_GRACE_MS = 2_000;

/** How long what it has left behind may still write to its output. */
const DRAIN_MS = 250;

const LONGEST_LINE = 1_000;
const MOST_LINES = 100;

export interface HookRequest {
  /** An absolute path and arguments. */
  readonly command: readonly string[];
  /** All of it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Each line of its output, of standard error too; of many only the first ones. */
  readonly onLine: (line: string) => void;
}

export interface HookEnd {
  readonly ok: boolean;
  /** "exit code 0", "killed by SIGKILL, after 10000 ms without an end", "cannot be started: …". */
  readonly words: string;
}

export interface HookProcess {
  /** Never rejects. */
  readonly ended: Promise<HookEnd>;
  /** At once, with everything that it has started and that is still in its process group. */
  kill(): void;
}

export type RunHook = (request: HookRequest) => HookProcess;

/** Starts an executable, without a shell, in a process group of its own, and sees to it that it ends in time. */
export function runHook(request: HookRequest): HookProcess {
  const [path = "", ...args] = request.command;
  try {
    const options = { cwd: "/", env: { ...request.environment }, detached: true } as const;
    return follow(spawn(path, args, { ...options, stdio: ["ignore", "pipe", "pipe"] }), request);
  } catch (error) {
    return { ended: Promise.resolve(notStarted(error)), kill: () => undefined };
  }
}

function follow(child: ChildProcess, { timeoutMs, onLine }: HookRequest): HookProcess {
  const signal = (name: NodeJS.Signals) => signalGroup(child, name);
  let late = false;
  const timers = [
    setTimeout(() => {
      late = true;
      signal("SIGTERM");
    }, timeoutMs),
    setTimeout(() => signal("SIGKILL"), timeoutMs + KILL_GRACE_MS),
  ];
  const lines = new Lines(onLine);
  const outputs = [child.stdout, child.stderr].filter((output) => output !== null);
  for (const output of outputs) lines.read(output);
  const ended = new Promise<HookEnd>((resolve) => {
    const settle = (end: HookEnd) => {
      for (const timer of timers) clearTimeout(timer);
      lines.finish();
      resolve(end);
    };
    child.on("error", (error) => settle(notStarted(error)));
    child.on("exit", () => {
      if (late) signal("SIGKILL");
      // What it has left running may hold the pipes open for ever.
      timers.push(setTimeout(() => outputs.forEach((output) => void output.destroy()), DRAIN_MS));
    });
    child.on("close", (code, killedBy) => {
      const how = killedBy === null ? `exit code ${code}` : `killed by ${killedBy}`;
      settle({ ok: code === 0 && !late, words: late ? `${how}, after ${timeoutMs} ms without an end` : how });
    });
  });
  return { ended, kill: () => signal("SIGKILL") };
}

function notStarted(error: unknown): HookEnd {
  return { ok: false, words: `cannot be started: ${error instanceof Error ? error.message : String(error)}` };
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // All of them have ended.
  }
}

/** Bounded lines of several streams; whoever writes more is read, so that it need not wait, and not heard. */
class Lines {
  readonly #onLine: (line: string) => void;
  readonly #unfinished = new Map<Readable, string>();
  #count = 0;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  read(stream: Readable): void {
    stream.setEncoding("utf8");
    // The other end of the pipe is no business of ours.
    stream.on("error", () => undefined);
    stream.on("data", (text: string) => {
      if (this.#count > MOST_LINES) return;
      const lines = `${this.#unfinished.get(stream) ?? ""}${text}`.split("\n");
      // One character more than is shown: so that it shows that there was more.
      this.#unfinished.set(stream, (lines.pop() ?? "").slice(0, LONGEST_LINE + 1));
      for (const line of lines) this.#say(line);
    });
  }

  finish(): void {
    for (const rest of this.#unfinished.values()) if (rest !== "") this.#say(rest);
    this.#unfinished.clear();
  }

  #say(line: string): void {
    this.#count += 1;
    if (this.#count <= MOST_LINES) this.#onLine(plain(line.replace(/\r$/, ""), LONGEST_LINE));
    else if (this.#count === MOST_LINES + 1) this.#onLine("… what follows is not logged");
  }
}
