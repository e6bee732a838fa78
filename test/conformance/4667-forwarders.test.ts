import { describe, expect, test } from "vitest";
import type { SessionConfiguration } from "../../src/control/configuration.ts";
import { facing, sessionOf } from "../support/scripted-peer.ts";
import { session } from "../support/sites.ts";

const ascii = (text: string) => new TextEncoder().encode(text);

function connected(...sessions: readonly SessionConfiguration[]) {
  const world = facing({ sessions });
  world.peer.connect();
  return world;
}

describe("attachment groups and end ids (RFC 4667 4.3)", () => {
  const GREEN = session("green", { remoteEndId: ascii("7"), attachmentGroup: ascii("vpn-green") });
  const RED = session("red", { remoteEndId: ascii("7"), attachmentGroup: ascii("vpn-red") });
  const PLAIN = session("plain", { remoteEndId: ascii("7") });
  const CROSSED = session("crossed", { remoteEndId: ascii("theirs"), localEndId: ascii("ours") });

  test.each([
    ["a group", { remoteEndId: ascii("7"), attachmentGroupIdentifier: ascii("vpn-red") }, 1],
    [
      "another group with the same end id",
      { remoteEndId: ascii("7"), attachmentGroupIdentifier: ascii("vpn-green") },
      0,
    ],
    ["no group: the default one", { remoteEndId: ascii("7") }, 2],
    ["an empty group: the default one", { remoteEndId: ascii("7"), attachmentGroupIdentifier: new Uint8Array(0) }, 2],
    ["our id and the caller's own", { remoteEndId: ascii("ours"), localEndId: ascii("theirs") }, 3],
    ["the same id for both", { remoteEndId: ascii("7"), localEndId: ascii("7") }, 2],
  ])("I10 a call for %s finds its session", (_, avps, index) => {
    const { link, node, peer } = connected(GREEN, RED, PLAIN, CROSSED);
    peer.call(avps);
    link.run(100);
    const states = [0, 1, 2, 3].map((each) => sessionOf(node, each).state);
    expect(states).toEqual([0, 1, 2, 3].map((each) => (each === index ? "established" : "idle")));
  });

  test.each([
    ["an unknown group", { remoteEndId: ascii("7"), attachmentGroupIdentifier: ascii("vpn-blue") }, 24, "vpn-blue"],
    [
      "an end id of another group",
      { remoteEndId: ascii("ours"), attachmentGroupIdentifier: ascii("vpn-red") },
      24,
      "ours",
    ],
    ["a caller that the end is not for", { remoteEndId: ascii("7"), localEndId: ascii("8") }, 25, '"7" is not for "8"'],
    ["a caller without an id of its own", { remoteEndId: ascii("ours") }, 25, '"ours" is not for "ours"'],
  ])("I10 a call for %s is refused", (_, avps, result, words) => {
    const { peer } = connected(GREEN, RED, PLAIN, CROSSED);
    peer.send(peer.icrq(avps));
    const { resultCode } = peer.expect("CDN").avps;
    expect(resultCode).toMatchObject({ result });
    expect(resultCode?.message).toContain(words);
  });

  test("I10 I11 our call names group and both ends, M clear", () => {
    const sessions = [session("x", { ...CROSSED, attachmentGroup: ascii("vpn"), call: "initiator", mtu: 1488 })];
    const { peer } = facing({ sessions });
    peer.connect();
    const { avps, octets } = peer.expect("ICRQ");
    expect(avps).toMatchObject({
      remoteEndId: ascii("theirs"),
      localEndId: ascii("ours"),
      attachmentGroupIdentifier: ascii("vpn"),
      interfaceMtu: 1488,
    });
    const found = new Map<number, boolean>();
    const view = new DataView(octets.buffer, octets.byteOffset);
    for (let offset = 12; offset < octets.length; offset += view.getUint16(offset) & 0x3ff) {
      found.set(view.getUint16(offset + 4), (view.getUint16(offset) & 0x8000) !== 0);
    }
    expect([89, 90, 91].map((type) => found.get(type))).toEqual([false, false, false]);
  });

  test("I10 a plain session tells neither group nor end id nor MTU", () => {
    const { peer } = facing({ sessions: [session("lan42", { call: "initiator" })] });
    peer.connect();
    const { avps } = peer.expect("ICRQ");
    expect([avps.attachmentGroupIdentifier, avps.localEndId, avps.interfaceMtu]).toEqual(Array(3).fill(undefined));
  });
});

describe("Interface MTU (RFC 4667 4.3)", () => {
  test.each([
    [1500, 1500, true],
    [1500, undefined, true],
    ["auto", 9000, true],
    [1500, 9000, false],
    [1500, 0, false],
  ] as const)("I09 B94 called: ours %s, the caller's %s: up %s", (mtu, interfaceMtu, fits) => {
    const { peer } = connected(session("lan42", { mtu }));
    peer.send(peer.icrq(interfaceMtu === undefined ? {} : { interfaceMtu }));
    if (fits) expect(peer.expect("ICRP").avps.interfaceMtu).toBe(mtu === "auto" ? undefined : mtu);
    else {
      const message = `MTU ${mtu} expected, found ${interfaceMtu}`;
      expect(peer.expect("CDN").avps.resultCode).toEqual({ result: 23, error: 0, message });
    }
  });

  test("I09 calling: an ICRP with another MTU ends in CDN 23", () => {
    const { node, peer } = facing({ sessions: [session("lan42", { call: "initiator", mtu: 1500 })] });
    peer.connect();
    peer.send(peer.icrp(peer.expect("ICRQ"), { interfaceMtu: 1488 }));
    expect(peer.expect("CDN").avps).toMatchObject({ resultCode: { result: 23 }, remoteSessionId: peer.sessionId });
    expect(node.datapathSessions.size).toBe(0);
  });
});
