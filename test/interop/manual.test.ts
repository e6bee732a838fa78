import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { execute } from "../support/namespaces.ts";

const folder = fileURLToPath(new URL("../../man/", import.meta.url));
/** Bold and italic letters are printed over others. */
const OVERSTRUCK = new RegExp(`.${String.fromCharCode(8)}`, "g");

const missing = hasGroff() ? "" : " (needs groff, Debian package groff)";

function hasGroff(): boolean {
  try {
    execFileSync("groff", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(missing !== "")(`groff sets the manual${missing}`, () => {
  test.each(readdirSync(folder))("%s, without a warning, in 80 columns", async (name) => {
    const set = await execute("groff", ["-man", "-ww", "-Tascii", "-rLL=80n", `${folder}${name}`]);
    expect(set).toMatchObject({ code: 0, stderr: "" });
    const lines = set.stdout.replaceAll(OVERSTRUCK, "").split("\n");
    expect(lines.length).toBeGreaterThan(50);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  });
});
