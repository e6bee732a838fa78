import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseSite } from "../../../src/config/load.ts";
import { differences } from "../../../src/daemon/site-differences.ts";
import { complaint } from "./complaint.ts";

let directory: string;
let hook: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "hooks-"));
  hook = join(directory, "hook");
  writeFileSync(hook, "#!/bin/sh\n");
  chmodSync(hook, 0o755);
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const toml = (path: string, rest = "") => `[hooks]\ntunnel-up = ["${path}", "now"]\n${rest}`;

test("executables, arguments and timeout are as the file has them", () => {
  const { hooks } = parseSite(toml(hook, `circuit-status = ["${hook}"]\ntimeout = "2s"`), "site.toml");
  expect(hooks).toEqual({ commands: { "tunnel-up": [hook, "now"], "circuit-status": [hook] }, timeoutMs: 2_000 });
});

test("what differs from another file is named as the file names it", () => {
  const [one, other] = [toml(hook), toml(hook, 'timeout = "2s"').replace("now", "then")].map((text) =>
    parseSite(`${text}\n[lcce]\nmetrics = "127.0.0.1:${text.length + 9_000}"`, "site.toml"),
  );
  expect(differences(Object(one), Object(other))).toEqual(["lcce.metrics", "hooks.tunnel-up", "hooks.timeout"]);
});

describe("what cannot be run, or what others could put theirs in the place of, is an error that names the line", () => {
  const ROWS: readonly (readonly [what: string, spoil: () => void, words: string])[] = [
    ["one that is not there", () => rmSync(hook), "cannot be run: ENOENT: no such file or directory, lstat"],
    [
      "a directory",
      () => {
        rmSync(hook);
        mkdirSync(hook);
      },
      "is no file",
    ],
    ["one without the right to run it", () => chmodSync(hook, 0o644), "is not executable (chmod +x)"],
    ["one that others can write", () => chmodSync(hook, 0o757), "can be written by others (chmod o-w)"],
    [
      "one in a directory that others can write",
      () => chmodSync(directory, 0o777),
      "which can be written by others (chmod o-w)",
    ],
  ];
  test.each(ROWS)("%s", (_, spoil, words) => {
    spoil();
    const said = complaint(toml(hook));
    expect(said).toMatch(/^site\.toml:2: hooks\.tunnel-up: /);
    expect(said).toContain(`${hook} `);
    expect(said).toContain(words);
  });

  test("a link counts for what it leads to", () => {
    const link = join(directory, "link");
    symlinkSync(hook, link);
    expect(parseSite(toml(link), "site.toml").hooks.commands).toEqual({ "tunnel-up": [link, "now"] });
    chmodSync(hook, 0o777);
    expect(complaint(toml(link))).toContain("can be written by others");
  });

  test("a directory that others can write is no harm where the sticky bit keeps them from replacing", () => {
    chmodSync(directory, 0o1777);
    expect(parseSite(toml(hook), "site.toml").hooks.commands).toEqual({ "tunnel-up": [hook, "now"] });
  });

  test.runIf(process.getuid?.() === 0)("one that belongs to somebody else", () => {
    chownSync(hook, 65_534, 65_534);
    expect(complaint(toml(hook))).toContain("belongs to another user (uid 65534)");
  });
});
