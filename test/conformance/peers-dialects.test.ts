import { describe, expect, test } from "vitest";
import { parseSite } from "../../src/config/load.ts";
import { DIALECT_NAMES, type DialectChoice } from "../../src/control/dialects.ts";
import { Lcce } from "../../src/control/lcce.ts";
import { authentication, facingSigned } from "../support/authenticated-sites.ts";
import { facing, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { A, lcce, session, tunnel } from "../support/sites.ts";
import { SeededEntropy } from "../support/virtual-link.ts";
import { avp, avpList, avpsIn } from "../support/wire.ts";

const text = (words: string) => Buffer.from(words).toString("hex");
const DRAFT_VERSION = avp(10, "0001", { vendorId: 9 });

/** What a peer adds to its SCCRQ or SCCRP, and what it is taken for. */
const MARKS: readonly (readonly [what: string, more: string, name: string, by: string])[] = [
  ["AVPs of vendor 9", DRAFT_VERSION, "cisco", "AVPs of vendor 9"],
  ["a Vendor Name of Cisco's", avp(8, text("Cisco Systems, Inc."), { mandatory: false }), "cisco-ietf", "Vendor Name"],
  ["a Vendor Name of Yamaha's", avp(8, text("YAMAHA Corporation"), { mandatory: false }), "yamaha", "Vendor Name"],
  ["a Vendor Name of MikroTik's", avp(8, text("MikroTik"), { mandatory: false }), "mikrotik", "Vendor Name"],
  ["a Protocol Version", avp(2, "0100"), "rfc2661", "AVPs of RFC 2661"],
  ["Framing Capabilities", avp(3, "00000003"), "rfc2661", "AVPs of RFC 2661"],
  ["Bearer Capabilities", avp(4, "00000000"), "rfc2661", "AVPs of RFC 2661"],
  ["a name that nobody knows", avp(8, text("Acme"), { mandatory: false }), "ietf", "no mark of another dialect"],
  [
    "an unknown AVP of another vendor",
    avp(1, "00", { vendorId: 14988, mandatory: false }),
    "ietf",
    "no mark of another dialect",
  ],
  ["nothing", "", "ietf", "no mark of another dialect"],
  ["vendor 9 behind Yamaha's name", avp(8, text("YAMAHA Corporation")) + DRAFT_VERSION, "cisco", "AVPs of vendor 9"],
];

describe("B134 B111: the peer's dialect is recognised from its first message", () => {
  test.each(MARKS)("SCCRQ with %s", (_, more, name, by) => {
    const { link, node, peer } = facing();
    expect(tunnelOf(node)).toMatchObject({ dialect: "", dialectBy: "" });
    peer.send(peer.sccrq(), { more });
    peer.expect("SCCRP");
    peer.send({ name: "SCCCN" });
    link.run(50);
    expect(tunnelOf(node)).toMatchObject({ state: "established", dialect: name, dialectBy: by });
    const lines = node.log.filter(({ event }) => event === "dialect-recognised");
    expect(lines.map(({ message }) => message)).toEqual([`the peer speaks the dialect ${name}: ${by}`]);
  });

  test.each(MARKS)("SCCRP with %s", (_, more, name, by) => {
    const { link, node, peer } = facing({ role: "initiator" });
    const sccrq = peer.expect("SCCRQ");
    // Nobody is to choke on it: AVPs of RFC 3931 and nothing else.
    expect(avpList(sccrq.octets)).toEqual(["0", "7", "60", "61", "62", "10"]);
    peer.send(peer.sccrp(), { more });
    peer.expect("SCCCN");
    link.run(50);
    expect(tunnelOf(node)).toMatchObject({ state: "established", dialect: name, dialectBy: by });
  });

  test("what is configured stands, and is no news", () => {
    for (const dialect of DIALECT_NAMES) {
      const { node, peer } = facing({ dialect });
      expect(tunnelOf(node)).toMatchObject({ dialect, dialectBy: "configured" });
      peer.send(peer.sccrq(), { more: DRAFT_VERSION });
      peer.expect("SCCRP");
      peer.send({ name: "SCCCN" });
      expect(tunnelOf(node)).toMatchObject({ dialect, dialectBy: "configured" });
      expect(node.log.filter(({ event }) => event === "dialect-recognised")).toEqual([]);
    }
  });

  test("each connection is recognised by itself: another router may stand there the next day", () => {
    const { link, node, peer } = facing();
    peer.send(peer.sccrq(), { more: DRAFT_VERSION });
    peer.expect("SCCRP");
    peer.send({ name: "SCCCN" });
    link.run(50);
    peer.restart();
    peer.connect();
    expect(tunnelOf(node)).toMatchObject({ state: "established", dialect: "ietf" });
  });

  test("it is plain data: a restarted daemon goes on in the same dialect", () => {
    const { link, node, peer } = facing();
    peer.send(peer.sccrq(), { more: DRAFT_VERSION });
    peer.expect("SCCRP");
    peer.send({ name: "SCCCN" });
    link.run(50);
    const toPeer = tunnel("to-peer", { peer: A, role: "responder" });
    const saved = JSON.parse(JSON.stringify(node.core.save()));
    expect(saved.connections[0].dialect).toEqual({ name: "cisco", by: "AVPs of vendor 9" });
    const next = new Lcce(lcce("site-b", toPeer), new SeededEntropy(1), link.now, structuredClone(node.core.save()));
    expect(next.view().tunnels[0]).toMatchObject({ dialect: "cisco", dialectBy: "AVPs of vendor 9" });
  });
});

/** The AVPs of our SCCRQ, and of our ICRQ once the peer has answered that. */
function spoken(dialect: DialectChoice, more = "") {
  const configured = { leftToDialect: { receiveWindow: true }, dialect } as const;
  const left = { l2Sublayer: true, endIdFormat: true };
  const sessions = [session("42", { leftToDialect: left })];
  const { peer } = facing({ role: "initiator", sessions, ...configured });
  const sccrq = peer.expect("SCCRQ");
  peer.send(peer.sccrp(), { more });
  peer.expect("SCCCN");
  return { sccrq, icrq: peer.expect("ICRQ") };
}

const CISCO_SCCRQ = ["0", "7", "60-", "61-", "62-", "10", "v9/1", "v9/2", "v9/10"];
const PLAIN_SCCRQ = ["0", "7", "60", "61", "62", "10"];
const PLAIN_ICRQ = ["0", "63", "64", "15-", "68", "66", "71", "65"];
const CISCO_ICRQ = ["0", "63-", "64-", "15-", "68-", "66-", "71-", "65-", "69", "70"];
const TWINS_OF_ICRQ = ["v9/3", "v9/4", "v9/5", "v9/6", "v9/7", "v9/8"];

describe("A30 B135: what an initiator says in each dialect", () => {
  test.each([
    ["ietf", "", PLAIN_SCCRQ, PLAIN_ICRQ],
    ["cisco", "", CISCO_SCCRQ, [...CISCO_ICRQ, ...TWINS_OF_ICRQ]],
    ["cisco-ietf", "", PLAIN_SCCRQ, [...PLAIN_ICRQ, "69", "70"]],
    ["yamaha", "", ["0", "7", "60", "61", "62"], PLAIN_ICRQ],
    ["mikrotik", "", PLAIN_SCCRQ, [...PLAIN_ICRQ, "69"]],
    ["rfc2661", "", PLAIN_SCCRQ, PLAIN_ICRQ],
    ["auto", "", PLAIN_SCCRQ, PLAIN_ICRQ],
    ["auto", DRAFT_VERSION, PLAIN_SCCRQ, [...CISCO_ICRQ, ...TWINS_OF_ICRQ]],
    ["auto", avp(8, text("MikroTik")), PLAIN_SCCRQ, [...PLAIN_ICRQ, "69"]],
  ] as const)("%s %s", (dialect, more, sccrqAvps, icrqAvps) => {
    const { sccrq, icrq } = spoken(dialect, more);
    expect(avpList(sccrq.octets)).toEqual(sccrqAvps);
    expect(avpList(icrq.octets).toSorted()).toEqual([...icrqAvps].toSorted());
  });

  test("the dialects that the table has are those that are tested here", () => {
    expect(DIALECT_NAMES).toEqual(["cisco", "cisco-ietf", "yamaha", "mikrotik", "rfc2661", "ietf"]);
  });

  test("sublayer and sequencing of a Cisco's call are said to be none", () => {
    const named = avpsIn(spoken("cisco").icrq.octets).filter(({ type }) => type === 69 || type === 70);
    expect(named.map(({ value }) => value)).toEqual(["0000", "0000"]);
  });

  test("a tie breaker is sent in any dialect, to a Yamaha without the M bit", () => {
    for (const [dialect, seen] of [
      ["ietf", "5"],
      ["cisco", "5-"],
      ["yamaha", "5-"],
    ] as const) {
      const { peer } = facing({ role: "both", dialect });
      expect(avpList(peer.expect("SCCRQ").octets)).toContain(seen);
    }
  });

  test("the M bit is cleared on hidden AVPs too", () => {
    const { peer } = facing({ role: "initiator", dialect: "cisco", authentication: authentication({ hidden: true }) });
    const hidden = avpsIn(peer.expect("SCCRQ").octets).filter((each) => each.hidden);
    expect(hidden.map(({ type, mandatory }) => [type, mandatory])).toEqual([
      [61, false],
      [62, false],
    ]);
  });
});

describe("what is configured wins over the dialect", () => {
  test("receive_window, to a Yamaha", () => {
    const { peer } = facing({ role: "initiator", dialect: "yamaha", receiveWindow: 16 });
    expect(peer.expect("SCCRQ").avps.receiveWindowSize).toBe(16);
  });

  test.each([
    ["none", { endIdFormat: false, l2Sublayer: false }, undefined],
    ["none", { endIdFormat: false, l2Sublayer: true }, 1],
  ] as const)("l2_sublayer = %o, left to a MikroTik: %o", (l2Sublayer, leftToDialect, said) => {
    const sessions = [session("lan42", { l2Sublayer, leftToDialect })];
    const { node, peer } = facing({ role: "initiator", dialect: "mikrotik", sessions });
    peer.answer();
    const icrq = peer.expect("ICRQ");
    expect(icrq.avps.l2SpecificSublayer).toBe(said);
    // It answers without: that is what both use, and the ICCN says what has changed.
    peer.send(peer.icrp(icrq));
    const iccn = peer.expect("ICCN");
    expect(iccn.avps.l2SpecificSublayer).toBe(said === undefined ? undefined : 0);
    expect(sessionOf(node)).toMatchObject({ state: "established", l2Sublayer: "none" });
  });

  test.each([
    ["text", "3432", true],
    ["u32", "0000002a", true],
    ["hex", "42", true],
    ["none of these", "002a", false],
  ])("a Cisco's Remote End ID as %s: %s", (_, wire, taken) => {
    for (const [dialect, endIdFormat] of [
      ["cisco", true],
      ["cisco", false],
      ["cisco-ietf", true],
      ["ietf", true],
    ] as const) {
      const left = { leftToDialect: { l2Sublayer: false, endIdFormat } };
      const { node, peer } = facing({ dialect, sessions: [session("42", left)] });
      peer.connect();
      peer.send(peer.icrq({ remoteEndId: Uint8Array.from(Buffer.from(wire, "hex")) }));
      const expected = wire === "3432" || (taken && endIdFormat && dialect !== "ietf") ? "ICRP" : "CDN";
      expect(peer.expect(expected).name, `${dialect} ${endIdFormat}`).toBe(expected);
      expect(sessionOf(node).state).toBe(expected === "ICRP" ? "wait-connect" : "idle");
    }
  });

  test("an id that could be two sessions' in another format is neither's; one that is written so goes before", () => {
    const left = { leftToDialect: { l2Sublayer: false, endIdFormat: true } };
    const octets = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));
    const sessions = [
      session("a", { remoteEndId: octets(text("42")), ...left }),
      session("b", { remoteEndId: octets(text("042")), ...left }),
      session("c", { remoteEndId: octets("00000007") }),
      session("d", { remoteEndId: octets(text("7")), ...left }),
    ];
    const { node, peer } = facing({ dialect: "cisco", sessions });
    peer.connect();
    peer.send(peer.icrq({ remoteEndId: octets("0000002a") }));
    expect(peer.expect("CDN").avps.resultCode).toMatchObject({ result: 24 });
    peer.send(peer.icrq({ remoteEndId: octets("00000007") }));
    peer.expect("ICRP");
    expect(tunnelOf(node).sessions.map(({ state }) => state)).toEqual(["idle", "idle", "wait-connect", "idle"]);
  });
});

