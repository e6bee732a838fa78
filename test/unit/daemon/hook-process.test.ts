import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type HookEnd, runHook } from "../../../src/daemon/hook-process.ts";

interface Outcome extends HookEnd {
  readonly lines: readonly string[];
  readonly afterMs: number;
}

async function run(script: string, timeoutMs = 30_000): Promise<Outcome> {
  const lines: string[] = [];
  const began = performance.now();
  const environment = { PATH: "/usr/bin:/bin", L2TP_EVENT: "tunnel-up" };
  const command = ["/bin/sh", "-c", script, "hook", "one word; not two $HOME"];
  const end = await runHook({ command, environment, timeoutMs, onLine: (line) => lines.push(line) }).ended;
  return { ...end, lines, afterMs: performance.now() - began };
}

describe("a hook's process", () => {
  test("has its arguments as they are, its environment and nothing else", async () => {
    const { ok, words, lines } = await run('echo "$1"; echo "$L2TP_EVENT $PWD $(env | wc -l)"; cat');
    expect([ok, words]).toEqual([true, "exit code 0"]);
    // PWD is the shell's own, and "_" of some shells.
    expect(lines).toEqual(["one word; not two $HOME", expect.stringMatching(/^tunnel-up \/ [34]$/)]);
  });

  test("ends with a code, or by a signal", async () => {
    expect(await run("exit 3")).toMatchObject({ ok: false, words: "exit code 3" });
    expect(await run("kill -9 $$")).toMatchObject({ ok: false, words: "killed by SIGKILL" });
  });

  test("that cannot be started says why", async () => {
    const request = { environment: {}, timeoutMs: 1_000, onLine: () => undefined };
    const missing = await runHook({ ...request, command: ["/no/such/hook"] }).ended;
    expect(missing).toEqual({ ok: false, words: "cannot be started: spawn /no/such/hook ENOENT" });
    const wrong = await runHook({ ...request, command: ["/etc/passwd"] }).ended;
    expect(wrong).toEqual({ ok: false, words: "cannot be started: spawn /etc/passwd EACCES" });
    const impossible = await runHook({ ...request, command: ["/bin/true\0"] }).ended;
    expect(impossible.words).toMatch(/^cannot be started: /);
  });

  test("speaks line by line, the last one without an end too, and nothing that acts on a terminal", async () => {
    const { lines } = await run("printf 'one\\r\\n\\033[31mtwo\\nthr'; sleep 0.2; printf 'ee'; echo four >&2");
    expect(lines.toSorted()).toEqual(["?[31mtwo", "four", "one", "three"]);
  });

  test("that says too much is not heard to the end, and not kept waiting either", async () => {
    const { ok, lines } = await run("yes | head -n 200000; head -c 5000000 /dev/zero | tr '\\0' x");
    expect(ok).toBe(true);
    expect(lines).toHaveLength(101);
    expect(lines.at(-1)).toBe("… what follows is not logged");
    const long = await run("head -c 5000000 /dev/zero | tr '\\0' x");
    expect(long.lines).toEqual([`${"x".repeat(999)}…`]);
  });

  test("gets SIGTERM when its time is over", async () => {
    const { ok, words, lines, afterMs } = await run("trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done", 300);
    expect([ok, words]).toEqual([false, "exit code 0, after 300 ms without an end"]);
    // A shell may first say what became of its sleep.
    expect(lines.at(-1)).toBe("bye");
    expect(afterMs).toBeGreaterThan(290);
    expect(afterMs).toBeLessThan(2_000);
  });

  test("gets SIGKILL two seconds later, with all that it has started", async () => {
    const { words, lines, afterMs } = await run("trap '' TERM; sleep 600 & echo $!; while :; do sleep 0.05; done", 300);
    expect(words).toBe("killed by SIGKILL, after 300 ms without an end");
    expect(afterMs).toBeGreaterThan(2_200);
    await expect.poll(() => isRunning(Number(lines[0]))).toBe(false);
  });

  test("that leaves something running in its place has ended nevertheless", async () => {
    const { ok, lines, afterMs } = await run("sleep 600 & echo $!");
    try {
      expect(ok).toBe(true);
      expect(afterMs).toBeLessThan(5_000);
      expect(isRunning(Number(lines[0]))).toBe(true);
    } finally {
      process.kill(Number(lines[0]), "SIGKILL");
    }
  });

  test("can be ended at once", async () => {
    const lines: string[] = [];
    const command = ["/bin/sh", "-c", "echo begun; sleep 600"];
    const environment = { PATH: "/usr/bin:/bin" };
    const hook = runHook({ command, environment, timeoutMs: 60_000, onLine: (line) => lines.push(line) });
    await expect.poll(() => lines).toEqual(["begun"]);
    hook.kill();
    expect(await hook.ended).toEqual({ ok: false, words: "killed by SIGKILL" });
  });
});

function isRunning(pid: number): boolean {
  try {
    // Who is dead and not waited for yet does not run.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
