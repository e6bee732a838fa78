import { expect, test } from "vitest";
import { A, B, lcce, tunnel } from "../../support/sites.ts";
import { VirtualLink } from "../../support/virtual-link.ts";

function sites() {
  const link = new VirtualLink();
  const a = link.add(A, lcce("site-a", tunnel("b", { role: "initiator", peer: B })));
  const b = link.add(B, lcce("site-b", tunnel("a", { role: "responder", peer: A })));
  link.start();
  return { link, a, b };
}

test("what one end sends is what the other receives, as long as nothing is lost", () => {
  const { link, a, b } = sites();
  expect(a.core.statistics()[0]?.window).toEqual({ peer: 4, congestion: 1, outstanding: 1, waiting: 0 });
  link.run(300_000);
  const [ofA, ofB] = [a, b].map(({ core }) => core.statistics()[0]);
  // SCCRQ, SCCCN, ICRQ, ICCN and a few HELLOs, with what acknowledges the peer's.
  expect(ofA?.messages.sent).toBeGreaterThanOrEqual(6);
  expect(ofA?.messages.sent).toBe(link.datagrams.filter(({ from }) => from.address === A).length);
  expect(ofB?.messages).toEqual({ sent: ofA?.messages.received, received: ofA?.messages.sent, retransmitted: 0 });
  expect(ofA).toMatchObject({ name: "b", established: 1, failed: 0, window: { peer: 16, outstanding: 0, waiting: 0 } });
  expect(ofA?.sessions).toEqual([{ name: "lan42", established: 1, failed: 0 }]);
});

test("what is sent again is counted, and a new connection goes on counting", () => {
  const { link, a } = sites();
  link.run(10_000);
  const before = a.core.statistics()[0]?.messages.sent ?? 0;
  link.fate = () => [];
  a.receive({ type: "close", tunnel: "b", session: "lan42" });
  a.receive({ type: "open", tunnel: "b", session: "lan42" });
  link.runUntil(() => a.core.view().tunnels[0]?.state !== "established");
  expect(a.core.statistics()[0]).toMatchObject({ established: 1, failed: 1, window: undefined });
  // The CDN went out first, then ten times again, and then once the StopCCN behind it.
  expect(a.core.statistics()[0]?.messages).toMatchObject({ sent: before + 12, retransmitted: 10 });
  link.fate = () => [10];
  link.runUntil(() => a.core.view().tunnels[0]?.sessions[0]?.state === "established");
  expect(a.core.statistics()[0]).toMatchObject({ established: 2 });
  expect(a.core.statistics()[0]?.sessions).toMatchObject([{ established: 2 }]);
});

test("a call that the peer refuses is a failure of the session, not of the tunnel", () => {
  const { link, a, b } = sites();
  b.datapath = { ...b.datapath, refuseSession: () => "no room" };
  link.run(5_000);
  const [statistics] = a.core.statistics();
  expect(statistics).toMatchObject({ established: 1, failed: 0 });
  expect(statistics?.sessions[0]).toMatchObject({ established: 0 });
  expect(statistics?.sessions[0]?.failed).toBeGreaterThan(0);
});
