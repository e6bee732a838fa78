import { expect, test } from "vitest";
import { ascii } from "../support/digest-by-hand.ts";
import { facing, tunnelOf } from "../support/scripted-peer.ts";

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
