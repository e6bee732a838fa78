import { describe, expect, test } from "vitest";
import {
  agreed,
  authentication,
  facingSigned,
  forged,
  OTHER_SECRET,
  SECRET,
  sites,
  up,
} from "../support/authenticated-sites.ts";
import { type Judged, judge } from "../support/digest-by-hand.ts";
import { tunnelOf } from "../support/scripted-peer.ts";
import { LATENCY_MS } from "../support/virtual-link.ts";
import { hexOf } from "../support/wire.ts";

const MESSAGE_DIGEST = 59;

/** A connection's life: two sessions, a HELLO, a CDN, a StopCCN. `lose` says what the wire swallows. */
function life(digest: "md5" | "sha1", lose: (message: Judged) => boolean = () => false) {
  const world = sites(authentication({ digest }), authentication({ digest }));
  const { link, a, b } = world;
  link.fate = () => (lose(judge(link.datagrams, [SECRET]).at(-1) as Judged) ? [] : [LATENCY_MS]);
  link.start();
  expect(up(world)).toBe(true);
  link.run(65_000);
  a.receive({ type: "close", tunnel: "to-b", session: "x" });
  link.run(1_000);
  a.receive({ type: "shutdown" });
  link.run(60_000);
  expect([forged(a), forged(b), tunnelOf(a).sessions.map(({ state }) => state)]).toEqual([0, 0, ["idle", "idle"]]);
  return judge(link.datagrams, [SECRET]);
}

/** Sequenced messages that were sent more than once, with all their copies. */
function retransmitted(messages: readonly Judged[]): readonly [Judged, ...Judged[]][] {
  const sent = new Map<string, [Judged, ...Judged[]]>();
  for (const message of messages.filter(({ name }) => name !== "ACK")) {
    const key = `${message.from.address} ${message.name} ${message.ns}`;
    const copies = sent.get(key);
    if (copies === undefined) sent.set(key, [message]);
    else copies.push(message);
  }
  return [...sent.values()].filter((copies) => copies.length > 1);
}

const EVERYTHING = ["ACK", "CDN", "HELLO", "ICCN", "ICRP", "ICRQ", "SCCCN", "SCCRP", "SCCRQ", "StopCCN"];

describe.each(["md5", "sha1"] as const)("every message carries a digest: %s", (digest) => {
  test("D02 D03 D04 D05 D06 D09 D10 A15 computed apart from RFC 3931 5.4.1, directly behind Message Type", () => {
    const messages = life(digest);
    expect([...new Set(messages.map(({ name }) => name))].sort()).toEqual(EVERYTHING);
    for (const { name, digests, avps, number } of messages) {
      expect(digests, `${number} ${name}`).toEqual([`${digest} 0`]);
      expect(avps.filter(({ type }) => type === MESSAGE_DIGEST)).toHaveLength(1);
    }
  });

  test("C08 D10 a retransmission has today's Nr and a digest over it", () => {
    const lost = new Set(["SCCRQ", "SCCRP", "SCCCN", "ICRQ", "ICRP", "ICCN", "HELLO", "CDN", "StopCCN"]);
    const messages = life(digest, ({ name }) => lost.delete(name));
    expect(lost.size).toBe(0);
    for (const { digests, name } of messages) expect(digests, name).toEqual([`${digest} 0`]);
    const repeated = retransmitted(messages);
    expect(repeated.length).toBeGreaterThanOrEqual(9);
    const pairs = repeated.flatMap(([first, ...others]) => others.map((other) => [first, other] as const));
    for (const [first, other] of pairs) {
      expect(hexOf(other.octets) === hexOf(first.octets), first.name).toBe(other.nr === first.nr);
    }
    const renewed = pairs.filter(([first, other]) => other.nr !== first.nr).length;
    expect(renewed).toBeGreaterThan(0);
  });
});

