import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { decodeMessage } from "../../src/avp/decode.ts";
import { type DigestKind, digestKey, placesOfDigests, signMessage, verifyMessage } from "../../src/avp/digest.ts";
import { encodeMessage } from "../../src/avp/encode.ts";
import { patchNr } from "../../src/avp/header.ts";
import type { ControlMessage } from "../../src/avp/messages.ts";
import { peekNonce } from "../../src/avp/nonce.ts";
import { ProtocolError } from "../../src/avp/protocol-error.ts";
import { DIGESTS, SOFTETHER_SESSION } from "../support/vectors.ts";
import { avp, hexOf, message, messageOf, octetsOfHex } from "../support/wire.ts";

const ascii = (text: string) => new TextEncoder().encode(text);
const KEY = digestKey(ascii("cisco123"));
const OTHER_KEY = digestKey(ascii("next-secret"));
const LOCAL_NONCE = "000102030405060708090a0b0c0d0e0f";
const REMOTE_NONCE = "101112131415161718191a1b1c1d1e1f";
/** The nonces in the view of whoever sent the vectors. */
const PREFIX = octetsOfHex(LOCAL_NONCE + REMOTE_NONCE);
const EMPTY = new Uint8Array();

const [MD5_HELLO = EMPTY, SHA1_HELLO = EMPTY, SCCRQ = EMPTY] = DIGESTS.map(({ octets }) => octets);
/** Each vector with what its digest covers besides the message. */
const VECTORS = DIGESTS.map(({ message: name, octets }) => ({
  name,
  octets,
  prefix: name === "SCCRQ" ? EMPTY : PREFIX,
  kind: octets[26] === 0 ? "md5" : "sha1",
}));
/** HMAC-SHA-1 with the first secret, HMAC-MD5 with the second one: computed apart from this code. */
const TWO_DIGESTS = octetsOfHex(
  "c803004601020304000200038008000000000006801b0000003b01668ab632a805e026cc1bd7daf9a5b6751ac1c479" +
    "80170000003b00e5937a1a8787984e70cef7e0ccb28a6c",
);

const MD5 = `00${"00".repeat(16)}`;
const SHA1 = `01${"00".repeat(20)}`;

function signed(said: ControlMessage, digests: readonly DigestKind[], keys: readonly Uint8Array[], prefix = PREFIX) {
  const octets = encodeMessage(0x0102_0304, 2, 3, said, { digests });
  signMessage(
    octets,
    keys.map((key) => ({ key })),
    prefix,
  );
  return octets;
}

function outcomeOf(octets: Uint8Array, prefix: Uint8Array) {
  try {
    return verifyMessage(octets, [KEY], prefix);
  } catch (error) {
    if (error instanceof ProtocolError) return "discarded";
    throw error;
  }
}

/** Version, lengths, and what makes the second AVP a digest: a change there may not even come to a comparison. */
const STRUCTURE = new Set([0, 1, 2, 3, 12, 13, 20, 21, 22, 23, 24, 25]);
const BROKEN: readonly unknown[] = ["wrong", "missing", "discarded"];

function* withOneBitChanged(octets: Uint8Array): Generator<readonly [position: number, octets: Uint8Array]> {
  for (let bit = 0; bit < 8 * octets.length; bit++) {
    const position = bit >> 3;
    const changed = octets.slice();
    changed[position] = (changed[position] ?? 0) ^ (1 << (bit & 7));
    yield [position, changed];
  }
}

describe("the key", () => {
  test.each([
    ["cisco123", "bb981d7e7e797307c9d0413c1b8f505c"],
    ["", "7b6085fbf45933670abcb07a27fcea5e"],
  ])("D01, D12: is HMAC-MD5 of 0x02 under the secret %j", (secret, key) => {
    expect(hexOf(digestKey(ascii(secret)))).toBe(key);
  });

  test("D01: an HMAC-SHA-1 digest is computed with the same key", () => {
    expect(verifyMessage(SHA1_HELLO, [KEY], PREFIX)).toBe(0);
    expect(verifyMessage(MD5_HELLO, [KEY], PREFIX)).toBe(0);
  });
});

