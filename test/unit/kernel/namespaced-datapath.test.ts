import { beforeEach, expect, test } from "vitest";
import type { Datapath, DatapathEvents, SessionRequest, TunnelRequest } from "../../../src/kernel/datapath.ts";
import { NamespacedDatapath } from "../../../src/kernel/namespaced-datapath.ts";
import { PLAIN_SESSION } from "../../support/session-request.ts";

/** One of a namespace, that writes down what is asked of it. */
class FakeDatapath implements Datapath {
  readonly name = "userspace";
  readonly readsSocket = true;
  readonly asked: string[] = [];
  readonly events: DatapathEvents;
  /** What `close` waits for. */
  closing: Promise<void> = Promise.resolve();
  responding = true;

  constructor(events: DatapathEvents) {
    this.events = events;
  }

  prepare = () => void this.asked.push("prepare");
  createTunnel = async (tunnel: TunnelRequest) => void this.asked.push(`+${tunnel.localControlConnectionId}`);
  deleteTunnel = async (id: number) => void this.asked.push(`-${id}`);
  createSession = async (session: SessionRequest) => void this.asked.push(`+s${session.localSessionId}`);
  raiseSession = async (id: number) => void this.asked.push(`up s${id}`);
  lowerSession = async (id: number) => void this.asked.push(`down s${id}`);
  changeSession = async (id: number) => void this.asked.push(`change s${id}`);
  deleteSession = async (id: number) => void this.asked.push(`-s${id}`);

  async counters(localControlConnectionId = 0) {
    const numbers = { receivedPackets: 1, receivedOctets: 1, receiveErrors: 0, sequenceDiscards: 0, cookieDiscards: 0 };
    const sent = { sentPackets: 1, sentOctets: 1, sendErrors: 0 };
    return [{ localControlConnectionId, localSessionId: this.asked.length, ...numbers, ...sent }];
  }

  responds() {
    this.asked.push("responds?");
    return this.responding;
  }

  async close() {
    this.asked.push("close");
    await this.closing;
  }
}

let opened: Map<string | undefined, FakeDatapath[]>;
let told: unknown[];
let datapath: NamespacedDatapath;

beforeEach(() => {
  opened = new Map();
  told = [];
  const events: DatapathEvents = {
    sessionLost: (...what) => told.push(["session-lost", ...what]),
    tunnelLost: (...what) => told.push(["tunnel-lost", ...what]),
    portChanged: (...what) => told.push(["port", ...what]),
    noticed: (notice) => told.push(notice),
  };
  datapath = new NamespacedDatapath(events, (netns, heard) => {
    const made = new FakeDatapath(heard);
    opened.set(netns, [...(opened.get(netns) ?? []), made]);
    return made;
  });
});

const asked = (netns?: string) => opened.get(netns)?.map((each) => each.asked);

function tunnel(localControlConnectionId: number, netns?: string): TunnelRequest {
  const ids = { localControlConnectionId, remoteControlConnectionId: 9, fd: 3 };
  return { ...ids, netns, encapsulation: "udp", onControlDatagram: () => undefined };
}

function session(localControlConnectionId: number, localSessionId: number): SessionRequest {
  const ids = { localControlConnectionId, localSessionId, remoteSessionId: 9 };
  return { ...PLAIN_SESSION, ...ids, interfaceName: "l2-a" };
}

test("it is what the daemon's own one is, and begins others when they are needed", async () => {
  expect(datapath).toMatchObject({ name: "userspace", readsSocket: true });
  datapath.prepare();
  expect([...opened.keys()]).toEqual([undefined]);
  await datapath.createTunnel(tunnel(1));
  await datapath.createTunnel(tunnel(2, "blue"));
  await datapath.createTunnel(tunnel(3, "blue"));
  expect(asked()).toEqual([["prepare", "+1"]]);
  expect(asked("blue")).toEqual([["+2", "+3"]]);
});

test("what is asked of a tunnel or a session goes where the tunnel is", async () => {
  await datapath.createTunnel(tunnel(1));
  await datapath.createTunnel(tunnel(2, "blue"));
  await datapath.createSession(session(1, 11));
  await datapath.createSession(session(2, 22));
  await datapath.raiseSession(22);
  await datapath.lowerSession(22);
  await datapath.raiseSession(11);
  await datapath.deleteSession(22);
  await datapath.deleteTunnel(2);
  expect(asked("blue")).toEqual([["+2", "+s22", "up s22", "down s22", "-s22", "-2"]]);
  expect(asked()).toEqual([["+1", "+s11", "up s11"]]);
  // Nobody's any more: it is refused as what never was.
  await datapath.raiseSession(22);
  await datapath.deleteTunnel(2);
  expect(asked()?.[0]?.slice(-2)).toEqual(["up s22", "-2"]);
});

test("counters are those of all, or of where the tunnel is", async () => {
  await datapath.createTunnel(tunnel(2, "blue"));
  expect(await datapath.counters()).toHaveLength(2);
  expect(await datapath.counters(2)).toMatchObject([{ localControlConnectionId: 2, localSessionId: 1 }]);
});

test("what a namespace tells of devices says which it is", async () => {
  await datapath.createTunnel(tunnel(2, "blue"));
  const notice = { level: "warn", event: "device-down", interfaceName: "l2-a", message: "down" } as const;
  for (const netns of [undefined, "blue"]) {
    const { events } = opened.get(netns)?.[0] ?? {};
    events?.portChanged("l2-a", "down");
    events?.noticed(notice);
    events?.sessionLost(1, "gone");
    events?.tunnelLost(1, "gone");
  }
  const lost = [
    ["session-lost", 1, "gone"],
    ["tunnel-lost", 1, "gone"],
  ];
  const blue = [["port", "l2-a", "down", "blue"], { ...notice, netns: "blue" }, ...lost];
  expect(told).toEqual([["port", "l2-a", "down"], notice, ...lost, ...blue]);
});

test("a namespace that is left is begun anew by the next tunnel, and the old one may take its time", async () => {
  await datapath.createTunnel(tunnel(2, "blue"));
  await datapath.createSession(session(2, 22));
  let end = () => {};
  const [old] = opened.get("blue") ?? [];
  if (old !== undefined) old.closing = new Promise<void>((resolve) => (end = resolve));
  let hasLeft = false;
  const left = datapath.leave("blue").then(() => (hasLeft = true));
  await datapath.createTunnel(tunnel(3, "blue"));
  await datapath.raiseSession(22);
  expect(asked("blue")).toEqual([["+2", "+s22", "close"], ["+3"]]);
  expect(hasLeft).toBe(false);
  let hasClosed = false;
  const closed = datapath.close().then(() => (hasClosed = true));
  await new Promise((resolve) => setImmediate(resolve));
  // It waits for what is being left, too.
  expect(hasClosed).toBe(false);
  end();
  await Promise.all([left, closed]);
  expect(asked("blue")?.[1]).toEqual(["+3", "close"]);
  await datapath.leave("red");
  expect(opened.has("red")).toBe(false);
});

test("it responds when those of all namespaces do, and every one of them is asked", async () => {
  await datapath.createTunnel(tunnel(1, "blue"));
  const [own] = opened.get(undefined) ?? [];
  const [blue] = opened.get("blue") ?? [];
  expect(datapath.responds()).toBe(true);
  if (own !== undefined) own.responding = false;
  expect(datapath.responds()).toBe(false);
  expect(blue?.asked).toEqual(["+1", "responds?", "responds?"]);
});
