import { expect, test } from "vitest";
import { encodeLinkCall } from "../../../src/kernel/links.ts";
import { decodeRoute, listRoutes } from "../../../src/kernel/routes.ts";

/** The body of a route as we ask for it; the kernel announces it in the same form. */
function route(destination: string): Buffer {
  const { payload } = encodeLinkCall({ command: "RTM_NEWROUTE", index: 7, destination });
  return Buffer.concat([...payload]);
}

/** A u32 attribute behind it. */
function withAttribute(message: Buffer, type: number, value: number): Buffer {
  const attribute = Buffer.alloc(8);
  attribute.writeUInt16LE(8, 0);
  attribute.writeUInt16LE(type, 2);
  attribute.writeUInt32LE(value, 4);
  return Buffer.concat([message, attribute]);
}

function changed(message: Buffer, at: number, octet: number): Buffer {
  const copy = Buffer.from(message);
  copy[at] = octet;
  return copy;
}

const PRIORITY = 6;
const TABLE = 15;

test("the networks of routes, with their interface", () => {
  expect(decodeRoute(route("10.2.0.0/16 via 10.0.0.2"))).toEqual({ destination: "10.2.0.0/16", index: 7 });
  expect(decodeRoute(route("0.0.0.0/0"))).toEqual({ destination: "0.0.0.0/0", index: 7 });
  const ipv6 = (network: string) => decodeRoute(withAttribute(route(network), PRIORITY, 1024));
  expect(ipv6("2001:DB8:2::/48")).toEqual({ destination: "2001:db8:2::/48", index: 7 });
  expect(ipv6("::/0")).toEqual({ destination: "::/0", index: 7 });
});

test("what is in nobody's way is left out: another metric, table or TOS, and clones", () => {
  const ours = route("10.2.0.0/16");
  expect(decodeRoute(withAttribute(ours, PRIORITY, 100))).toBeUndefined();
  expect(decodeRoute(withAttribute(route("2001:db8:2::/48"), PRIORITY, 256))).toBeUndefined();
  expect(decodeRoute(withAttribute(ours, TABLE, 1000))).toBeUndefined();
  expect(decodeRoute(changed(ours, 4, 255))).toBeUndefined();
  expect(decodeRoute(changed(ours, 3, 8))).toBeUndefined();
  expect(decodeRoute(changed(ours, 9, 2))).toBeUndefined();
  expect(decodeRoute(changed(ours, 0, 128))).toBeUndefined();
});

test("asked of this machine: only networks in CIDR notation", () => {
  for (const { destination } of listRoutes()) expect(destination).toMatch(/^[0-9a-f:.]+\/\d+$/);
});
