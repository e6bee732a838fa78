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

/** Puts a core in the place of the node's that knows nothing but what the old one had written out. */
function reincarnate(node: VirtualNode, link: VirtualLink, chance: SeededEntropy, sites: Configurations): void {
  const octets = serialize(node.core.save());
  const configuration = sites[node.address === A ? A : B];
  node.core = new Lcce(configuration, chance, link.now, deserialize(octets));
}

describe("a core that is written out and read back before every event behaves like one that never was", () => {
  test.each(PAIRS)("%s", (_, sites) => {
    for (let seed = 1; seed <= 50; seed++) {
      const [plain, revived] = [run(seed, false, sites), run(seed, true, sites)];
      expect(revived, `seed ${seed}`).toEqual(plain);
    }
  });
});

/** Sets up over a bad link, stays for a while, stops; returns everything that was sent. */
function run(seed: number, reviving: boolean, sites: Configurations): readonly string[] {
  const link = new VirtualLink();
  const chance = new SeededEntropy(seed);
  link.fate = () => (chance.uint32() % 5 === 0 ? [] : [1 + (chance.uint32() % 50)]);
  const a = link.add(A, sites[A], seed);
  const b = link.add(B, sites[B], seed);
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
  return link.datagrams.map(({ at, from, to, octets }) => `${at} ${from.address} ${to.address} ${octets.join(".")}`);
}
