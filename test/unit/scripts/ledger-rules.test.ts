import { describe, expect, test } from "vitest";
import {
  auditPage,
  auditSources,
  auditTests,
  idsIn,
  readRequirements,
  skipsIn,
  writePage,
} from "../../../scripts/ledger-rules.mjs";

const DOCUMENT = {
  sections: { A: "Messages", E: "Machines" },
  A: { A01: ["6.1", "SCCRQ"], A02: ["6.2", "SCCRP"] },
  E: { E40: ["7.3.2", "idle"], E41: ["7.3.2", "wait-connect"], E42: ["7.3.2", "established"] },
  untested: { A02: "nobody sends it" },
};
const file = "test/conformance/x.test.ts";
const TESTS = [
  { file, title: "A01 an SCCRQ" },
  { file, title: "E40-E42 every cell" },
];

function problemsOf(document: object, tests = TESTS): readonly string[] {
  return auditTests(readRequirements({ ...DOCUMENT, ...document }), tests).problems;
}

describe("the ledger of requirements", () => {
  test("has nothing to say when each id has either a test or a reason", () => {
    expect(problemsOf({})).toEqual([]);
  });

  test("fails on an id with neither test nor reason", () => {
    expect(problemsOf({ untested: {} })).toEqual([
      "A02 (6.2): expected a test that names it, or a reason in [untested]; found neither",
    ]);
    expect(problemsOf({}, TESTS.slice(1))).toEqual([
      "A01 (6.1): expected a test that names it, or a reason in [untested]; found neither",
    ]);
  });

  test("fails on an id with both", () => {
    expect(problemsOf({ untested: { ...DOCUMENT.untested, A01: "lazy" } })).toEqual([
      'A01 (6.1): expected either a test or a reason in [untested]; found "A01 an SCCRQ" and the reason',
    ]);
  });

  test("fails on a title that names an id that does not exist", () => {
    const stray = { file, title: "block > A01 A99 something" };
    expect(problemsOf({}, [...TESTS, stray])).toEqual([
      `${file}: "block > A01 A99 something": expected an id of requirements.toml; found A99`,
    ]);
  });

  test.each([
    [{ untested: { ...DOCUMENT.untested, A77: "why" } }, "[untested] A77: expected an id of a section"],
    [{ untested: { A02: " " } }, '[untested] A02: expected a reason; found " "'],
    [{ A: { ...DOCUMENT.A, E43: ["1", "x"] } }, "[A] E43: expected ids like A01"],
    [{ A: { ...DOCUMENT.A, A1: ["1", "x"] } }, "[A] A1: expected ids like A01"],
    [{ A: { ...DOCUMENT.A, A01: ["6.1"] } }, 'A01: expected ["clause", "words"]; found ["6.1"]'],
    [{ A: { ...DOCUMENT.A, A01: "6.1 SCCRQ" } }, 'A01: expected ["clause", "words"]; found "6.1 SCCRQ"'],
    [{ sections: { A: "Messages" } }, "[E]: expected its title in [sections]"],
  ])("fails on a table with a flaw (%#)", (change, complaint) => {
    expect(problemsOf(change).join("\n")).toContain(complaint);
  });
});

// The ids of these examples stay out of the titles: the ledger reads this file too.
describe("ids in a title", () => {
  const known = new Set(["E40", "E41", "E42", "B99", "B100", "A01"]);

  test.each([
    ["A01, E40: x", ["A01", "E40"]],
    ["A01 E40", ["A01", "E40"]],
    ["E40-E42 every cell", ["E40", "E41", "E42"]],
    ["E40–42 every cell", ["E40", "E41", "E42"]],
    ["block B99 > row of B100", ["B99", "B100"]],
    // Between the two, only what there is; the ends are there or are a mistake.
    ["B98-B100", ["B98", "B99", "B100"]],
    ["A01 twice A01", ["A01"]],
    ["c0ffee BA01 A1 A0123 J01 HMAC-MD5", []],
  ])("are found (%#)", (title, ids) => {
    expect(idsIn(title, known)).toEqual(ids);
  });
});

describe("tests that do not run", () => {
  test.each([
    "test.skip",
    "it.todo",
    "describe.only",
    "test.fails",
    "describe.skipIf",
    "test.runIf",
    "test.concurrent.skip",
    "context.skip",
    "skip: true",
    ".skip(",
    '["skip"]',
    "{ skip: never }) =>",
  ])("%s is found with its line", (found) => {
    const source = `import { test } from "vitest";\n\n  ${found}("x", () => {});\n`;
    expect(skipsIn(source)).toEqual([{ line: 3, found }]);
    expect(auditSources([{ file, source }])).toEqual([`${file}:3: expected tests that always run; found ${found}`]);
  });

  test("what only looks like it is let be", () => {
    const source = 'test.each([1])("only %i", skipped);\nrows.skip(1);\nconst options = { only: "lower" };';
    expect(skipsIn(source)).toEqual([]);
  });
});

describe("the page", () => {
  const { sections } = auditTests(readRequirements(DOCUMENT), [
    ...TESTS,
    { file, title: "block > A01, E40: a | b" },
    { file: "test/unit/control/y.test.ts", title: "A01 elsewhere" },
  ]);
  const page = writePage(sections);

  test("has the totals, and for each id its tests, of every file one first, or the reason", () => {
    expect(page).toContain("5 requirements: 4 with 4 tests, 1 without.");
    expect(page).toContain("| A Messages | 2 | 1 | 1 |");
    expect(page).toContain("| A01 | 6.1 | SCCRQ | x: an SCCRQ<br>unit/control/y: elsewhere<br>and 1 more |");
    expect(page).toContain("| A02 | 6.2 | SCCRP | _nobody sends it_ |");
    expect(page).toContain("| E40 | 7.3.2 | idle | x: every cell<br>x: a \\| b |");
  });

  test("is found stale, with the line that differs", () => {
    expect(auditPage("README.md", page, page)).toEqual([]);
    expect(auditPage("README.md", page, undefined)).toHaveLength(1);
    expect(auditPage("README.md", page, page.replace("| 5 ", "| 4 ").replace("5 requ", "4 requ"))).toEqual([
      expect.stringMatching(/^README\.md:\d+: expected what `npm run ledger` writes, "5 requ.*; found "4 requ/),
    ]);
    expect(auditPage("README.md", page, page.slice(0, -20))).toHaveLength(1);
  });
});
