import { describe, expect, test } from "vitest";
import { challengeResponse } from "../../src/avp/challenge.ts";
import { authentication, facingSigned, forged, SECRET } from "../support/authenticated-sites.ts";
import { ascii } from "../support/digest-by-hand.ts";
import { facing, facingOverIp, type ScriptedPeer, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, tunnel } from "../support/sites.ts";
import { VirtualLink, VirtualNode } from "../support/virtual-link.ts";
import { avp, hexOf, octetsOfHex } from "../support/wire.ts";

const HOST = avp(7, "70656572");
/** What RFC 2661 6.1 wants in an SCCRQ beside the Host Name. */
const OF_VERSION_2 = [avp(2, "0100"), avp(3, "00000003"), HOST, avp(9, "1234")];
/** What else it allows, M set as version 2 has it. */
const MORE_OF_VERSION_2 = [avp(4, "00000000"), avp(5, "0102030405060708"), avp(6, "0690", { mandatory: false })];
/** RFC 3931 4.7.3: the AVPs of version 3 have M=0 in such an SCCRQ. */
const OF_VERSION_3 = [
  avp(60, "01020304", { mandatory: false }),
  avp(61, "0a0b0c01", { mandatory: false }),
  avp(62, "0005", { mandatory: false }),
];
const CHALLENGE = avp(11, "63686973656c");

/** A control message in version 2. */
function version2(ids: string, avps: readonly string[], { ns = "0000", flags = "c802" } = {}): Uint8Array {
  const body = avps.join("");
  const length = (12 + body.length / 2).toString(16).padStart(4, "0");
  return octetsOfHex(`${flags}${length}${ids}${ns}0000${body}`);
}

const SCCRQ = avp(0, "0001");
const dual = (...more: readonly string[]) =>
  version2("00000000", [SCCRQ, ...OF_VERSION_2, ...MORE_OF_VERSION_2, ...OF_VERSION_3, ...more]);
const pure = (...more: readonly string[]) => version2("00000000", [SCCRQ, ...OF_VERSION_2, ...more]);

/** Sends as the peer would, past what it counts. */
function say(peer: ScriptedPeer, octets: Uint8Array): void {
  peer.ns += 1;
  peer.sendOctets(octets);
}

describe("a peer that speaks both versions", () => {
  test("G07 B110 its SCCRQ in version 2, with v2-only AVPs of which M is set, is answered in version 3", () => {
    const { link, node, peer } = facing();
    say(peer, dual());
    const sccrp = peer.expect("SCCRP");
    expect(hexOf(sccrp.octets.subarray(0, 2))).toBe("c803");
    expect(sccrp.header).toMatchObject({ controlConnectionId: 0x0a0b0c01, ns: 0, nr: 1 });
    peer.send({ name: "SCCCN" });
    link.run(50);
    expect(tunnelOf(node)).toMatchObject({ state: "established", remoteControlConnectionId: 0x0a0b0c01 });
    peer.call();
    expect(tunnelOf(node).sessions[0]?.state).toBe("established");
  });

  test("G07 its retransmission is known again: one connection, one SCCRP, one more acknowledgement", () => {
    const { link, node, peer } = facing();
    peer.polite = false;
    say(peer, dual());
    peer.expect("SCCRP");
    const id = tunnelOf(node).localControlConnectionId;
    peer.sendOctets(dual());
    link.run(500);
    expect(new Set(peer.all("SCCRP").map(({ avps }) => avps.assignedControlConnectionId))).toEqual(new Set([id]));
    expect(node.core.save().connections).toHaveLength(1);
  });

  test("B110 a Challenge that it may mean for version 2 is ignored without a password, and answered with one", () => {
    const without = facing();
    say(without.peer, dual(CHALLENGE));
    expect(without.peer.expect("SCCRP").avps).not.toHaveProperty("challengeResponse");
    const chapPassword = ascii("cisco123");
    const having = facing({ authentication: authentication({ secrets: [], digest: "none", chapPassword }) });
    say(having.peer, dual(CHALLENGE));
    const { challengeResponse: response } = having.peer.expect("SCCRP").avps;
    expect(response).toEqual(challengeResponse(2, chapPassword, ascii("chisel")));
  });

  test.each([
    ["without a Router ID", [OF_VERSION_3[1], OF_VERSION_3[2]], /SCCRQ without Router ID/],
    ["without a Pseudowire Capabilities List", [OF_VERSION_3[0], OF_VERSION_3[1]], /SCCRQ without Pseudowire/],
    ["with an unknown AVP whose M bit is set", [...OF_VERSION_3, avp(0x7777, "00")], /unknown mandatory AVP/],
  ])("G07 %s it is refused in version 3", (_, avps, message) => {
    const { peer } = facing();
    say(peer, version2("00000000", [SCCRQ, ...OF_VERSION_2, ...avps.filter((each) => each !== undefined)]));
    const stop = peer.expect("StopCCN");
    expect(hexOf(stop.octets.subarray(0, 2))).toBe("c803");
    expect(stop.header.controlConnectionId).toBe(0x0a0b0c01);
    expect(stop.avps.resultCode).toMatchObject({ result: 2, message: expect.stringMatching(message) });
  });

  test.each([
    ["a right digest over its octets as they are, Ver 2 and all", [SECRET], "wait-ctl-conn", 0],
    ["a digest with another secret", [ascii("xyzzy")], "idle", 1],
    ["no digest", [], "idle", 1],
  ])("G07 D07 with a secret it needs one like any other: %s", (_, secrets, state, dropped) => {
    const { link, node, peer } = facingSigned();
    peer.secrets = secrets;
    const nonce = avp(73, hexOf(peer.nonce), { mandatory: false });
    say(peer, dual(nonce));
    link.run(50);
    expect([tunnelOf(node).state, forged(node)]).toEqual([state, dropped]);
    expect(peer.all("SCCRP")).toHaveLength(1 - dropped);
    if (dropped > 0) return;
    peer.send({ name: "SCCCN" });
    link.run(50);
    expect(tunnelOf(node).state).toBe("established");
  });

  test("G07 D07 that a header is rewritten on the way, from Ver 3 to Ver 2, is noticed", () => {
    const { link, node, peer } = facingSigned();
    const octets = peer.signed(peer.compose(peer.sccrq()));
    octets[1] = 2;
    peer.signing = false;
    peer.sendOctets(octets);
    link.run(50);
    expect([tunnelOf(node).state, forged(node), peer.heard]).toEqual(["idle", 1, []]);
  });
});

