import { beforeEach, expect, test } from "vitest";
import { parseSite } from "../../../src/config/load.ts";
import type { Input, LogEffect } from "../../../src/control/core.ts";
import { followCircuits } from "../../../src/daemon/circuits.ts";
import { KernelError } from "../../../src/kernel/kernel-error.ts";
import { until } from "../../support/daemon-process.ts";

const SITE = `
[tunnel.a]
peer = "192.0.2.2"
[tunnel.a.session.one]
circuit = "eth1"
[tunnel.a.session.two]
circuit = "eth2"
[tunnel.a.session.three]
circuit = "eth1"
[tunnel.a.session.four]`;

let inputs: Input[];
let lines: string[];

const core = { accept: (input: Input) => void inputs.push(input) };
const log = {
  write: ({ level, event, message }: Omit<LogEffect, "type">) => void lines.push(`${level} ${event} ${message}`),
};

beforeEach(() => {
  inputs = [];
  lines = [];
});

test("without circuits nothing is opened", async () => {
  const open = () => {
    throw new Error("opened");
  };
  const none = parseSite('[tunnel.a]\npeer = "192.0.2.2"\n[tunnel.a.session.s]', "site.toml");
  expect(await followCircuits(none, core, log, undefined, open)).toBeUndefined();
  expect(lines).toEqual([]);
});

test("where rtnetlink cannot be had there is one warning, and the daemon goes on", async () => {
  const asked: string[][] = [];
  const open = (names: readonly string[]) => {
    asked.push([...names]);
    throw new KernelError("socket failed: EAFNOSUPPORT", { errno: "EAFNOSUPPORT", command: "socket" });
  };
  expect(await followCircuits(parseSite(SITE, "site.toml"), core, log, undefined, open)).toBeUndefined();
  expect(asked).toEqual([["eth1", "eth2"]]);
  expect(lines).toEqual([
    "warn circuits-unknown circuits cannot be followed and count as up (eth1, eth2): socket failed: EAFNOSUPPORT",
  ]);
  expect(inputs).toEqual([]);
});

test("where the thread fails there is one warning, all circuits count as up, and closing is no error", async () => {
  // Threads run from the built package alone: from the sources this one fails at once.
  const monitor = await followCircuits(parseSite(SITE, "site.toml"), core, log);
  await until("the failure", 10_000, () => lines.length > 0);
  await monitor?.close();
  expect(lines).toEqual([
    expect.stringMatching(/^warn circuits-unknown .*\(eth1, eth2\): the thread that follows interfaces failed: /),
  ]);
  expect(inputs).toEqual([
    { type: "circuit", interfaceName: "eth1", condition: "up" },
    { type: "circuit", interfaceName: "eth2", condition: "up" },
  ]);
});