describe("signing", () => {
  test.each([
    ["md5", MD5_HELLO],
    ["sha1", SHA1_HELLO],
  ] as const)("D02, D06: a HELLO with an %s digest, bit for bit", (kind, expected) => {
    expect(hexOf(signed({ name: "HELLO" }, [kind], [KEY]))).toBe(hexOf(expected));
  });

  test.each(VECTORS)("D02, D03, D04: $name, $kind, whatever the digest held before", ({ octets, prefix, kind }) => {
    for (const filling of [0x00, 0xff]) {
      const again = octets.slice().fill(filling, 27, 27 + (kind === "md5" ? 16 : 20));
      signMessage(again, [{ key: KEY }], prefix);
      expect(hexOf(again)).toBe(hexOf(octets));
    }
  });

  test("D12: without a secret and nonces a digest still guards against corruption", () => {
    const key = digestKey(EMPTY);
    const octets = signed({ name: "HELLO" }, ["md5"], [key], EMPTY);
    expect(hexOf(octets.subarray(27))).toBe("59ec7403feb194a7f3ac8312600dfa9c");
    expect(verifyMessage(octets, [key], EMPTY)).toBe(0);
    expect(verifyMessage(octets, [KEY], EMPTY)).toBe("wrong");
    octets[9] = 7;
    expect(verifyMessage(octets, [key], EMPTY)).toBe("wrong");
  });

  test("D10: an explicit ACK is signed like every message", () => {
    expect(hexOf(signed({ name: "ACK" }, ["md5"], [KEY]))).toBe(
      "c803002b0102030400020003800800000000001480170000003b00295442ac157ce51ed20a5d5783eebfd0",
    );
  });

  test("D02: with another Nr a retransmission is signed again", () => {
    const octets = MD5_HELLO.slice();
    patchNr(octets, 9);
    expect(verifyMessage(octets, [KEY], PREFIX)).toBe("wrong");
    signMessage(octets, [{ key: KEY }], PREFIX);
    expect(hexOf(octets)).toBe(
      "c803002b0102030400020009800800000000000680170000003b00e09f9cfd98c84fa094f820b99b2e7e9b",
    );
  });

  test("D05, B30: digests stand directly behind Message Type, M set, before every other AVP", () => {
    const said = { name: "CDN", resultCode: { result: 3 }, localSessionId: 1, remoteSessionId: 2 } as const;
    const octets = encodeMessage(0x0102_0304, 2, 3, said, { digests: ["sha1", "md5"] });
    const rest = avp(1, "0003") + avp(63, "00000001") + avp(64, "00000002");
    expect(hexOf(octets)).toBe(hexOf(message(14, avp(59, SHA1), avp(59, MD5), rest)));
    expect(placesOfDigests(octets)).toEqual([
      { kind: "sha1", offset: 27, length: 20 },
      { kind: "md5", offset: 54, length: 16 },
    ]);
  });

  test("D05: more than two are refused, and so is a signature without its place", () => {
    const hello = { name: "HELLO" } as const;
    expect(() => encodeMessage(1, 0, 0, hello, { digests: ["md5", "md5", "sha1"] })).toThrow(RangeError);
    const sign = (octets: Uint8Array, count: number) => () =>
      signMessage(octets, new Array(count).fill({ key: KEY }), PREFIX);
    expect(sign(message(6), 1)).toThrow(RangeError);
    expect(sign(MD5_HELLO.slice(), 2)).toThrow(RangeError);
    expect(sign(MD5_HELLO.slice(), 0)).toThrow(RangeError);
    expect(sign(message(6, avp(71, "0003"), avp(59, MD5)), 1)).toThrow(RangeError);
    expect(sign(message(6, avp(59, `07${"00".repeat(16)}`)), 1)).toThrow(RangeError);
    const zlb = octetsOfHex("c803000c0102030400020003");
    sign(zlb, 0)();
    expect(hexOf(zlb)).toBe("c803000c0102030400020003");
  });
});