describe("B134: an ICRP without Circuit Status, which RFC 3931 6.7 wants", () => {
  const CIRCUIT_STATUS = 71;

  test.each([
    ["cisco", true],
    ["cisco-ietf", false],
    ["yamaha", true],
    ["mikrotik", false],
    ["rfc2661", true],
    ["ietf", false],
  ] as const)("from %s, taken: %s", (dialect, isTaken) => {
    const { link, node, peer } = facing({ role: "initiator", dialect, sessions: [session("lan42")] });
    peer.answer();
    const icrq = peer.expect("ICRQ");
    peer.send(peer.icrp(icrq), { without: [CIRCUIT_STATUS] });
    link.run(50);
    expect(peer.all("ICCN")).toHaveLength(isTaken ? 1 : 0);
    expect(peer.all("CDN")).toHaveLength(isTaken ? 0 : 1);
    expect(sessionOf(node).state).toBe(isTaken ? "established" : "idle");
    // Who says nothing of a circuit has one.
    if (isTaken) expect(sessionOf(node)).toMatchObject({ remoteCircuitActive: true });
  });
});

describe("A30: ZLB or ACK", () => {
  const INTEGRITY = { secrets: [], digest: "md5", hidden: false, chapPassword: undefined } as const;

  test.each([
    ["ietf", INTEGRITY, "ACK"],
    ["cisco", INTEGRITY, "ACK"],
    ["yamaha", INTEGRITY, "ZLB"],
    ["rfc2661", INTEGRITY, "ZLB"],
    ["mikrotik", INTEGRITY, "ACK"],
  ] as const)("with an integrity check alone, to %s", (dialect, policy, expected) => {
    const { link, peer } = facing({ dialect, authentication: policy });
    peer.connect();
    peer.forget();
    peer.send({ name: "HELLO" });
    link.run(50);
    expect(peer.heard.map(({ name }) => name)).toEqual([expected]);
  });

  test.each(DIALECT_NAMES)("without digests a ZLB, to %s", (dialect) => {
    const { link, peer } = facing({ dialect });
    peer.connect();
    peer.forget();
    peer.send({ name: "HELLO" });
    link.run(50);
    expect(peer.heard.map(({ name }) => name)).toEqual(["ZLB"]);
  });

  test.each(DIALECT_NAMES)("a secret forbids ZLBs, to %s", (dialect) => {
    const { link, peer } = facingSigned({ dialect });
    peer.connect();
    peer.forget();
    peer.send({ name: "HELLO" });
    link.run(50);
    expect(peer.heard.map(({ name }) => name)).toEqual(["ACK"]);
  });
});

test("a Yamaha is configured within its limits", () => {
  const site = (lcce: string, tunnel: string, more = "") =>
    parseSite(
      `[lcce]\n${lcce}\n[tunnel.t]\npeer = "${A}"\ndialect = "yamaha"\n${tunnel}\n[tunnel.t.session.s]\n${more}`,
      "site.toml",
    );
  expect(site('hostname = "h"', "").tunnels[0]?.dialect).toBe("yamaha");
  expect(site(`hostname = "${"h".repeat(32)}"`, "", `remote_end_id = "${"e".repeat(32)}"`).warnings).toEqual([]);
  expect(() => site(`hostname = "${"h".repeat(33)}"`, "")).toThrow(
    'tunnel.t.dialect: dialect "yamaha" takes host names of at most 32 characters, and lcce.hostname has 33',
  );
  expect(() => site('hostname = "h"', 'encapsulation = "ip"')).toThrow(
    'tunnel.t.encapsulation: dialect "yamaha" knows encapsulation "udp" only',
  );
  expect(() => site('hostname = "h"', "", `remote_end_id = "${"e".repeat(33)}"`)).toThrow(
    'tunnel.t.session.s.remote_end_id: dialect "yamaha" takes at most 32 octets, this has 33',
  );
});
