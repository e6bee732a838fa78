// npm run ledger: writes test/conformance/README.md from requirements.toml and the titles of all tests.
// With --check nothing is written; it fails with a line for each thing that does not fit together.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "smol-toml";
import { createVitest } from "vitest/node";
import { auditPage, auditSources, auditTests, readRequirements, writePage } from "./ledger-rules.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const requirementsFile = "test/conformance/requirements.toml";
const pageFile = "test/conformance/README.md";
const files = readdirSync(join(root, "test"), { recursive: true })
  .filter((file) => file.endsWith(".test.ts"))
  .map((file) => `test/${file}`)
  .sort();

const requirements = readRequirements(parse(read(requirementsFile)));
const titles = await collect(files.filter((file) => /[A-I]\d\d/.test(read(file))));
const { sections, problems } = auditTests(requirements, titles);
const page = laidOut(writePage(sections));
problems.push(...auditSources(files.filter(isConformance).map((file) => ({ file, source: read(file) }))));
if (process.argv.includes("--check")) problems.push(...auditPage(pageFile, page, readIfThere(pageFile)));
else writeFileSync(join(root, pageFile), page);

for (const problem of problems) console.error(`ledger: ${problem}`);
if (problems.length > 0) console.error(`ledger: ${problems.length} problems`);
process.exit(problems.length > 0 ? 1 : 0);

/** The titles that Vitest gives the tests, those made from tables too. Nothing is run. */
async function collect(wanted) {
  // One worker for all files: what they share is loaded once, which takes a tenth of the time.
  const options = { root, watch: false, isolate: false, pool: "threads", maxWorkers: 1, reporters: [{}] };
  const vitest = await createVitest("test", options);
  const { testModules, unhandledErrors } = await vitest.collect(wanted);
  const errors = [...unhandledErrors, ...testModules.flatMap((module) => module.errors())];
  if (errors.length > 0 || testModules.length < wanted.length) {
    for (const error of errors) console.error(`ledger: ${error.message}`);
    throw new Error(`expected the tests of ${wanted.length} files; found ${testModules.length}, see above`);
  }
  const tests = testModules.flatMap((module) => {
    const file = relative(root, module.moduleId);
    return Array.from(module.children.allTests(), (test) => ({ file, title: titleOf(test.fullName) }));
  });
  await vitest.close();
  return tests.sort((a, b) => files.indexOf(a.file) - files.indexOf(b.file));
}

/** Interoperability tests say in their titles what this machine lacks, which is no part of the page. */
function titleOf(fullName) {
  return fullName.replace(/ \(skipped: [^)]*\)/, "");
}

function isConformance(file) {
  return file.startsWith("test/conformance/");
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
