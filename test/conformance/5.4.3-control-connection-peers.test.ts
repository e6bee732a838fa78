import { describe, expect, test } from "vitest";
import type { TunnelConfiguration } from "../../src/control/configuration.ts";
import { facing, internalErrors, ScriptedPeer, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, tunnel } from "../support/sites.ts";
import { VirtualLink, type VirtualNode } from "../support/virtual-link.ts";

/** The names of the tunnels that are not idle. */
function awake(node: VirtualNode): readonly string[] {
  return node.core.view().tunnels.flatMap(({ name, state }) => (state === "idle" ? [] : [`${name} ${state}`]));
}

/** Sockets connected to the same two endpoints: one would take the other's datagrams. */
function competing(node: VirtualNode): number {
  const pairs = [...node.sockets.values()].flatMap(({ local, remote }) =>
    remote === undefined ? [] : [`${local.port} ${remote.address}:${remote.port}`],
  );
  return pairs.length - new Set(pairs).size;
}

const STRANGER = "203.0.113.9";

/** A responder with these tunnels, and someone at `address` who says SCCRQ. */
function sccrqTo(tunnels: readonly TunnelConfiguration[], address: string, avps: object) {
  const link = new VirtualLink();
  const node = link.add(B, lcce("site-b", ...tunnels));
  const peer = new ScriptedPeer(link, address, { address: B, port: 1701 });
  link.start();
  peer.send(peer.sccrq(avps));
  link.run(100);
  return { link, node, peer };
}

describe("which tunnel takes an SCCRQ", () => {
  const responder = (name: string, more: Partial<TunnelConfiguration>) => tunnel(name, { role: "responder", ...more });
  const tunnels = [
    responder("by-address", { peer: A }),
    responder("by-both", { peer: A, peerHostname: "branch-1" }),
    responder("by-name", { peerHostname: "branch-2" }),
    responder("by-router-id", { peerRouterId: 0xffffffff }),
    responder("by-all", { peer: A, peerHostname: "branch-3", peerRouterId: 33 }),
    tunnel("only-opens", { role: "initiator", peer: "192.0.2.77" }),
  ];

  test.each([
    ["B53", "its address", A, { hostName: "anyone" }, "by-address"],
    ["B53", "address and host name rather than address alone", A, { hostName: "branch-1" }, "by-both"],
    ["B53", "host name from anywhere", STRANGER, { hostName: "branch-2" }, "by-name"],
    [
      "B52",
      "Router ID, which need not be an address",
      STRANGER,
      { hostName: "x", routerId: 0xffffffff },
      "by-router-id",
    ],
    ["B53", "all three", A, { hostName: "branch-3", routerId: 33 }, "by-all"],
    ["B53", "address, when the Router ID does not agree", A, { hostName: "branch-3", routerId: 34 }, "by-address"],
  ])("%s by %s", (_, __, address, avps, name) => {
    const { node, peer } = sccrqTo(tunnels, address, avps);
    expect(awake(node).filter((line) => !line.startsWith("only-opens"))).toEqual([`${name} wait-ctl-conn`]);
    expect(peer.all("SCCRP")).toHaveLength(1);
  });

  test.each([
    ["a host name that nobody has", STRANGER, { hostName: "branch-9" }],
    ["a host name of another's, from the wrong address", STRANGER, { hostName: "branch-1" }],
  ])("B53 nobody: %s; the sender gets no SCCRP", (_, address, avps) => {
    const { node, peer } = sccrqTo(tunnels, address, avps);
    expect(peer.all("SCCRP")).toEqual([]);
    expect(peer.all("StopCCN")).toMatchObject([{ avps: { resultCode: { result: 4 } } }]);
    expect(node.log.map(({ event }) => event)).toContain("unknown-peer");
  });

  test("C24 strangers get at most ten answers a second", () => {
    const { link, peer } = sccrqTo(tunnels, STRANGER, { hostName: "x" });
    for (let count = 0; count < 1_000; count++) peer.send(peer.sccrq({ assignedControlConnectionId: 1 + count }));
    link.run(100);
    expect(peer.heard.length).toBeLessThanOrEqual(10);
  });

  test.each([
    ["host name", { peerHostname: "branch-1" }],
    ["Router ID", { peerRouterId: 1234 }],
  ])("B53 an answer with another %s than the configured one ends the attempt", (_, selector) => {
    const { link, node, peer } = facing({ role: "initiator", ...selector });
    peer.expect("SCCRQ");
    peer.send(peer.sccrp());
    expect(peer.expect("StopCCN").avps.resultCode).toMatchObject({ result: 4 });
    link.run(10);
    expect([tunnelOf(node).state, node.tunnels.size]).toEqual(["idle", 0]);
  });
});

