import { avpEnd, HIDDEN_BIT, MESSAGE_TYPE_LENGTH, TYPE_OFFSET, VENDOR_OFFSET } from "./avp-header.ts";
import { challengeResponse } from "./challenge.ts";
import { CISCO_AVPS } from "./cisco-avps.ts";
import { digestKey, matchDigests, placesOfDigests, type Signature, signDigests } from "./digest.ts";
import { AVP_HEADER_LENGTH, FormatFailure } from "./format.ts";
import { HEADER_LENGTH, readLength } from "./header.ts";
import { hidingKey, rehide } from "./hiding.ts";
import { peekNonce } from "./nonce.ts";
import { copyOctets, readUint16, writeOctets } from "./octets.ts";
import { AVPS, avpKey, findAvp } from "./registry.ts";
import { RFC2661_AVPS } from "./rfc2661-avps.ts";

/** What one control connection, or a tunnel that has none yet, can tell whether a message is genuine with. */
export interface Witness {
  /** As in the configuration: the first that fits a message is the one that its AVPs are hidden with. */
  readonly secrets: readonly Uint8Array[];
  /** Absent or empty: not drawn, or not known yet. */
  readonly localNonce?: Uint8Array;
  readonly remoteNonce?: Uint8Array;
  /** For Challenge Responses (RFC 2661 5.1.1). */
  readonly chapPassword?: Uint8Array | undefined;
  readonly localChallenge?: Uint8Array;
}

