import { expect, test } from "vitest";
import { Lcce } from "../../../src/control/lcce.ts";
import { authentication } from "../../support/authenticated-sites.ts";
import { facing, internalErrors, tunnelOf } from "../../support/scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "../../support/sites.ts";
import { VirtualLink } from "../../support/virtual-link.ts";

test("an error of ours while a message is dealt with ends that connection with a StopCCN, and nothing else", () => {
  const { link, node, peer } = facing();
  peer.connect();
  const configuration = lcce("site-b", tunnel("to-peer", { peer: A, role: "responder" }));
  // The cookie of the next session cannot be drawn.
  const exhausted = () => {
    throw new Error("no entropy left");
  };
  const entropy = { uint32: () => 0x0badcafe, octets: exhausted, secretOctets: exhausted };
  node.core = new Lcce(configuration, entropy, link.now, node.core.save());
  peer.send(peer.icrq());
  expect(peer.expect("StopCCN").avps.resultCode).toMatchObject({ result: 2, error: 4 });
  expect(internalErrors(node).join()).toContain("no entropy left");
  expect([tunnelOf(node).state, node.tunnels.size]).toEqual(["idle", 0]);
});

test("a message that cannot be written, as a Remote End ID too long to be hidden, ends its connection alone", () => {
  const link = new VirtualLink();
  const remoteEndId = new Uint8Array(1_016).fill(0x61);
  const more = { sessions: [session("x", { remoteEndId })], authentication: authentication({ hidden: true }) };
  const a = link.add(A, lcce("site-a", tunnel("to-b", { peer: B, role: "initiator", ...more })));
  const b = link.add(B, lcce("site-b", tunnel("to-a", { peer: A, role: "responder", ...more })));
  link.start();
  expect(() => link.run(1_000)).not.toThrow();
  expect(internalErrors(a).join()).toContain("too long to be hidden");
  expect([tunnelOf(a).state, a.tunnels.size, tunnelOf(b).state, b.tunnels.size]).toEqual(["idle", 0, "idle", 0]);
});
