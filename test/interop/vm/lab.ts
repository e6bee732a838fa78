import { randomBytes } from "node:crypto";
import { constants, rmSync } from "node:fs";
import { copyFile, mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCommand, run } from "./host.ts";
import { provideInitramfs } from "./initramfs.ts";
import { hasKernel, type KernelSuite, provideKernel } from "./kernel.ts";
import { providePackages } from "./package-trees.ts";
import { installMissingCommands, knownSuites, missingCommands } from "./packages.ts";
import { appendProject } from "./project-archive.ts";
import { type GuestRun, runGuest } from "./qemu.ts";

export interface VmOptions {
  /** A bash script, or a JavaScript file that Node runs. */
  readonly script: string;
  readonly args?: readonly string[];
  /** Milliseconds that the script may take, booting not included. Default 120,000. */
  readonly timeoutMs?: number;
  /**
   * Debian packages that the guest has besides its own system, with the libraries that they depend on. With "systemd" among
   * them that is the first process, and the script a service.
   */
  readonly packages?: readonly string[];
  /** The Debian release that these are of; default: the machine's own. */
  readonly packagesFrom?: string;
  /** Receives the files that the script leaves in /out. */
  readonly outDir?: string;
  /** The Debian release whose kernel runs. Default "bookworm". */
  readonly kernel?: KernelSuite;
  /** Ask the mirror for a newer kernel package. */
  readonly refresh?: boolean;
  /** Mebibytes; 512 is the least. Default 1024. */
  readonly memoryMib?: number;
  /** Receives the script's output line by line. */
  readonly onOutput?: (text: string) => void;
}

export interface VmResult {
  /** The script's own. */
  readonly exitCode: number;
  /** Standard output and error of the script, and kernel messages of that time. */
  readonly output: string;
  /** From the start of the machine to the first line of the script. */
  readonly bootMs: number;
  /** From the call to the end of the machine, preparation included. */
  readonly totalMs: number;
}

const DEFAULT_KERNEL = "bookworm";
const DEFAULT_TIMEOUT_MS = 120_000;
const DEFAULT_MEMORY_MIB = 1024;
const BOOT_ATTEMPTS = 2;
const CONSOLE_LINES_SHOWN = 40;

/** Why a virtual machine cannot be run here, in a few words, or undefined where it can. */
export function vmUnavailable(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return "the VM lab needs Linux on x86-64";
  if (findCommand("apt-get") === undefined) return "the VM lab takes a Debian kernel through apt-get, which is missing";
  if (!hasKernel(DEFAULT_KERNEL) && knownSuites().size === 0)
    return "apt's sources name no Debian mirror for the VM lab";
  const missing = [...missingCommands().values()];
  if (missing.length === 0 || process.getuid?.() === 0) return undefined;
  return `the VM lab needs root to install ${[...new Set(missing)].join(", ")}`;
}

/**
 * Runs a script in a virtual machine with Debian's kernel, the project below /app and no network.
 * Throws an Error with the last console lines when the machine does not come up in two attempts, its kernel dies or the
 * script uses up its time; the script's own failure is its exit code.
 */
export async function runInVm(options: VmOptions): Promise<VmResult> {
  const calledAt = performance.now();
  await installMissingCommands();
  const suite = options.kernel ?? DEFAULT_KERNEL;
  const kernel = await provideKernel(suite, options.refresh ?? false);
  const base = await provideInitramfs(suite, kernel);
  const scratch = await mkdtemp(join(tmpdir(), "l2tpv3-lcc-vm-"));
  const cleanUp = () => rmSync(scratch, { recursive: true, force: true });
  process.once("exit", cleanUp);
  try {
    const guestRun = await bootAndRun(options, kernel.vmlinux, base, scratch);
    if (guestRun.end.type !== "exit") throw new Error(failureText(guestRun));
    if (options.outDir !== undefined) await unpackFiles(join(scratch, "files.tar"), options.outDir);
    const { output, bootMs } = guestRun;
    return { exitCode: guestRun.end.code, output, bootMs, totalMs: performance.now() - calledAt };
  } finally {
    process.off("exit", cleanUp);
    cleanUp();
  }
}

async function bootAndRun(options: VmOptions, vmlinux: string, base: string, scratch: string): Promise<GuestRun> {
  const initramfs = join(scratch, "initramfs.cpio");
  await copyFile(base, initramfs, constants.COPYFILE_FICLONE);
  const nonce = randomBytes(8).toString("hex");
  const collectFiles = options.outDir !== undefined;
  const names = options.packages ?? [];
  const packages = names.length === 0 ? undefined : await providePackages(names, options.packagesFrom);
  await appendProject(initramfs, {
    script: options.script,
    args: options.args ?? [],
    nonce,
    collectFiles,
    packages,
    systemd: names.includes("systemd"),
  });
  const guest = {
    vmlinux,
    initramfs,
    nonce,
    memoryMib: options.memoryMib ?? DEFAULT_MEMORY_MIB,
    filesPath: collectFiles ? join(scratch, "files.tar") : undefined,
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    onOutput: options.onOutput,
  };
  let guestRun = await runGuest(guest);
  for (let attempt = 1; attempt < BOOT_ATTEMPTS && guestRun.end.type === "not-booted"; attempt++) {
    guestRun = await runGuest(guest);
  }
  return guestRun;
}

function failureText({ end, console }: GuestRun): string {
  const lines = console.trimEnd().split("\n").slice(-CONSOLE_LINES_SHOWN);
  const reason = end.type === "exit" ? `exit code ${end.code}` : end.reason;
  return [`virtual machine: ${reason}; its last console lines:`, ...lines].join("\n");
}

async function unpackFiles(tar: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await run("tar", ["-xf", tar, "-C", folder, "--no-same-owner"]);
}
