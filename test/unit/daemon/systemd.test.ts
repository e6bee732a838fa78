import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LogEntry } from "../../../src/daemon/log.ts";
import { type Served, ServiceManager, stateInWords } from "../../../src/daemon/systemd.ts";
import { keepWatchdogQuiet, watchdogPeriod } from "../../../src/daemon/watchdog.ts";
import { unixAddress } from "../../../src/kernel/unix-datagram.ts";
import { until } from "../../support/daemon-process.ts";
import { NotifyReceiver } from "../../support/notify-receiver.ts";

const GOOD = { problems: [] };

let folder: string;
let entries: LogEntry[];
let receiver: NotifyReceiver | undefined;
let manager: ServiceManager | undefined;
let tunnels: { state: string; sessions: { state: string }[] }[];
let alive: boolean;

const log = { tracing: false, write: (entry: LogEntry) => void entries.push(entry) };
const served: Served = {
  view: () => ({ hostname: "", routerId: 0, tunnels: tunnels as never }),
  alive: () => alive,
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-notify-"));
  entries = [];
  alive = true;
  tunnels = [{ state: "established", sessions: [{ state: "established" }, { state: "idle" }] }];
});

afterEach(() => {
  manager?.close();
  receiver?.close();
  manager = undefined;
  receiver = undefined;
  rmSync(folder, { recursive: true });
});

/** Listens at `name` and starts what tells it. */
function open(name: string, environment: NodeJS.ProcessEnv = {}) {
  receiver = new NotifyReceiver(name);
  manager = new ServiceManager({ NOTIFY_SOCKET: name, ...environment }, log);
  return { receiver, manager };
}

const inFolder = () => join(folder, "notify");

describe("a service manager", () => {
  test.each([
    ["at a path", () => inFolder()],
    ["at an abstract address", () => `@l2tpv3-lcc test ${process.pid}`],
  ])("%s is told when the daemon is ready, and how it is", async (_, name) => {
    const { receiver, manager } = open(name());
    manager.ready(served);
    expect(receiver.read()).toEqual([{ READY: "1", STATUS: "1 of 1 tunnel and 1 of 2 sessions are up" }]);
    manager.stopping();
    expect(receiver.read().slice(1)).toEqual([
      { STOPPING: "1", STATUS: "closing: 1 of 1 tunnel and 1 of 2 sessions are up" },
    ]);
    expect(entries).toEqual([]);
  });

  test("hears of a change within a second and a bit, once, and of none where nothing has changed", async () => {
    const { receiver, manager } = open(inFolder());
    const followed = manager.following(log);
    const line = { level: "info", event: "tunnel-up", message: "", tunnel: "paris" } as const;
    manager.ready(served);
    followed.write(line);
    tunnels = [{ state: "idle", sessions: [] }];
    followed.write(line);
    followed.write({ ...line, event: "tunnel-down" });
    expect(entries).toHaveLength(3);
    expect(receiver.read()).toHaveLength(1);
    const began = performance.now();
    await receiver.until({ STATUS: "0 of 1 tunnel and 0 of 0 sessions are up" });
    expect(performance.now() - began).toBeGreaterThan(500);
    followed.write(line);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(receiver.read()).toHaveLength(2);
  });

  test("takes nothing from the log that is followed: its level may change later", () => {
    const { manager } = open(inFolder());
    const changing = { ...log };
    const followed = manager.following(changing);
    changing.tracing = true;
    expect(followed.tracing).toBe(true);
  });

  test("hears of a reload, and that the file is wrong until it is right", () => {
    const { receiver, manager } = open(inFolder());
    manager.ready(served);
    const before = process.hrtime.bigint() / 1000n;
    expect(manager.reloading(() => ({ problems: ["site.toml:1: wrong"] })).problems).toHaveLength(1);
    manager.reloading(() => GOOD);
    const [, begun, over, again, right] = receiver.read();
    expect(begun).toEqual({ RELOADING: "1", MONOTONIC_USEC: expect.stringMatching(/^\d+$/) });
    expect(BigInt(begun?.["MONOTONIC_USEC"] ?? 0)).toBeGreaterThanOrEqual(before);
    expect(over).toEqual({
      READY: "1",
      STATUS: expect.stringContaining("are up; the configuration file is wrong now"),
    });
    expect(again).toMatchObject({ RELOADING: "1" });
    expect(right).toEqual({ READY: "1", STATUS: "1 of 1 tunnel and 1 of 2 sessions are up" });
  });

  test("gets signs of life at half the time it wants, while there is life", async () => {
    const { receiver, manager } = open(inFolder(), { WATCHDOG_USEC: "200000", WATCHDOG_PID: String(process.pid) });
    const pings = () => receiver.read().filter(({ WATCHDOG }) => WATCHDOG === "1").length;
    manager.ready(served);
    await until("four signs", 5_000, () => pings() >= 4);
    alive = false;
    const last = pings();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(pings()).toBe(last);
    alive = true;
    await until("another sign", 5_000, () => pings() > last);
    manager.close();
    const end = pings();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(pings()).toBe(end);
  });

  test("is told of an error in one line, whatever is in it", () => {
    const { receiver, manager } = open(inFolder());
    manager.failed("two\nREADY=1\nlines");
    expect(receiver.read()).toEqual([{ STATUS: "two READY=1 lines" }]);
  });

  test("that has no room at the moment gets everything later, in order", async () => {
    const { receiver, manager } = open(inFolder());
    const before = 600;
    // More than any net.unix.max_dgram_qlen that a machine is likely to have.
    for (let i = 0; i < before; i++) manager.failed(`message ${i}`);
    const first = receiver.read().length;
    expect(first).toBeLessThanOrEqual(before);
    manager.failed("the last");
    await receiver.until({ STATUS: "the last" });
    const numbers = receiver.heard.map(({ STATUS }) => Number(STATUS?.split(" ")[1] ?? before));
    expect(numbers.slice(0, -1)).toEqual(numbers.slice(0, -1).toSorted((one, other) => one - other));
    expect(entries).toEqual([]);
  });
});

