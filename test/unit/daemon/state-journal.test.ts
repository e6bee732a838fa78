import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { JournalError, StateJournal } from "../../../src/daemon/state-journal.ts";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-state-"));
  path = join(folder, "state");
});
afterEach(() => rmSync(folder, { recursive: true }));

const journal = (boot = "boot") => new StateJournal(path, boot);

/** What the next process finds. */
const found = () => {
  const records = journal().read();
  return records === undefined ? undefined : [...records];
};

describe("the state's file", () => {
  test("is not there at first, and nobody else's business then", () => {
    expect(found()).toBeUndefined();
    const written = journal();
    written.append([["a", 1]]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    written.remove();
    expect(found()).toBeUndefined();
  });

  test("has what was written last of everything", () => {
    const written = journal();
    written.append([
      ["a", { octets: Uint8Array.of(1, 2), at: 1.5, none: undefined }],
      ["b", "gone"],
    ]);
    written.append([["b", undefined]]);
    written.append([
      ["a", { octets: Uint8Array.of(3), at: Number.POSITIVE_INFINITY }],
      ["c", new Map([[1, "one"]])],
    ]);
    expect(found()).toEqual([
      ["a", { octets: Uint8Array.of(3), at: Number.POSITIVE_INFINITY }],
      ["c", new Map([[1, "one"]])],
    ]);
  });

  test("does not grow where nothing changes, and not beyond bounds where something does", () => {
    const written = journal();
    written.append([["a", "same"]]);
    const { size } = statSync(path);
    written.append([["a", "same"]]);
    written.append([["never there", undefined]]);
    expect(statSync(path).size).toBe(size);
    for (let i = 0; i < 3_000; i++) written.append([["b", `${i} ${"x".repeat(2_000)}`]]);
    expect(statSync(path).size).toBeLessThan(1.2e6);
    expect(found()?.map(([key]) => key)).toEqual(["a", "b"]);
  });

  test("cut off anywhere has what was whole by then", () => {
    const written = journal();
    for (const value of [1, 2, 3]) written.append([["a", value]]);
    const octets = readFileSync(path);
    const values = new Set<unknown>();
    for (let length = 0; length <= octets.length; length++) {
      writeFileSync(path, octets.subarray(0, length));
      try {
        values.add(found()?.[0]?.[1] ?? "none");
      } catch (error) {
        expect(error).toBeInstanceOf(JournalError);
      }
    }
    expect([...values]).toEqual(["none", 1, 2, 3]);
  });

  test("with any octet changed is of no use, or as if it had ended there", () => {
    const written = journal();
    for (const value of [1, 2, 3]) written.append([["a", value]]);
    const octets = readFileSync(path);
    for (let at = 0; at < octets.length; at++) {
      const damaged = Buffer.from(octets);
      damaged[at] = (damaged[at] ?? 0) ^ 0x80;
      writeFileSync(path, damaged);
      try {
        expect([undefined, 1, 2]).toContain(found()?.[0]?.[1]);
      } catch (error) {
        expect(error).toBeInstanceOf(JournalError);
      }
    }
  });

  test("of another boot, and what is no state at all, is of no use", () => {
    journal("yesterday").append([["a", 1]]);
    expect(found).toThrow("it is from before the machine was booted");
    writeFileSync(path, "hello, world: this is no state of anything");
    expect(found).toThrow(JournalError);
    rmSync(path);
    expect(() => new StateJournal(folder, "boot").read()).toThrow(JournalError);
  });

  test("that cannot be written says so, and what comes later is whole again", () => {
    const written = journal();
    written.append([["a", 1]]);
    rmSync(folder, { recursive: true });
    const elsewhere = new StateJournal(join(folder, "no", "such"), "boot");
    expect(() => elsewhere.append([["a", 1]])).toThrow(/ENOENT/);
    folder = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-state-"));
  });
});
