import { expect, test } from "vitest";
import { decodeMessage } from "../../src/avp/decode.ts";
import { encodeMessage, encodeZlb } from "../../src/avp/encode.ts";
import { decodeHeader } from "../../src/avp/header.ts";
import { ProtocolError, type ProtocolErrorCode } from "../../src/avp/protocol-error.ts";
import { hexOf, message, messageOf, octetsOfHex } from "../support/wire.ts";

const HELLO = "8008000000000006";

function codeOf(octets: Uint8Array): ProtocolErrorCode | "accepted" {
  try {
    decodeMessage(octets);
    return "accepted";
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
}

test("F02: a sent header has T, L and S set, Ver 3 and nothing else: 0xC803", () => {
  expect(hexOf(encodeMessage(0x0102_0304, 2, 3, { name: "HELLO" }))).toBe(
    `c8030014010203040002 0003${HELLO}`.replace(" ", ""),
  );
  expect(hexOf(encodeZlb(0xffff_ffff, 0xffff, 0xfffe))).toBe("c803000cfffffffffffffffe");
});

test("F02: all fields of a received header are read in network byte order", () => {
  expect(decodeHeader(messageOf(HELLO))).toEqual({ controlConnectionId: 0x0102_0304, ns: 2, nr: 3, length: 20 });
  expect(decodeHeader(octetsOfHex("c803000cfffffffefffdfffc"))).toEqual({
    controlConnectionId: 0xffff_fffe,
    ns: 0xfffd,
    nr: 0xfffc,
    length: 12,
  });
});

// Bits 2, 3, 5 to 11 are reserved.
test.each(["e803", "d803", "cc03", "ca03", "c903", "c883", "c843", "c823", "c813", "fff3"])(
  "F02: reserved header bits are ignored on receipt: %s",
  (flags) => {
    expect(decodeMessage(messageOf(HELLO, { flags }))).toEqual(decodeMessage(messageOf(HELLO)));
  },
);

test.each<[string, string]>([
  ["T", "4803"],
  ["L", "8803"],
  ["S", "c003"],
  ["T, L and S", "0003"],
])("F04: a header with %s clear is discarded", (_, flags) => {
  expect(codeOf(messageOf(HELLO, { flags }))).toBe("malformed-header");
});

test.each([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])(
  "F04, F07: version %i is discarded, whatever its other bits say",
  (version) => {
    for (const first of ["c8", "00", "40"]) {
      const flags = `${first}${version.toString(16).padStart(2, "0")}`;
      expect(codeOf(messageOf(HELLO, { flags }))).toBe("unsupported-version");
    }
  },
);

test("F04: a Length below 12 or beyond the datagram is discarded", () => {
  for (let length = 0; length < 12; length++) expect(codeOf(messageOf(HELLO, { length }))).toBe("malformed-header");
  for (const length of [21, 22, 0xffff]) expect(codeOf(messageOf(HELLO, { length }))).toBe("malformed-header");
});

test("F04: a datagram shorter than a header is discarded", () => {
  const header = octetsOfHex("c803000c0102030400020003");
  for (let length = 0; length < 12; length++) expect(codeOf(header.subarray(0, length))).toBe("malformed-header");
  expect(codeOf(header)).toBe("accepted");
});

test("F02: Length bounds the message, octets after it are ignored", () => {
  const hello = message(6);
  const longer = octetsOfHex(`${hexOf(hello)}8008000000000063ffff`);
  expect(decodeMessage(longer)).toEqual(decodeMessage(hello));
});

test("A29: a header alone is a ZLB", () => {
  expect(decodeMessage(octetsOfHex("c803000c0102030400020003"))).toEqual({
    kind: "zlb",
    header: { controlConnectionId: 0x0102_0304, ns: 2, nr: 3, length: 12 },
  });
});

test("A29: octets after the Length of a ZLB do not make it a message", () => {
  expect(decodeMessage(messageOf(HELLO, { length: 12 })).kind).toBe("zlb");
});
