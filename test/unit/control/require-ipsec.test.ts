import { describe, expect, test } from "vitest";
import type { TunnelConfiguration } from "../../../src/control/configuration.ts";
import { lcce, tunnel } from "../../support/sites.ts";
import { VirtualLink, type VirtualNode } from "../../support/virtual-link.ts";

const FLAW = "require_ipsec: no IPsec policy protects that";

/** Node a opens, node b answers; only `a` or `b` demand IPsec, which both lack at first. */
function pair(ofA: Partial<TunnelConfiguration>, ofB: Partial<TunnelConfiguration>) {
  const link = new VirtualLink();
  const reconnect = { minMs: 1_000, maxMs: 60_000 };
  const a = link.add(
    "192.0.2.1",
    lcce("a", tunnel("to-b", { role: "initiator", peer: "192.0.2.2", reconnect, ...ofA })),
  );
  const b = link.add("192.0.2.2", lcce("b", tunnel("to-a", { role: "responder", peer: "192.0.2.1", ...ofB })));
  for (const node of [a, b]) node.ipsecFlaw = FLAW;
  return { link, a, b };
}

const viewOf = (node: VirtualNode) => node.core.view().tunnels[0];
const sentBy = ({ datagrams }: VirtualLink, { address }: VirtualNode) =>
  datagrams.filter(({ from }) => from.address === address).length;
const REQUIRED = { requireIpsec: true };

describe.each([{ encapsulation: "udp" }, { encapsulation: "ip" }] as const)("over $encapsulation", (how) => {
  test("an initiator sends nothing until the policy comes, and goes on then", () => {
    const { link, a, b } = pair({ ...REQUIRED, ...how }, how);
    link.start();
    link.run(20_000);
    expect(viewOf(a)).toMatchObject({ state: "idle", ipsec: "required", lastError: FLAW });
    expect(link.datagrams).toEqual([]);
    a.ipsecFlaw = "";
    a.receive({ type: "protection-found", tunnel: "to-b" });
    link.run(1_000);
    expect(viewOf(a)).toMatchObject({ state: "established", ipsec: "protected", lastError: "" });
    expect(viewOf(b)).toMatchObject({ state: "established", ipsec: "" });
  });

  test("a responder answers no SCCRQ until the policy is there, and speaks of it once a minute", () => {
    const { link, a, b } = pair(how, { ...REQUIRED, ...how, peer: undefined, peerHostname: "a" });
    link.start();
    link.run(50_000);
    expect(sentBy(link, b)).toBe(0);
    expect(sentBy(link, a)).toBeGreaterThan(3);
    expect(viewOf(b)).toMatchObject({ state: "idle", ipsec: "required", lastError: FLAW });
    const said = () => b.log.filter(({ event }) => event === "ipsec-missing");
    expect(said()).toMatchObject([{ level: "warn", tunnel: "to-a", message: `SCCRQ not answered: ${FLAW}` }]);
    link.run(60_000);
    expect(said().length).toBe(2);
    b.ipsecFlaw = "";
    expect(link.runUntil(() => viewOf(b)?.state === "established", 120_000)).toBe(true);
    expect(viewOf(b)).toMatchObject({ ipsec: "protected", lastError: "" });
  });

  test.each(["a", "b"] as const)("%s loses the policy: not a word more, and nothing stays in the datapath", (which) => {
    const { link, a, b } = pair({ ...REQUIRED, ...how }, { ...REQUIRED, ...how });
    for (const node of [a, b]) node.ipsecFlaw = "";
    link.start();
    link.run(1_000);
    const loser = which === "a" ? a : b;
    const { state, localControlConnectionId } = viewOf(loser) ?? { localControlConnectionId: 0 };
    expect([state, loser.datapathSessions.size]).toEqual(["established", 1]);
    const before = sentBy(link, loser);
    loser.ipsecFlaw = FLAW;
    loser.receive({ type: "protection-lost", localControlConnectionId, reason: "require_ipsec: gone" });
    link.run(200_000);
    expect(sentBy(link, loser)).toBe(before);
    expect([loser.tunnels.size, loser.datapathSessions.size, loser.sockets.size]).toEqual([0, 0, 0]);
    expect(viewOf(loser)).toMatchObject({
      state: "idle",
      ipsec: "required",
      lastError: expect.stringContaining("IPsec"),
    });
    loser.ipsecFlaw = "";
    loser.receive({ type: "protection-found", tunnel: which === "a" ? "to-b" : "to-a" });
    expect(link.runUntil(() => [a, b].every((node) => viewOf(node)?.state === "established"), 200_000)).toBe(true);
  });
});

test("a refusal is an answer too: a closed tunnel says nothing in clear", () => {
  const { link, a, b } = pair({}, REQUIRED);
  b.receive({ type: "close", tunnel: "to-a" });
  link.start();
  link.run(5_000);
  expect([sentBy(link, a) > 0, sentBy(link, b)]).toEqual([true, 0]);
  b.ipsecFlaw = "";
  expect(link.runUntil(() => sentBy(link, b) > 0, 30_000)).toBe(true);
});

test("who is no tunnel's peer hears nothing either, for it may be the peer under another name", () => {
  const { link, a, b } = pair({}, { ...REQUIRED, peer: undefined, peerHostname: "another" });
  link.start();
  link.run(5_000);
  expect([sentBy(link, a) > 0, sentBy(link, b)]).toEqual([true, 0]);
});

test("what is closing already says nothing more when the policy goes", () => {
  const { link, a, b } = pair(REQUIRED, {});
  a.ipsecFlaw = "";
  link.start();
  link.run(1_000);
  const { localControlConnectionId } = viewOf(a) ?? { localControlConnectionId: 0 };
  link.fate = () => [];
  a.receive({ type: "close", tunnel: "to-b" });
  a.receive({ type: "protection-lost", localControlConnectionId, reason: "gone" });
  const before = sentBy(link, a);
  link.run(60_000);
  expect([sentBy(link, a), a.sockets.size]).toEqual([before, 0]);
  expect(sentBy(link, b)).toBeGreaterThan(0);
});

test.each([false, true])("a static tunnel, watched: %s", (watched) => {
  const link = new VirtualLink();
  const numbers = { localTunnelId: 11, remoteTunnelId: 12, watched };
  const typedIn = tunnel("to-b", { static: numbers, role: "initiator", peer: "192.0.2.2", ...REQUIRED, sessions: [] });
  const a = link.add("192.0.2.1", lcce("a", typedIn));
  a.ipsecFlaw = FLAW;
  link.start();
  link.run(10_000);
  expect([viewOf(a)?.lastError, a.tunnels.size, link.datagrams.length]).toEqual([FLAW, 0, 0]);
  a.ipsecFlaw = "";
  a.receive({ type: "protection-found", tunnel: "to-b" });
  link.run(1_000);
  expect([a.tunnels.size, link.datagrams.length > 0]).toEqual([1, watched]);
  const before = link.datagrams.length;
  a.ipsecFlaw = FLAW;
  a.receive({ type: "protection-lost", localControlConnectionId: 11, reason: "gone" });
  link.run(10_000);
  expect([a.tunnels.size, link.datagrams.length]).toEqual([0, before]);
});
