import { describe, expect, test } from "vitest";
import type { SessionConfiguration } from "../../src/control/configuration.ts";
import { facing, internalErrors, sessionOf } from "../support/scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import { VirtualLink } from "../support/virtual-link.ts";

const LEVELS = ["none", "non-ip", "all"] as const;
type Level = (typeof LEVELS)[number];

const WISHES = LEVELS.flatMap((own) => LEVELS.map((peers) => [own, peers] as const));
/** Data Sequencing of the peer's message. */
const avps = (level: Level) => ({
  l2SpecificSublayer: 1,
  ...(level === "none" ? {} : { dataSequencing: LEVELS.indexOf(level) }),
});
/** What this end asks for in the end: who sequences what it sends needs the peer to do so too. */
const asked = (own: Level, peers: Level) => (own === "all" || peers !== "none" ? "all" : own);
const sublayered = (sequencing: Level, more: Partial<SessionConfiguration> = {}) =>
  session("lan42", { l2Sublayer: "default", sequencing, ...more });

function called(sequencing: Level, more: Partial<SessionConfiguration> = {}) {
  const world = facing({ sessions: [sublayered(sequencing, more)] });
  world.peer.connect();
  return world;
}

function calling(sequencing: Level, more: Partial<SessionConfiguration> = {}) {
  const world = facing({ role: "initiator", sessions: [sublayered(sequencing, more)] });
  world.peer.answer();
  return world;
}

describe("B65 Data Sequencing, called", () => {
  test.each(WISHES)("configured %s, the ICRQ asks for %s", (own, peers) => {
    const { node, peer } = called(own);
    const icrp = peer.call(avps(peers));
    const wish = asked(own, peers);
    expect(icrp.avps.dataSequencing).toBe(wish === "none" ? undefined : LEVELS.indexOf(wish));
    expect(icrp.avps.l2SpecificSublayer).toBe(1);
    const [parameters] = node.datapathSessions.values();
    expect(parameters).toMatchObject({
      l2Sublayer: "default",
      // Level 1 is handled as 2: frames are not looked into.
      sendSequencing: peers !== "none" || own === "all",
      // Unsequenced frames are discarded only where this end is configured to have all of them sequenced.
      receiveSequencing: own,
    });
    expect(sessionOf(node)).toMatchObject({
      state: "established",
      localSequencing: wish,
      remoteSequencing: peers,
    });
  });

  test.each(["non-ip", "all"] as const)("B64 configured %s, and the peer uses no sublayer: CDN 15", (own) => {
    const { link, node, peer } = called(own);
    peer.send(peer.icrq());
    const { resultCode } = peer.expect("CDN").avps;
    expect(resultCode).toMatchObject({ result: 15 });
    expect(resultCode?.message).toContain(`sequencing "${own}"`);
    link.run(10);
    expect([node.datapathSessions.size, internalErrors(node)]).toEqual([0, []]);
  });

  test.each([
    ["none", { dataSequencing: 2 }, 31],
    ["none", { dataSequencing: 1, l2SpecificSublayer: 1 }, 31],
    ["non-ip", { dataSequencing: 2 }, 31],
    ["none", { dataSequencing: 0 }, undefined],
    ["all", { dataSequencing: 2 }, undefined],
    ["all", { dataSequencing: 1, l2SpecificSublayer: 1 }, undefined],
    ["all", { l2SpecificSublayer: 0, dataSequencing: 2 }, 15],
  ] as const)("configured %s: an ICCN that comes with %o, the ICRQ with none: CDN %s", (own, more, result) => {
    const { link, node, peer } = called(own);
    peer.send(peer.icrq(avps("none")));
    peer.send(peer.iccn(peer.expect("ICRP"), more));
    link.run(50);
    expect(peer.all("CDN").map((cdn) => cdn.avps.resultCode?.result)).toEqual(result === undefined ? [] : [result]);
    expect(sessionOf(node).state).toBe(result === undefined ? "established" : "idle");
    if (result === undefined) {
      expect(sessionOf(node).remoteSequencing).toBe(LEVELS[more.dataSequencing]);
    }
  });

  test("B65 an ICCN may raise what the ICRQ asked for: everything is sequenced already", () => {
    const { link, node, peer } = called("none");
    peer.send(peer.icrq(avps("non-ip")));
    peer.send(peer.iccn(peer.expect("ICRP"), { dataSequencing: 2 }));
    link.run(50);
    expect(sessionOf(node)).toMatchObject({ state: "established", remoteSequencing: "all" });
  });
});

describe("B65 I06 Data Sequencing, calling", () => {
  test.each(WISHES)("configured %s, the ICRP asks for %s", (own, peers) => {
    const { node, peer } = calling(own);
    const icrq = peer.expect("ICRQ");
    expect([icrq.avps.l2SpecificSublayer, icrq.avps.dataSequencing ?? 0]).toEqual([1, LEVELS.indexOf(own)]);
    peer.send(peer.icrp(icrq, avps(peers)));
    const iccn = peer.expect("ICCN").avps;
    const wish = asked(own, peers);
    // Said again only where it has changed.
    expect(iccn.dataSequencing).toBe(wish === own ? undefined : LEVELS.indexOf(wish));
    const [parameters] = node.datapathSessions.values();
    expect(parameters).toMatchObject({
      sendSequencing: peers !== "none" || own === "all",
      receiveSequencing: own,
    });
    expect(sessionOf(node)).toMatchObject({ state: "established", localSequencing: wish, remoteSequencing: peers });
  });

  test.each(["non-ip", "all"] as const)("B64 configured %s, and the ICRP has no sublayer: CDN 15", (own) => {
    const { peer } = calling(own);
    peer.send(peer.icrp(peer.expect("ICRQ")));
    const cdn = peer.expect("CDN").avps;
    expect([cdn.resultCode?.result, cdn.remoteSessionId]).toEqual([15, peer.sessionId]);
  });
});

describe("B65 F46 between two LCCEs", () => {
  const callTypes = ["incoming", "outgoing"] as const;
  const sides = callTypes.flatMap((callType) => WISHES.map(([a, b]) => [callType, a, b] as const));

  test.each(sides)("%s call, %s at the caller, %s at the called", (callType, caller, calledEnd) => {
    const link = new VirtualLink();
    const tunnelAtA = tunnel("b", { role: "initiator", peer: B, sessions: [sublayered(caller, { callType })] });
    const tunnelAtB = tunnel("a", { role: "responder", peer: A, sessions: [sublayered(calledEnd, { callType })] });
    const a = link.add(A, lcce("a", tunnelAtA));
    const b = link.add(B, lcce("b", tunnelAtB));
    link.start();
    link.run(2_000);
    // Both have to sequence, and no message is left to say so, or it comes when the datapath has been made.
    const isLate =
      callType === "incoming"
        ? caller === "none" && calledEnd === "non-ip"
        : caller !== "all" && (caller !== "none" || calledEnd !== "none");
    expect([sessionOf(a).state === "established", sessionOf(b).state === "established"]).toEqual([!isLate, !isLate]);
    if (isLate) {
      expect([a, b].map((node) => sessionOf(node).lastError).join()).toContain("sequencing is not supported");
      return;
    }
    const [atA] = a.datapathSessions.values();
    const [atB] = b.datapathSessions.values();
    // Whoever discards what has no sequence number gets some.
    expect(atA?.sendSequencing).toBe(atB?.sendSequencing);
    expect(atA?.sendSequencing).toBe(caller !== "none" || calledEnd !== "none");
  });
});
