import { expect, test } from "vitest";
import { A, B, lcce, session, tunnel } from "../../support/sites.ts";
import { VirtualLink, type VirtualNode } from "../../support/virtual-link.ts";

function sites(call: "both" | undefined): { link: VirtualLink; a: VirtualNode; b: VirtualNode } {
  const link = new VirtualLink();
  const sessions = [session("lan42", { call })];
  const a = link.add(A, lcce("site-a", tunnel("b", { role: "initiator", peer: B, sessions })));
  const b = link.add(B, lcce("site-b", tunnel("a", { role: "responder", peer: A, sessions })));
  link.start();
  link.runUntil(() => a.raised.size === 1 && b.raised.size === 1);
  return { link, a, b };
}

const sessionOf = (node: VirtualNode) => node.core.view().tunnels[0]?.sessions[0];

test("a session whose device is lost is closed with a CDN at both ends, and comes back by itself", () => {
  for (const call of ["both", undefined] as const) {
    const { link, a, b } = sites(call);
    for (const node of [a, b]) {
      const localSessionId = sessionOf(node)?.localSessionId ?? 0;
      node.receive({ type: "session-refused", localSessionId, reason: "interface l2-lan42 was removed" });
      expect(sessionOf(node)).toMatchObject({ state: "idle", lastError: "interface l2-lan42 was removed" });
      expect(link.runUntil(() => a.raised.size === 0 && b.raised.size === 0, 1_000)).toBe(true);
      const up = () => sessionOf(a)?.state === "established" && sessionOf(b)?.state === "established";
      expect(link.runUntil(up, 10_000), `${call}, ${node.address}`).toBe(true);
    }
  }
});

test("an ICRP that asks for too much leaves its own reason behind, not an older one", () => {
  const link = new VirtualLink();
  const a = link.add(A, lcce("site-a", tunnel("b", { role: "initiator", peer: B })));
  const b = link.add(B, lcce("site-b", tunnel("a", { role: "responder", peer: A })));
  b.datapath = { ...b.datapath, refuseSession: () => "no room" };
  link.start();
  link.runUntil(() => sessionOf(a)?.lastError.includes("no room") === true);
  b.datapath = { ...b.datapath, refuseSession: () => undefined };
  a.datapath = { ...a.datapath, refuseSession: () => "interface l2-lan42 exists already" };
  link.runUntil(() => sessionOf(a)?.lastError.includes("exists already") === true, 60_000);
  link.run(50);
  expect(sessionOf(a)?.lastError).toBe("interface l2-lan42 exists already");
  expect(sessionOf(b)?.lastError).toContain("interface l2-lan42 exists already");
});

test("nothing is opened any more once the daemon ends", () => {
  const { link, a, b } = sites(undefined);
  link.fate = () => [];
  a.receive({ type: "shutdown" });
  a.receive({ type: "open", tunnel: "b" });
  link.run(200_000);
  expect([a.core.idle(), a.core.view().tunnels[0]?.state]).toEqual([true, "idle"]);
  expect(b.core.idle()).toBe(true);
});

test("a name that cannot be resolved while the tunnel is up is no failure of the tunnel", () => {
  const { a } = sites(undefined);
  a.receive({ type: "peer-unresolved", tunnel: "b", reason: "no such name" });
  expect(a.core.view().tunnels[0]).toMatchObject({ state: "established", lastError: "" });
});

test("a peer's text cannot steer the operator's terminal", () => {
  const link = new VirtualLink();
  const a = link.add(A, lcce("site-a", tunnel("b", { role: "initiator", peer: B })));
  const b = link.add(B, lcce("site-b", tunnel("a", { role: "responder", peer: A })));
  b.datapath = { ...b.datapath, refuseSession: () => "\u001b[2Jcleared\nand a line of its own" };
  link.start();
  link.runUntil(() => sessionOf(a)?.lastError !== "");
  expect(sessionOf(a)?.lastError).toContain("?[2Jcleared?and a line of its own");
});
