import { describe, expect, test } from "vitest";
import type {
  AuthenticationConfiguration,
  SessionConfiguration,
  TunnelConfiguration,
} from "../../../src/control/configuration.ts";
import { Replay } from "../../../src/daemon/replay.ts";
import { authentication, forged, OTHER_SECRET, SECRET } from "../../support/authenticated-sites.ts";
import { courseOf, RecordedLcce } from "../../support/recorded-lcce.ts";
import { A, B, lcce, session, tunnel } from "../../support/sites.ts";
import { type Datagram, type Fate, SeededEntropy, VirtualLink, type VirtualNode } from "../../support/virtual-link.ts";

/** Typed in at both ends. */
const COOKIE = Uint8Array.from([0xd1, 0xce, 0xd1, 0xce, 0xb0, 0x0b, 0x1e, 0x55]);
const OFF = authentication({ secrets: [], digest: "none" });
const INTEGRITY = authentication({ secrets: [], digest: "md5" });
const EMPTY = authentication({ secrets: [new Uint8Array(0)] });
const SHA1 = authentication({ digest: "sha1" });
const HIDDEN = authentication({ hidden: true });
const OLD_AND_NEW = authentication({ secrets: [OTHER_SECRET, SECRET], hidden: true });
const NEW_AND_OLD = authentication({ secrets: [SECRET, OTHER_SECRET], digest: "sha1", hidden: true });

interface World {
  readonly link: VirtualLink;
  readonly a: VirtualNode;
  readonly b: VirtualNode;
  readonly recorded: readonly RecordedLcce[];
  /** Both sessions were up at both ends. */
  wasUp: boolean;
}

/** A fifth lost, some twice, all out of order; beside them damaged and made up ones, if nothing else tells these. */
function badLink(world: Omit<World, "wasUp">, protectedBy: AuthenticationConfiguration, seed: number): Fate {
  const { link, a, b } = world;
  const chance = new SeededEntropy(seed);
  const roll = (sides: number) => chance.uint32() % sides;
  return (datagram) => {
    const target = datagram.to.address === A ? a : b;
    if (roll(3) === 0) {
      const octets = disturbed(datagram, roll(protectedBy.digest === "none" ? 2 : 4), chance);
      link.later(1 + roll(60), () => target.deliver(datagram.from, datagram.to, octets));
    }
    if (roll(5) === 0) return [];
    return roll(10) === 0 ? [1 + roll(60), 1 + roll(60)] : [1 + roll(60)];
  };
}

/** Cut off; with noise behind its end, which does it no harm; damaged; without a digest and for nobody. */
function disturbed({ octets }: Datagram, kind: number, chance: SeededEntropy): Uint8Array {
  if (kind === 0) return octets.subarray(0, 5 + (chance.uint32() % 20));
  if (kind === 1) return Uint8Array.from([...octets, ...SECRET, ...chance.octets(20)]);
  const damaged = octets.slice();
  const where = kind === 2 ? octets.length - 1 - (chance.uint32() % (octets.length - 8)) : 4;
  damaged[where] = (damaged[where] ?? 0) ^ 0x10;
  return damaged;
}

/** Another configuration: a session and a tunnel that are typed in come, another one changes, and is put back. */
function reload(node: VirtualNode, toB: TunnelConfiguration, other: TunnelConfiguration): void {
  const [x, y] = toB.sessions as readonly [SessionConfiguration, SessionConfiguration];
  const numbers = { localSessionId: 7, remoteSessionId: 8, localCookie: COOKIE, remoteCookie: COOKIE };
  const typedIn = tunnel("typed", {
    static: { localTunnelId: 7, remoteTunnelId: 8, watched: false },
    role: "initiator",
    peer: "192.0.2.4",
    sessions: [session("wire", { static: numbers })],
  });
  const sessions = [{ ...x, addresses: ["10.0.0.1/30"] }, session("z")];
  node.receive({ type: "configuration-changed", tunnels: [{ ...toB, helloIntervalMs: 3_000, sessions }, typedIn] });
  node.receive({ type: "configuration-changed", tunnels: [{ ...toB, sessions: [x, y] }, other, typedIn] });
}

