import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RecordingFile } from "../../../src/daemon/recording-file.ts";

let directory: string;
let path: string;
const failures: string[] = [];
const failed = ({ message }: Error) => failures.push(message);
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "recording-"));
  path = join(directory, "a.recording");
  failures.length = 0;
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("the file of a recording", () => {
  test("is its owner's alone, and holds each line when the loop has turned", async () => {
    const file = RecordingFile.create(path, failed);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    file.append("one");
    file.append("two");
    expect(readFileSync(path, "utf8")).toBe("");
    await nextTurn();
    expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");
    file.append("three");
    file.close();
    expect(readFileSync(path, "utf8")).toBe("one\ntwo\nthree\n");
    expect([file.open, failures]).toEqual([false, []]);
  });

  test("many lines do not wait", () => {
    const file = RecordingFile.create(path, failed);
    for (let count = 0; count < 1_000; count++) file.append("x".repeat(999));
    expect(statSync(path).size).toBeGreaterThan(700_000);
    file.close();
    expect(statSync(path).size).toBe(1_000_000);
  });

  test("nothing that is there is overwritten", () => {
    writeFileSync(path, "precious");
    expect(() => RecordingFile.create(path, failed)).toThrow(
      `recording ${path}: there is a file of that name already, and it is left as it is`,
    );
    expect(readFileSync(path, "utf8")).toBe("precious");
  });

  test("a place that cannot be written is named", () => {
    const nowhere = join(directory, "missing", "a.recording");
    expect(() => RecordingFile.create(nowhere, failed)).toThrow(`recording ${nowhere}: ENOENT`);
  });

  test("without a line it is removed again", () => {
    const file = RecordingFile.create(path, failed);
    file.close();
    expect(existsSync(path)).toBe(false);
  });

  test("what goes wrong at the end is told, and goes no further", () => {
    const file = RecordingFile.create(path, failed);
    rmSync(path);
    file.close();
    expect(failures).toEqual([expect.stringContaining("ENOENT")]);
  });

  test("a full disk is told once, and nothing is taken any more", async () => {
    const file = new RecordingFile("/dev/full", openSync("/dev/full", "w"), failed);
    file.append("one");
    await nextTurn();
    expect([file.open, failures]).toEqual([false, ["ENOSPC: no space left on device, write"]]);
    file.append("two");
    file.close();
    await nextTurn();
    expect(failures.length).toBe(1);
  });
});
