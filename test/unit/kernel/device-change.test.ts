import { beforeEach, describe, expect, test } from "vitest";
import type { DeviceSettings } from "../../../src/kernel/datapath.ts";
import { OperationQueue } from "../../../src/kernel/operation-queue.ts";
import type { Completion, Job, Operation } from "../../../src/kernel/operations.ts";
import { FakeKernel, session } from "./fake-kernel.ts";

const PLAIN: DeviceSettings = { mtu: "auto", bridge: undefined, isolated: false, addresses: [], routes: [] };

let kernel: FakeKernel;
let queue: OperationQueue;
let completions: Completion[];
let serial: number;
let followed: unknown[];

beforeEach(() => {
  kernel = new FakeKernel();
  completions = [];
  followed = [];
  serial = 0;
  kernel.addDevice("br0", "bridge");
  kernel.addDevice("br1", "bridge");
  queue = new OperationQueue({
    calls: kernel,
    now: () => kernel.clock,
    complete: (completion) => completions.push(completion),
    closeDescriptor: () => undefined,
    devices: {
      added: () => undefined,
      removed: () => undefined,
      switched: () => undefined,
      changed: ({ addresses, bridge }) => followed.push({ addresses, bridge }),
    },
  });
  ask({
    type: "create-tunnel",
    localControlConnectionId: 7,
    remoteControlConnectionId: 1,
    encapsulation: "udp",
    fd: 100,
  });
});

/** What became of the last of them; "": done. */
function ask(...operations: Operation[]): string {
  queue.push(operations.map((operation): Job => ({ serial: serial++, operation })));
  for (let wait: number | undefined = 0; wait !== undefined; ) {
    wait = queue.step();
    kernel.clock += wait ?? 0;
    if (kernel.clock > 60_000) break;
  }
  return completions.find((each) => each.serial === serial - 1)?.refusal?.message ?? "";
}

function up(settings: Partial<DeviceSettings> = {}, more: Partial<ReturnType<typeof session>> = {}): void {
  const made = session(1, { ...settings, ...more });
  expect(ask({ type: "create-session", session: made }, { type: "raise-session", localSessionId: 1 })).toBe("");
  kernel.log.length = 0;
}

const change = (settings: Partial<DeviceSettings>) =>
  ask({ type: "change-session", localSessionId: 1, settings: { ...PLAIN, ...settings } });

const device = (name = "l2-1") => {
  const found = kernel.devices.get(name);
  if (found === undefined) throw new Error(`no device ${name}`);
  return found;
};

describe("addresses and routes", () => {
  test("new ones come, old ones go, and what stays is not touched", () => {
    up({ addresses: ["10.0.0.1/24", "2001:db8::1/64"], routes: ["10.2.0.0/16"] });
    expect(change({ addresses: ["10.0.0.1/24", "10.1.0.1/24"], routes: ["10.2.0.0/16", "10.3.0.0/16"] })).toBe("");
    expect(device().addresses).toEqual(["10.0.0.1/24", "10.1.0.1/24"]);
    expect([...kernel.routes.keys()]).toEqual(["10.2.0.0/16", "10.3.0.0/16"]);
    expect(kernel.log.filter((line) => line.startsWith("DEL"))).toEqual(["DELADDR l2-1 2001:db8::1/64"]);
    expect(device().up).toBe(true);
    expect(followed).toEqual([{ addresses: ["10.0.0.1/24", "10.1.0.1/24"], bridge: undefined }]);
  });

  test("another address of the same network, which Linux would remove with the first", () => {
    up({ addresses: ["10.0.0.1/24", "10.0.0.9/24"], routes: ["10.2.0.0/16"] });
    expect(change({ addresses: ["10.0.0.2/24", "10.0.0.9/24"], routes: ["10.2.0.0/16"] })).toBe("");
    expect(device().addresses.toSorted()).toEqual(["10.0.0.2/24", "10.0.0.9/24"]);
    expect([...kernel.routes.keys()]).toEqual(["10.2.0.0/16"]);
  });

  test("the only address for another one: the routes stay", () => {
    up({ addresses: ["10.0.0.1/24"], routes: ["10.2.0.0/16"] });
    expect(change({ addresses: ["10.9.0.1/24"], routes: ["10.2.0.0/16"] })).toBe("");
    expect([...kernel.routes.keys()]).toEqual(["10.2.0.0/16"]);
    expect(kernel.log.filter((line) => line.startsWith("DELROUTE"))).toEqual([]);
  });

  test("a device that is down gets no routes, and all of it when it is raised", () => {
    up({ routes: ["10.2.0.0/16"] });
    ask({ type: "lower-session", localSessionId: 1 });
    kernel.routes.clear();
    expect(change({ addresses: ["2001:db8::1/64"], routes: ["10.3.0.0/16"] })).toBe("");
    expect([...kernel.routes.keys()]).toEqual([]);
    ask({ type: "raise-session", localSessionId: 1 });
    expect([...kernel.routes.keys()]).toEqual(["10.3.0.0/16"]);
    expect(device().addresses).toEqual(["2001:db8::1/64"]);
  });

  test("what somebody has removed already is no failure; a route that somebody else has is one", () => {
    up({ addresses: ["10.0.0.1/24"], routes: ["10.2.0.0/16"] });
    device().addresses = [];
    kernel.routes.clear();
    expect(change({})).toBe("");
    kernel.routes.set("10.5.0.0/16", 99);
    expect(change({ routes: ["10.5.0.0/16"] })).toContain("there is another route to it");
  });
});

