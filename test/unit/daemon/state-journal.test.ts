import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
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

/** The same, or that it is of no use. */
const outcome = () => {
  try {
    return found();
  } catch (error) {
    expect(error).toBeInstanceOf(JournalError);
    return "useless";
  }
};

type Commit = Readonly<Record<string, unknown>>;

/** Each of several records; `undefined`: gone. */
const COMMITS = fc.array(
  fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.option(fc.uint8Array({ maxLength: 9 }), { nil: undefined })),
  { minLength: 1, maxLength: 5 },
);

/** What the file says after each commit, and how long it is then. */
function statesAfter(commits: readonly Commit[], written: StateJournal) {
  const states = [{ "first of all": true }, ...commits].map((commit) => {
    written.append(Object.entries(commit));
    return { size: statSync(path).size, records: found() };
  });
  written.close();
  return states;
}

/** So that all that comes before is written once more when the next commit comes. */
function renewed(written: StateJournal): StateJournal {
  for (const key of ["x", "y"]) written.append([[key, key]]);
  written.close();
  return written;
}

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

  test("has a commit as a whole or not at all", () => {
    const written = journal();
    written.append([
      ["session", "wait-connect"],
      ["message 1", "ICCN"],
      ["connection", { ns: 1, waiting: [1] }],
    ]);
    const before = found();
    written.append([
      ["session", "established"],
      ["message 1", undefined],
      ["connection", { ns: 2, waiting: [] }],
    ]);
    truncateSync(path, statSync(path).size - 3);
    expect(found()).toEqual(before);
  });

  test.each([
    ["grown", (written: StateJournal) => written],
    ["written anew", renewed],
  ])("cut off anywhere is as it was at the commit before: %s", (_, prepared) => {
    fc.assert(
      fc.property(COMMITS, (commits) => {
        const states = statesAfter(commits, prepared(journal()));
        const octets = readFileSync(path);
        for (let length = 0; length <= octets.length; length++) {
          writeFileSync(path, octets.subarray(0, length));
          const expected = states.findLast(({ size }) => size <= length);
          expect(outcome()).toEqual(expected?.records ?? "useless");
        }
      }),
      { numRuns: 5 },
    );
  });

  test.each([
    ["grown", (written: StateJournal) => written],
    ["written anew", renewed],
  ])("with any octet changed is of no use, the last ones included: %s", (_, prepared) => {
    const any = fc.tuple(COMMITS, fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(any, ([commits, change]) => {
        statesAfter(commits, prepared(journal()));
        const octets = readFileSync(path);
        for (let at = 0; at < octets.length; at++) {
          const damaged = Buffer.from(octets);
          damaged[at] = (damaged[at] ?? 0) ^ change;
          writeFileSync(path, damaged);
          expect(outcome(), `octet ${at}`).toBe("useless");
        }
      }),
      { numRuns: 5 },
    );
  });

  test.each([
    ["lost", ([head, one, , three]: readonly Buffer[]) => [head, one, three]],
    ["twice there", ([head, one, two, three]: readonly Buffer[]) => [head, one, two, two, three]],
    ["in another's place", ([head, one, two, three]: readonly Buffer[]) => [head, two, one, three]],
    ["zeros", ([head, one, two]: readonly Buffer[]) => [head, one, two, Buffer.alloc(100)]],
  ])("is of no use with a commit that is %s", (_, moved) => {
    const sizes = statesAfter([{ a: 1 }, { a: 2 }, { a: 3 }], journal()).map(({ size }) => size);
    const octets = readFileSync(path);
    const parts = sizes.map((size, index) => octets.subarray(sizes[index - 1] ?? 0, size));
    writeFileSync(path, Buffer.concat(parts));
    expect(new Map(found()).get("a")).toBe(3);
    writeFileSync(path, Buffer.concat(moved(parts).filter((part) => part !== undefined)));
    expect(outcome()).toBe("useless");
  });

  test("grows by little with a commit that changes little", () => {
    const written = journal();
    written.append(Array.from({ length: 1_000 }, (_, index) => [`session ${index}`, { state: "idle" }]));
    const { size } = statSync(path);
    written.append([["session 7", { state: "established" }]]);
    expect(statSync(path).size - size).toBeLessThan(100);
  });

  test("of another boot, and what is no state at all, is of no use", () => {
    journal("yesterday").append([["a", 1]]);
    expect(found).toThrow("it is from before the machine was booted");
    writeFileSync(path, "hello, world: this is no state of anything");
    expect(found).toThrow(JournalError);
    writeFileSync(path, "");
    expect(found).toThrow(JournalError);
    rmSync(path);
    expect(() => new StateJournal(folder, "boot").read()).toThrow(JournalError);
  });

  test("of another format says so, whatever follows", () => {
    journal().append([["a", 1]]);
    const octets = readFileSync(path);
    writeFileSync(path, octets.toString("latin1").replace(/ \d+\n/, " 2\n"), "latin1");
    expect(found).toThrow("it has another format");
  });

  test("that cannot be written says so, and what comes later is whole again", () => {
    const elsewhere = join(folder, "not", "there", "yet");
    path = join(elsewhere, "state");
    const written = journal();
    expect(() => written.append([["a", 1]])).toThrow(/ENOENT/);
    mkdirSync(elsewhere, { recursive: true });
    written.append([["b", 2]]);
    expect(found()).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
  });

  test("has everything after a commit that could not be told to its end", () => {
    const written = journal();
    written.append([["a", 1]]);
    const broken = function* (): Generator<readonly [string, unknown]> {
      yield ["b", 2];
      throw new Error("no more");
    };
    expect(() => written.append(broken())).toThrow("no more");
    expect(found()).toEqual([["a", 1]]);
    written.append([["c", 3]]);
    expect(found()?.map(([key]) => key)).toEqual(["a", "b", "c"]);
  });

  test("that cannot be written anew leaves nothing beside it", () => {
    mkdirSync(path);
    expect(() => journal().append([["a", 1]])).toThrow(/EISDIR/);
    expect(readdirSync(folder)).toEqual(["state"]);
  });
});
