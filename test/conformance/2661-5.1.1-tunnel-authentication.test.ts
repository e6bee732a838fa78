import { describe, expect, test } from "vitest";
import { challengeResponse } from "../../src/avp/challenge.ts";
import type { AuthenticationConfiguration, TunnelConfiguration } from "../../src/control/configuration.ts";
import { agreed, authentication, facingSigned, forged, sites, up } from "../support/authenticated-sites.ts";
import { ascii } from "../support/digest-by-hand.ts";
import { facing, type Heard, type ScriptedPeer, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, tunnel } from "../support/sites.ts";
import { VirtualLink, VirtualNode } from "../support/virtual-link.ts";

const PASSWORD = ascii("cisco123");
const CHALLENGE = ascii("a challenge by hand");
const OFF = { secrets: [], digest: "none" } as const;
const CHAP = authentication({ ...OFF, chapPassword: PASSWORD });
const BOTH = authentication({ chapPassword: PASSWORD });
const SCCRP = 2;
const SCCCN = 3;

type World = ReturnType<typeof facing>;

const manners: readonly (readonly [
  string,
  AuthenticationConfiguration,
  (more: Partial<TunnelConfiguration>) => World,
])[] = [
  ["without digests", CHAP, (more) => facing({ authentication: CHAP, ...more })],
  ["beside digests", BOTH, (more) => facingSigned({ authentication: BOTH, ...more })],
  [
    "beside digests, hidden",
    { ...BOTH, hidden: true },
    (more) => facingSigned({ authentication: { ...BOTH, hidden: true }, ...more }),
  ],
];

/** What the peer reads of a message of ours; hidden AVPs are no matter of this file. */
function challengeIn({ avps }: Heard): Uint8Array {
  if (avps.challenge === undefined) throw new Error("no Challenge");
  return avps.challenge;
}

function expectRefused({ link, node, peer }: World, because: RegExp): void {
  const { avps } = peer.expect("StopCCN");
  expect(avps.resultCode).toMatchObject({ result: 4, message: expect.stringMatching(because) });
  link.run(100);
  expect([tunnelOf(node).state, node.tunnels.size, node.raised.size]).toEqual(["idle", 0, 0]);
}

describe("two LCCEs", () => {
  test.each(manners)("B112 with the same password come up, and each has proved it to the other: %s", (_, policy) => {
    const world = sites(policy, policy);
    const { link, a, b } = world;
    link.start();
    expect(up(world)).toBe(true);
    expect([forged(a), forged(b)]).toEqual([0, 0]);
    const types = link.datagrams.slice(0, 3).map(({ octets }) => chapTypes(octets));
    expect(types).toEqual([[11], [11, 13], [13]]);
  });

  test.each(manners)("B112 with different passwords do not: %s", (_, policy) => {
    const world = sites(policy, { ...policy, chapPassword: ascii("cisco124") });
    const { link, a, b } = world;
    link.start();
    expect(up(world, 20_000)).toBe(false);
    expect([a.tunnels.size, b.tunnels.size, tunnelOf(b).state]).toEqual([0, 0, "idle"]);
    expect(tunnelOf(a).lastError).toContain("SCCRP with a wrong Challenge Response");
  });

  test.each([
    ["opens", CHAP, authentication(OFF), /SCCRQ with a Challenge, and this end has no CHAP password/],
    ["answers", authentication(OFF), CHAP, /SCCRP with a Challenge, and this end has no CHAP password/],
  ])("B112 of which only the one that %s has a password do not, and say why", (_, ofA, ofB, because) => {
    const world = sites(ofA, ofB);
    world.link.start();
    expect(up(world, 20_000)).toBe(false);
    expect([world.a.tunnels.size, world.b.tunnels.size]).toEqual([0, 0]);
    expect(tunnelOf(world.a).lastError).toMatch(because);
  });

  test("B112 every connection has a challenge of its own, of 16 octets", () => {
    const world = sites(CHAP, CHAP);
    const { link, a, configurationOfA } = world;
    link.start();
    expect(up(world)).toBe(true);
    link.run(1_000);
    a.crash(configurationOfA, 99);
    a.receive({ type: "start" });
    link.run(5_000);
    const challenges = link.datagrams.flatMap(({ octets }) => chapValues(octets, 11));
    expect(new Set(challenges).size).toBe(4);
    for (const challenge of challenges) expect(challenge).toHaveLength(32);
  });

  test("B112 what is sent again after a loss asks and answers the same", () => {
    const world = sites(CHAP, CHAP);
    const { link } = world;
    link.fate = ({ number }) => (number < 2 || number === 4 ? [] : [10]);
    link.start();
    expect(up(world)).toBe(true);
    const ofType = (type: number) => link.datagrams.flatMap(({ octets }) => chapValues(octets, type));
    expect([ofType(11).length > 3, new Set(ofType(11)).size, new Set(ofType(13)).size]).toEqual([true, 2, 2]);
  });

  test("B112 the password, challenges and responses are never logged", () => {
    const world = sites(CHAP, { ...CHAP, chapPassword: ascii("plugh") });
    world.link.start();
    world.link.run(20_000);
    const log = JSON.stringify([world.a.log, world.b.log, world.a.core.view(), world.b.core.view()]);
    expect(log).not.toMatch(/cisco123|plugh/);
    for (const { octets } of world.link.datagrams) {
      for (const value of [...chapValues(octets, 11), ...chapValues(octets, 13)]) expect(log).not.toContain(value);
    }
  });
});

