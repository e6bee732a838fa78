import { describe, expect, test } from "vitest";
import type { SessionConfiguration } from "../../src/control/configuration.ts";
import type { CircuitCondition } from "../../src/control/core.ts";
import { facing, type Heard, type ScriptedPeer, sessionOf } from "../support/scripted-peer.ts";
import { session } from "../support/sites.ts";
import type { VirtualNode } from "../support/virtual-link.ts";

const ACTIVE = 0x0001;
const NEW = 0x0002;
const NO_CARRIER = 0x000c;

function connected(more: Partial<SessionConfiguration> = {}) {
  const world = facing({ sessions: [session("lan42", { circuit: "eth1", ...more })] });
  world.peer.connect();
  return world;
}

/** The peer has called, and the session is up. */
function established(more: Partial<SessionConfiguration> = {}, circuitStatus = ACTIVE) {
  const world = connected(more);
  const icrp = world.peer.call({ circuitStatus });
  return { ...world, icrp };
}

function circuit(node: VirtualNode, condition: CircuitCondition, interfaceName = "eth1"): void {
  node.receive({ type: "circuit", interfaceName, condition });
}

function sli(peer: ScriptedPeer, icrp: Heard, circuitStatus?: number): void {
  const ids = { localSessionId: icrp.avps.remoteSessionId ?? 0, remoteSessionId: icrp.avps.localSessionId ?? 0 };
  peer.send({ name: "SLI", ...ids, ...(circuitStatus === undefined ? {} : { circuitStatus }) });
}

describe("what the peer tells", () => {
  test("A26 H06 inactive: no frames until it is active again", () => {
    const { link, node, peer, icrp } = established();
    expect(node.raised.size).toBe(1);
    sli(peer, icrp, 0);
    link.run(100);
    expect([sessionOf(node).state, node.raised.size, node.datapathSessions.size]).toEqual(["established", 0, 1]);
    expect(sessionOf(node)).toMatchObject({ remoteCircuitActive: false, localCircuitActive: true });
    sli(peer, icrp, ACTIVE);
    link.run(100);
    expect([node.raised.size, sessionOf(node).remoteCircuitActive]).toEqual([1, true]);
  });

  test("A26 H06 frames flow in the next call as well", () => {
    const { link, node, peer, icrp } = established();
    const ids = { localSessionId: icrp.avps.remoteSessionId ?? 0, remoteSessionId: icrp.avps.localSessionId ?? 0 };
    peer.send({ name: "CDN", resultCode: { result: 3 }, ...ids });
    link.run(100);
    expect(node.raised.size).toBe(0);
    peer.sessionId += 1;
    peer.call({ circuitStatus: ACTIVE });
    link.run(100);
    expect([sessionOf(node).state, node.raised.size]).toEqual(["established", 1]);
  });

  test("I03 I04 a call while its circuit is down comes up and carries nothing yet", () => {
    const { link, node, peer, icrp } = established({}, 0);
    expect([sessionOf(node).state, node.raised.size]).toEqual(["established", 0]);
    sli(peer, icrp, ACTIVE | NEW);
    link.run(100);
    expect(node.raised.size).toBe(1);
  });

  test.each([
    [0x0001, true, "active"],
    [0x0003, true, "new and active"],
    [0x0000, false, "plainly down"],
    [0x0004, false, "receive fault"],
    [0x0008, false, "transmit fault"],
    [0x0010, false, "receive fault towards the network"],
    [0x0020, false, "transmit fault towards the network"],
    [0x003c, false, "all faults"],
    [0x0040, false, "standby"],
    [0x0041, false, "standby and active"],
  ])("H08 H10 status %i: frames flow %s (%s)", (status, flows) => {
    const { link, node, peer, icrp } = established({}, 0);
    sli(peer, icrp, status);
    link.run(100);
    expect(node.raised.size).toBe(flows ? 1 : 0);
    expect(sessionOf(node).state).toBe("established");
  });

  test("H07 bits that no RFC names are not heeded", () => {
    const { link, node, peer, icrp } = established({}, 0);
    const ids = { localSessionId: icrp.avps.remoteSessionId ?? 0, remoteSessionId: icrp.avps.localSessionId ?? 0 };
    peer.send({ name: "SLI", ...ids }, { more: "800800000047ff81" });
    link.run(100);
    expect([sessionOf(node).state, node.raised.size]).toEqual(["established", 1]);
  });

  test("H10 standby is left as it was entered", () => {
    const { link, node, peer, icrp } = established();
    sli(peer, icrp, 0x0041);
    link.run(100);
    expect(node.raised.size).toBe(0);
    sli(peer, icrp, ACTIVE);
    link.run(100);
    expect(node.raised.size).toBe(1);
  });

  test("A14 H14 an SLI or ICCN that says nothing of it changes nothing", () => {
    const { link, node, peer, icrp } = established({}, 0);
    sli(peer, icrp);
    link.run(100);
    expect([sessionOf(node).state, node.raised.size]).toEqual(["established", 0]);
  });

  test("H12 the ICCN says it again", () => {
    const { link, node, peer } = connected();
    peer.send(peer.icrq({ circuitStatus: ACTIVE }));
    const icrp = peer.expect("ICRP");
    peer.send(peer.iccn(icrp, { circuitStatus: 0 }));
    link.run(100);
    expect([sessionOf(node).state, node.raised.size]).toEqual(["established", 0]);
  });

  test("H11 H13 an SLI before the ICRP, with Remote Session ID 0, counts", () => {
    const { link, node, peer } = connected();
    node.datapath = { ...node.datapath, delayMs: 200 };
    peer.send(peer.icrq({ circuitStatus: 0 }));
    peer.send({ name: "SLI", localSessionId: peer.sessionId, remoteSessionId: 0, circuitStatus: ACTIVE });
    const icrp = peer.expect("ICRP");
    peer.send(peer.iccn(icrp));
    link.run(400);
    expect(node.raised.size).toBe(1);
  });

  test("H13 an SLI right after the ICRP, before our ICCN, counts", () => {
    const world = facing({ sessions: [session("lan42", { call: "initiator" })] });
    const { link, node, peer } = world;
    peer.connect();
    const icrq = peer.expect("ICRQ");
    node.datapath = { ...node.datapath, delayMs: 200 };
    peer.send(peer.icrp(icrq, { circuitStatus: 0 }));
    const ids = { localSessionId: peer.sessionId, remoteSessionId: icrq.avps.localSessionId ?? 0 };
    peer.send({ name: "SLI", ...ids, circuitStatus: ACTIVE });
    peer.expect("ICCN");
    link.run(100);
    expect([sessionOf(node).state, node.raised.size]).toEqual(["established", 1]);
  });
});

