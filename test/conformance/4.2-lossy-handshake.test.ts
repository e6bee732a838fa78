import { describe, expect, test } from "vitest";
import type { AuthenticationConfiguration, TunnelConfiguration } from "../../src/control/configuration.ts";
import { authentication, forged, OTHER_SECRET, SECRET } from "../support/authenticated-sites.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import { type Fate, SeededEntropy, VirtualLink, type VirtualNode } from "../support/virtual-link.ts";

/** `npm run mutants` is content with fewer. */
const RUNS = Number(process.env["LOSSY_RUNS"] ?? 10_000);
const AUTHENTICATED_RUNS = RUNS / 10;

/** 30 % lost; of the rest every tenth comes twice; delays of 1 to 60 ms put datagrams out of order. */
function badLink(chance: SeededEntropy): Fate {
  const roll = (sides: number) => chance.uint32() % sides;
  return () => {
    if (roll(10) < 3) return [];
    const delayMs = 1 + roll(60);
    return roll(10) === 0 ? [delayMs, 1 + roll(60)] : [delayMs];
  };
}

const RETRANSMIT = { initialMs: 1_000, maxMs: 8_000, retries: 10, sccrqRetries: 10 };

/** Who opens and who calls: every combination that can come up. */
const ROLES: readonly (readonly [Partial<TunnelConfiguration>, Partial<TunnelConfiguration>])[] = [
  [{ role: "initiator" }, { role: "responder" }],
  [{ role: "both" }, { role: "both" }],
  [{ role: "both" }, { role: "responder" }],
  [{ role: "initiator" }, { role: "initiator" }],
];
const CALLS = [
  [undefined, undefined],
  ["both", "both"],
  ["responder", "initiator"],
] as const;

/** Neither end, or both: hiding or not, with either kind of digest, in the middle of a change of the secret or not. */
type Policy = (seed: number, end: "a" | "b") => Pick<TunnelConfiguration, "authentication"> | undefined;

const SECRETS: readonly (readonly Uint8Array[])[] = [[SECRET], [SECRET, OTHER_SECRET], [OTHER_SECRET, SECRET]];

function authenticated(seed: number, end: "a" | "b") {
  const chance = new SeededEntropy(end === "a" ? seed : seed + AUTHENTICATED_RUNS);
  // Its first numbers are alike for neighbouring seeds.
  chance.octets(16);
  const secrets = SECRETS[chance.uint32() % SECRETS.length] as AuthenticationConfiguration["secrets"];
  const digest = chance.uint32() % 2 === 0 ? "md5" : "sha1";
  return { authentication: authentication({ secrets, digest, hidden: chance.uint32() % 2 === 0 }) };
}

function pair(seed: number, policy: Policy): { link: VirtualLink; a: VirtualNode; b: VirtualNode } {
  const link = new VirtualLink();
  link.fate = badLink(new SeededEntropy(seed));
  const [left, right] = ROLES[seed % ROLES.length] as (typeof ROLES)[number];
  const [callA, callB] = CALLS[Math.floor(seed / ROLES.length) % CALLS.length] as (typeof CALLS)[number];
  const ofA = [session("x", { call: callA, cookieSize: 4 }), session("y", { call: callA, cookieSize: 0 })];
  const ofB = [session("x", { call: callB }), session("y", { call: callB })];
  const a = link.add(
    A,
    lcce("site-a", tunnel("to-b", { peer: B, retransmit: RETRANSMIT, sessions: ofA, ...left, ...policy(seed, "a") })),
    seed,
  );
  const b = link.add(
    B,
    lcce("site-b", tunnel("to-a", { peer: A, retransmit: RETRANSMIT, sessions: ofB, ...right, ...policy(seed, "b") })),
    seed,
  );
  return { link, a, b };
}

/** Both ends are up and hold the same ids and cookies crosswise; nothing else is in the datapath. */
function agree(a: VirtualNode, b: VirtualNode): boolean {
  if (a.raised.size !== 2 || b.raised.size !== 2 || a.tunnels.size !== 1 || b.tunnels.size !== 1) return false;
  const remote = new Map([...b.datapathSessions.values()].map((parameters) => [parameters.localSessionId, parameters]));
  return [...a.datapathSessions.values()].every((mine) => {
    const theirs = remote.get(mine.remoteSessionId);
    return (
      theirs?.remoteSessionId === mine.localSessionId &&
      theirs.interfaceName === mine.interfaceName &&
      String(theirs.localCookie) === String(mine.remoteCookie) &&
      String(theirs.remoteCookie) === String(mine.localCookie)
    );
  });
}

function leftovers(node: VirtualNode): readonly number[] {
  return [node.tunnels.size, node.datapathSessions.size, node.raised.size, node.sockets.size];
}

/** Up, in agreement, down, and nothing left over. */
function lifeOverBadLink(seed: number, policy: Policy): { readonly a: VirtualNode; readonly b: VirtualNode } {
  const { link, a, b } = pair(seed, policy);
  link.start();
  const up = link.runUntil(() => agree(a, b), 1_800_000);
  expect(up, `seed ${seed}: not up after ${link.now} ms`).toBe(true);
  a.receive({ type: "shutdown" });
  const stopped = link.runUntil(() => a.core.idle() && leftovers(b)[0] === 0, 1_800_000);
  expect(stopped, `seed ${seed}: not stopped`).toBe(true);
  b.receive({ type: "shutdown" });
  link.runUntil(() => false, 300_000);
  expect([leftovers(a), leftovers(b)], `seed ${seed}`).toEqual([
    [0, 0, 0, 0],
    [0, 0, 0, 0],
  ]);
  expect([a.core.nextDeadline(), b.core.nextDeadline()], `seed ${seed}`).toEqual([undefined, undefined]);
  return { a, b };
}

describe("on a link that loses 30 % each way, duplicates and reorders", () => {
  test(`C07 ${RUNS} seeded runs: both ends come up, agree, stop, and nothing leaks`, () => {
    for (let seed = 1; seed <= RUNS; seed++) lifeOverBadLink(seed, () => undefined);
  });

  test(`D02 D17 D21 ${AUTHENTICATED_RUNS} seeded runs with secrets: the same, and no digest is ever wrong`, () => {
    for (let seed = 1; seed <= AUTHENTICATED_RUNS; seed++) {
      const { a, b } = lifeOverBadLink(seed, authenticated);
      expect([forged(a), forged(b)], `seed ${seed}`).toEqual([0, 0]);
    }
  });
});
