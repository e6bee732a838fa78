import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DecodedMessage, decodeMessage } from "../../src/avp/decode.ts";
import { encodeMessage } from "../../src/avp/encode.ts";
import { ProtocolError } from "../../src/avp/protocol-error.ts";
import { SOFTETHER_SESSION } from "../support/vectors.ts";
import { avp, hexOf, message, messageOf, octetsOfHex } from "../support/wire.ts";

const MESSAGE_TYPES = { SCCRQ: 1, HELLO: 6, ICRQ: 10, ICCN: 12, SLI: 16 };
const HELLO_TYPE = avp(0, "0006");
const SESSION_IDS = [avp(63, "aabbcc01"), avp(64, "6ab4ef04")];
const CIRCUIT_STATUS = avp(71, "0003");

function known(octets: Uint8Array) {
  const decoded = decodeMessage(octets);
  if (decoded.kind !== "message" && decoded.kind !== "incomplete") throw new Error(`decoded as ${decoded.kind}`);
  return decoded;
}

function complete(octets: Uint8Array) {
  const decoded = decodeMessage(octets);
  if (decoded.kind !== "message") throw new Error(`decoded as ${decoded.kind}`);
  return decoded;
}

/** Where an AVP that cannot be used has to turn up. */
function judged<A extends { readonly mandatory: boolean }>(avp: A) {
  return avp.mandatory ? { refused: [avp], ignored: [] } : { refused: [], ignored: [avp] };
}

function sli(...avps: readonly string[]): Uint8Array {
  return message(MESSAGE_TYPES.SLI, ...SESSION_IDS, ...avps);
}

describe("layout", () => {
  test("B01: reserved bits of an AVP are ignored on receipt", () => {
    for (let reserved = 1; reserved < 16; reserved++) {
      expect(complete(sli(avp(71, "0003", { reserved })))).toEqual(complete(sli(CIRCUIT_STATUS)));
    }
  });

  test("B01: reserved bits of the Message Type AVP are ignored too", () => {
    expect(known(messageOf(avp(0, "0006", { reserved: 15 })))).toEqual(known(messageOf(HELLO_TYPE)));
  });

  test("B01: a sent AVP has M as its table says, and H and the reserved bits clear", () => {
    const body = hexOf(encodeMessage(1, 0, 0, { name: "StopCCN", resultCode: { result: 6 } })).slice(24);
    expect(body).toBe("8008000000000004" + "8008000000010006");
    const sccrq = hexOf(
      encodeMessage(0, 0, 0, {
        name: "SCCRQ",
        hostName: "a",
        vendorName: "v",
        routerId: 1,
        assignedControlConnectionId: 2,
        pseudowireCapabilitiesList: [5],
      }),
    );
    expect(sccrq).toContain("00070000000876");
  });

  test.each([0, 1, 2, 3, 4, 5])("B02: an AVP of length %i is malformed and ends the walk", (length) => {
    for (const mandatory of [true, false]) {
      const bad = avp(71, "0003", { length, mandatory });
      const { refused, ignored } = known(sli(bad, avp(0x7777, "")));
      const expected = [expect.objectContaining({ vendorId: 0, type: 71, mandatory, reason: "overrun" })];
      expect(mandatory ? refused : ignored).toEqual(expected);
      expect(mandatory ? ignored : refused).toEqual([]);
    }
  });

  test.each([true, false])(
    "B02: an AVP that overruns the message is malformed, whatever lies after Length: M %s",
    (mandatory) => {
      for (const length of [9, 10, 500, 1023]) {
        const octets = sli(avp(71, "0003", { length, mandatory }));
        const inLargerDatagram = octetsOfHex(`${hexOf(octets)}${"00".repeat(1100)}`);
        const entry = {
          vendorId: 0,
          type: 71,
          mandatory,
          hidden: false,
          octets: octetsOfHex("0003"),
          name: "circuitStatus",
        };
        const { refused, ignored } = known(inLargerDatagram);
        expect({ refused, ignored }).toEqual(judged({ ...entry, reason: "overrun" }));
      }
    },
  );

  test.each([1, 2, 3, 4, 5])("B02: %i octets after the last AVP are a cut off AVP, judged by its M bit", (count) => {
    for (const [first, list] of [
      ["80", "refused"],
      ["7f", "ignored"],
    ] as const) {
      const decoded = known(sli(first + "ff".repeat(count - 1)));
      expect(decoded[list]).toEqual([expect.objectContaining({ vendorId: -1, type: -1, reason: "overrun" })]);
      expect(decoded.refused.length + decoded.ignored.length).toBe(1);
      expect(decoded.kind).toBe("message");
    }
  });

  test("B02: AVPs before the malformed one count", () => {
    expect(
      known(message(MESSAGE_TYPES.SLI, ...SESSION_IDS, avp(71, "", { length: 5, mandatory: false }))),
    ).toMatchObject({
      kind: "message",
      message: { localSessionId: 0xaabb_cc01, remoteSessionId: 0x6ab4_ef04 },
    });
  });

  test("B02: an AVP of 1023 octets is legal", () => {
    const octets = message(MESSAGE_TYPES.HELLO, avp(0x7777, "ab".repeat(1017), { mandatory: false }));
    expect(known(octets).ignored).toMatchObject([{ reason: "unknown", octets: octetsOfHex("ab".repeat(1017)) }]);
  });
});

