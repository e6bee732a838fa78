import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Tries } from "../../../src/daemon/tries.ts";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-tries-"));
  path = join(folder, "tries");
});
afterEach(() => rmSync(folder, { recursive: true }));

test("after eight tries in a row there is another beginning", () => {
  for (let i = 0; i < 8; i++) new Tries(path).begin();
  expect(() => new Tries(path).begin()).toThrow("it was tried 8 times");
  expect(existsSync(path)).toBe(false);
  new Tries(path).begin();
});

test("what went well does not count, nor what nobody has written", () => {
  for (let i = 0; i < 20; i++) {
    const tries = new Tries(path);
    tries.begin();
    tries.forget();
  }
  writeFileSync(path, "what is this");
  new Tries(path).begin();
});

test("where nothing can be counted nothing is", () => {
  const nowhere = join(folder, "no", "such");
  for (let i = 0; i < 20; i++) new Tries(nowhere).begin();
  expect(existsSync(nowhere)).toBe(false);
});
