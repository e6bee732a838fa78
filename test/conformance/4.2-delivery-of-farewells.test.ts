import { describe, expect, test } from "vitest";
import { facing, internalErrors, type ScriptedPeer, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, session, tunnel } from "../support/sites.ts";
import { LATENCY_MS, runningTimers, type VirtualNode } from "../support/virtual-link.ts";

/** When the copies of what was heard left the other end. */
function sentAt(peer: ScriptedPeer, name: string): readonly number[] {
  return peer.all(name).map(({ at }) => at - LATENCY_MS);
}

const sessions = (count: number) => Array.from({ length: count }, (_, index) => session(`pw${index}`));

function established(more: Parameters<typeof facing>[0] = {}) {
  const world = facing(more);
  world.peer.connect();
  return world;
}

/** Everything that our end holds for a connection is gone. */
function nothingIsLeft(node: VirtualNode): void {
  const left = [node.sockets.size, node.tunnels.size, node.datapathSessions.size, node.raised.size];
  expect([...left, node.core.nextDeadline(), node.core.idle()]).toEqual([0, 0, 0, 0, undefined, true]);
}

describe("the end of sessions and connections", () => {
  test("C20 a lost CDN is retransmitted although its session is gone", () => {
    const { link, node, peer } = established();
    peer.call();
    peer.polite = false;
    const start = link.now;
    node.receive({ type: "close", tunnel: "to-peer", session: "lan42" });
    expect([sessionOf(node).state, node.datapathSessions.size]).toEqual(["idle", 0]);
    peer.expect("CDN");
    peer.expect("CDN");
    peer.acknowledge();
    expect(sentAt(peer, "CDN").map((at) => at - start)).toEqual([0, 1_000]);
    expect(peer.listen(10_000)).toEqual([]);
  });

  test("C19 on a perfect link a StopCCN is acknowledged within a round trip, and its sender is done", () => {
    const { link, node, peer } = established();
    peer.call();
    node.receive({ type: "shutdown" });
    expect(node.core.idle()).toBe(false);
    link.run(2 * LATENCY_MS);
    expect(peer.all("StopCCN")).toHaveLength(1);
    nothingIsLeft(node);
  });

  test("C19 a StopCCN is retransmitted until it is acknowledged", () => {
    const { link, node, peer } = established();
    peer.polite = false;
    const start = link.now;
    node.receive({ type: "shutdown" });
    // Neither the keepalive nor the time for setting up concerns what is on its way out.
    expect(runningTimers(node)).toEqual(["retransmit"]);
    link.run(8_000);
    expect(runningTimers(node)).toEqual(["retransmit"]);
    peer.acknowledge();
    link.run(LATENCY_MS);
    expect(sentAt(peer, "StopCCN").map((at) => at - start)).toEqual([0, 1_000, 3_000, 7_000]);
    nothingIsLeft(node);
  });

  test("C19 the sender of a StopCCN gives up after a full cycle", () => {
    const { link, node, peer } = established();
    peer.polite = false;
    node.receive({ type: "shutdown" });
    link.run(70_999);
    expect(node.core.idle()).toBe(false);
    link.run(1);
    expect(peer.all("StopCCN")).toHaveLength(11);
    nothingIsLeft(node);
  });

  test("C18 with a short retransmission cycle of our own, a StopCCN is acknowledged again after 30 s all the same", () => {
    const { link, peer } = established({ retransmit: { initialMs: 200, maxMs: 8_000, retries: 2, sccrqRetries: 2 } });
    const octets = peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid });
    link.run(30_000);
    peer.forget();
    peer.sendOctets(octets);
    link.run(100);
    expect(peer.heard).toMatchObject([{ name: "ZLB", header: { nr: peer.ns } }]);
  });

  test.each([
    ["the same port", 1_701, 1],
    ["another port", 1_702, 2],
  ])("C19 a connection that ends keeps its socket unless the peer comes back from %s", (_, port, sockets) => {
    const { link, node, peer } = established();
    const [localControlConnectionId] = node.tunnels;
    node.receive({ type: "tunnel-refused", localControlConnectionId: localControlConnectionId ?? 0, reason: "gone" });
    peer.polite = false;
    peer.restart();
    peer.port = port;
    peer.connect();
    expect([node.sockets.size, tunnelOf(node).state]).toEqual([sockets, "established"]);
    // Either way the StopCCN is repeated, from the port that the peer knows.
    const { from } = peer.expect("StopCCN");
    expect(from.port).toBe(1_701);
    link.run(100_000);
    expect(node.sockets.size).toBe(1);
  });

  test("C18 after the peer's StopCCN nothing of ours is sent again, acknowledged or not", () => {
    const { link, node, peer } = established();
    peer.call();
    peer.polite = false;
    const { nr } = peer;
    node.receive({ type: "close", tunnel: "to-peer", session: "lan42" });
    peer.expect("CDN");
    peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid }, { nr });
    link.run(LATENCY_MS);
    expect(peer.listen(60_000)).toEqual([]);
  });

  test("C19 H01 no HELLO follows a StopCCN, though the datapath was just asked whether the peer lives", () => {
    const { link, node, peer } = established({ helloIntervalMs: 10_000 });
    node.datapath = { ...node.datapath, delayMs: 5_000 };
    peer.polite = false;
    const asked = () => node.core.save().timers.some(({ timer }) => timer.kind === "activity");
    expect(link.runUntil(asked, 11_000)).toBe(true);
    link.run(500);
    node.receive({ type: "close", tunnel: "to-peer" });
    link.run(20_000);
    expect([peer.all("StopCCN").length > 1, peer.all("HELLO")]).toEqual([true, []]);
  });

  test.each([1_000, 20_000, 31_000, 60_000])(
    "C18 a StopCCN that comes again after %i ms is acknowledged again",
    (ms) => {
      const { link, node, peer } = established();
      const stopCcn = { name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid } as const;
      const octets = peer.send(stopCcn);
      link.run(ms);
      expect([node.tunnels.size, node.core.idle()]).toEqual([0, true]);
      const before = peer.heard.length;
      peer.sendOctets(octets);
      link.run(2 * LATENCY_MS);
      expect(peer.heard.slice(before)).toMatchObject([{ name: "ZLB", header: { nr: peer.ns } }]);
      link.run(120_000);
      nothingIsLeft(node);
    },
  );

  test("C18 when both ends say StopCCN at once, the peer's is acknowledged for a full cycle too", () => {
    const { link, node, peer } = established();
    const stopCcn = { name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid } as const;
    const octets = peer.send(stopCcn);
    node.receive({ type: "shutdown" });
    link.run(20_000);
    const before = peer.heard.length;
    peer.sendOctets(octets);
    link.run(2 * LATENCY_MS);
    expect(peer.heard.slice(before)).toMatchObject([{ name: "ZLB", header: { nr: peer.ns } }]);
    link.run(120_000);
    nothingIsLeft(node);
  });

  test("C19 what comes together with the acknowledgement of our StopCCN is acknowledged too", () => {
    const { link, node, peer } = established();
    peer.polite = false;
    node.receive({ type: "shutdown" });
    const { header } = peer.expect("StopCCN");
    const before = peer.heard.length;
    peer.send({ name: "HELLO" }, { nr: header.ns + 1 });
    link.run(2 * LATENCY_MS);
    expect(peer.heard.slice(before)).toMatchObject([{ name: "ZLB", header: { nr: peer.ns } }]);
    nothingIsLeft(node);
  });

  test("C18 an end that has heard StopCCN is not idle before it has acknowledged it", () => {
    const { link, node, peer } = established();
    peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid });
    link.runUntil(() => tunnelOf(node).state === "idle");
    const acknowledged = () => link.datagrams.at(-1)?.from.address === B;
    expect(node.core.idle()).toBe(acknowledged());
    link.run(0);
    expect([node.core.idle(), acknowledged()]).toEqual([true, true]);
  });

  test("A04 B51 a StopCCN to a peer that has assigned no id yet has CCID 0 and names ours", () => {
    const { node, peer } = facing({ role: "initiator" });
    const sccrq = peer.expect("SCCRQ");
    node.receive({ type: "close", tunnel: "to-peer" });
    const { header, avps } = peer.expect("StopCCN");
    expect(header.controlConnectionId).toBe(0);
    expect(avps.assignedControlConnectionId).toBe(sccrq.avps.assignedControlConnectionId);
  });

  test("B51 a StopCCN with CCID 0 finds its connection by the sender and the id that it names", () => {
    const { link, node, peer } = facing();
    peer.send(peer.sccrq());
    peer.expect("SCCRP");
    const stopCcn = { name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid } as const;
    peer.send({ ...stopCcn, assignedControlConnectionId: 77 }, { ccid: 0, ns: 1 });
    peer.send(stopCcn, { ccid: 0, ns: 1, from: { port: 4_000 } });
    link.run(100);
    expect(tunnelOf(node).state).toBe("wait-ctl-conn");
    peer.send(stopCcn, { ccid: 0 });
    link.run(100);
    expect(tunnelOf(node).state).toBe("idle");
  });

  test("B51 where the peer has begun anew with the same id, it is the connection that is open", () => {
    const { link, node, peer } = established();
    const stopCcn = { name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid } as const;
    peer.send(stopCcn);
    link.run(1_000);
    Object.assign(peer, { ns: 0, nr: 0, remoteCcid: 0 });
    peer.send(peer.sccrq());
    peer.expect("SCCRP");
    peer.send(stopCcn, { ccid: 0 });
    link.run(100);
    expect(node.core.save().connections.filter(({ life }) => life === "open")).toEqual([]);
  });

  test("A27 a StopCCN ends all sessions without a CDN for each", () => {
    const { link, node, peer } = established({ sessions: sessions(10) });
    for (let index = 0; index < 10; index++) {
      peer.call({ localSessionId: 100 + index, remoteEndId: new TextEncoder().encode(`pw${index}`) });
    }
    expect(node.raised.size).toBe(10);
    const before = peer.heard.length;
    peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid });
    link.run(5_000);
    expect(peer.heard.slice(before).map(({ name }) => name)).toEqual(["ZLB"]);
    expect([node.tunnels.size, node.datapathSessions.size, internalErrors(node)]).toEqual([0, 0, []]);
  });

  test("A28 a CDN is acknowledged and answered with nothing else; a late duplicate of it harms nobody", () => {
    const { link, node, peer } = established();
    const icrp = peer.call();
    const { localSessionId, remoteSessionId } = peer.iccn(icrp);
    const before = peer.heard.length;
    const octets = peer.send({ name: "CDN", resultCode: { result: 1 }, localSessionId, remoteSessionId });
    link.run(1_000);
    peer.sendOctets(octets);
    link.run(5_000);
    expect(peer.heard.slice(before).map(({ name }) => name)).toEqual(["ZLB", "ZLB"]);
    expect([sessionOf(node).state, tunnelOf(node).state]).toEqual(["idle", "established"]);
  });

  test("C01 two connections do not share sequence numbers", () => {
    const world = facing(
      { peerHostname: "peer" },
      tunnel("second", { peer: A, role: "responder", peerHostname: "other" }),
    );
    world.peer.connect();
    world.peer.restart();
    world.peer.port = 1702;
    world.peer.connect({ hostName: "other" });
    expect(world.peer.all("SCCRP").map(({ header }) => `${header.ns}/${header.nr}`)).toEqual(["0/1", "0/1"]);
  });
});