describe("M bit", () => {
  test("B03: the M bit of a recognised, well formed AVP means nothing", () => {
    for (const vector of SOFTETHER_SESSION) {
      const flipped = withEveryAvp(vector.octets, (flags) => flags ^ 0x8000);
      expect(contentOf(decodeMessage(flipped))).toEqual(contentOf(decodeMessage(vector.octets)));
    }
  });

  test.each(Object.entries(MESSAGE_TYPES))(
    "B04, B05, B06: an unknown AVP in %s is refused with M, ignored without",
    (_, type) => {
      const options = [0, 9, 193, 0xffff].flatMap((vendorId) =>
        [true, false].map((mandatory) => ({ vendorId, mandatory })),
      );
      for (const option of options) {
        const { refused, ignored } = known(message(type, avp(0x7777, "c0ffee", option)));
        const entry = { ...option, type: 0x7777, hidden: false, octets: octetsOfHex("c0ffee"), reason: "unknown" };
        expect({ refused, ignored }).toEqual(judged(entry));
      }
    },
  );

  test("B06: an ignored AVP leaves the message as if it were absent", () => {
    const { message: with_ } = complete(sli(avp(0x7777, "01", { mandatory: false }), CIRCUIT_STATUS));
    expect(with_).toEqual(complete(sli(CIRCUIT_STATUS)).message);
  });

  test("B09: AVPs are keyed by vendor and type", () => {
    const cdn = (...avps: readonly string[]) => message(14, ...SESSION_IDS, ...avps);
    const ciscoFirst = complete(cdn(avp(1, "00000007", { vendorId: 9 }), avp(1, "0003")));
    expect(ciscoFirst.message).toMatchObject({ resultCode: { result: 3 } });
    expect(ciscoFirst.recognised).toMatchObject([{ vendorId: 9, type: 1, octets: octetsOfHex("00000007") }]);
    expect(known(cdn(avp(1, "00000007", { vendorId: 9 })))).toMatchObject({
      kind: "incomplete",
      missing: ["resultCode"],
    });
    // What would be vendor 1, attribute 0 in a careless key.
    expect(known(cdn(avp(0, "0003", { vendorId: 1 }), avp(1, "0003"))).refused).toMatchObject([
      { vendorId: 1, type: 0 },
    ]);
  });
});

describe("Message Type", () => {
  const rejected: readonly (readonly [string, Uint8Array])[] = [
    ["is not the first AVP", messageOf(CIRCUIT_STATUS + avp(0, "0010"))],
    ["is missing", messageOf(CIRCUIT_STATUS)],
    ["has 7 octets", messageOf(avp(0, "06"))],
    ["has 9 octets", messageOf(avp(0, "000600"))],
    ["overruns the message", messageOf("8008000000000006", { length: 19 })],
    ["has no room at all", messageOf("80")],
    ["is hidden", messageOf(avp(0, "0006", { hidden: true }))],
  ];

  test.each(rejected)("A20: a message whose Message Type AVP %s is discarded", (_, octets) => {
    expect(() => decodeMessage(octets)).toThrow(ProtocolError);
    expect(() => decodeMessage(octets)).toThrow(expect.objectContaining({ code: "malformed-message-type" }));
  });

  test("A20: it is sent first, with 8 octets and, for what RFC 3931 defines, M set", () => {
    expect(hexOf(encodeMessage(1, 0, 0, { name: "SCCCN" })).slice(24)).toBe("8008000000000003");
    // RFC 4951 wants M clear.
    expect(hexOf(encodeMessage(1, 0, 0, { name: "FSQ" })).slice(24)).toBe("0008000000000015");
  });

  test("B03: its M bit means nothing where the type is known", () => {
    const clear = messageOf(avp(0, "0006", { mandatory: false }));
    expect(decodeMessage(clear)).toEqual(decodeMessage(message(6)));
  });

  test.each([0, 5, 13, 30, 99, 0xffff])("A16, A21, A22: type %i is unknown; its M bit is told", (messageType) => {
    for (const mandatory of [true, false]) {
      const type = avp(0, messageType.toString(16).padStart(4, "0"), { mandatory });
      const header = { controlConnectionId: 0x0102_0304, ns: 2, nr: 3, length: 28 };
      const expected: DecodedMessage = { kind: "unknown", header, vendorId: 0, messageType, mandatory };
      expect(decodeMessage(messageOf(type + CIRCUIT_STATUS))).toEqual(expected);
    }
  });

  test("A23: a type of another vendor is not ours of the same number", () => {
    const type = avp(0, "0001", { vendorId: 193, mandatory: false });
    expect(decodeMessage(messageOf(type))).toMatchObject({
      kind: "unknown",
      vendorId: 193,
      messageType: 1,
      mandatory: false,
    });
  });

  test("A32: a second Message Type AVP is ignored", () => {
    const decoded = complete(message(6, avp(0, "0004")));
    expect(decoded.message.name).toBe("HELLO");
    expect(decoded.ignored).toMatchObject([{ type: 0, reason: "duplicate" }]);
  });
});

