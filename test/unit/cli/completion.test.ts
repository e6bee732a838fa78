import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { COMMAND_WORDS, definitionOf } from "../../../src/cli/command-table.ts";
import { completionScript } from "../../../src/cli/completion.ts";

let directory: string;

/** In the place of the program: it knows three names, one of which is a trap, and says how it was asked. */
const PROGRAM = `#!/bin/sh
echo "$@" >> "$0.asked"
echo paris
if [ "$2" = targets ]; then echo paris/lan42; fi
echo 'pa $(touch trap)'
`;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "completion-"));
  writeFileSync(join(directory, "l2tpv3-lcc"), PROGRAM);
  chmodSync(join(directory, "l2tpv3-lcc"), 0o755);
  for (const shell of ["bash", "zsh"] as const) writeFileSync(join(directory, shell), completionScript(shell));
  for (const file of ["site.toml", "other site.toml"]) writeFileSync(join(directory, file), "");
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What bash offers for the last word. */
function offered(...words: readonly string[]): readonly string[] {
  const script = `source ./bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _l2tpv3_lcc; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const env = { ...process.env, HOME: "/home/me" };
  const text = execFileSync("bash", ["--norc", "-c", script, "bash", "./l2tpv3-lcc", ...words], {
    cwd: directory,
    encoding: "utf8",
    env,
  });
  return text.split("\n").filter((line) => line !== "");
}

describe("bash completes", () => {
  test("commands", () => {
    expect(offered("")).toEqual(COMMAND_WORDS);
    expect(offered("re")).toEqual(["reload", "replay"]);
    expect(offered("--conf", "site.toml", "sh")).toEqual(["show"]);
    expect(offered("--conf", "=", "site.toml", "sh")).toEqual(["show"]);
  });

  test("the options of each command, and no others", () => {
    for (const command of COMMAND_WORDS) {
      const options = definitionOf(command).options.map((name) => `--${name}`);
      expect(offered(command, "--")).toEqual([...options, "--help"]);
    }
    expect(offered("--")).toEqual(["--conf", "--record", "--help", "--version"]);
    expect(offered("show", "--j")).toEqual(["--json"]);
  });

  test("files after an option that takes one, in whole words", () => {
    expect(offered("show", "--conf", "si")).toEqual(["site.toml"]);
    expect(offered("show", "--conf", "=", "o")).toEqual(["other site.toml"]);
    expect(offered("import", "--from", "c")).toEqual(["cisco"]);
    expect(offered("import", "site.toml", "o")).toEqual(["other site.toml"]);
  });

  test("the names of tunnels and sessions, which the shell does not expand", () => {
    expect(offered("show", "tunnel", "p")).toEqual(["paris", "paris/lan42", "pa\\ \\$\\(touch\\ trap\\)"]);
    expect(offered("trace", "paris")).toEqual(["paris"]);
    expect(offered("close", "paris/")).toEqual(["paris/lan42"]);
    expect(offered("show", "t")).toEqual(["tunnels", "tunnel"]);
    expect(offered("show", "p")).toContain("paris/lan42");
    expect(offered("open", "paris", "")).toEqual([]);
    expect(offered("completion", "")).toEqual(["bash", "zsh"]);
    expect(execFileSync("ls", { cwd: directory, encoding: "utf8" })).not.toContain("trap");
  });

  test("the program is asked with what was said of the daemon", () => {
    offered("-c", "~/site.toml", "show", "--json", "tunnel", "p");
    offered("close", "--socket", "=", "/run/a b.sock", "p");
    const asked = execFileSync("tail", ["-n", "2", "l2tpv3-lcc.asked"], { cwd: directory, encoding: "utf8" });
    expect(asked).toBe("names targets -c /home/me/site.toml\nnames targets --socket /run/a b.sock\n");
  });
});

test("the scripts are of the tables: each command is in both", () => {
  for (const shell of ["bash", "zsh"] as const) {
    const script = completionScript(shell);
    for (const command of COMMAND_WORDS) expect(script).toMatch(new RegExp(`^ +\\(${command}\\) `, "m"));
  }
});
