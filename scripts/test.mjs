// npm test: everything from a fresh clone, and what that has shown of the matrix in docs/interop. `npm test -- FILTER…` runs the test files whose path contains a filter;
// "check" is the name of `npm run check`.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { installPackages } from "./packages.mjs";
import { prepare, root, run } from "./prepare.mjs";

const filters = process.argv.slice(2);
const directory = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-test-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));

await prepare();
if (filters.length === 0 || filters.some((filter) => !/(^|\/)(unit|conformance|check)/.test(filter))) {
  await installPackages();
}

const total = { passed: 0, failed: 0, skipped: 0 };
const outcomes = [];
const failures = [];
const skips = [];
if (filters.length === 0 || filters.includes("check")) await check();
// They only compute; Vitest by itself leaves one processor idle.
await vitest(["unit", "conformance"], "--maxWorkers=100%");
// By itself: namespaces and fixed ports of this machine, and what takes its time by the clock.
await vitest(["interop"]);
// Last, for they keep both processors busy.
await vitest(["vm"]);
if (filters.length === 0) await judgeMatrix();
report();

async function check() {
  console.log("\ntest: npm run check");
  const code = await run("npm", ["run", "--silent", "check"]);
  stopIfInterrupted(code);
  count("npm run check", code === 0 ? "passed" : "failed");
}

async function vitest(projects, ...options) {
  const wanted = filters.filter((filter) => filter !== "check");
  if (filters.length > 0 && wanted.length === 0) return;
  console.log(`\ntest: ${projects.join(" and ")}`);
  const outcome = join(directory, `${projects.join("-")}.json`);
  const code = await run(process.execPath, [
    join(root, "node_modules/vitest/vitest.mjs"),
    "run",
    ...projects.map((project) => `--project=${project}`),
    ...options,
    "--passWithNoTests",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${outcome}`,
    ...wanted,
  ]);
  stopIfInterrupted(code);
  const failedBefore = total.failed;
  for (const file of read(outcome)) countFile(file);
  // An error outside of any test, or a run that broke off, must not pass for a success.
  if (code !== 0 && total.failed === failedBefore)
    count(`vitest (${projects.join(", ")}), exit code ${code}`, "failed");
}

/** The table says what this run has shown, or this run says of which cells it has shown nothing. */
async function judgeMatrix() {
  // It reads TOML, which it could not before the dependencies were there.
  const { keepResults } = await import("./interop-results.mjs");
  const cells = keepResults(outcomes);
  for (const { peer, feature, status, file, title } of cells) {
    const name = `docs/interop, ${peer}, ${feature}: ${file}: ${title}`;
    if (status === "missing") count(`${name}: did not run`, "failed");
    else count(name, status);
  }
  const shown = cells.filter(({ status }) => status === "passed").length;
  console.log(`\ntest: this run has shown ${shown} of the ${cells.length} cells of docs/interop`);
}

function read(outcome) {
  try {
    return JSON.parse(readFileSync(outcome, "utf8")).testResults;
  } catch {
    return [];
  }
}

function countFile(file) {
  const path = relative(root, file.name);
  for (const test of file.assertionResults) {
    const status = statusOf(test, path);
    outcomes.push({ file: path, title: test.fullName, status });
    count(`${path}: ${test.fullName}`, status);
  }
  // A file that could not be loaded, or whose hooks failed, may have no failed test.
  const failed = file.assertionResults.some((test) => test.status === "failed");
  if (file.status === "failed" && !failed) count(path, "failed");
}

/** Nothing on a machine can keep a conformance test from running. */
function statusOf({ status }, path) {
  if (status === "passed" || status === "failed") return status;
  return path.startsWith("test/conformance/") ? "failed" : "skipped";
}

function count(name, status) {
  total[status] += 1;
  if (status === "failed") failures.push(name);
  if (status === "skipped") skips.push(name);
}

function stopIfInterrupted(code) {
  if (code > 128) process.exit(code);
}

function report() {
  console.log("");
  for (const name of skips) console.log(`skipped: ${name}`);
  for (const name of failures) console.log(`failed: ${name}`);
  // Where everything can be installed, a test that did not run has not been passed.
  if (process.env.CI === "true") {
    total.failed += total.skipped;
    if (total.skipped > 0) console.log("CI=true: a skipped test counts as failed");
    total.skipped = 0;
  }
  const ran = total.passed + total.failed + total.skipped > 0;
  if (!ran) console.log(`no test matches ${filters.join(" ")}`);
  process.exitCode = total.failed === 0 && ran ? 0 : 1;
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
}
