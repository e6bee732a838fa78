import { describe, expect, test } from "vitest";
import type { AuthenticationConfiguration, SessionConfiguration } from "../../src/control/configuration.ts";
import { nameOnWire } from "../support/digest-by-hand.ts";
import { tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import { type Datagram, VirtualLink } from "../support/virtual-link.ts";
import { MESSAGE_TYPES } from "../support/wire.ts";

/** Attribute types that a message has to carry and those that it may carry besides (RFC 3931 6, 4667 4.3). */
const CONTENTS: Readonly<Record<string, { readonly must: readonly number[]; readonly may: readonly number[] }>> = {
  SCCRQ: { must: [7, 60, 61, 62], may: [5, 8, 10, 72, 73] },
  SCCRP: { must: [7, 60, 61, 62], may: [8, 10, 72, 73] },
  SCCCN: { must: [], may: [] },
  StopCCN: { must: [1, 61], may: [] },
  HELLO: { must: [], may: [] },
  ICRQ: { must: [63, 64, 15, 68, 66, 71], may: [65, 5, 69, 70, 74, 75, 25, 89, 90, 91] },
  ICRP: { must: [63, 64, 71], may: [65, 69, 70, 74, 75, 25, 91] },
  ICCN: { must: [63, 64], may: [69, 70, 71, 74, 75] },
  CDN: { must: [1, 63, 64], may: [] },
  SLI: { must: [63, 64], may: [71] },
  ACK: { must: [], may: [] },
};
const ANYWHERE = [36, 59];

/** RFC 3931 5.4 says what M is; RFC 4667 4.4 has it clear in its own. */
const WITHOUT_M = [8, 15, 25, 72, 74, 75, 89, 90, 91];
const NEVER_HIDDEN = [0, 1, 5, 7, 10, 36, 59, 60, 73, 77];

interface SentAvp {
  readonly flags: number;
  readonly vendorId: number;
  readonly type: number;
  readonly value: Uint8Array;
}

function avpsIn(octets: Uint8Array): readonly SentAvp[] {
  const view = new DataView(octets.buffer, octets.byteOffset);
  const avps: SentAvp[] = [];
  for (let offset = 12; offset < octets.length; ) {
    const flags = view.getUint16(offset);
    const end = offset + (flags & 0x3ff);
    const value = octets.subarray(offset + 6, end);
    avps.push({ flags, vendorId: view.getUint16(offset + 2), type: view.getUint16(offset + 4), value });
    offset = end;
  }
  return avps;
}

/** A whole life between two of us: both openings, calls from either side, HELLOs, a CDN, a StopCCN. */
function life(authentication: AuthenticationConfiguration): readonly Datagram[] {
  const link = new VirtualLink();
  const common = { authentication, helloIntervalMs: 5_000 };
  const more: Partial<SessionConfiguration> = {
    mtu: 1_400,
    attachmentGroup: Uint8Array.of(1, 2),
    l2Sublayer: "default",
  };
  const sessions = [session("x", { ...more, call: "initiator" }), session("y", { ...more, call: "responder" })];
  const mirrored = [session("x", { ...more, call: "responder" }), session("y", { ...more, call: "initiator" })];
  const a = link.add(A, lcce("site-a", tunnel("to-b", { ...common, peer: B, role: "both", sessions })), 1);
  const b = link.add(
    B,
    lcce("site-b", tunnel("to-a", { ...common, peer: A, role: "responder", sessions: mirrored })),
    2,
  );
  link.start();
  expect(link.runUntil(() => a.raised.size === 2 && b.raised.size === 2)).toBe(true);
  link.run(20_000);
  a.receive({ type: "close", tunnel: "to-b", session: "x" });
  link.run(1_000);
  a.receive({ type: "shutdown" });
  link.run(1_000);
  expect(tunnelOf(b).state).toBe("idle");
  return link.datagrams;
}

const OFF: AuthenticationConfiguration = { secrets: [], digest: "none", hidden: false, chapPassword: undefined };
const HIDDEN: AuthenticationConfiguration = {
  secrets: [new TextEncoder().encode("s")],
  digest: "sha1",
  hidden: true,
  chapPassword: undefined,
};

describe.each([
  ["without authentication", OFF, "ZLB"],
  ["with digests and hidden AVPs", HIDDEN, "ACK"],
] as const)("what we send in a life, %s", (_, authentication, acknowledgement) => {
  const sent = life(authentication).map(({ octets }) => ({ name: nameOnWire(octets), octets, avps: avpsIn(octets) }));
  const messages = sent.filter(({ name }) => name !== "ZLB");

  test("A01 A02 A03 A04 A05 A09 A10 A11 A12 A15 each message has the AVPs that it must have, and no others", () => {
    const names = [...new Set(sent.map(({ name }) => name))].toSorted();
    const usual = ["CDN", "HELLO", "ICCN", "ICRP", "ICRQ", "SCCCN", "SCCRP", "SCCRQ", "StopCCN"];
    expect(names).toEqual([...usual, acknowledgement].toSorted());
    for (const { name, avps } of messages) {
      const { must, may } = CONTENTS[name] as (typeof CONTENTS)[string];
      const types = avps.map(({ type }) => type);
      expect(types, name).toEqual(expect.arrayContaining([...must]));
      const allowed = [0, ...must, ...may, ...ANYWHERE];
      expect(
        types.filter((type) => !allowed.includes(type)),
        name,
      ).toEqual([]);
      const single = types.filter((type) => type !== 36);
      expect(new Set(single).size, name).toBe(single.length);
      expect(new Set(avps.map(({ vendorId }) => vendorId)), name).toEqual(new Set([0]));
    }
  });

  test("B20 A20 Message Type comes first, with 8 octets, M set, neither hidden nor reserved bits", () => {
    for (const { name, avps, octets } of messages) {
      expect(avps[0], name).toMatchObject({ flags: 0x8008, vendorId: 0, type: 0 });
      const type = new DataView(octets.buffer, octets.byteOffset).getUint16(18);
      expect(MESSAGE_TYPES[type]).toBe(name);
    }
  });

  test("B01 A24 M is what the RFC says, and reserved bits are zero", () => {
    for (const { name, avps } of messages) {
      for (const { flags, type } of avps) {
        expect([(flags & 0x8000) !== 0, flags & 0x3c00], `${type} in ${name}`).toEqual([!WITHOUT_M.includes(type), 0]);
      }
    }
  });

  test("D26 D21 hidden is what may be hidden, and nothing where nothing is shared", () => {
    for (const { name, avps } of messages) {
      for (const { flags, type } of avps) {
        const hidden = authentication.hidden && !NEVER_HIDDEN.includes(type);
        expect((flags & 0x4000) !== 0, `${type} in ${name}`).toBe(hidden);
      }
    }
  });

  test("B70 H07 Circuit Status stands in every ICRQ and ICRP, and its reserved bits are zero", () => {
    for (const { name, avps } of messages) {
      const status = avps.find(({ type }) => type === 71);
      if (name === "ICRQ" || name === "ICRP") expect(status, name).toBeDefined();
      if (status === undefined || authentication.hidden) continue;
      expect([status.value.length, status.value[0], (status.value[1] as number) & 0x80], name).toEqual([2, 0, 0]);
    }
  });

  test("I01 F44 the connection comes first, and each call names the pseudowire type that both ends listed", () => {
    const names = messages.map(({ name }) => name);
    expect(names.indexOf("ICRQ")).toBeGreaterThan(names.indexOf("SCCCN"));
    if (authentication.hidden) return;
    for (const { avps } of messages.filter(({ name }) => name === "ICRQ")) {
      expect([...(avps.find(({ type }) => type === 68) as SentAvp).value]).toEqual([0, 5]);
    }
    for (const { avps } of messages.filter(({ name }) => name === "SCCRQ" || name === "SCCRP")) {
      expect([...(avps.find(({ type }) => type === 62) as SentAvp).value]).toEqual([0, 4, 0, 5]);
    }
  });

  test("I06 no sequencing is asked for, and the sublayer by its AVP alone", () => {
    const calls = messages.filter(({ name }) => name === "ICRQ" || name === "ICRP");
    expect(calls.length).toBeGreaterThanOrEqual(4);
    for (const { avps } of calls) {
      const types = avps.map(({ type }) => type);
      expect([types.includes(69), types.includes(70)]).toEqual([true, false]);
    }
  });
});
