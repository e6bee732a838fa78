import { describe, expect, test } from "vitest";
import type { TunnelConfiguration } from "../../src/control/configuration.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import { VirtualLink, type VirtualNode } from "../support/virtual-link.ts";

const REFUSAL = /another tunnel is up between these addresses and ports; local_port = 0 at one end tells them apart/;

type More = Partial<TunnelConfiguration>;

/** Two tunnels between the same two sites, each opened by another one. */
function twoTunnels({ one = {}, other = {} }: { readonly one?: More; readonly other?: More } = {}) {
  const link = new VirtualLink();
  const t1 = { sessions: [session("s1")], ...one };
  const t2 = { sessions: [session("s2")], ...other };
  const ofA = [
    tunnel("t1", { peer: B, role: "initiator", ...t1 }),
    tunnel("t2", { peer: B, role: "responder", ...t2 }),
  ];
  const ofB = [
    tunnel("t1", { peer: A, role: "responder", ...t1 }),
    tunnel("t2", { peer: A, role: "initiator", ...t2 }),
  ];
  const a = link.add(A, lcce("site-a", ...ofA));
  const b = link.add(B, lcce("site-b", ...ofB));
  return { link, a, b };
}

const statesOf = (node: VirtualNode) =>
  new Map(node.core.view().tunnels.map(({ name, state, lastError }) => [name, { state, lastError }]));
const up = (node: VirtualNode) =>
  [...statesOf(node)].filter(([, { state }]) => state === "established").map(([name]) => name);

describe("two tunnels between the same two UDP ports, whose data only one socket would get", () => {
  test("F08 opened one after the other: the second is refused in words, and comes up when the first is gone", () => {
    const { link, a, b } = twoTunnels();
    a.receive({ type: "start" });
    expect(link.runUntil(() => up(a).length === 1, 10_000)).toBe(true);
    b.receive({ type: "start" });
    link.runUntil(() => false, 30_000);
    expect([up(a), up(b)]).toEqual([["t1"], ["t1"]]);
    expect(statesOf(b).get("t2")?.lastError).toMatch(REFUSAL);
    a.receive({ type: "close", tunnel: "t1" });
    expect(link.runUntil(() => up(a).includes("t2") && up(b).includes("t2"), 200_000)).toBe(true);
  });

  test("F08 opened at once: in the end one is up at both ends, and the other says why it is not", () => {
    for (let delayMs = 0; delayMs < 40; delayMs += 3) {
      const { link, a, b } = twoTunnels();
      a.receive({ type: "start" });
      link.later(delayMs, () => b.receive({ type: "start" }));
      const settled = () => up(a).length === 1 && up(b).length === 1 && up(a)[0] === up(b)[0];
      expect(link.runUntil(settled, 120_000), `${delayMs} ms`).toBe(true);
      link.runUntil(() => false, 60_000);
      expect([settled(), a.raised.size, b.raised.size], `${delayMs} ms`).toEqual([true, 1, 1]);
      const [down] = up(a)[0] === "t1" ? ["t2"] : ["t1"];
      expect([a, b].some((node) => REFUSAL.test(statesOf(node).get(down)?.lastError ?? ""))).toBe(true);
    }
  });

  test.each<[string, { one?: More; other?: More }]>([
    ["from a port of its own", { one: { localPort: 0 } }],
    ["over IP", { one: { encapsulation: "ip" }, other: { encapsulation: "ip" } }],
    ["over UDP the one, over IP the other", { one: { encapsulation: "ip" } }],
  ])("F01 F08 %s: both come up", (_, settings) => {
    const { link, a, b } = twoTunnels(settings);
    for (const node of [a, b]) node.receive({ type: "start" });
    expect(link.runUntil(() => up(a).length === 2 && up(b).length === 2, 20_000)).toBe(true);
    link.runUntil(() => false, 60_000);
    expect([a.raised.size, b.raised.size]).toEqual([2, 2]);
  });
});