describe("order and repetition", () => {
  test("A32: of duplicates the first wins, and the others are told", () => {
    for (const mandatory of [true, false]) {
      const decoded = complete(sli(CIRCUIT_STATUS, avp(71, "0000", { mandatory }), avp(71, "00", { mandatory })));
      expect(decoded.message).toMatchObject({ circuitStatus: 3 });
      expect(decoded.refused).toEqual([]);
      expect(decoded.ignored).toMatchObject([
        { name: "circuitStatus", reason: "duplicate", octets: octetsOfHex("0000") },
        { name: "circuitStatus", reason: "duplicate", octets: octetsOfHex("00") },
      ]);
    }
  });

  test("A32: after a malformed AVP without M a well formed one of the same type counts", () => {
    const decoded = complete(sli(avp(71, "00", { mandatory: false }), CIRCUIT_STATUS));
    expect(decoded.message).toMatchObject({ circuitStatus: 3 });
    expect(decoded.ignored).toMatchObject([{ reason: "wrong-length" }]);
  });

  test("B10: AVPs after Message Type may stand in any order", () => {
    const bodies = SOFTETHER_SESSION.filter(({ octets }) => octets.length > 20).map(({ octets }) => avpsOf(octets));
    fc.assert(
      fc.property(
        fc
          .constantFrom(...bodies)
          .chain(([first = "", ...rest]) =>
            fc.tuple(
              fc.constant([first, ...rest]),
              fc.shuffledSubarray(rest, { minLength: rest.length }),
              fc.constant(first),
            ),
          ),
        ([original, shuffled, first]) => {
          expect(contentOf(decodeMessage(messageOf(first + shuffled.join(""))))).toEqual(
            contentOf(decodeMessage(messageOf(original.join("")))),
          );
        },
      ),
      { seed: 3931, numRuns: 1_000 },
    );
  });

  test("B08: several Extended Vendor ID AVPs are read, with vendor and type of their own", () => {
    const first = avp(58, `00012345${"0007"}c0ffee`, { mandatory: false });
    const second = avp(58, `ffffffff${"0001"}`, { mandatory: false });
    const decoded = complete(message(6, first, second));
    expect(decoded.message).toEqual({
      name: "HELLO",
      extendedVendorId: [
        { vendorId: 0x12345, type: 7, octets: octetsOfHex("c0ffee") },
        { vendorId: 0xffff_ffff, type: 1, octets: new Uint8Array() },
      ],
    });
    expect(hexOf(encodeMessage(0x0102_0304, 2, 3, decoded.message))).toBe(hexOf(message(6, first, second)));
  });

  test("B08: an Extended Vendor ID of less than 12 octets is malformed", () => {
    expect(known(message(6, avp(58, "0001234500", { mandatory: false }))).ignored).toMatchObject([
      { reason: "wrong-length" },
    ]);
  });
});

/** The AVPs of a message, Message Type first, in hex. */
function avpsOf(octets: Uint8Array): readonly string[] {
  const avps: string[] = [];
  for (let offset = 12; offset < octets.length; ) {
    const length = (((octets[offset] ?? 0) << 8) | (octets[offset + 1] ?? 0)) & 0x3ff;
    avps.push(hexOf(octets.subarray(offset, offset + length)));
    offset += length;
  }
  return avps;
}

function withEveryAvp(octets: Uint8Array, change: (flags: number) => number): Uint8Array {
  const avps = avpsOf(octets).map(
    (hex) =>
      change(Number.parseInt(hex.slice(0, 4), 16))
        .toString(16)
        .padStart(4, "0") + hex.slice(4),
  );
  return octetsOfHex(hexOf(octets.subarray(0, 12)) + avps.join(""));
}

/** What a message says, without the header. */
function contentOf(decoded: DecodedMessage): unknown {
  const { header: _, ...content } = decoded;
  return content;
}
