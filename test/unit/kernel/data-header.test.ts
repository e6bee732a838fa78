import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  controlLength,
  type DataHeaderLayout,
  datagramKind,
  dataHeaderLength,
  encodeDataHeader,
  frameStart,
  NO_FRAME,
  NOT_SEQUENCED,
  putSequence,
  readSessionId,
  readSublayer,
  WRONG_COOKIE,
} from "../../../src/kernel/data-header.ts";

const COOKIES = [[], [1, 2, 3, 4], [0xf1, 0, 0, 0, 0, 0, 0, 8]].map((octets) => Uint8Array.from(octets));
const SUBLAYERS = ["none", "default"] as const;
const LAYOUTS: DataHeaderLayout[] = COOKIES.flatMap((cookie) =>
  SUBLAYERS.map((l2Sublayer) => ({ cookie, l2Sublayer })),
);
const layouts = fc.record({
  cookie: fc.constantFrom(0, 4, 8).chain((length) => fc.uint8Array({ minLength: length, maxLength: length })),
  l2Sublayer: fc.constantFrom(...SUBLAYERS),
});
const sessionIds = fc.integer({ min: 1, max: 0xffffffff });

function concatenate(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

describe("F06: the data header over UDP (RFC 3931 4.1.2.1)", () => {
  test("is 0x00030000, the Session ID, the cookie and a sublayer of zeros", () => {
    const cookie = Uint8Array.from([0xc0, 0x0c, 0x1e, 0x04]);
    expect(Buffer.from(encodeDataHeader(0x80ffee01, { cookie, l2Sublayer: "default" })).toString("hex")).toBe(
      "0003000080ffee01c00c1e0400000000",
    );
    expect(Buffer.from(encodeDataHeader(42, { cookie: new Uint8Array(0), l2Sublayer: "none" })).toString("hex")).toBe(
      "000300000000002a",
    );
  });

  test("all bits of the first 32 but T and Ver are ignored on receipt", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), sessionIds, (noise, sessionId) => {
        const octets = encodeDataHeader(sessionId, { cookie: new Uint8Array(0), l2Sublayer: "none" });
        octets[0] = (noise[0] as number) & 0x7f;
        octets[1] = ((noise[1] as number) & 0xf0) | 3;
        octets[2] = noise[2] as number;
        octets[3] = noise[3] as number;
        expect(datagramKind(octets, 0, octets.length)).toBe("data");
        expect(readSessionId(octets, 0)).toBe(sessionId);
      }),
    );
  });
});

describe("F07: the version is judged first (RFC 3931 4.1.2.1)", () => {
  test.each([
    ["L2TPv2 data", "00020000000000010000", "neither"],
    ["L2TPv2 data with L, S and O set", "4a02000c00010001", "neither"],
    ["version 4", "0004000000000001", "neither"],
    ["version 0", "0000000000000001", "neither"],
    ["an L2TPv3 control message", "c803000c0000000100000000", "control"],
    ["an L2TPv2 control message", "c802000c0001000100000000", "neither"],
    ["an L2TPv2 control message with a Tunnel ID alone", "c802000c0001000000000000", "neither"],
    ["an L2TPv2 control message with a Session ID alone", "c802000c0000000100000000", "neither"],
    ["an L2TPv2 control message without ids", "c802000c0000000000000000", "control"],
    ["an L2TPv2 control message without ids, too short", "c802000b00000000000000", "neither"],
    ["an L2TPv2 data message without ids", "0002000c0000000000000000", "neither"],
    ["a version 1 control message without ids", "c801000c0000000000000000", "neither"],
    ["a control header one octet short", "c803000b00000001000000", "neither"],
    ["version 3 data", "0003000000000001", "data"],
    ["nothing", "", "neither"],
    ["one octet", "c8", "neither"],
    ["a header one octet short", "00030000000000", "neither"],
  ] as const)("%s: %s is %s", (_, hex, kind) => {
    const octets = Buffer.from(hex, "hex");
    expect(datagramKind(octets, 0, octets.length)).toBe(kind);
  });

  test("a control message's own length stays within its header and what there is", () => {
    const octets = Buffer.from("00c80300140000000100000000ff00ff00ff00ff00ff", "hex");
    expect(controlLength(octets, 1, octets.length)).toBe(20);
    expect(controlLength(octets, 1, 16)).toBe(15);
    octets[4] = 0;
    expect(controlLength(octets, 1, octets.length)).toBe(12);
    octets[3] = 0xff;
    expect(controlLength(octets, 1, octets.length)).toBe(octets.length - 1);
  });

  test("only the octets of the range are judged", () => {
    const octets = Buffer.from("c803000c0003000000000001", "hex");
    expect(datagramKind(octets, 4, 12)).toBe("data");
    expect(datagramKind(octets, 4, 11)).toBe("neither");
    expect(datagramKind(octets, 4, 5)).toBe("neither");
  });
});

