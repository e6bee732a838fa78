import { join } from "node:path";
import { disabled, forbidden, isLoaded, MODPROBE_FOLDERS, type ModuleSystem, missing } from "./modules.ts";

/** What the kernel datapath cannot do without. */
export const L2TP_MODULES = ["l2tp_core", "l2tp_netlink", "l2tp_eth"] as const;

/** What is the matter with one kernel module; `detail` is a sentence, for "missing" what to install. */
export interface ModuleCondition {
  readonly state: "loaded" | "loadable" | "blacklisted" | "disabled" | "missing" | "forbidden";
  readonly detail: string;
}

/** Looks, and loads nothing. */
export async function moduleCondition(system: ModuleSystem, name: string): Promise<ModuleCondition> {
  if (isLoaded(system, name)) return { state: "loaded", detail: "loaded, or part of the kernel" };
  const off = await disabled(system, name);
  if (off !== undefined) return { state: "disabled", detail: off };
  const { succeeded, output } = await system.modprobe(["--dry-run", name]);
  if (!succeeded) {
    const detail = missing(system, name, output) ?? forbidden(system, name, output) ?? output.trim();
    return { state: "missing", detail: detail.replaceAll("\n", "; ") };
  }
  const closed = forbidden(system, name, "");
  if (closed !== undefined) return { state: "forbidden", detail: closed };
  const where = blacklistedIn(system, name);
  if (where !== undefined) {
    return { state: "blacklisted", detail: `not loaded, and ${where} keeps the kernel from loading it by itself` };
  }
  return { state: "loadable", detail: "not loaded; it will be when it is needed" };
}

/** The file with the "blacklist" line. */
function blacklistedIn(system: ModuleSystem, name: string): string | undefined {
  const line = new RegExp(`^\\s*blacklist\\s+${name.replaceAll("_", "[-_]")}\\s*$`, "m");
  const files = MODPROBE_FOLDERS.flatMap((folder) => system.list(folder).map((file) => join(folder, file)));
  return files.find((file) => line.test(system.readFile(file) ?? ""));
}
