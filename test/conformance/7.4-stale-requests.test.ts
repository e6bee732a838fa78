import { describe, expect, test } from "vitest";
import { facing, internalErrors, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import { VirtualLink, type VirtualNode } from "../support/virtual-link.ts";

const NAMES = ["p", "q", "r", "s"];

/** Per session, the ids that each end holds for an established one; else nothing. */
function established(node: VirtualNode): readonly string[] {
  return tunnelOf(node)
    .sessions.filter(({ state }) => state === "established")
    .map(({ name }) => name);
}

describe.each(["incoming", "outgoing"] as const)("%s calls that both ends place at once", (callType) => {
  // A closed window keeps requests waiting; the one that lost its tie, or was closed, must not be sent when it opens.
  test.each([31, 35, 45])("E05 E52 one that is closed at one end %i ms after the start is up at none", (closeAt) => {
    for (let seed = 1; seed <= 40; seed++) {
      const link = new VirtualLink();
      const sessions = NAMES.map((name) => session(name, { callType, call: "both" }));
      const a = link.add(A, lcce("site-a", tunnel("t", { peer: B, sessions })), seed);
      const b = link.add(B, lcce("site-b", tunnel("t", { peer: A, sessions })), seed);
      link.start();
      link.later(closeAt, () => a.receive({ type: "close", tunnel: "t", session: "s" }));
      link.run(200_000);
      expect([established(a), established(b)], `seed ${seed}`).toEqual([
        ["p", "q", "r"],
        ["p", "q", "r"],
      ]);
      expect([a.raised.size, b.raised.size], `seed ${seed}`).toEqual([3, 3]);
      expect([...internalErrors(a), ...internalErrors(b)]).toEqual([]);
    }
  });

  test("E05 E06 a tie that is lost while the own request still waits for the window costs no more than a round trip", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const link = new VirtualLink();
      const sessions = NAMES.map((name) => session(name, { callType, call: "both" }));
      const a = link.add(A, lcce("site-a", tunnel("t", { peer: B, sessions })), seed);
      const b = link.add(B, lcce("site-b", tunnel("t", { peer: A, sessions })), seed);
      link.start();
      const up = link.runUntil(() => a.raised.size === 4 && b.raised.size === 4, 10_000);
      expect(up, `seed ${seed}`).toBe(true);
    }
  });
});

test.each(["ICRQ", "OCRQ"] as const)(
  "E32 E52 an %s that waits for the window when its tie is lost is never sent",
  (request) => {
    const callType = request === "ICRQ" ? "incoming" : "outgoing";
    const sessions = ["x", "y"].map((name) => session(name, { callType, call: "both" }));
    const { link, node, peer } = facing({ sessions });
    peer.polite = false;
    peer.connect({ receiveWindowSize: 1 });
    peer.expect(request);
    const remoteEndId = new TextEncoder().encode("y");
    // The peer acknowledges nothing yet: our request for "y" waits behind that for "x".
    peer.send({ ...peer.icrq({ remoteEndId, tieBreaker: new Uint8Array(8) }), name: request }, { nr: 1 });
    link.run(100);
    peer.polite = true;
    peer.acknowledge({ nr: peer.nr });
    link.run(5_000);
    const named = peer.all(request).map(({ avps }) => new TextDecoder().decode(avps.remoteEndId));
    expect(new Set(named)).toEqual(new Set(["x"]));
    expect(sessionOf(node, 1).remoteSessionId).toBe(peer.sessionId);
  },
);

describe("a reply to a call that is no more", () => {
  test.each(["ICRP", "OCRP"] as const)(
    "B60 E40 E60 %s for an unknown session: CDN 2/5 to the sender's session",
    (name) => {
      const { link, node, peer } = facing();
      peer.connect();
      peer.send({ name, localSessionId: 77, remoteSessionId: 0x01020304, circuitStatus: 1 });
      const { avps } = peer.expect("CDN");
      expect(avps).toMatchObject({ resultCode: { result: 2, error: 5 }, remoteSessionId: 77 });
      expect(avps.resultCode?.message).toContain(name);
      link.run(1_000);
      expect([tunnelOf(node).state, sessionOf(node).state]).toEqual(["established", "idle"]);
    },
  );

  test.each(["ICCN", "OCCN", "SLI"] as const)("B60 E40 E60 %s for an unknown session: nothing", (name) => {
    const { node, peer } = facing();
    peer.connect();
    peer.send({ name, localSessionId: 77, remoteSessionId: 0x01020304 });
    expect(peer.listen(1_000)).toEqual([]);
    expect(tunnelOf(node).state).toBe("established");
  });
});
