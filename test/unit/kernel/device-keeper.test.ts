import { beforeEach, expect, test } from "vitest";
import { DeviceKeeper, type KeptDevice } from "../../../src/kernel/device-keeper.ts";
import type { DeviceNews } from "../../../src/kernel/device-news.ts";
import { FakeKernel, session } from "./fake-kernel.ts";

const SECOND = 1_000;
const ADDRESS = "10.0.0.1/30";
const ROUTE = "10.2.0.0/16";

let kernel: FakeKernel;
let keeper: DeviceKeeper;
/** What was told, in words. */
let told: string[];
let listening: number;

beforeEach(() => {
  kernel = new FakeKernel();
  told = [];
  listening = 0;
  keeper = new DeviceKeeper({
    links: (calls) => kernel.links(calls),
    now: () => kernel.clock,
    lost: (id, reason) => told.push(`lost ${id}: ${reason}`),
    port: (name, condition) => told.push(`${name} ${condition}`),
    notice: ({ message }) => told.push(message),
    listenToRoutes: () => {
      listening++;
    },
  });
  kernel.addDevice("br0", "bridge");
});

/** Made, put into its bridge and raised, as the datapath does it, with the kernel's announcements of that. */
function keep(more: Partial<KeptDevice> = {}): void {
  const device = session(1, more);
  kernel.addDevice("l2-1");
  if (device.bridge !== undefined) change("l2-1", { master: indexOf("br0"), isolated: device.isolated });
  keeper.added(device);
  announce("l2-1");
  const [made, index] = [deviceOf("l2-1"), indexOf("l2-1")];
  made.up = true;
  made.addresses.push(...device.addresses);
  for (const route of device.routes) kernel.routes.set(route, index);
  keeper.switched(1, true);
  announce("l2-1");
  work();
  kernel.log.length = 0;
}

function deviceOf(name: string) {
  const device = kernel.devices.get(name);
  if (device === undefined) throw new Error(`no device ${name}`);
  return device;
}

const indexOf = (name: string): number => deviceOf(name).index;

/** Somebody changes a device; nothing is announced. */
function change(name: string, changes: object): void {
  Object.assign(deviceOf(name), changes);
}

function announce(name: string): void {
  const { index, up, master } = deviceOf(name);
  hear({ type: "link", index, name, up, master });
}

function hear(news: DeviceNews): void {
  keeper.take(news);
}

/** Lets the keeper work for as long as it has something to do now. */
function work(): void {
  while (keeper.step() === 0);
}

function wait(ms: number): void {
  kernel.clock += ms;
  work();
}

test("our own doings are no news", () => {
  keep({ bridge: "br0", addresses: [ADDRESS], routes: [ROUTE] });
  expect(told).toEqual([]);
  expect(kernel.log).toEqual([]);
  expect(listening).toBe(1);
  keeper.switched(1, false);
  change("l2-1", { up: false });
  announce("l2-1");
  hear({ type: "bereft", index: indexOf("l2-1") });
  work();
  keeper.removed(1);
  hear({ type: "gone", index: indexOf("l2-1") });
  work();
  expect(told).toEqual([]);
});

test("who has no routes does not listen to everybody's", () => {
  keep();
  expect(listening).toBe(0);
});

test("an address that was removed is put back", () => {
  keep({ addresses: [ADDRESS, "2001:db8::1/64"] });
  deviceOf("l2-1").addresses = ["2001:db8::1/64"];
  hear({ type: "bereft", index: indexOf("l2-1") });
  work();
  expect(deviceOf("l2-1").addresses).toEqual(["2001:db8::1/64", ADDRESS]);
  expect(told).toEqual([`interface l2-1: put back address ${ADDRESS}`]);
});

