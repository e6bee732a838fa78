import { execFileSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as libc from "../../src/kernel/libc.ts";
import { callLinks, type LinkAnswer, type LinkCall } from "../../src/kernel/links.ts";
import { NETLINK_ROUTE } from "../../src/kernel/netlink-messages.ts";
import { NetlinkSocket } from "../../src/kernel/netlink-socket.ts";

const NAMESPACE = `lcc-rtnetlink-${process.pid}`;
let socket: NetlinkSocket;

function ip(...words: string[]): string {
  return execFileSync("ip", words, { encoding: "utf8" });
}

const inside = (...words: string[]) => ip("-netns", NAMESPACE, ...words);

/** A netlink socket stays in the namespace that it was made in. */
function socketInside(): NetlinkSocket {
  const [home, other] = [openSync("/proc/thread-self/ns/net", "r"), openSync(`/run/netns/${NAMESPACE}`, "r")];
  libc.setns(other, libc.CLONE_NEWNET);
  try {
    return new NetlinkSocket(NETLINK_ROUTE);
  } finally {
    libc.setns(home, libc.CLONE_NEWNET);
    closeSync(home);
    closeSync(other);
  }
}

function call(...calls: LinkCall[]): LinkAnswer[] {
  return callLinks((requests) => socket.exchange(requests), calls);
}

beforeAll(() => {
  ip("netns", "add", NAMESPACE);
  inside("link", "add", "v0", "type", "veth", "peer", "name", "v1");
  inside("link", "add", "br0", "type", "bridge");
  socket = socketInside();
});

afterAll(() => {
  socket.close();
  ip("netns", "del", NAMESPACE);
});

test("MTU, bridge, addresses and up, as ip shows them", () => {
  const [port, bridge] = call({ command: "RTM_GETLINK", name: "v0" }, { command: "RTM_GETLINK", name: "br0" });
  expect(port?.link).toMatchObject({ name: "v0", mtu: 1500, up: false, kind: "veth" });
  expect(bridge?.link).toMatchObject({ name: "br0", kind: "bridge" });
  const answers = call(
    { command: "RTM_SETLINK", name: "v0", mtu: 1400 },
    { command: "RTM_SETLINK", name: "v0", master: bridge?.link?.index ?? 0 },
    { command: "RTM_NEWADDR", index: port?.link?.index ?? 0, address: "10.0.0.1/30" },
    { command: "RTM_NEWADDR", index: port?.link?.index ?? 0, address: "2001:db8::1/64" },
    { command: "RTM_SETLINK", name: "v0", up: true },
  );
  expect(answers.map(({ errno }) => errno)).toEqual(["", "", "", "", ""]);
  const [shown] = JSON.parse(inside("-json", "addr", "show", "dev", "v0"));
  expect(shown).toMatchObject({ mtu: 1400, master: "br0", flags: expect.arrayContaining(["UP"]) });
  const addresses = shown.addr_info.map(
    (each: { local: string; prefixlen: number }) => `${each.local}/${each.prefixlen}`,
  );
  expect(addresses).toEqual(expect.arrayContaining(["10.0.0.1/30", "2001:db8::1/64"]));
  expect(call({ command: "RTM_GETLINK", name: "v0" })[0]?.link).toMatchObject({ up: true, mtu: 1400 });
});

test("refusals carry the error number and the kernel's own words", () => {
  const [tooBig, noBridge, twice, unknown] = call(
    { command: "RTM_SETLINK", name: "v0", mtu: 100_000 },
    { command: "RTM_SETLINK", name: "v1", master: 1 },
    { command: "RTM_NEWADDR", index: 1_000_000, address: "10.0.0.1/30" },
    { command: "RTM_SETLINK", name: "v9", up: true },
  );
  expect(tooBig).toMatchObject({ errno: "EINVAL", extendedAck: "mtu greater than device maximum" });
  expect(noBridge?.errno).not.toBe("");
  expect(twice?.errno).toBe("ENODEV");
  expect(unknown?.errno).toBe("ENODEV");
});
