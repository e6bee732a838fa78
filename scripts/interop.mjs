// npm run interop: writes docs/interop/README.md from matrix.toml there and the titles of the tests that it names.
// With --check nothing is written; it fails with a line for each thing that does not fit together.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "smol-toml";
import { fileOf, namedTests, readCells, titlesIn, writeMatrix } from "./interop-rules.mjs";
import { auditPage } from "./ledger-rules.mjs";
import { collectTests } from "./ledger-tests.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const pageFile = "docs/interop/README.md";
const mistakesFile = "docs/interop/mistakes.md";

const matrix = parse(read("docs/interop/matrix.toml"));
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
} else writeFileSync(join(root, pageFile), page);

for (const problem of problems) console.error(`interop: ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);

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
