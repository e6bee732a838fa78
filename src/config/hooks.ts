import { realpathSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { parseDuration } from "./format.ts";
import type { HookValues } from "./keys.ts";
import type { Problems } from "./problems.ts";
import { HOOK_EVENTS, type HookConfiguration } from "./site.ts";

const ANY_EXECUTE = 0o111;
const WRITE_OTHERS = 0o002;
const STICKY = 0o1000;

/** What is to be run at which event. Reports executables that cannot be run, or that others could put theirs in place of. */
export function buildHooks(values: HookValues, problems: Problems): HookConfiguration {
  const commands: Record<string, readonly string[]> = {};
  for (const event of HOOK_EVENTS) {
    const command = values[event];
    if (command === null) continue;
    commands[event] = command;
    const flaw = executableFlaw(command[0] ?? "");
    if (flaw !== undefined) problems.error(["hooks", event], `${command[0]} ${flaw}`);
  }
  return { commands, timeoutMs: parseDuration(values.timeout) ?? 0 };
}

/** It is run with the daemon's rights: whoever can write it, or its directory, has them too. */
function executableFlaw(path: string): string | undefined {
  try {
    const real = realpathSync(path);
    const file = statSync(real);
    if (!file.isFile()) return "is no file";
    if ((file.mode & ANY_EXECUTE) === 0) return "is not executable (chmod +x)";
    return ownershipFlaw(file) ?? directoryFlaw(dirname(real));
  } catch (error) {
    return `cannot be run: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function directoryFlaw(path: string): string | undefined {
  const directory = statSync(path);
  // Where the sticky bit is set nobody can replace what is somebody else's.
  const flaw = (directory.mode & STICKY) !== 0 ? undefined : ownershipFlaw(directory);
  return flaw === undefined ? undefined : `is in ${path}, which ${flaw}`;
}

function ownershipFlaw({ mode, uid }: Stats): string | undefined {
  if ((mode & WRITE_OTHERS) !== 0) return "can be written by others (chmod o-w)";
  const trusted = uid === 0 || uid === process.geteuid?.();
  return trusted ? undefined : `belongs to another user (uid ${uid}) than root or the daemon's`;
}
