import { createHmac, timingSafeEqual } from "node:crypto";
import { avpEnd, HIDDEN_BIT, isIetfAvp } from "./avp-header.ts";
import { AVP_HEADER_LENGTH } from "./format.ts";
import { decodeHeader, HEADER_LENGTH, MAX_MESSAGE_LENGTH, readLength } from "./header.ts";
import { copyOctets, readUint16, writeOctets } from "./octets.ts";
import type { MessageDigest } from "./record-format.ts";
import { AVPS } from "./registry.ts";

/** HMAC-MD5 and HMAC-SHA-1 (RFC 3931 5.4.1). */
export type DigestKind = "md5" | "sha1";

/** Digest Type as it is sent, and the octets of the digest. */
const KINDS: Readonly<Record<DigestKind, { readonly type: 0 | 1; readonly length: number }>> = {
  md5: { type: 0, length: 16 },
  sha1: { type: 1, length: 20 },
};
const KIND_BY_TYPE: readonly DigestKind[] = ["md5", "sha1"];

/** As many Message Digest AVPs as a message may have (RFC 3931 5.4.1). */
export const MAX_DIGESTS = 2;

/** A Message Digest AVP in a message. */
export interface DigestPlace {
  /** `undefined` where it cannot be verified: of no known type, hidden, or of a wrong length for its type. */
  readonly kind: DigestKind | undefined;
  /** Where the digest begins, behind its type. */
  readonly offset: number;
  /** Octets of the digest. */
  readonly length: number;
}

/** The key for digests of both kinds, 16 octets, from the shared secret; that of no secret is the empty one (RFC 3931 5.4.1). */
export function digestKey(secret: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac("md5", secret).update(Uint8Array.of(2)).digest());
}

/** The value of a Message Digest AVP before its message is signed: the digest is zero (RFC 3931 5.4.1). */
export function unsignedDigest(kind: DigestKind): MessageDigest {
  const { type, length } = KINDS[kind];
  return { type, digest: new Uint8Array(length) };
}

/**
 * The Message Digests of a control message, none, one or two. The first has to stand directly behind Message Type, the
 * second directly behind the first (RFC 3931 5.4.1): "misplaced" is one anywhere else, or cut off by the message's end.
 * Throws ProtocolError where the datagram has no sound control header.
 */
export function placesOfDigests(octets: Uint8Array): readonly DigestPlace[] | "misplaced" {
  const { length } = decodeHeader(octets);
  const places: DigestPlace[] = [];
  let offset = HEADER_LENGTH;
  for (let position = 0; length - offset >= AVP_HEADER_LENGTH; position++) {
    const end = avpEnd(octets, offset, length);
    if (isIetfAvp(octets, offset, AVPS.messageDigest.type)) {
      if (end === undefined || position !== places.length + 1 || position > MAX_DIGESTS) return "misplaced";
      places.push(placeOf(octets, offset, end));
    }
    // Where the next AVP begins is lost, which decodeMessage tells.
    if (end === undefined) break;
    offset = end;
  }
  return places;
}

function placeOf(octets: Uint8Array, start: number, end: number): DigestPlace {
  const typeOffset = start + AVP_HEADER_LENGTH;
  if (end <= typeOffset) return { kind: undefined, offset: end, length: 0 };
  const offset = typeOffset + 1;
  const length = end - offset;
  const kind = KIND_BY_TYPE[octets[typeOffset] ?? -1];
  const hidden = (readUint16(octets, start) & HIDDEN_BIT) !== 0;
  if (kind === undefined || hidden || KINDS[kind].length !== length) return { kind: undefined, offset, length };
  return { kind, offset, length };
}

/**
 * Fills the Message Digests of an encoded message in place, one signature for each, in their order; whatever they held
 * before does not matter, so this serves a retransmission whose Nr has changed as well. `prefix` is the sender's nonce
 * followed by the receiver's, and empty in an SCCRQ and without authentication (RFC 3931 5.4.1). Keys are from digestKey.
 * Throws RangeError where the message does not have that many digests, or none that can be computed.
 */
