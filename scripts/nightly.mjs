// npm run nightly: 100,000 random walks of two LCCEs, from a seed that is new every time, in as many processes as there
// are processors. A failure prints the walk, made as small as can be, and how to repeat it.
// `npm run nightly -- RUNS SEED` for another number of walks, or for a seed that failed.
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { prepareDependencies, root } from "./prepare.mjs";

const TEST = "test/conformance/7-random-walks.test.ts";
const LIMIT_MS = 6 * 3_600_000;

const runs = Number(process.argv[2] ?? 100_000);
const seed = Number(process.argv[3] ?? randomInt(2 ** 30));
if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(seed)) {
  console.error("usage: npm run nightly [-- RUNS [SEED]]");
  process.exit(2);
}

await prepareDependencies();
const parts = Math.min(availableParallelism(), runs);
const each = Math.ceil(runs / parts);
console.log(`nightly: ${parts} times ${each} walks; npm run nightly -- ${runs} ${seed} repeats them`);
const outcomes = await Promise.all(Array.from({ length: parts }, (_, part) => walks(each, seed + part)));
const failed = outcomes.filter(({ code }) => code !== 0);
for (const { seed: failedSeed, output } of failed) console.log(`\nnightly: seed ${failedSeed} failed\n${output}`);
console.log(failed.length === 0 ? "nightly: every walk ended in agreement" : `nightly: ${failed.length} seeds failed`);
process.exitCode = failed.length === 0 ? 0 : 1;

function walks(count, ofSeed) {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const args = [vitest, "run", "--project=conformance", `--testTimeout=${LIMIT_MS}`, TEST];
  const env = { ...process.env, WALK_RUNS: String(count), WALK_SEED: String(ofSeed) };
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  return new Promise((resolve) => {
    child.on("close", (code) => resolve({ code, seed: ofSeed, output }));
  });
}
