import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeMessage } from "../../src/avp/decode.ts";
import { digestKey, signMessage, verifyMessage } from "../../src/avp/digest.ts";
import { type Envelope, encodeMessage } from "../../src/avp/encode.ts";
import { hide, hidingKey, unhide } from "../../src/avp/hiding.ts";
import { type ControlMessage, MESSAGE_NAMES, MESSAGES, type MessageName } from "../../src/avp/messages.ts";
import { AVPS, type AvpName } from "../../src/avp/registry.ts";
import { avp, hexOf, message, octetsOfHex } from "../support/wire.ts";
import { singleValueOf } from "../unit/avp/arbitraries.ts";

const ascii = (text: string) => new TextEncoder().encode(text);
const KEY = hidingKey(ascii("cisco123"));
const OTHER_KEY = hidingKey(ascii("next-secret"));
const RANDOM_VECTOR = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf";
const RV = octetsOfHex(RANDOM_VECTOR);
/** MD5 of the Random Vector. */
const SECOND_VECTOR = "7a9f7727b9c86c1d99f77fbb06fc16bd";
const COOKIE = "0011223344556677";
const HIDDEN_COOKIE = "b9c47941f48dae38e711";
const IDS = [avp(63, "aabbcc01"), avp(64, "6ab4ef04"), avp(71, "0003")];
const ICRP = { name: "ICRP", localSessionId: 0xaabb_cc01, remoteSessionId: 0x6ab4_ef04, circuitStatus: 3 } as const;

/** RFC 3931 5.3 and RFC 4951: what nobody may hide, transcribed, not taken from the registry. */
const NEVER_HIDDEN = [0, 1, 5, 7, 10, 36, 59, 60, 73, 77];

function known(octets: Uint8Array, key?: Uint8Array) {
  const decoded = decodeMessage(octets, key);
  if (decoded.kind !== "message" && decoded.kind !== "incomplete") throw new Error(`decoded as ${decoded.kind}`);
  return decoded;
}

function hiddenAvp(type: number, value: string, randomVector = RANDOM_VECTOR, mandatory = true): string {
  const hidden = hide(type, KEY, octetsOfHex(randomVector), octetsOfHex(value));
  return avp(type, hexOf(hidden), { hidden: true, mandatory });
}

/** What was turned down, and where. */
function judgement(octets: Uint8Array, key: Uint8Array | undefined = KEY) {
  const { refused, ignored } = known(octets, key);
  return { refused: refused.map(({ reason }) => reason), ignored: ignored.map(({ reason }) => reason) };
}

function judged(mandatory: boolean, reason: string) {
  return mandatory ? { refused: [reason], ignored: [] } : { refused: [], ignored: [reason] };
}

describe("the key", () => {
  test.each([
    ["cisco123", "ddcdd3b06f8b6cd579075e9857ec426e"],
    ["", "b41153dc48510aeee089ee50d9574434"],
  ])("D22: is HMAC-MD5 of 0x01 under the secret %j", (secret, key) => {
    expect(hexOf(hidingKey(ascii(secret)))).toBe(key);
  });
});

