import { describe, expect, test } from "vitest";
import { encodeMessage } from "../../src/avp/encode.ts";
import { parseSite } from "../../src/config/load.ts";
import type { SessionConfiguration } from "../../src/control/configuration.ts";
import { facing, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { session } from "../support/sites.ts";
import { avp, hexOf, octetsOfHex } from "../support/wire.ts";

/** The peer calls: our end has accepted its connection. */
function called(more: Partial<SessionConfiguration> = {}) {
  const world = facing({ helloIntervalMs: 0, sessions: [session("lan42", { call: "responder", ...more })] });
  world.peer.connect();
  return world;
}

/** Our end calls, and its ICRQ is there. */
function calling(...more: Parameters<typeof facing>) {
  const world = facing({ role: "initiator", helloIntervalMs: 0, ...more[0] });
  world.peer.answer();
  return { ...world, icrq: world.peer.expect("ICRQ") };
}

describe("a pseudowire lives as long as its session", () => {
  test("A11 called: there is a device with the ICRP, and frames flow with the ICCN", () => {
    const { link, node, peer } = called();
    peer.send(peer.icrq());
    const icrp = peer.expect("ICRP");
    expect([node.datapathSessions.size, node.raised.size]).toEqual([1, 0]);
    link.run(5_000);
    expect(node.raised.size).toBe(0);
    peer.send(peer.iccn(icrp));
    link.run(50);
    expect([node.datapathSessions.size, node.raised.size]).toEqual([1, 1]);
  });

  test("A10 calling: no frames before the ICRP", () => {
    const { link, node, peer, icrq } = calling();
    link.run(500);
    expect([node.datapathSessions.size, node.raised.size]).toEqual([0, 0]);
    peer.send(peer.icrp(icrq));
    peer.expect("ICCN");
    expect(node.raised.size).toBe(1);
  });

  test.each<readonly [string, (world: ReturnType<typeof called>) => void]>([
    [
      "the peer's CDN",
      ({ node, peer }) => {
        const ids = { localSessionId: peer.sessionId, remoteSessionId: sessionOf(node).localSessionId };
        peer.send({ name: "CDN", resultCode: { result: 1 }, ...ids });
      },
    ],
    [
      "the peer's StopCCN",
      ({ peer }) => peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid }),
    ],
    ["our administrator", ({ node }) => node.receive({ type: "close", tunnel: "to-peer", session: "lan42" })],
    [
      "a message that must not come now",
      ({ node, peer }) => {
        const ids = { localSessionId: peer.sessionId, remoteSessionId: sessionOf(node).localSessionId };
        peer.send({ name: "ICCN", ...ids });
      },
    ],
  ])("I04 with %s its device goes at once", (_, end) => {
    const world = called();
    world.peer.call();
    expect([world.node.raised.size, world.node.datapathSessions.size]).toEqual([1, 1]);
    end(world);
    world.link.run(50);
    expect([sessionOf(world.node).state, world.node.raised.size, world.node.datapathSessions.size]).toEqual([
      "idle",
      0,
      0,
    ]);
  });
});

describe("the Remote End ID", () => {
  const FORMS: readonly (readonly [words: string, toml: string, octets: string])[] = [
    ["a text", 'remote_end_id = "lan42"', "6c616e3432"],
    ["digits as text, as some peers send a number", 'remote_end_id = "100"', "313030"],
    ["a 32-bit number", 'remote_end_id = 100\nend_id_format = "u32"', "00000064"],
    ["the largest 32-bit number", 'remote_end_id = 4294967295\nend_id_format = "u32"', "ffffffff"],
    ["a number in quotes", 'remote_end_id = "100"\nend_id_format = "u32"', "00000064"],
    ["octets", 'remote_end_id = "00:c0:ff:ee:00"\nend_id_format = "hex"', "00c0ffee00"],
    ["one octet", 'remote_end_id = "00"\nend_id_format = "hex"', "00"],
    ["text that is no ASCII", 'remote_end_id = "é"', "c3a9"],
  ];

  function configured(toml: string): Uint8Array {
    const site = parseSite(`[tunnel.t]\npeer = "192.0.2.1"\n[tunnel.t.session.lan42]\n${toml}`, "site.toml");
    return site.tunnels[0]?.sessions[0]?.remoteEndId as Uint8Array;
  }

  test.each(FORMS)("B67 B38 configured as %s it is sent octet for octet", (_, toml, octets) => {
    const { icrq } = calling({ sessions: [session("lan42", { remoteEndId: configured(toml) })] });
    expect(hexOf(icrq.avps.remoteEndId as Uint8Array)).toBe(octets);
  });

  test("B67 B66 it is compared octet for octet: a text is no number, and no beginning will do", () => {
    const sessions = FORMS.filter(([words]) => words !== "a number in quotes").map(([, toml], index) =>
      session(`s${index}`, { call: "responder", remoteEndId: configured(toml) }),
    );
    const { link, node, peer } = facing({ helloIntervalMs: 0, sessions });
    peer.connect();
    const calls = ["313030", "00000064", "000064", "64", "00", "0000", "c3a9", "e9", "6c616e343200"];
    for (const [index, octets] of calls.entries()) {
      peer.send(peer.icrq({ localSessionId: 100 + index, remoteEndId: octetsOfHex(octets) }));
    }
    link.run(500);
    const refused = peer.all("CDN").map(({ avps }) => [avps.resultCode?.result, avps.remoteSessionId]);
    expect(refused).toEqual([102, 103, 105, 107, 108].map((id) => [24, id]));
    expect(peer.all("ICRP").map(({ avps }) => avps.remoteSessionId)).toEqual([100, 101, 104, 106]);
    const busy = tunnelOf(node).sessions.flatMap(({ name, state }) => (state === "idle" ? [] : [name]));
    expect(busy).toEqual(["s1", "s2", "s5", "s6"]);
  });

  test("B67 of 1017 octets, the longest that an AVP can hold", () => {
    const remoteEndId = Uint8Array.from({ length: 1_017 }, (_, index) => index & 0xff);
    const { node, peer } = called({ remoteEndId });
    peer.call({ remoteEndId });
    expect(sessionOf(node).state).toBe("established");
  });
});

