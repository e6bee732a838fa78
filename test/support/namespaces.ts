import { type ChildProcess, execFile, execFileSync, type SpawnOptions, spawn } from "node:child_process";
import { constants } from "node:os";

/** What a command that has ended left behind. */
export interface Outcome {
  /** 128 and more: ended by a signal. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Why network namespaces cannot be used here, as the end of a sentence; `undefined`: they can. */
export function namespacesMissing(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  try {
    ip("-V");
  } catch {
    return "needs the command ip (Debian package iproute2)";
  }
  return undefined;
}

const living = new Set<NetworkNamespace>();
let created = 0;

/** Whatever ends this process short of SIGKILL, nothing may be left on the machine. */
function removeAllAtExit(): void {
  process.on("exit", () => {
    for (const namespace of living) namespace.remove();
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  }
}

/** A network namespace with nothing but a loopback device that is up. */
export class NetworkNamespace {
  /** Unique on the machine. */
  readonly name: string;

  constructor() {
    if (created === 0) removeAllAtExit();
    created += 1;
    this.name = `l2tp-${process.pid}-${created}`;
    ip("netns", "add", this.name);
    living.add(this);
    this.ip("link", "set", "lo", "up");
    // Lets ICMP echo be sent without a raw socket; the default admits nobody.
    this.write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
    // Neighbour and router discovery would only blur what the counters say.
    this.write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  }

  /** The output of `ip` about this namespace. Throws if it fails. */
  ip(...args: readonly string[]): string {
    return ip("-n", this.name, ...args);
  }

  /** Writes a file, of /proc for example, as a process in the namespace sees it. */
  write(path: string, text: string): void {
    execFileSync("ip", ["netns", "exec", this.name, "tee", path], { input: text, stdio: ["pipe", "ignore", "pipe"] });
  }

  /** Starts a command inside. The child is the command itself: its pid is the one to signal. */
  spawn(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return spawn("ip", ["netns", "exec", this.name, command, ...args], options);
  }

  /** Runs a command inside to its end, at most `timeoutMs`. */
  run(command: string, args: readonly string[], timeoutMs = 30_000): Promise<Outcome> {
    return execute("ip", ["netns", "exec", this.name, command, ...args], timeoutMs);
  }

  /** The names of all network devices but the loopback one. */
  devices(): readonly string[] {
    const links: { readonly ifname: string }[] = JSON.parse(this.ip("-json", "link", "show"));
    return links.map(({ ifname }) => ifname).filter((name) => name !== "lo");
  }

  /** The process ids of what runs inside. */
  processes(): readonly number[] {
    return ip("netns", "pids", this.name).split("\n").filter(Boolean).map(Number);
  }

  /** Kills what runs inside, and removes the namespace with its devices. A second time it does nothing. */
  remove(): void {
    if (!living.delete(this)) return;
    for (const pid of this.processes()) kill(pid);
    ip("netns", "delete", this.name);
  }
}

/** A cable between two namespaces. */
export class Link {
  readonly #end: NetworkNamespace;
  readonly #device: string;

  /** A veth pair named `device` at both ends; `addresses` in CIDR notation, first that of `a`. */
  constructor(
    a: NetworkNamespace,
    b: NetworkNamespace,
    { device, addresses }: { readonly device: string; readonly addresses: readonly [string, string] },
  ) {
    this.#end = a;
    this.#device = device;
    const peer = ["peer", "name", device, "netns", b.name];
    ip("link", "add", device, "netns", a.name, "type", "veth", ...peer);
    for (const [index, namespace] of [a, b].entries()) {
      namespace.ip("address", "add", addresses[index] ?? "", "dev", device);
      namespace.ip("link", "set", device, "up");
    }
  }

  /** Takes the link down: no carrier at either end. */
  cut(): void {
    this.#end.ip("link", "set", this.#device, "down");
  }

  restore(): void {
    this.#end.ip("link", "set", this.#device, "up");
  }
}

/** Runs a command to its end. Never rejects: a command that cannot be started has the code 127. */
export function execute(command: string, args: readonly string[], timeoutMs = 30_000): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: 64 * 1024 * 1024 } as const;
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : error.killed ? 137 : 127;
      resolve({ code, stdout, stderr });
    });
    child.stdin?.end();
  });
}

function ip(...args: readonly string[]): string {
  return execFileSync("ip", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself meanwhile.
  }
}
