import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeMessage } from "../../../src/avp/decode.ts";
import { encodeMessage } from "../../../src/avp/encode.ts";
import { HEADER_LENGTH, patchNr, readNr } from "../../../src/avp/header.ts";
import type { ControlMessage } from "../../../src/avp/messages.ts";
import { MESSAGE_NAMES } from "../../../src/avp/messages.ts";
import { ProtocolError } from "../../../src/avp/protocol-error.ts";
import { GOLDEN } from "../../support/vectors.ts";
import { hexOf } from "../../support/wire.ts";
import { messagesNamed } from "./arbitraries.ts";

const uint16 = fc.nat(0xffff);
const SEED = 3931;

describe("round trip", () => {
  test.each(MESSAGE_NAMES)("%s comes back as it was sent", (name) => {
    fc.assert(
      fc.property(messagesNamed(name), fc.nat(0xffff_ffff), uint16, uint16, (message, controlConnectionId, ns, nr) => {
        const octets = encodeMessage(controlConnectionId, ns, nr, message);
        const header = { controlConnectionId, ns, nr, length: octets.length };
        const nothing = { refused: [], ignored: [], recognised: [] };
        expect(decodeMessage(octets)).toEqual({ kind: "message", header, message, ...nothing });
      }),
      { seed: SEED, numRuns: 100 },
    );
  });

  test("the order in which a message was put together changes no octet", () => {
    const anyMessage = fc.constantFrom(...MESSAGE_NAMES).chain(messagesNamed);
    const shuffled = anyMessage.chain((message) => {
      const entries = Object.entries(message);
      return fc.tuple(fc.constant(message), fc.shuffledSubarray(entries, { minLength: entries.length }));
    });
    fc.assert(
      fc.property(shuffled, ([message, entries]) => {
        const other = Object.fromEntries(entries) as unknown as ControlMessage;
        expect(hexOf(encodeMessage(1, 0, 0, other))).toBe(hexOf(encodeMessage(1, 0, 0, message)));
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  test("an AVP given as undefined is absent", () => {
    const hello = { name: "HELLO", extendedVendorId: undefined } as unknown as ControlMessage;
    expect(encodeMessage(1, 0, 0, hello)).toEqual(encodeMessage(1, 0, 0, { name: "HELLO" }));
  });
});

describe("buffers", () => {
  test("an encoded message has a buffer of its own", () => {
    const first = encodeMessage(1, 0, 0, { name: "SCCCN" });
    const before = hexOf(first);
    encodeMessage(2, 1, 1, { name: "StopCCN", resultCode: { result: 6 } });
    expect(hexOf(first)).toBe(before);
    expect(first.buffer.byteLength).toBe(first.length);
  });

  test.each(GOLDEN)("what was decoded outlives the datagram, from a Node Buffer too: $from $message", ({ octets }) => {
    const datagram = Buffer.from(octets);
    const decoded = decodeMessage(datagram);
    datagram.fill(0xee);
    expect(decoded).toEqual(decodeMessage(octets));
  });

  test.each(GOLDEN)("nothing around the message is read: $from $message", ({ octets }) => {
    for (const filling of [0x00, 0x80, 0xff]) {
      const surroundings = new Uint8Array(octets.length + 3_000).fill(filling);
      surroundings.set(octets, 1_000);
      const bounded = surroundings.subarray(1_000, 1_000 + octets.length);
      const followed = surroundings.subarray(1_000);
      expect(decodeMessage(bounded)).toEqual(decodeMessage(octets));
      expect(decodeMessage(followed)).toEqual(decodeMessage(octets));
    }
  });
});

describe("truncation", () => {
  test.each(GOLDEN)("a datagram cut short is discarded: $from $message", ({ octets }) => {
    for (let length = 0; length < octets.length; length++) {
      expect(() => decodeMessage(octets.slice(0, length))).toThrow(ProtocolError);
    }
  });

  test.each(GOLDEN)(
    "cut short with a Length to match: whole AVPs count, a broken one is told: $from $message",
    ({ octets }) => {
      const ends = avpEnds(octets);
      for (let length = HEADER_LENGTH + 8; length < octets.length; length++) {
        const cut = withLength(octets.slice(0, length));
        const decoded = decodeMessage(cut);
        if (decoded.kind !== "message" && decoded.kind !== "incomplete") throw new Error(decoded.kind);
        const broken = [...decoded.refused, ...decoded.ignored].filter(({ reason }) => reason === "overrun");
        expect(broken).toHaveLength(ends.has(length) ? 0 : 1);
      }
      for (let length = HEADER_LENGTH + 1; length < Math.min(HEADER_LENGTH + 8, octets.length); length++) {
        expect(() => decodeMessage(withLength(octets.slice(0, length)))).toThrow(ProtocolError);
      }
    },
  );
});

describe("mutation", () => {
  const mutated = fc
    .tuple(
      fc.constantFrom(...GOLDEN.map(({ octets }) => octets)),
      fc.array(fc.tuple(uint16, fc.nat(0xff)), { maxLength: 8 }),
      fc.nat(8),
      fc.uint8Array({ maxLength: 24 }),
      fc.boolean(),
    )
    .map(([golden, changes, cut, tail, repairLength]) => {
      const octets = Uint8Array.from([...golden.subarray(0, golden.length - cut), ...tail]);
      for (const [position, octet] of changes) octets[position % octets.length] = octet;
      return repairLength ? withLength(octets) : octets;
    });

  test("whatever comes, nothing but a ProtocolError is thrown, and what is understood can be said again", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(mutated, (octets) => {
        const outcome = outcomeOf(octets);
        seen.add(outcome.kind);
        if (outcome.kind === "message") expect(saidAgain(outcome.message)).toEqual(outcome.message);
      }),
      { seed: SEED, numRuns: 20_000 },
    );
    expect([...seen].sort()).toEqual(["discarded", "incomplete", "message", "unknown", "zlb"]);
  });

  test("nor from octets at random behind a good header", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(29), (body, type) => {
        const head = [0xc8, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, type];
        outcomeOf(withLength(Uint8Array.from([...head, ...body])));
      }),
      { seed: SEED, numRuns: 20_000 },
    );
  });
});