describe("what the peer is told", () => {
  test("A26 what there is to tell ends with the call", () => {
    const { link, node, peer, icrp } = established();
    for (const condition of ["down", "up"] as const) circuit(node, condition);
    const timers = () => node.core.save().timers.filter(({ key }) => key.startsWith("status "));
    expect(timers()).toHaveLength(1);
    const ids = { localSessionId: icrp.avps.remoteSessionId ?? 0, remoteSessionId: icrp.avps.localSessionId ?? 0 };
    peer.send({ name: "CDN", resultCode: { result: 3 }, ...ids });
    link.run(100);
    expect([sessionOf(node).state, timers()]).toEqual(["idle", []]);
  });

  test.each([
    ["no-carrier", NO_CARRIER],
    ["down", 0],
  ] as const)("A26 H08 H09 %s: an SLI with the right bits, and back", (condition, status) => {
    const { node, peer, icrp } = established();
    circuit(node, condition);
    const told = peer.expect("SLI");
    expect(told.avps).toEqual({
      name: "SLI",
      localSessionId: icrp.avps.localSessionId,
      remoteSessionId: icrp.avps.remoteSessionId,
      circuitStatus: status,
    });
    expect(sessionOf(node)).toMatchObject({ state: "established", localCircuitActive: false });
    circuit(node, "up");
    expect(peer.expect("SLI").avps.circuitStatus).toBe(ACTIVE);
    expect(sessionOf(node).localCircuitActive).toBe(true);
  });

  test("H09 no fault is ever told together with active", () => {
    const { node, peer } = established();
    const told: number[] = [];
    for (const condition of ["no-carrier", "up", "down", "no-carrier", "down", "up"] as const) {
      circuit(node, condition);
      told.push(peer.expect("SLI").avps.circuitStatus ?? -1);
    }
    expect(told).toEqual([NO_CARRIER, ACTIVE, 0, NO_CARRIER, 0, ACTIVE]);
  });

  test.each([
    ["up", ACTIVE | NEW],
    ["no-carrier", NO_CARRIER | NEW],
    ["down", NEW],
  ] as const)("B70 I03 ICRQ and ICRP tell that the circuit is %s", (condition, status) => {
    const called = connected();
    circuit(called.node, condition);
    called.peer.send(called.peer.icrq());
    expect(called.peer.expect("ICRP").avps.circuitStatus).toBe(status);
    const calling = facing({ sessions: [session("lan42", { circuit: "eth1", call: "initiator" })] });
    circuit(calling.node, condition);
    calling.peer.connect();
    expect(calling.peer.expect("ICRQ").avps.circuitStatus).toBe(status);
  });

  test("H12 a change between ICRQ and ICCN stands in the ICCN", () => {
    const { link, node, peer } = facing({ sessions: [session("lan42", { circuit: "eth1", call: "initiator" })] });
    peer.connect();
    const icrq = peer.expect("ICRQ");
    circuit(node, "down");
    link.run(100);
    expect(peer.all("SLI")).toEqual([]);
    peer.send(peer.icrp(icrq));
    expect(peer.expect("ICCN").avps.circuitStatus).toBe(0);
  });

  test("B70 an unchanged status is not said again in the ICCN", () => {
    const { peer } = facing({ sessions: [session("lan42", { circuit: "eth1", call: "initiator" })] });
    peer.connect();
    peer.send(peer.icrp(peer.expect("ICRQ")));
    expect(peer.expect("ICCN").avps.circuitStatus).toBeUndefined();
  });

  test("H11 H12 a change after the ICRP, before the ICCN, is told at once", () => {
    const { node, peer } = connected();
    peer.send(peer.icrq());
    peer.expect("ICRP");
    circuit(node, "no-carrier");
    expect(peer.expect("SLI").avps.circuitStatus).toBe(NO_CARRIER);
  });

  test("H11 each session on the circuit is told of, and no other", () => {
    const sessions = [
      session("a", { circuit: "eth1" }),
      session("b", { circuit: "eth1" }),
      session("c", { circuit: "eth2" }),
      session("d"),
    ];
    const { link, node, peer } = facing({ sessions });
    peer.connect();
    for (const name of ["a", "b", "c", "d"]) {
      peer.call({ remoteEndId: new TextEncoder().encode(name) });
      peer.sessionId += 1;
    }
    circuit(node, "down");
    link.run(100);
    const told = peer.all("SLI").map(({ avps }) => avps.remoteSessionId);
    expect(told).toEqual([0x5e550001, 0x5e550002]);
  });

  test("H13 a circuit that flaps is told of at once, then at most once a second, and last as it is", () => {
    const { link, node, peer } = established();
    const start = link.now;
    for (let i = 0; i < 20; i++) {
      circuit(node, i % 2 === 0 ? "no-carrier" : "up");
      link.run(45);
    }
    circuit(node, "down");
    link.run(5_000);
    const told = peer.all("SLI");
    expect(told.map(({ avps }) => avps.circuitStatus)).toEqual([NO_CARRIER, 0]);
    expect(told[0]?.at).toBeLessThan(start + 50);
    expect((told[1]?.at ?? 0) - (told[0]?.at ?? 0)).toBeGreaterThanOrEqual(950);
  });

  test("H11 H13 what was told in one call keeps nothing from being told at once in the next", () => {
    const { link, node, peer, icrp } = established();
    circuit(node, "no-carrier");
    expect(peer.expect("SLI").avps.circuitStatus).toBe(NO_CARRIER);
    const ids = { localSessionId: icrp.avps.remoteSessionId ?? 0, remoteSessionId: icrp.avps.localSessionId ?? 0 };
    peer.send({ name: "CDN", resultCode: { result: 3 }, ...ids });
    link.run(100);
    peer.sessionId += 1;
    peer.call({ circuitStatus: ACTIVE });
    const changed = link.now;
    circuit(node, "up");
    expect(peer.expect("SLI").avps.circuitStatus).toBe(ACTIVE);
    expect(link.now - changed).toBeLessThan(100);
  });

  test("H13 a flap that ends as it began costs no second SLI", () => {
    const { link, node, peer } = established();
    circuit(node, "no-carrier");
    link.run(100);
    circuit(node, "up");
    circuit(node, "no-carrier");
    link.run(5_000);
    expect(peer.all("SLI")).toHaveLength(1);
  });

  test("H13 while the window is closed only the latest waits", () => {
    const { link, node, peer } = established();
    peer.polite = false;
    for (const condition of ["no-carrier", "up", "down"] as const) {
      circuit(node, condition);
      link.run(1_100);
    }
    peer.acknowledge({ nr: peer.nr });
    peer.polite = true;
    link.run(20_000);
    const statuses = new Map(peer.all("SLI").map(({ header, avps }) => [header.ns, avps.circuitStatus]));
    expect([...statuses.values()]).toEqual([NO_CARRIER, 0]);
  });

  test("nobody is told before there is a call, and a circuit of no session is nobody's", () => {
    const { link, node, peer } = connected();
    circuit(node, "down");
    circuit(node, "down", "eth9");
    link.run(1_000);
    expect(peer.all("SLI")).toEqual([]);
  });
});