/** Someone who takes down what it is sent, whatever it may be. */
class Ears extends VirtualNode {
  readonly heard: Uint8Array[] = [];

  override deliver(_from: unknown, _to: unknown, octets: Uint8Array): void {
    this.heard.push(octets);
  }
}

describe("a peer that speaks version 2 alone", () => {
  function facingEars(more: Parameters<typeof tunnel>[1] = {}) {
    const link = new VirtualLink();
    const node = link.add(B, lcce("site-b", tunnel("to-peer", { peer: A, role: "responder", ...more })), 3);
    const peer = new Ears(link, A, lcce("peer"), 1, []);
    link.nodes.push(peer);
    link.start();
    const send = (octets: Uint8Array) => {
      link.transmit({ address: A, port: 1701 }, { address: B, port: 1701 }, octets);
      link.run(50);
    };
    return { link, node, peer, send };
  }

  test("G10 its SCCRQ is answered with a StopCCN in version 2: its Tunnel ID, result 5, error 3", () => {
    const { node, peer, send } = facingEars();
    send(pure(...MORE_OF_VERSION_2, CHALLENGE));
    const [stop = new Uint8Array(), ...others] = peer.heard;
    expect(others).toEqual([]);
    const own = hexOf(stop.subarray(26, 28));
    // Flags and Ver, Length, Tunnel ID, Session ID, Ns, Nr; Message Type, Assigned Tunnel ID, Result Code.
    const expected = ["c802", "0026", "1234", "0000", "0000", "0001", "8008000000000004", `800800000009${own}`];
    expect(hexOf(stop)).toBe([...expected, "800a00000001", "00050003"].join(""));
    expect(own).not.toBe("0000");
    expect([tunnelOf(node).state, node.core.idle(), node.core.nextDeadline()]).toEqual(["idle", true, undefined]);
    expect(node.log).toMatchObject([{ level: "warn", event: "version-2", details: { peer: `${A}:1701` } }]);
  });

  test("G10 from a peer that no tunnel names too: it says nothing of who is configured", () => {
    const { peer, send } = facingEars({ peer: "192.0.2.99" });
    send(pure());
    expect(peer.heard).toHaveLength(1);
  });

  test("G10 D20 where there is a secret it hears nothing", () => {
    const { node, peer, send } = facingEars({ authentication: authentication() });
    send(pure());
    expect([peer.heard, node.log.length]).toEqual([[], 1]);
  });

  test("G10 G11 a flood of them is answered as little as one of SCCRQs that are refused", () => {
    const { node, peer, link } = facingEars();
    for (let port = 1; port <= 200; port++) {
      link.transmit({ address: A, port }, { address: B, port: 1701 }, pure());
    }
    link.run(50);
    expect(peer.heard).toHaveLength(10);
    expect(node.log.filter(({ event }) => event === "version-2")).toHaveLength(10);
  });

  test.each([
    ["an SCCRQ without Assigned Tunnel ID", version2("00000000", [SCCRQ, HOST])],
    ["an SCCRQ with Assigned Tunnel ID 0", version2("00000000", [SCCRQ, HOST, avp(9, "0000")])],
    ["an SCCRQ with an Assigned Tunnel ID of four octets", version2("00000000", [SCCRQ, HOST, avp(9, "00001234")])],
    ["an SCCRQ with a hidden one", version2("00000000", [SCCRQ, HOST, avp(9, "1234", { hidden: true })])],
    ["an SCCRQ with a Tunnel ID in its header", version2("00010000", [SCCRQ, ...OF_VERSION_2])],
    ["a dual SCCRQ with a Session ID in its header", version2("00000001", [SCCRQ, ...OF_VERSION_2, ...OF_VERSION_3])],
    ["a StopCCN", version2("00000000", [avp(0, "0004"), avp(9, "1234"), avp(1, "0001")])],
    ["a HELLO", version2("00000000", [avp(0, "0006")])],
    ["an unknown message", version2("00000000", [avp(0, "0063")])],
    ["a ZLB", version2("00000000", [])],
    ["an SCCRQ with the O bit", version2("00000000", [SCCRQ, ...OF_VERSION_2], { flags: "ca02" })],
    ["an SCCRQ with the P bit", version2("00000000", [SCCRQ, ...OF_VERSION_2], { flags: "c902" })],
    ["a data message", version2("00000000", [SCCRQ, ...OF_VERSION_2], { flags: "4802" })],
  ])("G10 %s is dropped", (_, octets) => {
    const { node, peer, send } = facingEars();
    send(octets);
    expect([peer.heard, tunnelOf(node).state, node.core.save().connections]).toEqual([[], "idle", []]);
  });

  test("G10 two ids of 16 bits are never taken for a Control Connection ID", () => {
    const { link, node, peer } = facing();
    peer.connect();
    const before = structuredClone(node.core.save());
    const id = tunnelOf(node).localControlConnectionId.toString(16).padStart(8, "0");
    const ns = peer.ns.toString(16).padStart(4, "0");
    const stop = [avp(0, "0004"), avp(61, "0a0b0c01"), avp(1, "0001")];
    peer.sendOctets(version2(id, stop, { ns }));
    peer.sendOctets(version2("00000000", stop, { ns }));
    link.run(50);
    expect(node.core.save()).toEqual(before);
    expect(tunnelOf(node).state).toBe("established");
  });
});