describe("calls that are refused", () => {
  test("I12 are placed again, after pauses that grow from the configured shortest to the longest", () => {
    const { peer, icrq } = calling({ reconnect: { minMs: 3_000, maxMs: 10_000 } });
    const instants = [icrq.at];
    for (let round = 0; round < 5; round++) {
      const remoteSessionId = peer.all("ICRQ").at(-1)?.avps.localSessionId ?? 0;
      peer.send({ name: "CDN", resultCode: { result: 24 }, localSessionId: peer.sessionId, remoteSessionId });
      instants.push(peer.expect("ICRQ").at);
    }
    const pauses = instants.slice(1).map((at, index) => at - (instants[index] as number));
    for (const [index, pause] of [3_000, 6_000, 10_000, 10_000, 10_000].entries()) {
      expect(pauses[index]).toBeGreaterThanOrEqual(pause);
      expect(pauses[index]).toBeLessThanOrEqual(pause * 1.1 + 50);
    }
  });

  test.each([
    ["an ICRQ with a flaw", { l2SpecificSublayer: 9 }],
    ["an unknown Remote End ID", { remoteEndId: Uint8Array.of(1) }],
    ["a pseudowire type that we do not have", { pseudowireType: 6 }],
    ["a sublayer too few", { dataSequencing: 1 }],
  ])("E08 the CDN for %s names an id of its own, never 0, and the caller's", (_, avps) => {
    const { peer } = called();
    const seen = new Set<number>();
    for (let round = 0; round < 20; round++) {
      peer.send(peer.icrq({ ...avps, localSessionId: 1_000 + round }));
      const cdn = peer.expect("CDN").avps;
      expect([cdn.remoteSessionId, cdn.localSessionId]).toEqual([1_000 + round, expect.any(Number)]);
      seen.add(cdn.localSessionId as number);
    }
    expect([seen.size, seen.has(0)]).toEqual([20, false]);
  });
});

describe("AVPs of RFC 4667", () => {
  test("I11 are sent without M, those of RFC 3931 beside them with it", () => {
    const icrq = encodeMessage(1, 0, 0, {
      name: "ICRQ",
      localSessionId: 1,
      remoteSessionId: 0,
      serialNumber: 1,
      pseudowireType: 5,
      remoteEndId: Uint8Array.of(0x61),
      circuitStatus: 1,
      attachmentGroupIdentifier: Uint8Array.of(1, 2),
      localEndId: Uint8Array.of(3),
      interfaceMtu: 1_500,
    });
    const sent = hexOf(icrq);
    for (const [type, value] of [
      [89, "0102"],
      [90, "03"],
      [91, "05dc"],
    ] as const) {
      expect(sent).toContain(avp(type, value, { mandatory: false }));
    }
    expect(sent).toContain(avp(66, "61"));
  });
});

describe("what the peer asks for", () => {
  test.each([[[4]], [[1, 2, 7]], [[0xffff]]])("B56 a peer that lists only %o may open a connection", (types) => {
    const { link, node, peer } = facing({ helloIntervalMs: 0, sessions: [session("lan42", { call: "initiator" })] });
    peer.connect({ pseudowireCapabilitiesList: types });
    link.run(1_000);
    expect([tunnelOf(node).state, peer.all("ICRQ"), peer.all("StopCCN")]).toEqual(["established", [], []]);
  });

  test("B65 Data Sequencing 0 asks for nothing, with a sublayer and without", () => {
    for (const avps of [{ dataSequencing: 0 }, { dataSequencing: 0, l2SpecificSublayer: 1 }]) {
      const { node, peer } = called();
      peer.call(avps);
      expect(sessionOf(node).state).toBe("established");
    }
  });

  test("H07 the New bit of Circuit Status means nothing", () => {
    const { link, node, peer } = called();
    peer.call({ circuitStatus: 1 });
    const ids = { localSessionId: peer.sessionId, remoteSessionId: sessionOf(node).localSessionId };
    for (const [circuitStatus, active] of [
      [3, true],
      [2, false],
      [0, false],
      [1, true],
    ] as const) {
      peer.send({ name: "SLI", ...ids, circuitStatus });
      link.run(50);
      expect(sessionOf(node)).toMatchObject({ state: "established", remoteCircuitActive: active });
    }
  });

  test("B69 whatever language the peer prefers, a text is in ours, and UTF-8", () => {
    const texts = ["xx", "de-CH", undefined].map((tag) => {
      const { peer } = facing();
      const more = tag === undefined ? {} : { preferredLanguage: tag };
      peer.send(peer.sccrq(more), { without: [60] });
      return peer.expect("StopCCN").avps.resultCode?.message;
    });
    expect(texts).toEqual(Array(3).fill("SCCRQ without Router ID"));
    const { node, peer } = called();
    peer.send(peer.icrq({ remoteEndId: new TextEncoder().encode("zürich") }));
    expect(peer.expect("CDN").avps.resultCode?.message).toMatch(/^no session has the Remote End ID /);
    expect(tunnelOf(node).state).toBe("established");
  });
});
