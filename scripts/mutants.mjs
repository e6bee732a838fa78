// npm run mutants: puts each flaw of test/mutants/*.json into a copy of the tree and looks whether a test notices.
// `npm run mutants -- FILTER…` takes only those whose list, file or description contains a filter, and writes no report.
// Ends with 1 if fewer than 90 % are killed, a survivor is not explained, or a text to be replaced is not there.
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { prepareDependencies, root } from "./prepare.mjs";

const LISTS = join(root, "test/mutants");
const GOAL = 0.9;
const MOST_WORKERS = 2;
const SOUND_LIMIT_MS = 1_200_000;

/** Slow tests come last, for those that the others let live, and with fewer runs than in `npm test`. */
const SLOW = [
  "test/conformance/4.2-lossy-handshake.test.ts",
  "test/conformance/4.3-unauthenticated-messages.test.ts",
  "test/conformance/5.3-hiding.test.ts",
  "test/conformance/7-random-walks.test.ts",
  "test/conformance/7.1-mutated-datagrams.test.ts",
  "test/unit/avp/authentication.test.ts",
  "test/unit/control/saved-state.test.ts",
];
/** It puts a mock in the place of a module, which files that share their modules would get as well. */
const ISOLATED = ["test/unit/avp/constant-time.test.ts"];
const FEWER_RUNS = { WALK_RUNS: "300", MUTATED_DATAGRAMS: "20000", LOSSY_RUNS: "500" };

const filters = process.argv.slice(2);
const copies = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-mutants-"));
const children = new Set();
process.on("exit", () => {
  for (const child of children) kill(child);
  rmSync(copies, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    console.log(`mutants: ${signal}`);
    process.exit(1);
  });
}

await prepareDependencies();
const mutants = readMutants().filter(isWanted);
const misfits = mutants.filter((mutant) => occurrences(mutant) !== 1);
for (const mutant of misfits) console.log(`${named(mutant)}: its text is there ${occurrences(mutant)} times, not once`);
if (mutants.length === 0 || misfits.length > 0) process.exit(1);

const workers = Array.from({ length: Math.min(MOST_WORKERS, availableParallelism(), mutants.length) }, (_, index) =>
  copyTree(join(copies, String(index))),
);
const stages = await soundStages(workers[0]);
const queue = [...mutants];
/** Those that are no programs prove nothing, and neither does a run that broke off. */
let brokenMutants = 0;
await Promise.all(workers.map(work));
report();

function readMutants() {
  const lists = readdirSync(LISTS).filter((file) => file.endsWith(".json"));
  return lists.sort().flatMap((file) => {
    const list = file.replace(".json", "");
    const { first, mutants: entries } = JSON.parse(readFileSync(join(LISTS, file), "utf8"));
    return entries.map((mutant) => ({ ...mutant, list, first }));
  });
}

function isWanted({ list, file, why }) {
  return filters.length === 0 || filters.some((filter) => [list, file, why].some((text) => text.includes(filter)));
}

function occurrences({ file, find }) {
  return readFileSync(join(root, file), "utf8").split(find).length - 1;
}

function named({ file, why }) {
  return `${file}: ${why}`;
}

function copyTree(directory) {
  const wanted = (path) => relative(root, path) !== join("test", "interop");
  for (const part of ["src", "test"])
    cpSync(join(root, part), join(directory, part), { recursive: true, filter: wanted });
  for (const part of ["package.json", "tsconfig.json", "vitest.config.ts"])
    cpSync(join(root, part), join(directory, part));
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  return directory;
}

/** Without a mutant every test passes; how long that takes tells when one does not end. */
async function soundStages(directory) {
  const files = ["test/unit/avp", "test/unit/control", "test/conformance"].flatMap((folder) =>
    readdirSync(join(directory, folder))
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => `${folder}/${name}`),
  );
  const sound = [];
  const quick = files.filter((file) => !SLOW.includes(file) && !ISOLATED.includes(file));
  for (const part of [quick, ISOLATED, SLOW]) {
    const start = performance.now();
    const { failure } = await test(directory, part, SOUND_LIMIT_MS);
    if (failure !== undefined) {
      console.log(`without a mutant: ${failure}`);
      process.exit(1);
    }
    sound.push({ files: part, limitMs: 30_000 + 6 * (performance.now() - start) });
  }
  return sound;
}

async function work(directory) {
  for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
    const path = join(directory, mutant.file);
    const sound = readFileSync(path, "utf8");
    writeFileSync(
      path,
      sound.replace(mutant.find, () => mutant.replace),
    );
    mutant.killer = await killerIn(directory, mutant.first);
    writeFileSync(path, sound);
    console.log(`${mutant.killer === undefined ? "SURVIVED" : "killed  "} ${named(mutant)} [${mutant.killer ?? ""}]`);
  }
}

