import { expect, test } from "vitest";
import { ascii } from "../support/digest-by-hand.ts";
import { facing, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import { VirtualLink } from "../support/virtual-link.ts";

test("C24 a peer that asks and acknowledges nothing is not listened to for ever", () => {
  const { link, node, peer } = facing();
  peer.connect();
  peer.polite = false;
  const refused = () => node.core.save().connections[0]?.channel.waiting.length ?? 0;
  for (let i = 0; i < 5_000; i++) peer.send(peer.icrq({ remoteEndId: ascii("nobody") }));
  link.run(1_000);
  expect(refused()).toBeGreaterThan(500);
  expect(refused()).toBeLessThanOrEqual(1_024);
  // It is let go of properly even so.
  peer.send(
    { name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid },
    { ns: nextNs(node) },
  );
  link.run(100);
  expect(tunnelOf(node).state).toBe("idle");
});

function nextNs(node: ReturnType<typeof facing>["node"]): number {
  return node.core.save().connections[0]?.channel.nr ?? -1;
}

test("C07 C14 two ends that both have much to say at once listen to each other", () => {
  const link = new VirtualLink();
  const sessions = Array.from({ length: 1_100 }, (_, index) => session(`pw${index}`, { circuit: "eth9" }));
  const a = link.add(A, lcce("site-a", tunnel("to-b", { peer: B, role: "initiator", sessions })), 1);
  const b = link.add(B, lcce("site-b", tunnel("to-a", { peer: A, role: "responder", sessions })), 2);
  link.start();
  link.run(60_000);
  for (const node of [a, b]) node.receive({ type: "circuit", interfaceName: "eth9", condition: "no-carrier" });
  expect(a.core.save().connections[0]?.channel.waiting.length).toBeGreaterThan(1_024);
  link.run(60_000);
  for (const node of [a, b]) {
    const told = node.core.view().tunnels[0]?.sessions.filter(({ remoteCircuitActive }) => !remoteCircuitActive);
    expect(told).toHaveLength(1_100);
    expect(node.log.filter(({ event }) => event === "control-connection-failed")).toEqual([]);
  }
});

test("C24 what a peer that acknowledges nothing asks for in vain has arrived all the same", () => {
  const { link, node, peer } = facing();
  peer.connect();
  peer.polite = false;
  for (let i = 0; i < 2_000; i++) peer.send(peer.icrq({ remoteEndId: ascii("nobody") }));
  link.run(1_000);
  const saidBefore = peer.ns;
  expect(nextNs(node)).toBe(saidBefore);
  // Neither do its answers to what nobody has asked.
  for (let i = 0; i < 2_000; i++) {
    peer.send({ name: "ICRP", localSessionId: 7, remoteSessionId: 9_999, circuitStatus: 1 });
  }
  link.run(1_000);
  expect(node.core.save().connections[0]?.channel.waiting.length).toBeLessThanOrEqual(1_024);
  expect(tunnelOf(node).state).toBe("established");
});
