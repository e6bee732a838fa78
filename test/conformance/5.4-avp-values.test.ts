import { describe, expect, test } from "vitest";
import { decodeMessage } from "../../src/avp/decode.ts";
import { encodeMessage } from "../../src/avp/encode.ts";
import type { ControlMessage } from "../../src/avp/messages.ts";
import { findAvp } from "../../src/avp/registry.ts";
import { DIGESTS } from "../support/vectors.ts";
import { avp, message, octetsOfHex } from "../support/wire.ts";

function known(octets: Uint8Array) {
  const decoded = decodeMessage(octets);
  if (decoded.kind !== "message" && decoded.kind !== "incomplete") throw new Error(`decoded as ${decoded.kind}`);
  return decoded;
}

const MESSAGE_TYPES = { SCCRQ: 1, SCCRP: 2, SLI: 16, ICRQ: 10, ICRP: 11, ICCN: 12 };

describe("values out of range", () => {
  test.each<readonly [id: string, name: string, carrier: keyof typeof MESSAGE_TYPES, type: number, value: string]>([
    ["B25, B55", "receiveWindowSize", "SCCRQ", 10, "0000"],
    ["B32, B50", "assignedControlConnectionId", "SCCRP", 61, "00000000"],
    ["B35", "localSessionId", "ICRQ", 63, "00000000"],
    ["B42", "dataSequencing", "ICRP", 70, "0003"],
    ["B87, I19", "failoverCapability", "SCCRQ", 76, "000000001388"],
    ["B91", "frameRelayHeaderLength", "ICRQ", 85, "0003"],
    ["B95", "fcsRetention", "ICCN", 92, "0001"],
  ])("%s: %s in %s is refused with M, ignored without", (_, name, carrier, type, value) => {
    for (const mandatory of [true, false]) {
      const decoded = known(message(MESSAGE_TYPES[carrier], avp(type, value, { mandatory })));
      expect(decoded[mandatory ? "refused" : "ignored"]).toMatchObject([{ name, reason: "value-out-of-range" }]);
      expect(decoded[mandatory ? "ignored" : "refused"]).toEqual([]);
    }
  });

  test.each(["", "00", "000200"])("B21 G01: a Result Code of the octets '%s' is of a wrong length", (value) => {
    const { refused } = known(message(4, avp(1, value)));
    expect(refused).toMatchObject([{ name: "resultCode", reason: "wrong-length" }]);
  });

  test("B36, B59: a Remote Session ID of 0 is legal", () => {
    expect(known(message(16, avp(63, "00000001"), avp(64, "00000000")))).toMatchObject({
      kind: "message",
      message: { remoteSessionId: 0 },
    });
  });

  test("B63: a sublayer that we do not know is a value like others, for control to refuse", () => {
    expect(known(message(11, avp(69, "0009")))).toMatchObject({ avps: { l2SpecificSublayer: 9 }, refused: [] });
  });

  test("H07: reserved bits of Circuit Status are ignored on receipt and never sent", () => {
    const sli = message(16, avp(63, "00000001"), avp(64, "00000002"), avp(71, "ffff"));
    expect(known(sli)).toMatchObject({ message: { circuitStatus: 0x7f }, refused: [], ignored: [] });
    const unreal = { name: "SLI", localSessionId: 1, remoteSessionId: 2, circuitStatus: 0x80 } as const;
    expect(() => encodeMessage(1, 0, 0, unreal)).toThrow(RangeError);
  });

  test("A24: reserved fields are ignored on receipt and sent as zero", () => {
    const wen = (reserved: string) =>
      message(15, avp(63, "00000001"), avp(64, "00000002"), avp(34, reserved + "01".repeat(16), { mandatory: false }));
    const decoded = known(wen("ffff"));
    expect(decoded).toEqual(known(wen("0000")));
    if (decoded.kind !== "message") throw new Error("incomplete");
    expect(encodeMessage(0x0102_0304, 2, 3, decoded.message)).toEqual(wen("0000"));
  });

  test("B23, B69: text that is no US-ASCII is taken all the same", () => {
    const utf8 = known(message(1, avp(7, "c3a9"), avp(8, "ff")));
    expect(utf8).toMatchObject({ avps: { hostName: "é", vendorName: "\ufffd" }, refused: [] });
  });

  test("G01: a Result Code of 0, a reserved number, can be received and not sent", () => {
    const decoded = known(message(4, avp(1, "0000060000000000")));
    expect(decoded).toMatchObject({
      kind: "message",
      message: { resultCode: { result: 0, error: 0x600, message: "\0\0\0\0" } },
    });
    if (decoded.kind !== "message") throw new Error("incomplete");
    expect(() => encodeMessage(1, 0, 0, decoded.message)).toThrow(/resultCode.*1 to 65535/);
  });
});

