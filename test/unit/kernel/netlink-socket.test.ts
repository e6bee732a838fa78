import { constants } from "node:os";
import { afterEach, expect, test } from "vitest";
import { resolveFamily } from "../../../src/kernel/l2tp-genl.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { callLinks } from "../../../src/kernel/links.ts";
import { NETLINK_GENERIC, NETLINK_ROUTE, type NetlinkRequest } from "../../../src/kernel/netlink-messages.ts";
import { NetlinkSocket } from "../../../src/kernel/netlink-socket.ts";

const open: NetlinkSocket[] = [];

afterEach(() => {
  for (const socket of open.splice(0)) socket.close();
});

function exchangeOf(protocol: number): (requests: readonly NetlinkRequest[]) => ReturnType<NetlinkSocket["exchange"]> {
  const socket = new NetlinkSocket(protocol);
  open.push(socket);
  return (requests) => socket.exchange(requests);
}

test("the loopback device is found by its name, others are not", () => {
  const answers = callLinks(exchangeOf(NETLINK_ROUTE), [
    { command: "RTM_GETLINK", name: "lo" },
    { command: "RTM_GETLINK", name: "no-such-device" },
    { command: "RTM_GETLINK", name: "lo" },
  ]);
  expect(answers.map(({ errno }) => errno)).toEqual(["", "ENODEV", ""]);
  expect(answers.map(({ link }) => link?.index)).toEqual([1, undefined, 1]);
  expect(answers[0]?.link).toMatchObject({ name: "lo", mtu: 65_536, master: 0 });
});

test("a thousand requests in one call have a thousand answers, errors among them in their places", () => {
  const names = Array.from({ length: 1000 }, (_, i) => (i % 3 === 0 ? "lo" : `none-${i}`));
  const calls = names.map((name) => ({ command: "RTM_GETLINK", name }) as const);
  const answers = callLinks(exchangeOf(NETLINK_ROUTE), calls);
  expect(answers.map(({ errno }) => errno)).toEqual(names.map((name) => (name === "lo" ? "" : "ENODEV")));
});

test("the generic netlink controller is family 16, an unknown family is none", () => {
  const exchange = exchangeOf(NETLINK_GENERIC);
  expect(resolveFamily(exchange, "nlctrl")).toEqual({ id: 16, eventGroup: 16 });
  expect(resolveFamily(exchange, "no-such-family")).toBeUndefined();
});

test("the kernel's own words about a bad request arrive", () => {
  // RTM_GETLINK by a name without octets.
  const [answer] = exchangeOf(NETLINK_ROUTE)([
    { type: 18, flags: 0, payload: [Buffer.alloc(16), Buffer.from([4, 0, 3, 0])] },
  ]);
  expect(answer?.errno).toMatch(/^(EINVAL|ERANGE)$/);
  expect(answer?.extendedAck).toMatch(/attribute/i);
});

test("where the socket itself fails, its error is the answer", () => {
  const socket = new NetlinkSocket(NETLINK_ROUTE);
  socket.close();
  expect(socket.exchange([{ type: 18, flags: 0, payload: [Buffer.alloc(16)] }])).toMatchObject([{ errno: "EBADF" }]);
});

test("when receiving fails half-way, what was answered stays answered and the rest is unknown", () => {
  let received = 0;
  const socket = new NetlinkSocket(NETLINK_ROUTE, (...args) =>
    // A link and its acknowledgement, an error, and then nothing more gets through.
    ++received <= 3 ? libc.recv(...args) : -constants.errno.ENOBUFS,
  );
  open.push(socket);
  const names = ["lo", "no-such-device", "lo", "lo"];
  const answers = callLinks(
    (requests) => {
      const raw = socket.exchange(requests);
      expect(raw.map(({ isUnknown }) => isUnknown)).toEqual([undefined, undefined, true, true]);
      return raw;
    },
    names.map((name) => ({ command: "RTM_GETLINK", name }) as const),
  );
  expect(answers.map(({ errno }) => errno)).toEqual(["", "ENODEV", "ENOBUFS", "ENOBUFS"]);
  expect(answers[0]?.link?.name).toBe("lo");
});