describe("the hidden form", () => {
  /** All but the first computed apart from this code. */
  test.each([
    ["a cookie", 65, COOKIE, "", HIDDEN_COOKIE],
    [
      "three blocks with padding",
      62,
      "00050004",
      hexOf(Uint8Array.from({ length: 33 }, (_, index) => 0x30 + index)),
      "c99a126d232d10d0a973b0c3d3323db76c403946bc96a7ca3f09636e9751c87e7dc3297f717969",
    ],
    [
      "an octet more than two blocks",
      66,
      hexOf(Uint8Array.from({ length: 31 }, (_, index) => index)),
      "",
      "ec40248db40c4c4cbcdd428c21f89d708236eb563eed9dd557f2747a7888eca931",
    ],
  ])("D23: %s, bit for bit", (_, type, value, padding, hidden) => {
    expect(hexOf(hide(type, KEY, RV, octetsOfHex(value), octetsOfHex(padding)))).toBe(hidden);
    expect(hexOf(unhide(type, KEY, RV, octetsOfHex(hidden)) ?? RV)).toBe(value);
  });

  test("D23: with paddings of 0 to 40 octets it is longer by so many and says the same", () => {
    for (let length = 0; length <= 40; length++) {
      for (const value of ["", "42", COOKIE, "cd".repeat(14), "ef".repeat(46)]) {
        const padding = new Uint8Array(length).fill(0x5a);
        const hidden = hide(65, KEY, RV, octetsOfHex(value), padding);
        expect(hidden.length).toBe(2 + value.length / 2 + length);
        expect(hexOf(unhide(65, KEY, RV, hidden) ?? RV)).toBe(value);
      }
    }
  });

  test("D23: depends on type, key and Random Vector", () => {
    const value = octetsOfHex(COOKIE);
    const forms = [hide(65, KEY, RV, value), hide(66, KEY, RV, value), hide(65, OTHER_KEY, RV, value)];
    forms.push(hide(65, KEY, RV.subarray(1), value), hide(65 + 256, KEY, RV, value));
    expect(new Set(forms.map(hexOf)).size).toBe(forms.length);
  });

  test("D23: more than an AVP holds cannot be hidden", () => {
    expect(hide(66, KEY, RV, new Uint8Array(1_000), new Uint8Array(15)).length).toBe(1_017);
    expect(() => hide(66, KEY, RV, new Uint8Array(1_000), new Uint8Array(16))).toThrow(RangeError);
    expect(() => hide(66, KEY, RV, new Uint8Array(1_016))).toThrow(RangeError);
  });

  test("D24: one without room for an original length, or with one too large, is malformed", () => {
    expect(unhide(65, KEY, RV, new Uint8Array())).toBeUndefined();
    expect(unhide(65, KEY, RV, octetsOfHex("b9"))).toBeUndefined();
    for (const originalLength of [9, 10, 0x100, 0x7fff, 0xffff]) {
      expect(unhide(65, KEY, RV, withOriginalLength(originalLength))).toBeUndefined();
    }
    for (let originalLength = 0; originalLength <= 8; originalLength++) {
      const value = unhide(65, KEY, RV, withOriginalLength(originalLength));
      expect(hexOf(value ?? RV)).toBe(COOKIE.slice(0, 2 * originalLength));
    }
  });
});

/** The hidden cookie with another original length under the same mask. */
function withOriginalLength(length: number): Uint8Array {
  const octets = octetsOfHex(HIDDEN_COOKIE);
  octets[0] = (octets[0] ?? 0) ^ (length >> 8);
  octets[1] = (octets[1] ?? 0) ^ 8 ^ (length & 0xff);
  return octets;
}