/** A life with everything in it: a bad link, sessions both ways, HELLOs, a close, a restart of a peer, an end. */
function life(ofA: AuthenticationConfiguration, ofB: AuthenticationConfiguration, seed: number): World {
  const link = new VirtualLink();
  const x = session("x", { call: "both" });
  const y = session("y", { call: "responder", cookieSize: 4 });
  const toB = tunnel("to-b", { peer: B, authentication: ofA, sessions: [x, { ...y, callType: "incoming" }] });
  const toA = tunnel("to-a", { peer: A, authentication: ofB, sessions: [x, { ...y, call: "initiator" }] });
  const other = tunnel("other", { role: "responder", peer: "192.0.2.3", authentication: HIDDEN });
  const [siteA, siteB] = [lcce("site-a", toB, other), lcce("site-b", toA)];
  const [a, b] = [link.add(A, siteA), link.add(B, siteB)];
  const recorded = [RecordedLcce.record(siteA, seed, link.now), RecordedLcce.record(siteB, seed + 1_000, link.now)];
  for (const [index, node] of [a, b].entries()) node.core = recorded[index] as RecordedLcce;
  const world = { link, a, b, recorded, wasUp: false };
  link.fate = badLink(world, ofA, seed);
  link.start();
  world.wasUp = link.runUntil(() => a.raised.size === 2 && b.raised.size === 2, 300_000);
  link.run(130_000);
  a.receive({ type: "close", tunnel: "to-b", session: "x" });
  link.run(5_000);
  a.receive({ type: "open", tunnel: "to-b", session: "x" });
  b.crash(siteB, seed + 2_000);
  const again = RecordedLcce.record(siteB, seed + 3_000, link.now);
  b.core = again;
  b.receive({ type: "start" });
  link.run(60_000);
  reload(a, toB, other);
  link.run(20_000);
  // A stranger, and somebody who does not know the secret.
  const sccrq = link.datagrams.find(({ from, octets }) => from.address === A && octets.length > 12)?.octets;
  if (sccrq !== undefined) {
    b.deliver({ address: "192.0.2.9", port: 1701 }, { address: B, port: 1701 }, sccrq);
    a.deliver({ address: "192.0.2.3", port: 1701 }, { address: A, port: 1701 }, sccrq);
  }
  a.receive({ type: "shutdown" });
  link.run(40_000);
  return { ...world, recorded: [...recorded, again] };
}

type Row = readonly [name: string, ofA: AuthenticationConfiguration, ofB: AuthenticationConfiguration];
const ROWS: readonly Row[] = [
  ["no authentication", OFF, OFF],
  ["integrity check", INTEGRITY, INTEGRITY],
  ["the empty secret", EMPTY, EMPTY],
  ["MD5 and hiding, SHA-1", HIDDEN, SHA1],
  ["one of two secrets", OLD_AND_NEW, authentication({ hidden: true })],
  ["two secrets each", OLD_AND_NEW, NEW_AND_OLD],
];

describe.each(ROWS)("a recording: %s", (_, ofA, ofB) => {
  const worlds = [1, 2, 3].map((seed) => life(ofA, ofB, seed));

  test("replays as what it was: states, messages, log, and everything else that the core asks for", () => {
    for (const { recorded, wasUp } of worlds) {
      expect(wasUp).toBe(true);
      for (const { lines, steps } of recorded) {
        const replay = new Replay(lines[0] ?? "");
        const replayed = lines.slice(1).map((line) => replay.step(line));
        expect(replayed.length).toBe(steps.length);
        for (const [index, { at, input, effects, failure }] of replayed.entries()) {
          expect(failure).toBeUndefined();
          const real = steps[index];
          expect({ at, effects: courseOf(effects, replay.secrets) }).toEqual({
            at: real?.at,
            effects: courseOf(real?.effects, [...ofA.secrets, ...ofB.secrets]),
          });
          expect(input?.type).toBe(real?.input?.type);
        }
      }
    }
  });

  test("ends in the same view", () => {
    for (const core of worlds.flatMap(({ recorded }) => recorded)) {
      const replay = new Replay(core.lines[0] ?? "");
      for (const line of core.lines.slice(1)) replay.step(line);
      expect(replay.view()).toEqual(core.view());
    }
  });

  test("has messages in it that were dropped because of their digest", () => {
    expect(worlds.every(({ a }) => forged(a) > 0)).toBe(ofA.digest !== "none");
  });

  test("holds no secret, nonce, cookie or digest, in no writing", () => {
    for (const { recorded, link } of worlds) {
      const drawn = recorded.flatMap(({ secretsDrawn }) => secretsDrawn).filter(({ length }) => length >= 8);
      const digests = ofA.secrets.some(({ length }) => length > 0) ? link.datagrams.flatMap(digestOf) : [];
      if (ofA.secrets.length > 0) expect(drawn.length).toBeGreaterThan(4);
      for (const { lines } of recorded) {
        const text = lines.join("\n");
        const found = [SECRET, OTHER_SECRET, COOKIE, ...drawn, ...digests]
          .flatMap(writingsOf)
          .filter((it) => text.includes(it));
        expect(found).toEqual([]);
      }
    }
  });
});

function writingsOf(secret: Uint8Array): readonly string[] {
  const octets = Buffer.from(secret);
  const base64 = octets.toString("base64").replace(/.=*$/, "");
  return [octets.toString("hex"), base64, octets.toString("latin1"), octets.join(",")];
}

/** What a digest directly behind Message Type holds. */
function digestOf({ octets }: Datagram): readonly Uint8Array[] {
  const isDigest = octets.length > 26 && octets[24] === 0 && octets[25] === 59;
  return isDigest ? [octets.subarray(27, 20 + (octets[21] ?? 0))] : [];
}
