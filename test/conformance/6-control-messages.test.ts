import { describe, expect, test } from "vitest";
import { decodeMessage } from "../../src/avp/decode.ts";
import { encodeMessage, encodeZlb } from "../../src/avp/encode.ts";
import type { ControlMessage } from "../../src/avp/messages.ts";
import { SOFTETHER_SESSION } from "../support/vectors.ts";
import { avp, hexOf, message, octetsOfHex } from "../support/wire.ts";

/** A value in hex for every AVP that a message may require. */
const SAMPLES: Readonly<Record<number, string>> = {
  1: "0003",
  7: "6c61632e74657374",
  15: "00000001",
  34: "00".repeat(18),
  60: "0a4d0002",
  61: "11223344",
  62: "00050004",
  63: "aabbcc01",
  64: "6ab4ef04",
  66: "65746830",
  68: "0005",
  71: "0003",
};
const NAMES: Readonly<Record<number, string>> = {
  1: "resultCode",
  7: "hostName",
  15: "serialNumber",
  34: "circuitErrors",
  60: "routerId",
  61: "assignedControlConnectionId",
  62: "pseudowireCapabilitiesList",
  63: "localSessionId",
  64: "remoteSessionId",
  66: "remoteEndId",
  68: "pseudowireType",
  71: "circuitStatus",
};

/** RFC 3931 6 and, with M clear, the messages of its extensions: what a message has to carry besides Message Type. */
const TABLE: readonly (readonly [
  id: string,
  name: ControlMessage["name"],
  type: number,
  requires: readonly number[],
])[] = [
  ["A01", "SCCRQ", 1, [7, 60, 61, 62]],
  ["A02", "SCCRP", 2, [7, 60, 61, 62]],
  ["A03", "SCCCN", 3, []],
  ["A04", "StopCCN", 4, [1]],
  ["A05", "HELLO", 6, []],
  ["A06", "OCRQ", 7, [63, 64, 15, 68, 66, 71]],
  ["A07", "OCRP", 8, [63, 64, 71]],
  ["A08", "OCCN", 9, [63, 64]],
  ["A09", "ICRQ", 10, [63, 64, 15, 68, 66, 71]],
  ["A10", "ICRP", 11, [63, 64, 71]],
  ["A11", "ICCN", 12, [63, 64]],
  ["A12", "CDN", 14, [1, 63, 64]],
  ["A13", "WEN", 15, [63, 64, 34]],
  ["A14", "SLI", 16, [63, 64]],
  ["A15", "ACK", 20, []],
  ["A17", "MDMST", 17, []],
  ["A17", "SRRQ", 18, []],
  ["A17", "SRRP", 19, []],
  ["A17", "FSQ", 21, []],
  ["A17", "FSR", 22, []],
  ["A17", "MSRQ", 23, []],
  ["A17", "MSRP", 24, []],
  ["A17", "MSE", 25, []],
  ["A17", "MSI", 26, []],
  ["A17", "MSEN", 27, []],
  ["A17", "CSUN", 28, []],
  ["A17", "CSURQ", 29, []],
];

function built(type: number, avpTypes: readonly number[]): Uint8Array {
  return message(type, ...avpTypes.map((avpType) => avp(avpType, SAMPLES[avpType] ?? "")));
}

describe.each(TABLE)("%s: %s, type %i", (id, name, type, requires) => {
  test("is complete with the AVPs that it has to carry", () => {
    const decoded = decodeMessage(built(type, requires));
    expect(decoded).toMatchObject({ kind: "message", message: { name }, refused: [], ignored: [], recognised: [] });
    if (decoded.kind !== "message") return;
    expect(Object.keys(decoded.message)).toEqual(["name", ...requires.map((required) => NAMES[required])]);
  });

  test("is written with those AVPs in the order of the RFC", () => {
    const decoded = decodeMessage(built(type, requires));
    if (decoded.kind !== "message") throw new Error(`decoded as ${decoded.kind}`);
    const body = hexOf(encodeMessage(0x0102_0304, 2, 3, decoded.message)).slice(24);
    const messageType = avp(0, type.toString(16).padStart(4, "0"), { mandatory: id !== "A17" });
    const optional = new Set([15, 34]);
    const avps = requires.map((avpType) => avp(avpType, SAMPLES[avpType] ?? "", { mandatory: !optional.has(avpType) }));
    expect(body).toBe(messageType + avps.join(""));
  });

  test("without one of them it is incomplete, and says which", () => {
    for (const absent of requires) {
      const others = requires.filter((required) => required !== absent);
      const decoded = decodeMessage(built(type, others));
      expect(decoded).toMatchObject({ kind: "incomplete", name, missing: [NAMES[absent]], refused: [], ignored: [] });
      if (decoded.kind !== "incomplete") return;
      expect(Object.keys(decoded.avps)).toEqual(others.map((other) => NAMES[other]));
    }
  });

  test("a malformed one counts as missing, G06", () => {
    for (const malformed of requires) {
      const others = requires
        .filter((required) => required !== malformed)
        .map((other) => avp(other, SAMPLES[other] ?? ""));
      const decoded = decodeMessage(
        message(type, ...others, avp(malformed, SAMPLES[malformed] ?? "", { hidden: true })),
      );
      expect(decoded).toMatchObject({
        kind: "incomplete",
        missing: [NAMES[malformed]],
        refused: [{ type: malformed, reason: "hidden" }],
      });
    }
  });

  test("without any of them all are missing, and it cannot be written", () => {
    if (requires.length === 0) {
      expect(decodeMessage(built(type, [])).kind).toBe("message");
      return;
    }
    expect(decodeMessage(built(type, []))).toMatchObject({
      kind: "incomplete",
      avps: {},
      missing: requires.map((required) => NAMES[required]),
    });
    const bare = { name } as unknown as ControlMessage;
    expect(() => encodeMessage(1, 0, 0, bare)).toThrow(RangeError);
    for (const required of requires) expect(() => encodeMessage(1, 0, 0, bare)).toThrow(NAMES[required]);
  });
});