describe("nonces", () => {
  const nonces = (messages: readonly Judged[], name: string) =>
    messages.flatMap((message) =>
      message.name === name ? message.avps.filter(({ type }) => type === 73).map(({ value }) => hexOf(value)) : [],
    );

  test("D10 D18 of 16 octets in SCCRQ and SCCRP, and in no other message", () => {
    const messages = life("md5");
    expect([nonces(messages, "SCCRQ"), nonces(messages, "SCCRP")]).toEqual([
      [expect.stringMatching(/^[0-9a-f]{32}$/)],
      [expect.stringMatching(/^[0-9a-f]{32}$/)],
    ]);
    expect(messages.filter(({ avps }) => avps.some(({ type }) => type === 73))).toHaveLength(2);
  });

  test("D18 every attempt has its own, a retransmission the same", () => {
    const retransmit = { initialMs: 1_000, maxMs: 8_000, retries: 1, sccrqRetries: 1 };
    const { link } = sites(authentication(), authentication(), { retransmit });
    link.fate = () => [];
    link.start();
    link.run(60_000);
    const said = nonces(judge(link.datagrams, [SECRET]), "SCCRQ");
    expect(said.length).toBeGreaterThanOrEqual(8);
    expect(new Set(said).size).toBe(said.length / 2);
  });

  test("D18 a responder has another one for each connection", () => {
    const { link, peer } = facingSigned();
    for (let count = 0; count < 5; count++) {
      peer.connect();
      peer.restart();
    }
    const said = nonces(judge(link.datagrams, [SECRET]), "SCCRP");
    expect([said.length, new Set(said).size]).toEqual([5, 5]);
  });

  test("D18 an LCCE that has crashed has another one, and its new connection replaces the old", () => {
    const world = sites(authentication({ hidden: true }), authentication());
    const { link, a, b, configurationOfA } = world;
    link.start();
    expect(up(world)).toBe(true);
    const before = tunnelOf(b).localControlConnectionId;
    a.crash(configurationOfA, 77);
    a.receive({ type: "start" });
    expect(up(world)).toBe(true);
    expect(tunnelOf(b).localControlConnectionId).not.toBe(before);
    const said = judge(link.datagrams, [SECRET]);
    for (const name of ["SCCRQ", "SCCRP"]) expect(new Set(nonces(said, name)).size, name).toBe(2);
    expect([forged(a), forged(b)]).toEqual([0, 0]);
  });

  test("B45 a peer's nonce of any length is used as it is", () => {
    for (const length of [1, 16, 200]) {
      const { node, peer } = facingSigned();
      peer.nonce = Uint8Array.from({ length }, (_, index) => index);
      peer.connect();
      expect(tunnelOf(node).state, `${length} octets`).toBe("established");
    }
  });
});

describe("acknowledgements", () => {
  test("A15 A29 A30 an explicit ACK, never a ZLB, and it takes no Ns", () => {
    const messages = life("md5");
    expect(messages.filter(({ name }) => name === "ZLB")).toEqual([]);
    const acknowledgements = messages.filter(({ name }) => name === "ACK");
    expect(acknowledgements.length).toBeGreaterThan(3);
    for (const { from, ns, number, nr } of acknowledgements) {
      const next = messages.find((other) => other.number > number && other.from.address === from.address);
      if (next === undefined) continue;
      expect(next.ns, `after ${number}`).toBe(ns);
      expect(next.nr, `after ${number}`).toBeGreaterThanOrEqual(nr);
    }
  });

  test("A15 a peer's explicit ACK acknowledges, and its Ns counts for nothing", () => {
    const { link, node, peer } = facingSigned();
    peer.connect();
    const icrp = peer.call();
    for (let count = 0; count < 3; count++) peer.acknowledge();
    peer.forget();
    peer.send({ name: "HELLO" });
    link.run(100);
    const { header } = peer.expect("ACK", 100);
    expect([header.nr, peer.all("ICRP"), node.raised.size]).toEqual([peer.ns, [], 1]);
    expect(icrp.header.ns).toBe(1);
  });

  test("A29 a ZLB acknowledges nothing", () => {
    const { link, node, peer } = facingSigned();
    peer.connect();
    peer.polite = false;
    peer.send(peer.icrq());
    peer.expect("ICRP");
    peer.signing = false;
    peer.acknowledge();
    expect(forged(node)).toBe(0);
    link.run(LATENCY_MS);
    expect(forged(node)).toBe(1);
    expect(peer.expect("ICRP", 2_000).header.ns).toBe(1);
  });
});

describe("two digests", () => {
  test("D04 D17 one is right: both count as zero in it, whichever it is", () => {
    for (const secrets of [
      [SECRET, OTHER_SECRET],
      [OTHER_SECRET, SECRET],
    ]) {
      const { node, peer } = facingSigned();
      peer.secrets = secrets;
      peer.connect();
      expect(tunnelOf(node).state).toBe("established");
    }
  });

  test("D17 D19 none is right, or there are three: dropped", () => {
    for (const secrets of [
      [OTHER_SECRET, OTHER_SECRET],
      [SECRET, SECRET, SECRET],
    ]) {
      const { node, peer } = facingSigned();
      peer.secrets = secrets;
      peer.send(peer.sccrq());
      expect(peer.listen(60_000)).toEqual([]);
      expect([tunnelOf(node).state, forged(node)]).toEqual(["idle", 1]);
    }
  });
});

test("D06 each end may have its own kind of digest", () => {
  const world = sites(authentication({ digest: "md5" }), authentication({ digest: "sha1" }));
  world.link.start();
  expect(up(world)).toBe(true);
  const kinds = judge(world.link.datagrams, [SECRET]).map(({ from, digests }) => `${from.address} ${digests}`);
  expect([...new Set(kinds)].sort()).toEqual(["192.0.2.1 md5 0", "192.0.2.2 sha1 0"]);
  expect(agreed(world)).toBe(true);
});
