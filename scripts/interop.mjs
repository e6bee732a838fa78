// npm run interop: writes docs/interop/README.md from matrix.toml there, which names a test for each cell, and prints what
// the last `npm test` has shown of them. With --check nothing is written or printed; it fails with a line for each thing
// that does not fit together.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readMatrix, readResults } from "./interop-results.mjs";
import { fileOf, judgeCells, namedTests, readCells, titlesIn, writeMatrix, writeResults } from "./interop-rules.mjs";
import { auditPage } from "./ledger-rules.mjs";
import { collectTests } from "./ledger-tests.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const pageFile = "docs/interop/README.md";
const mistakesFile = "docs/interop/mistakes.md";

const matrix = readMatrix();
const { cells, problems } = readCells(matrix);
const files = [...new Set(cells.map(({ file }) => file))].sort();
const missing = files.filter((file) => !existsSync(join(root, file)));
problems.push(...missing.map((file) => `matrix.toml: expected a test file; found no ${file}`));
const tests = await collectTests(
  root,
  files.filter((file) => !missing.includes(file)),
);
problems.push(...namedTests(cells, tests));
problems.push(...titlesIn(read(mistakesFile)).flatMap(missingTitle));
const page = laidOut(writeMatrix(matrix));
if (process.argv.includes("--check")) {
  // The words are those of the ledger: it is the same kind of page.
  problems.push(
    ...auditPage(pageFile, page, existsSync(join(root, pageFile)) ? read(pageFile) : undefined).map((line) =>
      line.replaceAll("npm run ledger", "npm run interop"),
    ),
  );
} else {
  writeFileSync(join(root, pageFile), page);
  problems.push(...printResults());
}

for (const problem of problems) console.error(`interop: ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);

/** Returns a line for each cell whose test failed. */
function printResults() {
  const results = readResults();
  if (results === undefined) {
    console.log("interop: no results yet: npm test without a filter leaves them");
    return [];
  }
  const judged = judgeCells(cells, results.outcomes);
  console.log(`interop: what npm test has shown, ${results.ended}\n\n${laidOut(writeResults(matrix, judged))}`);
  return judged
    .filter(({ status }) => status === "failed")
    .map(({ peer, feature, file, title }) => `${peer}, ${feature}: failed: ${file}: ${title}`);
}

/** Titles there stand as in the source, so those of tables have their placeholders. */
function missingTitle({ file: short, title }) {
  const file = fileOf(short);
  if (!existsSync(join(root, file))) return [`${mistakesFile}: expected a test file; found no ${file}`];
  return read(file).includes(title) ? [] : [`${mistakesFile}: expected a test of ${file}; found none with "${title}"`];
}

function laidOut(markdown) {
  const biome = join(root, "node_modules/@biomejs/biome/bin/biome");
  const options = { cwd: root, input: markdown, encoding: "utf8" };
  return execFileSync(process.execPath, [biome, "format", `--stdin-file-path=${pageFile}`], options);
}

function read(file) {
  return readFileSync(join(root, file), "utf8");
}
