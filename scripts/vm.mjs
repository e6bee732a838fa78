import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const USAGE = `Usage: npm run vm -- [OPTIONS] SCRIPT [ARGS]

Runs SCRIPT (bash, or JavaScript by Node) in a virtual machine with a Debian kernel. See test/interop/vm/README.md.

  --out DIR          take back the files that SCRIPT leaves in /out
  --timeout SECONDS  time for SCRIPT (default 120)
  --kernel RELEASE   bookworm (default), trixie or forky
  --packages NAMES   Debian packages that the guest gets too, with commas between them
  --packages-from RELEASE  the Debian release of those (default: this machine's)
  --memory MIB       memory of the machine (default 1024)
  --refresh          look for a newer kernel package
  --help

The exit code is SCRIPT's own; 125 when the machine failed, 2 for a wrong command line.`;

const LAB_FAILED = 125;
const WRONG_USAGE = 2;
const KERNELS = ["bookworm", "trixie", "forky"];
const OPTIONS = {
  out: { type: "string" },
  timeout: { type: "string", default: "120" },
  kernel: { type: "string", default: "bookworm" },
  packages: { type: "string" },
  "packages-from": { type: "string" },
  memory: { type: "string", default: "1024" },
  refresh: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

const root = fileURLToPath(new URL("..", import.meta.url));

class UsageError extends Error {}

/** Options stand before SCRIPT; all that follows it is SCRIPT's. */
function readCommandLine(words) {
  const { tokens } = parseArgs({ args: words, options: OPTIONS, strict: false, tokens: true });
  const at = tokens.find(({ kind }) => kind === "positional")?.index ?? words.length;
  return { ...readOptions(words.slice(0, at)), script: words[at], args: words.slice(at + 1) };
}

function readOptions(args) {
  try {
    return parseArgs({ args, options: OPTIONS }).values;
  } catch (cause) {
    throw new UsageError(cause.message, { cause });
  }
}

function mistakeIn({ script, timeout, kernel, memory }) {
  if (script === undefined) return "SCRIPT is missing";
  if (!existsSync(script)) return `there is no file ${script}`;
  if (!(Number(timeout) > 0)) return `--timeout ${timeout} is not a number of seconds`;
  if (!(Number(memory) >= 512)) return `--memory ${memory} is not a number of mebibytes, at least 512`;
  if (!KERNELS.includes(kernel)) return `--kernel ${kernel} is none of ${KERNELS.join(", ")}`;
  return undefined;
}

/** The lab is TypeScript, and Node 20 runs JavaScript only. */
async function loadLab() {
  const folder = join(root, "test/interop/vm");
  const compiled = join(root, "dist/test/interop/vm/lab.js");
  const sources = readdirSync(folder).filter((name) => name.endsWith(".ts"));
  const newest = Math.max(...sources.map((name) => statSync(join(folder, name)).mtimeMs));
  if (!existsSync(compiled) || statSync(compiled).mtimeMs < newest) {
    execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", folder], { stdio: "inherit" });
  }
  return import(pathToFileURL(compiled).href);
}

async function main(words) {
  const command = readCommandLine(words);
  if (command.help) {
    console.log(USAGE);
    return 0;
  }
  const mistake = mistakeIn(command);
  if (mistake !== undefined) throw new UsageError(mistake);
  const { runInVm, vmUnavailable } = await loadLab();
  const unavailable = vmUnavailable();
  if (unavailable !== undefined) throw new Error(unavailable);
  const { exitCode, bootMs, totalMs } = await runInVm({
    script: resolve(command.script),
    args: command.args,
    timeoutMs: Number(command.timeout) * 1000,
    kernel: command.kernel,
    memoryMib: Number(command.memory),
    refresh: command.refresh,
    ...(command.packages === undefined ? {} : { packages: command.packages.split(",") }),
    ...(command["packages-from"] === undefined ? {} : { packagesFrom: command["packages-from"] }),
    ...(command.out === undefined ? {} : { outDir: resolve(command.out) }),
    onOutput: (text) => process.stdout.write(text),
  });
  const [boot, total] = [bootMs, totalMs].map((ms) => (ms / 1000).toFixed(1));
  console.error(`vm: exit code ${exitCode}, script started after ${boot} s, ${total} s in all`);
  return exitCode;
}

// Leaving through process.exit lets the lab end its machine.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(LAB_FAILED));

main(process.argv.slice(2)).then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error) => {
    console.error(`vm: ${error.message}`);
    process.exitCode = error instanceof UsageError ? WRONG_USAGE : LAB_FAILED;
  },
);
