import { beforeEach, describe, expect, test } from "vitest";
import type { SessionRequest } from "../../../src/kernel/datapath.ts";
import { devicesOf, l2tpDeviceOf } from "../../../src/kernel/device-names.ts";
import { createSessions, deleteSession, readCounters, switchDevices } from "../../../src/kernel/kernel-operations.ts";
import { aliasOf } from "../../../src/kernel/leftovers.ts";
import { OperationQueue } from "../../../src/kernel/operation-queue.ts";
import type { Completion, Job, Operation } from "../../../src/kernel/operations.ts";
import { FakeKernel, session } from "./fake-kernel.ts";

let kernel: FakeKernel;

beforeEach(() => {
  kernel = new FakeKernel();
  kernel.tunnels.add(7);
  kernel.addDevice("br0", "bridge");
});

function tagged(localSessionId: number, more: Partial<SessionRequest> = {}): SessionRequest {
  return session(localSessionId, { vlan: 42, ...more });
}

describe("the names of its devices", () => {
  test("are two with a VLAN, within what Linux takes, and different for every session", () => {
    expect(devicesOf(session(1))).toEqual(["l2-1"]);
    expect(devicesOf(tagged(1))).toEqual(["l2pw-1", "l2-1"]);
    const longest = l2tpDeviceOf(tagged(4_294_967_295));
    expect([longest, longest.length <= 15]).toEqual(["l2pw-ffffffff", true]);
  });
});

describe("F44 I01 a VLAN pseudowire in the kernel", () => {
  test("is an l2tpeth device of type 5 and over it a sub-interface, which has name, bridge and addresses", () => {
    const settings = { bridge: "br0", isolated: true, addresses: ["10.0.0.1/30"] };
    expect(createSessions(kernel, [tagged(1, settings)])).toEqual([undefined]);
    expect(kernel.sessions.get(1)).toMatchObject({ pseudowireType: 5, interfaceName: "l2pw-1" });
    expect(kernel.log).toEqual([
      "SESSION_CREATE 1",
      "NEWLINK l2-1 lower 2 vlan 42 mtu 1442",
      "SETLINK l2-1 master 1",
      "NEWLINK l2-1 isolated true",
      "NEWADDR l2-1 10.0.0.1/30",
    ]);
    expect(kernel.devices.get("l2-1")).toMatchObject({ kind: "vlan", vlan: 42, up: false });
    const alias = aliasOf(tagged(1));
    expect(devicesOf(tagged(1)).map((name) => kernel.devices.get(name)?.alias)).toEqual([alias, alias]);
  });

  test("I07 has the MTU that is configured; the device below has room for the tag as well", () => {
    expect(createSessions(kernel, [tagged(1, { mtu: 1500 })])).toEqual([undefined]);
    expect(["l2pw-1", "l2-1"].map((name) => kernel.devices.get(name)?.mtu)).toEqual([1504, 1500]);
  });

  test("is made beside ports, many together", () => {
    const outcomes = createSessions(kernel, [session(1), tagged(2), tagged(3, { vlan: 43 }), session(4)]);
    expect(outcomes).toEqual([undefined, undefined, undefined, undefined]);
    expect([...kernel.devices.values()].map(({ name, vlan }) => [name, vlan])).toEqual([
      ["br0", 0],
      ["l2-1", 0],
      ["l2pw-2", 0],
      ["l2pw-3", 0],
      ["l2-4", 0],
      ["l2-2", 42],
      ["l2-3", 43],
    ]);
    expect(kernel.batches[1], "the sessions at once").toBe(4);
  });

  test("goes with its session, and has its counters", () => {
    createSessions(kernel, [tagged(1)]);
    expect(readCounters(kernel, [tagged(1)])).toHaveLength(1);
    expect(deleteSession(kernel, 7, 1)).toBeUndefined();
    expect([...kernel.devices.keys()]).toEqual(["br0"]);
  });

  test("is set up from below and down from above, with addresses before and routes behind", () => {
    createSessions(kernel, [tagged(1)]);
    kernel.log.length = 0;
    const one = { localSessionId: 1, interfaceName: "l2-1", lowerName: "l2pw-1" };
    const wanted = { addresses: ["2001:db8::1/64"], routes: ["10.2.0.0/16"] };
    expect(switchDevices(kernel, [{ ...one, ...wanted, up: true }])).toEqual([undefined]);
    expect(switchDevices(kernel, [{ ...one, up: false, addresses: [], routes: [] }])).toEqual([undefined]);
    expect(kernel.log).toEqual([
      "NEWADDR l2-1 2001:db8::1/64",
      "SETLINK l2pw-1 up true",
      "SETLINK l2-1 up true",
      "NEWROUTE l2-1 10.2.0.0/16",
      "SETLINK l2-1 up false",
      "SETLINK l2pw-1 up false",
    ]);
  });
});

