import { describe, expect, test } from "vitest";
import { alternativesOf } from "../../src/control/alternatives.ts";
import { authentication, SigningPeer } from "../support/authenticated-sites.ts";
import { facing, ScriptedPeer, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, tunnel } from "../support/sites.ts";
import { VirtualLink } from "../support/virtual-link.ts";

const OTHER = "192.0.2.77";
const RECONNECT = { minMs: 1_000, maxMs: 4_000 };

describe("error 9: try another LCCE, as directed (RFC 3931 5.4.2)", () => {
  test.each([
    ["192.0.2.1, [2001:db8::1]", ["192.0.2.1", "2001:db8::1"]],
    ["192.0.2.1,192.0.2.2", ["192.0.2.1", "192.0.2.2"]],
    ["[2001:db8::1]", ["2001:db8::1"]],
    ["2001:db8::1", []],
    ["please call again", []],
    ["", []],
    [undefined, []],
  ])("G03 %o names %o", (message, addresses) => {
    const result = message === undefined ? { result: 2, error: 9 } : { result: 2, error: 9, message };
    expect(alternativesOf(result)).toEqual(addresses);
  });

  test("G03 no other error names anyone", () => {
    expect(alternativesOf({ result: 2, error: 7, message: "192.0.2.1" })).toEqual([]);
    expect(alternativesOf({ result: 1, message: "192.0.2.1" })).toEqual([]);
  });

  test("G01 G03 an error code says nothing with another result than 2", () => {
    expect(alternativesOf({ result: 6, error: 9, message: "192.0.2.1" })).toEqual([]);
    expect(alternativesOf(undefined)).toEqual([]);
  });

  test("G03 a peer that has proven itself is believed: the next attempt goes there, the one after that comes back", () => {
    const link = new VirtualLink();
    // From an IPv4 address nobody reaches the IPv6 one that is named first.
    const more = { authentication: authentication(), reconnect: RECONNECT, local: B };
    const to = tunnel("t", { role: "initiator", peer: A, ...more });
    const node = link.add(B, lcce("site-b", to), 3);
    const first = new SigningPeer(link, A, { address: B, port: 1701 });
    const other = new SigningPeer(link, OTHER, { address: B, port: 1701 });
    link.start();
    first.expect("SCCRQ");
    // It has not told its nonce, so ours alone goes into the digest.
    first.nonce = new Uint8Array(0);
    const resultCode = { result: 2, error: 9, message: `[2001:db8::1], ${OTHER}` };
    first.send({ name: "StopCCN", resultCode, assignedControlConnectionId: first.ccid });
    link.run(50);
    expect(tunnelOf(node).lastError).toContain(
      `try another LCCE, as directed (result 2, error 9): [2001:db8::1], ${OTHER}`,
    );
    other.answer();
    expect(tunnelOf(node)).toMatchObject({ state: "established", peer: `${OTHER}:1701` });
    other.send({ name: "StopCCN", resultCode: { result: 6 }, assignedControlConnectionId: other.ccid });
    first.restart();
    first.forget();
    first.expect("SCCRQ");
  });

  test("G03 anyone else is only quoted", () => {
    const { link, node, peer } = facing({ role: "initiator", reconnect: RECONNECT });
    const other = new ScriptedPeer(link, OTHER, { address: B, port: 1701 });
    peer.expect("SCCRQ");
    const resultCode = { result: 2, error: 9, message: OTHER };
    peer.send({ name: "StopCCN", resultCode, assignedControlConnectionId: peer.ccid });
    link.run(20_000);
    expect(other.heard).toEqual([]);
    expect(tunnelOf(node).lastError).not.toBe("");
    expect(peer.all("SCCRQ").length).toBeGreaterThan(1);
  });
});
