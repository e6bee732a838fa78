import { describe, expect, test } from "vitest";
import type { SessionConfiguration } from "../../src/control/configuration.ts";
import { facing, internalErrors, type ScriptedPeer, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import { VirtualLink } from "../support/virtual-link.ts";

const ascii = (text: string) => new TextEncoder().encode(text);

/** Our LCCE, connected, with one session of outgoing calls. */
function connected(more: Partial<SessionConfiguration> = {}) {
  const sessions = [session("lan42", { callType: "outgoing", ...more })];
  const world = facing({ sessions, reconnect: { minMs: 10_000, maxMs: 10_000 } });
  world.peer.connect();
  return world;
}

/** The same, having sent its OCRQ. */
function calling(more: Partial<SessionConfiguration> = {}) {
  const world = connected({ call: "initiator", ...more });
  return { ...world, ocrq: world.peer.expect("OCRQ") };
}

function ocrq(peer: ScriptedPeer) {
  return { ...peer.icrq(), name: "OCRQ" } as const;
}

describe("the end that asks for the call", () => {
  test("A06 E50 E51 its OCRQ carries what an ICRQ would", () => {
    const { ocrq: sent } = calling({ l2Sublayer: "default", call: "both" });
    expect(sent.avps).toMatchObject({
      remoteSessionId: 0,
      pseudowireType: 5,
      remoteEndId: ascii("lan42"),
      circuitStatus: 3,
      l2SpecificSublayer: 1,
    });
    expect(sent.avps.localSessionId).not.toBe(0);
    expect(sent.avps.serialNumber).toBeGreaterThan(0);
    expect([sent.avps.assignedCookie?.length, sent.avps.tieBreaker?.length]).toEqual([8, 8]);
  });

  test("A07 E52 E53 after the OCRP it waits, with a device that carries nothing, for the OCCN", () => {
    const { link, node, peer, ocrq: sent } = calling();
    peer.send(peer.ocrp(sent, { assignedCookie: ascii("cookies!") }));
    link.run(100);
    expect(sessionOf(node)).toMatchObject({ state: "wait-connect", remoteSessionId: peer.sessionId });
    expect([node.datapathSessions.size, node.raised.size]).toEqual([1, 0]);
    peer.send({ ...peer.iccn(sent), name: "OCCN", localSessionId: peer.sessionId });
    link.run(100);
    expect([sessionOf(node).state, node.raised.size]).toEqual(["established", 1]);
    const [made] = node.datapathSessions.values();
    expect(made).toMatchObject({ remoteSessionId: peer.sessionId, remoteCookie: ascii("cookies!") });
  });

  test.each([
    ["none", 1],
    ["default", 0],
  ] as const)(
    "B63 F41 L2-Specific Sublayer %s in its OCRQ, %i in the OCRP: nothing could be said of it any more, so CDN",
    (l2Sublayer, theirs) => {
      const { node, peer, ocrq: sent } = calling({ l2Sublayer });
      peer.send(peer.ocrp(sent, { l2SpecificSublayer: theirs }));
      const { resultCode } = peer.expect("CDN").avps;
      expect(resultCode).toMatchObject({ result: 2, error: 3 });
      expect(resultCode?.message).toContain(`the OCRQ asked for L2-Specific Sublayer ${l2Sublayer}`);
      expect([node.datapathSessions.size, sessionOf(node).lastError.includes("L2-Specific Sublayer")]).toEqual([
        0,
        true,
      ]);
    },
  );

  test("E53 an OCCN that overtakes the datapath waits for it", () => {
    const { link, node, peer, ocrq: sent } = calling();
    node.datapath = { ...node.datapath, delayMs: 500 };
    const remoteSessionId = sent.avps.localSessionId ?? 0;
    peer.send(peer.ocrp(sent));
    peer.send({ name: "OCCN", localSessionId: peer.sessionId, remoteSessionId });
    link.run(300);
    expect([sessionOf(node).state, node.raised.size]).toEqual(["wait-connect", 0]);
    link.run(400);
    expect([sessionOf(node).state, node.raised.size]).toEqual(["established", 1]);
  });

  test.each([
    ["before", 0],
    ["after", 500],
  ])("E53 the datapath refuses %s the OCCN: CDN, and nothing is left", (_, delayMs) => {
    const { link, node, peer, ocrq: sent } = calling();
    node.datapath = { ...node.datapath, delayMs, refuseSession: () => "no memory" };
    peer.send(peer.ocrp(sent));
    peer.send({ name: "OCCN", localSessionId: peer.sessionId, remoteSessionId: sent.avps.localSessionId ?? 0 });
    const cdn = peer.expect("CDN");
    expect(cdn.avps).toMatchObject({
      resultCode: { result: 2, error: 4, message: "no memory" },
      remoteSessionId: peer.sessionId,
    });
    link.run(1_000);
    expect([sessionOf(node).state, node.datapathSessions.size, node.raised.size]).toEqual(["idle", 0, 0]);
    expect(internalErrors(node)).toEqual([]);
  });

  test.each([
    ["an OCRP without Circuit Status", { without: [71] }, 2],
    ["an OCRP with an unknown mandatory AVP", { more: "80080000270f0000" }, 2],
  ])("E52 %s: CDN, and the call is placed again with a new id", (_, deviation, result) => {
    const { peer, ocrq: sent } = calling();
    peer.send(peer.ocrp(sent), deviation);
    const cdn = peer.expect("CDN");
    expect(cdn.avps).toMatchObject({ resultCode: { result }, remoteSessionId: peer.sessionId });
    const again = peer.expect("OCRQ");
    expect(again.at - cdn.at).toBeGreaterThanOrEqual(10_000);
    expect(again.avps.localSessionId).not.toBe(sent.avps.localSessionId);
    expect(again.avps.serialNumber).toBeGreaterThan(sent.avps.serialNumber ?? 0);
  });

  test("E52 an OCCN before the OCRP: CDN 16", () => {
    const { peer, ocrq: sent } = calling();
    peer.send({ name: "OCCN", localSessionId: peer.sessionId, remoteSessionId: sent.avps.localSessionId ?? 0 });
    expect(peer.expect("CDN").avps.resultCode).toEqual({ result: 16 });
  });

  test.each(["wait-reply", "wait-connect", "established"])("E52-E54 a CDN in %s ends it without an answer", (state) => {
    const { link, node, peer, ocrq: sent } = calling();
    const remoteSessionId = sent.avps.localSessionId ?? 0;
    const ids = { localSessionId: peer.sessionId, remoteSessionId };
    if (state !== "wait-reply") peer.send(peer.ocrp(sent));
    if (state === "established") peer.send({ name: "OCCN", ...ids });
    link.run(100);
    expect(sessionOf(node).state).toBe(state);
    peer.send({ name: "CDN", resultCode: { result: 8 }, ...ids });
    expect(peer.listen(5_000)).toEqual([]);
    expect([sessionOf(node).state, node.datapathSessions.size]).toEqual(["idle", 0]);
    expect(sessionOf(node).lastError).toContain("busy (result 8)");
  });

  test("E10 a peer that answers but never connects: CDN 10 after a while", () => {
    const { peer, ocrq: sent } = calling();
    peer.send(peer.ocrp(sent));
    expect(peer.expect("CDN", 200_000).avps.resultCode).toMatchObject({ result: 10 });
  });
});

describe("the end that places the call", () => {
  test("E61 a circuit that comes up before the datapath is there connects nothing yet", () => {
    const { link, node, peer } = connected({ call: "responder", circuit: "eth1" });
    node.datapath = { ...node.datapath, delayMs: 500 };
    node.receive({ type: "circuit", interfaceName: "eth1", condition: "down" });
    peer.send(ocrq(peer));
    peer.expect("OCRP");
    node.receive({ type: "circuit", interfaceName: "eth1", condition: "up" });
    link.run(300);
    expect([sessionOf(node).state, peer.all("OCCN").length]).toEqual(["wait-cs-answer", 0]);
    link.run(400);
    expect([sessionOf(node).state, peer.all("OCCN").length]).toEqual(["established", 1]);
  });

  test("A07 A08 E60 E61 OCRP at once, OCCN when device and circuit are there", () => {
    const { link, node, peer } = connected();
    node.datapath = { ...node.datapath, delayMs: 500 };
    peer.send(ocrq(peer));
    const reply = peer.expect("OCRP");
    expect(reply.avps).toMatchObject({ remoteSessionId: peer.sessionId, circuitStatus: 3 });
    expect(reply.avps.assignedCookie).toHaveLength(8);
    expect([sessionOf(node).state, node.raised.size, peer.all("OCCN").length]).toEqual(["wait-cs-answer", 0, 0]);
    const connect = peer.expect("OCCN");
    expect(connect.at - reply.at).toBeGreaterThanOrEqual(500);
    expect(connect.avps).toEqual({
      name: "OCCN",
      localSessionId: reply.avps.localSessionId,
      remoteSessionId: peer.sessionId,
    });
    link.run(100);
    expect([sessionOf(node).state, node.raised.size]).toEqual(["established", 1]);
  });

  test("E61 a circuit that is down: OCRP says so, and the OCCN waits for it", () => {
    const { link, node, peer } = connected({ circuit: "eth1" });
    node.receive({ type: "circuit", interfaceName: "eth1", condition: "no-carrier" });
    peer.send(ocrq(peer));
    expect(peer.expect("OCRP").avps.circuitStatus).toBe(0x000e);
    expect(peer.listen(5_000)).toEqual([]);
    node.receive({ type: "circuit", interfaceName: "eth1", condition: "up" });
    expect(peer.expect("SLI").avps.circuitStatus).toBe(1);
    peer.expect("OCCN");
    link.run(100);
    expect(sessionOf(node).state).toBe("established");
  });

  test("E61 a circuit that does not come up in time: CDN 10", () => {
    const { node, peer } = connected({ circuit: "eth1" });
    node.receive({ type: "circuit", interfaceName: "eth1", condition: "down" });
    peer.send(ocrq(peer));
    peer.expect("OCRP");
    expect(peer.expect("CDN", 200_000).avps.resultCode).toMatchObject({ result: 10 });
    expect(sessionOf(node).lastError).toBe("the circuit did not come up in state wait-cs-answer");
    expect(node.datapathSessions.size).toBe(0);
  });

  test("E61 a datapath that refuses: CDN with its reason", () => {
    const { node, peer } = connected();
    node.datapath = { ...node.datapath, refuseSession: () => "name l2-lan42 is taken" };
    peer.send(ocrq(peer));
    peer.expect("OCRP");
    const { resultCode } = peer.expect("CDN").avps;
    expect(resultCode).toEqual({ result: 2, error: 4, message: "name l2-lan42 is taken" });
    expect([node.datapathSessions.size, sessionOf(node).state]).toEqual([0, "idle"]);
  });

  test("E62 a circuit that fails ends the call: CDN 1 names it", () => {
    const { link, node, peer } = connected({ circuit: "eth1" });
    peer.send(ocrq(peer));
    peer.expect("OCCN");
    node.receive({ type: "circuit", interfaceName: "eth1", condition: "no-carrier" });
    const { resultCode } = peer.expect("CDN").avps;
    expect(resultCode).toEqual({ result: 1, error: 0, message: "eth1 is no-carrier" });
    link.run(1_000);
    expect([sessionOf(node).state, node.datapathSessions.size, tunnelOf(node).state]).toEqual([
      "idle",
      0,
      "established",
    ]);
  });

  test("E61 E62 an administrator's close: CDN 3", () => {
    const { node, peer } = connected();
    peer.send(ocrq(peer));
    peer.expect("OCCN");
    node.receive({ type: "close", tunnel: "to-peer", session: "lan42" });
    expect(peer.expect("CDN").avps.resultCode).toMatchObject({ result: 3 });
  });

  test.each([
    ["pseudowire type 4", { pseudowireType: 4 }, 14],
    ["an unknown Remote End ID", { remoteEndId: ascii("lan43") }, 24],
    ["sequencing without a sublayer", { dataSequencing: 2 }, 15],
  ])("E60 an OCRQ with %s: CDN", (_, more, result) => {
    const { peer } = connected();
    peer.send({ ...ocrq(peer), ...more });
    expect(peer.expect("CDN").avps).toMatchObject({ resultCode: { result }, remoteSessionId: peer.sessionId });
  });

  test.each([63, 64, 66, 68, 71])("A06 E60 an OCRQ without AVP %i: CDN 2", (type) => {
    const { peer, node } = connected();
    peer.send(ocrq(peer), { without: [type] });
    expect(peer.expect("CDN").avps.resultCode).toMatchObject({ result: 2 });
    expect(node.datapathSessions.size).toBe(0);
  });

  test("I02 a pseudowire that is set up by incoming calls takes no OCRQ, and the other way round", () => {
    const incoming = connected({ callType: "incoming" });
    incoming.peer.send(ocrq(incoming.peer));
    expect(incoming.peer.expect("CDN").avps.resultCode).toMatchObject({ result: 5 });
    const outgoing = connected();
    outgoing.peer.send(outgoing.peer.icrq());
    expect(outgoing.peer.expect("CDN").avps.resultCode).toMatchObject({ result: 5 });
  });
});

describe("two LCCEs", () => {
  test.each([
    ["initiator", "responder"],
    ["both", "both"],
    ["initiator", "initiator"],
  ] as const)("E05 E06 E07 call = %s and %s: exactly one outgoing call comes up", (callOfA, callOfB) => {
    for (let seed = 1; seed <= 50; seed++) {
      const link = new VirtualLink();
      const sessions = (call: typeof callOfA | typeof callOfB) => [session("x", { callType: "outgoing", call })];
      const a = link.add(A, lcce("site-a", tunnel("to-b", { peer: B, sessions: sessions(callOfA) })), seed);
      const b = link.add(B, lcce("site-b", tunnel("to-a", { peer: A, sessions: sessions(callOfB) })), seed);
      link.start();
      const up = link.runUntil(() => [a, b].every(({ raised }) => raised.size === 1), 120_000);
      expect(up, `seed ${seed}`).toBe(true);
      link.run(30_000);
      const [ofA, ofB] = [sessionOf(a), sessionOf(b)];
      expect([ofA.localSessionId, ofA.remoteSessionId]).toEqual([ofB.remoteSessionId, ofB.localSessionId]);
      expect([a.datapathSessions.size, b.datapathSessions.size]).toEqual([1, 1]);
      expect([...internalErrors(a), ...internalErrors(b)]).toEqual([]);
    }
  });
});