describe("verifying", () => {
  test.each(VECTORS)("D02, D03: a $name with its $kind digest agrees", ({ octets, prefix }) => {
    expect(verifyMessage(octets, [KEY], prefix)).toBe(0);
    expect(verifyMessage(octets, [], prefix)).toBe("wrong");
    expect(verifyMessage(octets, [OTHER_KEY], prefix)).toBe("wrong");
  });

  test("D02: the sender's nonce comes first", () => {
    const swapped = octetsOfHex(REMOTE_NONCE + LOCAL_NONCE);
    for (const prefix of [swapped, EMPTY, octetsOfHex(LOCAL_NONCE)]) {
      expect(verifyMessage(MD5_HELLO, [KEY], prefix)).toBe("wrong");
    }
  });

  test("D03: with nonces an SCCRQ is wrong", () => {
    expect(verifyMessage(SCCRQ, [KEY], PREFIX)).toBe("wrong");
  });

  test("D04: what follows Length in the datagram is not covered", () => {
    const longer = Uint8Array.from([...MD5_HELLO, 0xff, 0x00, 0xff]);
    expect(verifyMessage(longer, [KEY], PREFIX)).toBe(0);
  });

  test.each(VECTORS)("D07: with any bit of it changed it does not agree: $name, $kind", ({ octets, prefix }) => {
    for (const [position, changed] of withOneBitChanged(octets)) {
      expect(STRUCTURE.has(position) ? BROKEN : ["wrong"]).toContain(outcomeOf(changed, prefix));
    }
  });

  test("D07, D17: nor with two digests, but for the value of the one that is not asked for", () => {
    for (const [position, changed] of withOneBitChanged(TWO_DIGESTS)) {
      const expected = position >= 54 ? [0] : STRUCTURE.has(position) ? BROKEN : ["wrong"];
      expect(expected).toContain(outcomeOf(changed, PREFIX));
    }
  });

  test("D07: a buffer that is verified is left as it is, a Node Buffer within another one too", () => {
    const around = Buffer.alloc(200, 0xee);
    around.set(TWO_DIGESTS, 50);
    const datagram = around.subarray(50, 50 + TWO_DIGESTS.length);
    expect(verifyMessage(datagram, [KEY], PREFIX)).toBe(0);
    expect(verifyMessage(datagram, [OTHER_KEY], EMPTY)).toBe("wrong");
    const untouched = Buffer.alloc(200, 0xee);
    untouched.set(TWO_DIGESTS, 50);
    expect(around.equals(untouched)).toBe(true);
  });

  test("D11: without a digest it is missing, a ZLB included", () => {
    for (const { octets } of SOFTETHER_SESSION) expect(verifyMessage(octets, [KEY], PREFIX)).toBe("missing");
  });

  test("D07: what is no control message is discarded", () => {
    for (const octets of [EMPTY, octetsOfHex("c802000c0102030400020003"), MD5_HELLO.subarray(0, 42)]) {
      expect(() => verifyMessage(octets, [KEY], PREFIX)).toThrow(ProtocolError);
      expect(() => placesOfDigests(octets)).toThrow(ProtocolError);
    }
  });
});