/** `first`: the tests that are likely to notice. Most mutants meet no others. */
async function killerIn(directory, first) {
  for (const { files, limitMs } of [{ files: first, limitMs: stages[0].limitMs }, ...stages]) {
    const { failure, broken } = await test(directory, files, limitMs);
    if (broken) brokenMutants += 1;
    if (failure !== undefined) return broken ? `NOTHING SHOWN: ${failure}` : failure;
  }
  return undefined;
}

/** Runs test files until the first failure. `broken`: a source could not even be read. */
async function test(directory, files, limitMs) {
  const outcome = join(directory, "outcome.json");
  rmSync(outcome, { force: true });
  const args = ["run", "--project=unit", "--project=conformance", "--bail=1", "--pool=threads", "--maxWorkers=1"];
  if (!files.some((file) => ISOLATED.includes(file))) args.push("--no-isolate");
  args.push("--no-file-parallelism", "--reporter=json", `--outputFile=${outcome}`, ...files);
  const child = spawn(process.execPath, [join(directory, "node_modules/vitest/vitest.mjs"), ...args], {
    cwd: directory,
    env: { ...process.env, ...FEWER_RUNS },
    stdio: "ignore",
    detached: true,
  });
  children.add(child);
  const timer = setTimeout(() => kill(child), limitMs);
  const code = await new Promise((resolve) => child.on("close", resolve));
  clearTimeout(timer);
  children.delete(child);
  if (code === 0) return { failure: undefined, broken: false };
  return code === null ? { failure: "it does not end", broken: false } : failureIn(outcome, directory);
}

function failureIn(outcome, directory) {
  let files = [];
  try {
    files = JSON.parse(readFileSync(outcome, "utf8")).testResults;
  } catch {
    // Something is wrong with this machine: dependencies that are being installed, no memory left.
    return { failure: "Vitest broke off", broken: true };
  }
  for (const file of files) {
    const failed = file.assertionResults.find(({ status }) => status === "failed");
    const path = relative(directory, file.name).split(sep).join("/");
    if (failed !== undefined) return { failure: `${path}: ${failed.fullName}`, broken: false };
  }
  const unread = files.find(({ status, message }) => status === "failed" && message !== "");
  const broken = /SyntaxError|Transform failed|PARSE_ERROR|Unexpected token/.test(unread?.message ?? "");
  return { failure: unread === undefined ? "an error outside of any test" : unread.message.split("\n")[0], broken };
}

function kill(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function report() {
  const survivors = mutants.filter(({ killer }) => killer === undefined);
  const unexplained = survivors.filter(({ survives }) => survives === undefined);
  const share = 1 - survivors.length / mutants.length;
  const total = `${mutants.length - survivors.length} of ${mutants.length} killed (${percent(share)})`;
  console.log(`\nmutants: ${total}`);
  for (const mutant of unexplained) console.log(`not explained: ${named(mutant)}`);
  for (const mutant of mutants.filter(({ killer, survives }) => killer !== undefined && survives !== undefined)) {
    console.log(`killed after all, so its explanation is out of date: ${named(mutant)}`);
  }
  if (brokenMutants > 0) console.log(`${brokenMutants} have shown nothing`);
  else if (filters.length === 0) writePage(page(total, survivors));
  process.exitCode = share >= GOAL && unexplained.length === 0 && brokenMutants === 0 ? 0 : 1;
}

/** In the form that `npm run check` wants. */
function writePage(text) {
  const path = join(LISTS, "README.md");
  writeFileSync(path, text);
  spawnSync(process.execPath, [join(root, "node_modules/@biomejs/biome/bin/biome"), "format", "--write", path]);
}

function page(total, survivors) {
  const lists = [...new Set(mutants.map(({ list }) => list))];
  const rows = lists.map((list) => {
    const all = mutants.filter((mutant) => mutant.list === list);
    const killed = all.filter(({ killer }) => killer !== undefined).length;
    return `| ${list} | ${all.length} | ${killed} | ${percent(killed / all.length)} |`;
  });
  const lines = [
    "# Mutants",
    "",
    "Written by `npm run mutants`. Each list here holds flaws that somebody might make: a text of a source file and what it",
    "is replaced by. Each is put into a copy of the tree, and the unit and conformance tests of `src/avp`, `src/fsm` and",
    "`src/control` have to notice. The random tests run with fewer rounds than in `npm test`.",
    "",
    `${total}.`,
    "",
    "| list | mutants | killed | share |",
    "| --- | ---: | ---: | ---: |",
    ...rows,
    "",
    "## Survivors",
    "",
    ...(survivors.length === 0 ? ["None."] : survivors.map((m) => `- ${named(m)}. ${m.survives ?? "Not explained."}`)),
    "",
    "## Killed",
    "",
  ];
  for (const list of lists) {
    lines.push(`### ${list}`, "");
    for (const mutant of mutants) {
      if (mutant.list !== list || mutant.killer === undefined) continue;
      lines.push(`- ${named(mutant)}  `, `  ${mutant.killer.replaceAll("|", "\\|")}`);
    }
    lines.push("");
  }
  return lines.join("\n");
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
