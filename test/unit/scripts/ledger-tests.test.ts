import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { auditModes } from "../../../scripts/ledger-rules.mjs";
import { collectTests } from "../../../scripts/ledger-tests.mjs";

const directory = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-ledger-"));
symlinkSync(join(import.meta.dirname, "../../../node_modules"), join(directory, "node_modules"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function complaintsAbout(source: string): Promise<readonly string[]> {
  writeFileSync(join(directory, "x.test.ts"), `import { describe, test } from "vitest";\n${source}`);
  const tests = await collectTests(directory, ["x.test.ts"]);
  return auditModes(tests).map((line) => line.replace("expected a test that always runs; ", ""));
}

test("however a test is kept from running, the ledger sees it", async () => {
  const source = `
    const [never, maybe, suites] = [Boolean(1), test, describe];
    const nothing = () => {};
    test("runs", nothing);
    test("option", { skip: never }, nothing);
    test("later", { todo: never }, nothing);
    test("must fail", { fails: never }, nothing);
    maybe.skip("alias", nothing);
    suites("suite", { skip: never }, () => { suites("within", () => { test("inherited", nothing); }); });
    suites[("sk" + "ip") as "skip"]("computed", () => { test("inherited", nothing); });
    maybe.each([1])("row %i", { skip: never }, nothing);
  `;
  expect(await complaintsAbout(source)).toEqual([
    'x.test.ts: "option": found skip',
    'x.test.ts: "later": found todo',
    'x.test.ts: "must fail": found fails',
    'x.test.ts: "alias": found skip',
    'x.test.ts: "suite > within > inherited": found skip',
    'x.test.ts: "computed > inherited": found skip',
    'x.test.ts: "row 1": found skip',
  ]);
});

test("nor do those run that are not the only ones", async () => {
  const source = `const focus = { only: Boolean(1) }; test("a", focus, () => {}); test("b", () => {});`;
  expect(await complaintsAbout(source)).toEqual(['x.test.ts: "b": found skip']);
});