/** What takes the place of something secret. Equal things have equal stand-ins, different ones different. */
export interface StandIns {
  /** For a shared secret or a password. That of no octets is itself. */
  secret(secret: Uint8Array): Uint8Array;
  /** For everything else; as many octets. */
  octets(octets: Uint8Array): Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** The octets of the type before a digest in a Message Digest AVP. */
const DIGEST_TYPE_LENGTH = 1;
/** Offset of the Message Type's lower octet, which is the id of a Challenge Response. */
const MESSAGE_TYPE_OFFSET = HEADER_LENGTH + AVP_HEADER_LENGTH + 1;

const VENDOR_STEP = avpKey(1, 0);

/** Octets of the shortest digest, and of nonces as RFC 3931 5.4.1 recommends them. */
const SHORTEST_DRAWN = 16;

const keyOf = ({ vendorId, type }: { readonly vendorId: number; readonly type: number }) => avpKey(vendorId, type);

/** Nonces, cookies, challenges, and what passwords could be guessed from. */
const SECRET_AVPS: ReadonlySet<number> = new Set(
  [
    AVPS.controlMessageAuthenticationNonce,
    AVPS.assignedCookie,
    AVPS.challenge,
    AVPS.challengeResponse,
    RFC2661_AVPS.proxyAuthenChallenge,
    RFC2661_AVPS.proxyAuthenResponse,
    CISCO_AVPS.assignedCookie,
    CISCO_AVPS.authenticationNonce,
  ].map(keyOf),
);
const DIGEST_AVPS: ReadonlySet<number> = new Set([AVPS.messageDigest, CISCO_AVPS.messageDigest].map(keyOf));
const RANDOM_VECTOR = keyOf(AVPS.randomVector);
const CHALLENGE_RESPONSE = keyOf(AVPS.challengeResponse);

/**
 * A received control message without anything secret, of the same length, that means the same to an LCCE with the
 * stand-ins for secrets: nonces, cookies, challenges and hidden values are replaced, digests and Challenge Responses that
 * any of the `witnesses` finds right are computed again, all others stay wrong. What cannot be read is replaced as well:
 * behind the message's end, in an AVP of an impossible length, and in a message that is not genuine every unknown or
 * malformed AVP. The octets of the caller are left as they are. Throws
 * ProtocolError where the datagram has no sound control header.
 */
export function sanitiseMessage(octets: Uint8Array, witnesses: readonly Witness[], standIns: StandIns): Uint8Array {
  const signers = signersOf(octets, witnesses);
  const matches = matchDigests(octets, signers);
  const signer = signers[Math.min(...matches.map((index) => index ?? Number.POSITIVE_INFINITY))];
  const whole = signer !== undefined || mayGoUnsigned(octets, witnesses);
  const sanitised = new Sanitiser(octets, witnesses, standIns, { whole, hidingSecret: signer?.hidingSecret }).run();
  const signatures = matches.map((index) => {
    const match = index === undefined ? undefined : signers[index];
    return match && disguised(match, standIns);
  });
  signDigests(sanitised, signatures);
  return sanitised;
}

/** Without any digest it is as good as any for those who share no secret. */
function mayGoUnsigned(octets: Uint8Array, witnesses: readonly Witness[]): boolean {
  return placesOfDigests(octets).length === 0 && witnesses.some(({ secrets }) => secrets.length === 0);
}

interface Signer extends Signature {
  readonly secret: Uint8Array;
  /** The peer's, ours, or one of them, or none. */
  readonly nonces: readonly Uint8Array[];
  /** For hidden AVPs of the message; `undefined`: the receiver can read none. */
  readonly hidingSecret: Uint8Array | undefined;
}

/** Everything that a digest of the message may have been computed with: more than a receiver accepts does no harm. */
function signersOf(octets: Uint8Array, witnesses: readonly Witness[]): readonly Signer[] {
  const nonce = peekNonce(octets);
  const signers: Signer[] = [];
  for (const { secrets, localNonce = NOTHING, remoteNonce = NOTHING } of witnesses) {
    const remote = nonce ?? remoteNonce;
    const keys = secrets.map(digestKey);
    for (const nonces of [[remote, localNonce], [localNonce], [remote], []]) {
      const prefix = concatenated(nonces);
      for (const [index, secret] of secrets.entries()) {
        signers.push({ secret, nonces, prefix, key: keys[index] ?? NOTHING, hidingSecret: secret });
      }
    }
  }
  // The integrity check of those who share no secret (RFC 3931 5.4.1).
  signers.push({ secret: NOTHING, nonces: [], prefix: NOTHING, key: digestKey(NOTHING), hidingSecret: undefined });
  return signers;
}

function disguised({ secret, nonces }: Signer, standIns: StandIns): Signature {
  return {
    key: digestKey(standIns.secret(secret)),
    prefix: concatenated(nonces.map((nonce) => standIns.octets(nonce))),
  };
}

interface Findings {
  /** Otherwise nobody looks at it; it may be damaged, and then a nonce may stand anywhere. */
  readonly whole: boolean;
  /** For hidden AVPs; `undefined`: the receiver can read none. */
  readonly hidingSecret: Uint8Array | undefined;
}

/** One walk over the AVPs of a message. */
class Sanitiser {
  readonly #octets: Uint8Array;
  readonly #copy: Uint8Array;
  readonly #witnesses: readonly Witness[];
  readonly #standIns: StandIns;
  readonly #findings: Findings;
  #randomVector: Uint8Array | undefined;

  constructor(octets: Uint8Array, witnesses: readonly Witness[], standIns: StandIns, findings: Findings) {
    this.#octets = octets;
    this.#copy = copyOctets(octets, 0, octets.length);
    this.#witnesses = witnesses;
    this.#standIns = standIns;
    this.#findings = findings;
  }

