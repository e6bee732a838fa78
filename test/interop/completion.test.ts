import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { COMMAND_WORDS } from "../../src/cli/command-table.ts";

const program = fileURLToPath(new URL("../../dist/bin/main.js", import.meta.url));
const missing = hasZsh() ? "" : " (needs zsh, Debian package zsh)";

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "completion-"));
  const site = '[tunnel.paris]\npeer = "192.0.2.1"\n[tunnel.paris.session.lan42]\n';
  writeFileSync(join(directory, "site.toml"), site);
  for (const shell of ["bash", "zsh"]) {
    const script = execFileSync(process.execPath, [program, "completion", shell], { encoding: "utf8" });
    writeFileSync(join(directory, `_l2tpv3-lcc.${shell}`), script);
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function hasZsh(): boolean {
  try {
    execFileSync("zsh", ["-fc", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function run(shell: string, script: string, words: readonly string[]): readonly string[] {
  const flags = shell === "bash" ? ["--norc", "-c"] : ["-fc"];
  const text = execFileSync(shell, [...flags, script, shell, program, ...words], { cwd: directory, encoding: "utf8" });
  return text.split("\n").filter((line) => line !== "");
}

describe("the real program's completion knows the names of the configuration", () => {
  const CASES: readonly (readonly [words: readonly string[], offered: readonly string[]])[] = [
    [
      ["--conf", "site.toml", "close", ""],
      ["paris", "paris/lan42"],
    ],
    [["trace", "--conf", "site.toml", ""], ["paris"]],
    // Neither a configuration nor a daemon.
    [["trace", "--socket", "./nobody", ""], []],
  ];

  test.each(CASES)("bash: %j", (words, offered) => {
    const script = `source ./_l2tpv3-lcc.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _l2tpv3_lcc; printf '%s\\n' "\${COMPREPLY[@]}"`;
    expect(run("bash", script, words)).toEqual(offered);
  });

  describe.skipIf(missing !== "")(`zsh${missing}`, () => {
    // What the completion system would be asked to show is printed.
    const script = `
      compdef() { : }
      compadd() { shift; (( $# )) && print -rl -- "$@"; }
      _files() { print -r -- FILES; }
      source ./_l2tpv3-lcc.zsh
      words=("$@"); CURRENT=$#words
      _l2tpv3_lcc || true
    `;
    test.each(CASES)("%j", (words, offered) => {
      expect(run("zsh", script, words)).toEqual(offered);
    });

    test("commands, options and files", () => {
      expect(run("zsh", script, [""])).toEqual(COMMAND_WORDS);
      expect(run("zsh", script, ["show", "--"])).toEqual(["--conf", "--socket", "--json", "--help"]);
      expect(run("zsh", script, ["trace", "--pcap", ""])).toEqual(["FILES"]);
      expect(run("zsh", script, ["import", "--from", ""])).toContain("cisco");
      expect(run("zsh", script, ["--conf=site.toml", "trace", ""])).toEqual(["paris"]);
    });
  });
});