describe("two digests, two secrets", () => {
  test("D04, D17: each is computed with both of them zero", () => {
    expect(hexOf(signed({ name: "HELLO" }, ["sha1", "md5"], [KEY, OTHER_KEY]))).toBe(hexOf(TWO_DIGESTS));
  });

  test("D17: one that fits is enough, and which secret it was is told", () => {
    expect(verifyMessage(TWO_DIGESTS, [KEY], PREFIX)).toBe(0);
    expect(verifyMessage(TWO_DIGESTS, [OTHER_KEY], PREFIX)).toBe(0);
    const unrelated = digestKey(ascii("unrelated"));
    expect(verifyMessage(TWO_DIGESTS, [unrelated, OTHER_KEY], PREFIX)).toBe(1);
    expect(verifyMessage(TWO_DIGESTS, [unrelated], PREFIX)).toBe("wrong");
    expect(verifyMessage(MD5_HELLO, [OTHER_KEY, KEY], PREFIX)).toBe(1);
  });

  test("D17: one that is broken does not spoil the other", () => {
    const first = TWO_DIGESTS.slice();
    first[30] = 0;
    expect(verifyMessage(first, [KEY], PREFIX)).toBe("wrong");
    expect(verifyMessage(first, [KEY, OTHER_KEY], PREFIX)).toBe(1);
  });

  test("D04: a single digest cannot pass for two", () => {
    expect(verifyMessage(message(6, avp(59, MD5), hexOf(MD5_HELLO.subarray(20))), [KEY], PREFIX)).toBe("wrong");
  });
});

describe("places", () => {
  test.each([
    ["behind another AVP", message(6, avp(58, "000000010001"), avp(59, MD5))],
    ["the second behind another AVP", message(6, avp(59, MD5), avp(58, "000000010001"), avp(59, SHA1))],
    ["a third one", message(6, avp(59, MD5), avp(59, SHA1), avp(59, MD5))],
    ["at the end of a long message", message(10, avp(63, "00000001"), avp(64, "00000002"), avp(59, SHA1))],
    ["before Message Type", messageOf(avp(59, MD5) + avp(0, "0006"))],
    ["cut off", message(6, avp(59, MD5, { length: 24 }))],
    ["of no length", message(6, avp(59, MD5, { length: 5 }))],
  ])("D05: a digest that is misplaced is wrong: %s", (_, octets) => {
    expect(placesOfDigests(octets)).toBe("misplaced");
    expect(verifyMessage(octets, [KEY], PREFIX)).toBe("wrong");
  });

  test("D05: a signed message with one more digest at its end is wrong", () => {
    const octets = encodeMessage(1, 0, 0, { name: "HELLO" }, { digests: ["md5"] });
    const more = messageOf(`${hexOf(octets.subarray(12))}${avp(58, "000000010001")}${avp(59, MD5)}`);
    expect(verifyMessage(more, [KEY], PREFIX)).toBe("wrong");
  });

  test("B09: a digest of another vendor is none", () => {
    const octets = message(6, avp(12, MD5, { vendorId: 9 }), avp(59, MD5, { vendorId: 9 }));
    expect(placesOfDigests(octets)).toEqual([]);
    expect(verifyMessage(octets, [KEY], PREFIX)).toBe("missing");
  });

  test.each([
    ["of type 7", avp(59, `07${"11".repeat(16)}`), 16],
    ["of type 2, as the RFC's text on lengths has it for SHA-1", avp(59, `02${"11".repeat(20)}`), 20],
    ["of HMAC-MD5 with 20 octets", avp(59, `00${"11".repeat(20)}`), 20],
    ["of HMAC-SHA-1 with 16 octets", avp(59, `01${"11".repeat(16)}`), 16],
    ["of HMAC-MD5 with none", avp(59, "00"), 0],
    ["without a type", avp(59, ""), 0],
    ["that is hidden", avp(59, MD5, { hidden: true }), 16],
  ])("D06, D19: a digest %s cannot be verified: alone it is wrong", (_, digest, length) => {
    const octets = message(6, digest);
    expect(placesOfDigests(octets)).toEqual([{ kind: undefined, offset: digest.length === 12 ? 26 : 27, length }]);
    expect(verifyMessage(octets, [KEY], PREFIX)).toBe("wrong");
  });

  const UNKNOWN = `07${"00".repeat(32)}`;

  test.each([
    // Where the unknown AVP begins, where its digest and where that of HMAC-MD5.
    ["before", message(6, avp(59, UNKNOWN), avp(59, MD5)), 20, 27, 66],
    ["after", message(6, avp(59, MD5), avp(59, UNKNOWN)), 43, 50, 27],
  ])("D19: %s one that is known, a digest of a type to come is harmless", (_, octets, start, unknown, known) => {
    expect(placesOfDigests(octets)).toContainEqual({ kind: "md5", offset: known, length: 16 });
    for (const mandatory of [true, false]) {
      octets[start] = mandatory ? 0x80 : 0x00;
      const filled = signedBeside(octets, known, unknown);
      expect(verifyMessage(filled, [KEY], PREFIX)).toBe(0);
      expect(decodeMessage(filled)).toMatchObject({
        kind: "message",
        refused: [],
        ignored: [{ type: 59, reason: "value-out-of-range", mandatory }],
        recognised: [{ type: 59, octets: filled.subarray(known - 1, known + 16) }],
      });
    }
  });
});