describe("bridge, isolation, MTU", () => {
  test("into a bridge, to another one, isolated and not, and out of it", () => {
    up();
    expect(change({ bridge: "br0" })).toBe("");
    expect(device()).toMatchObject({ master: device("br0").index, isolated: false });
    expect(change({ bridge: "br1", isolated: true })).toBe("");
    expect(device()).toMatchObject({ master: device("br1").index, isolated: true });
    expect(change({ bridge: "br0", isolated: true })).toBe("");
    expect(device()).toMatchObject({ master: device("br0").index, isolated: true });
    expect(change({ bridge: "br0" })).toBe("");
    expect(device()).toMatchObject({ isolated: false });
    expect(change({})).toBe("");
    expect(device()).toMatchObject({ master: 0, up: true });
  });

  test("a bridge that does not exist is refused, and everything stays", () => {
    up({ addresses: ["10.0.0.1/24"] });
    expect(change({ bridge: "br7" })).toContain("there is no bridge br7");
    expect(device()).toMatchObject({ master: 0, addresses: ["10.0.0.1/24"] });
  });

  test("the MTU, with that of the device below a VLAN", () => {
    up({ mtu: 1400 });
    expect(change({ mtu: 1300 })).toBe("");
    expect(device()).toMatchObject({ mtu: 1300 });
    kernel.log.length = 0;
    expect(change({ mtu: 1300 })).toBe("");
    expect(kernel.log).toEqual([]);
  });

  test("the device below a VLAN first", () => {
    up({ mtu: 1400 }, { vlan: 100 });
    expect(change({ mtu: 1440 })).toBe("");
    expect([device("l2pw-1").mtu, device().mtu]).toEqual([1444, 1440]);
    expect(kernel.log).toEqual(["SETLINK l2pw-1 mtu 1444", "SETLINK l2-1 mtu 1440"]);
  });
});

describe("the order of requests", () => {
  test("a session that waits for its name is made with the new settings", () => {
    up();
    kernel.lingering = true;
    ask({ type: "delete-session", localSessionId: 1 });
    queue.push([
      { serial: 100, operation: { type: "create-session", session: session(2, { interfaceName: "l2-1" }) } },
      {
        serial: 101,
        operation: { type: "change-session", localSessionId: 2, settings: { ...PLAIN, addresses: ["10.0.0.1/24"] } },
      },
    ]);
    for (let i = 0; i < 4; i++) queue.step();
    expect(completions.map((each) => each.serial)).toContain(101);
    expect(completions.map((each) => each.serial)).not.toContain(100);
    kernel.finishLeaving();
    kernel.lingering = false;
    kernel.clock += 100;
    ask({ type: "raise-session", localSessionId: 2 });
    expect(device().addresses).toEqual(["10.0.0.1/24"]);
  });

  test("of a session that is deleted, or was never made, it is refused", () => {
    up();
    expect(
      ask(
        { type: "delete-session", localSessionId: 1 },
        { type: "change-session", localSessionId: 1, settings: PLAIN },
      ),
    ).toContain("cannot change session 1");
    expect(change({})).toContain("it was not made, or is deleted already");
  });
});
