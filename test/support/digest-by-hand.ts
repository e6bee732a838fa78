import { createHash, createHmac } from "node:crypto";
import type { Datagram } from "./virtual-link.ts";
import { MESSAGE_TYPES } from "./wire.ts";

/**
 * Control message authentication and hiding as RFC 3931 5.3 and 5.4.1 word them, written apart from src/avp so that it
 * can judge what src/avp and src/control make of them.
 */

const NOTHING = Buffer.alloc(0);

const MESSAGE_DIGEST = 59;
const NONCE = 73;
const RANDOM_VECTOR = 36;

/** What RFC 3931 5.4 lets nobody hide. */
export const NEVER_HIDDEN: readonly number[] = [0, 1, 5, 7, 10, 36, 59, 60, 73, 77];

export function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export interface WireAvp {
  readonly offset: number;
  readonly type: number;
  readonly hidden: boolean;
  readonly value: Uint8Array;
}

/** The AVPs of a message that has no flaw; every vendor's are taken for the IETF's. */
function avpsOnWire(octets: Uint8Array): readonly WireAvp[] {
  const view = new DataView(octets.buffer, octets.byteOffset);
  const avps: WireAvp[] = [];
  for (let offset = 12; offset < octets.length; ) {
    const flags = view.getUint16(offset);
    const end = offset + (flags & 0x3ff);
    const value = octets.subarray(offset + 6, end);
    avps.push({ offset, type: view.getUint16(offset + 4), hidden: (flags & 0x4000) !== 0, value });
    offset = end;
  }
  return avps;
}

/** The message's name; "ZLB" where there is nothing but a header. */
export function nameOnWire(octets: Uint8Array): string {
  if (octets.length === 12) return "ZLB";
  return MESSAGE_TYPES[((octets[18] ?? 0) << 8) | (octets[19] ?? 0)] ?? "unknown";
}

export function nonceOnWire(octets: Uint8Array): Uint8Array | undefined {
  return avpsOnWire(octets).find(({ type }) => type === NONCE)?.value;
}

/** `type` is the Digest Type: 0 HMAC-MD5, 1 HMAC-SHA-1. Every digest in the message counts as zero. */
function digestByHand(octets: Uint8Array, type: number, secret: Uint8Array, prefix: Uint8Array): Buffer {
  const message = Buffer.from(octets);
  for (const { offset, type: attribute, value } of avpsOnWire(octets)) {
    if (attribute === MESSAGE_DIGEST) message.fill(0, offset + 7, offset + 6 + value.length);
  }
  const key = createHmac("md5", secret).update(Uint8Array.of(2)).digest();
  return createHmac(type === 0 ? "md5" : "sha1", key)
    .update(prefix)
    .update(message)
    .digest();
}

/** With one Message Digest AVP for each secret behind its Message Type. */
export function signedByHand(
  octets: Uint8Array,
  type: number,
  secrets: readonly Uint8Array[],
  prefix: Uint8Array,
): Uint8Array {
  const size = type === 0 ? 16 : 20;
  const blank = Buffer.concat([Buffer.of(0x80, 7 + size, 0, 0, 0, MESSAGE_DIGEST, type), Buffer.alloc(size)]);
  const message = Buffer.concat([octets.subarray(0, 20), ...secrets.map(() => blank), octets.subarray(20)]);
  message.writeUInt16BE(message.length, 2);
  const digests = secrets.map((secret) => digestByHand(message, type, secret, prefix));
  for (const [index, digest] of digests.entries()) message.set(digest, 20 + index * blank.length + 7);
  return new Uint8Array(message);
}

/** The values of the hidden AVPs by attribute type (RFC 3931 5.3). Throws where one cannot be true. */
export function unhiddenByHand(octets: Uint8Array, secret: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const key = createHmac("md5", secret).update(Uint8Array.of(1)).digest();
  const values = new Map<number, Uint8Array>();
  let randomVector: Uint8Array | undefined;
  for (const { type, hidden, value } of avpsOnWire(octets)) {
    if (type === RANDOM_VECTOR) randomVector = value;
    if (!hidden) continue;
    if (randomVector === undefined) throw new Error(`AVP ${type} is hidden before any Random Vector`);
    values.set(type, unhidden(type, key, randomVector, value));
  }
  return values;
}

