// What every command of this repository needs first: a Node that is new enough, the dependencies, and a build.
// Plain JavaScript without dependencies, because it runs before there are any.
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const OLDEST_NODE = [20, 19];
const SAME_SIGNAL_MS = 500;
const SOURCES = [
  "src",
  "bench",
  "demo",
  "test/support",
  "test/interop/peers",
  "scripts/bundle.mjs",
  "tsconfig.json",
  "tsconfig.build.json",
  "package.json",
];

/** The top directory of the repository. */
export const root = fileURLToPath(new URL("..", import.meta.url));

const stamp = join(root, "dist", ".built");

/**
 * Checks the Node version, installs the dependencies if they are missing or out of date, and builds if dist is.
 * Ends the process with one line when that is not possible.
 */
export async function prepare() {
  await prepareDependencies();
  const newest = newestSource();
  if (!existsSync(stamp) || Number(readFileSync(stamp, "utf8")) < newest) {
    console.log("prepare: building (npm run build)");
    await need("npm", ["run", "--silent", "build"]);
    removeOrphans(join(root, "dist"));
    // The time of the newest source that went in, not the time of the build: an edit made meanwhile builds again.
    writeFileSync(stamp, `${newest}\n`);
  }
}

/** The same without a build: Vitest compiles what it needs. */
export async function prepareDependencies() {
  requireNode();
  if (dependenciesAreStale()) {
    console.log("prepare: installing the dependencies (npm ci)");
    await need("npm", ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"]);
  }
}

/**
 * Runs a command in the top directory, its output going where ours goes and without standard input.
 * Returns its exit code; 127 if there is no such command. SIGINT and SIGTERM are passed on.
 */
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    // Ctrl-C reaches a whole process group, and npm sends it once more: a group of its own makes it one signal.
    const child = spawn(command, args, {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
      detached: true,
      ...options,
    });
    let forwardedAt = Number.NEGATIVE_INFINITY;
    const forward = (signal) => {
      if (performance.now() - forwardedAt < SAME_SIGNAL_MS) return;
      forwardedAt = performance.now();
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    };
    process.on("SIGINT", forward).on("SIGTERM", forward);
    const finish = (code) => {
      process.off("SIGINT", forward).off("SIGTERM", forward);
      resolve(code);
    };
    child.on("error", () => finish(127));
    child.on("close", (code, signal) => finish(code ?? 128 + constants.signals[signal]));
  });
}

async function need(command, args) {
  const code = await run(command, args);
  if (code === 0) return;
  console.error(`prepare: ${[command, ...args].join(" ")} failed with exit code ${code}`);
  process.exit(code > 128 ? code : 1);
}

function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  console.error(`l2tpv3-lcc needs Node ${OLDEST_NODE.join(".")} or newer; this is ${process.versions.node}`);
  process.exit(1);
}

/** npm writes node_modules/.package-lock.json at the end of each install. */
function dependenciesAreStale() {
  const installed = join(root, "node_modules", ".package-lock.json");
  return !existsSync(installed) || statSync(installed).mtimeMs < statSync(join(root, "package-lock.json")).mtimeMs;
}

/** Directories count too: a removed file leaves no other trace. */
function newestSource() {
  let newest = 0;
  for (const path of SOURCES.map((source) => join(root, source)).filter(existsSync)) {
    for (const each of [path, ...entries(path)]) newest = Math.max(newest, statSync(each).mtimeMs);
  }
  return newest;
}

/** Compiled modules whose source is gone would still be found, by `npm run bench` for one. */
function removeOrphans(dist) {
  for (const path of entries(dist)) {
    // What is bundled is new each time.
    if (!path.endsWith(".js") || path.startsWith(join(dist, "bin"))) continue;
    const source = join(root, relative(dist, path)).replace(/\.js$/, ".ts");
    if (!existsSync(source)) rmSync(path);
  }
}

function entries(directory) {
  if (!statSync(directory).isDirectory()) return [];
  return readdirSync(directory, { recursive: true }).map((name) => join(directory, name));
}