describe("patchNr", () => {
  test.each(GOLDEN)("rewrites Nr and nothing else: $from $message", ({ octets }) => {
    const patched = octets.slice();
    patchNr(patched, 0xfedc);
    expect(readNr(patched)).toBe(0xfedc);
    expect(hexOf(patched)).toBe(`${hexOf(octets.subarray(0, 10))}fedc${hexOf(octets.subarray(12))}`);
  });

  test("refuses what is no Nr and no message", () => {
    expect(() => patchNr(new Uint8Array(12), 65_536)).toThrow(RangeError);
    expect(() => patchNr(new Uint8Array(12), -1)).toThrow(RangeError);
    expect(() => patchNr(new Uint8Array(11), 0)).toThrow(RangeError);
  });
});

function outcomeOf(octets: Uint8Array) {
  try {
    return decodeMessage(octets);
  } catch (error) {
    if (error instanceof ProtocolError) return { kind: "discarded" } as const;
    throw error;
  }
}

/** A few things can be received and not sent: they are refused with a RangeError, and nothing else. */
function saidAgain(message: ControlMessage): ControlMessage {
  try {
    const decoded = decodeMessage(encodeMessage(1, 0, 0, message));
    if (decoded.kind !== "message") throw new Error(`${message.name} came back ${decoded.kind}`);
    return decoded.message;
  } catch (error) {
    if (error instanceof RangeError) return message;
    throw error;
  }
}

/** The octets with a Length field that tells how many they are. */
function withLength(octets: Uint8Array): Uint8Array {
  const copy = octets.slice();
  if (copy.length >= HEADER_LENGTH) new DataView(copy.buffer).setUint16(2, copy.length);
  return copy;
}

/** Where each AVP of a well formed message ends. */
function avpEnds(octets: Uint8Array): ReadonlySet<number> {
  const ends = new Set<number>();
  for (let offset = HEADER_LENGTH; offset < octets.length; ) {
    offset += (((octets[offset] ?? 0) << 8) | (octets[offset + 1] ?? 0)) & 0x3ff;
    ends.add(offset);
  }
  return ends;
}