describe("addresses and ports", () => {
  test("F08 an SCCRP may come from another port; from then on only that one counts", () => {
    const { link, node, peer } = facing({ role: "initiator" });
    peer.expect("SCCRQ");
    peer.port = 40_000;
    peer.send(peer.sccrp());
    const scccn = peer.expect("SCCCN");
    expect(scccn.to.port).toBe(40_000);
    expect(tunnelOf(node)).toMatchObject({ state: "established", peer: `${A}:40000` });
    peer.send({ name: "StopCCN", resultCode: { result: 1 } }, { from: { port: 1701 } });
    link.run(100);
    expect(tunnelOf(node).state).toBe("established");
  });

  test.each([{ address: STRANGER }, { port: 1702 }, { address: STRANGER, port: 9 }])(
    "G13 once established, %o changes nothing and gets no answer",
    (from) => {
      const { link, node, peer } = facing();
      peer.connect();
      peer.call();
      const before = node.core.view();
      const sent = link.datagrams.length;
      const { ns } = peer;
      peer.send({ name: "StopCCN", resultCode: { result: 1 } }, { from });
      peer.send({ name: "HELLO" }, { from, ns });
      peer.acknowledge({ from, nr: 40 });
      link.run(200);
      expect(node.core.view()).toEqual(before);
      expect(link.datagrams.slice(sent).filter(({ from: { address } }) => address === B)).toEqual([]);
    },
  );

  test("G13 an SCCRP from another address is not taken", () => {
    const { link, node, peer } = facing({ role: "initiator" });
    peer.expect("SCCRQ");
    peer.send(peer.sccrp(), { from: { address: STRANGER } });
    link.run(100);
    expect(tunnelOf(node).state).toBe("wait-ctl-reply");
  });

  test("F08 a responder with `peer` accepts that peer from any port, and answers from the port that was asked", () => {
    const { node, peer } = facing();
    peer.port = 61_234;
    peer.connect();
    expect(tunnelOf(node)).toMatchObject({ state: "established", peer: `${A}:61234` });
    expect(peer.all("SCCRP")[0]).toMatchObject({ from: { port: 1701 }, to: { port: 61_234 } });
  });
});