describe.each(manners.slice(0, 2))("as initiator, %s", (_, __, begin) => {
  /** An SCCRP with whatever response, to the SCCRQ that ours has sent. */
  function answered(more: (sccrq: Heard) => Parameters<ScriptedPeer["sccrp"]>[0]): World {
    const world = begin({ role: "initiator" });
    const sccrq = world.peer.expect("SCCRQ");
    world.peer.send(world.peer.sccrp(more(sccrq)));
    return world;
  }
  const right = (sccrq: Heard) => ({ challengeResponse: challengeResponse(SCCRP, PASSWORD, challengeIn(sccrq)) });

  test("B112 a right response is enough; a peer need not challenge", () => {
    const { node, peer } = answered(right);
    expect(peer.expect("SCCCN").avps).not.toHaveProperty("challengeResponse");
    expect(tunnelOf(node).state).toBe("established");
  });

  test("B112 a Challenge in the SCCRP is answered in the SCCCN", () => {
    const { peer } = answered((sccrq) => ({ ...right(sccrq), challenge: CHALLENGE }));
    expect(peer.expect("SCCCN").avps.challengeResponse).toEqual(challengeResponse(SCCCN, PASSWORD, CHALLENGE));
  });

  test.each<readonly [string, (sccrq: Heard) => Parameters<ScriptedPeer["sccrp"]>[0], RegExp]>([
    ["no response", () => ({}), /SCCRP without Challenge Response/],
    ["no response, but a challenge", () => ({ challenge: CHALLENGE }), /SCCRP without Challenge Response/],
    ["a response of nought", () => ({ challengeResponse: new Uint8Array(16) }), /wrong Challenge Response/],
    [
      "a response with another password",
      (sccrq) => ({ challengeResponse: challengeResponse(SCCRP, CHALLENGE, challengeIn(sccrq)) }),
      /SCCRP with a wrong Challenge Response/,
    ],
    [
      "the response of an SCCCN",
      (sccrq) => ({ challengeResponse: challengeResponse(SCCCN, PASSWORD, challengeIn(sccrq)) }),
      /SCCRP with a wrong Challenge Response/,
    ],
    [
      "our own challenge put to us, and a right response",
      (sccrq) => ({ ...right(sccrq), challenge: challengeIn(sccrq) }),
      /Challenge that is this end's own/,
    ],
    [
      "our own challenge put to us",
      (sccrq) => ({ challenge: challengeIn(sccrq), challengeResponse: challengeIn(sccrq) }),
      /wrong Challenge Response/,
    ],
  ])("B112 %s: StopCCN, result 4", (_, more, because) => {
    expectRefused(answered(more), because);
  });
});

