import { describe, expect, test } from "vitest";
import { decodeMessage } from "../../src/avp/decode.ts";
import { encodeMessage } from "../../src/avp/encode.ts";
import { findAvp } from "../../src/avp/registry.ts";
import { avp, hexOf, message, octetsOfHex } from "../support/wire.ts";

/** The octets that a value may have. */
type Legal = (length: number) => boolean;
const exactly =
  (...lengths: readonly number[]): Legal =>
  (length) =>
    lengths.includes(length);
const atLeast =
  (min: number): Legal =>
  (length) =>
    length >= min;
const timesOf =
  (size: number): Legal =>
  (length) =>
    length > 0 && length % size === 0;
const resultCode: Legal = (length) => length === 2 || length >= 4;

/** The AVPs that each message has to carry, well formed, by attribute type. */
const OPENING = { 7: "61", 60: "00000001", 61: "00000002", 62: "0005" };
const IDS = { 63: "aabbcc01", 64: "00000000" };
const CALL = { ...IDS, 15: "00000001", 68: "0005", 66: "3432", 71: "0003" };
const CARRIERS: Readonly<Record<string, readonly [type: number, avps: Readonly<Record<number, string>>]>> = {
  SCCRQ: [1, OPENING],
  SCCRP: [2, OPENING],
  StopCCN: [4, { 1: "0006" }],
  HELLO: [6, {}],
  OCRQ: [7, CALL],
  ICRQ: [10, CALL],
  ICRP: [11, { ...IDS, 71: "0003" }],
  ICCN: [12, IDS],
  CDN: [14, { 1: "0003", ...IDS }],
  WEN: [15, { ...IDS, 34: "00".repeat(18) }],
  SLI: [16, IDS],
  MDMST: [17, {}],
  FSQ: [21, {}],
  CSUN: [28, {}],
};

type Row = readonly [
  id: string,
  type: number,
  name: string,
  carrier: string,
  legal: Legal,
  sentFlags: "M" | "-",
  hideable: boolean,
  sample: string,
  decoded: unknown,
];
const U64 = "0123456789abcdef";

