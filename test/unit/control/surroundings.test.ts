import { expect, test } from "vitest";
import { A, B, lcce, session, tunnel } from "../../support/sites.ts";
import { VirtualLink, type VirtualNode } from "../../support/virtual-link.ts";

const C = "192.0.2.3";
const PATIENT = { reconnect: { minMs: 60_000, maxMs: 60_000 } };
const sent = (link: VirtualLink, { address }: VirtualNode) =>
  link.datagrams.filter(({ from }) => from.address === address).length;
const tunnelOf = (node: VirtualNode) => node.core.view().tunnels[0];
const isUp = (node: VirtualNode) => tunnelOf(node)?.state === "established" && node.raised.size === 1;

/** A session that a's datapath refuses until `bridge.exists`. */
function waitingForBridge() {
  const link = new VirtualLink();
  const bridge = { exists: false, asked: 0 };
  const a = link.add(A, lcce("site-a", tunnel("b", { role: "initiator", peer: B, ...PATIENT })));
  const b = link.add(B, lcce("site-b", tunnel("a", { role: "responder", peer: A })));
  a.datapath = {
    ...a.datapath,
    refuseSession: () => {
      bridge.asked += 1;
      return bridge.exists ? undefined : "bridge br0 does not exist";
    },
  };
  link.start();
  link.runUntil(() => bridge.asked === 1);
  link.run(2_000);
  return { link, a, b, bridge };
}

test("a call that waits for its next attempt goes at once when the surroundings change", () => {
  const { link, a, bridge } = waitingForBridge();
  bridge.exists = true;
  a.receive({ type: "surroundings-changed" });
  expect(link.runUntil(() => isUp(a), 500)).toBe(true);
});

test("it is hurried once a second, however often they change", () => {
  const { link, a, bridge } = waitingForBridge();
  const before = bridge.asked;
  for (let i = 0; i < 50; i++) {
    a.receive({ type: "surroundings-changed" });
    link.run(100);
  }
  expect(bridge.asked - before).toBeGreaterThanOrEqual(4);
  expect(bridge.asked - before).toBeLessThanOrEqual(6);
});

test("what came while an attempt was under way counts for the next one", () => {
  const link = new VirtualLink();
  const a = link.add(A, lcce("site-a", tunnel("b", { role: "initiator", peer: B, ...PATIENT })));
  link.add(B, lcce("site-b", tunnel("a", { role: "responder", peer: A })));
  let exists = false;
  a.datapath = { ...a.datapath, delayMs: 300, refuseSession: () => (exists ? undefined : "no bridge") };
  link.start();
  link.runUntil(() => tunnelOf(a)?.sessions[0]?.state === "wait-reply");
  link.run(50);
  exists = false;
  a.receive({ type: "surroundings-changed" });
  link.runUntil(() => tunnelOf(a)?.sessions[0]?.lastError.includes("no bridge") === true);
  exists = true;
  expect(link.runUntil(() => isUp(a), 3_000)).toBe(true);
});

test("an SCCRQ that nobody answered is sent again at once", () => {
  const link = new VirtualLink();
  const retransmit = { initialMs: 60_000, maxMs: 60_000, retries: 3, sccrqRetries: 3 };
  const a = link.add(A, lcce("site-a", tunnel("b", { role: "initiator", peer: B, retransmit })));
  link.add(B, lcce("site-b", tunnel("a", { role: "responder", peer: A })));
  link.fate = () => [];
  link.start();
  link.run(5_000);
  expect(sent(link, a)).toBe(1);
  link.fate = () => [10];
  a.receive({ type: "surroundings-changed" });
  expect(link.runUntil(() => isUp(a), 1_000)).toBe(true);
});

test("nothing is hurried that was closed, or that only answers", () => {
  const { link, a, b } = waitingForBridge();
  a.receive({ type: "close", tunnel: "b" });
  link.run(1_000);
  const before = link.datagrams.length;
  for (const node of [a, b]) node.receive({ type: "surroundings-changed" });
  link.run(10_000);
  expect(link.datagrams.length).toBe(before);
});

test("a connection whose local address has gone is opened anew without a word, and the responder keeps its own", () => {
  const { link, a, b, bridge } = waitingForBridge();
  bridge.exists = true;
  a.receive({ type: "surroundings-changed" });
  link.runUntil(() => isUp(a) && isUp(b));
  const [before, atB] = [tunnelOf(a)?.localControlConnectionId ?? 0, tunnelOf(b)?.localControlConnectionId ?? 0];
  b.receive({ type: "address-lost", localControlConnectionId: atB, reason: "no longer" });
  expect(isUp(b)).toBe(true);
  const reason = "this machine no longer has the address 192.0.2.1";
  a.receive({ type: "address-lost", localControlConnectionId: before, reason });
  expect(a.log.map(({ message }) => message)).toContain(reason);
  expect(link.runUntil(() => isUp(a) && tunnelOf(a)?.localControlConnectionId !== before, 2_000)).toBe(true);
  expect(link.runUntil(() => isUp(b) && tunnelOf(b)?.localControlConnectionId !== atB, 2_000)).toBe(true);
  expect(a.tunnels.size).toBe(1);
});

/** a knows b by a name; c is where the name will point. */
function byName() {
  const link = new VirtualLink();
  const retransmit = { initialMs: 1_000, maxMs: 8_000, retries: 10, sccrqRetries: 10 };
  const more = { role: "initiator", peer: "pe.example.net", retransmit, helloIntervalMs: 10_000 } as const;
  const a = link.add(A, lcce("site-a", tunnel("b", more)));
  const b = link.add(B, lcce("site-b", tunnel("a", { role: "responder", peer: A })));
  const c = link.add(C, lcce("site-c", tunnel("a", { role: "responder", peer: A, sessions: [session("lan42")] })));
  a.names.set("pe.example.net", B);
  link.start();
  link.runUntil(() => isUp(a) && isUp(b));
  return { link, a, b, c };
}

test("a name is looked up again every few minutes; a change is told, and a peer that answers is kept", () => {
  const { link, a, c } = byName();
  a.names.set("pe.example.net", C);
  link.run(400_000);
  expect(a.log.filter(({ event }) => event === "peer-address-changed").map(({ message }) => message)).toEqual([
    `the peer's name stands for ${C} now, it was ${B}`,
  ]);
  expect([isUp(a), isUp(c)]).toEqual([true, false]);
});

test("a peer that has gone where its name points now is found there long before it is held dead", () => {
  const { link, a, c } = byName();
  a.names.set("pe.example.net", C);
  link.fate = ({ from, to }) => (from.address === B || to.address === B ? [] : [10]);
  // A HELLO after at most 10 s and a second of waiting for the datapath; lost at 0, 1 and 3 s.
  expect(link.runUntil(() => isUp(a) && isUp(c), 17_000)).toBe(true);
  expect(a.tunnels.size).toBe(1);
});

test("a name that still points to a silent peer leaves the connection to the retransmissions", () => {
  const { link, a } = byName();
  link.fate = ({ to }) => (to.address === B ? [] : [10]);
  link.run(20_000);
  expect(tunnelOf(a)?.state).toBe("established");
  expect(a.log.map(({ event }) => event)).not.toContain("peer-address-changed");
});
