import { describe, expect, test } from "vitest";
import { decodeMessage } from "../../src/avp/decode.ts";
import type { ControlMessage } from "../../src/avp/messages.ts";
import { facing, internalErrors, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { session } from "../support/sites.ts";
import { avp, message } from "../support/wire.ts";

/** Extensions that a peer may know and we do not: nothing of theirs is sent, and nothing of theirs does harm. */

function established() {
  const world = facing({ helloIntervalMs: 0, sessions: [session("lan42", { call: "responder" })] });
  world.peer.connect();
  return world;
}

/** With an Ethernet session up, and its ids as the peer says them. */
function withSession(more: Partial<ControlMessage<"ICRQ">> = {}) {
  const world = established();
  const icrp = world.peer.call(more);
  expect(sessionOf(world.node).state).toBe("established");
  return {
    ...world,
    icrp,
    ids: { localSessionId: world.peer.sessionId, remoteSessionId: sessionOf(world.node).localSessionId },
  };
}

describe("AVPs of extensions in a call", () => {
  test.each<readonly [string, string, Partial<ControlMessage<"ICRQ">>]>([
    ["I15", "FCS Retention: the check sequence is not kept", { fcsRetention: 4 }],
    ["I17", "VCCV Capability", { vccvCapability: { controlChannelTypes: 1, connectivityVerificationTypes: 1 } }],
    ["I24", "Connect Speed Update Enable", { connectSpeedUpdateEnable: true }],
    ["I26", "S-BFD discriminators", { sbfdDiscriminators: [1, 0xffff_ffff] }],
    [
      "I14",
      "OAM Emulation Required and maximum of cells",
      { oamEmulationRequired: true, atmMaximumConcatenatedCells: 9 },
    ],
    ["I13", "Frame Relay Header Length", { frameRelayHeaderLength: 4 }],
    ["B84", "differentiated services", { sessionDs: 0xb800 }],
    ["B96", "MRU and MRRU", { maximumReceiveUnit: 1_500, maximumReassembledReceiveUnit: 9_000 }],
    ["B101", "a switching point", { pseudowireSwitchingPoint: Uint8Array.of(1, 2) }],
  ])("%s %s: the call comes up, and the answer has nothing of the kind", (_, __, avps) => {
    const { icrp, node, peer } = withSession(avps);
    for (const name of Object.keys(avps)) expect(icrp.avps).not.toHaveProperty(name);
    expect([node.raised.size, peer.all("CDN"), internalErrors(node)]).toEqual([1, [], []]);
  });

  test("I15 I17 F43 I24 I26 nor has a call of our own", () => {
    const { peer } = facing({ role: "initiator" });
    peer.answer();
    const { avps } = peer.expect("ICRQ");
    for (const name of ["fcsRetention", "vccvCapability", "connectSpeedUpdateEnable", "sbfdDiscriminators"]) {
      expect(avps).not.toHaveProperty(name);
    }
  });

  test.each([
    ["I13", "frame relay", 1, avp(85, "0004", { mandatory: false })],
    ["I13", "frame relay without a header length", 1, ""],
    ["I14", "AAL5", 2, avp(69, "0002") + avp(87, "", { mandatory: false })],
    ["I14", "ATM cells by port", 3, avp(86, "0009", { mandatory: false })],
    ["I14", "ATM cells by circuit", 9, ""],
    ["I14", "ATM cells by path", 10, ""],
    ["I12", "HDLC", 6, avp(92, "0004", { mandatory: false })],
    ["B100", "TDM", 0x11, avp(99, "400000010100", { mandatory: false })],
  ])("%s a call of type %s gets a CDN, result 14, whatever else it says", (_, __, pseudowireType, more) => {
    const { link, node, peer } = established();
    peer.send(peer.icrq({ pseudowireType }), { more });
    expect(peer.expect("CDN").avps).toMatchObject({ resultCode: { result: 14 }, remoteSessionId: peer.sessionId });
    link.run(100);
    expect([tunnelOf(node).state, node.datapathSessions.size]).toEqual(["established", 0]);
  });

  test("I18 a VCCV Capability keeps all its bits: control channels, ICMP, BFD and S-BFD", () => {
    for (const [octets, controlChannelTypes, connectivityVerificationTypes] of [
      ["0101", 0x01, 0x01],
      ["00fd", 0x00, 0xfd],
      ["80c0", 0x80, 0xc0],
    ] as const) {
      const decoded = decodeMessage(message(11, avp(96, octets, { mandatory: false })));
      const vccvCapability = { controlChannelTypes, connectivityVerificationTypes };
      expect(decoded).toMatchObject({ kind: "incomplete", avps: { vccvCapability }, refused: [] });
    }
  });
});

describe("AVPs of extensions at the opening", () => {
  test.each<readonly [string, string, Partial<ControlMessage<"SCCRQ">>]>([
    ["I19", "Failover Capability", { failoverCapability: { flags: 3, recoveryTimeMs: 5_000 } }],
    ["I25", "Modem On-Hold Capable", { modemOnHoldCapable: true }],
    ["B83", "differentiated services", { controlConnectionDs: 0xb800 }],
    ["B103", "ECN Capability", { ecnCapability: true }],
  ])("%s %s: the connection comes up, and the answer has nothing of the kind", (_, __, avps) => {
    const { node, peer } = facing({ helloIntervalMs: 0 });
    const sccrp = peer.connect(avps);
    for (const name of Object.keys(avps)) expect(sccrp.avps).not.toHaveProperty(name);
    expect([tunnelOf(node).state, internalErrors(node)]).toEqual(["established", []]);
  });

  test("I19 I25 nor has an SCCRQ of our own, so that nobody asks us to recover or to hold", () => {
    const { avps } = facing({ role: "initiator" }).peer.expect("SCCRQ");
    for (const name of ["failoverCapability", "tunnelRecovery", "modemOnHoldCapable"]) {
      expect(avps).not.toHaveProperty(name);
    }
  });
});

describe("recovery of a connection that we never had", () => {
  const tunnelRecovery = { reserved: 0, localControlConnectionId: 1, remoteControlConnectionId: 2 };

  test("I20 is refused with a StopCCN: failover is not offered, and the ids are unknown", () => {
    const { link, node, peer } = facing();
    peer.send(peer.sccrq({ tunnelRecovery, tieBreaker: new Uint8Array(8) }));
    expect(peer.expect("StopCCN").avps.resultCode).toMatchObject({ result: 4 });
    link.run(1_000);
    expect([peer.all("SCCRP"), tunnelOf(node).state, node.tunnels.size]).toEqual([[], "idle", 0]);
    peer.restart();
    peer.connect();
    expect(tunnelOf(node).state).toBe("established");
  });
});

describe("messages of extensions", () => {
  const state = (sessionId: number, remoteSessionId: number) => ({ reserved: 0, sessionId, remoteSessionId });
  const speeds = (remoteSessionId: number) => [{ remoteSessionId, txConnectSpeed: 0n, rxConnectSpeed: 0n }];
  type Ids = { readonly localSessionId: number; readonly remoteSessionId: number };

  test.each<readonly [string, string, (ids: Ids) => ControlMessage]>([
    [
      "I24",
      "CSURQ for a session that enabled nothing",
      (ids) => ({ name: "CSURQ", connectSpeedUpdate: speeds(ids.remoteSessionId) }),
    ],
    ["I24", "CSURQ for a session that is not there", () => ({ name: "CSURQ", connectSpeedUpdate: speeds(0x7777) })],
    ["I24", "CSUN", (ids) => ({ name: "CSUN", connectSpeedUpdate: speeds(ids.remoteSessionId) })],
    [
      "I25",
      "MDMST, though we never said that we can hold",
      (ids) => ({ name: "MDMST", ...ids, modemOnHoldStatus: 0x8003 }),
    ],
    ["I22", "FSQ", (ids) => ({ name: "FSQ", failoverSessionState: [state(ids.localSessionId, ids.remoteSessionId)] })],
    [
      "I22",
      "FSR that denies the session",
      (ids) => ({ name: "FSR", failoverSessionState: [state(0, ids.remoteSessionId)] }),
    ],
  ])("%s %s: acknowledged, not answered, and nothing changes", (_, __, messageOf) => {
    const { link, node, peer, ids } = withSession();
    const before = node.core.view();
    const heard = peer.heard.length;
    peer.send(messageOf(ids));
    link.run(5_000);
    expect(peer.heard.slice(heard)).toMatchObject([{ name: "ZLB", header: { nr: peer.ns } }]);
    expect([node.core.view(), node.raised.size, internalErrors(node)]).toEqual([before, 1, []]);
  });

  test("I25 MDMST after the CDN of its session is ignored", () => {
    const { link, node, peer, ids } = withSession();
    peer.send({ name: "CDN", resultCode: { result: 1 }, ...ids });
    link.run(100);
    const heard = peer.heard.length;
    peer.send({ name: "MDMST", ...ids, modemOnHoldStatus: 3 });
    link.run(5_000);
    expect(peer.heard.slice(heard).map(({ name }) => name)).toEqual(["ZLB"]);
    expect([tunnelOf(node).state, sessionOf(node).state]).toEqual(["established", "idle"]);
  });

  test("I28 a CDN with a PPP Disconnect Cause does what it does without one", () => {
    const pppDisconnectCauseCode = { code: 3, controlProtocol: 0xc021, direction: 1, message: "bye" };
    const views = [{}, { pppDisconnectCauseCode }].map((cause) => {
      const { link, node, peer, ids } = withSession();
      const heard = peer.heard.length;
      peer.send({ name: "CDN", resultCode: { result: 1 }, ...ids, ...cause });
      link.run(1_000);
      expect(peer.heard.slice(heard).map(({ name }) => name)).toEqual(["ZLB"]);
      expect(node.datapathSessions.size).toBe(0);
      return node.core.view();
    });
    expect(views[1]).toEqual(views[0]);
  });
});
