import { describe, expect, test } from "vitest";
import type { SessionConfiguration } from "../../src/control/configuration.ts";
import { facing, internalErrors, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import { VirtualLink } from "../support/virtual-link.ts";

const BOTH_TYPES = { pseudowireCapabilitiesList: [4, 5] };
const VLAN = { pseudowire: "vlan", vlan: 42 } as const;
const TYPE = { ethernet: 5, vlan: 4 } as const;

/** The peer calls: our end has accepted its connection. */
function called(more: Partial<SessionConfiguration>) {
  const world = facing({ helloIntervalMs: 0, sessions: [session("lan42", { call: "responder", ...more })] });
  world.peer.connect(BOTH_TYPES);
  return world;
}

/** Our end calls, once it is answered by a peer that has these types. */
function calling(more: Partial<SessionConfiguration>, types: readonly number[] = [4, 5]) {
  const sessions = [session("lan42", { call: "initiator", ...more })];
  const world = facing({ role: "initiator", helloIntervalMs: 0, sessions });
  world.peer.answer({ pseudowireCapabilitiesList: types });
  return world;
}

describe("an Ethernet VLAN pseudowire", () => {
  test("I01 F44 SCCRQ and SCCRP list both types, whatever is configured", () => {
    for (const more of [VLAN, { pseudowire: "ethernet", vlan: undefined }] as const) {
      const sessions = [session("lan42", more)];
      const opening = facing({ role: "initiator", sessions });
      expect(opening.peer.expect("SCCRQ").avps.pseudowireCapabilitiesList).toEqual([4, 5]);
      const answering = facing({ sessions });
      answering.peer.connect(BOTH_TYPES);
      expect(answering.peer.all("SCCRP")[0]?.avps.pseudowireCapabilitiesList).toEqual([4, 5]);
    }
  });

  test("I01 calling: the ICRQ asks for type 4, and the datapath for the tag", () => {
    const { node, peer } = calling(VLAN);
    const icrq = peer.expect("ICRQ");
    expect(icrq.avps.pseudowireType).toBe(4);
    peer.send(peer.icrp(icrq));
    peer.expect("ICCN");
    expect(sessionOf(node)).toMatchObject({ state: "established", pseudowire: "vlan", vlan: 42 });
    expect([...node.datapathSessions.values()]).toMatchObject([{ vlan: 42, interfaceName: "l2-lan42" }]);
  });

  test("I01 called with type 4 it comes up", () => {
    const { node, peer } = called(VLAN);
    peer.call({ pseudowireType: 4 });
    expect(sessionOf(node).state).toBe("established");
    expect([...node.datapathSessions.values()]).toMatchObject([{ vlan: 42 }]);
    expect(node.raised.size).toBe(1);
  });

  test("I02 is called with an OCRQ where that is configured at both ends, with the same type", () => {
    const { peer } = calling({ ...VLAN, callType: "outgoing" });
    expect(peer.expect("OCRQ").avps.pseudowireType).toBe(4);
    const answering = called({ ...VLAN, callType: "outgoing" });
    answering.peer.send({ ...answering.peer.icrq({ pseudowireType: 4 }), name: "OCRQ" });
    expect(answering.peer.expect("OCRP").avps.remoteSessionId).toBe(answering.peer.sessionId);
  });

  test("I03 may come up while its circuit is down", () => {
    const { node, peer } = called({ ...VLAN, circuit: "eth1" });
    node.receive({ type: "circuit", interfaceName: "eth1", condition: "down" });
    peer.call({ pseudowireType: 4, circuitStatus: 2 });
    expect(sessionOf(node)).toMatchObject({ state: "established", localCircuitActive: false });
    expect(node.raised.size, "nor does the peer's carry anything").toBe(0);
  });

  test("I04 goes with its session", () => {
    const { link, node, peer } = called(VLAN);
    peer.call({ pseudowireType: 4 });
    node.receive({ type: "close", tunnel: "to-peer", session: "lan42" });
    link.run(50);
    expect([node.raised.size, node.datapathSessions.size]).toEqual([0, 0]);
  });
});

describe("ends of two types", () => {
  test.each([
    ["vlan", 5],
    ["ethernet", 4],
    ["vlan", 6],
    ["vlan", 0xffff],
  ] as const)(
    "I05 I01 configured as %s, called with type %i: a CDN, result 14, that names both",
    (pseudowire, type) => {
      const { link, node, peer } = called({ pseudowire, vlan: pseudowire === "vlan" ? 42 : undefined });
      peer.send(peer.icrq({ pseudowireType: type }));
      const { resultCode, remoteSessionId, localSessionId } = peer.expect("CDN").avps;
      expect([resultCode?.result, remoteSessionId]).toEqual([14, peer.sessionId]);
      expect(localSessionId).not.toBe(0);
      expect(resultCode?.message).toContain(`type ${type} is asked for, here it is ${TYPE[pseudowire]}`);
      link.run(5_000);
      expect([sessionOf(node).state, node.datapathSessions.size, tunnelOf(node).state]).toEqual([
        "idle",
        0,
        "established",
      ]);
      peer.call({ pseudowireType: TYPE[pseudowire] });
      expect(sessionOf(node).state).toBe("established");
    },
  );

  test.each([
    ["vlan", [5]],
    ["ethernet", [4]],
  ] as const)("B57 F44 a %s pseudowire is not asked of a peer that offers only %o", (pseudowire, types) => {
    const { link, node, peer } = calling({ pseudowire, vlan: pseudowire === "vlan" ? 42 : undefined }, types);
    link.run(30_000);
    expect([tunnelOf(node).state, peer.all("ICRQ")]).toEqual(["established", []]);
    expect(sessionOf(node).lastError).toContain(`pseudowires of type ${TYPE[pseudowire]} (${pseudowire})`);
  });

  test("I05 two of our own that disagree: the caller is told, and the session beside it comes up", () => {
    const link = new VirtualLink();
    const ours = session("lan42", VLAN);
    const [a, b] = [ours, session("lan42")].map((one, index) => {
      const sessions = [one, session("lan43", { ...VLAN, vlan: 43 })];
      const role = index === 0 ? "initiator" : "responder";
      const address = index === 0 ? A : B;
      return link.add(address, lcce(`site-${index}`, tunnel("t", { peer: index === 0 ? B : A, role, sessions })), 7);
    });
    if (a === undefined || b === undefined) throw new Error("two nodes were made");
    link.start();
    link.run(5_000);
    for (const node of [a, b]) {
      expect(tunnelOf(node).sessions.map(({ state }) => state)).toEqual(["idle", "established"]);
      expect([...node.datapathSessions.values()]).toMatchObject([{ vlan: 43 }]);
      expect(internalErrors(node)).toEqual([]);
    }
    expect(tunnelOf(a).sessions[0]?.lastError).toMatch(/CDN.*type 4 is asked for, here it is 5/);
  });
});

test("I01 I27 a static tunnel may have both: nobody asks for a type, and the datapath is told the tag", () => {
  const link = new VirtualLink();
  const numbers = { localCookie: new Uint8Array(0), remoteCookie: new Uint8Array(0) };
  const sessions = [
    session("lan42", { ...VLAN, static: { localSessionId: 1, remoteSessionId: 2, ...numbers } }),
    session("port", { static: { localSessionId: 3, remoteSessionId: 4, ...numbers } }),
  ];
  const ids = { localTunnelId: 5, remoteTunnelId: 6, watched: false };
  const node = link.add(A, lcce("site-a", tunnel("static", { role: "initiator", peer: B, static: ids, sessions })), 7);
  link.start();
  link.run(1_000);
  expect([...node.datapathSessions.values()]).toMatchObject([{ vlan: 42 }, { vlan: undefined }]);
  expect([node.raised.size, link.datagrams]).toEqual([2, []]);
});
