import { describe, expect, test } from "vitest";
import { facing, type ScriptedPeer, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { A, session } from "../support/sites.ts";
import { LATENCY_MS, type VirtualLink } from "../support/virtual-link.ts";

/** Ns and Nr of what was heard, acknowledgements too. */
function numbers(peer: ScriptedPeer): readonly string[] {
  return peer.heard.map(({ name, header }) => `${name} ${header.ns}/${header.nr}`);
}

/** When the copies of what was heard left the other end. */
function sentAt(peer: ScriptedPeer, name: string): readonly number[] {
  return peer.all(name).map(({ at }) => at - LATENCY_MS);
}

const sessions = (count: number) => Array.from({ length: count }, (_, index) => session(`pw${index}`));
const retransmit = (more: object) => ({ initialMs: 1_000, maxMs: 8_000, retries: 10, sccrqRetries: 10, ...more });

function established(more: Parameters<typeof facing>[0] = {}) {
  const world = facing(more);
  world.peer.connect();
  return world;
}

/** A connection that our end has opened, with `count` calls to place; the peer announces `window` and falls silent. */
function withCalls(count: number, window: number | undefined) {
  const world = facing({ role: "initiator", sessions: sessions(count) });
  world.peer.expect("SCCRQ");
  world.peer.polite = false;
  world.peer.send(world.peer.sccrp(window === undefined ? {} : { receiveWindowSize: window }));
  world.peer.expect("SCCCN");
  if (window === 1) world.peer.acknowledge();
  world.peer.expect("ICRQ");
  world.link.run(50);
  return world;
}

describe("sequence numbers", () => {
  test("C01 as initiator: SCCRQ 0/0, SCCCN 1/1, ICRQ 2/1; the ZLB for an SCCRP is the SCCCN", () => {
    const { peer } = facing({ role: "initiator" });
    peer.answer();
    peer.expect("ICRQ");
    expect(numbers(peer).slice(0, 3)).toEqual(["SCCRQ 0/0", "SCCCN 1/1", "ICRQ 2/1"]);
  });

  test("C01 as responder: SCCRP 0/1, then an acknowledgement 1/2", () => {
    const { peer } = facing();
    peer.polite = false;
    peer.connect();
    expect(numbers(peer)).toEqual(["SCCRP 0/1", "ZLB 1/2"]);
  });

  test("B50 the SCCRQ has CCID 0, everything after it the peer's", () => {
    const { peer } = facing({ role: "initiator" });
    peer.answer();
    peer.expect("ICRQ");
    const [sccrq, ...later] = peer.heard;
    expect(sccrq?.header.controlConnectionId).toBe(0);
    expect(new Set(later.map(({ header }) => header.controlConnectionId))).toEqual(new Set([peer.ccid]));
  });

  test("C01 C02 70,000 messages: Ns and Nr wrap at 65536 and go on", () => {
    const { link, peer } = established({ helloIntervalMs: 0 });
    for (let count = 0; count < 70_000; count++) {
      peer.send({ name: "HELLO" });
      if (count % 4 === 3) link.run(LATENCY_MS);
    }
    link.run(100);
    expect(peer.heard.at(-1)?.header.nr).toBe((70_000 + 2) & 0xffff);
    // The four of one instant are acknowledged together.
    expect(peer.heard.length).toBeGreaterThanOrEqual(70_000 / 4);
  });
});

describe("what arrives", () => {
  test("C03 a duplicate is acknowledged again and not processed", () => {
    const { link, node, peer } = established();
    const octets = peer.send(peer.icrq());
    peer.expect("ICRP");
    const before = peer.all("ZLB").length;
    for (let copies = 0; copies < 5; copies++) {
      peer.sendOctets(octets);
      link.run(100);
    }
    expect(peer.all("ZLB").length - before).toBe(5);
    expect(peer.all("ICRP")).toHaveLength(1);
    expect([...node.datapathSessions]).toHaveLength(1);
  });

  test.each([1, 2, 1000, 32767])(
    "C02 C03 Ns %i before the expected one is old: acknowledged, not processed",
    (back) => {
      const { link, peer } = established();
      peer.send(peer.icrq(), { ns: (peer.ns - back) & 0xffff });
      link.run(100);
      expect(peer.all("ICRP")).toHaveLength(0);
      expect(peer.heard.at(-1)).toMatchObject({ name: "ZLB", header: { nr: peer.ns } });
    },
  );

  test("C02 Ns 32767 beyond the expected one is new, and too far ahead to keep: no acknowledgement", () => {
    const { link, peer } = established();
    const before = peer.heard.length;
    peer.send({ name: "HELLO" }, { ns: (peer.ns + 32767) & 0xffff });
    link.run(100);
    expect(peer.heard).toHaveLength(before);
  });

  test("C04 neither ZLB nor explicit ACK takes an Ns", () => {
    const { link, peer } = established();
    for (let count = 0; count < 20; count++) {
      peer.acknowledge();
      peer.send({ name: "ACK" }, { ns: peer.ns });
    }
    peer.send({ name: "HELLO" });
    link.run(100);
    expect(peer.heard.at(-1)).toMatchObject({ name: "ZLB", header: { nr: peer.ns } });
  });

  test.each([
    ["a ZLB", (peer: ScriptedPeer) => peer.acknowledge()],
    ["an explicit ACK", (peer: ScriptedPeer) => void peer.send({ name: "ACK" }, { ns: peer.ns })],
  ])("C17 %s acknowledges", (_, acknowledge) => {
    const { peer } = established();
    peer.polite = false;
    peer.send(peer.icrq());
    peer.expect("ICRP");
    acknowledge(peer);
    expect(peer.listen(5_000)).toEqual([]);
  });

  test.each([1, 2, 100, 32767, 32768, 65535])("C05 an Nr %i beyond what was sent changes nothing", (ahead) => {
    const { peer } = established();
    peer.polite = false;
    peer.send(peer.icrq());
    peer.expect("ICRP");
    peer.acknowledge({ nr: (peer.nr + ahead) & 0xffff });
    expect(peer.listen(1_500).map(({ name }) => name)).toEqual(["ICRP"]);
  });

  test("C06 messages out of order are processed in order", () => {
    const { link, node, peer } = established({ sessions: sessions(4) });
    const names = ["pw0", "pw1", "pw2", "pw3"];
    const icrqs = names.map((name, index) => {
      const remoteEndId = new TextEncoder().encode(name);
      return peer.compose(peer.icrq({ remoteEndId, localSessionId: 1000 + index }));
    });
    for (const octets of icrqs.toReversed()) peer.sendOctets(octets);
    link.run(100);
    expect(peer.all("ICRP").map(({ avps }) => avps.remoteSessionId)).toEqual([1000, 1001, 1002, 1003]);
    expect([...node.datapathSessions.values()].map(({ remoteSessionId }) => remoteSessionId)).toEqual([
      1000, 1001, 1002, 1003,
    ]);
  });

  test("C06 no more is kept out of order than our window allows", () => {
    const { link, peer } = established({ receiveWindow: 4 });
    const first = peer.compose({ name: "HELLO" });
    for (let count = 0; count < 10; count++) peer.send({ name: "HELLO" });
    link.run(100);
    peer.sendOctets(first);
    link.run(100);
    expect(peer.heard.at(-1)?.header.nr).toBe(2 + 4);
  });

  test("C16 C17 what nothing answers is acknowledged in the same instant", () => {
    const { link, peer } = established();
    const start = link.now;
    peer.send({ name: "HELLO" });
    link.run(100);
    expect(peer.heard.at(-1)).toMatchObject({ name: "ZLB", at: start + 2 * LATENCY_MS });
  });

  test("C17 what comes in the same instant is acknowledged together", () => {
    const { link, peer } = established();
    const before = peer.heard.length;
    for (let count = 0; count < 10; count++) peer.send({ name: "HELLO" });
    link.run(2 * LATENCY_MS);
    expect(peer.heard.slice(before)).toMatchObject([{ name: "ZLB", header: { nr: peer.ns } }]);
  });

  test("C17 an ICRQ is acknowledged by its ICRP alone, also when the datapath takes 10 ms", () => {
    const { node, peer } = established();
    node.datapath = { ...node.datapath, delayMs: 10 };
    const before = peer.heard.length;
    peer.polite = false;
    peer.call();
    expect(peer.heard.slice(before).map(({ name }) => name)).toEqual(["ICRP", "ZLB"]);
  });

  test("C16 an ICRQ is acknowledged by itself within 50 ms when the datapath is slow", () => {
    const { link, node, peer } = established();
    node.datapath = { ...node.datapath, delayMs: 5_000 };
    const start = link.now;
    peer.send(peer.icrq());
    link.run(50 + 2 * LATENCY_MS);
    expect(peer.heard.at(-1)).toMatchObject({ name: "ZLB", header: { nr: peer.ns } });
    expect(peer.expect("ICRP").at - start).toBe(5_000 + 2 * LATENCY_MS);
  });
});

describe("retransmission", () => {
  test("C08 a retransmission has the same Ns and contents, and the Nr of today", () => {
    const { peer } = established();
    peer.polite = false;
    peer.send(peer.icrq());
    const first = peer.expect("ICRP");
    const nr = peer.nr - 1;
    for (let count = 0; count < 3; count++) peer.send({ name: "HELLO" }, { nr });
    const second = peer.expect("ICRP");
    expect(second.header).toEqual({ ...first.header, nr: first.header.nr + 3 });
    expect(second.octets.subarray(12)).toEqual(first.octets.subarray(12));
    expect(first.octets).not.toEqual(second.octets);
  });

  test("C09 C10 C11 an unanswered SCCRQ goes out after 1, 2, 4, 8, 8 ... seconds", () => {
    const { peer } = facing({ role: "initiator" });
    peer.polite = false;
    peer.listen(70_000);
    expect(sentAt(peer, "SCCRQ")).toEqual([
      0, 1_000, 3_000, 7_000, 15_000, 23_000, 31_000, 39_000, 47_000, 55_000, 63_000,
    ]);
  });

  test("C09 C11 initial and cap as configured", () => {
    const { peer } = facing({ role: "initiator", retransmit: retransmit({ initialMs: 200, maxMs: 10_000 }) });
    peer.polite = false;
    peer.listen(30_000);
    expect(sentAt(peer, "SCCRQ")).toEqual([0, 200, 600, 1_400, 3_000, 6_200, 12_600, 22_600]);
  });

  test("C10 an acknowledgement sets the back-off back to its start", () => {
    const { link, peer } = established();
    peer.polite = false;
    peer.send(peer.icrq());
    peer.expect("ICRP");
    peer.expect("ICRP");
    peer.expect("ICRP");
    peer.acknowledge();
    link.run(100);
    const start = link.now;
    peer.send(peer.icrq({ localSessionId: 99, remoteEndId: Uint8Array.of(1) }));
    peer.expect("CDN");
    peer.expect("CDN");
    expect(sentAt(peer, "CDN").map((at) => at - start)).toEqual([10, 1_010]);
  });

  test("C12 a peer that acknowledges nothing is dead after all retries, and everything is cleaned up", () => {
    const { link, node, peer } = established({ helloIntervalMs: 0 });
    peer.call();
    const remoteSessionId = sessionOf(node).localSessionId;
    peer.polite = false;
    const start = link.now;
    node.receive({ type: "close", tunnel: "to-peer", session: "lan42" });
    expect(link.runUntil(() => node.tunnels.size === 0, 200_000)).toBe(true);
    expect(link.now - start).toBe(71_000);
    expect(sentAt(peer, "CDN").map((at) => at - start)).toEqual([
      0, 1_000, 3_000, 7_000, 15_000, 23_000, 31_000, 39_000, 47_000, 55_000, 63_000,
    ]);
    expect(remoteSessionId).not.toBe(0);
    expect(tunnelOf(node)).toMatchObject({ state: "idle", localControlConnectionId: 0 });
    expect(tunnelOf(node).lastError).toContain(`no answer from ${A} port 1701`);
    expect([node.sockets.size, node.datapathSessions.size, node.core.nextDeadline()]).toEqual([0, 0, undefined]);
  });

  test("C12 C13 an SCCRQ that nobody answers leaves a sentence that says so", () => {
    const { link, node, peer } = facing({ role: "initiator" });
    peer.polite = false;
    link.run(71_050);
    expect(tunnelOf(node)).toMatchObject({ state: "idle" });
    expect(tunnelOf(node).lastError).toContain(`no answer from ${A} port 1701`);
    expect(peer.all("StopCCN")).toEqual([]);
  });

  test.each([
    [0, [0]],
    [2, [0, 1_000, 3_000]],
    [4, [0, 1_000, 3_000, 7_000, 15_000]],
  ])("C13 sccrq_retries = %i", (sccrqRetries, instants) => {
    const { link, node, peer } = facing({ role: "initiator", retransmit: retransmit({ sccrqRetries }) });
    peer.polite = false;
    const givenUp = [1_000, 3_000, 7_000, 15_000, 23_000][sccrqRetries] ?? 0;
    link.run(givenUp - 1);
    expect(tunnelOf(node).state).toBe("wait-ctl-reply");
    link.run(2);
    expect(tunnelOf(node).state).toBe("idle");
    expect(sentAt(peer, "SCCRQ")).toEqual(instants);
  });

  test("C13 sccrq_retries may be more than retries", () => {
    const { peer } = facing({ role: "initiator", retransmit: retransmit({ retries: 2, sccrqRetries: 5 }) });
    peer.polite = false;
    peer.listen(23_500);
    expect(sentAt(peer, "SCCRQ")).toEqual([0, 1_000, 3_000, 7_000, 15_000, 23_000]);
  });
});

/** The peer acknowledges what it has; returns how many ICRQs were new to it in each round trip. */
function bursts(link: VirtualLink, peer: ScriptedPeer, rounds: number): readonly number[] {
  return Array.from({ length: rounds }, () => {
    const before = peer.all("ICRQ").length;
    peer.acknowledge();
    link.run(2 * LATENCY_MS + 1);
    return peer.all("ICRQ").length - before;
  });
}

describe("windows", () => {
  test("C14 a peer with window 1 never has two messages in flight", () => {
    const { link, peer } = withCalls(20, 1);
    expect(bursts(link, peer, 21)).toEqual([...Array.from({ length: 19 }, () => 1), 0, 0]);
  });

  test("C14 B54 without Receive Window Size never more than 4", () => {
    const { link, peer } = withCalls(20, undefined);
    const counts = bursts(link, peer, 8);
    expect(Math.max(...counts)).toBe(4);
  });

  test("C15 slow start: the window doubles with every round trip until the peer's is reached", () => {
    const { link, peer } = withCalls(60, 16);
    // SCCRQ made it 2: SCCCN and one ICRQ have left; each acknowledged message opens it by one.
    expect(peer.all("ICRQ")).toHaveLength(1);
    expect(bursts(link, peer, 6)).toEqual([4, 8, 16, 16, 15, 0]);
  });

  test("C15 a retransmission closes the window to 1, and it opens in steps from half", () => {
    const { link, peer } = withCalls(100, 16);
    bursts(link, peer, 3);
    const before = peer.all("ICRQ").length;
    expect(peer.listen(1_000)).toHaveLength(1);
    expect(peer.all("ICRQ").length).toBe(before + 1);
    // 16 acknowledged at once: from 1 to the threshold of 8, and one step of congestion avoidance.
    expect(bursts(link, peer, 4)).toEqual([9, 10, 11, 12]);
  });

  test("C14 C22 a StopCCN does not wait behind a closed window, and nothing follows it", () => {
    const { link, node, peer } = withCalls(20, 1);
    node.receive({ type: "shutdown" });
    link.run(LATENCY_MS);
    const [last] = peer.all("StopCCN");
    expect(last?.at).toBe(link.now);
    const next = peer.all("ICRQ").at(-1)?.header.ns ?? 0;
    expect(last?.header.ns).toBe(next + 1);
    peer.polite = true;
    peer.acknowledge();
    expect(peer.listen(60_000)).toEqual([]);
  });
  test.each([1, 7, 65_535])("B25 the SCCRQ and the SCCRP tell the peer our window of %i", (receiveWindow) => {
    const opens = facing({ receiveWindow, role: "initiator" });
    expect(opens.peer.expect("SCCRQ").avps.receiveWindowSize).toBe(receiveWindow);
    const answers = facing({ receiveWindow });
    expect(answers.peer.connect().avps.receiveWindowSize).toBe(receiveWindow);
  });
});