export function signMessage(
  octets: Uint8Array,
  signatures: readonly { readonly key: Uint8Array }[],
  prefix: Uint8Array,
): void {
  const places = placesOfDigests(octets);
  if (places === "misplaced" || places.length !== signatures.length) {
    throw new RangeError(`there is no place for ${signatures.length} digests in this message`);
  }
  const message = octets.subarray(0, readLength(octets));
  blank(message, places);
  // None of them covers another's value, so all are computed before any is written.
  const digests = places.map(({ kind }, index) => {
    const key = signatures[index]?.key;
    if (kind === undefined || key === undefined) throw new RangeError("a digest of unknown type cannot be computed");
    return digestOf(kind, key, prefix, message);
  });
  for (const [index, { offset }] of places.entries()) writeOctets(message, offset, digests[index] ?? EMPTY);
}

const EMPTY = new Uint8Array();

/** Where a received message is put with its digests blanked: the octets of the caller are left as they are. */
const scratch = new Uint8Array(MAX_MESSAGE_LENGTH);

/**
 * Which of the keys fits any digest of a received message, as its index: "missing" if there is no digest at all, "wrong"
 * if none fits or one is misplaced. Two digests and several keys are what a change of the secret takes; one that fits is
 * enough (RFC 3931 5.4.1). `prefix` is in the sender's view, like signMessage's: the nonce of the peer, then ours.
 * Compares in constant time. Throws ProtocolError where the datagram has no sound control header.
 */
export function verifyMessage(
  octets: Uint8Array,
  keys: readonly Uint8Array[],
  prefix: Uint8Array,
): number | "missing" | "wrong" {
  const places = placesOfDigests(octets);
  if (places === "misplaced") return "wrong";
  if (places.length === 0) return "missing";
  const length = readLength(octets);
  scratch.set(octets.subarray(0, length));
  const message = scratch.subarray(0, length);
  blank(message, places);
  for (const [index, key] of keys.entries()) {
    for (const { kind, offset, length: digestLength } of places) {
      if (kind === undefined) continue;
      const received = octets.subarray(offset, offset + digestLength);
      if (timingSafeEqual(digestOf(kind, key, prefix, message), received)) return index;
    }
  }
  return "wrong";
}

/** What a digest is computed with: a key from digestKey, and the nonces in the sender's view. */
export interface Signature {
  readonly key: Uint8Array;
  readonly prefix: Uint8Array;
}

/**
 * For each Message Digest of a message the index of the signature that it is, `undefined` where it is none of them. Of
 * misplaced ones nothing is told. Throws ProtocolError where the datagram has no sound control header.
 */
export function matchDigests(octets: Uint8Array, signatures: readonly Signature[]): readonly (number | undefined)[] {
  const places = placesOfDigests(octets);
  if (places === "misplaced") return [];
  const message = copyOctets(octets, 0, readLength(octets));
  blank(message, places);
  return places.map(({ kind, offset, length }) => {
    if (kind === undefined) return undefined;
    const received = octets.subarray(offset, offset + length);
    const index = signatures.findIndex(({ key, prefix }) =>
      timingSafeEqual(digestOf(kind, key, prefix, message), received),
    );
    return index < 0 ? undefined : index;
  });
}

/** Fills those Message Digests of a message, in place, for which there is a signature; in their order. */
export function signDigests(octets: Uint8Array, signatures: readonly (Signature | undefined)[]): void {
  const places = placesOfDigests(octets);
  if (places === "misplaced") return;
  const message = copyOctets(octets, 0, readLength(octets));
  blank(message, places);
  for (const [index, { kind, offset }] of places.entries()) {
    const signature = signatures[index];
    if (kind === undefined || signature === undefined) continue;
    writeOctets(octets, offset, digestOf(kind, signature.key, signature.prefix, message));
  }
}

/** The digest octets of every Message Digest AVP count as zero, whichever of them is computed (RFC 3931 5.4.1). */
function blank(message: Uint8Array, places: readonly DigestPlace[]): void {
  for (const { offset, length } of places) message.fill(0, offset, offset + length);
}

function digestOf(kind: DigestKind, key: Uint8Array, prefix: Uint8Array, message: Uint8Array): Uint8Array {
  return createHmac(kind, key).update(prefix).update(message).digest();
}