describe("what cannot be sent", () => {
  const icrq = {
    name: "ICRQ",
    localSessionId: 1,
    remoteSessionId: 0,
    serialNumber: 1,
    pseudowireType: 5,
    remoteEndId: octetsOfHex("3432"),
    circuitStatus: 3,
  } as const satisfies ControlMessage;
  const sccrq = {
    name: "SCCRQ",
    hostName: "lac",
    routerId: 1,
    assignedControlConnectionId: 2,
    pseudowireCapabilitiesList: [5],
  } as const satisfies ControlMessage;

  test.each<readonly [id: string, message: ControlMessage, complaint: RegExp]>([
    ["B37", { ...icrq, assignedCookie: new Uint8Array(5) }, /assignedCookie 0x0000000000 is not 0, 4 or 8 octets/],
    ["B35", { ...icrq, localSessionId: 0 }, /localSessionId 0 /],
    ["B35", { ...icrq, localSessionId: 2 ** 32 }, /localSessionId 4294967296 /],
    ["B36", { ...icrq, remoteSessionId: -1 }, /remoteSessionId -1 /],
    ["B40", { ...icrq, pseudowireType: 1.5 }, /pseudowireType 1.5 /],
    ["B40", { ...icrq, pseudowireType: Number.NaN }, /pseudowireType null /],
    ["B38", { ...icrq, remoteEndId: new Uint8Array(1018) }, /remoteEndId 0x0+\.\.\. is not 0 to 1017 octets/],
    ["B46", { ...icrq, txConnectSpeed: 2n ** 64n }, /txConnectSpeed "18446744073709551616" /],
    ["B22", { ...icrq, tieBreaker: new Uint8Array(7) }, /tieBreaker .* is not 8 octets/],
    ["B32", { ...sccrq, assignedControlConnectionId: 0 }, /assignedControlConnectionId 0 /],
    ["B33", { ...sccrq, pseudowireCapabilitiesList: [] }, /pseudowireCapabilitiesList \[\] /],
    ["B33", { ...sccrq, pseudowireCapabilitiesList: [5, 65536] }, /pseudowireCapabilitiesList \[5,65536\] /],
    ["B33, G15", { ...sccrq, pseudowireCapabilitiesList: Array(509).fill(5) }, /pseudowireCapabilitiesList/],
    ["B23", { ...sccrq, hostName: "" }, /hostName "" /],
    ["B23", { ...sccrq, hostName: "é" }, /hostName "é" is not US-ASCII/],
    ["B23", { ...sccrq, hostName: "x".repeat(1018) }, /hostName "x+\.\.\. /],
    ["B25", { ...sccrq, receiveWindowSize: 0 }, /receiveWindowSize 0 /],
    ["B21", { name: "StopCCN", resultCode: { result: 2, message: "no error code" } }, /resultCode/],
    ["B21", { name: "StopCCN", resultCode: { result: 2, error: 6, message: "é".repeat(507) } }, /resultCode/],
    ["B29", { ...sccrq, extendedVendorId: [] }, /extendedVendorId/],
    [
      "B29",
      { ...sccrq, extendedVendorId: [{ vendorId: 1, type: 1, octets: new Uint8Array(1012) }] },
      /extendedVendorId/,
    ],
  ])("%s: %o is refused, naming AVP and value", (_, illegal, complaint) => {
    expect(() => encodeMessage(1, 0, 0, illegal)).toThrow(RangeError);
    expect(() => encodeMessage(1, 0, 0, illegal)).toThrow(complaint);
  });

  test("B02: a value of 1017 octets is the longest", () => {
    const longest = { ...icrq, remoteEndId: new Uint8Array(1017).fill(0xab) };
    expect(known(encodeMessage(1, 0, 0, longest))).toMatchObject({ message: { remoteEndId: longest.remoteEndId } });
  });

  test("G15: a message is never longer than its Length can say", () => {
    const vendorAvps = (count: number, last: number) => [
      ...Array.from({ length: count }, () => ({ vendorId: 1, type: 1, octets: new Uint8Array(1011) })),
      { vendorId: 1, type: 1, octets: new Uint8Array(last) },
    ];
    // 20 octets to begin with, 64 times 1023, and 43 to fill up.
    const longest = { name: "HELLO", extendedVendorId: vendorAvps(64, 31) } as const;
    expect(encodeMessage(1, 0, 0, longest).length).toBe(65_535);
    expect(known(encodeMessage(1, 0, 0, longest))).toMatchObject({ kind: "message", refused: [], ignored: [] });
    const tooLong = { name: "HELLO", extendedVendorId: vendorAvps(64, 32) } as const;
    expect(() => encodeMessage(1, 0, 0, tooLong)).toThrow(/\(Extended Vendor ID\).*longer than 65535/);
    const farTooLong = { name: "HELLO", extendedVendorId: vendorAvps(80, 0) } as const;
    expect(() => encodeMessage(1, 0, 0, farTooLong)).toThrow(RangeError);
  });

  test.each([
    [-1, 0, 0],
    [2 ** 32, 0, 0],
    [1, 65_536, 0],
    [1, 0, -1],
    [1, 0.5, 0],
  ])("B50, C01: nor is a header field that does not fit: CCID %d, Ns %d, Nr %d", (controlConnectionId, ns, nr) => {
    expect(() => encodeMessage(controlConnectionId, ns, nr, { name: "HELLO" })).toThrow(RangeError);
  });
});

describe("Random Vector and Message Digest", () => {
  test.each(DIGESTS)(
    "B30, B45: a $message with a digest is understood, the digest kept",
    ({ octets, message: name }) => {
      const decoded = known(octets);
      expect(decoded).toMatchObject({ kind: "message", message: { name }, refused: [], ignored: [] });
      expect(decoded.recognised).toMatchObject([{ vendorId: 0, type: 59 }]);
    },
  );

  test("B30: two digests are kept in order", () => {
    const md5 = `00${"11".repeat(16)}`;
    const sha1 = `01${"22".repeat(20)}`;
    const { recognised } = known(message(6, avp(59, sha1), avp(59, md5)));
    expect(recognised).toMatchObject([{ octets: octetsOfHex(sha1) }, { octets: octetsOfHex(md5) }]);
  });

  test.each<readonly [id: string, type: number, value: string, reason: string]>([
    ["B30", 59, "", "wrong-length"],
    ["B30", 59, `00${"11".repeat(15)}`, "wrong-length"],
    ["B30", 59, `00${"11".repeat(20)}`, "wrong-length"],
    ["B30", 59, `01${"11".repeat(16)}`, "wrong-length"],
    ["B30, D19", 59, `07${"11".repeat(16)}`, "value-out-of-range"],
    ["B28", 36, "", "wrong-length"],
  ])("%s: AVP %i with the value %s is judged by M", (_, type, value, reason) => {
    expect(known(message(6, avp(type, value))).refused).toMatchObject([{ type, reason }]);
    expect(known(message(6, avp(type, value, { mandatory: false }))).ignored).toMatchObject([{ type, reason }]);
  });

  test("B28: Random Vectors are kept, several of them", () => {
    const { recognised } = known(message(6, avp(36, "a0a1"), avp(36, "a2")));
    expect(recognised).toMatchObject([
      { type: 36, octets: octetsOfHex("a0a1") },
      { type: 36, octets: octetsOfHex("a2") },
    ]);
  });

  test("D26: neither may be hidden", () => {
    for (const [type, value] of [
      [36, "a0a1"],
      [59, `00${"11".repeat(16)}`],
    ] as const) {
      expect(known(message(6, avp(type, value, { hidden: true }))).refused).toMatchObject([{ type, reason: "hidden" }]);
    }
  });
});

describe("AVPs of RFC 2661 and of Cisco", () => {
  const rfc2661 = [
    2, 3, 4, 6, 9, 11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 23, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 37, 38, 39,
  ];
  const cisco = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 110, 111, 115];
  const rows = [...rfc2661.map((type) => [0, type] as const), ...cisco.map((type) => [9, type] as const)];

  test.each(rows)(
    "B07, B110, B111, B134: vendor %i type %i is recognised: nothing in it refuses a message",
    (vendorId, type) => {
      for (const options of [{}, { mandatory: false }, { hidden: true }]) {
        for (const value of ["", "01", "0102030405060708090a"]) {
          const decoded = known(message(3, avp(type, value, { vendorId, ...options })));
          const entry = { vendorId, type, mandatory: true, hidden: false, ...options, octets: octetsOfHex(value) };
          expect(decoded).toMatchObject({ kind: "message", refused: [], ignored: [] });
          expect(decoded.recognised).toEqual([entry]);
        }
      }
      expect(findAvp(vendorId, type)?.origin).toBe(vendorId === 9 ? "cisco" : "rfc2661");
    },
  );

  test("B39: Application Code (67) was never defined: unknown", () => {
    expect(known(message(10, avp(67, "0001"))).refused).toMatchObject([{ type: 67, reason: "unknown" }]);
  });

  test.each([49, 50, 51, 52, 55, 56, 57, 80, 81, 82, 83, 84, 93])(
    "B85: registered type %i is ignored without M",
    (type) => {
      const { refused, ignored } = known(message(1, avp(type, "0001", { mandatory: false })));
      expect(refused).toEqual([]);
      expect(ignored).toMatchObject([{ type, reason: "unknown" }]);
    },
  );
});
