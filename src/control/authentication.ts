import { type DigestKind, digestKey, MAX_DIGESTS, placesOfDigests, signMessage, verifyMessage } from "../avp/digest.ts";
import type { Envelope } from "../avp/encode.ts";
import { decodeHeader, HEADER_LENGTH } from "../avp/header.ts";
import { hidingKey } from "../avp/hiding.ts";
import { MESSAGES, type MessageName } from "../avp/messages.ts";
import { peekNonce } from "../avp/nonce.ts";
import type { Witness } from "../avp/sanitise.ts";
import type { AuthenticationConfiguration } from "./configuration.ts";
import type { Entropy } from "./core.ts";

const NOTHING = new Uint8Array(0);

/** Octets of a nonce and of a Random Vector: RFC 3931 5.4.1 recommends 16 or more. */
const NONCE_LENGTH = 16;

/** Octets of a Challenge: as many as the response to it has. */
const CHALLENGE_LENGTH = 16;

/** Offset of the value of the Message Type AVP, which is always the first. */
const MESSAGE_TYPE_OFFSET = 18;

/**
 * What one control connection has settled about authentication. Plain data; the secrets stay in the configuration.
 * Empty nonces: without authentication, or not known yet.
 */
export interface AuthenticationState {
  readonly localNonce: Uint8Array;
  remoteNonce: Uint8Array;
  /** Which of the secrets the peer has shown to know; -1 before it has shown any. */
  provenSecret: number;
  /** Without a secret: the peer has sent a right digest. */
  peerSigns: boolean;
  /** What we ask the peer to answer; empty: nothing. */
  readonly localChallenge: Uint8Array;
  /** What the peer asks us; empty: nothing. */
  remoteChallenge: Uint8Array;
}

/**
 * Message Digests and hiding of one control connection (RFC 3931 4.3, 5.3, 5.4.1). Three modes: off; integrity check
 * (digests with the empty secret and no nonces); authenticated (a secret, nonces, a digest in every message).
 */
export class Authentication {
  readonly state: AuthenticationState;
  #configuration: AuthenticationConfiguration;
  #keys: readonly Uint8Array[];

  constructor(configuration: AuthenticationConfiguration, state: AuthenticationState) {
    this.#configuration = configuration;
    this.state = state;
    this.#keys = digestKeysOf(configuration);
  }

  /** The state of a new connection; each has a nonce and a challenge of its own (RFC 3931 5.4.1, RFC 2661 5.1.1). */
  static begin({ secrets, chapPassword }: AuthenticationConfiguration, entropy: Entropy): AuthenticationState {
    const localNonce = secrets.length > 0 ? entropy.secretOctets(NONCE_LENGTH) : NOTHING;
    const localChallenge = chapPassword === undefined ? NOTHING : entropy.secretOctets(CHALLENGE_LENGTH);
    return {
      localNonce,
      remoteNonce: NOTHING,
      provenSecret: -1,
      peerSigns: false,
      localChallenge,
      remoteChallenge: NOTHING,
    };
  }

