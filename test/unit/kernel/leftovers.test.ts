import { expect, test } from "vitest";
import { aliasOf, isLeftover, ownerOf, removeLeftovers } from "../../../src/kernel/leftovers.ts";
import type { Link } from "../../../src/kernel/links.ts";
import { FakeKernel } from "./fake-kernel.ts";

const IDS = { localControlConnectionId: 4_294_967_295, localSessionId: 7 };
/** Above the largest that Linux gives. */
const DEAD = 4_194_305;

function link(name: string, alias: string, kind = ""): Link {
  return { index: 1, name, up: false, mtu: 1446, master: 0, kind, alias, isolated: false };
}

test("an alias tells whose device it is", () => {
  const alias = aliasOf(IDS);
  expect(alias.length).toBeLessThan(256);
  expect(ownerOf(link("a", alias))).toMatchObject({ ...IDS, process: process.pid });
});

test.each([
  ["somebody's words", "uplink"],
  ["none", ""],
])("a device with %s as its alias is not ours", (_title, alias) => {
  expect(ownerOf(link("a", alias))).toBeUndefined();
});

test("only a pseudowire's device can be ours", () => {
  expect(ownerOf(link("a", aliasOf(IDS), "dummy"))).toBeUndefined();
});

test("a leftover is what a dead process made; what lives, is ours or is of another PID namespace is not", () => {
  const owner = ownerOf(link("a", aliasOf(IDS)));
  if (owner === undefined) throw new Error("not ours");
  expect(isLeftover(owner)).toBe(false);
  expect(isLeftover({ ...owner, process: 1 })).toBe(false);
  expect(isLeftover({ ...owner, process: DEAD })).toBe(true);
  expect(isLeftover({ ...owner, process: DEAD, namespace: "pid:[1]" })).toBe(false);
});

test("leftovers are removed, a tunnel at a time, and nothing else", () => {
  const kernel = new FakeKernel();
  const ofDead = (id: number, tunnel: number) =>
    aliasOf({ localSessionId: id, localControlConnectionId: tunnel }).replace(
      `process ${process.pid}`,
      `process ${DEAD}`,
    );
  const links = [
    link("l2-1", ofDead(1, 5)),
    link("l2-2", ofDead(2, 5)),
    link("l2-3", ofDead(3, 6)),
    link("static0", ""),
    link("l2-4", aliasOf({ localSessionId: 4, localControlConnectionId: 8 })),
  ];
  expect(removeLeftovers(kernel, links)).toEqual(["l2-1", "l2-2", "l2-3"]);
  expect(kernel.log).toEqual(["TUNNEL_DELETE 5", "TUNNEL_DELETE 6"]);
});