describe("sending", () => {
  const hiding = { key: KEY, randomVector: RV } as const;

  test("D21: a Random Vector stands before the first hidden AVP, and each is hidden with it", () => {
    const octets = encodeMessage(0x0102_0304, 2, 3, { ...ICRP, assignedCookie: octetsOfHex(COOKIE) }, { hiding });
    const hidden = [hiddenAvp(63, "aabbcc01"), hiddenAvp(64, "6ab4ef04"), hiddenAvp(71, "0003"), hiddenAvp(65, COOKIE)];
    expect(hexOf(octets)).toBe(hexOf(message(11, avp(36, RANDOM_VECTOR), ...hidden)));
    expect(hexOf(octets)).toContain(`c01000000041${HIDDEN_COOKIE}`);
  });

  test("D21: it comes behind the digests and what cannot be hidden, and only once", () => {
    const stopCcn = { name: "StopCCN", resultCode: { result: 6 }, assignedControlConnectionId: 7 } as const;
    const octets = encodeMessage(0x0102_0304, 2, 3, stopCcn, { digests: ["md5"], hiding });
    const digest = avp(59, `00${"00".repeat(16)}`);
    const expected = message(4, digest, avp(1, "0006"), avp(36, RANDOM_VECTOR), hiddenAvp(61, "00000007"));
    expect(hexOf(octets)).toBe(hexOf(expected));
  });

  test("D21: where nothing is hidden there is none, and the message is as ever", () => {
    for (const said of [{ name: "HELLO" }, { name: "StopCCN", resultCode: { result: 6 } }] as const) {
      expect(encodeMessage(1, 2, 3, said, { hiding })).toEqual(encodeMessage(1, 2, 3, said));
    }
    expect(encodeMessage(1, 2, 3, ICRP, { hiding: { ...hiding, only: [] } })).toEqual(encodeMessage(1, 2, 3, ICRP));
    expect(encodeMessage(1, 2, 3, ICRP, {})).toEqual(encodeMessage(1, 2, 3, ICRP));
  });

  test("D21: only what is named is hidden", () => {
    const said = { ...ICRP, assignedCookie: octetsOfHex(COOKIE) };
    const octets = encodeMessage(0x0102_0304, 2, 3, said, { hiding: { ...hiding, only: ["assignedCookie"] } });
    expect(hexOf(octets)).toBe(hexOf(message(11, ...IDS, avp(36, RANDOM_VECTOR), hiddenAvp(65, COOKIE))));
  });

  test("D26: what must not be hidden is not, and asking for it is an error", () => {
    for (const name of Object.keys(AVPS) as AvpName[]) {
      if (!NEVER_HIDDEN.includes(AVPS[name].type)) continue;
      const envelope: Envelope = { hiding: { ...hiding, only: ["assignedCookie", name] } };
      expect(() => encodeMessage(1, 0, 0, ICRP, envelope)).toThrow(`${name} must not be hidden`);
    }
  });

  test("D25: a second value of one attribute type is hidden with a Random Vector of its own", () => {
    const vendorAvps = [1, 2, 3].map((last) => ({ vendorId: 1, type: 2, octets: Uint8Array.of(last) }));
    const said = { name: "ICCN", localSessionId: 1, remoteSessionId: 2, extendedVendorId: vendorAvps } as const;
    const octets = encodeMessage(0x0102_0304, 2, 3, said, { hiding: { ...hiding, only: ["extendedVendorId"] } });
    const text = hexOf(octets);
    const first = avp(36, RANDOM_VECTOR) + hiddenAvp(58, "00000001000201", RANDOM_VECTOR, false);
    const second = avp(36, SECOND_VECTOR) + hiddenAvp(58, "00000001000202", SECOND_VECTOR, false);
    // Computed apart from this code.
    expect(second.endsWith("2f5f506c82a57c600d")).toBe(true);
    expect(text).toContain(avp(64, "00000002") + first + second);
    expect(new Set([...text.matchAll(/801600000024(.{32})/g)].map(([, vector]) => vector)).size).toBe(3);
    expect(known(octets, KEY)).toMatchObject({ kind: "message", message: said, refused: [], ignored: [] });
  });

  test("D23: padding is cut to what the AVP holds; a value too long to be hidden is not sent in the clear", () => {
    const padding = new Uint8Array(200).fill(1);
    const envelope: Envelope = { hiding: { ...hiding, padding } };
    const sized = (length: number) => ({ ...ICRQ, remoteEndId: new Uint8Array(length).fill(0x42) }) as const;
    for (const length of [0, 800, 815, 816, 1_000, 1_015]) {
      const octets = encodeMessage(1, 0, 0, sized(length), envelope);
      expect(known(octets, KEY)).toMatchObject({ kind: "message", message: sized(length), refused: [] });
    }
    for (const length of [1_016, 1_017]) {
      expect(() => encodeMessage(1, 0, 0, sized(length), envelope)).toThrow(/remoteEndId .* too long to be hidden/);
    }
  });

  test("D21: nor is a message made longer than its Length can say, or an empty Random Vector sent", () => {
    const extendedVendorId = Array.from({ length: 62 }, () => ({
      vendorId: 1,
      type: 1,
      octets: new Uint8Array(1_009),
    }));
    const said = { name: "HELLO", extendedVendorId } as const;
    expect(known(encodeMessage(1, 0, 0, said, { hiding }), KEY)).toMatchObject({ kind: "message", message: said });
    // 20 octets to begin with, 62 times 1045; of the last AVP 36 and the value.
    const longest = (last: number) => {
      const all = [...extendedVendorId, { vendorId: 1, type: 1, octets: new Uint8Array(last) }];
      return () => encodeMessage(1, 0, 0, { ...said, extendedVendorId: all }, { hiding });
    };
    expect(longest(689)().length).toBe(65_535);
    for (const last of [690, 691, 692, 1_009])
      expect(longest(last)).toThrow(/\(Extended Vendor ID\).*longer than 65535/);
    const empty: Envelope = { hiding: { key: KEY, randomVector: new Uint8Array() } };
    expect(() => encodeMessage(1, 0, 0, ICRP, empty)).toThrow(/randomVector/);
  });
});

