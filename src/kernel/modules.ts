import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { L2TP_FAMILY_NAME, resolveFamily } from "./l2tp-genl.ts";
import { NETLINK_GENERIC } from "./netlink-messages.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import { optionHint, packageHint } from "./packages.ts";

/** Whether frames can flow through the kernel; if not, a sentence that says what is missing and where it comes from. */
export type KernelProbe = { readonly available: true } | { readonly available: false; readonly reason: string };

/** What the probe needs of the machine. */
export interface ModuleSystem {
  /** `uname -r`. */
  readonly release: string;
  /** Does the kernel know the generic netlink family "l2tp"? Asking makes it load l2tp_netlink, where it may. */
  hasL2tpFamily(): boolean;
  /** `undefined` where there is no such file. */
  readFile(path: string): string | undefined;
  /** The names in a directory; empty where there is none. */
  list(path: string): readonly string[];
  modprobe(words: readonly string[]): Promise<{ readonly succeeded: boolean; readonly output: string }>;
}

const CAP_NET_ADMIN = 12;
/** In the place of what modprobe says. */
export const NO_MODPROBE = "there is no modprobe";
export const MODPROBE_FOLDERS = ["/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"];

/** Loads the kernel's L2TP where that is needed and possible. Never rejects. */
export async function probeKernelL2tp(system: ModuleSystem = thisMachine): Promise<KernelProbe> {
  if (!mayAdministrate(system)) {
    return unavailable("CAP_NET_ADMIN is missing: run l2tpv3-lcc as root or from its systemd unit");
  }
  if (!system.hasL2tpFamily()) {
    const reason = await load(system, "l2tp_netlink");
    if (reason !== undefined) return unavailable(reason);
    if (!system.hasL2tpFamily()) return unavailable("module l2tp_netlink is loaded, but the kernel knows no L2TP");
  }
  if (!isLoaded(system, "l2tp_eth")) {
    const reason = await load(system, "l2tp_eth");
    if (reason !== undefined) return unavailable(reason);
  }
  return { available: true };
}

/** The kernel modules of L2TP over IP (RFC 3931 4.1.1), by IP version. */
const IP_MODULES = { 4: "l2tp_ip", 6: "l2tp_ip6" } as const;

/** Loads what sockets of protocol 115 need, where that is not loaded yet. Never rejects. */
export async function probeL2tpOverIp(family: 4 | 6, system: ModuleSystem = thisMachine): Promise<KernelProbe> {
  const name = IP_MODULES[family];
  if (isLoaded(system, name)) return { available: true };
  const reason = await load(system, name);
  return reason === undefined ? { available: true } : unavailable(reason);
}

function unavailable(reason: string): KernelProbe {
  return { available: false, reason };
}

function mayAdministrate(system: ModuleSystem): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(system.readFile("/proc/self/status") ?? "")?.[1];
  return effective === undefined || ((BigInt(`0x${effective}`) >> BigInt(CAP_NET_ADMIN)) & 1n) === 1n;
}

export function isLoaded(system: ModuleSystem, name: string): boolean {
  return (
    system.list("/sys/module").includes(name) ||
    (system.readFile(`/lib/modules/${system.release}/modules.builtin`) ?? "").includes(`/${name}.ko`)
  );
}

/** `undefined`: loaded. A "blacklist" line does not matter here: it keeps the kernel from loading, not modprobe. */
async function load(system: ModuleSystem, name: string): Promise<string | undefined> {
  const { succeeded, output } = await system.modprobe([name]);
  if (succeeded) return undefined;
  return (
    (await disabled(system, name)) ??
    sentenceOf(absence(system, name, output)) ??
    forbidden(system, name, output) ??
    `the kernel module ${name} cannot be loaded: ${output.trim().replaceAll("\n", "; ")}`
  );
}

/** "install NAME /bin/false" in the configuration of modprobe. */
export async function disabled(system: ModuleSystem, name: string): Promise<string | undefined> {
  const { output } = await system.modprobe(["--dry-run", "--verbose", name]);
  if (!/^install \S*(false|true)\b/m.test(output)) return undefined;
  const line = new RegExp(`^\\s*install\\s+${name.replaceAll("_", "[-_]")}\\s`, "m");
  const files = MODPROBE_FOLDERS.flatMap((folder) => system.list(folder).map((file) => join(folder, file)));
  const where = files.find((file) => line.test(system.readFile(file) ?? "")) ?? "the configuration of modprobe";
  return `the kernel module ${name} is disabled: remove its "install" line from ${where}`;
}

/** That a module is not there, and what to do about it. */
export interface Absence {
  readonly found: string;
  readonly remedy: string;
}

/** `output`: what modprobe says of it. */
export function absence(system: ModuleSystem, name: string, output: string): Absence | undefined {
  const { release: running } = system;
  const installed = system.list("/lib/modules");
  if (!installed.includes(running)) {
    const found = `the running kernel ${running} has no ${name}, and no modules of it are installed`;
    if (installed.length === 0) return { found, remedy: `start a kernel that has it: ${optionHint(running, name)}` };
    return { found, remedy: `restart into a kernel whose modules are installed: ${installed.join(", ")}` };
  }
  if (!/not found|no such file/i.test(output)) return undefined;
  const hint = packageHint(system.readFile("/etc/os-release") ?? "", running, name);
  return { found: `the kernel module ${name} is missing`, remedy: hint };
}

function sentenceOf(lack: Absence | undefined): string | undefined {
  return lack && `${lack.found}: ${lack.remedy}`;
}

export function forbidden(system: ModuleSystem, name: string, output: string): string | undefined {
  if (system.readFile("/proc/sys/kernel/modules_disabled")?.trim() === "1") {
    return `the kernel module ${name} is not loaded, and this kernel loads none any more (kernel.modules_disabled)`;
  }
  if (!/not permitted|permission denied/i.test(output)) return undefined;
  return `the kernel module ${name} is not loaded and CAP_SYS_MODULE is missing: load it once with "modprobe ${name}"`;
}

export const thisMachine: ModuleSystem = {
  release: release(),
  hasL2tpFamily() {
    const socket = new NetlinkSocket(NETLINK_GENERIC);
    try {
      return resolveFamily((requests) => socket.exchange(requests), L2TP_FAMILY_NAME) !== undefined;
    } finally {
      socket.close();
    }
  },
  readFile(path) {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
  },
  list(path) {
    try {
      return readdirSync(path);
    } catch {
      return [];
    }
  },
  modprobe(words) {
    const env = { ...process.env, LC_ALL: "C", PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` };
    return new Promise((resolve) => {
      execFile("modprobe", [...words], { env, timeout: 10_000 }, (error, stdout, stderr) => {
        const noProgram = error?.code === "ENOENT" ? NO_MODPROBE : "";
        resolve({ succeeded: error === null, output: `${noProgram}${stdout}${stderr}` });
      });
    });
  },
};