test("B111 v2-only AVPs in a version 3 SCCRQ are ignored, M set or not", () => {
  const { link, node, peer } = facing();
  const ofVersion2 = OF_VERSION_2.filter((each) => each !== HOST);
  peer.send(peer.sccrq(), { more: [...ofVersion2, ...MORE_OF_VERSION_2.filter((_, index) => index !== 1)].join("") });
  peer.expect("SCCRP");
  peer.send({ name: "SCCCN" });
  link.run(50);
  expect(tunnelOf(node).state).toBe("established");
});

test.each([
  ["both versions", dual],
  ["version 2 alone", pure],
])("G09 an SCCRQ for %s has no answer over IP, where there is no version 2", (_, sccrq) => {
  const { link, node, peer } = facingOverIp();
  say(peer, sccrq());
  link.run(1_000);
  expect([peer.heard, tunnelOf(node).state]).toEqual([[], "idle"]);
});

test("G08 G09 our SCCRQ is of version 3 alone, and stays so when nobody answers it", () => {
  const { link, peer } = facing({ role: "initiator" });
  peer.polite = false;
  link.run(600_000);
  const flags = peer.all("SCCRQ").map(({ octets }) => hexOf(octets.subarray(0, 2)));
  expect(flags.length).toBeGreaterThan(20);
  expect(new Set(flags)).toEqual(new Set(["c803"]));
  expect(peer.heard.every(({ name }) => name === "SCCRQ")).toBe(true);
});