test("a route that was removed is put back; one that is another's by now stays another's, and that is said", () => {
  keep({ routes: [ROUTE, "10.3.0.0/16 via 10.0.0.2"] });
  kernel.routes.delete(ROUTE);
  kernel.routes.set("10.3.0.0/16 via 10.0.0.2", indexOf("br0"));
  hear({ type: "bereft", index: indexOf("l2-1") });
  work();
  expect(kernel.routes.get(ROUTE)).toBe(indexOf("l2-1"));
  expect(kernel.routes.get("10.3.0.0/16 via 10.0.0.2")).toBe(indexOf("br0"));
  const taken =
    "interface l2-1: another route has taken the place of 10.3.0.0/16 via 10.0.0.2 (see: ip route show exact 10.3.0.0/16); it is left alone";
  expect(told).toEqual([taken, `interface l2-1: put back route ${ROUTE}`]);
});

test("a route that somebody replaced is told once, and put back when the other is gone", () => {
  keep({ routes: [ROUTE] });
  // Of a replacement nothing is announced that says whose it was.
  kernel.routes.set(ROUTE, indexOf("br0"));
  wait(60 * SECOND);
  const taken = `interface l2-1: another route has taken the place of ${ROUTE} (see: ip route show exact ${ROUTE}); it is left alone`;
  expect(told).toEqual([taken]);
  wait(60 * SECOND);
  wait(60 * SECOND);
  expect(told).toEqual([taken]);
  kernel.routes.delete(ROUTE);
  wait(60 * SECOND);
  expect(told).toEqual([taken, `interface l2-1: put back route ${ROUTE}`]);
  kernel.routes.set(ROUTE, indexOf("br0"));
  wait(60 * SECOND);
  expect(told.slice(2)).toEqual([taken]);
  expect(kernel.routes.get(ROUTE)).toBe(indexOf("br0"));
});

test("a route that the kernel does not find, or of which it finds a longer one, may be ours", () => {
  keep({ routes: [ROUTE] });
  kernel.found = { index: indexOf("br0"), prefixLength: 24, table: 254 };
  wait(60 * SECOND);
  kernel.found = { index: indexOf("br0"), prefixLength: 16, table: 100 };
  wait(60 * SECOND);
  kernel.found = { index: 0, prefixLength: 16, table: 254 };
  wait(60 * SECOND);
  kernel.broken.set("RTM_GETROUTE", "ENETUNREACH");
  wait(60 * SECOND);
  expect(told).toEqual([]);
});

test("who takes addresses away again and again is answered once a second", () => {
  keep({ addresses: [ADDRESS] });
  for (let round = 0; round < 10; round++) {
    deviceOf("l2-1").addresses = [];
    hear({ type: "bereft", index: indexOf("l2-1") });
    wait(SECOND / 5);
  }
  expect(told.length).toBeGreaterThanOrEqual(2);
  expect(told.length).toBeLessThanOrEqual(3);
});

test("a port that left its bridge is put back, isolated as before", () => {
  keep({ bridge: "br0", isolated: true });
  change("l2-1", { master: 0, isolated: false });
  announce("l2-1");
  work();
  expect(deviceOf("l2-1")).toMatchObject({ master: indexOf("br0"), isolated: true });
  expect(told).toEqual(["interface l2-1: put back its place in bridge br0"]);
});

test("isolation that was taken off a port is put back at the next look", () => {
  keep({ bridge: "br0", isolated: true });
  change("l2-1", { isolated: false });
  wait(60 * SECOND);
  expect(deviceOf("l2-1").isolated).toBe(true);
  expect(told).toEqual(["interface l2-1: put back what it has to be in its bridge"]);
});

test("a device without a bridge may be put into one", () => {
  keep();
  change("l2-1", { master: indexOf("br0") });
  announce("l2-1");
  wait(60 * SECOND);
  expect(deviceOf("l2-1").master).toBe(indexOf("br0"));
  expect(told).toEqual([]);
});

test("a bridge that is gone is missed, and used again when it is back", () => {
  keep({ bridge: "br0" });
  kernel.devices.delete("br0");
  change("l2-1", { master: 0 });
  announce("l2-1");
  work();
  expect(told).toEqual(["interface l2-1 counts as down: bridge br0 is gone", "l2-1 down"]);
  kernel.addDevice("fresh");
  kernel.addDevice("br0", "bridge");
  announce("br0");
  wait(SECOND);
  expect(deviceOf("l2-1").master).toBe(indexOf("br0"));
  expect(told.slice(2)).toContain("l2-1 up");
  expect(told).toContain("interface l2-1: put back its place in bridge br0");
});

