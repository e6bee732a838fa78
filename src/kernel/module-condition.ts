import { join } from "node:path";
import {
  type Absence,
  absence,
  disabled,
  forbidden,
  isLoaded,
  MODPROBE_FOLDERS,
  type ModuleSystem,
  NO_MODPROBE,
} from "./modules.ts";

/** What the kernel datapath cannot do without. */
export const L2TP_MODULES = ["l2tp_core", "l2tp_netlink", "l2tp_eth"] as const;

/**
 * A function of each module by which a kernel without a folder of modules shows that it has it; those of L2TP are in
 * /sys/module in any case.
 */
const SYMBOLS: Readonly<Record<string, string>> = { bridge: "br_dev_setup", "8021q": "register_vlan_dev" };

/** What is the matter with one kernel module; `detail` is a sentence. */
export interface ModuleCondition {
  readonly state: "loaded" | "loadable" | "blacklisted" | "disabled" | "missing" | "forbidden";
  readonly detail: string;
  /** What to do, where it is missing. */
  readonly remedy?: string;
}

/** Looks, and loads nothing. */
export async function moduleCondition(system: ModuleSystem, name: string): Promise<ModuleCondition> {
  if (isLoaded(system, name) || isBuiltIn(system, name))
    return { state: "loaded", detail: "loaded, or part of the kernel" };
  const off = await disabled(system, name);
  if (off !== undefined) return { state: "disabled", detail: off };
  const { succeeded, output } = await system.modprobe(["--dry-run", name]);
  if (!succeeded) {
    const { found, remedy } = absence(system, name, output) ?? refusal(system, name, output);
    return { state: "missing", detail: found.replaceAll("\n", "; "), remedy };
  }
  const closed = forbidden(system, name, "");
  if (closed !== undefined) return { state: "forbidden", detail: closed };
  const where = blacklistedIn(system, name);
  if (where !== undefined) {
    return { state: "blacklisted", detail: `not loaded, and ${where} keeps the kernel from loading it by itself` };
  }
  return { state: "loadable", detail: "not loaded; it will be when it is needed" };
}

function refusal(system: ModuleSystem, name: string, output: string): Absence {
  const remedy = output.startsWith(NO_MODPROBE) ? "install kmod, which has modprobe" : `run modprobe ${name} as root`;
  return { found: forbidden(system, name, output) ?? output.trim(), remedy };
}

/** What the kernel has is told by its folder of modules, modules.builtin; without one by its symbols, which are many. */
function isBuiltIn(system: ModuleSystem, name: string): boolean {
  const symbol = SYMBOLS[name];
  if (symbol === undefined || system.list("/lib/modules").includes(system.release)) return false;
  return new RegExp(` ${symbol}\\b`).test(system.readFile("/proc/kallsyms") ?? "");
}

/** The file with the "blacklist" line. */
function blacklistedIn(system: ModuleSystem, name: string): string | undefined {
  const line = new RegExp(`^\\s*blacklist\\s+${name.replaceAll("_", "[-_]")}\\s*$`, "m");
  const files = MODPROBE_FOLDERS.flatMap((folder) => system.list(folder).map((file) => join(folder, file)));
  return files.find((file) => line.test(system.readFile(file) ?? ""));
}
