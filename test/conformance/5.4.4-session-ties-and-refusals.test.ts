import { describe, expect, test } from "vitest";
import type { SessionConfiguration } from "../../src/control/configuration.ts";
import { facing, internalErrors, type ScriptedPeer, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import { VirtualLink, type VirtualNode } from "../support/virtual-link.ts";
import { avp } from "../support/wire.ts";

/** The peer calls: our end has accepted its connection. */
function called(more: Partial<SessionConfiguration> = {}) {
  const world = facing({ sessions: [session("lan42", more)] });
  world.peer.connect();
  return world;
}

/** Our end calls: it has opened the connection, and its ICRQ is there. */
function calling(more: Partial<SessionConfiguration> = {}) {
  const world = facing({ role: "initiator", sessions: [session("lan42", more)] });
  world.peer.answer();
  return { ...world, icrq: world.peer.expect("ICRQ") };
}

const LOW = new Uint8Array(8);
const HIGH = new Uint8Array(8).fill(0xff);

/** Takes the peer's part until its call is up. */
function finishPeersCall(node: VirtualNode, peer: ScriptedPeer): void {
  peer.send(peer.iccn(peer.expect("ICRP")));
  peer.listen(50);
  expect([sessionOf(node).state, node.raised.size, node.datapathSessions.size]).toEqual(["established", 1, 1]);
}

describe("session ties", () => {
  test.each([
    ["E06", "lower", "both", { tieBreaker: LOW }],
    ["E07", "only", undefined, { tieBreaker: HIGH }],
  ] as const)(
    "%s the peer's %s tie breaker wins: our call vanishes without a word, the peer's comes up",
    (_, __, call, avps) => {
      const { node, peer } = calling({ call });
      peer.send(peer.icrq(avps));
      finishPeersCall(node, peer);
      expect(sessionOf(node).remoteSessionId).toBe(peer.sessionId);
      expect([peer.all("CDN"), peer.listen(120_000).filter(({ name }) => name !== "HELLO")]).toEqual([[], []]);
    },
  );

  test.each([
    ["E06", "lower", { tieBreaker: HIGH }],
    ["E07", "only", {}],
  ] as const)("%s our %s tie breaker wins: the peer's call gets a CDN, result 13, ours comes up", (_, __, avps) => {
    const { link, node, peer, icrq } = calling({ call: "both" });
    const loser = peer.sessionId + 1;
    peer.send(peer.icrq({ ...avps, localSessionId: loser }));
    expect(peer.expect("CDN").avps).toMatchObject({ resultCode: { result: 13 }, remoteSessionId: loser });
    peer.send(peer.icrp(icrq));
    peer.expect("ICCN");
    link.run(50);
    expect(sessionOf(node)).toMatchObject({ state: "established", remoteSessionId: peer.sessionId });
  });

  test.each([
    ["E07", "equal tie breakers", "both", true],
    ["E07", "no tie breaker at all", undefined, false],
  ] as const)("%s %s: both calls end, and ours is placed again with new values", (_, __, call, equal) => {
    const { node, peer, icrq } = calling({ call });
    const { tieBreaker = HIGH, localSessionId } = icrq.avps;
    peer.send(peer.icrq(equal ? { tieBreaker } : {}));
    const cdns = [peer.expect("CDN"), peer.expect("CDN")];
    expect(cdns.map(({ avps }) => avps.resultCode?.result)).toEqual([13, 13]);
    expect(cdns.map(({ avps }) => avps.remoteSessionId).toSorted()).toEqual([0, peer.sessionId]);
    const again = peer.expect("ICRQ");
    expect(again.at - icrq.at).toBeGreaterThanOrEqual(1_000);
    expect(again.avps.localSessionId).not.toBe(localSessionId);
    expect(again.avps.serialNumber).toBe((icrq.avps.serialNumber ?? 0) + 1);
    if (equal) expect(again.avps.tieBreaker).not.toEqual(tieBreaker);
    peer.send(peer.icrp(again));
    peer.expect("ICCN");
    expect(sessionOf(node).state).toBe("established");
  });

  test("E05 calls for different Remote End IDs are no tie", () => {
    const { link, node, peer } = facing({
      role: "both",
      sessions: ["x", "y"].map((name) => session(name, { call: "both" })),
    });
    peer.answer();
    const calls = [peer.expect("ICRQ"), peer.expect("ICRQ")];
    peer.send(peer.icrq({ remoteEndId: new TextEncoder().encode("y"), tieBreaker: LOW }));
    const icrp = peer.expect("ICRP");
    peer.send(peer.iccn(icrp));
    peer.sessionId += 1;
    peer.send(peer.icrp(calls[0] as (typeof calls)[0]));
    link.run(50);
    expect(tunnelOf(node).sessions.map(({ state }) => state)).toEqual(["established", "established"]);
  });

  test("an ICRQ for a session that is up gets a CDN and disturbs nothing", () => {
    const { link, node, peer } = called();
    peer.call();
    const before = node.core.view();
    peer.send(peer.icrq({ localSessionId: 4711 }));
    const { avps } = peer.expect("CDN");
    expect(avps).toMatchObject({ resultCode: { result: 4 }, remoteSessionId: 4711 });
    link.run(1_000);
    expect([node.core.view(), node.raised.size]).toEqual([before, 1]);
  });
});

describe("session ids", () => {
  test("B59 a CDN before the ICRP, with Remote Session ID 0, is matched by the caller's id", () => {
    const { link, node, peer } = called();
    node.datapath = { ...node.datapath, delayMs: 100 };
    const { sessionId: localSessionId } = peer;
    peer.send(peer.icrq());
    link.run(20);
    expect(sessionOf(node).localSessionId).not.toBe(0);
    peer.send({ name: "CDN", resultCode: { result: 3 }, localSessionId, remoteSessionId: 0 });
    link.run(1_000);
    expect(sessionOf(node)).toMatchObject({ state: "idle", localSessionId: 0 });
    expect([node.datapathSessions.size, peer.all("ICRP"), peer.all("CDN")]).toEqual([0, [], []]);
    node.datapath = { ...node.datapath, delayMs: 0 };
    peer.call();
    expect(sessionOf(node).state).toBe("established");
  });

  test("B59 a CDN for an ICRP with a flaw names the id that the ICRP told", () => {
    const { peer, icrq } = calling();
    peer.send(peer.icrp(icrq), { more: avp(900, "c0ffee") });
    const { avps } = peer.expect("CDN");
    expect(avps).toMatchObject({ resultCode: { result: 2 }, remoteSessionId: peer.sessionId });
    expect(avps.localSessionId).toBe(icrq.avps.localSessionId);
  });

  test.each(["ICRP", "ICCN", "CDN", "SLI"] as const)("B60 an %s for an unknown session ends nothing", (name) => {
    const { link, node, peer } = called();
    peer.call();
    const before = node.core.view();
    const ids = { localSessionId: 0x77, remoteSessionId: 0x12345678 };
    for (const remoteSessionId of [ids.remoteSessionId, 0]) {
      if (name === "ICRP") peer.send({ name, ...ids, remoteSessionId, circuitStatus: 1 });
      else if (name === "CDN") peer.send({ name, ...ids, remoteSessionId, resultCode: { result: 1 } });
      else peer.send({ name, ...ids, remoteSessionId });
    }
    link.run(3_000);
    expect([node.core.view(), node.raised.size, peer.all("StopCCN")]).toEqual([before, 1, []]);
  });

  test("B60 a Remote Session ID of another connection's session is unknown", () => {
    const others = tunnel("other", { peer: A, role: "responder", peerHostname: "other", sessions: [session("x")] });
    const { link, node, peer } = facing({ peerHostname: "peer" }, others);
    peer.connect();
    peer.call();
    const { localSessionId } = sessionOf(node);
    peer.restart();
    peer.port = 1702;
    peer.connect({ hostName: "other" });
    peer.send({
      name: "CDN",
      resultCode: { result: 3 },
      localSessionId: peer.sessionId,
      remoteSessionId: localSessionId,
    });
    link.run(1_000);
    expect([sessionOf(node).state, node.raised.size]).toEqual(["established", 1]);
  });

  test("C23 an id is not used again soon", () => {
    const { node, peer } = called();
    const seen = new Set<number>();
    for (let round = 0; round < 100; round++) {
      peer.call();
      seen.add(sessionOf(node).localSessionId);
      const remoteSessionId = sessionOf(node).localSessionId;
      peer.send({ name: "CDN", resultCode: { result: 3 }, localSessionId: peer.sessionId, remoteSessionId });
      peer.listen(50);
    }
    expect(seen.size).toBe(100);
  });
});

describe("refusals by the datapath", () => {
  const refuseSession = () => "interface l2-lan42 exists already";
  const refusal = { result: 2, error: 4, message: refuseSession() };

  test("of a session that the peer calls: CDN with result, error and text, last_error, then up as soon as it can be", () => {
    const { node, peer } = called();
    const { datapath } = node;
    node.datapath = { ...datapath, refuseSession };
    peer.send(peer.icrq());
    expect(peer.expect("CDN").avps).toMatchObject({ resultCode: refusal, remoteSessionId: peer.sessionId });
    expect(sessionOf(node)).toMatchObject({ state: "idle", localSessionId: 0, lastError: refusal.message });
    expect(tunnelOf(node).state).toBe("established");
    node.datapath = datapath;
    peer.call();
    expect(sessionOf(node)).toMatchObject({ state: "established", lastError: "" });
  });

  test("of a session that we call: the same, and the call is repeated after pauses that double", () => {
    const { link, node, peer, icrq } = calling();
    const { datapath } = node;
    node.datapath = { ...datapath, refuseSession };
    const instants = [icrq, ...[0, 1, 2, 3].map(() => answerAndBeRefused())].map(({ at }) => at);
    function answerAndBeRefused() {
      peer.send(peer.icrp(peer.all("ICRQ").at(-1) ?? icrq));
      expect(peer.expect("CDN").avps).toMatchObject({ resultCode: refusal, remoteSessionId: peer.sessionId });
      expect(sessionOf(node).lastError).toContain(refusal.message);
      return peer.expect("ICRQ");
    }
    const pauses = instants.slice(1).map((at, index) => at - (instants[index] ?? 0));
    for (const [index, pause] of [1_000, 2_000, 4_000, 8_000].entries()) {
      expect(pauses[index]).toBeGreaterThanOrEqual(pause);
      expect(pauses[index]).toBeLessThanOrEqual(pause * 1.1 + 100);
    }
    expect(peer.all("ICRQ").map(({ avps }) => avps.serialNumber)).toEqual([1, 2, 3, 4, 5]);
    expect(new Set(peer.all("ICRQ").map(({ avps }) => avps.localSessionId)).size).toBe(5);
    node.datapath = datapath;
    peer.send(peer.icrp(peer.all("ICRQ").at(-1) ?? icrq));
    peer.expect("ICCN");
    expect(sessionOf(node)).toMatchObject({ state: "established", lastError: "" });
    // A success that lasts ends the row of failures.
    link.run(120_000);
    const remoteSessionId = sessionOf(node).localSessionId;
    const closed = link.now;
    peer.send({ name: "CDN", resultCode: { result: 1 }, localSessionId: peer.sessionId, remoteSessionId });
    expect(peer.expect("ICRQ").at - closed).toBeLessThanOrEqual(1_100 + 100);
  });

  test("what cannot be raised is called again with pauses that grow, though it is established each time", () => {
    const { link, node, icrq, peer } = calling();
    node.datapath = { ...node.datapath, refuseRaise: () => refusal.message };
    const instants = [icrq.at];
    for (let count = 0; count < 4; count++) {
      peer.send(peer.icrp(peer.all("ICRQ").at(-1) ?? icrq));
      peer.expect("ICCN");
      instants.push(peer.expect("ICRQ").at);
    }
    const pauses = instants.slice(1).map((at, index) => at - (instants[index] ?? 0));
    for (const [index, pause] of [1_000, 2_000, 4_000, 8_000].entries()) {
      expect(pauses[index]).toBeGreaterThanOrEqual(pause);
      expect(pauses[index]).toBeLessThanOrEqual(pause * 1.1 + 200);
    }
    link.run(0);
    expect(sessionOf(node).lastError).toContain(refusal.message);
  });

  test("both ends tell it, and both come up when the cause is gone", () => {
    const link = new VirtualLink();
    const a = link.add(A, lcce("site-a", tunnel("to-b", { peer: B, role: "initiator" })), 1);
    const b = link.add(B, lcce("site-b", tunnel("to-a", { peer: A, role: "responder" })), 2);
    const { datapath } = b;
    b.datapath = { ...datapath, refuseSession };
    link.start();
    link.run(10_000);
    expect(sessionOf(b).lastError).toContain(refusal.message);
    expect(sessionOf(a).lastError).toContain(refusal.message);
    expect([a.raised.size, b.raised.size, a.datapathSessions.size]).toEqual([0, 0, 0]);
    b.datapath = datapath;
    expect(link.runUntil(() => a.raised.size === 1 && b.raised.size === 1)).toBe(true);
    expect([sessionOf(a).lastError, sessionOf(b).lastError]).toEqual(["", ""]);
  });

  test("of raising the device: a CDN too, and the session is removed", () => {
    const { link, node, peer } = called();
    peer.call();
    const { localSessionId } = sessionOf(node);
    node.receive({ type: "session-refused", localSessionId, reason: "ENOMEM" });
    expect(peer.expect("CDN").avps.resultCode).toEqual({ ...refusal, message: "ENOMEM" });
    link.run(100);
    expect([sessionOf(node).state, node.datapathSessions.size, sessionOf(node).lastError]).toEqual([
      "idle",
      0,
      "ENOMEM",
    ]);
    expect(tunnelOf(node).state).toBe("established");
  });

  test("of the tunnel: StopCCN with result, error and text, and the connection is tried again", () => {
    const { node, peer } = facing({ role: "initiator" });
    const { datapath } = node;
    node.datapath = { ...datapath, refuseTunnel: () => "module l2tp_netlink is missing" };
    const first = peer.answer();
    const message = "module l2tp_netlink is missing";
    expect(peer.expect("StopCCN").avps.resultCode).toEqual({ result: 2, error: 4, message });
    expect(tunnelOf(node)).toMatchObject({ state: "idle" });
    expect(tunnelOf(node).lastError).toContain(message);
    node.datapath = datapath;
    peer.restart();
    const second = peer.answer();
    expect(second.avps.assignedControlConnectionId).not.toBe(first.avps.assignedControlConnectionId);
    expect([node.tunnels.size, tunnelOf(node).lastError, internalErrors(node)]).toEqual([1, "", []]);
  });
});

describe("the administrator", () => {
  test("closes a session: CDN, result 3; it stays closed to the peer's calls, the rest goes on; opening lets it in", () => {
    const { node, peer } = facing({ sessions: [session("lan42"), session("lan43")] });
    peer.connect();
    peer.call();
    peer.call({ localSessionId: 43, remoteEndId: new TextEncoder().encode("lan43") });
    node.receive({ type: "close", tunnel: "to-peer", session: "lan42" });
    expect(peer.expect("CDN").avps).toMatchObject({ resultCode: { result: 3 }, remoteSessionId: peer.sessionId });
    expect(tunnelOf(node).sessions.map(({ state }) => state)).toEqual(["idle", "established"]);
    expect(sessionOf(node).lastError).toBe("closed by the administrator");
    peer.send(peer.icrq());
    expect(peer.expect("CDN").avps.resultCode).toMatchObject({ result: 3 });
    node.receive({ type: "open", tunnel: "to-peer", session: "lan42" });
    peer.call();
    expect(tunnelOf(node).sessions.map(({ state }) => state)).toEqual(["established", "established"]);
  });

  test("a session that we call is not called again until it is opened, then at once", () => {
    const { link, node, peer, icrq } = calling();
    peer.send(peer.icrp(icrq));
    peer.expect("ICCN");
    node.receive({ type: "close", tunnel: "to-peer", session: "lan42" });
    expect(peer.expect("CDN").avps.resultCode).toMatchObject({ result: 3 });
    expect(peer.listen(50_000)).toEqual([]);
    const opened = link.now;
    node.receive({ type: "open", tunnel: "to-peer", session: "lan42" });
    expect(peer.expect("ICRQ").at).toBe(opened + 10);
  });

  test("closes a tunnel: StopCCN; the peer's SCCRQ is refused and nothing is tried until it is opened", () => {
    const { link, node, peer, icrq } = calling();
    peer.send(peer.icrp(icrq));
    peer.expect("ICCN");
    node.receive({ type: "close", tunnel: "to-peer" });
    expect(peer.expect("StopCCN").avps.resultCode).toMatchObject({ result: 1 });
    expect([tunnelOf(node).state, node.tunnels.size, node.raised.size]).toEqual(["idle", 0, 0]);
    expect(peer.listen(300_000)).toEqual([]);
    peer.restart();
    const opened = link.now;
    node.receive({ type: "open", tunnel: "to-peer" });
    expect(peer.expect("SCCRQ").at).toBe(opened + 10);
  });

  test("closes a tunnel that only answers: the peer is told so", () => {
    const { node, peer } = called();
    node.receive({ type: "close", tunnel: "to-peer" });
    peer.expect("StopCCN");
    peer.restart();
    peer.send(peer.sccrq());
    expect(peer.expect("StopCCN").avps.resultCode?.message).toContain("administrator");
    expect(peer.all("SCCRP")).toHaveLength(1);
    node.receive({ type: "open", tunnel: "to-peer" });
    peer.restart();
    peer.connect();
    expect(tunnelOf(node).state).toBe("established");
  });
});

test("E20 the end of the daemon does not wait for a peer that sent an SCCRQ and vanished", () => {
  const { node, peer } = facing();
  peer.send(peer.sccrq());
  peer.expect("SCCRP");
  node.receive({ type: "shutdown" });
  expect(peer.expect("StopCCN").avps.resultCode).toMatchObject({ result: 6 });
  expect(node.core.idle()).toBe(true);
  peer.listen(60_000);
  expect(peer.all("StopCCN")).toHaveLength(1);
});

describe("no answer in time", () => {
  test("E10 to an ICRQ that is acknowledged: CDN, result 10, and another call", () => {
    const { node, peer, icrq } = calling();
    const { avps } = peer.expect("CDN", 100_000);
    expect(avps).toMatchObject({ resultCode: { result: 10 }, remoteSessionId: 0 });
    expect(avps.localSessionId).toBe(icrq.avps.localSessionId);
    expect(sessionOf(node).lastError).toContain("wait-reply");
    expect(peer.expect("ICRQ").avps.localSessionId).not.toBe(icrq.avps.localSessionId);
  });

  test("E10 from our own datapath: CDN, result 10, and nobody says that it was the peer", () => {
    const { node, peer } = called();
    node.datapath = { ...node.datapath, delayMs: 1_000_000 };
    peer.send(peer.icrq());
    const { resultCode } = peer.expect("CDN", 100_000).avps;
    expect(resultCode).toMatchObject({ result: 10 });
    expect(sessionOf(node).lastError).toBe("the datapath has not made the session in time, in state idle");
  });

  test("E10 to an ICRP: CDN, result 10, and the session is free again", () => {
    const { node, peer } = called();
    peer.send(peer.icrq());
    peer.expect("ICRP");
    expect(peer.expect("CDN", 100_000).avps.resultCode).toMatchObject({ result: 10 });
    expect([sessionOf(node).state, node.datapathSessions.size]).toEqual(["idle", 0]);
    peer.call();
    expect(sessionOf(node).state).toBe("established");
  });

  test.each(["initiator", "responder"] as const)("E10 in the handshake, as %s: StopCCN, result 7", (role) => {
    const { node, peer } = facing({ role });
    if (role === "responder") peer.send(peer.sccrq());
    const { avps } = peer.expect("StopCCN", 100_000);
    expect(avps.resultCode).toMatchObject({ result: 7 });
    expect(avps.assignedControlConnectionId).toBe(peer.remoteCcid);
    expect(tunnelOf(node).lastError).toContain(role === "initiator" ? "wait-ctl-reply" : "wait-ctl-conn");
  });
});
