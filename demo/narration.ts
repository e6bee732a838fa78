import type { SpawnOptions } from "node:child_process";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type DaemonProcess, type LogEntry, until } from "../test/support/daemon-process.ts";
import type { TwoSites } from "../test/support/two-sites.ts";
import { paint } from "./terminal.ts";
import type { WireMessage } from "./wire.ts";

const READY_DEADLINE_MS = 10_000;
const LONGEST_NAME = "paris".length;

/** When the demonstration began. */
export const began = performance.now();

/** The name of a site in its colour. */
export function coloured(name: string): string {
  return paint(name === "paris" ? "cyan" : "magenta", name);
}

/** Prints what a daemon logs, as it does, for people. */
export function follow(daemon: DaemonProcess): DaemonProcess {
  daemon.onEntry((entry) => {
    if (isWorthShowing(entry))
      tell(daemon.name, entry.level === "info" ? entry.message : paint("yellow", entry.message));
  });
  return daemon;
}

/** Prints the control messages that pass the cable, as they do. */
export async function watch(sites: TwoSites): Promise<{ readonly stop: () => Promise<void> }> {
  const names = new Map([sites.paris, sites.lyon].map(({ address, name }) => [address, name]));
  const program = fileURLToPath(new URL("./wire.js", import.meta.url));
  const options: SpawnOptions = { stdio: ["ignore", "pipe", "inherit"] };
  const watcher = sites.lyon.namespace.spawn(process.execPath, [program], options);
  if (watcher.stdout === null) throw new Error("the watcher has no output");
  let ready = false;
  createInterface(watcher.stdout).on("line", (line) => {
    if (line.startsWith("{")) tellPassing(JSON.parse(line), names);
    else ready = true;
  });
  await until("the cable is watched", READY_DEADLINE_MS, () => ready);
  const ended = new Promise<void>((resolve) => watcher.on("close", () => resolve()));
  const stop = () => {
    watcher.kill("SIGKILL");
    return ended;
  };
  return { stop };
}

function tellPassing({ from, to, name, ns, nr }: WireMessage, names: ReadonlyMap<string, string>): void {
  const what = name === "ZLB" ? name : paint("bold", name);
  const numbers = paint("dim", `Ns ${ns} Nr ${nr}`);
  tell(names.get(from) ?? from, `──▶ ${coloured(names.get(to) ?? to)}  ${what}  ${numbers}`);
}

function tell(who: string, text: string): void {
  const at = paint("dim", `${((performance.now() - began) / 1000).toFixed(2).padStart(7)} s`);
  console.log(`${at}  ${coloured(who)}${" ".repeat(Math.max(0, LONGEST_NAME - who.length))}  ${text}`);
}

/** The messages themselves are shown from the cable. */
function isWorthShowing({ level }: LogEntry): boolean {
  return level !== "debug" && level !== "trace";
}
