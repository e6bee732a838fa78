import { describe, expect, test } from "vitest";
import type { AuthenticationConfiguration } from "../../src/control/configuration.ts";
import {
  agreed,
  authentication,
  facingSigned,
  forged,
  OTHER_SECRET,
  SECRET,
  type Sites,
  sites,
  up,
} from "../support/authenticated-sites.ts";
import { type Judged, judge, NEVER_HIDDEN, unhiddenByHand } from "../support/digest-by-hand.ts";
import { tunnelOf } from "../support/scripted-peer.ts";
import { A, B } from "../support/sites.ts";
import { LATENCY_MS, type VirtualNode } from "../support/virtual-link.ts";
import { hexOf } from "../support/wire.ts";

const RANDOM_VECTOR = 36;
const ASSIGNED_CCID = 61;
const ASSIGNED_COOKIE = 65;
const LOCAL_SESSION_ID = 63;

const HIDDEN = authentication({ hidden: true });
const CLEAR = authentication();

/** Comes up, is heard for a while, goes down; returns what was said. */
function life(
  ofA: AuthenticationConfiguration,
  ofB: AuthenticationConfiguration,
  begin: (world: Sites) => void = () => {},
) {
  const world = sites(ofA, ofB);
  const { link, a, b } = world;
  begin(world);
  link.start();
  expect(up(world)).toBe(true);
  const cookies = new Map([a, b].map((node) => [node.address, cookiesOf(node)]));
  link.run(65_000);
  a.receive({ type: "close", tunnel: "to-b", session: "x" });
  link.run(1_000);
  a.receive({ type: "shutdown" });
  link.run(60_000);
  expect([forged(a), forged(b), tunnelOf(b).state]).toEqual([0, 0, "idle"]);
  return { messages: judge(link.datagrams, [SECRET, OTHER_SECRET]), cookies };
}

/** Of each session, in hex: its id and the cookie that it expects. */
function cookiesOf(node: VirtualNode): readonly string[] {
  const sessions = [...node.datapathSessions.values()];
  return sessions
    .map(({ localSessionId, localCookie }) => `${localSessionId.toString(16)} ${hexOf(localCookie)}`)
    .sort();
}

function saidBy(messages: readonly Judged[], address: string): readonly Judged[] {
  return messages.filter(({ from }) => from.address === address);
}

function hiddenTypes(messages: readonly Judged[]): readonly number[] {
  const types = messages.flatMap(({ avps }) => avps.filter(({ hidden }) => hidden).map(({ type }) => type));
  return [...new Set(types)].sort((left, right) => left - right);
}

/** Attribute types that may be hidden and are not. */
function shownTypes(messages: readonly Judged[]): readonly number[] {
  const types = messages.flatMap(({ avps }) => avps.filter(({ hidden }) => !hidden).map(({ type }) => type));
  return [...new Set(types)].filter((type) => !NEVER_HIDDEN.includes(type)).sort((left, right) => left - right);
}

describe.each<readonly [string, AuthenticationConfiguration, AuthenticationConfiguration]>([
  ["both ends hide", HIDDEN, HIDDEN],
  ["only the initiator hides", HIDDEN, CLEAR],
  ["only the responder hides", CLEAR, HIDDEN],
])("%s", (_, ofA, ofB) => {
  const { messages, cookies } = life(ofA, ofB);

  test.each([
    [A, ofA],
    [B, ofB],
  ])("D21 D26 %s: everything that may be hidden is, or nothing", (address, { hidden }) => {
    const own = saidBy(messages, address);
    if (hidden) {
      expect(shownTypes(own)).toEqual([]);
      expect(hiddenTypes(own)).toEqual(expect.arrayContaining([61, 62, 63, 64, 65, 66, 68, 71]));
      expect(hiddenTypes(own).filter((type) => NEVER_HIDDEN.includes(type))).toEqual([]);
    } else {
      expect(hiddenTypes(own)).toEqual([]);
      expect(own.flatMap(({ avps }) => avps.filter(({ type }) => type === RANDOM_VECTOR))).toEqual([]);
    }
  });

  test("D22 D23 the values, computed apart from RFC 3931 5.3, are those that the datapath got", () => {
    for (const [address, { hidden }] of [
      [A, ofA],
      [B, ofB],
    ] as const) {
      if (!hidden) continue;
      const own = saidBy(messages, address);
      const assigned = own.flatMap(({ name, octets }) => {
        if (name !== "ICRQ" && name !== "ICRP") return [];
        const values = unhiddenByHand(octets, SECRET);
        const id = hexOf(values.get(LOCAL_SESSION_ID) ?? new Uint8Array()).replace(/^0+/, "");
        return [`${id} ${hexOf(values.get(ASSIGNED_COOKIE) ?? new Uint8Array())}`];
      });
      expect([...new Set(assigned)].sort()).toEqual(cookies.get(address));
    }
  });

  test("D21 one Random Vector of 16 octets or more before the first hidden AVP, another in each message", () => {
    const vectors: string[] = [];
    for (const { name, avps } of messages) {
      const found = avps.filter(({ type }) => type === RANDOM_VECTOR);
      const first = avps.findIndex(({ hidden }) => hidden);
      expect(found, name).toHaveLength(first < 0 ? 0 : 1);
      if (first < 0) continue;
      expect(avps.findIndex(({ type }) => type === RANDOM_VECTOR)).toBeLessThan(first);
      expect(found[0]?.value.length).toBeGreaterThanOrEqual(16);
      vectors.push(hexOf(found[0]?.value ?? new Uint8Array()));
    }
    expect(vectors.length).toBeGreaterThanOrEqual(4);
    expect(new Set(vectors).size).toBe(vectors.length);
  });
});

