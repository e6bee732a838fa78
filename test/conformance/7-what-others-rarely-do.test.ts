import { describe, expect, test } from "vitest";
import { facing, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { session } from "../support/sites.ts";
import { avp } from "../support/wire.ts";

describe("connections that end before they have begun", () => {
  test("E22 E24 one that is half open when the tunnel is closed: one StopCCN, and it is forgotten", () => {
    const { link, node, peer } = facing();
    peer.polite = false;
    peer.send(peer.sccrq());
    peer.expect("SCCRP");
    node.receive({ type: "close", tunnel: "to-peer" });
    link.run(60);
    expect([node.core.idle(), node.core.save().connections]).toEqual([true, []]);
    link.run(60_000);
    expect(peer.all("StopCCN")).toHaveLength(1);
  });

  test("E21 E24 one that nobody has answered when the tunnel is closed: nobody is waited for", () => {
    const { link, node, peer } = facing({ role: "initiator" });
    peer.polite = false;
    peer.expect("SCCRQ");
    node.receive({ type: "close", tunnel: "to-peer" });
    link.run(60);
    expect([node.core.idle(), node.core.save().connections]).toEqual([true, []]);
    expect(peer.all("StopCCN")).toHaveLength(1);
  });

  test("A17 a message of a type that may be ignored does not end the handshake", () => {
    const { link, node, peer } = facing();
    peer.send(peer.sccrq());
    peer.expect("SCCRP");
    peer.sendAvps(avp(0, "0011", { mandatory: false }));
    link.run(100);
    peer.send({ name: "SCCCN" });
    link.run(100);
    expect([tunnelOf(node).state, peer.all("StopCCN")]).toEqual(["established", []]);
  });
});

describe("calls", () => {
  test("E30 G05 a reply to nobody that names no session either has no answer", () => {
    const { link, node, peer } = facing();
    peer.connect();
    for (const name of ["ICRP", "OCRP"] as const) {
      const reply = { name, localSessionId: 1, remoteSessionId: 0xdead_beef, circuitStatus: 1 };
      peer.send(reply, { without: [63] });
    }
    link.run(1_000);
    expect([tunnelOf(node).state, peer.all("CDN")]).toEqual(["established", []]);
  });

  test("H09 when the call is over nothing is known of the peer's circuit", () => {
    const { link, node, peer } = facing();
    peer.connect();
    const icrp = peer.call();
    expect(sessionOf(node).remoteCircuitActive).toBe(true);
    peer.send({
      name: "CDN",
      resultCode: { result: 3 },
      localSessionId: peer.sessionId,
      remoteSessionId: icrp.avps.localSessionId ?? 0,
    });
    link.run(100);
    expect([sessionOf(node).state, sessionOf(node).remoteCircuitActive]).toEqual(["idle", false]);
  });

  test("C15 E10 a call that waits behind the peer's window is not given up: it has not been placed yet", () => {
    const sessions = Array.from({ length: 40 }, (_, i) => session(`s${i}`, { call: "initiator" }));
    const { link, node, peer } = facing({ sessions });
    peer.polite = false;
    peer.connect({ receiveWindowSize: 1 });
    for (let i = 0; i < 24; i++) {
      peer.acknowledge();
      link.run(5_000);
    }
    const waiting = tunnelOf(node).sessions.slice(-2);
    expect(waiting.map(({ state, lastError }) => [state, lastError])).toEqual([
      ["wait-reply", ""],
      ["wait-reply", ""],
    ]);
  });

  test("C15 the answers to the first calls do not wait until the last is placed", () => {
    const sessions = Array.from({ length: 40 }, (_, i) => session(`s${i}`, { call: "initiator" }));
    const { link, peer } = facing({ sessions });
    peer.connect({ receiveWindowSize: 2 });
    const icrq = peer.expect("ICRQ");
    peer.send(peer.icrp(icrq));
    peer.expect("ICCN");
    const placed = peer.all("ICRQ").length;
    link.run(5_000);
    expect([placed < 20, peer.all("ICRQ").length]).toEqual([true, 40]);
  });

  test.each([
    [1, 40],
    [16, 200],
  ])("E10 with window %i, none of %i calls that are acknowledged and never answered is waited for", (window, count) => {
    const sessions = Array.from({ length: count }, (_, i) => session(`s${i}`, { call: "initiator" }));
    const { link, node, peer } = facing({
      sessions,
      role: "initiator",
      helloIntervalMs: 0,
      reconnect: { minMs: 600_000, maxMs: 600_000 },
    });
    peer.answer({ receiveWindowSize: window });
    link.run(90_000);
    expect(new Set(peer.all("CDN").map(({ avps }) => avps.localSessionId)).size).toBe(count);
    expect(tunnelOf(node).sessions.filter(({ lastError }) => lastError.includes("no answer"))).toHaveLength(count);
  });

  test("E10 who is opened by hand begins anew to count failures", () => {
    const { link, node, peer } = facing({
      reconnect: { minMs: 1_000, maxMs: 60_000 },
      sessions: [session("lan42", { call: "initiator" })],
    });
    const refuse = () => {
      const icrq = peer.expect("ICRQ", 120_000);
      peer.send({
        name: "CDN",
        resultCode: { result: 4 },
        localSessionId: peer.sessionId,
        remoteSessionId: icrq.avps.localSessionId ?? 0,
      });
      link.run(30);
      return icrq.at;
    };
    peer.connect();
    for (let i = 0; i < 6; i++) refuse();
    node.receive({ type: "open", tunnel: "to-peer", session: "lan42" });
    const opened = refuse();
    expect(refuse() - opened).toBeLessThan(2_000);
  });
});