const ICRQ = {
  ...ICRP,
  name: "ICRQ",
  remoteSessionId: 0,
  serialNumber: 1,
  pseudowireType: 5,
  remoteEndId: new Uint8Array(),
} as const;

/** Every AVP that may be hidden, in every message that may carry it. */
const HIDEABLE = MESSAGE_NAMES.flatMap((name) =>
  ([...MESSAGES[name].requires, ...MESSAGES[name].allows, "extendedVendorId"] as const)
    .filter((avpName) => AVPS[avpName].hideable)
    .map((avpName) => [avpName, name] as const),
);

/** Two octets of an AVP go to its original length when it is hidden. */
function fitting(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.subarray(0, 1_015);
  return Array.isArray(value) ? value.slice(0, 250) : value;
}

function sampleOf(avpName: AvpName, seed: number): unknown {
  const value = fitting(fc.sample(singleValueOf(avpName), { seed, numRuns: 1 })[0]);
  return AVPS[avpName].repeatable ? [value] : value;
}

function carrying(avpName: AvpName, name: MessageName, seed: number): ControlMessage {
  const values = Object.fromEntries(MESSAGES[name].requires.map((required) => [required, sampleOf(required, seed)]));
  return { name, ...values, [avpName]: sampleOf(avpName, seed) } as unknown as ControlMessage;
}

/** Whether the H bit is set, by attribute type. */
function hBits(octets: Uint8Array): ReadonlyMap<number, boolean> {
  const bits = new Map<number, boolean>();
  for (let offset = 12; offset < octets.length; ) {
    const [first = 0, second = 0] = octets.subarray(offset, offset + 2);
    bits.set(octets[offset + 5] ?? 0, (first & 0x40) !== 0);
    offset += ((first << 8) | second) & 0x3ff;
  }
  return bits;
}

const HIDEABLE_TYPES = new Set(HIDEABLE.map(([avpName]): number => AVPS[avpName].type));

