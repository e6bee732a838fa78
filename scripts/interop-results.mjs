// What the tests have shown of the matrix of docs/interop: `npm test` leaves it, `npm run interop` prints it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse } from "smol-toml";
import { judgeCells, readCells } from "./interop-rules.mjs";
import { root } from "./prepare.mjs";

const RESULTS = join(root, "dist/test-results.json");

export function readMatrix() {
  return parse(readFileSync(join(root, "docs/interop/matrix.toml"), "utf8"));
}

/** Of a run of all tests: each cell with its status. `outcomes`: `{ file, title, status }`. */
export function keepResults(outcomes) {
  mkdirSync(dirname(RESULTS), { recursive: true });
  writeFileSync(RESULTS, `${JSON.stringify({ ended: new Date().toISOString(), outcomes })}\n`);
  return judgeCells(readCells(readMatrix()).cells, outcomes);
}

/** When the last such run ended, and each test's outcome; `undefined` where there was none. */
export function readResults() {
  try {
    return JSON.parse(readFileSync(RESULTS, "utf8"));
  } catch {
    return undefined;
  }
}