  run(): Uint8Array {
    const length = readLength(this.#octets);
    let offset = HEADER_LENGTH;
    for (let end = avpEnd(this.#octets, offset, length); end !== undefined; ) {
      this.#takeAvp(offset, end);
      offset = end;
      end = avpEnd(this.#octets, offset, length);
    }
    // The header of an AVP that is cut off is told in error messages; the rest may be anything.
    if (offset < length) this.#replace(Math.min(offset + AVP_HEADER_LENGTH, length), length);
    this.#replace(length, this.#octets.length);
    return this.#copy;
  }

  #takeAvp(start: number, end: number): void {
    const octets = this.#octets;
    const type = readUint16(octets, start + TYPE_OFFSET);
    const key = avpKey(readUint16(octets, start + VENDOR_OFFSET), type);
    const first = start + AVP_HEADER_LENGTH;
    const value = octets.subarray(first, end);
    if ((readUint16(octets, start) & HIDDEN_BIT) !== 0) {
      writeOctets(this.#copy, first, this.#hidden(key, type, value));
      if (key === RANDOM_VECTOR) this.#randomVector = undefined;
    } else if (key === RANDOM_VECTOR) this.#randomVector = value.length === 0 ? undefined : value;
    else if (isSecret(key)) writeOctets(this.#copy, first, this.#standInFor(key, value));
    else if (!this.#findings.whole && isSuspect(key, value) && !isMessageType(type, start, end)) {
      this.#replace(first, end);
    }
  }

  #hidden(key: number, type: number, value: Uint8Array): Uint8Array {
    const [secret, randomVector] = [this.#findings.hidingSecret, this.#randomVector];
    // Nobody can read it, whatever it holds; but from what is hidden with a secret, this can be guessed.
    if (secret === undefined || randomVector === undefined) return this.#standIns.octets(value);
    const keys = { from: hidingKey(secret), to: hidingKey(this.#standIns.secret(secret)) };
    return rehide(type, keys, randomVector, value, (clear) => (isSecret(key) ? this.#standInFor(key, clear) : clear));
  }

  #standInFor(key: number, value: Uint8Array): Uint8Array {
    if (DIGEST_AVPS.has(key)) return concatenated([value.subarray(0, DIGEST_TYPE_LENGTH), this.#standInOf(value)]);
    return (key === CHALLENGE_RESPONSE ? this.#response(value) : undefined) ?? this.#standIns.octets(value);
  }

  #standInOf(digest: Uint8Array): Uint8Array {
    return this.#standIns.octets(digest.subarray(DIGEST_TYPE_LENGTH));
  }

  /** A right Challenge Response, made again for the stand-ins. */
  #response(value: Uint8Array): Uint8Array | undefined {
    const id = this.#octets[MESSAGE_TYPE_OFFSET] ?? 0;
    for (const { chapPassword, localChallenge } of this.#witnesses) {
      if (chapPassword === undefined || localChallenge === undefined) continue;
      if (!equal(value, challengeResponse(id, chapPassword, localChallenge))) continue;
      return challengeResponse(id, this.#standIns.secret(chapPassword), this.#standIns.octets(localChallenge));
    }
    return undefined;
  }

  #replace(start: number, end: number): void {
    if (end > start) writeOctets(this.#copy, start, this.#standIns.octets(this.#octets.subarray(start, end)));
  }
}

/** Nonces, cookies, challenges and digests: what a recording, or a trace, has not. */
export function isSecretAvp(vendorId: number, type: number): boolean {
  return isSecret(avpKey(vendorId, type));
}

/** Octets of the value of such an AVP before what is secret: a digest's type. */
export function firstSecretOctet(vendorId: number, type: number): number {
  return DIGEST_AVPS.has(avpKey(vendorId, type)) ? DIGEST_TYPE_LENGTH : 0;
}

function isSecret(key: number): boolean {
  return SECRET_AVPS.has(key) || DIGEST_AVPS.has(key);
}

/** That of whatever vendor (RFC 3931 5.4.1): it is told before a message is verified. */
function isMessageType(type: number, start: number, end: number): boolean {
  return type === AVPS.messageType.type && start === HEADER_LENGTH && end === HEADER_LENGTH + MESSAGE_TYPE_LENGTH;
}

/** Of a damaged message: unknown, malformed, or what a nonce or a digest becomes when the type before it is damaged. */
function isSuspect(key: number, value: Uint8Array): boolean {
  const known = findAvp(Math.floor(key / VENDOR_STEP), key % VENDOR_STEP)?.definition;
  if (known === undefined || known.format.decode(value, 0, value.length) instanceof FormatFailure) return true;
  return value.length >= SHORTEST_DRAWN && !value.every(isPrintable);
}

function isPrintable(octet: number): boolean {
  return octet >= 0x20 && octet < 0x7f;
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((octet, index) => octet === other[index]);
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const octets = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((offset, part) => writeOctets(octets, offset, part), 0);
  return octets;
}
