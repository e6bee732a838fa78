import { describe, expect, test } from "vitest";
import { type DecodedMessage, decodeMessage } from "../../src/avp/decode.ts";
import { encodeMessage } from "../../src/avp/encode.ts";
import { hide, hidingKey } from "../../src/avp/hiding.ts";
import type { AvpValues, ControlMessage } from "../../src/avp/messages.ts";
import { parseSite } from "../../src/config/load.ts";
import { authentication, facingSigned, SECRET, sites, up } from "../support/authenticated-sites.ts";
import { facing, type Heard, ScriptedPeer, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import { VirtualLink } from "../support/virtual-link.ts";
import { avp, hexOf, message, octetsOfHex } from "../support/wire.ts";

const v9 = (type: number, value: string, options = {}) => avp(type, value, { vendorId: 9, ...options });

const SCCRQ = 1;
const StopCCN = 4;
const ICRQ = 10;
const ICRP = 11;

/** AVPs that a message needs, by attribute type. */
const BODIES: Readonly<Record<number, Readonly<Record<number, string>>>> = {
  [SCCRQ]: { 7: "61", 60: "00000001", 61: "0a0b0c01", 62: "0005" },
  [StopCCN]: { 1: "0001", 61: "0a0b0c01" },
  [ICRQ]: { 15: "00000001", 63: "5e550001", 64: "00000000", 66: "3432", 68: "0005", 71: "0001" },
  [ICRP]: { 63: "5e550001", 64: "00000007", 71: "0001" },
};

function body(type: number, without: number): readonly string[] {
  return Object.entries(BODIES[type] ?? {}).flatMap(([each, value]) =>
    Number(each) === without ? [] : [avp(Number(each), value)],
  );
}

function valuesOf(decoded: DecodedMessage): AvpValues {
  if (decoded.kind === "message") return decoded.message as AvpValues;
  if (decoded.kind === "incomplete") return decoded.avps;
  throw new Error(`decoded as ${decoded.kind}`);
}

/** Requirement, twin, IETF attribute type, a message that carries it, name, value on the wire, value, another one. */
const TWINS: readonly (readonly [
  id: string,
  twin: number,
  type: number,
  carrier: number,
  name: keyof AvpValues,
  wire: string,
  value: unknown,
  other: string,
])[] = [
  ["B120", 1, 61, SCCRQ, "assignedControlConnectionId", "0a0b0c02", 0x0a0b0c02, "0a0b0c03"],
  ["B121", 2, 62, SCCRQ, "pseudowireCapabilitiesList", "00050004", [5, 4], "0004"],
  ["B122", 3, 63, ICRQ, "localSessionId", "5e550002", 0x5e550002, "5e550003"],
  ["B123", 4, 64, ICRP, "remoteSessionId", "00000008", 8, "00000009"],
  ["B124", 5, 65, ICRQ, "assignedCookie", "c0ffee01", octetsOfHex("c0ffee01"), "c0ffee02"],
  ["B125", 6, 66, ICRQ, "remoteEndId", "3433", octetsOfHex("3433"), "3434"],
  ["B126", 7, 68, ICRQ, "pseudowireType", "0005", 5, "0004"],
  ["B127", 8, 71, ICRQ, "circuitStatus", "0003", 3, "0002"],
  ["B128", 9, 5, ICRQ, "tieBreaker", "0102030405060708", octetsOfHex("0102030405060708"), "0000000000000001"],
];

describe.each(TWINS)(
  "%s B134: vendor 9 attribute %i, twin of %i",
  (_, twin, type, carrier, name, wire, value, other) => {
    const decode = (...avps: readonly string[]) => decodeMessage(message(carrier, ...body(carrier, type), ...avps));

    test.each([true, false])("stands in for it where that is missing, M %s", (mandatory) => {
      const decoded = decode(v9(twin, wire, { mandatory }));
      expect(decoded).toMatchObject({ kind: "message", refused: [], ignored: [] });
      expect(valuesOf(decoded)[name]).toEqual(value);
    });

    test("gives way to it, whichever comes first", () => {
      for (const avps of [
        [avp(type, wire), v9(twin, other)],
        [v9(twin, other), avp(type, wire)],
      ]) {
        expect(valuesOf(decode(...avps))[name]).toEqual(value);
      }
    });

    test("counts once: the first of two", () => {
      expect(valuesOf(decode(v9(twin, wire), v9(twin, other)))[name]).toEqual(value);
    });

    test("may be hidden where its twin may", () => {
      const [key, vector] = [hidingKey(SECRET), octetsOfHex("00112233445566778899aabbccddeeff")];
      const hidden = hexOf(hide(twin, key, vector, octetsOfHex(wire)));
      const avps = [avp(36, hexOf(vector)), v9(twin, hidden, { hidden: true })];
      const octets = message(carrier, ...body(carrier, type), ...avps);
      expect(valuesOf(decodeMessage(octets, key))[name]).toEqual(type === 5 ? undefined : value);
      expect(valuesOf(decodeMessage(octets))[name]).toBeUndefined();
    });
  },
);

describe("B134: what is no stand-in", () => {
  // A Remote End ID may have any length.
  test.each(TWINS.filter(([, , type]) => type !== 66))(
    "%s: vendor 9 attribute %i of a wrong length, which refuses nothing either",
    (_, twin, type, carrier, name, wire) => {
      const decoded = decodeMessage(message(carrier, ...body(carrier, type), v9(twin, `${wire}ffffff`)));
      expect(valuesOf(decoded)[name]).toBeUndefined();
      expect(decoded).toMatchObject({ refused: [], ignored: [] });
    },
  );

  test("B128: Cisco's tie breaker is a session's, and means nothing in an SCCRQ", () => {
    const decoded = decodeMessage(message(SCCRQ, ...body(SCCRQ, 0), v9(9, "0000000000000000")));
    expect(valuesOf(decoded).tieBreaker).toBeUndefined();
  });

  test("B129 B132 B133: Draft AVP Version, Interface MTU and the unknown ones are recognised", () => {
    const avps = [v9(10, "0001"), v9(14, "05dc"), v9(11, "00"), v9(110, ""), v9(111, "0000"), v9(115, "01")];
    const decoded = decodeMessage(message(SCCRQ, ...body(SCCRQ, 0), ...avps));
    expect(decoded).toMatchObject({ kind: "message", refused: [], ignored: [] });
    expect("recognised" in decoded && decoded.recognised).toHaveLength(6);
  });

  test("B130 B131: Cisco's digest and nonce prove nothing: a peer with a secret has to send the IETF's", () => {
    const { link, node, peer } = facingSigned();
    peer.signing = false;
    const more = v9(12, `00${"00".repeat(16)}`) + v9(13, "00112233445566778899aabbccddeeff");
    peer.send(peer.sccrq(), { without: [73], more });
    link.run(1_000);
    expect([peer.heard, tunnelOf(node).state]).toEqual([[], "idle"]);
  });
});

/** What a message of ours says in AVPs of vendor 9: type, M and value. */
function ciscoAvps({ octets }: Heard | { readonly octets: Uint8Array }): Readonly<Record<number, string>> {
  const all = Buffer.from(octets);
  const found: Record<number, string> = {};
  for (let offset = 12; offset < all.length; ) {
    const flags = all.readUInt16BE(offset);
    const end = offset + (flags & 0x3ff);
    const value = `${(flags & 0x8000) === 0 ? "" : "M "}${all.subarray(offset + 6, end).toString("hex")}`;
    if (all.readUInt16BE(offset + 2) === 9) found[all.readUInt16BE(offset + 4)] = value;
    offset = end;
  }
  return found;
}

const hex32 = (id: number | undefined) => (id ?? 0).toString(16).padStart(8, "0");

describe("B135: who sends Cisco's AVPs gets them", () => {
  const CISCO_SCCRQ = [v9(1, "0a0b0c01"), v9(2, "0005"), v9(10, "0001"), v9(115, "01", { mandatory: false })].join("");

  test("in every later message, beside the IETF's, M set", () => {
    const { link, node, peer } = facing({ sessions: [session("lan42", { call: "responder" })] });
    peer.send(peer.sccrq(), { more: CISCO_SCCRQ });
    const sccrp = peer.expect("SCCRP");
    const ccid = hex32(sccrp.avps.assignedControlConnectionId);
    expect(ccid).not.toBe("00000000");
    expect(ciscoAvps(sccrp)).toEqual({ 1: `M ${ccid}`, 2: "M 00040005", 10: "M 0001" });
    peer.send({ name: "SCCCN" });
    const icrp = peer.call();
    const ids = { 3: `M ${hex32(icrp.avps.localSessionId)}`, 4: "M 5e550001" };
    expect(ciscoAvps(icrp)).toEqual({
      ...ids,
      5: `M ${hexOf(icrp.avps.assignedCookie ?? new Uint8Array())}`,
      8: "M 0003",
    });
    node.receive({ type: "close", tunnel: "to-peer", session: "lan42" });
    expect(ciscoAvps(peer.expect("CDN"))).toEqual(ids);
    node.receive({ type: "shutdown" });
    const stop = peer.expect("StopCCN");
    expect([ciscoAvps(stop), stop.avps.assignedControlConnectionId]).toEqual([{ 1: `M ${ccid}` }, Number(`0x${ccid}`)]);
    link.run(1_000);
    expect(node.core.idle()).toBe(true);
  });

  test("as initiator, from the SCCRP on: ICRQ with both sets", () => {
    const { peer } = facing({ role: "initiator", sessions: [session("lan42", { call: "both" })] });
    const sccrq = peer.expect("SCCRQ");
    expect(ciscoAvps(sccrq)).toEqual({});
    peer.send(peer.sccrp(), { more: CISCO_SCCRQ });
    peer.expect("SCCCN");
    const icrq = peer.expect("ICRQ");
    const { localSessionId, assignedCookie = new Uint8Array(), tieBreaker = new Uint8Array() } = icrq.avps;
    expect(ciscoAvps(icrq)).toEqual({
      3: `M ${hex32(localSessionId)}`,
      4: "M 00000000",
      5: `M ${hexOf(assignedCookie)}`,
      6: `M ${hexOf(new TextEncoder().encode("lan42"))}`,
      7: "M 0005",
      8: "M 0003",
      9: `M ${hexOf(tieBreaker)}`,
    });
  });

  test("B134: a peer that sends nothing but Cisco's is served from SCCRQ to session", () => {
    const { link, node, peer } = facing();
    peer.send(peer.sccrq(), { without: [61, 62], more: CISCO_SCCRQ });
    peer.expect("SCCRP");
    peer.send({ name: "SCCCN" });
    const more = [v9(3, "5e550001"), v9(4, "00000000"), v9(6, "6c616e3432"), v9(7, "0005"), v9(8, "0001")].join("");
    peer.send(peer.icrq(), { without: [63, 64, 66, 68, 71], more });
    const icrp = peer.expect("ICRP");
    expect(icrp.avps.remoteSessionId).toBe(0x5e550001);
    const ids = v9(3, "5e550001") + v9(4, hex32(icrp.avps.localSessionId));
    peer.send(peer.iccn(icrp), { without: [63, 64], more: ids });
    link.run(100);
    expect([tunnelOf(node).state, tunnelOf(node).sessions[0]?.state]).toEqual(["established", "established"]);
  });

  test("nobody else does", () => {
    const { peer } = facing();
    const sccrp = peer.connect();
    const icrp = peer.call();
    expect([ciscoAvps(sccrp), ciscoAvps(icrp)]).toEqual([{}, {}]);
  });

  test("one peer's are no matter for another's connection", () => {
    const { link, peer, node } = facing({}, tunnel("to-other", { peer: "192.0.2.3", role: "responder" }));
    peer.send(peer.sccrq(), { more: CISCO_SCCRQ });
    peer.expect("SCCRP");
    const other = new ScriptedPeer(link, "192.0.2.3", { address: B, port: 1701 });
    expect(ciscoAvps(other.connect())).toEqual({});
    expect(tunnelOf(node, 1).state).toBe("established");
  });

  test("with a secret: they are under the digest, and what is hidden does not stand beside it in the clear", () => {
    for (const hidden of [false, true]) {
      const { link, node, peer } = facingSigned({ authentication: authentication({ hidden }) });
      peer.send(peer.sccrq(), { more: CISCO_SCCRQ });
      const sccrp = peer.expect("SCCRP");
      // Neither id nor list may be in the clear; the draft's version hides nothing.
      expect(Object.keys(ciscoAvps(sccrp))).toEqual(hidden ? ["10"] : ["1", "2", "10"]);
      peer.remoteCcid = node.core.save().connections[0]?.localControlConnectionId ?? 0;
      peer.send({ name: "SCCCN" });
      link.run(50);
      expect(tunnelOf(node).state).toBe("established");
    }
  });

  test("two of us understand each other when both are addressed so", () => {
    const link = new VirtualLink();
    const more = { localPort: 1701, sessions: [session("x")] };
    const a = link.add(A, lcce("site-a", tunnel("to-b", { role: "initiator", peer: B, ...more })), 5);
    const b = link.add(B, lcce("site-b", tunnel("to-a", { role: "responder", peer: A, ...more })), 6);
    // The SCCRQ gets what our own would not have; no digest is in its way.
    let touched = false;
    link.fate = (datagram) => {
      if (touched) return [10];
      touched = true;
      const octets = Buffer.concat([datagram.octets, octetsOfHex(v9(10, "0001"))]);
      octets.writeUInt16BE(octets.length, 2);
      link.transmit(datagram.from, datagram.to, octets);
      return [];
    };
    link.start();
    expect(link.runUntil(() => a.raised.size === 1 && b.raised.size === 1, 10_000)).toBe(true);
    const later = link.datagrams.slice(2).filter(({ octets }) => octets.length > 20);
    for (const datagram of later) expect(Object.keys(ciscoAvps(datagram)).length).toBeGreaterThan(0);
    expect(later.length).toBeGreaterThanOrEqual(4);
  });
});

test("B135: what is encoded with twins decodes to the same message", () => {
  const icrq: ControlMessage<"ICRQ"> = {
    name: "ICRQ",
    localSessionId: 1,
    remoteSessionId: 0,
    serialNumber: 1,
    pseudowireType: 5,
    remoteEndId: octetsOfHex("3432"),
    circuitStatus: 1,
    tieBreaker: octetsOfHex("0102030405060708"),
  };
  const decoded = decodeMessage(encodeMessage(1, 0, 0, icrq, { ciscoTwins: true }));
  expect(decoded).toMatchObject({ kind: "message", message: icrq, refused: [], ignored: [] });
  expect("recognised" in decoded && decoded.recognised.map(({ type }) => type)).toEqual([3, 4, 6, 7, 8, 9]);
});

test("B136: Cisco's defaults can be configured, both ways to authenticate at once", () => {
  const [cisco] = parseSite(
    `[tunnel.cisco]
     peer = "192.0.2.2"
     retransmit = { initial = "1s", max = "8s", retries = 15, sccrq_retries = 2 }
     secret = "a"
     chap_password = "b"
     [tunnel.cisco.session.x]
     cookie_size = 0`,
    "site.toml",
  ).tunnels;
  expect(cisco).toMatchObject({
    retransmit: { initialMs: 1_000, maxMs: 8_000, retries: 15, sccrqRetries: 2 },
    authentication: { digest: "md5", chapPassword: octetsOfHex("62") },
    sessions: [{ l2Sublayer: "none", cookieSize: 0 }],
  });
  const policy = authentication({ chapPassword: octetsOfHex("62") });
  const world = sites(policy, policy);
  world.link.start();
  expect(up(world)).toBe(true);
});