describe("a VLAN pseudowire that cannot be", () => {
  test("a kernel without module 8021q: it says so, the session is taken away again, its neighbour stays", () => {
    kernel.hasVlans = false;
    const [refused, made] = createSessions(kernel, [tagged(1), session(2)]);
    expect(refused?.message).toBe(
      'cannot make interface l2-1 for the frames of VLAN 42: the kernel has no VLANs, load them with "modprobe 8021q": module 8021q is missing (EOPNOTSUPP)',
    );
    expect(made).toBeUndefined();
    expect([...kernel.devices.keys()]).toEqual(["br0", "l2-2"]);
  });

  test("a name that is taken is told before anything is made", () => {
    kernel.addDevice("l2-1", "dummy");
    const met: string[] = [];
    const [outcome] = createSessions(kernel, [tagged(1)], { inTheWay: (_, { name }) => met.push(name) });
    expect(outcome?.message).toBe(
      "cannot make session 1 of tunnel 7: interface l2-1 exists already; choose another name or remove it (EEXIST)",
    );
    expect([kernel.log, met]).toEqual([[], ["l2-1"]]);
  });

  test("the name of the device below is taken", () => {
    kernel.addDevice("l2pw-1", "dummy");
    const [outcome] = createSessions(kernel, [tagged(1)]);
    expect(outcome?.message).toContain("interface l2pw-1 exists already");
    expect(kernel.sessions.size).toBe(0);
  });

  test("a bridge that is missing takes both devices away again", () => {
    expect(createSessions(kernel, [tagged(1, { bridge: "br9" })])[0]?.errno).toBe("ENODEV");
    expect([...kernel.devices.keys()]).toEqual(["br0"]);
  });

  test.each([0, 4_095, -1, 1.5])("VLAN %d is none", (vlan) => {
    expect(createSessions(kernel, [tagged(1, { vlan })])[0]?.message).toContain("a VLAN is 1 to 4094");
    expect(kernel.log).toEqual([]);
  });

  test("a machine without IPv6 has nothing to be kept from talking it", () => {
    const links = kernel.links.bind(kernel);
    const refusing = (errno: string) => ({
      l2tp: kernel.l2tp.bind(kernel),
      links: (calls: Parameters<typeof links>[0]) =>
        links(calls).map((answer, i) => {
          const call = calls[i];
          return call !== undefined && "quiet" in call && call.quiet === "ipv6" ? { ...answer, errno } : answer;
        }),
    });
    expect(createSessions(refusing("EAFNOSUPPORT"), [tagged(1)])).toEqual([undefined]);
    expect(createSessions(refusing("EPERM"), [tagged(2)])[0]?.message).toMatch(/^cannot keep interface l2pw-2 from /);
  });
});

describe("its names in the queue of operations", () => {
  function queued() {
    const done: Completion[] = [];
    const queue = new OperationQueue({
      calls: kernel,
      now: () => kernel.clock,
      complete: (completion) => done.push(completion),
      closeDescriptor: () => {},
    });
    let serial = 0;
    const ask = (...operations: readonly Operation[]) => {
      queue.push(operations.map((operation): Job => ({ serial: serial++, operation })));
      queue.step();
    };
    kernel.tunnels.clear();
    const ids = { localControlConnectionId: 7, remoteControlConnectionId: 8 };
    ask({ type: "create-tunnel", ...ids, encapsulation: "udp", fd: 3 });
    return { queue, ask, done };
  }

  test.each([
    ["as it was, as static sessions are", 1],
    ["with another id", 2],
  ])("a session that is made anew while its devices are on their way out waits: %s", (_, again) => {
    kernel.lingering = true;
    const { queue, ask, done } = queued();
    ask({ type: "create-session", session: tagged(1) });
    ask({ type: "delete-session", localSessionId: 1 });
    ask({ type: "create-session", session: tagged(again, { interfaceName: "l2-1" }) });
    expect(done.map(({ serial, refusal }) => [serial, refusal])).toEqual([0, 1, 2].map((each) => [each, undefined]));
    const created = kernel.log.filter((line) => line.startsWith("SESSION_CREATE")).length;
    expect(created, "the kernel is not asked while the name is taken").toBe(1);
    kernel.finishLeaving();
    kernel.clock += 100;
    queue.step();
    expect(done.at(-1)).toEqual({ serial: 3 });
    expect([...kernel.devices.keys()]).toEqual(["br0", `l2pw-${again}`, "l2-1"]);
  });

  test("raising and lowering are of both devices", () => {
    const { ask } = queued();
    ask({ type: "create-session", session: tagged(1) });
    ask({ type: "raise-session", localSessionId: 1 });
    expect(["l2pw-1", "l2-1"].map((name) => kernel.devices.get(name)?.up)).toEqual([true, true]);
    ask({ type: "lower-session", localSessionId: 1 });
    expect(["l2pw-1", "l2-1"].map((name) => kernel.devices.get(name)?.up)).toEqual([false, false]);
  });

  test("what a dead thread left is removed by its tunnel", () => {
    const { ask, done } = queued();
    ask({ type: "create-session", session: tagged(1) });
    ask({ type: "remove-remnants", tunnels: [7], sessions: [tagged(1)] });
    expect([done.at(-1)?.refusal, [...kernel.devices.keys()]]).toEqual([undefined, ["br0"]]);
  });
});