describe("receiving", () => {
  test.each(HIDEABLE)("D21, D23: %s in %s comes back as it was hidden", (avpName, name) => {
    const { type } = AVPS[avpName];
    for (const length of [0, 1, 30]) {
      const said = carrying(avpName, name, 1 + length);
      const hiding = { key: KEY, randomVector: RV, padding: new Uint8Array(length) };
      const all = encodeMessage(0x0102_0304, 2, 3, said, { hiding });
      const one = encodeMessage(0x0102_0304, 2, 3, said, { hiding: { ...hiding, only: [avpName] } });
      for (const octets of [all, one]) {
        expect(known(octets, KEY)).toMatchObject({ kind: "message", refused: [], ignored: [] });
        expect(known(octets, KEY)).toHaveProperty("message", said);
      }
      expect([...hBits(all)].every(([other, hidden]) => hidden === HIDEABLE_TYPES.has(other))).toBe(true);
      expect([...hBits(one)].every(([other, hidden]) => hidden === (other === type))).toBe(true);
    }
  });

  test("D21: hidden AVPs are read with the nearest Random Vector before them", () => {
    const octets = message(
      11,
      avp(36, "00"),
      avp(36, RANDOM_VECTOR),
      hiddenAvp(63, "aabbcc01"),
      avp(71, "0003"),
      hiddenAvp(64, "6ab4ef04"),
      avp(36, "beef"),
      hiddenAvp(65, COOKIE, "beef"),
    );
    const decoded = known(octets, KEY);
    expect(decoded).toMatchObject({ kind: "message", message: { ...ICRP, assignedCookie: octetsOfHex(COOKIE) } });
    expect(decoded.recognised.map(({ type }) => type)).toEqual([36, 36, 36]);
  });

  test.each([true, false])("D21: without a Random Vector before it, M decides: M %s", (mandatory) => {
    const cookie = hiddenAvp(65, COOKIE, RANDOM_VECTOR, mandatory);
    for (const octets of [message(11, ...IDS, cookie), message(11, ...IDS, cookie, avp(36, RANDOM_VECTOR))]) {
      expect(judgement(octets)).toEqual(judged(mandatory, "hidden"));
    }
  });

  test("D21: a broken Random Vector is none, whatever stood before it", () => {
    for (const [broken, reason] of [
      [avp(36, "", { mandatory: false }), "wrong-length"],
      [avp(36, "beef", { mandatory: false, hidden: true }), "hidden"],
    ] as const) {
      const octets = message(11, ...IDS, avp(36, RANDOM_VECTOR), broken, hiddenAvp(65, COOKIE));
      expect(judgement(octets)).toEqual({ refused: ["hidden"], ignored: [reason] });
    }
  });

  test.each([true, false])("D21: without a key a hidden AVP cannot be read: M %s", (mandatory) => {
    const octets = message(11, ...IDS, avp(36, RANDOM_VECTOR), hiddenAvp(65, COOKIE, RANDOM_VECTOR, mandatory));
    const { refused, ignored } = known(octets);
    const entry = { vendorId: 0, type: 65, mandatory, hidden: true, octets: octetsOfHex(HIDDEN_COOKIE) };
    expect(mandatory ? refused : ignored).toEqual([{ ...entry, reason: "hidden", name: "assignedCookie" }]);
  });

  test.each([true, false])("D24: with a wrong original length it is malformed, and M decides: M %s", (mandatory) => {
    for (const originalLength of [9, 0x100, 0xffff]) {
      const hidden = hexOf(withOriginalLength(originalLength));
      const octets = message(11, ...IDS, avp(36, RANDOM_VECTOR), avp(65, hidden, { hidden: true, mandatory }));
      expect(judgement(octets)).toEqual(judged(mandatory, "wrong-length"));
    }
    for (const short of ["", "b9"]) {
      const octets = message(11, ...IDS, avp(36, RANDOM_VECTOR), avp(65, short, { hidden: true, mandatory }));
      expect(judgement(octets)).toEqual(judged(mandatory, "wrong-length"));
    }
  });

  test.each([true, false])("D24, G05: what was hidden is judged like any other value: M %s", (mandatory) => {
    const vector = avp(36, RANDOM_VECTOR);
    const shortCookie = message(11, ...IDS, vector, hiddenAvp(65, "010203", RANDOM_VECTOR, mandatory));
    expect(judgement(shortCookie)).toEqual(judged(mandatory, "wrong-length"));
    const sequencing = message(11, ...IDS, vector, hiddenAvp(70, "0003", RANDOM_VECTOR, mandatory));
    expect(judgement(sequencing)).toEqual(judged(mandatory, "value-out-of-range"));
    const { refused, ignored } = known(sequencing, KEY);
    const octets = hide(70, KEY, RV, octetsOfHex("0003"));
    expect([...refused, ...ignored]).toMatchObject([{ type: 70, hidden: true, octets }]);
  });

  test("A32: of duplicates the first wins, hidden or not", () => {
    const vector = avp(36, RANDOM_VECTOR);
    const hiddenFirst = message(11, ...IDS, vector, hiddenAvp(65, COOKIE), avp(65, "01020304"));
    const hiddenSecond = message(11, ...IDS, vector, avp(65, COOKIE), hiddenAvp(65, "01020304"));
    for (const octets of [hiddenFirst, hiddenSecond]) {
      expect(known(octets, KEY)).toMatchObject({ message: { assignedCookie: octetsOfHex(COOKIE) }, refused: [] });
      expect(judgement(octets)).toEqual({ refused: [], ignored: ["duplicate"] });
    }
  });

  test("B04, B06: an unknown AVP stays unknown when it is hidden", () => {
    for (const mandatory of [true, false]) {
      const octets = message(6, avp(36, RANDOM_VECTOR), hiddenAvp(0x7777, "00", RANDOM_VECTOR, mandatory));
      expect(judgement(octets)).toEqual(judged(mandatory, "unknown"));
    }
  });

  test("D27: with another secret's key the value is not what it was", () => {
    const octets = message(11, ...IDS, avp(36, RANDOM_VECTOR), hiddenAvp(65, COOKIE));
    expect(known(octets, OTHER_KEY)).not.toMatchObject({ message: { assignedCookie: octetsOfHex(COOKIE) } });
    expect(known(octets, KEY)).toMatchObject({ message: { assignedCookie: octetsOfHex(COOKIE) } });
  });

  test("D27: the secret whose digest agrees tells how to unhide", () => {
    const secrets = ["cisco123", "next-secret"].map(ascii);
    for (const [index, secret] of secrets.entries()) {
      const hiding = { key: hidingKey(secret), randomVector: RV };
      const said = { ...ICRP, assignedCookie: octetsOfHex(COOKIE) };
      const octets = encodeMessage(1, 2, 3, said, { digests: ["sha1"], hiding });
      signMessage(octets, [{ key: digestKey(secret) }], RV);
      const verified = verifyMessage(octets, secrets.map(digestKey), RV);
      expect(verified).toBe(index);
      expect(known(octets, secrets.map(hidingKey)[Number(verified)])).toMatchObject({ message: said, refused: [] });
    }
  });

  test("B112: a hidden Challenge is read; one that cannot be is kept, and refuses nothing", () => {
    const sccrq = [avp(7, "61"), avp(60, "00000001"), avp(61, "00000002"), avp(62, "0005"), avp(36, RANDOM_VECTOR)];
    const octets = message(1, ...sccrq, hiddenAvp(11, COOKIE));
    expect(known(octets, KEY)).toMatchObject({ message: { challenge: octetsOfHex(COOKIE) }, refused: [], ignored: [] });
    expect(known(octets)).toMatchObject({ refused: [], ignored: [], recognised: [{ type: 36 }, { type: 11 }] });
  });
});