describe("nothing is hidden", () => {
  test.each<readonly [string, readonly Uint8Array[], "none" | "md5"]>([
    ["without a secret", [], "none"],
    ["without a secret, with digests", [], "md5"],
  ])("D21 %s", (_, secrets, digest) => {
    const { messages } = life(authentication({ secrets, digest, hidden: true }), authentication({ secrets, digest }));
    expect(hiddenTypes(messages)).toEqual([]);
  });

  test("D27 with two secrets, before the peer has shown which of them it has; then with that one", () => {
    for (const known of [SECRET, OTHER_SECRET]) {
      const both = authentication({ secrets: [SECRET, OTHER_SECRET], hidden: true });
      const one = authentication({ secrets: [known], hidden: true });
      const opening = life(both, one).messages;
      const sccrq = opening.filter(({ name }) => name === "SCCRQ");
      expect(hiddenTypes(sccrq)).toEqual([]);
      const later = saidBy(opening, A).filter(({ name }) => name !== "SCCRQ");
      expect([shownTypes(later), hiddenTypes(later).includes(ASSIGNED_COOKIE)]).toEqual([[], true]);
      for (const { octets } of later) expect(() => unhiddenByHand(octets, known)).not.toThrow();

      // The SCCRQ shows it to a responder, which therefore hides from its first message on.
      const answering = saidBy(life(one, both).messages, B);
      expect([shownTypes(answering), hiddenTypes(answering).includes(ASSIGNED_CCID)]).toEqual([[], true]);
    }
  });
});

test("D23 C08 what a retransmission hides says what it said before", () => {
  const lost = new Set(["SCCRQ", "SCCRP", "ICRQ", "ICRP"]);
  const { messages } = life(HIDDEN, HIDDEN, ({ link }) => {
    link.fate = () => (lost.delete(judge(link.datagrams, []).at(-1)?.name ?? "") ? [] : [LATENCY_MS]);
  });
  const key = ({ name, ns, from }: Judged) => [name, ns, from.address].join();
  const hiding = messages.filter(({ avps }) => avps.some(({ hidden }) => hidden));
  const pairs = hiding.flatMap((message) => {
    const first = hiding.find((other) => key(other) === key(message)) ?? message;
    return first === message ? [] : [[first, message] as const];
  });
  expect(pairs.length).toBeGreaterThanOrEqual(4);
  for (const [first, again] of pairs) {
    expect(again.digests).toEqual(["md5 0"]);
    expect(unhiddenByHand(again.octets, SECRET)).toEqual(unhiddenByHand(first.octets, SECRET));
  }
});

test("D21 D22 a refusal and a farewell are hidden too, and understood", () => {
  const world = sites(HIDDEN, HIDDEN);
  const { link, a, b } = world;
  b.receive({ type: "close", tunnel: "to-a" });
  link.start();
  link.run(100);
  expect(tunnelOf(a).lastError).toContain("closed by the administrator");
  b.receive({ type: "open", tunnel: "to-a" });
  // The SCCRP is lost, so the farewell has to name the connection by a hidden id.
  link.fate = ({ octets }) => (octets[19] === 2 ? [] : [LATENCY_MS]);
  expect(link.runUntil(() => tunnelOf(b).state === "wait-ctl-conn")).toBe(true);
  a.receive({ type: "close", tunnel: "to-b" });
  link.run(100);
  expect([tunnelOf(b).state, forged(a), forged(b), agreed(world)]).toEqual(["idle", 0, 0, false]);
  const farewell = judge(link.datagrams, [SECRET]).findLast(({ name, ccid }) => name === "StopCCN" && ccid === 0);
  expect([farewell?.from.address, hiddenTypes(farewell ? [farewell] : [])]).toEqual([A, [ASSIGNED_CCID]]);
});

describe("a peer's hidden AVPs", () => {
  /** Hidden Assigned Control Connection ID whose Original Length is a lie, as the key stream makes of zeros. */
  const nonsense = "c00e 0000 003d 0000 0000 0000 0000";
  const randomVector = "8016 0000 0024 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf";

  test.each([
    ["D21 hidden before any Random Vector", nonsense, 8, "hidden: vendor 0 attribute 61"],
    [
      "D24 with an original length that cannot be true",
      randomVector + nonsense,
      2,
      "wrong length: vendor 0 attribute 61",
    ],
    [
      "D26 a Host Name, which must not be hidden",
      `${randomVector}c00e 0000 0007 0000 0000 0000 0000`,
      8,
      "hidden: vendor 0 attribute 7",
    ],
  ])("%s: malformed, and with its M bit set the peer hears of it", (_, avps, error, message) => {
    const { link, node, peer } = facingSigned();
    peer.send(peer.sccrq(), { more: avps, without: avps.includes("0007") ? [7] : [ASSIGNED_CCID] });
    link.run(100);
    expect(peer.heard.map(({ name }) => name)).toEqual(["StopCCN"]);
    const expected = { result: 2, error, message: expect.stringContaining(message) };
    expect(peer.expect("StopCCN").avps.resultCode).toEqual(expected);
    expect(tunnelOf(node).state).toBe("idle");
  });
});
