import { deserialize, serialize } from "node:v8";
import { describe, expect, test } from "vitest";
import type { LcceConfiguration, TunnelConfiguration } from "../../../src/control/configuration.ts";
import { Lcce } from "../../../src/control/lcce.ts";
import { authentication, OTHER_SECRET, SECRET } from "../../support/authenticated-sites.ts";
import { A, B, lcce, session, tunnel } from "../../support/sites.ts";
import { SeededEntropy, VirtualLink, type VirtualNode } from "../../support/virtual-link.ts";

const SESSIONS = [session("x"), session("y", { cookieSize: 4 })];

type Policy = Pick<TunnelConfiguration, "authentication"> | undefined;
type Configurations = Readonly<Record<typeof A | typeof B, LcceConfiguration>>;

function configurations(ofA: Policy, ofB: Policy): Configurations {
  return {
    [A]: lcce("site-a", tunnel("b", { peer: B, sessions: SESSIONS, ...ofA })),
    [B]: lcce("site-b", tunnel("a", { peer: A, sessions: SESSIONS, ...ofB })),
  };
}

const BOTH_SECRETS = authentication({ secrets: [OTHER_SECRET, SECRET], digest: "sha1", hidden: true });
const PAIRS: readonly (readonly [string, Configurations])[] = [
  ["without authentication", configurations(undefined, undefined)],
  [
    "with secrets and hiding",
    configurations({ authentication: BOTH_SECRETS }, { authentication: authentication({ hidden: true }) }),
  ],
];

/** Nothing is negotiated: ids are typed in. HELLO, where there is any, finds the peer dead now and then. */
function typedIn(watched: boolean): Configurations {
  const at = (own: number, other: number, peer: string) => {
    const numbers = { localSessionId: own, remoteSessionId: other, localCookie: COOKIE, remoteCookie: COOKIE };
    return tunnel("static", {
      peer,
      role: "initiator",
      static: { localTunnelId: own, remoteTunnelId: other, watched },
      helloIntervalMs: 5_000,
      retransmit: { initialMs: 100, maxMs: 8_000, retries: 1, sccrqRetries: 1 },
      sessions: [session("x", { static: numbers })],
    });
  };
  return { [A]: lcce("site-a", at(1, 2, B)), [B]: lcce("site-b", at(2, 1, A)) };
}

const COOKIE = Uint8Array.of(1, 2, 3, 4);
const STATIC_PAIRS = [
  ["I27 static", typedIn(false)],
  ["I27 hello-only", typedIn(true)],
] as const;

/** Puts a core in the place of the node's that knows nothing but what the old one had written out. */
function reincarnate(node: VirtualNode, link: VirtualLink, chance: SeededEntropy, sites: Configurations): void {
  const octets = serialize(node.core.save());
  const configuration = sites[node.address === A ? A : B];
  node.core = new Lcce(configuration, chance, link.now, deserialize(octets));
}

describe("a core that is written out and read back before every event behaves like one that never was", () => {
  test.each([...PAIRS.map((pair) => [...pair, 50] as const), ...STATIC_PAIRS.map((pair) => [...pair, 10] as const)])(
    "%s",
    (_, sites, seeds) => {
      for (let seed = 1; seed <= seeds; seed++) {
        const [plain, revived] = [run(seed, false, sites), run(seed, true, sites)];
        expect(revived, `seed ${seed}`).toEqual(plain);
      }
    },
  );
});

describe("a core that takes static tunnels over", () => {
  test.each(STATIC_PAIRS)("%s: asks the datapath for nothing again, and goes on with HELLO", (name, sites) => {
    const link = new VirtualLink();
    const nodes = [link.add(A, sites[A]), link.add(B, sites[B])];
    link.start();
    const isUp = () => nodes.every(({ raised }) => raised.size === 1);
    expect(link.runUntil(isUp, 10_000)).toBe(true);
    const asked: string[] = [];
    for (const node of nodes) traceEffects(node, link, asked);
    for (const [index, node] of nodes.entries()) reincarnate(node, link, new SeededEntropy(7 + index), sites);
    expect(nodes.map(({ core }) => core.view().tunnels[0]?.sessions[0]?.state)).toEqual(["established", "established"]);
    const before = link.datagrams.length;
    link.run(60_000);
    // Before a HELLO it asks whether data has come.
    const harmless = /(?:send|query-activity)$/;
    expect(asked.filter((effect) => !harmless.test(effect))).toEqual([]);
    // In each direction one every 5 s; those of the other end are heard, and put ours off.
    expect(link.datagrams.length - before).toBeGreaterThanOrEqual(name.includes("hello-only") ? 12 : 0);
    expect(isUp()).toBe(true);

    const [a] = nodes;
    a?.receive({ type: "close", tunnel: "static" });
    expect(asked.filter((effect) => effect.includes("-tunnel"))).toEqual([`${link.now} ${A} delete-tunnel`]);
    expect(a?.datapathSessions.size).toBe(0);
  });
});

/** What the core asks for from now on, but for what it says in the log. */
function traceEffects(node: VirtualNode, link: VirtualLink, effects: string[]): void {
  const perform = node.perform.bind(node);
  node.perform = (all) => {
    for (const { type } of all) if (type !== "log") effects.push(`${link.now} ${node.address} ${type}`);
    perform(all);
  };
}

/** Sets up over a bad link, stays for a while, stops; returns everything that was sent and asked for. */
function run(seed: number, reviving: boolean, sites: Configurations): readonly string[] {
  const link = new VirtualLink();
  const chance = new SeededEntropy(seed);
  link.fate = () => (chance.uint32() % 5 === 0 ? [] : [1 + (chance.uint32() % 50)]);
  const a = link.add(A, sites[A], seed);
  const b = link.add(B, sites[B], seed);
  const effects: string[] = [];
  for (const node of [a, b]) traceEffects(node, link, effects);
  // The same chance goes on after a change of core: it is not part of what is saved.
  const chances = new Map([a, b].map((node, index) => [node, new SeededEntropy(seed + 100 * (index + 1))]));
  const change = () => {
    for (const [node, entropy] of chances) reincarnate(node, link, entropy, sites);
  };
  change();
  link.start();
  const step = () => {
    if (reviving) change();
    return false;
  };
  link.runUntil(step, 200_000);
  a.receive({ type: "shutdown" });
  link.runUntil(step, 200_000);
  const sent = link.datagrams.map(({ at, from, to, octets }) =>
    [at, from.address, to.address, octets.join(".")].join(" "),
  );
  return [...sent, ...effects];
}
