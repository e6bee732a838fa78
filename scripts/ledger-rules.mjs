// What the ledger of requirements has to fulfil, and how it reads. Nothing here touches a file.

/** Ids are a section's letter and two or three digits; "E40-E42" and "E40–42" stand for all ids between. */
const ID = /\b([A-I])(\d{2,3})\b(?:\s?[-–]\s?(?:\1)?(\d{2,3})\b)?/g;

/** Words that keep a test from running, or let it pass by failing. */
const FORBIDDEN = [
  /\b(?:test|it|describe|suite|context|ctx|task)\b[\w.]*\.(?:skip|todo|only|fails|skipIf|runIf)\b/,
  /(?<![.\w])(?:skip|todo|only|fails)\s*:\s*true\b/,
  /(?<![.\w])(?:skip|skipIf|runIf)\(/,
  // Whatever a test calls its context. Numbers are skipped by others.
  /\.skip\(\s*(?!\s*\d)/,
  /\[\s*["'`]skip["'`]\s*\]/,
  /\{[^{}]*\bskip\b[^{}]*\}\s*\)\s*=>/,
];

const TITLES_PER_ROW = 2;
const TITLE_LENGTH = 72;

/**
 * From the parsed requirements.toml: sections of rows, and what is wrong with its form.
 */
export function readRequirements(document) {
  const { sections: titles = {}, untested = {}, ...tables } = document;
  const problems = [];
  const sections = Object.entries(tables).map(([letter, table]) => {
    if (titles[letter] === undefined) problems.push(`[${letter}]: expected its title in [sections]; found none`);
    const rows = Object.entries(table).map(([id, entry]) => {
      if (!isId(id, letter)) problems.push(`[${letter}] ${id}: expected ids like ${letter}01; found ${id}`);
      const [clause, what] = Array.isArray(entry) ? entry : [];
      if (!isText(clause) || !isText(what) || entry.length !== 2) {
        problems.push(`${id}: expected ["clause", "words"]; found ${JSON.stringify(entry)}`);
      }
      return { id, clause, what, reason: untested[id] };
    });
    return { letter, title: titles[letter], rows };
  });
  const known = new Set(sections.flatMap(({ rows }) => rows.map(({ id }) => id)));
  for (const [id, reason] of Object.entries(untested)) {
    if (!known.has(id)) problems.push(`[untested] ${id}: expected an id of a section; found none of that name`);
    if (!isText(reason)) problems.push(`[untested] ${id}: expected a reason; found ${JSON.stringify(reason)}`);
  }
  return { sections, problems };
}

function isId(id, letter) {
  return /^[A-I]\d{2,3}$/.test(id) && id.startsWith(letter);
}

function isText(value) {
  return typeof value === "string" && value.trim() !== "";
}

/** The ids that a title names; those within a range that are not `known` are left out, its ends never. */
export function idsIn(title, known) {
  const ids = new Set();
  for (const [, letter, first, last = first] of title.matchAll(ID)) {
    for (let number = Number(first); number <= Number(last); number++) {
      const id = letter + String(number).padStart(2, "0");
      if (known.has(id) || number === Number(first) || number === Number(last)) ids.add(id);
    }
  }
  return [...ids];
}

/** Where a source keeps its tests from running: `{ line, found }`. */
export function skipsIn(source) {
  return source.split("\n").flatMap((text, index) => {
    const found = FORBIDDEN.map((pattern) => pattern.exec(text)?.[0]).find((match) => match !== undefined);
    return found === undefined ? [] : [{ line: index + 1, found }];
  });
}

/**
 * What Vitest, having read all options, aliases and conditions, will not run of a test as a test: its own mode and those
 * of the suites around it, and whether it is to fail. `test`: a collected TestCase.
 */
export function hindrancesOf(test) {
  const found = new Set();
  for (let task = test; task !== undefined; task = task.parent) {
    const { mode = "run", fails = false } = task.options ?? {};
    if (mode !== "run") found.add(mode);
    if (fails) found.add("fails");
  }
  return [...found];
}

/** A line for each test that does not run. `tests`: `{ file, title, hindrances }`. */
export function auditModes(tests) {
  return tests
    .filter(({ hindrances }) => hindrances.length > 0)
    .map(({ file, title, hindrances }) => {
      return `${file}: "${title}": expected a test that always runs; found ${hindrances.join(", ")}`;
    });
}

/**
 * Joins requirements and tests. `tests`: every `{ file, title }` there is, describe blocks included in the title.
 * Returns the rows with their tests, and a line for each problem: what was expected and what was found.
 */
export function auditTests({ sections, problems: formProblems }, tests) {
  const problems = [...formProblems];
  const byId = new Map(sections.flatMap(({ rows }) => rows.map((row) => [row.id, { ...row, tests: [] }])));
  for (const test of tests) {
    for (const id of idsIn(test.title, byId)) {
      const row = byId.get(id);
      if (row !== undefined) row.tests.push(test);
      else problems.push(`${test.file}: "${test.title}": expected an id of requirements.toml; found ${id}`);
    }
  }
  problems.push(...Array.from(byId.values(), unproven).filter((problem) => problem !== undefined));
  const audited = sections.map((section) => ({ ...section, rows: section.rows.map(({ id }) => byId.get(id)) }));
  return { sections: audited, problems };
}

function unproven({ id, clause, reason, tests: [first] }) {
  if (first === undefined && reason === undefined) {
    return `${id} (${clause}): expected a test that names it, or a reason in [untested]; found neither`;
  }
  if (first === undefined || reason === undefined) return undefined;
  return `${id} (${clause}): expected either a test or a reason in [untested]; found "${first.title}" and the reason`;
}

/** A line for each way in which conformance tests do not run. `sources`: `{ file, source }`. */
export function auditSources(sources) {
  return sources.flatMap(({ file, source }) =>
    skipsIn(source).map(({ line, found }) => `${file}:${line}: expected tests that always run; found ${found}`),
  );
}

/** A line if the page is not the one that the ledger would write. */
export function auditPage(file, expected, found) {
  if (expected === found) return [];
  if (found === undefined) return [`${file}: expected what \`npm run ledger\` writes; found no such file`];
  const [expectedLines, foundLines] = [expected.split("\n"), found.split("\n")];
  const index = foundLines.findIndex((line, i) => line !== expectedLines[i]);
  const line = index < 0 ? foundLines.length : index;
  const [wanted, got] = [expectedLines[line], foundLines[line]].map((text) => shorten(text ?? "the end"));
  return [`${file}:${line + 1}: expected what \`npm run ledger\` writes, "${wanted}"; found "${got}"`];
}

/** The page in Markdown, not yet laid out. */
export function writePage(sections) {
  const rows = sections.flatMap((section) => section.rows);
  const tested = rows.filter(({ tests }) => tests.length > 0);
  const titles = new Set(tested.flatMap(({ tests }) => tests.map(({ file, title }) => `${file} ${title}`)));
  return [
    "# Conformance",
    "Written by `npm run ledger` from [requirements.toml](requirements.toml) and the titles of all tests; do not edit.",
    "Each requirement of RFC 3931 and its extensions has an id, which the titles of its tests name. What has no test has",
    "a reason. A clause without an RFC is of RFC 3931; “practice” is what known implementations need.",
    "",
    `${rows.length} requirements: ${tested.length} with ${titles.size} tests, ${rows.length - tested.length} without.`,
    "",
    "| section | requirements | with tests | without |",
    "| --- | --- | --- | --- |",
    ...sections.map(summaryLine),
    ...sections.flatMap(sectionLines),
    "",
  ].join("\n");
}

function summaryLine({ letter, title, rows }) {
  const tested = rows.filter(({ tests }) => tests.length > 0).length;
  return `| ${letter} ${title} | ${rows.length} | ${tested} | ${rows.length - tested} |`;
}

function sectionLines({ letter, title, rows }) {
  const head = ["", `## ${letter} ${title}`, "", "| id | clause | what | tests |", "| --- | --- | --- | --- |"];
  return [...head, ...rows.map((row) => `| ${row.id} | ${row.clause} | ${plain(row.what)} | ${proofOf(row)} |`)];
}

function proofOf({ id, reason, tests }) {
  if (tests.length === 0) return `_${plain(reason ?? "missing")}_`;
  const shown = spreadOverFiles(tests).slice(0, TITLES_PER_ROW);
  const more = tests.length - shown.length;
  const lines = shown.map(({ file, title }) => `${shortFile(file)}: ${plain(shortTitle(id, title))}`);
  return [...lines, ...(more > 0 ? [`and ${more} more`] : [])].join("<br>");
}

/** The first title of each file, then the second of each, and so on. */
function spreadOverFiles(tests) {
  const seen = new Map();
  const ranked = tests.map((test, index) => {
    const rank = seen.get(test.file) ?? 0;
    seen.set(test.file, rank + 1);
    return { test, rank, index };
  });
  return ranked.sort((a, b) => a.rank - b.rank || a.index - b.index).map(({ test }) => test);
}

function shortFile(file) {
  return file.replace(/^test\/(conformance\/)?/, "").replace(/\.test\.ts$/, "");
}

/** From the block that names the id, without the ids that it begins with. */
function shortTitle(id, title) {
  const blocks = title.split(" > ");
  const index = blocks.findIndex((block) => block.includes(id));
  const [first, ...rest] = blocks.slice(Math.max(0, index));
  return shorten([first.replace(/^(?:[A-I]\d{2,3}[\s,:&–-]*(?:and )?)+/, ""), ...rest].join(": "));
}

function shorten(text) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= TITLE_LENGTH ? line : `${line.slice(0, TITLE_LENGTH - 1).trimEnd()}…`;
}

/** Text that Markdown takes for nothing else. */
function plain(text) {
  return text.replace(/[\\|*_<>`[\]~]/g, "\\$&");
}