describe("F05: Session ID, cookie of 0, 4 or 8 octets, sublayer, payload (RFC 3931 4.1.1.1)", () => {
  test.each(LAYOUTS)("a frame comes back out of $cookie and sublayer $l2Sublayer", (layout) => {
    const frame = Uint8Array.from({ length: 60 }, (_, index) => index);
    const octets = concatenate(encodeDataHeader(0xdeadbeef, layout), frame);
    expect(readSessionId(octets, 0)).toBe(0xdeadbeef);
    expect(octets.subarray(frameStart(octets, 0, octets.length, layout))).toEqual(frame);
  });

  test("any frame behind any header, anywhere in a buffer, comes back", () => {
    fc.assert(
      fc.property(layouts, sessionIds, fc.uint8Array(), fc.uint8Array(), (layout, sessionId, before, frame) => {
        const octets = concatenate(before, encodeDataHeader(sessionId, layout), frame);
        const start = before.length;
        expect(datagramKind(octets, start, octets.length)).toBe("data");
        expect(readSessionId(octets, start)).toBe(sessionId);
        expect(frameStart(octets, start, octets.length, layout)).toBe(octets.length - frame.length);
      }),
    );
  });

  test.each(LAYOUTS)("a datagram too short for $cookie and sublayer $l2Sublayer has no frame", (layout) => {
    const octets = concatenate(encodeDataHeader(7, layout), new Uint8Array(64));
    for (let end = 8; end < dataHeaderLength(layout); end++) expect(frameStart(octets, 0, end, layout)).toBe(-1);
    expect(frameStart(octets, 0, dataHeaderLength(layout), layout)).toBe(dataHeaderLength(layout));
  });

  test("the sublayer's bits are skipped unread", () => {
    const layout = { cookie: new Uint8Array(0), l2Sublayer: "default" } as const;
    const octets = concatenate(
      Buffer.from("0003000000000001", "hex"),
      Buffer.from("00ffffff", "hex"),
      Uint8Array.of(9),
    );
    expect(frameStart(octets, 0, octets.length, layout)).toBe(12);
  });
});

describe("F11: a cookie that is not the session's (RFC 3931 4.5)", () => {
  test("one wrong bit anywhere is enough", () => {
    for (const layout of LAYOUTS) {
      for (let bit = 0; bit < layout.cookie.length * 8; bit++) {
        const octets = concatenate(encodeDataHeader(5, layout), new Uint8Array(60));
        octets[8 + (bit >> 3)] = (octets[8 + (bit >> 3)] as number) ^ (1 << (bit & 7));
        expect(frameStart(octets, 0, octets.length, layout)).toBe(WRONG_COOKIE);
      }
    }
  });
});

describe("F14: the default L2-Specific Sublayer (RFC 3931 4.6)", () => {
  const layout = { cookie: Uint8Array.of(1, 2, 3, 4), l2Sublayer: "default" } as const;
  const headerLength = dataHeaderLength(layout);

  test("a Sequence Number stands behind the S bit, in 24 bits, and nothing else changes", () => {
    const header = encodeDataHeader(9, layout);
    putSequence(header, 0, headerLength, 0xabcdef);
    expect(Buffer.from(header).toString("hex")).toBe("00030000000000090102030440abcdef");
    putSequence(header, 0, headerLength, 0);
    expect(Buffer.from(header).toString("hex")).toBe("00030000000000090102030440000000");
  });

  test("whatever number is put is read, at any place", () => {
    fc.assert(
      fc.property(fc.nat(0xff_ffff), fc.nat(40), (sequence, start) => {
        const octets = new Uint8Array(start + headerLength);
        octets.set(encodeDataHeader(9, layout), start);
        putSequence(octets, start, headerLength, sequence);
        expect(readSublayer(octets, start + headerLength)).toBe(sequence);
      }),
    );
  });

  test.each([
    ["00abcdef", NOT_SEQUENCED],
    ["3fabcdef", NOT_SEQUENCED],
    ["40000000", 0],
    ["7fffffff", 0xff_ffff],
    ["80000000", NO_FRAME],
    ["c0000001", NO_FRAME],
  ])("F43 the sublayer %s: S tells whether there is a number, V that there is no frame", (hex, found) => {
    expect(readSublayer(Buffer.from(hex, "hex"), 4)).toBe(found);
  });
});
