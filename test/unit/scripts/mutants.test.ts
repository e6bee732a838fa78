import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

interface MutantList {
  readonly first: readonly string[];
  readonly mutants: readonly Readonly<Record<"file" | "find" | "replace" | "why", string>>[];
}

const root = join(import.meta.dirname, "../../..");
const lists = readdirSync(join(root, "test/mutants")).filter((file) => file.endsWith(".json"));

describe.each(lists)("the mutants of %s", (list) => {
  const { first, mutants }: MutantList = JSON.parse(readFileSync(join(root, "test/mutants", list), "utf8"));

  test("each change a text that stands in its source once", () => {
    const misfits = mutants.flatMap(({ file, find, replace, why }) => {
      const occurrences = readFileSync(join(root, file), "utf8").split(find).length - 1;
      return occurrences === 1 && find !== replace ? [] : [`${file}: ${why}: there ${occurrences} times`];
    });
    expect(misfits).toEqual([]);
  });

  test("meet tests that exist", () => {
    expect(first.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });
});