  /**
   * Goes on with other secrets, or digests of another kind; what the peer has shown to know, it still knows. Returns
   * false, and changes nothing, where the connection's messages would be of another manner: that is for new ones.
   */
  change(configuration: AuthenticationConfiguration): boolean {
    if (!sameManner(this.#configuration, configuration)) return false;
    const proven = this.#configuration.secrets[this.state.provenSecret];
    this.state.provenSecret = configuration.secrets.findIndex((secret) => sameOctets(secret, proven));
    this.#configuration = configuration;
    this.#keys = digestKeysOf(configuration);
    return true;
  }

  /** What its messages are made and judged by. CHAP is a matter of the first messages: it is here where these had it. */
  get inForce(): AuthenticationConfiguration {
    const chapPassword = this.state.localChallenge.length > 0 ? this.#configuration.chapPassword : undefined;
    return { ...this.#configuration, chapPassword };
  }

  get authenticated(): boolean {
    return this.#configuration.secrets.length > 0;
  }

  /** Every message carries a digest: then acknowledgements are explicit, since a ZLB has no room for one. */
  get signs(): boolean {
    return this.#configuration.digest !== "none";
  }

  get chapPassword(): Uint8Array | undefined {
    return this.#configuration.chapPassword;
  }

  /** What this end can tell genuine messages with. */
  get witness(): Witness {
    return { ...this.#configuration, ...this.state };
  }

  /** What SCCRQ and SCCRP carry to turn authentication on. */
  get nonce(): { readonly controlMessageAuthenticationNonce?: Uint8Array } {
    return this.authenticated ? { controlMessageAuthenticationNonce: this.state.localNonce } : {};
  }

  /** For an answer without a connection: what the peer never gets to know, it could not verify with. */
  withoutOwnNonce(): Authentication {
    return new Authentication(this.#configuration, { ...this.state, localNonce: NOTHING });
  }

  /** Room for digests, and what hides AVPs. `undefined`: the message goes as it is. */
  envelope(entropy: Entropy): Envelope | undefined {
    const { digest, hidden, secrets } = this.#configuration;
    if (digest === "none") return undefined;
    const digests: readonly DigestKind[] = this.#signingKeys().map(() => digest);
    const secret = secrets[this.#secretInUse()];
    // A peer that knows another secret could not read what is hidden: nothing is, until it is clear which one it has.
    if (!hidden || secret === undefined) return { digests };
    return { digests, hiding: { key: hidingKey(secret), randomVector: entropy.octets(NONCE_LENGTH) } };
  }

  /** Fills the digests that `envelope` made room for; again after Nr has changed. A ZLB has no room. */
  sign(octets: Uint8Array): void {
    if (!this.signs || isZlb(octets)) return;
    const { localNonce, remoteNonce } = this.state;
    const prefix = isSccrq(octets) ? NOTHING : concatenated(localNonce, remoteNonce);
    // The room is that of the first transmission: the peer may have shown its secret since then.
    const keys = placesOfDigests(octets).length > 1 ? this.#keys.slice(0, MAX_DIGESTS) : this.#signingKeys();
    signMessage(
      octets,
      keys.map((key) => ({ key })),
      prefix,
    );
  }

  /**
   * Whether a received message may be looked at (RFC 3931 4.3): authenticated, it needs a right digest; otherwise a
   * wrong one means that it was damaged. Learns the peer's nonce and secret from what is right, and from nothing else.
   * `isNew`: it is none that was said before, which anybody can repeat.
   */
  verify(octets: Uint8Array, isNew = true): boolean {
    if (!this.authenticated) return this.#isWhole(octets);
    const opening = isType(octets, "SCCRQ") || isType(octets, "SCCRP");
    // The first one counts: another SCCRP answers somebody who has repeated our SCCRQ.
    const isFirst = opening && this.state.remoteNonce.length === 0;
    const nonce = isFirst ? peekNonce(octets) : this.state.remoteNonce;
    // Authentication works in both directions or not at all.
    if (nonce === undefined) return false;
    const secret = this.#verifyWith(octets, nonce);
    if (secret === undefined) return false;
    if (isFirst) this.state.remoteNonce = nonce;
    const { provenSecret } = this.state;
    // A retransmission may show the newer secret first; what shows the older one may be a replay.
    if (isNew || provenSecret < 0 || secret < provenSecret) this.state.provenSecret = secret;
    return true;
  }

  /**
   * The integrity check. Whoever signs one message signs them all; where we do so too, one that comes without a digest was
   * damaged. A ZLB has no room for one, and is allowed without authentication (RFC 3931 6.15). A nonce asks for
   * authentication, which works in both directions or not at all (RFC 3931 4.3).
   */
  #isWhole(octets: Uint8Array): boolean {
    if (peekNonce(octets) !== undefined) return false;
    const result = verifyMessage(octets, this.#keys, NOTHING);
    if (result === "missing") return !(this.signs && this.state.peerSigns) || isZlb(octets);
    if (result === "wrong") return false;
    this.state.peerSigns = true;
    return true;
  }

  #verifyWith(octets: Uint8Array, nonce: Uint8Array): number | undefined {
    for (const prefix of this.#prefixes(octets, nonce)) {
      const result = verifyMessage(octets, this.#keys, prefix);
      if (typeof result === "number") return result;
    }
    return undefined;
  }

  /** In the sender's view: its nonce first. While not both are known, peers differ in what they leave out. */
  #prefixes(octets: Uint8Array, nonce: Uint8Array): readonly Uint8Array[] {
    const { localNonce } = this.state;
    if (isSccrq(octets)) return [NOTHING];
    if (nonce.length === 0) return [localNonce, NOTHING];
    // Who has not learnt our id has not learnt our nonce either: both come with the SCCRP.
    return isUnaddressed(octets) ? [nonce, NOTHING] : [concatenated(nonce, localNonce)];
  }

  /** For hidden AVPs of a message that was verified. */
  get unhidingKey(): Uint8Array | undefined {
    const secret = this.#configuration.secrets[this.#secretInUse()];
    return secret === undefined ? undefined : hidingKey(secret);
  }

  /** The one that the peer has shown to know; the only one there is; else none is certain: -1. */
  #secretInUse(): number {
    const { secrets } = this.#configuration;
    return secrets.length === 1 ? 0 : this.state.provenSecret;
  }

  /** One digest per secret while it is not known which one the peer has (RFC 3931 5.4.1 allows two). */
  #signingKeys(): readonly Uint8Array[] {
    const proven = this.#keys[this.state.provenSecret];
    return proven === undefined ? this.#keys.slice(0, MAX_DIGESTS) : [proven];
  }
}

/** Whether a connection that was begun with the one can go on with the other: nonces or none, digests or none. */
export function sameManner(one: AuthenticationConfiguration, other: AuthenticationConfiguration): boolean {
  return one.secrets.length > 0 === other.secrets.length > 0 && (one.digest === "none") === (other.digest === "none");
}

function sameOctets(one: Uint8Array, other: Uint8Array | undefined): boolean {
  return one.length === other?.length && one.every((octet, index) => octet === other[index]);
}

/** Keys by secret; without a secret the empty one serves for the integrity check. */
function digestKeysOf({ secrets }: AuthenticationConfiguration): readonly Uint8Array[] {
  return secrets.length === 0 ? [digestKey(NOTHING)] : secrets.map(digestKey);
}

function isSccrq(octets: Uint8Array): boolean {
  return isType(octets, "SCCRQ");
}

function isZlb(octets: Uint8Array): boolean {
  return decodeHeader(octets).length === HEADER_LENGTH;
}

function isUnaddressed(octets: Uint8Array): boolean {
  return decodeHeader(octets).controlConnectionId === 0;
}

function isType(octets: Uint8Array, name: MessageName): boolean {
  const type = ((octets[MESSAGE_TYPE_OFFSET] ?? 0) << 8) | (octets[MESSAGE_TYPE_OFFSET + 1] ?? 0);
  return octets.length > MESSAGE_TYPE_OFFSET + 1 && type === MESSAGES[name].type;
}

function concatenated(first: Uint8Array, second: Uint8Array): Uint8Array {
  const octets = new Uint8Array(first.length + second.length);
  octets.set(first);
  octets.set(second, first.length);
  return octets;
}
