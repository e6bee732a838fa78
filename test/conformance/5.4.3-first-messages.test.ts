import { describe, expect, test } from "vitest";
import { facingSigned } from "../support/authenticated-sites.ts";
import { facing, tunnelOf } from "../support/scripted-peer.ts";
import { A, tunnel } from "../support/sites.ts";
import { LATENCY_MS } from "../support/virtual-link.ts";

describe("several tunnels name the same peer", () => {
  test("B53 its SCCRQ is for the one that accepts, not for the one that only opens", () => {
    const accepts = tunnel("accepts", { role: "responder", peer: A });
    const { node, peer } = facing({ role: "initiator" }, accepts);
    peer.connect();
    expect([tunnelOf(node, 1).state, peer.all("StopCCN")]).toEqual(["established", []]);
  });

  test.each([
    ["192.0.2.2", 0],
    ["192.0.2.9", 1],
  ])("B53 F08 an SCCRQ to %s is for the tunnel with that local address", (address, index) => {
    const second = tunnel("second", { role: "responder", peer: A, local: "192.0.2.9" });
    const { node, peer } = facing({ local: "192.0.2.2" }, second);
    const octets = peer.compose(peer.sccrq());
    node.receive({ type: "datagram", from: { address: A, port: 1_701 }, to: { address, port: 1_701 }, octets });
    const states = [tunnelOf(node, 0).state, tunnelOf(node, 1).state];
    expect(states).toEqual(index === 0 ? ["wait-ctl-conn", "idle"] : ["idle", "wait-ctl-conn"]);
  });
});

describe("the first message of a connection", () => {
  test.each([1, 5, 0xffff])("C01 an SCCRQ with Ns %i is none, and gets no answer", (ns) => {
    const { link, node, peer } = facing();
    peer.send(peer.sccrq(), { ns });
    link.run(1_000);
    expect([peer.heard, tunnelOf(node).state]).toEqual([[], "idle"]);
  });

  test("E02 who wins a tie says its SCCRQ again at once: the peer may not have been there the first time", () => {
    const { link, peer } = facing({ role: "both" });
    peer.polite = false;
    peer.expect("SCCRQ");
    link.run(100);
    peer.forget();
    const loser = { tieBreaker: new Uint8Array(8).fill(0xff) };
    peer.send(peer.sccrq(loser), { ccid: 0, ns: 0, nr: 0 });
    link.run(2 * LATENCY_MS);
    expect(peer.heard.map(({ name }) => name).sort()).toEqual(["SCCRQ", "StopCCN"]);
  });

  test("C24 from all addresses together there are at most 64 half-open connections", () => {
    const { link, node, peer } = facing({ peer: undefined, peerHostname: "peer" });
    for (let number = 1; number <= 100; number++) {
      link.run(25);
      const octets = peer.compose(peer.sccrq({ assignedControlConnectionId: number }), { ccid: 0, ns: 0, nr: 0 });
      const from = { address: `198.51.100.${number}`, port: 1_701 };
      node.receive({ type: "datagram", from, to: { address: "0.0.0.0", port: 1_701 }, octets });
      expect(node.core.save().connections.length).toBe(Math.min(number, 64));
    }
    // Chance decides which has to go, so that whoever floods does not know it: not always the oldest.
    const left = node.core.save().connections.map(({ remoteControlConnectionId: id }) => id);
    expect(left.filter((id) => id <= 36).length).toBeGreaterThan(0);
    expect(left.filter((id) => id <= 36).length).toBeLessThan(36);
  });

  test("C21 an SCCRQ with the same id and length, and another tie breaker, begins another connection", () => {
    const { peer } = facing();
    const tieBreaker = (octet: number) => ({ tieBreaker: new Uint8Array(8).fill(octet) });
    const first = peer.connect(tieBreaker(1)).avps.assignedControlConnectionId;
    const ccid = peer.ccid;
    peer.restart();
    peer.ccid = ccid;
    const second = peer.connect(tieBreaker(2)).avps.assignedControlConnectionId;
    expect(second).toBeGreaterThan(0);
    expect(second).not.toBe(first);
  });

  test("C21 half-open, the same id with another Random Vector is the same connection, and is acknowledged again", () => {
    const { link, node, peer } = facing();
    peer.polite = false;
    const randomVector = (octet: string) => ({ more: `801600000024${octet.repeat(16)}`, ccid: 0, ns: 0, nr: 0 });
    for (const octet of ["11", "22", "33"]) {
      peer.send(peer.sccrq(), randomVector(octet));
      link.run(100);
    }
    expect(node.core.save().connections).toHaveLength(1);
    expect(new Set(peer.all("SCCRP").map(({ avps }) => avps.assignedControlConnectionId)).size).toBe(1);
    expect(peer.all("ZLB").length).toBeGreaterThanOrEqual(2);
  });

  test("C21 half-open, the same id with another nonce is another connection", () => {
    const { link, node, peer } = facingSigned();
    peer.polite = false;
    for (const octet of [1, 2]) {
      peer.nonce = new Uint8Array(16).fill(octet);
      peer.send(peer.sccrq(), { ccid: 0, ns: 0, nr: 0 });
      link.run(100);
    }
    expect(node.core.save().connections).toHaveLength(2);
  });

  test("C24 a known peer gets at most ten refusals a second, too", () => {
    const { link, node, peer } = facing();
    node.receive({ type: "close", tunnel: tunnelOf(node).name });
    link.run(1_000 - (link.now % 1_000));
    for (let number = 1; number <= 30; number++) {
      peer.send(peer.sccrq({ assignedControlConnectionId: number }), { ccid: 0, ns: 0, nr: 0 });
    }
    link.run(500);
    expect(peer.all("StopCCN")).toHaveLength(10);
  });

  test("C24 what comes faster than 50 SCCRQs a second under the peer's name is dropped in silence, and said once", () => {
    const { link, node, peer } = facing();
    peer.polite = false;
    for (let count = 0; count < 500; count++) {
      peer.send(peer.sccrq());
      peer.restart();
    }
    link.run(900);
    expect(peer.all("SCCRP").length).toBe(50);
    expect(peer.all("StopCCN")).toEqual([]);
    expect(node.log.filter(({ event }) => event === "too-many-sccrqs")).toHaveLength(1);
    link.run(200);
    peer.forget();
    peer.send(peer.sccrq());
    expect(peer.expect("SCCRP", 500).header.controlConnectionId).toBe(peer.ccid);
  });

  test("C21 an SCCRQ that is alike to the octet begins another connection once the first one is over", () => {
    const { link, peer } = facing();
    const first = peer.connect();
    const { ccid } = peer;
    peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: ccid });
    link.run(100);
    peer.restart();
    peer.ccid = ccid;
    expect(peer.connect().avps.assignedControlConnectionId).not.toBe(first.avps.assignedControlConnectionId);
  });
});
