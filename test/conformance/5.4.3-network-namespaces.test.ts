import { expect, test } from "vitest";
import type { Input, LocalEndpoint } from "../../src/control/core.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import { VirtualLink, type VirtualNode } from "../support/virtual-link.ts";

const LISTENER: LocalEndpoint = { address: "0.0.0.0", port: 1701 };
const FROM = { address: B, port: 1701 };
const named = (node: VirtualNode, name: string) => node.core.view().tunnels.find((each) => each.name === name);
const states = (node: VirtualNode) => node.core.view().tunnels.map(({ name, state }) => `${name} ${state}`);

/** What node B says to open a tunnel: an SCCRQ. */
function sccrq(seed = 1): Uint8Array {
  const link = new VirtualLink();
  link.add(B, lcce("site-b", tunnel("a", { role: "initiator", peer: A })), seed);
  link.start();
  return link.datagrams[0]?.octets ?? new Uint8Array();
}

/** A responder with one tunnel for the same peer in each place. */
function responder(...places: Parameters<typeof tunnel>[1][]) {
  const link = new VirtualLink();
  const tunnels = places.map((place, i) => tunnel(`t${i}`, { role: "responder", peer: B, ...place }));
  const node = link.add(A, lcce("site-a", ...tunnels));
  const effects = (to: LocalEndpoint, octets = sccrq(), from = FROM) =>
    node.core.receive({ type: "datagram", from, to, octets }, link.now);
  return { link, node, effects };
}

test("B53 an SCCRQ is for the tunnel of the namespace that it came by, and the answer goes there", () => {
  const { node, effects } = responder({}, { netns: "blue" }, { netns: "red" });
  const to = { ...LISTENER, netns: "red" };
  expect(effects(to)).toContainEqual(expect.objectContaining({ type: "reply", from: to }));
  expect(states(node)).toEqual(["t0 idle", "t1 idle", "t2 wait-ctl-conn"]);
  effects({ ...LISTENER, netns: "blue" }, sccrq(2));
  effects(LISTENER, sccrq(3));
  expect(states(node)).toEqual(["t0 wait-ctl-conn", "t1 wait-ctl-conn", "t2 wait-ctl-conn"]);
});

test("in a namespace that no tunnel has nobody is known", () => {
  const { node, effects } = responder({}, { netns: "blue" });
  const found = effects({ ...LISTENER, netns: "green" });
  expect(found).toContainEqual(expect.objectContaining({ type: "log", event: "unknown-peer" }));
  expect(states(node)).toEqual(["t0 idle", "t1 idle"]);
});

test("B53 over UDP an SCCRQ is for the tunnel that is bound to the device that it came by", () => {
  const { node, effects } = responder({}, { bindDevice: "vrf-red" });
  effects({ ...LISTENER, device: "vrf-red" });
  expect(states(node)).toEqual(["t0 idle", "t1 wait-ctl-conn"]);
  effects({ ...LISTENER, device: undefined }, sccrq(2));
  expect(states(node)).toEqual(["t0 wait-ctl-conn", "t1 wait-ctl-conn"]);
});

test("G13 a connection's id means nothing in another namespace, though address and port are its peer's", () => {
  const { link, node, effects } = responder({ netns: "blue" });
  effects({ ...LISTENER, netns: "blue" });
  const id = named(node, "t0")?.localControlConnectionId ?? 0;
  // An explicit acknowledgement with the connection's id.
  const ack = Uint8Array.from([0xc8, 3, 0, 20, 0, 0, 0, 0, 0, 1, 0, 1, 0x80, 8, 0, 0, 0, 0, 0, 20]);
  new DataView(ack.buffer).setUint32(4, id);
  const events = (netns: string | undefined) =>
    node.core
      .receive({ type: "datagram", from: FROM, to: { ...LISTENER, netns }, octets: ack }, link.now)
      .flatMap((effect) => (effect.type === "log" ? effect.event : []));
  expect(events("red")).toEqual(["wrong-source"]);
  expect(events(undefined)).toEqual(["wrong-source"]);
  expect(events("blue")).not.toContain("wrong-source");
});

test("a circuit's condition concerns the sessions of its namespace alone", () => {
  const link = new VirtualLink();
  const sessions = [session("lan", { circuit: "eth1" })];
  const a = link.add(A, lcce("site-a", tunnel("own", { sessions }), tunnel("blue", { sessions, netns: "blue" })));
  const active = () => a.core.save().tunnels.map((each) => each.sessions[0]?.circuit.condition === "up");
  a.receive({ type: "circuit", interfaceName: "eth1", netns: "blue", condition: "down" });
  expect(active()).toEqual([true, false]);
  a.receive({ type: "circuit", interfaceName: "eth1", condition: "down" });
  a.receive({ type: "circuit", interfaceName: "eth1", netns: "blue", condition: "up" });
  expect(active()).toEqual([false, true]);
});

const GONE = { type: "namespace-lost", netns: "blue", reason: "network namespace blue was deleted" } as const;
const PATIENT = { reconnect: { minMs: 60_000, maxMs: 60_000 } };

