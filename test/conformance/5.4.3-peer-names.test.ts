import { describe, expect, test } from "vitest";
import { ScriptedPeer, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, tunnel } from "../support/sites.ts";
import { VirtualLink } from "../support/virtual-link.ts";

const STRANGER = "203.0.113.9";

describe("names", () => {
  test("a peer's name is resolved anew for each attempt", () => {
    const link = new VirtualLink();
    const retransmit = { initialMs: 1_000, maxMs: 8_000, retries: 1, sccrqRetries: 1 };
    const node = link.add(B, lcce("site-b", tunnel("t", { role: "initiator", peer: "pe.example.net", retransmit })));
    const old = new ScriptedPeer(link, A, { address: B, port: 1701 });
    const moved = new ScriptedPeer(link, STRANGER, { address: B, port: 1701 });
    node.receive({ type: "start" });
    expect(tunnelOf(node).lastError).toBe("");
    link.run(1_500);
    expect(tunnelOf(node).lastError).toContain("pe.example.net not found");
    node.names.set("pe.example.net", A);
    old.polite = false;
    old.expect("SCCRQ");
    node.names.set("pe.example.net", STRANGER);
    moved.answer();
    expect(tunnelOf(node)).toMatchObject({ state: "established", peer: `${STRANGER}:1701` });
  });

  test("a responder knows its peer by the address that the name has now", () => {
    const link = new VirtualLink();
    const t = tunnel("t", { role: "responder", peer: "pe.example.net", reconnect: { minMs: 1_000, maxMs: 10_000 } });
    const node = link.add(B, lcce("site-b", t));
    const peer = new ScriptedPeer(link, A, { address: B, port: 1701 });
    node.receive({ type: "start" });
    peer.send(peer.sccrq());
    expect(peer.listen(100).map(({ name }) => name)).toEqual(["StopCCN"]);
    node.names.set("pe.example.net", A);
    link.run(60_000);
    peer.restart();
    peer.connect();
    expect(tunnelOf(node).state).toBe("established");
  });

  test.each([
    ["responder", "shutdown", A],
    ["responder", "shutdown", undefined],
    ["responder", "close", A],
    ["initiator", "close", undefined],
  ] as const)("%s: an answer that comes after the %s (%s) changes nothing more", (role, type, address) => {
    const link = new VirtualLink();
    const node = link.add(B, lcce("site-b", tunnel("t", { role, peer: "pe.example.net" })));
    if (address !== undefined) node.names.set("pe.example.net", address);
    node.datapath = { ...node.datapath, delayMs: 500 };
    node.receive({ type: "start" });
    node.receive(type === "close" ? { type, tunnel: "t" } : { type });
    const { lastError } = tunnelOf(node);
    link.run(1_000);
    expect([node.core.save().timers, tunnelOf(node).lastError]).toEqual([[], lastError]);
  });
});
