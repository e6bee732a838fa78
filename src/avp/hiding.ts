import { createHash, createHmac } from "node:crypto";
import { MAX_VALUE_LENGTH } from "./format.ts";
import { copyOctets, readUint16, writeOctets, writeUint16 } from "./octets.ts";

/** Octets of an MD5 hash, and so of a block of a hidden value. */
const BLOCK = 16;
/** The Original Length before the value (RFC 3931 5.3). */
const LENGTH_FIELD = 2;
/** The longest value that can be hidden: its Original Length takes two octets of what an AVP can hold. */
export const MAX_HIDDEN_VALUE_LENGTH = MAX_VALUE_LENGTH - LENGTH_FIELD;

const NONE = new Uint8Array();

/** The key that AVPs are hidden with, 16 octets, from the shared secret (RFC 3931 5.3; RFC 2661 used the secret itself). */
export function hidingKey(secret: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac("md5", secret).update(Uint8Array.of(1)).digest());
}

/**
 * The hidden form of an AVP's value (RFC 3931 5.3). `key` is from hidingKey; `randomVector` must never have hidden
 * another value of the same attribute `type`. `padding`, whatever octets, conceals how long the value is.
 * Throws RangeError where no AVP could hold the result.
 */
export function hide(
  type: number,
  key: Uint8Array,
  randomVector: Uint8Array,
  value: Uint8Array,
  padding: Uint8Array = NONE,
): Uint8Array {
  const length = LENGTH_FIELD + value.length + padding.length;
  if (length > MAX_VALUE_LENGTH) throw new RangeError(`a hidden value of ${length} octets fits no AVP`);
  const octets = new Uint8Array(length);
  writeUint16(octets, 0, value.length);
  writeOctets(octets, writeOctets(octets, LENGTH_FIELD, value), padding);
  maskInPlace(type, key, randomVector, octets);
  return octets;
}

/** The value that was hidden; `undefined` where its Original Length cannot be true: a malformed AVP (RFC 3931 5.3). */
export function unhide(
  type: number,
  key: Uint8Array,
  randomVector: Uint8Array,
  hidden: Uint8Array,
): Uint8Array | undefined {
  const octets = unmask(type, key, randomVector, hidden);
  const end = endOfValue(octets);
  return end === undefined ? undefined : octets.subarray(LENGTH_FIELD, end);
}

/**
 * The same hidden value for those who have another secret, as long as it was: `change` gives what is to be hidden in the
 * place of the value, with as many octets. Original Length is kept even where it cannot be true, and then everything
 * behind it counts as the value; so does padding, apart from it.
 */
export function rehide(
  type: number,
  keys: { readonly from: Uint8Array; readonly to: Uint8Array },
  randomVector: Uint8Array,
  hidden: Uint8Array,
  change: (value: Uint8Array) => Uint8Array,
): Uint8Array {
  const octets = unmask(type, keys.from, randomVector, hidden);
  const end = endOfValue(octets) ?? octets.length;
  if (end > LENGTH_FIELD) writeOctets(octets, LENGTH_FIELD, change(octets.subarray(LENGTH_FIELD, end)));
  if (end < octets.length) writeOctets(octets, end, change(octets.subarray(end)));
  maskInPlace(type, keys.to, randomVector, octets);
  return octets;
}

/** Too few octets even for an Original Length are too few for any. */
function endOfValue(octets: Uint8Array): number | undefined {
  const end = LENGTH_FIELD + readUint16(octets, 0);
  return end > octets.length ? undefined : end;
}

function maskInPlace(type: number, key: Uint8Array, randomVector: Uint8Array, octets: Uint8Array): void {
  let mask = firstMask(type, key, randomVector);
  for (let offset = 0; offset < octets.length; offset += BLOCK) {
    maskBlock(octets, offset, mask);
    if (offset + BLOCK < octets.length) mask = followingMask(key, octets, offset);
  }
}

function unmask(type: number, key: Uint8Array, randomVector: Uint8Array, hidden: Uint8Array): Uint8Array {
  const { length } = hidden;
  const octets = copyOctets(hidden, 0, length);
  let mask = firstMask(type, key, randomVector);
  for (let offset = 0; offset < length; offset += BLOCK) {
    maskBlock(octets, offset, mask);
    if (offset + BLOCK < length) mask = followingMask(key, hidden, offset);
  }
  return octets;
}

/**
 * Another Random Vector for the same message: two values of one attribute type must not be hidden with the same one
 * (RFC 3931 5.3). Both go over the wire in the clear, so it may follow from the first, which is random; it must not
 * depend on the key.
 */
export function followingRandomVector(randomVector: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("md5").update(randomVector).digest());
}

function firstMask(type: number, key: Uint8Array, randomVector: Uint8Array): Uint8Array {
  const typeOctets = new Uint8Array(2);
  writeUint16(typeOctets, 0, type);
  return createHash("md5").update(typeOctets).update(key).update(randomVector).digest();
}

/** What masks a block follows from the hidden form of the one before. */
function followingMask(key: Uint8Array, hidden: Uint8Array, offset: number): Uint8Array {
  return createHash("md5")
    .update(key)
    .update(hidden.subarray(offset, offset + BLOCK))
    .digest();
}

/** The last block may be a partial one; hiding adds nothing to it. */
function maskBlock(octets: Uint8Array, offset: number, mask: Uint8Array): void {
  const end = Math.min(offset + BLOCK, octets.length);
  for (let index = offset; index < end; index++) octets[index] = (octets[index] ?? 0) ^ (mask[index - offset] ?? 0);
}