describe("SCCRQs that come again", () => {
  test("C21 a retransmitted SCCRQ makes one connection, before and after it is established", () => {
    const { link, node, peer } = facing();
    const sccrq = peer.send(peer.sccrq());
    for (let count = 0; count < 4; count++) peer.sendOctets(sccrq);
    const sccrp = peer.expect("SCCRP");
    peer.send({ name: "SCCCN" });
    link.run(100);
    peer.sendOctets(sccrq);
    link.run(500);
    const assigned = new Set(peer.all("SCCRP").map(({ avps }) => avps.assignedControlConnectionId));
    expect([...assigned]).toEqual([sccrp.avps.assignedControlConnectionId]);
    expect([node.tunnels.size, tunnelOf(node).state]).toEqual([1, "established"]);
  });

  test("a new SCCRQ on a live connection replaces it, but only when it is established", () => {
    const { link, node, peer } = facing();
    peer.connect();
    peer.call();
    const old = tunnelOf(node).localControlConnectionId;
    peer.restart();
    peer.send(peer.sccrq());
    peer.expect("SCCRP");
    link.run(500);
    expect(tunnelOf(node)).toMatchObject({ state: "established", localControlConnectionId: old });
    expect(node.raised.size).toBe(1);
    peer.send({ name: "SCCCN" });
    link.run(100);
    const { localControlConnectionId: now, remoteControlConnectionId } = tunnelOf(node);
    expect(now).not.toBe(old);
    expect(remoteControlConnectionId).toBe(peer.ccid);
    expect([[...node.tunnels], node.raised.size, [...node.sockets.keys()], competing(node)]).toEqual([
      [now],
      0,
      [now],
      0,
    ]);
    expect(peer.all("StopCCN")).toMatchObject([{ header: { controlConnectionId: peer.ccid - 1 } }]);
    peer.sessionId += 1;
    peer.call();
    expect([node.raised.size, tunnelOf(node).lastError]).toEqual([1, ""]);
  });

  test("a half-open one never disturbs the live one, and is forgotten", () => {
    const { link, node, peer } = facing({ helloIntervalMs: 0 });
    peer.connect();
    peer.call();
    const before = node.core.view();
    peer.restart();
    peer.polite = false;
    peer.send(peer.sccrq());
    link.run(100_000);
    expect(node.core.view()).toEqual(before);
    expect(node.core.nextDeadline()).toBeUndefined();
  });

  test("C24 one address holds at most 32 half-open connections; which one goes, chance decides", () => {
    const { link, node, peer } = facing();
    peer.polite = false;
    for (let count = 0; count < 100; count++) {
      peer.send(peer.sccrq());
      peer.restart();
    }
    link.run(20);
    peer.forget();
    link.run(1_100);
    const retransmitted = peer.all("SCCRP").map(({ header }) => header.controlConnectionId);
    expect(new Set(retransmitted).size).toBe(32);
    // Whoever floods cannot push out the one that he does not want: some of the first half are still there.
    expect(retransmitted.some((id) => id < peer.ccid - 50)).toBe(true);
    expect(internalErrors(node)).toEqual([]);
  });

  test("C24 a handshake comes up through a flood of SCCRQs from its own address", () => {
    const { link, node, peer } = facing();
    peer.polite = false;
    for (let attempt = 0; attempt < 20 && tunnelOf(node).state !== "established"; attempt++) {
      const genuine = peer.ccid;
      peer.send(peer.sccrq());
      for (let count = 1; count <= 10; count++) {
        peer.ccid = genuine + count * 1_000;
        peer.send(peer.sccrq(), { ns: 0 });
      }
      peer.ccid = genuine;
      const answer = () => peer.all("SCCRP").find(({ header }) => header.controlConnectionId === genuine);
      link.runUntil(() => answer() !== undefined, 5_000);
      peer.remoteCcid = answer()?.avps.assignedControlConnectionId ?? 0;
      peer.send({ name: "SCCCN" }, { ns: 1, nr: 1 });
      link.run(30);
      peer.restart();
    }
    expect(tunnelOf(node).state).toBe("established");
  });

  test("a peer that begins anew with the id and port that it had before is answered", () => {
    const { link, node, peer } = facing();
    peer.connect();
    const { localControlConnectionId } = tunnelOf(node);
    const ccid = peer.ccid;
    peer.restart();
    peer.ccid = ccid;
    peer.send({ ...peer.sccrq(), hostName: "the-same-router-after-a-reload", tieBreaker: new Uint8Array(8) });
    link.run(50);
    expect(peer.all("SCCRP").at(-1)?.avps.assignedControlConnectionId).not.toBe(localControlConnectionId);
  });

  test("a half-open one blocks nobody: the next SCCRQ gets its answer and comes up", () => {
    const { node, peer } = facing();
    peer.send(peer.sccrq());
    peer.expect("SCCRP");
    peer.restart();
    peer.connect();
    expect(tunnelOf(node)).toMatchObject({ state: "established", remoteControlConnectionId: peer.ccid });
  });

  test("sockets: restarts of the peer, before and after a lingering end, never leave two that compete", () => {
    const { link, node, peer } = facing();
    for (let round = 0; round < 5; round++) {
      peer.connect();
      expect([competing(node), node.sockets.size, tunnelOf(node).state], `round ${round}`).toEqual([
        0,
        1,
        "established",
      ]);
      if (round % 2 === 1) {
        peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid });
        link.run(1_000);
      }
      peer.restart();
    }
    peer.polite = true;
    node.receive({ type: "shutdown" });
    link.run(200_000);
    expect([node.sockets.size, node.tunnels.size]).toEqual([0, 0]);
  });

  test("sockets: an initiator with a fixed port that reconnects while the old connection lingers", () => {
    const { link, node, peer } = facing({ role: "initiator" });
    for (let round = 0; round < 4; round++) {
      peer.answer();
      link.run(50);
      expect([competing(node), tunnelOf(node).state], `round ${round}`).toEqual([0, "established"]);
      const octets = peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid });
      link.run(500);
      const heard = peer.heard.length;
      peer.sendOctets(octets);
      link.run(100);
      expect(peer.heard.slice(heard), `round ${round}`).toMatchObject([{ name: "ZLB" }]);
      peer.restart();
    }
  });
});