describe("without a service manager nothing breaks", () => {
  const all = (manager: ServiceManager) => {
    manager.ready(served);
    manager.following(log).write({ level: "info", event: "tunnel-up", message: "", tunnel: "paris" });
    expect(manager.reloading(() => GOOD)).toBe(GOOD);
    manager.stopping();
    manager.failed("why");
    manager.close();
  };

  test.each([
    ["unset", undefined, "there is no NOTIFY_SOCKET"],
    ["not a Unix socket", "vsock:2:1", "NOTIFY_SOCKET=vsock:2:1 is no Unix socket's address"],
    ["relative", "run/notify", "is no Unix socket's address"],
    ["too long", `/${"x".repeat(108)}`, "is no Unix socket's address"],
    ["empty", "", "is no Unix socket's address"],
  ])("NOTIFY_SOCKET %s: one line, for debugging", (_, name, words) => {
    all(new ServiceManager(name === undefined ? {} : { NOTIFY_SOCKET: name, WATCHDOG_USEC: "50000" }, log));
    const [first, ...others] = entries;
    expect(first).toMatchObject({
      level: "debug",
      event: "no-service-manager",
      message: expect.stringContaining(words),
    });
    expect(others.map(({ event }) => event)).toEqual(["tunnel-up"]);
  });

  test("nobody listens there: one warning", () => {
    all(new ServiceManager({ NOTIFY_SOCKET: inFolder() }, log));
    const told = entries.filter(({ event }) => event !== "tunnel-up");
    expect(told).toEqual([expect.objectContaining({ level: "warn", event: "notify-failed" })]);
    expect(told[0]?.message).toContain(`${inFolder()}: ENOENT`);
  });
});

describe("the watchdog", () => {
  test.each([
    [{}, undefined],
    [{ WATCHDOG_USEC: "30000000" }, 30_000],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" }, 30_000],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "8" }, undefined],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "" }, undefined],
    [{ WATCHDOG_USEC: "0" }, undefined],
    [{ WATCHDOG_USEC: "soon" }, undefined],
    [{ WATCHDOG_USEC: "-1" }, undefined],
  ])("%j in process 7: every %s ms", (environment, period) => {
    expect(watchdogPeriod(environment, 7)).toBe(period);
  });

  test("looks again sooner where nothing was alive, so that a late one is not killed", async () => {
    const looked: number[] = [];
    let pings = 0;
    const isAlive = () => looked.push(performance.now()) >= 3;
    const stop = keepWatchdogQuiet(1_000, isAlive, () => (pings += 1));
    await until("the third look", 5_000, () => pings === 1);
    stop();
    expect(looked).toHaveLength(3);
    expect((looked[2] ?? 0) - (looked[0] ?? 0)).toBeLessThan(900);
  });
});

test("a Unix socket's address ends a path with a 0, and begins an abstract name with one", () => {
  expect(unixAddress("/run/x")).toEqual(Buffer.from("\x01\0/run/x\0", "latin1"));
  expect(unixAddress("@x")).toEqual(Buffer.from("\x01\0\0x", "latin1"));
  expect(unixAddress(`/${"x".repeat(106)}`)).toHaveLength(110);
  expect(unixAddress(`/${"x".repeat(107)}`)).toBeUndefined();
  expect(unixAddress("/a\0b")).toBeUndefined();
  expect(unixAddress("@")).toBeUndefined();
});

test("the state in words", () => {
  expect(stateInWords({ tunnels: [] })).toBe("0 of 0 tunnels and 0 of 0 sessions are up");
});
