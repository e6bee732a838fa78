import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeMessage } from "../../../src/avp/decode.ts";
import { type DigestKind, digestKey, placesOfDigests, signMessage, verifyMessage } from "../../../src/avp/digest.ts";
import { type Envelope, encodeMessage } from "../../../src/avp/encode.ts";
import { decodeHeader, patchNr } from "../../../src/avp/header.ts";
import { hide, hidingKey, MAX_HIDDEN_VALUE_LENGTH, unhide } from "../../../src/avp/hiding.ts";
import { type ControlMessage, MESSAGE_NAMES } from "../../../src/avp/messages.ts";
import { peekNonce } from "../../../src/avp/nonce.ts";
import { ProtocolError } from "../../../src/avp/protocol-error.ts";
import { hexOf } from "../../support/wire.ts";
import { messagesNamed } from "./arbitraries.ts";

const SEED = 3931;
const SECRET = new TextEncoder().encode("a shared secret");
const KEY = digestKey(SECRET);
const UNHIDING_KEY = hidingKey(SECRET);

const uint16 = fc.nat(0xffff);
const anyMessage = fc.constantFrom(...MESSAGE_NAMES).chain(messagesNamed);
const digests = fc.array(fc.constantFrom<DigestKind>("md5", "sha1"), { minLength: 1, maxLength: 2 });
const nonces = fc.uint8Array({ maxLength: 64 });
const randomVectors = fc.uint8Array({ minLength: 1, maxLength: 40 });
const hidings = fc.record({
  key: fc.constant(UNHIDING_KEY),
  randomVector: randomVectors,
  padding: fc.uint8Array({ maxLength: 40 }),
});

