import { describe, expect, test } from "vitest";
import type { TunnelConfiguration } from "../../src/control/configuration.ts";
import { facing, internalErrors, type ScriptedPeer, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import { LATENCY_MS, runningTimers, VirtualLink } from "../support/virtual-link.ts";

const INTERVAL_MS = 60_000;

function established(more: Partial<TunnelConfiguration> = {}) {
  const world = facing({ helloIntervalMs: INTERVAL_MS, ...more });
  world.peer.connect();
  return { ...world, start: world.link.now };
}

function helloCount(peer: ScriptedPeer): number {
  return peer.all("HELLO").length;
}

describe("HELLO", () => {
  test("H01 after an interval of silence, and again after every further one", () => {
    const { link, peer, start } = established();
    link.run(0.9 * INTERVAL_MS - 100);
    expect(helloCount(peer)).toBe(0);
    link.run(0.1 * INTERVAL_MS + 200);
    expect(helloCount(peer)).toBe(1);
    link.run(10 * INTERVAL_MS);
    const instants = peer.all("HELLO").map(({ at }) => at - start);
    const gaps = instants.slice(1).map((at, index) => at - (instants[index] ?? 0));
    expect(instants.length).toBeGreaterThanOrEqual(10);
    for (const gap of gaps) {
      expect(gap).toBeGreaterThanOrEqual(0.9 * INTERVAL_MS);
      expect(gap).toBeLessThanOrEqual(INTERVAL_MS + 100);
    }
  });

  test("H01 every control message of the peer counts as a sign of life", () => {
    const { link, peer } = established();
    for (let count = 0; count < 20; count++) {
      link.run(INTERVAL_MS / 2);
      peer.send({ name: "HELLO" });
    }
    expect(helloCount(peer)).toBe(0);
  });

  test("A05 a HELLO is acknowledged and changes nothing", () => {
    const { link, node, peer } = established();
    const before = tunnelOf(node);
    const heard = peer.heard.length;
    peer.send({ name: "HELLO" });
    link.run(100);
    expect(peer.heard.slice(heard).map(({ name }) => name)).toEqual(["ZLB"]);
    expect(tunnelOf(node)).toEqual(before);
  });

  test("H02 F45 data that arrives suppresses it, and silence brings it back", () => {
    const { link, node, peer } = established();
    peer.call();
    for (let minutes = 0; minutes < 30; minutes++) {
      node.receivedPackets += 1;
      link.run(INTERVAL_MS / 2);
    }
    expect(helloCount(peer)).toBe(0);
    link.run(2 * INTERVAL_MS + 100);
    expect(helloCount(peer)).toBeGreaterThanOrEqual(1);
  });

  test("H01 interval 0 sends none", () => {
    const { link, node, peer } = established({ helloIntervalMs: 0 });
    link.run(24 * 3_600_000);
    expect([helloCount(peer), tunnelOf(node).state]).toEqual([0, "established"]);
  });

  test("H01 a datapath that never answers does not stop it", () => {
    const { link, node, peer } = established();
    node.datapath = { ...node.datapath, delayMs: Number.POSITIVE_INFINITY };
    link.run(5 * (INTERVAL_MS + 1_100));
    expect(helloCount(peer)).toBeGreaterThanOrEqual(5);
  });

  test("H05 none while another message is outstanding", () => {
    const { link, node, peer } = established({ helloIntervalMs: 2_000 });
    peer.call();
    peer.polite = false;
    node.datapath = { ...node.datapath, delayMs: 500 };
    node.receive({ type: "close", tunnel: "to-peer", session: "lan42" });
    // Nor is the datapath asked, whose answer would be of no use.
    while (link.now < 60_000) {
      link.run(100);
      expect(runningTimers(node)).not.toContain("activity");
    }
    expect(peer.all("CDN").length).toBeGreaterThan(5);
    // None waits behind the CDN either.
    peer.polite = true;
    peer.acknowledge();
    link.run(1_000);
    expect(helloCount(peer)).toBe(0);
  });

  test.each([
    ["while the datapath is being asked", 500],
    ["and the datapath does not answer", 60_000],
  ])("H05 nor one that was sent %s", (_, delayMs) => {
    const { link, node, peer } = established();
    peer.call();
    node.datapath = { ...node.datapath, delayMs };
    const isAsked = () => runningTimers(node).includes("activity");
    const { start } = { start: link.now };
    while (!isAsked() && link.now - start < 2 * INTERVAL_MS) link.run(10);
    expect(isAsked()).toBe(true);
    peer.polite = false;
    node.receive({ type: "close", tunnel: "to-peer", session: "lan42" });
    link.run(5_000);
    expect([peer.all("CDN").length > 1, helloCount(peer)]).toEqual([true, 0]);
    peer.polite = true;
    peer.acknowledge({ nr: peer.nr });
    link.run(200);
    expect(helloCount(peer)).toBe(0);
  });

  test("H05 none before the connection is established", () => {
    const { link, peer } = facing({ helloIntervalMs: 1_000 });
    peer.send(peer.sccrq());
    peer.expect("SCCRP");
    link.run(30_000);
    expect(helloCount(peer)).toBe(0);
  });

  test("H03 ten connections between the same two addresses do not beat as one", () => {
    const [first, ...others] = Array.from({ length: 10 }, (_, index) =>
      tunnel(`t${index}`, { peer: A, role: "responder", peerHostname: `host${index}`, helloIntervalMs: INTERVAL_MS }),
    );
    const { link, peer } = facing(first, ...others);
    const start = link.now;
    for (let index = 0; index < 10; index++) {
      peer.restart();
      peer.port = 20_000 + index;
      peer.connect({ hostName: `host${index}` });
    }
    link.run(INTERVAL_MS + 1_000);
    const instants = new Map(peer.all("HELLO").map(({ at, header }) => [header.controlConnectionId, at - start]));
    const sorted = [...instants.values()].toSorted((a, b) => a - b);
    expect(new Set(sorted).size).toBe(10);
    // All began within half a second.
    expect((sorted.at(-1) ?? 0) - (sorted[0] ?? 0)).toBeGreaterThan(INTERVAL_MS / 30);
  });
});

describe("a dead peer", () => {
  test("H04 is noticed, its sessions go down, the datapath is emptied", () => {
    const { link, node, peer } = established({ sessions: [session("lan42"), session("lan43")] });
    peer.call();
    peer.call({ localSessionId: 77, remoteEndId: new TextEncoder().encode("lan43") });
    expect([node.raised.size, node.tunnels.size, node.sockets.size]).toEqual([2, 1, 1]);
    peer.polite = false;
    const silence = link.now;
    expect(link.runUntil(() => node.tunnels.size === 0, 600_000)).toBe(true);
    expect(link.now - silence).toBeLessThanOrEqual(INTERVAL_MS + 71_000 + 100);
    expect([node.raised.size, node.datapathSessions.size, node.sockets.size]).toEqual([0, 0, 0]);
    expect(node.core.nextDeadline()).toBeUndefined();
    expect(tunnelOf(node)).toMatchObject({ state: "idle", localControlConnectionId: 0, remoteControlConnectionId: 0 });
    expect(tunnelOf(node).lastError).toContain(`no answer from ${A} port 1701: the peer is dead or cannot be reached`);
    expect(sessionOf(node, 0)).toMatchObject({ state: "idle", localSessionId: 0, remoteSessionId: 0 });
    expect(sessionOf(node, 1).lastError).toContain("no answer");
    // Nobody is there to be told.
    expect(peer.all("StopCCN")).toEqual([]);
  });

  test("H04 an end that stays up notices too when only one direction is cut", () => {
    const link = new VirtualLink();
    const [left, right] = [A, B].map((peer, index) =>
      tunnel("peer", { peer, role: index === 0 ? "responder" : "both" }),
    );
    const a = link.add(B, lcce("site-b", left as TunnelConfiguration), 5);
    const b = link.add(A, lcce("site-a", right as TunnelConfiguration), 6);
    link.start();
    expect(link.runUntil(() => a.raised.size === 1 && b.raised.size === 1)).toBe(true);
    link.fate = ({ from }) => (from.address === A ? [] : [LATENCY_MS]);
    expect(link.runUntil(() => a.raised.size === 0 && b.raised.size === 0)).toBe(true);
    link.fate = () => [LATENCY_MS];
    expect(link.runUntil(() => a.raised.size === 1 && b.raised.size === 1)).toBe(true);
    expect([a.tunnels.size, b.tunnels.size, a.datapathSessions.size, b.datapathSessions.size]).toEqual([1, 1, 1, 1]);
    expect([internalErrors(a), internalErrors(b)]).toEqual([[], []]);
  });

  test("H04 the connection is tried again, each time with new ids and tie breaker, after pauses from min to max", () => {
    const { link, peer } = facing({
      role: "both",
      retransmit: { initialMs: 1_000, maxMs: 8_000, retries: 0, sccrqRetries: 0 },
      reconnect: { minMs: 1_000, maxMs: 16_000 },
    });
    peer.polite = false;
    link.run(200_000);
    const attempts = peer.all("SCCRQ");
    // Each attempt lasts a second: one transmission, no answer.
    const pauses = attempts.slice(1).map(({ at }, index) => at - (attempts[index]?.at ?? 0) - 1_000);
    const wanted = [1_000, 2_000, 4_000, 8_000, 16_000, 16_000, 16_000];
    for (const [index, pause] of wanted.entries()) {
      expect(pauses[index]).toBeGreaterThanOrEqual(pause);
      expect(pauses[index]).toBeLessThanOrEqual(pause * 1.1);
    }
    const ids = new Set(attempts.map(({ avps }) => avps.assignedControlConnectionId));
    const tieBreakers = new Set(attempts.map(({ avps }) => String(avps.tieBreaker)));
    expect([ids.size, tieBreakers.size]).toEqual([attempts.length, attempts.length]);
  });

  test("H04 after a reconnect the calls are placed anew with new ids, cookies and serial numbers", () => {
    const { link, node, peer } = facing({ role: "initiator" });
    const icrqs = [0, 1, 2].map((round) => {
      peer.polite = true;
      peer.answer();
      const icrq = peer.expect("ICRQ");
      peer.send(peer.icrp(icrq));
      peer.expect("ICCN");
      link.run(50);
      expect(node.raised.size, `round ${round}`).toBe(1);
      peer.polite = false;
      expect(link.runUntil(() => node.raised.size === 0)).toBe(true);
      peer.restart();
      return icrq.avps;
    });
    const serials = icrqs.map(({ serialNumber }) => serialNumber ?? 0);
    expect(serials).toEqual(serials.toSorted((a, b) => a - b));
    expect(new Set(serials).size).toBe(3);
    expect(new Set(icrqs.map(({ localSessionId }) => localSessionId)).size).toBe(3);
    expect(new Set(icrqs.map(({ assignedCookie }) => String(assignedCookie))).size).toBe(3);
  });

  test("H04 a connection that was up for long is tried again after the shortest pause", () => {
    const { link, peer } = facing({ role: "initiator", reconnect: { minMs: 1_000, maxMs: 60_000 } });
    peer.polite = false;
    peer.listen(300_000);
    peer.restart();
    peer.polite = true;
    peer.answer();
    link.run(600_000);
    peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid });
    const closed = link.now + LATENCY_MS;
    peer.restart();
    expect(peer.expect("SCCRQ").at - closed).toBeLessThanOrEqual(1_100 + LATENCY_MS);
  });
});