/** RFC 3931 5.4 and its extensions, transcribed from the RFCs, not from the registry. */
const TABLE: readonly Row[] = [
  ["B21", 1, "resultCode", "StopCCN", resultCode, "M", false, "00020008", { result: 2, error: 8 }],
  ["B21", 1, "resultCode", "CDN", resultCode, "M", false, "0002000668c3a9", { result: 2, error: 6, message: "hé" }],
  ["B22", 5, "tieBreaker", "SCCRQ", exactly(8), "M", false, U64, octetsOfHex(U64)],
  ["B22", 5, "tieBreaker", "ICRQ", exactly(8), "M", false, U64, octetsOfHex(U64)],
  ["B23", 7, "hostName", "SCCRQ", atLeast(1), "M", false, "6c6163", "lac"],
  ["B24", 8, "vendorName", "SCCRP", atLeast(0), "-", true, "76", "v"],
  ["B25", 10, "receiveWindowSize", "SCCRQ", exactly(2), "M", false, "0010", 16],
  ["B26", 15, "serialNumber", "ICRQ", exactly(4), "-", true, "fffffffe", 0xffff_fffe],
  ["B27", 25, "physicalChannelId", "ICRP", exactly(4), "-", true, "00000009", 9],
  ["B31", 60, "routerId", "SCCRP", exactly(4), "M", false, "ffffffff", 0xffff_ffff],
  ["B32", 61, "assignedControlConnectionId", "StopCCN", exactly(4), "M", true, "80000001", 0x8000_0001],
  ["B33", 62, "pseudowireCapabilitiesList", "SCCRQ", timesOf(2), "M", true, "000500048000", [5, 4, 0x8000]],
  [
    "B34",
    34,
    "circuitErrors",
    "WEN",
    exactly(18, 26),
    "-",
    true,
    "0000000000010000000200000003ffffffff",
    { hardwareOverruns: 1, bufferOverruns: 2, timeoutErrors: 3, alignmentErrors: 0xffff_ffff },
  ],
  [
    "B34",
    34,
    "circuitErrors",
    "WEN",
    exactly(18, 26),
    "-",
    true,
    "0000000000050000000600000001000000020000000300000004",
    {
      crcErrors: 5,
      framingErrors: 6,
      hardwareOverruns: 1,
      bufferOverruns: 2,
      timeoutErrors: 3,
      alignmentErrors: 4,
    },
  ],
  ["B35", 63, "localSessionId", "ICCN", exactly(4), "M", true, "ffffffff", 0xffff_ffff],
  ["B36", 64, "remoteSessionId", "ICCN", exactly(4), "M", true, "00000000", 0],
  ["B37", 65, "assignedCookie", "ICRQ", exactly(0, 4, 8), "M", true, U64, octetsOfHex(U64)],
  ["B37", 65, "assignedCookie", "ICRP", exactly(0, 4, 8), "M", true, "01020304", octetsOfHex("01020304")],
  ["B37", 65, "assignedCookie", "OCRQ", exactly(0, 4, 8), "M", true, "", new Uint8Array()],
  ["B38", 66, "remoteEndId", "ICRQ", atLeast(0), "M", true, "00ff", octetsOfHex("00ff")],
  ["B40", 68, "pseudowireType", "ICRQ", exactly(2), "M", true, "0004", 4],
  ["B41", 69, "l2SpecificSublayer", "ICRP", exactly(2), "M", true, "0001", 1],
  ["B42", 70, "dataSequencing", "ICCN", exactly(2), "M", true, "0002", 2],
  ["B43", 71, "circuitStatus", "SLI", exactly(2), "M", true, "0001", 1],
  ["B44", 72, "preferredLanguage", "SCCRQ", atLeast(1), "-", true, "656e", "en"],
  ["B45", 73, "controlMessageAuthenticationNonce", "SCCRP", atLeast(1), "M", false, U64, octetsOfHex(U64)],
  ["B46", 74, "txConnectSpeed", "ICRQ", exactly(8), "-", true, "ffffffffffffffff", 0xffff_ffff_ffff_ffffn],
  ["B46, B68", 75, "rxConnectSpeed", "ICCN", exactly(8), "-", true, U64, 0x0123_4567_89ab_cdefn],
  ["B80", 40, "rxMinimumBps", "OCRQ", exactly(4), "-", true, "00000001", 1],
  ["B80", 41, "rxMaximumBps", "OCRQ", exactly(4), "-", true, "00000002", 2],
  ["B81", 42, "serviceCategory", "ICRQ", exactly(2), "-", true, "0001", 1],
  ["B81", 43, "serviceName", "OCRQ", atLeast(0), "-", true, "41", octetsOfHex("41")],
  ["B81", 44, "callingSubAddress", "ICRQ", exactly(20), "-", true, "11".repeat(20), octetsOfHex("11".repeat(20))],
  ["B81", 45, "vpiVciIdentifier", "ICRQ", exactly(4), "-", true, "00010020", { vpi: 1, vci: 32 }],
  [
    "B82",
    46,
    "pppDisconnectCauseCode",
    "CDN",
    atLeast(5),
    "-",
    true,
    "0003c0210168",
    { code: 3, controlProtocol: 0xc021, direction: 1, message: "h" },
  ],
  ["B83", 47, "controlConnectionDs", "SCCRQ", exactly(2), "-", true, "b800", 0xb800],
  ["B84", 48, "sessionDs", "ICRP", exactly(2), "-", true, "b800", 0xb800],
  ["B86", 53, "modemOnHoldCapable", "SCCRQ", exactly(0), "-", true, "", true],
  ["B86", 54, "modemOnHoldStatus", "MDMST", exactly(2), "-", true, "8003", 0x8003],
  [
    "B87",
    76,
    "failoverCapability",
    "SCCRP",
    exactly(6),
    "-",
    true,
    "000300001388",
    { flags: 3, recoveryTimeMs: 5_000 },
  ],
  [
    "B88",
    77,
    "tunnelRecovery",
    "SCCRQ",
    exactly(10),
    "M",
    false,
    "00000000000100000002",
    { localControlConnectionId: 1, remoteControlConnectionId: 2 },
  ],
  ["B89", 78, "suggestedControlSequence", "SCCRP", exactly(6), "-", true, "000000050006", { ns: 5, nr: 6 }],
  [
    "B90",
    79,
    "failoverSessionState",
    "FSQ",
    exactly(10),
    "M",
    true,
    "00000000000100000002",
    [{ sessionId: 1, remoteSessionId: 2 }],
  ],
  ["B91", 85, "frameRelayHeaderLength", "ICRQ", exactly(2), "-", true, "0004", 4],
  ["B92", 86, "atmMaximumConcatenatedCells", "ICRP", exactly(2), "-", true, "0009", 9],
  ["B92", 87, "oamEmulationRequired", "SLI", exactly(0), "-", true, "", true],
  ["B92", 88, "atmAlarmStatus", "SLI", exactly(4), "-", true, "00010002", { circuitStatusReason: 1, alarm: 2 }],
  ["B93", 89, "attachmentGroupIdentifier", "ICRQ", atLeast(0), "-", true, "0102", octetsOfHex("0102")],
  ["B93", 90, "localEndId", "ICRQ", atLeast(0), "-", true, "0102", octetsOfHex("0102")],
  ["B94", 91, "interfaceMtu", "ICRP", exactly(2), "-", true, "05dc", 1500],
  ["B95", 92, "fcsRetention", "ICCN", exactly(2), "-", true, "0004", 4],
  ["B96", 94, "maximumReceiveUnit", "SLI", exactly(2), "-", true, "05dc", 1500],
  ["B96", 95, "maximumReassembledReceiveUnit", "ICRQ", exactly(2), "-", true, "2328", 9000],
  [
    "B97",
    96,
    "vccvCapability",
    "ICRQ",
    exactly(2),
    "-",
    true,
    "0104",
    { controlChannelTypes: 1, connectivityVerificationTypes: 4 },
  ],
  [
    "B98",
    97,
    "connectSpeedUpdate",
    "CSUN",
    exactly(20),
    "-",
    true,
    `00000001${U64}0000000000000002`,
    [{ remoteSessionId: 1, txConnectSpeed: 0x0123_4567_89ab_cdefn, rxConnectSpeed: 2n }],
  ],
  ["B99", 98, "connectSpeedUpdateEnable", "ICRQ", exactly(0), "-", true, "", true],
  [
    "B100",
    99,
    "tdmPseudowire",
    "OCRQ",
    exactly(6),
    "-",
    true,
    "400000010100",
    { flags: 0x4000, bitRate: 1, payloadOctets: 256 },
  ],
  [
    "B100",
    100,
    "rtp",
    "ICRP",
    exactly(10),
    "-",
    true,
    "800000000fa00a0b0c0d",
    { flags: 0x8000, timestampClock: 4_000, ssrc: 0x0a0b_0c0d },
  ],
  ["B101", 101, "pseudowireSwitchingPoint", "ICRQ", atLeast(0), "-", true, "0102", octetsOfHex("0102")],
  ["B102", 102, "sbfdDiscriminators", "ICRP", timesOf(4), "-", true, "00000001ffffffff", [1, 0xffff_ffff]],
  ["B103", 103, "ecnCapability", "SCCRQ", exactly(0), "-", true, "", true],
];