/** A message with an MD5 digest at `offset` and, at `other`, 32 octets of a digest that nobody here can compute. */
function signedBeside(blank: Uint8Array, offset: number, other: number): Uint8Array {
  const octets = blank.slice();
  octets.set(createHmac("md5", KEY).update(PREFIX).update(blank).digest(), offset);
  octets.fill(0xab, other, other + 32);
  return octets;
}

describe("the nonce", () => {
  test("D08: of an SCCRQ is seen before the message is verified", () => {
    expect(hexOf(peekNonce(SCCRQ) ?? EMPTY)).toBe(LOCAL_NONCE);
  });

  const nonce = avp(73, REMOTE_NONCE);
  const opening = [avp(7, "61"), avp(60, "00000001"), avp(61, "00000002"), avp(62, "0005")];

  test("D08: of an SCCRP too, wherever it stands; the first one counts", () => {
    for (const avps of [
      [nonce, ...opening],
      [...opening, nonce],
      [...opening, nonce, avp(73, LOCAL_NONCE)],
    ]) {
      expect(hexOf(peekNonce(message(2, ...avps)) ?? EMPTY)).toBe(REMOTE_NONCE);
    }
  });

  test.each([
    ["in another message", message(3, nonce)],
    ["in an ICRQ", message(10, nonce)],
    ["in a message of another vendor", messageOf(avp(0, "0001", { vendorId: 193 }) + nonce)],
    ["behind what is no Message Type", messageOf(avp(7, "0001") + nonce)],
    ["of another vendor", message(1, avp(73, REMOTE_NONCE, { vendorId: 9 }))],
    ["empty", message(1, avp(73, ""))],
    ["hidden", message(1, avp(73, REMOTE_NONCE, { hidden: true }))],
    ["cut off", message(1, avp(73, REMOTE_NONCE, { length: 23 }))],
    ["behind an AVP that is", message(1, avp(7, "61", { length: 3 }), nonce)],
    ["behind Length", octetsOfHex(`${hexOf(message(1, ...opening))}${nonce}`)],
    ["in a ZLB", octetsOfHex(`c803000c0102030400020003${nonce}`)],
  ])("D08: there is none: %s", (_, octets) => {
    expect(peekNonce(octets)).toBeUndefined();
  });

  test("D08: a malformed one is passed over, as in decoding", () => {
    const octets = message(1, ...opening, avp(73, "", { mandatory: false }), avp(73, "aa", { hidden: true }), nonce);
    expect(hexOf(peekNonce(octets) ?? EMPTY)).toBe(REMOTE_NONCE);
    expect(decodeMessage(octets)).toMatchObject({
      message: { controlMessageAuthenticationNonce: octetsOfHex(REMOTE_NONCE) },
    });
  });

  test("D08: it is a copy, and what is no control message is discarded", () => {
    const datagram = Buffer.from(SCCRQ);
    const peeked = peekNonce(datagram);
    datagram.fill(0);
    expect(hexOf(peeked ?? EMPTY)).toBe(LOCAL_NONCE);
    expect(() => peekNonce(datagram)).toThrow(ProtocolError);
  });
});
