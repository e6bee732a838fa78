import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { execute } from "../support/namespaces.ts";

const program = fileURLToPath(new URL("../../dist/bin/main.js", import.meta.url));

let directory: string;
let conf: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-start-"));
  conf = join(directory, "site.toml");
  // No socket can be made below a file.
  const lcce = `datapath = "none"\nlisten = []\nadmin_socket = "${conf}/none/admin.sock"`;
  writeFileSync(conf, `[lcce]\n${lcce}\n[tunnel.paris]\npeer = "127.0.0.1"\n`);
});
afterAll(() => rmSync(directory, { recursive: true }));

const run = (redirection: string) =>
  execute("sh", ["-c", `exec "$0" "$1" --conf "$2" ${redirection}`, process.execPath, program, conf]);
const count = (text: string) => text.split("site.toml/none").length - 1;

test("a start that fails: a line of the log, and one for people on standard error", async () => {
  const { code, stdout, stderr } = await run("");
  expect(code).toBe(1);
  expect(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({
    level: "error",
    event: "start-failed",
  });
  expect(stderr).toMatch(/^l2tpv3-lcc: .*site\.toml\/none.*\n$/);
});

test("once alone where both go to one place: a pipe, a file", async () => {
  const both = await run("2>&1");
  expect(both).toMatchObject({ code: 1, stderr: "" });
  expect(count(both.stdout)).toBe(count(JSON.parse(both.stdout.trimEnd().split("\n").at(-1) ?? "").msg));
  const file = join(directory, "log");
  closeSync(openSync(file, "w"));
  await run(`>>"${file}" 2>>"${file}"`);
  expect(readFileSync(file, "utf8").match(/^l2tpv3-lcc: /m)).toBeNull();
  expect(readFileSync(file, "utf8")).toContain('"event":"start-failed"');
});

test("nowhere to log to: standard error still has it", async () => {
  expect(await run(">/dev/null")).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringContaining("site.toml/none"),
  });
  expect((await run(">&-")).stderr).toContain("site.toml/none");
});
