import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runInVm, vmUnavailable } from "./vm/lab.ts";

const unavailable = vmUnavailable();
const guestScript = (name: string) => fileURLToPath(new URL(`vm/guest/${name}`, import.meta.url));

describe.skipIf(unavailable !== undefined)(`the VM lab${unavailable === undefined ? "" : ` (${unavailable})`}`, () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "l2tpv3-lcc-vm-test-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function script(name: string, text: string): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  }

  test("carries frames over a static tunnel of the real kernel, and gives files back", async () => {
    const outDir = join(folder, "out");
    const { exitCode, output } = await runInVm({ script: guestScript("smoke.sh"), outDir });
    expect(output).not.toContain("not ok");
    expect(output.match(/^ok /gm)).toHaveLength(14);
    expect(exitCode, output).toBe(0);
    expect(await readFile(join(outDir, "kernel"), "utf8")).toMatch(/^6\.1\.\d/);
  });

  test("runs a JavaScript file with its arguments, hands on its exit code and ends what it left running", async () => {
    const text = `
      import { spawn } from "node:child_process";
      spawn("sleep", ["1000"], { stdio: "inherit" }).unref();
      console.log(JSON.stringify(process.argv.slice(2)), process.stdout.isTTY);
      process.exit(7);`;
    const args = ["it's", "a b", "$HOME"];
    const { exitCode, output } = await runInVm({ script: await script("arguments.mjs", text), args });
    expect(output).toBe(`${JSON.stringify(args)} undefined\n`);
    expect(exitCode).toBe(7);
  });

  test("ends a script that takes too long, and shows its last lines", async () => {
    const slow = await script("slow.sh", "echo waiting\nsleep 1000\n");
    await expect(runInVm({ script: slow, timeoutMs: 1000 })).rejects.toThrow(/not finish within 1 s[\s\S]*waiting/);
  });

  test("reports a kernel that dies as the failure it is", async () => {
    const fatal = await script("panic.sh", "echo c >/proc/sysrq-trigger\n");
    await expect(runInVm({ script: fatal })).rejects.toThrow(/kernel: .*Kernel panic.*sysrq/);
  });
});