function unhidden(type: number, key: Buffer, randomVector: Uint8Array, hidden: Uint8Array): Uint8Array {
  const clear = Buffer.alloc(hidden.length);
  let mask = createHash("md5")
    .update(Uint8Array.of(type >> 8, type))
    .update(key)
    .update(randomVector)
    .digest();
  for (let start = 0; start < hidden.length; start += 16) {
    const block = hidden.subarray(start, start + 16);
    for (const [index, octet] of block.entries()) clear[start + index] = octet ^ (mask[index] ?? 0);
    mask = createHash("md5").update(key).update(block).digest();
  }
  const length = clear.readUInt16BE(0);
  if (length > hidden.length - 2) throw new Error(`AVP ${type}: original length ${length} cannot be true`);
  return new Uint8Array(clear.subarray(2, 2 + length));
}

/** The value of a hidden AVP (RFC 3931 5.3), without padding. */
export function hiddenByHand(
  type: number,
  value: Uint8Array,
  secret: Uint8Array,
  randomVector: Uint8Array,
): Uint8Array {
  const key = createHmac("md5", secret).update(Uint8Array.of(1)).digest();
  const clear = Buffer.concat([Buffer.of(value.length >> 8, value.length), value]);
  const hidden = Buffer.alloc(clear.length);
  let mask = createHash("md5")
    .update(Uint8Array.of(type >> 8, type))
    .update(key)
    .update(randomVector)
    .digest();
  for (let start = 0; start < clear.length; start += 16) {
    const block = clear.subarray(start, start + 16);
    for (const [index, octet] of block.entries()) hidden[start + index] = octet ^ (mask[index] ?? 0);
    mask = createHash("md5")
      .update(key)
      .update(hidden.subarray(start, start + 16))
      .digest();
  }
  return new Uint8Array(hidden);
}

/** One message on the wire, and what is to be said of its digests. */
export interface Judged extends Datagram {
  readonly name: string;
  readonly ns: number;
  readonly nr: number;
  readonly ccid: number;
  readonly avps: readonly WireAvp[];
  /** For each digest its type and the secret, by index, that made it; "wrong" if none of them did. */
  readonly digests: readonly string[];
}

/**
 * Reads a conversation of two LCCEs that know these secrets. Nonces are those that each said last; one that was never
 * said counts as empty.
 */
export function judge(datagrams: readonly Datagram[], secrets: readonly Uint8Array[]): readonly Judged[] {
  const nonces = new Map<string, Uint8Array>();
  return datagrams.map((datagram) => {
    const { octets, from, to } = datagram;
    const name = nameOnWire(octets);
    const nonce = nonceOnWire(octets);
    if (nonce !== undefined) nonces.set(from.address, nonce);
    const both = [nonces.get(from.address) ?? NOTHING, nonces.get(to.address) ?? NOTHING];
    const prefix = name === "SCCRQ" ? NOTHING : Buffer.concat(both);
    const view = new DataView(octets.buffer, octets.byteOffset);
    const avps = avpsOnWire(octets);
    const digests = digestsOf(avps).map((value) => {
      const type = value[0] ?? -1;
      const secret = secrets.findIndex((each) => digestByHand(octets, type, each, prefix).equals(value.subarray(1)));
      return `${type === 0 ? "md5" : "sha1"} ${secret < 0 ? "wrong" : secret}`;
    });
    const header = { ccid: view.getUint32(4), ns: view.getUint16(8), nr: view.getUint16(10) };
    return { ...datagram, ...header, name, avps, digests };
  });
}

/** Those that stand where they have to: directly behind Message Type, and behind one another. */
function digestsOf(avps: readonly WireAvp[]): readonly Uint8Array[] {
  const end = avps.findIndex(({ type }, index) => index > 0 && type !== MESSAGE_DIGEST);
  return avps.slice(1, end < 0 ? avps.length : end).map(({ value }) => value);
}