/** The carrier with its other required AVPs in front, and the AVP under test last. */
function carry(carrier: string, type: number, ...avps: readonly string[]): Uint8Array {
  const [messageType, required] = CARRIERS[carrier] ?? [0, {}];
  const others = Object.entries(required).filter(([other]) => Number(other) !== type);
  return message(messageType, ...others.map(([other, value]) => avp(Number(other), value)), ...avps);
}

function leftovers(octets: Uint8Array) {
  const decoded = decodeMessage(octets);
  if (decoded.kind !== "message" && decoded.kind !== "incomplete") throw new Error(`decoded as ${decoded.kind}`);
  return decoded;
}

/** The AVP of that type in a message, in hex, with its header. */
function findAvpIn(octets: Uint8Array, type: number): string | undefined {
  for (let offset = 12; offset < octets.length; ) {
    const length = (((octets[offset] ?? 0) << 8) | (octets[offset + 1] ?? 0)) & 0x3ff;
    if (octets[offset + 5] === type) return hexOf(octets.subarray(offset, offset + length));
    offset += length;
  }
  return undefined;
}

describe.each(TABLE)(
  "%s: AVP %i %s in %s",
  (_id, type, name, carrier, legal, sentFlags, hideable, sample, decodedValue) => {
    test("is read", () => {
      const decoded = decodeMessage(carry(carrier, type, avp(type, sample)));
      expect(decoded).toMatchObject({ kind: "message", refused: [], ignored: [], recognised: [] });
      expect(decoded).toHaveProperty(["message", name], decodedValue);
    });

    test("is in the registry as the RFC has it", () => {
      const definition = { type, vendorId: 0, mandatory: sentFlags === "M", hideable };
      expect(findAvp(0, type)).toMatchObject({ origin: "ietf", name, definition });
    });

    test("is written with the same octets and the M bit of its table", () => {
      const decoded = decodeMessage(carry(carrier, type, avp(type, sample)));
      if (decoded.kind !== "message") throw new Error(`decoded as ${decoded.kind}`);
      const written = findAvpIn(encodeMessage(1, 0, 0, decoded.message), type);
      expect(written).toBe(avp(type, sample, { mandatory: sentFlags === "M" }));
    });

    test.each([true, false])("B07, G05: of a wrong length it is refused or ignored as M says: M %s", (mandatory) => {
      for (let length = 0; length <= 40; length++) {
        if (legal(length)) continue;
        const { refused, ignored } = leftovers(carry(carrier, type, avp(type, "01".repeat(length), { mandatory })));
        const entry = { vendorId: 0, type, mandatory, hidden: false, name, reason: "wrong-length" };
        const octets = octetsOfHex("01".repeat(length));
        expect(mandatory ? refused : ignored).toEqual([{ ...entry, octets }]);
        expect(mandatory ? ignored : refused).toEqual([]);
      }
    });

    test.each([true, false])("D26: hidden, it cannot be read yet, and M decides: M %s", (mandatory) => {
      const { refused, ignored } = leftovers(carry(carrier, type, avp(type, sample, { mandatory, hidden: true })));
      const entry = { vendorId: 0, type, mandatory, hidden: true, name, reason: "hidden", octets: octetsOfHex(sample) };
      expect(mandatory ? refused : ignored).toEqual([entry]);
      expect(mandatory ? ignored : refused).toEqual([]);
    });

    test("A31: in a message that does not list it, it is ignored whatever its M bit and value", () => {
      for (const mandatory of [true, false]) {
        const { refused, ignored } = leftovers(message(3, avp(type, "0102030405", { mandatory })));
        expect(refused).toEqual([]);
        expect(ignored).toMatchObject([{ type, name, mandatory, reason: "misplaced" }]);
      }
    });
  },
);
