import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/daemon-process.ts";
import { NetworkNamespace, namespacesMissing } from "../support/namespaces.ts";

const BUILT = (name: string) => new URL(`../../dist/src/kernel/${name}.js`, import.meta.url);
const NEWS_MS = 10_000;

/** Prints what the monitor tells, a line each; ends by itself after SIGTERM. */
const FOLLOW = `
  const { LinkMonitor } = await import("${BUILT("link-monitor").href}");
  const tell = (...words) => console.log(words.join(" "));
  const monitor = new LinkMonitor(process.argv.slice(2), {
    condition: tell,
    errors: (name, errors) => tell(name, Object.values(errors).join("/")),
    failed: (reason) => tell("failed", reason),
  });
  process.on("SIGTERM", () => void monitor.close().then(() => tell("closed")));
  await monitor.ready();
  tell("ready");`;

function missing(): string | undefined {
  return namespacesMissing() ?? (existsSync(fileURLToPath(BUILT("link-monitor"))) ? undefined : "needs npm run build");
}

const reason = missing();

describe.skipIf(reason !== undefined)(`link monitor${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  let namespace: NetworkNamespace;
  let child: ChildProcess;
  let lines: string[];
  /** What was told before "ready". */
  let start: readonly string[];
  let directory: string;

  beforeEach(() => {
    namespace = new NetworkNamespace();
    directory = mkdtempSync(join(tmpdir(), "link-monitor-"));
    lines = [];
  });

  afterEach(() => {
    namespace.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  const link = (...words: string[]) => namespace.ip("link", ...words);

  async function follow(...names: string[]): Promise<void> {
    const script = join(directory, "follow.mjs");
    writeFileSync(script, FOLLOW);
    child = namespace.spawn(process.execPath, [script, ...names], { stdio: ["ignore", "pipe", "inherit"] });
    if (child.stdout !== null) createInterface(child.stdout).on("line", (line) => lines.push(line));
    start = await heard("ready");
  }

  /** Waits for a line, and returns all up to it. */
  async function heard(line: string): Promise<readonly string[]> {
    await until(`"${line}", having heard: ${lines.join(", ")}`, NEWS_MS, () => lines.includes(line));
    return lines.splice(0, lines.indexOf(line) + 1);
  }

  /** Messages that the monitor's socket, the only one here of group RTMGRP_LINK, had no room for. */
  async function overruns(): Promise<number> {
    const { stdout } = await namespace.run("cat", ["/proc/net/netlink"]);
    const rows = stdout.split("\n").map((row) => row.trim().split(/ +/));
    const [, , , , , , , , drops] = rows.find((row) => row[1] === "0" && row[3] === "00000001") ?? [];
    return Number(drops);
  }

  function cable(): void {
    link("add", "eth1", "type", "veth", "peer", "name", "far");
  }

  test("what is up at the start is not told; what is down, without carrier or missing is", async () => {
    cable();
    link("set", "eth1", "up");
    await follow("lo", "eth1", "far", "eth3");
    const zero = "0/0/0/0";
    expect(start).toEqual([
      `lo ${zero}`,
      "eth1 no-carrier",
      `eth1 ${zero}`,
      "far down",
      `far ${zero}`,
      "eth3 down",
      "ready",
    ]);
  });

  test("carrier and administrative state, each change as it comes", async () => {
    cable();
    for (const name of ["eth1", "far"]) link("set", name, "up");
    await follow("eth1", "lo");
    expect(start).toEqual(["eth1 0/0/0/0", "lo 0/0/0/0", "ready"]);
    link("set", "far", "down");
    await heard("eth1 no-carrier");
    link("set", "far", "up");
    await heard("eth1 up");
    link("set", "eth1", "down");
    await heard("eth1 down");
    link("set", "eth1", "up");
    await heard("eth1 up");
    link("set", "lo", "down");
    await heard("lo down");
  });

  test("an interface is its name: deleted, made anew, renamed, taken over", async () => {
    await follow("eth1");
    cable();
    for (const name of ["eth1", "far"]) link("set", name, "up");
    await heard("eth1 up");
    link("delete", "eth1");
    await heard("eth1 down");
    cable();
    for (const name of ["eth1", "far"]) link("set", name, "up");
    await heard("eth1 up");
    link("set", "eth1", "down");
    link("set", "eth1", "name", "old1");
    await heard("eth1 down");
    link("set", "old1", "up");
    link("add", "other", "type", "bridge");
    link("set", "other", "name", "eth1");
    link("set", "eth1", "up");
    await heard("eth1 up");
    // A bridge loses its carrier with its last port.
    link("set", "old1", "master", "eth1");
    link("set", "old1", "nomaster");
    expect(await heard("eth1 no-carrier")).toEqual(["eth1 no-carrier"]);
    link("delete", "eth1");
    await heard("eth1 down");
    link("set", "old1", "down");
    link("set", "old1", "name", "eth1");
    link("set", "eth1", "up");
    await heard("eth1 up");
    const elsewhere = new NetworkNamespace();
    link("set", "eth1", "netns", elsewhere.name);
    await heard("eth1 down");
    elsewhere.remove();
  });

  test("a port of a bridge that leaves it is not gone", async () => {
    cable();
    for (const name of ["eth1", "far"]) link("set", name, "up");
    link("add", "br0", "type", "bridge");
    await follow("eth1", "br0");
    lines.length = 0;
    link("set", "eth1", "master", "br0");
    link("set", "eth1", "nomaster");
    link("set", "br0", "up");
    expect(await heard("br0 no-carrier")).toEqual(["br0 no-carrier"]);
  });

  test("news that overran the receive buffer is asked for", async () => {
    cable();
    for (const name of ["eth1", "far"]) link("set", name, "up");
    link("add", "noise", "type", "bridge");
    await follow("eth1");
    child.kill("SIGSTOP");
    const batch = join(directory, "batch");
    const storm = Array.from({ length: 4_000 }, (_, i) => `link set dev noise mtu ${1_300 + (i % 100)}`);
    writeFileSync(batch, `${storm.join("\n")}\nlink set dev eth1 down\n`);
    namespace.ip("-batch", batch);
    expect(await overruns()).toBeGreaterThan(0);
    child.kill("SIGCONT");
    expect(await heard("eth1 down")).toEqual(["eth1 down"]);
    link("set", "eth1", "up");
    await heard("eth1 up");
  });

  test("it ends when it is closed, and until then uses no processor time", async () => {
    await follow("eth1", "lo");
    const ticks = () => {
      const [, fields = ""] = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ");
      const [user, system] = fields.split(" ").slice(11, 13).map(Number);
      return (user ?? 0) + (system ?? 0);
    };
    const before = ticks();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    // Hundredths of a second.
    expect(ticks() - before).toBeLessThan(10);
    child.kill("SIGTERM");
    await heard("closed");
    await until("the process has ended", NEWS_MS, () => child.exitCode !== null);
    expect(child.exitCode).toBe(0);
  });
});