/** Two established ends; `netns` is A's. The virtual link has no namespaces: A is told of its own as if it were blue. */
function established(role: "initiator" | "responder") {
  const link = new VirtualLink();
  const other = role === "initiator" ? "responder" : "initiator";
  const a = link.add(A, lcce("site-a", tunnel("b", { role, peer: B, netns: "blue", ...PATIENT })));
  const b = link.add(B, lcce("site-b", tunnel("a", { role: other, peer: A, ...PATIENT })));
  a.netns = "blue";
  link.start();
  expect(link.runUntil(() => a.raised.size === 1 && b.raised.size === 1, 30_000)).toBe(true);
  return { link, a, b };
}

test.each(["initiator", "responder"] as const)("the %s gives up everything at once, and tells the peer", (role) => {
  const { link, a, b } = established(role);
  a.receive(GONE);
  expect([a.sockets.size, a.tunnels.size, a.datapathSessions.size]).toEqual([0, 0, 0]);
  expect(named(a, "b")).toMatchObject({ state: "idle", lastError: GONE.reason, localControlConnectionId: 0 });
  link.run(100);
  expect(named(b, "a")).toMatchObject({ state: "idle", lastError: expect.stringContaining(GONE.reason) });
});

test.each(["initiator", "responder"] as const)("when it is found again the %s is up soon", (role) => {
  const { link, a, b } = established(role);
  a.receive(GONE);
  link.run(5_000);
  a.receive({ type: "namespace-found", netns: "blue" });
  // Who opens may wait for its own next attempt, at the other end.
  if (role === "responder") link.run(61_000);
  expect(link.runUntil(() => a.raised.size === 1 && b.raised.size === 1, 2_000)).toBe(true);
});

test("another namespace's end is nothing to it", () => {
  const { a } = established("initiator");
  a.receive({ ...GONE, netns: "red" });
  expect(named(a, "b")).toMatchObject({ state: "established", lastError: "" });
});

test("one that never was there is said of a tunnel that only waits, too", () => {
  const { node } = responder({ netns: "blue" }, {});
  node.receive({ ...GONE, reason: "network namespace blue does not exist" });
  expect(named(node, "t0")?.lastError).toBe("network namespace blue does not exist");
  expect(named(node, "t1")?.lastError).toBe("");
});

test("when it is found what is said is no longer that it is missing, but for what an administrator closed", () => {
  const { node } = responder({ netns: "blue" }, { netns: "blue" }, { netns: "red" });
  node.receive({ type: "close", tunnel: "t1" });
  node.receive(GONE);
  node.receive({ ...GONE, netns: "red", reason: "network namespace red was deleted" });
  node.receive({ type: "namespace-found", netns: "blue" });
  const errors = ["t0", "t1", "t2"].map((name) => named(node, name)?.lastError);
  expect(errors).toEqual(["", "closed by the administrator", "network namespace red was deleted"]);
});

test("what the sessions lost with it is over, too", () => {
  const { a } = established("responder");
  const lastError = () => named(a, "b")?.sessions[0]?.lastError;
  a.receive(GONE);
  expect(lastError()).toContain(GONE.reason);
  a.receive({ type: "namespace-found", netns: "blue" });
  expect(lastError()).toBe("");
});

test("a change of the surroundings hurries the tunnels of its namespace alone", () => {
  /** To whom an SCCRQ is sent again for it: nobody is there to answer the first. */
  const hurried = (change: Input) => {
    const link = new VirtualLink();
    const opener = (name: string, peer: string, netns?: string) => tunnel(name, { role: "initiator", peer, netns });
    const tunnels = [opener("own", "192.0.2.11"), opener("b", "192.0.2.12", "blue"), opener("r", "192.0.2.13", "red")];
    const node = link.add(A, lcce("site-a", ...tunnels));
    link.start();
    link.run(100);
    const before = link.datagrams.length;
    node.receive(change);
    return link.datagrams.slice(before).map(({ to }) => to.address);
  };
  expect(hurried({ type: "surroundings-changed", netns: "blue" })).toEqual(["192.0.2.12"]);
  expect(hurried({ type: "surroundings-changed", netns: null })).toEqual(["192.0.2.11"]);
  // As it was recorded before.
  expect(hurried({ type: "surroundings-changed" })).toEqual(["192.0.2.11", "192.0.2.12", "192.0.2.13"]);
});

test("a static tunnel is removed, and made again when the namespace is found", () => {
  const link = new VirtualLink();
  const numbers = { localTunnelId: 7, remoteTunnelId: 8, watched: false };
  const lan = {
    localSessionId: 70,
    remoteSessionId: 80,
    localCookie: new Uint8Array(),
    remoteCookie: new Uint8Array(),
  };
  const sessions = [session("lan", { static: lan })];
  const a = link.add(
    A,
    lcce("site-a", tunnel("b", { role: "initiator", peer: B, netns: "blue", static: numbers, sessions, ...PATIENT })),
  );
  link.start();
  link.run(100);
  expect(a.raised.size).toBe(1);
  a.receive(GONE);
  expect([a.sockets.size, a.tunnels.size, a.raised.size]).toEqual([0, 0, 0]);
  expect(named(a, "b")).toMatchObject({ state: "idle", lastError: GONE.reason });
  a.receive({ type: "namespace-found", netns: "blue" });
  link.run(1_100);
  expect(a.raised.size).toBe(1);
});
