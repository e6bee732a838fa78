import { describe, expect, test } from "vitest";
import type { ControlMessage } from "../../src/avp/messages.ts";
import { facing, type ScriptedPeer, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { session } from "../support/sites.ts";
import { avp, octetsOfHex } from "../support/wire.ts";

const UNKNOWN = avp(900, "c0ffee");
const UNKNOWN_OF_VENDOR = avp(1, "00", { vendorId: 4711 });
const IGNORED = avp(900, "c0ffee", { mandatory: false }) + avp(1, "00", { vendorId: 4711, mandatory: false });
const UNKNOWN_MANDATORY = { result: 2, error: 8 };

function established() {
  const world = facing({ helloIntervalMs: 0 });
  world.peer.connect();
  return world;
}

function withSession() {
  const world = facing({ helloIntervalMs: 0, sessions: [session("lan42"), session("lan43")] });
  world.peer.connect();
  const icrp = world.peer.call();
  world.peer.call({ localSessionId: 43, remoteEndId: new TextEncoder().encode("lan43") });
  return { ...world, ids: sessionIds(world.peer, icrp.avps.localSessionId ?? 0) };
}

function sessionIds(peer: ScriptedPeer, remoteSessionId: number) {
  return { localSessionId: peer.sessionId, remoteSessionId };
}

describe("unknown AVPs in messages of the control connection", () => {
  test.each([UNKNOWN, UNKNOWN_OF_VENDOR])("B05 mandatory in SCCRQ (%s): StopCCN 2/8 and no connection", (more) => {
    const { link, node, peer } = facing();
    peer.send(peer.sccrq(), { more });
    const { avps, header } = peer.expect("StopCCN");
    expect(avps.resultCode).toMatchObject(UNKNOWN_MANDATORY);
    expect(header).toMatchObject({ controlConnectionId: peer.ccid, ns: 0, nr: 1 });
    link.run(5_000);
    expect([tunnelOf(node).state, peer.all("SCCRP"), node.core.nextDeadline()]).toEqual(["idle", [], undefined]);
  });

  test("G02 B05 the text names the AVP", () => {
    const { peer } = facing();
    peer.send(peer.sccrq(), { more: UNKNOWN });
    expect(peer.expect("StopCCN").avps.resultCode?.message).toContain("vendor 0 attribute 900");
  });

  test("B05 B50 mandatory in SCCRP: StopCCN 2/8, under the id that the SCCRP told", () => {
    const { node, peer } = facing({ role: "initiator" });
    peer.expect("SCCRQ");
    peer.send(peer.sccrp(), { more: UNKNOWN });
    const { avps, header } = peer.expect("StopCCN");
    expect(avps.resultCode).toMatchObject(UNKNOWN_MANDATORY);
    expect(avps.assignedControlConnectionId).toBe(peer.remoteCcid);
    expect(header.controlConnectionId).toBe(peer.ccid);
    expect(tunnelOf(node).state).toBe("idle");
  });

  test("B05 mandatory in SCCCN: StopCCN 2/8", () => {
    const { node, peer } = facing();
    peer.send(peer.sccrq());
    peer.expect("SCCRP");
    peer.send({ name: "SCCCN" }, { more: UNKNOWN });
    expect(peer.expect("StopCCN").avps.resultCode).toMatchObject(UNKNOWN_MANDATORY);
    expect([tunnelOf(node).state, node.tunnels.size]).toEqual(["idle", 0]);
  });

  test("B05 mandatory in HELLO: StopCCN 2/8 and everything is cleaned up", () => {
    const { link, node, peer } = withSession();
    peer.send({ name: "HELLO" }, { more: UNKNOWN });
    expect(peer.expect("StopCCN").avps.resultCode).toMatchObject(UNKNOWN_MANDATORY);
    link.run(50);
    expect([tunnelOf(node).state, node.tunnels.size, node.datapathSessions.size]).toEqual(["idle", 0, 0]);
    expect(tunnelOf(node).lastError).toContain("vendor 0 attribute 900");
  });

  test("B05 mandatory in StopCCN: it closes all the same, and is not answered", () => {
    const { link, node, peer } = established();
    peer.send({ name: "StopCCN", resultCode: { result: 1 } }, { more: UNKNOWN });
    link.run(1_000);
    expect([tunnelOf(node).state, peer.all("StopCCN")]).toEqual(["idle", []]);
  });

  test("B06 not mandatory: as if it were absent, in every message", () => {
    const { link, node, peer } = facing({ helloIntervalMs: 0 });
    const more = IGNORED;
    peer.send(peer.sccrq(), { more });
    peer.expect("SCCRP");
    peer.send({ name: "SCCCN" }, { more });
    peer.send({ name: "HELLO" }, { more });
    peer.send(peer.icrq(), { more });
    const icrp = peer.expect("ICRP");
    const ids = sessionIds(peer, icrp.avps.localSessionId ?? 0);
    peer.send(peer.iccn(icrp), { more });
    peer.send({ name: "SLI", ...ids, circuitStatus: 0 }, { more });
    link.run(100);
    expect(sessionOf(node)).toMatchObject({ state: "established", remoteCircuitActive: false });
    peer.send({ name: "CDN", resultCode: { result: 1 }, ...ids }, { more });
    link.run(100);
    expect([sessionOf(node).state, tunnelOf(node).state]).toEqual(["idle", "established"]);
    peer.send({ name: "StopCCN", resultCode: { result: 1 } }, { more });
    link.run(100);
    expect([tunnelOf(node).state, peer.all("CDN"), peer.all("StopCCN")]).toEqual(["idle", [], []]);
  });

  test("B06 not mandatory in SCCRP and ICRP", () => {
    const { node, peer } = facing({ role: "initiator" });
    peer.expect("SCCRQ");
    peer.send(peer.sccrp(), { more: IGNORED });
    peer.send(peer.icrp(peer.expect("ICRQ")), { more: IGNORED });
    peer.expect("ICCN");
    expect(sessionOf(node).state).toBe("established");
  });
});

describe("unknown AVPs in messages of a session", () => {
  test("B04 mandatory in ICRQ: CDN 2/8; the connection and the other sessions live on", () => {
    const { node, peer } = established();
    peer.send(peer.icrq(), { more: UNKNOWN });
    const { avps } = peer.expect("CDN");
    expect(avps).toMatchObject({ resultCode: UNKNOWN_MANDATORY, remoteSessionId: peer.sessionId });
    peer.call();
    expect([tunnelOf(node).state, sessionOf(node).state]).toEqual(["established", "established"]);
  });

  test("B04 mandatory in ICRP: CDN 2/8", () => {
    const { node, peer } = facing({ role: "initiator" });
    peer.answer();
    peer.send(peer.icrp(peer.expect("ICRQ")), { more: UNKNOWN });
    expect(peer.expect("CDN").avps).toMatchObject({ resultCode: UNKNOWN_MANDATORY, remoteSessionId: peer.sessionId });
    expect([tunnelOf(node).state, sessionOf(node).state]).toEqual(["established", "idle"]);
  });

  test("B04 mandatory in ICCN: CDN 2/8", () => {
    const { node, peer } = established();
    peer.send(peer.icrq());
    peer.send(peer.iccn(peer.expect("ICRP")), { more: UNKNOWN });
    expect(peer.expect("CDN").avps.resultCode).toMatchObject(UNKNOWN_MANDATORY);
    expect([tunnelOf(node).state, node.datapathSessions.size]).toEqual(["established", 0]);
  });

  test.each(["SLI", "WEN"] as const)("B04 mandatory in %s: CDN 2/8 for that session alone", (name) => {
    const { link, node, peer, ids } = withSession();
    const circuitErrors = { hardwareOverruns: 0, bufferOverruns: 0, timeoutErrors: 0, alignmentErrors: 0 };
    const message: ControlMessage = name === "SLI" ? { name, ...ids } : { name, ...ids, circuitErrors };
    peer.send(message, { more: UNKNOWN });
    expect(peer.expect("CDN").avps).toMatchObject({
      resultCode: UNKNOWN_MANDATORY,
      remoteSessionId: ids.localSessionId,
    });
    link.run(50);
    expect(tunnelOf(node).sessions.map(({ state }) => state)).toEqual(["idle", "established"]);
  });

  test("B04 mandatory in CDN: it closes all the same, and is not answered", () => {
    const { link, node, peer, ids } = withSession();
    peer.send({ name: "CDN", resultCode: { result: 1 }, ...ids }, { more: UNKNOWN });
    link.run(1_000);
    expect(tunnelOf(node).sessions.map(({ state }) => state)).toEqual(["idle", "established"]);
    expect(peer.all("CDN")).toEqual([]);
  });
});

const SCCRQ_AVPS = [
  ["Host Name", 7],
  ["Router ID", 60],
  ["Assigned Control Connection ID", 61],
  ["Pseudowire Capabilities List", 62],
] as const;

describe("required AVPs", () => {
  test.each(SCCRQ_AVPS)("A01 G06 an SCCRQ without %s gets a StopCCN, result 2, and no SCCRP", (_, type) => {
    const { link, node, peer } = facing();
    peer.send(peer.sccrq(), { without: [type] });
    // Without an Assigned Control Connection ID there is only CCID 0 to answer to.
    const { header, avps } = peer.expect("StopCCN");
    expect(avps.resultCode).toMatchObject({ result: 2, error: 3 });
    expect(header.controlConnectionId).toBe(type === 61 ? 0 : peer.ccid);
    link.run(1_000);
    expect([peer.all("SCCRP"), tunnelOf(node).state]).toEqual([[], "idle"]);
  });

  test.each(SCCRQ_AVPS)("A02 G06 an SCCRP without %s gets a StopCCN, result 2", (_, type) => {
    const { node, peer } = facing({ role: "initiator" });
    peer.expect("SCCRQ");
    peer.send(peer.sccrp(), { without: [type] });
    expect(peer.expect("StopCCN").avps.resultCode).toMatchObject({ result: 2, error: 3 });
    expect([tunnelOf(node).state, node.tunnels.size]).toEqual(["idle", 0]);
  });

  test("A02 A10 G06 who opens as RFC 3931's drafts did may leave out Router ID, and in an ICRP Circuit Status", () => {
    const { link, node, peer } = facing({ role: "initiator", sessions: [session("lan42", { call: "both" })] });
    peer.expect("SCCRQ");
    // As SoftEther has it inside IPsec.
    const draft = avp(2, "0100") + avp(3, "00000000", { mandatory: false });
    peer.send(peer.sccrp(), { without: [60], more: draft });
    const icrq = peer.expect("ICRQ");
    peer.send(peer.icrp(icrq), { without: [71] });
    peer.expect("ICCN");
    link.run(100);
    const { state, remoteCircuitActive } = sessionOf(node);
    expect([tunnelOf(node).state, state, remoteCircuitActive]).toEqual(["established", "established", true]);
    expect(node.raised.size).toBe(1);
  });

  test.each(SCCRQ_AVPS.filter(([, type]) => type !== 60))(
    "A02 G06 nor does a draft's SCCRP do without %s",
    (_, type) => {
      const { node, peer } = facing({ role: "initiator" });
      peer.expect("SCCRQ");
      peer.send(peer.sccrp(), { without: [60, type], more: avp(2, "0100") });
      expect(peer.expect("StopCCN").avps.resultCode).toMatchObject({ result: 2, error: 3 });
      expect(tunnelOf(node).state).toBe("idle");
    },
  );

  test.each([
    ["StopCCN without Result Code", 4, ""],
    ["StopCCN with a Result Code that nobody understands", 4, avp(1, "00")],
  ])("G06 a %s closes all the same", (_, type, avps) => {
    const { link, node, peer } = established();
    peer.sendAvps(avp(0, type.toString(16).padStart(4, "0")) + avps);
    link.run(100);
    expect([tunnelOf(node).state, node.tunnels.size, peer.all("StopCCN")]).toEqual(["idle", 0, []]);
  });

  test.each([
    ["M set: CDN, result 2", true],
    ["M clear: ignored", false],
  ])("G05 an L2-Specific Sublayer of three octets in an ICRQ, %s", (_, mandatory) => {
    const { peer } = established();
    peer.send(peer.icrq(), { more: avp(69, "000000", { mandatory }) });
    if (mandatory) expect(peer.expect("CDN").avps.resultCode).toMatchObject({ result: 2, error: 2 });
    else expect(peer.expect("ICRP").avps.l2SpecificSublayer).toBeUndefined();
  });

  test("B55 G05 Receive Window Size 0 is out of range: StopCCN, result 2", () => {
    const { peer } = facing();
    peer.send(peer.sccrq(), { more: avp(10, "0000") });
    expect(peer.expect("StopCCN").avps.resultCode).toMatchObject({ result: 2, error: 3 });
  });
});

describe("message types", () => {
  test.each([
    ["A21", "99", avp(0, "0063")],
    ["A16", "13, reserved", avp(0, "000d")],
    ["A23", "1 of vendor 193, which is no SCCRQ", avp(0, "0001", { vendorId: 193 })],
  ])("%s type %s with M set: StopCCN 2/8", (_, __, type) => {
    const { link, node, peer } = withSession();
    peer.sendAvps(type);
    expect(peer.expect("StopCCN").avps.resultCode).toMatchObject(UNKNOWN_MANDATORY);
    link.run(50);
    expect([tunnelOf(node).state, node.tunnels.size, node.raised.size]).toEqual(["idle", 0, 0]);
  });

  test.each([
    ["A22", "99", avp(0, "0063", { mandatory: false })],
    ["A23", "1 of vendor 193", avp(0, "0001", { vendorId: 193, mandatory: false })],
    ["A17", "17 (RFC 3573)", avp(0, "0011", { mandatory: false })],
    ["A17", "21 (RFC 4951)", avp(0, "0015", { mandatory: false })],
    ["A17", "28 (RFC 5515)", avp(0, "001c", { mandatory: false })],
  ])("%s type %s with M clear: acknowledged and ignored, and the next message counts", (_, __, type) => {
    const { link, node, peer } = established();
    const before = peer.heard.length;
    peer.sendAvps(type);
    link.run(100);
    expect(peer.heard.slice(before)).toMatchObject([{ name: "ZLB", header: { nr: peer.ns } }]);
    peer.call();
    expect(sessionOf(node).state).toBe("established");
  });

  test.each(["SCCRQ", "SCCRP", "SCCCN"] as const)("G04 a new %s on an established connection: StopCCN", (name) => {
    const { node, peer } = established();
    peer.send({ SCCRQ: peer.sccrq(), SCCRP: peer.sccrp(), SCCCN: { name: "SCCCN" } as const }[name]);
    expect(peer.expect("StopCCN").avps.resultCode).toMatchObject({ result: 7 });
    expect(tunnelOf(node).state).toBe("idle");
  });

  test.each(["SCCRQ", "SCCRP", "SCCCN"] as const)("G04 why a %s out of turn ends a connection is said", (name) => {
    const { node, peer } = established();
    peer.call();
    peer.send({ SCCRQ: peer.sccrq(), SCCRP: peer.sccrp(), SCCCN: { name: "SCCCN" } as const }[name]);
    const words = `${name} in state established`;
    expect(peer.expect("StopCCN").avps.resultCode).toEqual({ result: 7, error: 0, message: words });
    expect(tunnelOf(node).lastError).toContain(words);
    expect(sessionOf(node).lastError).toContain(words);
    expect(node.log.filter(({ event }) => event === "control-connection-failed")).toHaveLength(1);
  });

  test.each([
    ["ICRQ", (peer: ScriptedPeer) => peer.icrq()],
    ["CDN", () => ({ name: "CDN", resultCode: { result: 3 }, localSessionId: 1, remoteSessionId: 2 }) as const],
    ["SLI", () => ({ name: "SLI", localSessionId: 1, remoteSessionId: 2, circuitStatus: 1 }) as const],
  ])("G04 so it is with an %s before the connection is established", (name, message) => {
    const { node, peer } = facing();
    peer.send(peer.sccrq());
    peer.expect("SCCRP");
    peer.send(message(peer));
    const words = `${name} in state wait-ctl-conn`;
    expect(peer.expect("StopCCN").avps.resultCode).toEqual({ result: 7, error: 0, message: words });
    expect(tunnelOf(node).lastError).toContain(words);
  });
});

const HEADER = (bits: string, length: number, ccid = "00000000") =>
  `${bits}${length.toString(16).padStart(4, "0")}${ccid}00000000`;

describe("headers", () => {
  test.each([
    ["nothing", ""],
    ["one octet", "c8"],
    ["eleven octets", HEADER("c803", 12).slice(0, 22)],
    ["version 2", HEADER("c802", 12)],
    ["version 4", HEADER("c804", 12)],
    ["no T bit", HEADER("4803", 12)],
    ["no L bit", HEADER("8803", 12)],
    ["no S bit", HEADER("c003", 12)],
    ["a Length below 12", HEADER("c803", 11)],
    ["a Length beyond the datagram", HEADER("c803", 13)],
    ["a ZLB for CCID 0", HEADER("c803", 12)],
    ["a Message Type that is not first", HEADER("c803", 29) + avp(66, "000102") + avp(0, "0006")],
    ["a Message Type of the wrong length", HEADER("c803", 21) + avp(0, "000600")],
    ["a HELLO for CCID 0", HEADER("c803", 20) + avp(0, "0006")],
    ["a HELLO for an unknown CCID", HEADER("c803", 20, "12345678") + avp(0, "0006")],
    ["a StopCCN for an unknown CCID", HEADER("c803", 28, "12345678") + avp(0, "0004") + avp(1, "0001")],
    ["an SCCRP for an unknown CCID", HEADER("c803", 20, "12345678") + avp(0, "0002")],
  ])("G04 G11 %s: discarded, no answer, nothing changes", (_, hex) => {
    const { link, node, peer } = withSession();
    const before = node.core.view();
    const heard = peer.heard.length;
    peer.sendOctets(octetsOfHex(hex));
    link.run(5_000);
    expect([node.core.view(), peer.heard.slice(heard), node.raised.size]).toEqual([before, [], 2]);
  });

  test("F02 reserved header bits, and octets after Length, are ignored", () => {
    const { link, node, peer } = established();
    const octets = peer.compose(peer.icrq());
    octets[0] = 0xff;
    octets[1] = 0xf3;
    peer.sendOctets(Uint8Array.from([...octets, 1, 2, 3, 4]));
    link.run(100);
    expect([peer.all("ICRP").length, node.datapathSessions.size]).toEqual([1, 1]);
  });
});