describe.each(manners.slice(0, 2))("as responder, %s", (_, __, begin) => {
  function greeted(more: Parameters<ScriptedPeer["sccrq"]>[0] = {}): World & { readonly sccrp: Heard } {
    const world = begin({ role: "responder" });
    world.peer.send(world.peer.sccrq(more));
    return { ...world, sccrp: world.peer.expect("SCCRP") };
  }

  test("B112 a Challenge in the SCCRQ is answered in the SCCRP, and none is none", () => {
    const { sccrp } = greeted({ challenge: CHALLENGE });
    expect(sccrp.avps.challengeResponse).toEqual(challengeResponse(SCCRP, PASSWORD, CHALLENGE));
    expect(greeted().sccrp.avps).not.toHaveProperty("challengeResponse");
  });

  test("B112 a right response in the SCCCN establishes the connection", () => {
    const { link, node, peer, sccrp } = greeted();
    peer.send({ name: "SCCCN", challengeResponse: challengeResponse(SCCCN, PASSWORD, challengeIn(sccrp)) });
    link.run(100);
    expect(tunnelOf(node).state).toBe("established");
  });

  test.each<readonly [string, (sccrp: Heard) => Uint8Array | undefined, RegExp]>([
    ["no response", () => undefined, /SCCCN without Challenge Response/],
    ["our own challenge for a response", challengeIn, /SCCCN with a wrong Challenge Response/],
    [
      "the response of an SCCRP",
      (sccrp) => challengeResponse(SCCRP, PASSWORD, challengeIn(sccrp)),
      /SCCCN with a wrong Challenge Response/,
    ],
    [
      "a response with another password",
      (sccrp) => challengeResponse(SCCCN, CHALLENGE, challengeIn(sccrp)),
      /SCCCN with a wrong Challenge Response/,
    ],
  ])("B112 %s: StopCCN, result 4", (_, respond, because) => {
    const world = greeted({ challenge: CHALLENGE });
    const response = respond(world.sccrp);
    world.peer.send({ name: "SCCCN", ...(response === undefined ? {} : { challengeResponse: response }) });
    expectRefused(world, because);
  });

  test("B112 somebody without the password does not take an established connection's place", () => {
    const { link, node, peer, sccrp } = greeted();
    peer.send({ name: "SCCCN", challengeResponse: challengeResponse(SCCCN, PASSWORD, challengeIn(sccrp)) });
    link.run(100);
    const { localControlConnectionId } = tunnelOf(node);
    peer.restart();
    peer.send(peer.sccrq({ challenge: CHALLENGE }));
    peer.expect("SCCRP");
    peer.send({ name: "SCCCN" });
    expect(peer.expect("StopCCN").avps.resultCode?.result).toBe(4);
    expect(tunnelOf(node)).toMatchObject({ state: "established", localControlConnectionId });
  });
});

test("B112 a challenge of ours is not answered on another connection", () => {
  const link = new VirtualLink();
  const both = { role: "both", authentication: CHAP } as const;
  const node = link.add(B, lcce("site-b", tunnel("to-peer", { peer: A, ...both })), 3);
  const ears: Uint8Array[] = [];
  const peer = new (class extends VirtualNode {
    override deliver(_from: unknown, _to: unknown, octets: Uint8Array): void {
      ears.push(octets);
    }
  })(link, A, lcce("peer"), 1, []);
  link.nodes.push(peer);
  link.start();
  link.run(20);
  const [challenge = ""] = chapValues(ears[0] ?? new Uint8Array(), 11);
  expect(challenge).toHaveLength(32);
  const other = facing({ authentication: CHAP });
  // A tie breaker of nought wins over any: the SCCRQ is to be judged by its Challenge alone.
  const sccrq = other.peer.compose(
    other.peer.sccrq({ challenge: Uint8Array.from(Buffer.from(challenge, "hex")), tieBreaker: new Uint8Array(8) }),
  );
  link.transmit({ address: A, port: 1701 }, { address: B, port: 1701 }, sccrq);
  link.run(50);
  expect(ears.flatMap((octets) => chapValues(octets, 13))).toEqual([]);
  expect(Buffer.from(ears.at(-1) ?? []).toString("latin1")).toContain("Challenge that is this end's own");
  expect(tunnelOf(node).state).toBe("wait-ctl-reply");
});

test("B112 a hidden Challenge is understood, and a hidden response is right", () => {
  const world = sites({ ...BOTH, hidden: true }, BOTH);
  world.link.start();
  expect([up(world), agreed(world)]).toEqual([true, true]);
  const [sccrq] = world.link.datagrams;
  expect(hiddenTypes(sccrq?.octets ?? new Uint8Array())).toContain(11);
});

/** The AVPs of a message: vendor 0, type, flags and value. */
function avps(
  octets: Uint8Array,
): readonly { readonly type: number; readonly hidden: boolean; readonly value: string }[] {
  const found: { type: number; hidden: boolean; value: string }[] = [];
  const all = Buffer.from(octets);
  for (let offset = 12; offset < all.length; ) {
    const flags = all.readUInt16BE(offset);
    const end = offset + (flags & 0x3ff);
    const value = all.subarray(offset + 6, end).toString("hex");
    found.push({ type: all.readUInt16BE(offset + 4), hidden: (flags & 0x4000) !== 0, value });
    offset = end;
  }
  return found;
}

function chapTypes(octets: Uint8Array): readonly number[] {
  return avps(octets).flatMap(({ type }) => (type === 11 || type === 13 ? [type] : []));
}

function chapValues(octets: Uint8Array, type: number): readonly string[] {
  return avps(octets).flatMap((each) => (each.type === type ? [each.value] : []));
}

function hiddenTypes(octets: Uint8Array): readonly number[] {
  return avps(octets).flatMap(({ type, hidden }) => (hidden ? [type] : []));
}