describe("a socket that cannot be made", () => {
  const reason = "address already in use: 0.0.0.0 port 1701";

  test("for an attempt: nobody is told, last_error says so, and it is tried again", () => {
    const { link, node, peer } = facing({ role: "initiator" });
    const { localControlConnectionId } = tunnelOf(node);
    node.receive({ type: "socket-failed", localControlConnectionId, reason });
    expect(tunnelOf(node)).toMatchObject({ state: "idle", lastError: reason });
    peer.polite = false;
    peer.listen(900);
    expect(peer.all("StopCCN")).toEqual([]);
    peer.answer();
    link.run(50);
    expect(tunnelOf(node)).toMatchObject({ state: "established", lastError: "" });
  });

  test("for an accepted connection: StopCCN with result, error and text, from the listener", () => {
    const { link, node, peer } = facing();
    peer.connect();
    const { localControlConnectionId } = tunnelOf(node);
    node.sockets.delete(localControlConnectionId);
    node.receive({ type: "socket-failed", localControlConnectionId, reason });
    expect(peer.expect("StopCCN").avps.resultCode).toEqual({ result: 2, error: 4, message: reason });
    link.run(200);
    expect([tunnelOf(node).state, node.tunnels.size, internalErrors(node)]).toEqual(["idle", 0, []]);
    peer.restart();
    peer.connect();
    expect(tunnelOf(node).state).toBe("established");
  });
});

const LOW = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0);
const HIGH = Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255);

describe("ties", () => {
  test("E02 the peer's lower tie breaker wins: our SCCRQ is forgotten and the peer's is answered", () => {
    const { link, node, peer } = facing({ role: "both" });
    const own = peer.expect("SCCRQ");
    peer.restart();
    peer.send(peer.sccrq({ tieBreaker: LOW }));
    const sccrp = peer.expect("SCCRP");
    expect(sccrp.avps.assignedControlConnectionId).not.toBe(own.avps.assignedControlConnectionId);
    peer.send({ name: "SCCCN" });
    link.run(100_000);
    expect([tunnelOf(node).state, node.sockets.size, node.tunnels.size]).toEqual(["established", 1, 1]);
    expect(peer.all("StopCCN")).toEqual([]);
  });

  test.each([
    ["E02", "our lower tie breaker wins", { tieBreaker: HIGH }],
    ["E04", "the only tie breaker wins", {}],
  ])("%s %s: the peer's SCCRQ gets a StopCCN, ours is said again and answered", (_, __, avps) => {
    const { link, node, peer } = facing({ role: "both" });
    peer.polite = false;
    const own = peer.expect("SCCRQ");
    const loser = peer.ccid + 100;
    peer.send(peer.sccrq({ ...avps, assignedControlConnectionId: loser }), { ccid: 0, ns: 0, nr: 0 });
    const stop = peer.expect("StopCCN");
    expect(stop.header.controlConnectionId).toBe(loser);
    expect(stop.avps.resultCode).toMatchObject({ result: 3 });
    expect(peer.expect("SCCRQ").avps).toEqual(own.avps);
    peer.send(peer.sccrp());
    peer.expect("SCCCN");
    link.run(1_000);
    expect(tunnelOf(node)).toMatchObject({ state: "established", remoteControlConnectionId: peer.ccid });
  });

  test("E03 equal tie breakers: both vanish without a word, and ours comes back with a new one", () => {
    const { node, peer } = facing({ role: "both" });
    const own = peer.expect("SCCRQ");
    const { tieBreaker } = own.avps;
    peer.restart();
    peer.send(peer.sccrq(tieBreaker === undefined ? {} : { tieBreaker }));
    const next = peer.expect("SCCRQ");
    expect([peer.all("SCCRP"), peer.all("StopCCN")]).toEqual([[], []]);
    expect(next.at - own.at).toBeGreaterThanOrEqual(1_000);
    expect(next.avps.tieBreaker).not.toEqual(tieBreaker);
    expect(next.avps.assignedControlConnectionId).not.toBe(own.avps.assignedControlConnectionId);
    peer.send(peer.sccrp(), { ns: 0 });
    peer.expect("SCCCN");
    expect(tunnelOf(node).state).toBe("established");
  });

  test.each(["initiator", "responder", "both"] as const)(
    "E09 role %s: a tie breaker only where both may open",
    (role) => {
      const { peer } = facing({ role });
      peer.listen(100);
      const carried = peer.all("SCCRQ").map(({ avps }) => avps.tieBreaker?.length);
      expect(carried).toEqual({ initiator: [undefined], responder: [], both: [8] }[role]);
    },
  );
});
