import { beforeEach, expect, test } from "vitest";
import { parseSite } from "../../../src/config/load.ts";
import type { LocalEndpoint } from "../../../src/control/core.ts";
import { followListen } from "../../../src/daemon/listen.ts";
import { Listeners, listenText } from "../../../src/daemon/listeners.ts";
import type { LogEntry } from "../../../src/daemon/log.ts";
import { KernelError } from "../../../src/kernel/kernel-error.ts";

let done: string[];
let log: LogEntry[];
let refused: Map<string, string>;
let listeners: Listeners;

beforeEach(() => {
  done = [];
  log = [];
  refused = new Map();
  const transport = {
    listen(local: LocalEndpoint) {
      const errno = refused.get(listenText(local));
      if (errno !== undefined) throw new KernelError(`cannot bind to ${listenText(local)}`, { errno, command: "bind" });
      done.push(`+ ${listenText(local)}`);
    },
    unlisten: (local: LocalEndpoint) => void done.push(`- ${listenText(local)}`),
  };
  listeners = new Listeners(transport, { write: (entry) => void log.push(entry) }, false, () => 1);
});

const TUNNEL = `[tunnel.a]\npeer = "192.0.2.2"\n`;
const site = (toml: string) => parseSite(toml, "site.toml");
const listening = (...addresses: readonly string[]) => site(`[lcce]\nlisten = ${JSON.stringify(addresses)}\n${TUNNEL}`);
const follow = (before: string, after: string, netns?: string) =>
  followListen([site(before), site(after)], listeners, { write: (entry) => void log.push(entry) }, netns);

test("what is not wanted any more is closed first, and what stays is not touched", () => {
  const both = [
    listening("udp:0.0.0.0:1701", "ip:192.0.2.1", "udp:0.0.0.0:1702"),
    listening("ip:0.0.0.0", "udp:0.0.0.0:1701"),
  ] as const;
  for (const local of both[0].lcce.listen) listeners.listen(local);
  done.length = 0;
  followListen(both, listeners, { write: (entry) => void log.push(entry) });
  expect(done).toEqual(["- ip:192.0.2.1", "- udp:0.0.0.0:1702", "+ ip:0.0.0.0"]);
  expect(log.map(({ message }) => message)).toEqual(["listening at ip:0.0.0.0, as the configuration says now"]);
});

test("without listen: what the tunnels need, each in its namespace, and at its device", () => {
  const more = `${TUNNEL}[tunnel.b]\npeer = "2001:db8::2"\n[tunnel.c]\npeer = "192.0.2.3"\nbind_device = "red"\n`;
  follow(TUNNEL, more);
  expect(done).toEqual(["+ udp:[::]:1701", "+ udp:0.0.0.0:1701 at red", "+ udp:[::]:1701 at red"]);
  done.length = 0;
  follow(TUNNEL, `${TUNNEL}[tunnel.d]\npeer = "192.0.2.4"\nnetns = "blue"\n`);
  expect(done).toEqual([]);
  follow(TUNNEL, `${TUNNEL}[tunnel.d]\npeer = "192.0.2.4"\nnetns = "blue"\n`, "blue");
  expect(done).toEqual(["+ udp:0.0.0.0:1701 in netns blue"]);
});

test("one that another program has is told and tried again; one that is waited for and wanted no more is forgotten", () => {
  refused.set("udp:[::]:1701", "EADDRINUSE");
  refused.set("udp:192.0.2.9:1701", "EADDRNOTAVAIL");
  follow(TUNNEL, `[lcce]\nlisten = ["udp:[::]:1701", "udp:192.0.2.9:1701"]\n[tunnel.a]\npeer = "a.example"\n`);
  expect(log.map(({ event }) => event)).toEqual(["listener-failed", "listener-waits"]);
  follow(
    `[lcce]\nlisten = ["udp:[::]:1701", "udp:192.0.2.9:1701"]\n[tunnel.a]\npeer = "a.example"\n`,
    `[lcce]\nlisten = ["udp:[::]:1701"]\n[tunnel.a]\npeer = "a.example"\n`,
  );
  refused.clear();
  done.length = 0;
  listeners.retry();
  expect(done).toEqual(["+ udp:[::]:1701"]);
});
