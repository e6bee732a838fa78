import { describe, expect, test } from "vitest";
import { facing, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { session } from "../support/sites.ts";
import { avp } from "../support/wire.ts";

describe("what cannot be accepted is refused where it came from, and show has it in words", () => {
  test("F08 E21 a bad SCCRP from another port: the StopCCN goes there, with the peer's id", () => {
    const { peer } = facing({ role: "initiator" });
    peer.expect("SCCRQ");
    peer.send(peer.sccrp(), { from: { port: 40_000 }, without: [62] });
    const { to, header, avps } = peer.expect("StopCCN");
    expect([to.port, header.controlConnectionId, avps.resultCode?.result]).toEqual([40_000, peer.ccid, 2]);
  });

  test("E21 an SCCRQ that cannot be accepted does not end our own attempt, even where it has the lower tie breaker", () => {
    const { link, node, peer } = facing({ role: "both" });
    const own = peer.expect("SCCRQ");
    const bad = { ...peer.sccrq(), tieBreaker: new Uint8Array(8) };
    peer.send(bad, { ccid: 0, more: avp(900, "c0ffee") });
    expect(peer.expect("StopCCN").avps.resultCode).toMatchObject({ result: 2, error: 8 });
    link.run(100);
    expect([tunnelOf(node).state, tunnelOf(node).lastError]).toEqual([
      "wait-ctl-reply",
      expect.stringMatching(/^SCCRQ refused: .*vendor 0 attribute 900/),
    ]);
    peer.restart();
    peer.remoteCcid = own.avps.assignedControlConnectionId ?? 0;
    peer.nr = 1;
    peer.send(peer.sccrp());
    peer.expect("SCCCN");
  });

  test("B01 a call for a pseudowire of another type is refused, and the session says why it is not up", () => {
    const { link, node, peer } = facing({ sessions: [session("lan42")] });
    peer.connect();
    peer.send(peer.icrq({ pseudowireType: 4 }));
    peer.expect("CDN");
    link.run(100);
    expect(sessionOf(node).lastError).toMatch(/^call refused: .*pseudowire type 4 is asked for/);
  });

  test.each(["wait-ctl-conn", "established"])(
    "B05 an unknown AVP with M=1 in an ACK ends the connection, in %s",
    (state) => {
      const { link, node, peer } = facing();
      if (state === "established") peer.connect();
      else {
        peer.send(peer.sccrq());
        peer.expect("SCCRP");
      }
      expect(tunnelOf(node).state).toBe(state);
      peer.sendAvps(avp(0, "0014") + avp(900, "c0ffee"), { ns: peer.ns });
      expect(peer.expect("StopCCN").avps.resultCode).toMatchObject({ result: 2, error: 8 });
      link.run(100);
      expect(tunnelOf(node).state).toBe("idle");
    },
  );
});