test.each([false, true])("a device that was renamed gets its name back (up: %s)", (up) => {
  keep({ addresses: [ADDRESS], routes: [ROUTE] });
  const device = deviceOf("l2-1");
  kernel.devices.delete("l2-1");
  device.name = "other";
  kernel.devices.set("other", device);
  device.up = up;
  kernel.routes.clear();
  announce("other");
  work();
  expect(kernel.devices.has("other")).toBe(false);
  expect(deviceOf("l2-1").up).toBe(up);
  expect(told.join()).toContain("put back its name");
  expect(told.join()).toContain("someone had renamed it to other");
  expect(kernel.routes.has(ROUTE)).toBe(up);
});

test("a device whose name is another's by now is lost", () => {
  keep();
  const device = deviceOf("l2-1");
  device.name = "other";
  kernel.devices.set("other", device);
  kernel.devices.delete("l2-1");
  kernel.addDevice("l2-1", "dummy");
  device.index = 77;
  hear({ type: "gone", index: 2 });
  expect(told).toEqual([expect.stringMatching(/^lost 1: interface l2-1 is gone/)]);
});

test("a device that is gone is lost, once", () => {
  keep();
  const index = indexOf("l2-1");
  kernel.devices.delete("l2-1");
  hear({ type: "gone", index });
  wait(120 * SECOND);
  expect(told).toEqual(["lost 1: interface l2-1 is gone: someone removed it or moved it to another network namespace"]);
});

test("what is still announced of the device that had the name before is not ours", () => {
  kernel.addDevice("l2-1");
  keeper.added(session(1));
  const old = 4_711;
  hear({ type: "link", index: old, name: "l2-1", up: false, master: 0 });
  hear({ type: "gone", index: old });
  work();
  expect(told).toEqual([]);
});

test("what was not announced is noticed within a minute, or as soon as announcements are known to be lost", () => {
  keep({ addresses: [ADDRESS] });
  deviceOf("l2-1").addresses = [];
  wait(59 * SECOND);
  expect(told).toEqual([]);
  wait(SECOND);
  expect(told).toEqual([`interface l2-1: put back address ${ADDRESS}`]);
  kernel.devices.delete("l2-1");
  wait(SECOND);
  keeper.reconcile();
  work();
  expect(told[1]).toMatch(/^lost 1/);
});

test("what an operator sets down stays down, and is told; addresses and routes come back with it", () => {
  keep({ addresses: ["2001:db8::1/64"], routes: [ROUTE] });
  change("l2-1", { up: false, addresses: [] });
  kernel.routes.clear();
  announce("l2-1");
  work();
  expect(told).toEqual(["interface l2-1 counts as down: someone set it down", "l2-1 down"]);
  expect(deviceOf("l2-1").up).toBe(false);
  change("l2-1", { up: true });
  announce("l2-1");
  wait(SECOND);
  expect(told.slice(2)).toEqual([
    "interface l2-1 counts as up: someone set it up",
    "l2-1 up",
    `interface l2-1: put back address 2001:db8::1/64, route ${ROUTE}`,
  ]);
});

test("a device that is made anew counts as up again", () => {
  keep({ addresses: [ADDRESS] });
  change("l2-1", { up: false });
  announce("l2-1");
  work();
  keeper.removed(1);
  kernel.devices.delete("l2-1");
  keep();
  expect(told.at(-1)).toBe("l2-1 up");
});

test("a thousand devices are looked at a few at a time", () => {
  for (let id = 1; id <= 1_000; id++) {
    kernel.addDevice(`l2-${id}`);
    keeper.added(session(id));
    announce(`l2-${id}`);
  }
  keeper.reconcile();
  kernel.batches.length = 0;
  expect(keeper.step()).toBe(0);
  expect(kernel.batches.length).toBeLessThanOrEqual(64);
  work();
  expect(kernel.batches.length).toBe(1_000);
  expect(told).toEqual([]);
});
