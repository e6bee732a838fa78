import { describe, expect, test } from "vitest";
import { namedTests, readCells, titlesIn, writeMatrix } from "../../../scripts/interop-rules.mjs";

const cell = (where: string) => ({ scripted: where });

function matrix(row: Readonly<Record<string, unknown>>) {
  return { features: ["open", "close"], peer: { acme: { title: "Acme", page: "acme.md", ...row } } };
}

describe("the matrix of peers and features", () => {
  test("names tests by file and a part of the title", () => {
    const { cells, problems } = readCells(matrix({ open: cell("peers/acme: Acme: opens"), close: { none: true } }));
    expect(problems).toEqual([]);
    expect(cells).toEqual([
      { peer: "acme", feature: "open", file: "test/interop/peers/acme.test.ts", title: "Acme: opens" },
    ]);
    const there = { file: "test/interop/peers/acme.test.ts", title: "peers > Acme: opens, and more" };
    expect(namedTests(cells, [there])).toEqual([]);
    expect(namedTests(cells, [{ ...there, file: "other" }])).toEqual([
      'acme, open: expected a test of test/interop/peers/acme.test.ts; found none with "Acme: opens"',
    ]);
  });

  test.each([
    [{ opens: cell("a: b") }, 'acme: expected one of the features; found "opens"'],
    [{ open: { maybe: "a: b" } }, 'acme, open: expected real, scripted or none; found {"maybe":"a: b"}'],
    [
      { open: { real: "a: b", none: true } },
      'acme, open: expected real, scripted or none; found {"real":"a: b","none":true}',
    ],
    [{ open: cell("no title") }, 'acme, open: expected "file: part of a title"; found "no title"'],
  ])("%j: %s", (row, problem) => {
    expect(readCells(matrix(row)).problems).toEqual([problem]);
  });

  test("says of each feature how it was tested", () => {
    const page = writeMatrix(matrix({ open: { real: "a: b" } }));
    expect(page).toContain("| peer | open | close |");
    expect(page).toContain("| [Acme](acme.md) | real |  |");
  });
});

test("titles in a page", () => {
  expect(titlesIn('| 1 | conformance/4.2-x: "a, %s"; interop/peers/y: "b" | unit/a/b: "c" |')).toEqual([
    { file: "conformance/4.2-x", title: "a, %s" },
    { file: "interop/peers/y", title: "b" },
    { file: "unit/a/b", title: "c" },
  ]);
});
