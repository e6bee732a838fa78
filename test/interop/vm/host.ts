import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdir, mkdtemp, open, readFile, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const COMMAND_FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const LOCK_POLL_MS = 200;

/** Where the lab keeps kernels and initramfs images between runs. */
export function cacheFolder(): string {
  const base = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(base, "l2tpv3-lcc", "vm");
}

/** The path of a command, sbin folders included even where PATH lacks them; undefined where it is not installed. */
export function findCommand(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(":").filter(Boolean), ...COMMAND_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(executable);
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a command to its end and gives its standard output. Throws an Error with the command and its last error lines. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, [...args], {
      maxBuffer: 64 * 1024 * 1024,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env, LC_ALL: "C" },
    });
    return stdout;
  } catch (cause) {
    const stderr = cause instanceof Error && "stderr" in cause ? String(cause.stderr) : String(cause);
    const detail = stderr.trim().split("\n").slice(-5).join("\n");
    throw new Error(`${command} ${args.join(" ")} failed: ${detail}`, { cause });
  }
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Makes the file or folder `target` once: `build` fills a temporary path beside it, which then takes the name, so nobody
 * ever sees half of it. A lock keeps a second user from building the same thing.
 */
export async function buildOnce(target: string, build: (temporary: string) => Promise<void>): Promise<void> {
  if (await exists(target)) return;
  await mkdir(dirname(target), { recursive: true });
  await withLock(`${target}.lock`, async () => {
    if (await exists(target)) return;
    const scratch = await mkdtemp(`${target}.build-`);
    try {
      await build(join(scratch, "result"));
      await rename(join(scratch, "result"), target);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  });
}

/** Two users that both find the same dead owner can both get in; the renaming above makes that waste, not damage. */
async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  while (!(await tryLock(path))) await delay(LOCK_POLL_MS);
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function tryLock(path: string): Promise<boolean> {
  try {
    const handle = await open(path, "wx");
    await handle.writeFile(String(process.pid));
    await handle.close();
    return true;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    if (await ownerIsDead(path)) await rm(path, { force: true });
    return false;
  }
}

async function ownerIsDead(path: string): Promise<boolean> {
  const pid = Number.parseInt(await readFile(path, "utf8").catch(() => ""), 10);
  // An empty file belongs to someone who has not yet written into it.
  return Number.isInteger(pid) && !(await exists(`/proc/${pid}`));
}
