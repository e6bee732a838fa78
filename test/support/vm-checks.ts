import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { runInVm } from "../interop/vm/lab.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A machine that runs the files guest/daemon-NAME.mjs, one after the other. */
export interface Boot {
  readonly names: readonly string[];
  /** So many different checks at least have to pass. */
  readonly checks: number;
  /** Debian packages that the guest needs. */
  readonly packages?: readonly string[];
}

/** Four times what it takes on two cores without KVM that have nothing else to do. */
export const BOOT_TIMEOUT_MS = 600_000;

/** Two daemons on the kernel datapath: every check of the guest's has to pass, and the script to come to its end. */
export async function passBoot({ names, checks, packages = [] }: Boot): Promise<void> {
  const script = fileURLToPath(new URL("../interop/vm/guest/daemons.mjs", import.meta.url));
  expectToPass(await runInVm({ script, args: names, packages, timeoutMs: BOOT_TIMEOUT_MS }), checks);
}

/** A machine with systemd of a Debian release, and our package in these versions; the script is one of its services. */
export interface SystemdBoot {
  /** Of guest/. */
  readonly script: string;
  readonly release: "bookworm" | "trixie";
  readonly versions: readonly string[];
  readonly checks: number;
  readonly timeoutMs: number;
}

/** systemd and what dpkg needs. */
const SYSTEMD = ["systemd", "dpkg", "tar", "libc-bin", "libc6", "libpam0g", "zlib1g"];

/** The same for a script under systemd. */
export async function passSystemdBoot({ script: name, release, versions, checks, timeoutMs }: SystemdBoot) {
  rmSync(`${ROOT}dist/deb`, { recursive: true, force: true });
  for (const version of versions) {
    execFileSync(process.execPath, [`${ROOT}scripts/deb.mjs`, "--version", version], { cwd: ROOT });
  }
  const script = fileURLToPath(new URL(`../interop/vm/guest/${name}`, import.meta.url));
  const guest = { kernel: release, packages: SYSTEMD, packagesFrom: release, memoryMib: 1536 };
  expectToPass(await runInVm({ script, ...guest, timeoutMs: timeoutMs - 60_000 }), checks);
}

function expectToPass({ exitCode, output }: { readonly exitCode: number; readonly output: string }, checks: number) {
  const { passed, failed, complete } = readChecks(output);
  expect(failed.join("\n\n")).toBe("");
  expect(complete, `the script ended early:\n${lastLines(output)}`).toBe(true);
  expect(exitCode, lastLines(output)).toBe(0);
  expect(new Set(passed).size).toBeGreaterThanOrEqual(checks);
}

/** What a script in the guest found out: every check by its name, and what it has to say about those that failed. */
export interface Checks {
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  /** False where the script ended before its last line. */
  readonly complete: boolean;
}

export function readChecks(output: string): Checks {
  // A check's lines: its name, and "# …" for what it has to say.
  const blocks = output.split(/^(?=(?:not )?ok )/m);
  const named = (prefix: string) => blocks.filter((block) => block.startsWith(prefix));
  return {
    passed: named("ok ").map((block) => block.slice("ok ".length).split("\n", 1)[0] ?? ""),
    failed: named("not ok ").map((block) => block.trimEnd()),
    complete: /^# end: /m.test(output),
  };
}

export function lastLines(output: string): string {
  return output.trimEnd().split("\n").slice(-30).join("\n");
}
