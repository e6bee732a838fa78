// npm run ledger: writes test/conformance/README.md from requirements.toml and the titles of all tests.
// With --check nothing is written; it fails with a line for each thing that does not fit together.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "smol-toml";
import { auditModes, auditPage, auditSources, auditTests, readRequirements, writePage } from "./ledger-rules.mjs";
import { collectTests } from "./ledger-tests.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const requirementsFile = "test/conformance/requirements.toml";
const pageFile = "test/conformance/README.md";
const files = readdirSync(join(root, "test"), { recursive: true })
  .filter((file) => file.endsWith(".test.ts"))
  .map((file) => `test/${file}`)
  .sort();

const requirements = readRequirements(parse(read(requirementsFile)));
const named = files.filter((file) => isConformance(file) || /[A-I]\d\d/.test(read(file)));
const tests = await collectTests(root, named);
const { sections, problems } = auditTests(requirements, tests);
const page = laidOut(writePage(sections));
problems.push(...auditModes(tests.filter(({ file }) => !isInterop(file))));
problems.push(...auditSources(files.filter(isConformance).map((file) => ({ file, source: read(file) }))));
if (process.argv.includes("--check")) problems.push(...auditPage(pageFile, page, readIfThere(pageFile)));
else writeFileSync(join(root, pageFile), page);

for (const problem of problems) console.error(`ledger: ${problem}`);
if (problems.length > 0) console.error(`ledger: ${problems.length} problems`);
process.exit(problems.length > 0 ? 1 : 0);

function isConformance(file) {
  return file.startsWith("test/conformance/");
}

/** What such a test needs, not every machine has. */
function isInterop(file) {
  return file.startsWith("test/interop/");
}

function laidOut(markdown) {
  const biome = join(root, "node_modules/@biomejs/biome/bin/biome");
  const options = { cwd: root, input: markdown, encoding: "utf8" };
  return execFileSync(process.execPath, [biome, "format", `--stdin-file-path=${pageFile}`], options);
}

function read(file) {
  return readFileSync(join(root, file), "utf8");
}

function readIfThere(file) {
  try {
    return read(file);
  } catch {
    return undefined;
  }
}
