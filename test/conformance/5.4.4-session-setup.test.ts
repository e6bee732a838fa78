import { describe, expect, test } from "vitest";
import type { SessionConfiguration } from "../../src/control/configuration.ts";
import { facing, internalErrors, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { session } from "../support/sites.ts";
import { avp, hexOf } from "../support/wire.ts";

/** The peer calls: our end has accepted its connection. */
function called(more: Partial<SessionConfiguration> = {}) {
  const world = facing({ sessions: [session("lan42", more)] });
  world.peer.connect();
  return world;
}

/** Our end calls: it has opened the connection, and its ICRQ is there. */
function calling(more: Partial<SessionConfiguration> = {}, types: readonly number[] = [4, 5]) {
  const world = facing({ role: "initiator", sessions: [session("lan42", more)] });
  world.peer.answer({ pseudowireCapabilitiesList: types });
  return world;
}

const u16 = (value: number) => value.toString(16).padStart(4, "0");

describe("an ICRQ", () => {
  test.each([
    ["A09", "Local Session ID", 63],
    ["A09", "Remote Session ID", 64],
    ["A09", "Pseudowire Type", 68],
    ["A09", "Remote End ID", 66],
    ["A09", "Circuit Status", 71],
  ])("%s G06 without %s gets a CDN, result 2, that names it", (_, name, type) => {
    const { link, node, peer } = called();
    peer.send(peer.icrq(), { without: [type] });
    const { avps } = peer.expect("CDN");
    expect(avps.resultCode).toMatchObject({ result: 2, error: 3 });
    expect(avps.resultCode?.message?.toLowerCase()).toContain(name.toLowerCase());
    expect(avps.remoteSessionId).toBe(type === 63 ? 0 : peer.sessionId);
    // E08: the id of a call that never was has to be one all the same.
    expect(avps.localSessionId).not.toBe(0);
    link.run(5_000);
    expect([tunnelOf(node).state, sessionOf(node).state, node.datapathSessions.size]).toEqual([
      "established",
      "idle",
      0,
    ]);
    peer.call();
    expect(sessionOf(node)).toMatchObject({ state: "established", lastError: "" });
  });

  test("A09 without Serial Number is accepted, with a line in the log", () => {
    const { link, node, peer } = called();
    peer.send(peer.icrq(), { without: [15] });
    peer.send(peer.iccn(peer.expect("ICRP")));
    link.run(50);
    expect(sessionOf(node).state).toBe("established");
    expect(node.log.map(({ event }) => event)).toContain("no-serial-number");
  });

  test.each([
    ["B66", "an unknown Remote End ID", { remoteEndId: Uint8Array.of(1, 2, 3) }, { result: 24 }],
    ["B66", "an empty Remote End ID", { remoteEndId: new Uint8Array(0) }, { result: 24 }],
    ["B66", "the beginning of a Remote End ID", { remoteEndId: new TextEncoder().encode("lan4") }, { result: 24 }],
    ["B57", "pseudowire type VLAN, which we did not offer", { pseudowireType: 4 }, { result: 14 }],
    ["B57", "pseudowire type PPP", { pseudowireType: 7 }, { result: 14 }],
    ["B63", "L2-Specific Sublayer 9", { l2SpecificSublayer: 9 }, { result: 2, error: 3 }],
    ["B63", "the ATM sublayer", { l2SpecificSublayer: 2 }, { result: 2, error: 3 }],
    ["B64", "sequencing without a sublayer", { dataSequencing: 2 }, { result: 15 }],
    ["B64", "sequencing of non-IP frames without a sublayer", { dataSequencing: 1 }, { result: 15 }],
    ["B64", "sequencing with sublayer none", { dataSequencing: 2, l2SpecificSublayer: 0 }, { result: 15 }],
  ] as const)("%s with %s gets a CDN", (_, __, avps, result) => {
    const { link, node, peer } = called();
    peer.send(peer.icrq(avps));
    const cdn = peer.expect("CDN").avps;
    expect(cdn.resultCode).toMatchObject(result);
    expect(cdn.remoteSessionId).toBe(peer.sessionId);
    link.run(1_000);
    expect([node.datapathSessions.size, tunnelOf(node).state, peer.all("ICRP")]).toEqual([0, "established", []]);
  });

  test("I02 an OCRQ gets a CDN: pseudowires are incoming calls", () => {
    const { node, peer } = called();
    const { name: _, ...avps } = peer.icrq();
    peer.send({ ...avps, name: "OCRQ" });
    expect(peer.expect("CDN").avps).toMatchObject({ resultCode: { result: 5 }, remoteSessionId: peer.sessionId });
    expect(tunnelOf(node).state).toBe("established");
  });
});

const COOKIES = ([0, 4, 8] as const).flatMap((ours) => ([0, 4, 8] as const).map((theirs) => [ours, theirs] as const));
const octets = (length: number) => Uint8Array.from({ length }, (_, index) => 0xa0 + index);

describe("cookies", () => {
  test.each(COOKIES)("B61 called: %i octets to us, %i to the peer", (ours, theirs) => {
    const { node, peer } = called({ cookieSize: ours });
    const icrp = peer.call(theirs === 0 ? {} : { assignedCookie: octets(theirs) });
    const [parameters] = node.datapathSessions.values();
    expect(icrp.avps.assignedCookie).toEqual(ours === 0 ? undefined : parameters?.localCookie);
    expect([parameters?.localCookie.length, parameters?.remoteCookie]).toEqual([ours, octets(theirs)]);
    expect(sessionOf(node)).toMatchObject({ localCookieSize: ours, remoteCookieSize: theirs });
  });

  test.each(COOKIES)("B61 calling: %i octets to us, %i to the peer", (ours, theirs) => {
    const { link, node, peer } = calling({ cookieSize: ours });
    const icrq = peer.expect("ICRQ");
    peer.send(peer.icrp(icrq, theirs === 0 ? {} : { assignedCookie: octets(theirs) }));
    link.run(50);
    const [parameters] = node.datapathSessions.values();
    expect(icrq.avps.assignedCookie).toEqual(ours === 0 ? undefined : parameters?.localCookie);
    expect([parameters?.localCookie.length, parameters?.remoteCookie]).toEqual([ours, octets(theirs)]);
  });

  test("B61 an empty Assigned Cookie is no cookie", () => {
    const { link, node, peer } = called();
    peer.send(peer.icrq(), { more: avp(65, "") });
    peer.send(peer.iccn(peer.expect("ICRP")));
    link.run(50);
    expect(sessionOf(node)).toMatchObject({ state: "established", remoteCookieSize: 0 });
  });

  test.each([1, 3, 5, 7, 9, 16])("B61 a cookie of %i octets gets a CDN", (length) => {
    const { peer } = called();
    peer.send(peer.icrq(), { more: avp(65, hexOf(octets(length))) });
    expect(peer.expect("CDN").avps.resultCode).toMatchObject({ result: 2, error: 2 });
  });

  test("B62 no two sessions have the same cookie", () => {
    const { node, peer } = called();
    const seen = new Set<string>();
    for (let round = 0; round < 50; round++) {
      const { avps } = peer.call();
      seen.add(String(avps.assignedCookie));
      const { localSessionId = 0, remoteSessionId = 0 } = avps;
      const ids = { localSessionId: remoteSessionId, remoteSessionId: localSessionId };
      peer.send({ name: "CDN", resultCode: { result: 3 }, ...ids });
    }
    expect([seen.size, internalErrors(node)]).toEqual([50, []]);
  });
});

describe("the L2-Specific Sublayer", () => {
  test.each([
    ["none", "default"],
    ["default", "none"],
    ["default", "default"],
    ["none", "none"],
  ] as const)(
    "B63 called: configured %s, asked for %s: the peer's wish holds both ways and is said back",
    (own, wish) => {
      const { node, peer } = called({ l2Sublayer: own });
      const icrp = peer.call(wish === "default" ? { l2SpecificSublayer: 1 } : {});
      expect(icrp.avps.l2SpecificSublayer ?? 0).toBe(wish === "default" ? 1 : 0);
      expect([...node.datapathSessions.values()].map(({ l2Sublayer }) => l2Sublayer)).toEqual([wish]);
      expect(sessionOf(node)).toMatchObject({ state: "established", l2Sublayer: wish });
    },
  );

  test.each([
    ["none", "default", 1],
    ["default", "none", 0],
    ["default", "default", undefined],
    ["none", "none", undefined],
  ] as const)("B63 calling: configured %s, the ICRP says %s, the ICCN %s", (own, wish, inIccn) => {
    const { node, peer } = calling({ l2Sublayer: own });
    const icrq = peer.expect("ICRQ");
    expect(icrq.avps.l2SpecificSublayer ?? 0).toBe(own === "default" ? 1 : 0);
    peer.send(peer.icrp(icrq, wish === "default" ? { l2SpecificSublayer: 1 } : {}));
    expect(peer.expect("ICCN").avps.l2SpecificSublayer).toBe(inIccn);
    expect([...node.datapathSessions.values()].map(({ l2Sublayer }) => l2Sublayer)).toEqual([wish]);
  });

  test.each([
    [{ l2SpecificSublayer: 9 }, { result: 2, error: 3 }],
    [{ dataSequencing: 2 }, { result: 15 }],
    [{ l2SpecificSublayer: 0, dataSequencing: 1 }, { result: 15 }],
  ] as const)("B63 B64 an ICRP with %o gets a CDN that names the peer's session", (avps, result) => {
    const { link, node, peer } = calling();
    peer.send(peer.icrp(peer.expect("ICRQ"), avps));
    const cdn = peer.expect("CDN").avps;
    expect([cdn.resultCode, cdn.remoteSessionId]).toMatchObject([result, peer.sessionId]);
    link.run(10);
    expect(sessionOf(node).state).toBe("idle");
  });

  test("B63 an ICCN that repeats the sublayer changes nothing; one that changes it ends the call", () => {
    for (const [l2SpecificSublayer, state] of [
      [1, "established"],
      [0, "idle"],
    ] as const) {
      const { link, node, peer } = called();
      peer.send(peer.icrq({ l2SpecificSublayer: 1 }));
      peer.send(peer.iccn(peer.expect("ICRP"), { l2SpecificSublayer }));
      link.run(50);
      expect(sessionOf(node).state).toBe(state);
      expect(peer.all("CDN")).toHaveLength(state === "idle" ? 1 : 0);
    }
  });
});

describe("what we ask for", () => {
  test("A09 B58 B70 the ICRQ has all that it must have, and Remote Session ID 0", () => {
    const { node, peer } = calling();
    const { avps } = peer.expect("ICRQ");
    expect(avps).toMatchObject({ remoteSessionId: 0, pseudowireType: 5, serialNumber: 1, circuitStatus: 3 });
    expect(avps.localSessionId).toBe(sessionOf(node).localSessionId);
    expect(new TextDecoder().decode(avps.remoteEndId)).toBe("lan42");
    expect(avps.tieBreaker).toBeUndefined();
  });

  test("B58 our later messages and the datapath have the peer's id, and ours is what the peer echoes", () => {
    const { link, node, peer } = calling();
    const icrq = peer.expect("ICRQ");
    peer.send(peer.icrp(icrq));
    const iccn = peer.expect("ICCN");
    link.run(10);
    const ids = { localSessionId: icrq.avps.localSessionId, remoteSessionId: peer.sessionId };
    expect(iccn.avps).toMatchObject(ids);
    expect([...node.datapathSessions.values()]).toMatchObject([ids]);
    expect([...node.raised]).toEqual([ids.localSessionId]);
  });

  test.each([[[4]], [[1, 2, 7]], [[6, 0xffff]]])(
    "B56 B57 a peer that offers only %o: connection up, no ICRQ",
    (types) => {
      const { link, node, peer } = calling({}, types);
      link.run(30_000);
      expect([tunnelOf(node).state, peer.all("ICRQ")]).toEqual(["established", []]);
      expect(sessionOf(node)).toMatchObject({ state: "idle", localSessionId: 0 });
      expect(sessionOf(node).lastError).toContain("does not offer pseudowires of type 5 (ethernet)");
    },
  );

  test.each([
    ["initiator", "both", true],
    ["initiator", "responder", false],
    ["initiator", "initiator", true],
    ["initiator", undefined, true],
    ["responder", "both", true],
    ["responder", "initiator", true],
    ["responder", "responder", false],
    ["responder", undefined, false],
  ] as const)("call: role %s, call %s: ICRQ sent %s", (role, call, sent) => {
    const { link, peer } = facing({ role, sessions: [session("lan42", { call })] });
    if (role === "initiator") peer.answer();
    else peer.connect();
    link.run(500);
    expect(peer.all("ICRQ")).toHaveLength(sent ? 1 : 0);
    if (sent) expect(peer.all("ICRQ")[0]?.avps.tieBreaker?.length).toBe(call === "both" ? 8 : undefined);
  });
});

describe("Circuit Status", () => {
  test.each([u16(0), u16(0xfffe)])("H07 I03 a call with the circuit down (%s) is set up all the same", (status) => {
    const { link, node, peer } = called();
    peer.send(peer.icrq(), { without: [71], more: avp(71, status) });
    peer.send(peer.iccn(peer.expect("ICRP")));
    link.run(50);
    expect(sessionOf(node)).toMatchObject({ state: "established", remoteCircuitActive: false });
  });

  test("H13 H14 an SLI right after the ICRQ, one after the ICCN, and one without Circuit Status", () => {
    const { link, node, peer } = called();
    const { sessionId } = peer;
    peer.send(peer.icrq());
    peer.send({ name: "SLI", localSessionId: sessionId, remoteSessionId: 0, circuitStatus: 0 });
    const icrp = peer.expect("ICRP");
    const ids = { localSessionId: sessionId, remoteSessionId: icrp.avps.localSessionId ?? 0 };
    peer.send(peer.iccn(icrp));
    link.run(50);
    expect(sessionOf(node)).toMatchObject({ state: "established", remoteCircuitActive: false });
    peer.send({ name: "SLI", ...ids, circuitStatus: 1 });
    peer.send({ name: "SLI", ...ids });
    link.run(50);
    expect(sessionOf(node)).toMatchObject({ state: "established", remoteCircuitActive: true });
  });
});

test("B63 an ICRP with the Local Session ID of another session: CDN that does not name it, and the other one stays", () => {
  const { link, node, peer } = facing({ role: "initiator", sessions: [session("lan42"), session("lan43")] });
  peer.answer();
  peer.send(peer.icrp(peer.expect("ICRQ")));
  link.run(100);
  const second = peer.expect("ICRQ");
  peer.send(peer.icrp(second));
  const { avps } = peer.expect("CDN");
  expect(avps).toMatchObject({ localSessionId: second.avps.localSessionId, remoteSessionId: 0 });
  expect(avps.resultCode).toMatchObject({ result: 2, error: 5 });
  expect([node.datapathSessions.size, node.raised.size]).toEqual([1, 1]);
  // By the peer's id alone it is found as before.
  peer.send({ name: "SLI", localSessionId: peer.sessionId, remoteSessionId: 0, circuitStatus: 0 });
  link.run(100);
  expect(node.raised.size).toBe(0);
});