/** What a message may carry besides, and what is of no use to it though it is known. */
test.each<readonly [id: string, type: number, allowed: readonly number[], misplaced: readonly number[]]>([
  ["A01", 1, [5, 8, 10, 47, 53, 72, 73, 76, 77, 103], [1, 63, 64, 65, 68, 71, 78]],
  ["A02", 2, [8, 10, 47, 53, 72, 73, 76, 78, 103], [5, 63, 66, 77]],
  ["A03", 3, [], [1, 5, 7, 10, 60, 61, 62, 63, 64, 73]],
  ["A04", 4, [61], [7, 60, 62, 63, 64]],
  ["A05", 6, [], [1, 7, 60, 61]],
  ["A06", 7, [5, 40, 41, 42, 43, 48, 65, 69, 70, 74, 75, 94, 95, 96, 99, 100, 102], [25, 85, 91, 98]],
  ["A07", 8, [25, 45, 48, 65, 69, 70, 74, 75, 94, 95, 96, 100, 102], [5, 15, 66, 68]],
  ["A08", 9, [69, 70, 71, 74, 75, 94, 95], [65, 66, 68]],
  [
    "A09",
    10,
    [5, 25, 42, 43, 44, 45, 48, 65, 69, 70, 74, 75, 85, 86, 87, 89, 90, 91, 92, 94, 95, 96, 98, 99, 100, 101, 102],
    [1, 7, 60, 61, 34, 88],
  ],
  // A31: freeRtr puts 15, 66 and 68 into ICRP.
  ["A10, A31", 11, [25, 48, 65, 69, 70, 74, 75, 85, 86, 87, 91, 92, 94, 95, 96, 100, 101, 102], [15, 66, 68, 5]],
  ["A11", 12, [69, 70, 71, 74, 75, 92, 94, 95, 101], [65, 66, 68]],
  ["A12", 14, [46], [71, 65]],
  ["A13", 15, [], [71, 1]],
  ["A14", 16, [71, 86, 87, 88, 94, 95], [65, 68, 1]],
  ["A15", 20, [], [63, 71]],
])("%s: message type %i allows its AVPs and ignores the misplaced ones", (_, type, allowed, misplaced) => {
  const values: Readonly<Record<number, string>> = {
    ...SAMPLES,
    ...{ 5: "0102030405060708", 8: "76", 10: "0010", 25: "00000001", 40: "00000001", 41: "00000001", 42: "0001" },
    ...{
      43: "41",
      44: "00".repeat(20),
      45: "00010002",
      46: "0003c02101",
      47: "b800",
      48: "b800",
      53: "",
      65: "01020304",
    },
    ...{
      69: "0001",
      70: "0001",
      72: "656e",
      73: "00112233",
      74: "00".repeat(8),
      75: "00".repeat(8),
      76: "000100000001",
    },
    ...{ 77: "00".repeat(10), 78: "00".repeat(6), 85: "0002", 86: "0001", 87: "", 88: "00000000", 89: "01", 90: "01" },
    ...{ 91: "05dc", 92: "0004", 94: "05dc", 95: "05dc", 96: "0101", 98: "", 99: "00".repeat(6), 100: "00".repeat(10) },
    ...{ 101: "01", 102: "00000001", 103: "" },
  };
  const requires = TABLE.find(([, , other]) => other === type)?.[3] ?? [];
  const required = requires.map((avpType) => avp(avpType, values[avpType] ?? ""));
  const decoded = decodeMessage(
    message(type, ...required, ...allowed.map((avpType) => avp(avpType, values[avpType] ?? ""))),
  );
  expect(decoded).toMatchObject({ kind: "message", refused: [], ignored: [], recognised: [] });
  if (decoded.kind !== "message") return;
  expect(Object.keys(decoded.message)).toHaveLength(1 + requires.length + allowed.length);

  const strange = decodeMessage(
    message(type, ...required, ...misplaced.map((avpType) => avp(avpType, values[avpType] ?? ""))),
  );
  expect(strange).toMatchObject({
    kind: "message",
    refused: [],
    ignored: misplaced.map((avpType) => ({ type: avpType, reason: "misplaced" })),
  });
});

