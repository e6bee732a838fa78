import { expect, test } from "vitest";
import { A, B, lcce, session, tunnel } from "../../support/sites.ts";
import { VirtualLink, type VirtualNode } from "../../support/virtual-link.ts";

const COUNT = 300;

function manySessions(): { link: VirtualLink; a: VirtualNode; b: VirtualNode } {
  const link = new VirtualLink();
  // A cycle of 0.4 s, while the window of 4 lets 300 calls through in some 3 s.
  const retransmit = { initialMs: 100, maxMs: 100, retries: 3, sccrqRetries: 3 };
  const sessions = Array.from({ length: COUNT }, (_, index) => session(`s${index}`));
  const options = { retransmit, sessions, receiveWindow: 4 };
  const a = link.add(A, lcce("site-a", tunnel("b", { ...options, role: "initiator", peer: B })));
  const b = link.add(B, lcce("site-b", tunnel("a", { ...options, role: "responder", peer: A })));
  link.start();
  return { link, a, b };
}

test("E10 calls that wait behind a small window are not given up, however long that takes", () => {
  const { link, a, b } = manySessions();
  expect(link.runUntil(() => a.raised.size === COUNT && b.raised.size === COUNT, 30_000)).toBe(true);
  expect(link.now).toBeGreaterThan(1_000);
  expect([...a.log, ...b.log].filter(({ level }) => level === "warn")).toEqual([]);
});

test("a call that is closed before its ICRQ was sent is never heard of, and can be placed again", () => {
  const { link, a, b } = manySessions();
  link.runUntil(() => a.raised.size === 10);
  a.receive({ type: "close", tunnel: "b", session: "s250" });
  expect(link.runUntil(() => a.raised.size === COUNT - 1 && b.raised.size === COUNT - 1, 30_000)).toBe(true);
  link.run(1_000);
  expect([...a.log, ...b.log].filter(({ event }) => event === "unknown-session")).toEqual([]);
  expect(b.core.view().tunnels[0]?.sessions[250]).toMatchObject({ state: "idle", lastError: "" });
  a.receive({ type: "open", tunnel: "b", session: "s250" });
  expect(link.runUntil(() => a.raised.size === COUNT && b.raised.size === COUNT, 30_000)).toBe(true);
});
