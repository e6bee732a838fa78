import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Effect, LogEffect } from "../../src/control/core.ts";
import type { DaemonProcess, LogEntry } from "../support/daemon-process.ts";
import { execute, namespacesMissing } from "../support/namespaces.ts";
import { type Site, TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing();
const UP_MS = 10_000;
const SECRET = "correct horse battery staple";
const TUNNEL = `secret = "${SECRET}"\ndigest = "sha1"\nhidden = true`;
const replayScript = fileURLToPath(new URL("../../scripts/replay.mjs", import.meta.url));

let sites: TwoSites;
let file: string;

describe.skipIf(missing !== undefined)(`a daemon that records${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    sites = new TwoSites();
    file = join(sites.directory, "paris.recording");
  });
  afterEach(() => sites.remove());

  test("what it recorded replays as what it logged, and holds no secret", async () => {
    const paris = start(sites.paris, "--record", file);
    const lyon = start(sites.lyon);
    const { sessions } = await paris.untilUp(UP_MS);
    expect(sessions.map(({ state }) => state)).toEqual(["established"]);
    await paris.command("close", "lyon/lan42");
    await paris.untilLogged("session closed", UP_MS, ({ event }) => event === "session-closed");
    await paris.command("open", "lyon/lan42");
    await paris.untilUp(UP_MS);
    await lyon.stop("SIGTERM");
    await paris.untilTunnel("closed by its peer", UP_MS, ({ last_error }) => last_error.includes("StopCCN"));
    expect((await paris.stop("SIGTERM")).code).toBe(0);

    expect(statSync(file).mode & 0o777).toBe(0o600);
    const recording = readFileSync(file, "utf8");
    expect(recording).not.toContain(SECRET);
    expect(recording).not.toContain(Buffer.from(SECRET).toString("hex"));
    expect(paris.log.find(({ event }) => event === "recording")?.message).toContain(file);

    // Named from where npm was called, whatever directory npm runs scripts in.
    const where = `INIT_CWD=${sites.directory}`;
    const inWords = await execute("env", [where, process.execPath, replayScript, relative(sites.directory, file)]);
    expect([inWords.code, inWords.stderr]).toEqual([0, ""]);
    expect(inWords.stdout).toMatch(/^ {4}lyon: idle -> wait-ctl-reply$/m);
    expect(inWords.stdout).toMatch(
      /^ {4}send SCCRQ \(CCID 0, Ns 0, Nr 0: Host Name "site-paris", .* to 192\.0\.2\.2:1701$/m,
    );
    expect(inWords.stdout).toMatch(/^\+\d+\.\d{3} received ICRP \(.*Local Session ID \d+, .* from 192\.0\.2\.2:1701$/m);
    expect(inWords.stdout).toMatch(/^ {4}lyon\/lan42: wait-reply -> established$/m);

    const asJson = await execute(process.execPath, [replayScript, file, "--json"]);
    expect(replayedLog(asJson.stdout)).toEqual(paris.log.filter(isOfCore).map(essence));
  });

  test("what cannot be recorded to: exit 1, and what is there stays", async () => {
    writeFileSync(file, "precious");
    const taken = start(sites.paris, "--record", file);
    expect((await taken.exited).code).toBe(1);
    expect(taken.stderr).toBe(
      `l2tpv3-lcc: recording ${file}: there is a file of that name already, and it is left as it is\n`,
    );
    expect(readFileSync(file, "utf8")).toBe("precious");

    const nowhere = start(sites.paris, "--record", join(sites.directory, "missing", "file"));
    expect((await nowhere.exited).code).toBe(1);
    expect(nowhere.stderr).toMatch(/^l2tpv3-lcc: recording .*missing\/file: ENOENT.*\n$/);
  });

  test("a start that fails leaves no recording behind", async () => {
    const first = start(sites.paris);
    await first.untilLogged("ready", UP_MS, ({ event }) => event === "ready");
    const second = start(sites.paris, "--record", file);
    expect((await second.exited).code).toBe(1);
    expect(existsSync(file)).toBe(false);
  });
});

function start(site: Site, ...args: readonly string[]): DaemonProcess {
  return sites.start(site, sites.configuration(site, { tunnel: TUNNEL }), site.name, args);
}

/** The daemon itself has things to say before, between and after. */
const OF_THE_DAEMON = [
  "socket-error",
  "recording",
  "ready",
  "stopping",
  "stopped",
  "datapath-fallback",
  "configuration-warning",
  "no-service-manager",
];

function isOfCore({ event }: LogEntry): boolean {
  return !OF_THE_DAEMON.includes(event);
}

function essence({ level, event, message }: Pick<LogEffect, "level" | "event" | "message"> | LogEntry) {
  return { level, event, message };
}

function replayedLog(stdout: string): readonly object[] {
  const steps: { readonly effects: readonly Effect[] }[] = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  return steps
    .flatMap(({ effects }) => effects)
    .filter((effect) => effect.type === "log")
    .filter(({ level }) => level !== "trace")
    .map(essence);
}