/** The octets, or `undefined` where a value is so long that it cannot be hidden or the message grows too long. */
function encoded(message: ControlMessage, envelope: Envelope): Uint8Array | undefined {
  try {
    return encodeMessage(7, 1, 2, message, envelope);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function sign(octets: Uint8Array, kinds: readonly DigestKind[], prefix: Uint8Array): void {
  const signatures = kinds.map(() => ({ key: KEY }));
  signMessage(octets, signatures, prefix);
}

describe("round trip", () => {
  test("a value that was hidden comes back, and padding never shows", () => {
    const hidden = fc.tuple(uint16, fc.uint8Array({ maxLength: 32 }), randomVectors, fc.uint8Array({ maxLength: 100 }));
    fc.assert(
      fc.property(hidden, fc.uint8Array({ maxLength: 40 }), ([type, key, randomVector, value], padding) => {
        const clear = unhide(type, key, randomVector, hide(type, key, randomVector, value, padding));
        expect(clear && hexOf(clear)).toBe(hexOf(value));
      }),
      { seed: SEED, numRuns: 1_000 },
    );
  });

  test("the longest one too", () => {
    const value = new Uint8Array(MAX_HIDDEN_VALUE_LENGTH).fill(0x42);
    expect(unhide(66, KEY, KEY, hide(66, KEY, KEY, value))).toEqual(value);
  });

  test("a message hidden and signed verifies and says what it said", () => {
    let hidden = 0;
    fc.assert(
      fc.property(anyMessage, digests, hidings, nonces, (message, kinds, hiding, prefix) => {
        const octets = encoded(message, { digests: kinds, hiding });
        if (octets === undefined) return;
        hidden++;
        sign(octets, kinds, prefix);
        expect(verifyMessage(octets, [UNHIDING_KEY, KEY], prefix)).toBe(1);
        expect(verifyMessage(octets, [UNHIDING_KEY], prefix)).toBe("wrong");
        const decoded = decodeMessage(octets, UNHIDING_KEY);
        expect(decoded).toMatchObject({ kind: "message", refused: [], ignored: [] });
        expect(decoded).toHaveProperty("message", message);
      }),
      { seed: SEED, numRuns: 1_500 },
    );
    expect(hidden).toBeGreaterThan(1_000);
  });

  test("signing again after another Nr gives what signing at once gives", () => {
    fc.assert(
      fc.property(anyMessage, digests, nonces, uint16, (message, kinds, prefix, nr) => {
        const atOnce = encodeMessage(7, 1, nr, message, { digests: kinds });
        sign(atOnce, kinds, prefix);
        const again = encodeMessage(7, 1, 2, message, { digests: kinds });
        sign(again, kinds, prefix);
        patchNr(again, nr);
        sign(again, kinds, prefix);
        expect(hexOf(again)).toBe(hexOf(atOnce));
      }),
      { seed: SEED, numRuns: 300 },
    );
  });
});

describe("mutation", () => {
  /** Signed, and mostly hidden, messages of moderate size. */
  const sources = fc.sample(fc.tuple(anyMessage, digests, hidings), { seed: SEED, numRuns: 150 }).flatMap((source) => {
    const [message, kinds, hiding] = source;
    const octets = encoded(message, { digests: kinds, hiding });
    if (octets === undefined || octets.length > 1_500) return [];
    sign(octets, kinds, KEY);
    return [octets];
  });

  const mutated = fc
    .tuple(
      fc.constantFrom(...sources),
      fc.array(fc.tuple(uint16, fc.nat(0xff)), { maxLength: 6 }),
      fc.nat(8),
      fc.uint8Array({ maxLength: 24 }),
      fc.boolean(),
    )
    .map(([source, changes, cut, tail, repairLength]) => {
      const octets = Uint8Array.from([...source.subarray(0, source.length - cut), ...tail]);
      for (const [position, octet] of changes) octets[position % Math.min(octets.length, 120)] = octet;
      if (repairLength) new DataView(octets.buffer).setUint16(2, octets.length);
      return octets;
    });

  test("whatever becomes of a signed and hidden message, nothing but a ProtocolError is thrown, and it is not believed", () => {
    const seen = new Set<unknown>();
    const genuine = new Set(sources.map(hexOf));
    fc.assert(
      fc.property(mutated, (octets) => {
        const before = octets.slice();
        const verified = outcomeOf(() => verifyMessage(octets, [KEY], KEY));
        const decoded = outcomeOf(() => decodeMessage(octets, UNHIDING_KEY).kind);
        seen.add(verified).add(decoded);
        expect(Buffer.compare(octets, before)).toBe(0);
        if (verified === 0) expect(isGenuine(octets, genuine)).toBe(true);
        expect(outcomeOf(() => peekNonce(octets) && "nonce")).toBe(nonceOf(octets));
      }),
      { seed: SEED, numRuns: 20_000 },
    );
    const outcomes = [0, "wrong", "missing", "discarded", "message", "incomplete", "unknown", "zlb"];
    expect(outcomes.filter((outcome) => !seen.has(outcome))).toEqual([]);
  });
});

function outcomeOf<T>(work: () => T): T | "discarded" {
  try {
    return work();
  } catch (error) {
    if (error instanceof ProtocolError) return "discarded";
    throw error;
  }
}

/** What was signed, but for octets behind Length and the value of one of two digests. */
function isGenuine(octets: Uint8Array, genuine: ReadonlySet<string>): boolean {
  const message = octets.slice(0, new DataView(octets.buffer).getUint16(2));
  if (genuine.has(hexOf(message))) return true;
  const places = placesOfDigests(message);
  if (places === "misplaced" || places.length !== 2) return false;
  sign(
    message,
    places.map(({ kind }) => kind ?? "md5"),
    KEY,
  );
  return genuine.has(hexOf(message));
}

/** What decoding finds is what peeking has to find. */
function nonceOf(octets: Uint8Array): "nonce" | "discarded" | undefined {
  if (outcomeOf(() => decodeHeader(octets)) === "discarded") return "discarded";
  const decoded = outcomeOf(() => decodeMessage(octets, UNHIDING_KEY));
  if (decoded === "discarded") return undefined;
  if (decoded.kind === "message") return "controlMessageAuthenticationNonce" in decoded.message ? "nonce" : undefined;
  if (decoded.kind === "incomplete") return decoded.avps.controlMessageAuthenticationNonce && "nonce";
  return undefined;
}
