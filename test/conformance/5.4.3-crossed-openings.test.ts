import { describe, expect, test } from "vitest";
import type { TunnelConfiguration } from "../../src/control/configuration.ts";
import { authentication } from "../support/authenticated-sites.ts";
import { facing, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, tunnel } from "../support/sites.ts";
import { VirtualLink, type VirtualNode } from "../support/virtual-link.ts";

type More = Partial<TunnelConfiguration>;

/** Two sites that name each other; B starts some time after A. */
function twoSites(ofA: More, ofB: More, delayMs: number, seed = 1) {
  const link = new VirtualLink();
  const a = link.add(A, lcce("site-a", tunnel("to-b", { peer: B, ...ofA })), seed);
  const b = link.add(B, lcce("site-b", tunnel("to-a", { peer: A, ...ofB })), seed);
  a.receive({ type: "start" });
  link.later(delayMs, () => b.receive({ type: "start" }));
  return { link, a, b };
}

function exactlyOne(a: VirtualNode, b: VirtualNode): boolean {
  const [ofA, ofB] = [tunnelOf(a), tunnelOf(b)];
  return (
    [ofA, ofB].every(({ state }) => state === "established") &&
    ofA.localControlConnectionId === ofB.remoteControlConnectionId &&
    ofB.localControlConnectionId === ofA.remoteControlConnectionId &&
    [a, b].every(({ tunnels, raised }) => tunnels.size === 1 && raised.size === 1)
  );
}

const SECRETIVE = { authentication: authentication() };

describe("both ends open", () => {
  const pairs: readonly (readonly [string, More, More])[] = [
    ["initiator, initiator", { role: "initiator" }, { role: "initiator" }],
    ["initiator, both", { role: "initiator" }, { role: "both" }],
    ["both, both", { role: "both" }, { role: "both" }],
    ["initiator, initiator, with a secret", { role: "initiator", ...SECRETIVE }, { role: "initiator", ...SECRETIVE }],
  ];

  test.each(pairs)("E01 E04 %s: they settle on exactly one connection, whoever starts when", (_, ofA, ofB) => {
    for (const delayMs of [0, 3, 10, 15, 25, 300, 1_000, 1_500, 61_000]) {
      for (let seed = 1; seed <= 10; seed++) {
        const { link, a, b } = twoSites(ofA, ofB, delayMs, seed);
        const settled = link.runUntil(() => exactlyOne(a, b), 200_000);
        expect(settled, `delay ${delayMs} ms, seed ${seed}`).toBe(true);
        link.run(100_000);
        expect(exactlyOne(a, b), `delay ${delayMs} ms, seed ${seed}: it stays so`).toBe(true);
        expect([a.sockets.size, b.sockets.size]).toEqual([1, 1]);
      }
    }
  });

  test("E01 E04 neither SCCRQ has a tie breaker: the lower Assigned Control Connection ID wins", () => {
    const lower = facing({ role: "initiator" });
    lower.peer.expect("SCCRQ");
    lower.peer.ccid = 1;
    lower.peer.send(lower.peer.sccrq(), { ns: 0, ccid: 0 });
    expect(lower.peer.expect("SCCRP").header.controlConnectionId).toBe(1);
    expect(lower.peer.all("StopCCN")).toEqual([]);

    const higher = facing({ role: "initiator" });
    const own = higher.peer.expect("SCCRQ");
    higher.peer.send(higher.peer.sccrq({ assignedControlConnectionId: 0xffff_ffff }), { ns: 0, ccid: 0 });
    const refusal = higher.peer.expect("StopCCN");
    expect(refusal.header.controlConnectionId).toBe(0xffff_ffff);
    expect(refusal.avps.resultCode).toMatchObject({ result: 3 });
    expect(higher.peer.all("SCCRP")).toEqual([]);
    const again = higher.peer.all("SCCRQ").at(-1);
    expect(again?.avps.assignedControlConnectionId).toBe(own.avps.assignedControlConnectionId);
  });

  test("E04 only the peer has a tie breaker: it wins", () => {
    const { peer } = facing({ role: "initiator" });
    peer.expect("SCCRQ");
    peer.ccid = 0xffff_ffff;
    peer.send(peer.sccrq({ tieBreaker: new Uint8Array(8).fill(0xff) }), { ns: 0, ccid: 0 });
    expect(peer.expect("SCCRP").header.controlConnectionId).toBe(0xffff_ffff);
  });

  test("E01 an end that always opens, and pauses, opens at once when the peer's SCCRQ comes", () => {
    const retransmit = { initialMs: 1_000, maxMs: 8_000, retries: 1, sccrqRetries: 1 };
    const { link, peer } = facing({ role: "initiator", retransmit, reconnect: { minMs: 500_000, maxMs: 500_000 } });
    peer.polite = false;
    peer.expect("SCCRQ");
    link.run(100_000);
    peer.forget();
    peer.send(peer.sccrq({ assignedControlConnectionId: 0xffff_ffff }), { ns: 0, ccid: 0 });
    const own = peer.expect("SCCRQ", 1_000);
    // First of all, so that the peer knows of the tie before it is refused.
    expect(peer.heard[0]).toBe(own);
    expect(peer.expect("StopCCN", 1_000).at).toBe(own.at);
  });
});

describe("an SCCRQ that wants to recover another connection (RFC 4951)", () => {
  const tunnelRecovery = { localControlConnectionId: 7, remoteControlConnectionId: 8 };

  test("E11 is refused, and no tie with our own attempt", () => {
    const { link, node, peer } = facing({ role: "both" });
    peer.expect("SCCRQ");
    const tieBreaker = new Uint8Array(8);
    const assignedControlConnectionId = peer.ccid + 1;
    peer.send(peer.sccrq({ tunnelRecovery, tieBreaker, assignedControlConnectionId }), { ns: 0, nr: 0, ccid: 0 });
    expect(peer.expect("StopCCN").avps.resultCode).toMatchObject({ result: 4, message: "failover is not offered" });
    expect(tunnelOf(node).state).toBe("wait-ctl-reply");
    peer.send(peer.sccrp(), { ns: 0 });
    link.run(100);
    expect(tunnelOf(node).state).toBe("established");
  });

  test("E11 is refused, and the established connection stays", () => {
    const { link, node, peer } = facing();
    peer.connect();
    const before = tunnelOf(node).localControlConnectionId;
    const assignedControlConnectionId = peer.ccid + 1;
    peer.send(peer.sccrq({ tunnelRecovery, assignedControlConnectionId }), { ns: 0, nr: 0, ccid: 0 });
    expect(peer.expect("StopCCN").header.controlConnectionId).toBe(assignedControlConnectionId);
    link.run(100_000);
    expect(tunnelOf(node)).toMatchObject({ state: "established", localControlConnectionId: before });
  });
});