test("A13, B34: a WEN is understood with the four counters of the figure and with RFC 2661's six", () => {
  for (const value of ["00".repeat(18), "00".repeat(26)]) {
    const wen = message(15, avp(63, "00000001"), avp(64, "00000002"), avp(34, value, { mandatory: false }));
    const decoded = decodeMessage(wen);
    if (decoded.kind !== "message") throw new Error(`decoded as ${decoded.kind}`);
    expect(hexOf(encodeMessage(0x0102_0304, 2, 3, decoded.message))).toBe(hexOf(wen));
  }
});

test("A01: a message cannot be written with an AVP that it may not carry", () => {
  const hello = { name: "HELLO", hostName: "lac" } as unknown as ControlMessage;
  expect(() => encodeMessage(1, 0, 0, hello)).toThrow("HELLO with hostName, which it may not carry");
  const nameless = { name: "HELO" } as unknown as ControlMessage;
  expect(() => encodeMessage(1, 0, 0, nameless)).toThrow(RangeError);
});

/** What a SoftEther server and its client said, in values. */
const SAID: readonly (ControlMessage | "ZLB")[] = [
  {
    name: "SCCRQ",
    hostName: "lac.test",
    routerId: 0x0a4d_0002,
    assignedControlConnectionId: 0x1122_3344,
    pseudowireCapabilitiesList: [5, 4],
  },
  {
    name: "SCCRP",
    hostName: "vm",
    vendorName: "YAMAHA Corporation",
    routerId: 0,
    assignedControlConnectionId: 1,
    pseudowireCapabilitiesList: [5, 4],
  },
  { name: "SCCCN" },
  "ZLB",
  {
    name: "ICRQ",
    localSessionId: 0xaabb_cc01,
    remoteSessionId: 0,
    serialNumber: 1,
    pseudowireType: 5,
    remoteEndId: octetsOfHex("65746830"),
    circuitStatus: 3,
  },
  { name: "ICRP", localSessionId: 0x6ab4_ef04, circuitStatus: 3, remoteSessionId: 0xaabb_cc01 },
  { name: "ICCN", localSessionId: 0xaabb_cc01, remoteSessionId: 0x6ab4_ef04 },
  "ZLB",
  { name: "HELLO" },
  "ZLB",
  { name: "HELLO" },
  { name: "CDN", resultCode: { result: 3 }, localSessionId: 0xaabb_cc01, remoteSessionId: 0x6ab4_ef04 },
  { name: "CDN", localSessionId: 0xef04_0000, resultCode: { result: 3, error: 0 }, remoteSessionId: 0xaabb_cc01 },
  { name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: 0x1122_3344 },
  {
    name: "StopCCN",
    assignedControlConnectionId: 1,
    resultCode: { result: 0, error: 0x600, message: "\0\0\0\0" },
  },
];

test.each(SOFTETHER_SESSION.map((vector, index) => ({ ...vector, said: SAID[index] })))(
  "A01 to A12: a recorded session: $from $message",
  ({ octets, said }) => {
    const decoded = decodeMessage(octets);
    if (said === "ZLB") expect(decoded.kind).toBe("zlb");
    else expect(decoded).toMatchObject({ kind: "message", message: said, refused: [], ignored: [], recognised: [] });
    if (decoded.kind === "message") expect(decoded.message).toEqual(said);
  },
);

/** Those whose sender orders its AVPs as RFC 3931 does and sets M as it asks. */
test.each(SOFTETHER_SESSION.filter(({ from, message: name }) => from === "C" && name !== "ICRQ"))(
  "A01 to A12: a recorded session, written again: $message",
  ({ octets }) => {
    const decoded = decodeMessage(octets);
    if (decoded.kind !== "message") throw new Error(`decoded as ${decoded.kind}`);
    const { controlConnectionId, ns, nr } = decoded.header;
    expect(hexOf(encodeMessage(controlConnectionId, ns, nr, decoded.message))).toBe(hexOf(octets));
  },
);

test("A29: a recorded ZLB, written again", () => {
  expect(hexOf(encodeZlb(0x1122_3344, 1, 2))).toBe("c803000c1122334400010002");
});