describe("what must not be hidden", () => {
  test("D26: the table of AVPs agrees", () => {
    const rows = (Object.keys(AVPS) as AvpName[]).filter((name) => !AVPS[name].hideable);
    expect(rows.map((name) => AVPS[name].type).sort((one, other) => one - other)).toEqual(NEVER_HIDDEN);
  });

  test.each([
    [1, "CDN", 14, "0003"],
    [5, "ICRQ", 10, COOKIE],
    [5, "SCCRQ", 1, COOKIE],
    [7, "SCCRP", 2, "61"],
    [10, "SCCRQ", 1, "0004"],
    [36, "HELLO", 6, "beef"],
    [59, "HELLO", 6, `00${"11".repeat(16)}`],
    [60, "SCCRQ", 1, "00000001"],
    [73, "SCCRQ", 1, COOKIE],
    [77, "SCCRQ", 1, "00".repeat(10)],
  ])("D26: %i in %s with its H bit set is malformed, and M decides", (type, _, messageType, value) => {
    for (const mandatory of [true, false]) {
      for (const octets of [hide(type, KEY, RV, octetsOfHex(value)), octetsOfHex(value)]) {
        const hidden = avp(type, hexOf(octets), { hidden: true, mandatory });
        expect(judgement(message(messageType, avp(36, RANDOM_VECTOR), hidden))).toEqual(judged(mandatory, "hidden"));
      }
    }
  });

  test("D26: a Message Type that is hidden makes no message", () => {
    const octets = message(6);
    octets[12] = 0xc0;
    expect(() => decodeMessage(octets, KEY)).toThrow(expect.objectContaining({ code: "malformed-message-type" }));
  });
});
