import type { SeededEntropy } from "./virtual-link.ts";

/** A control message in parts, so that a mutation can take hold of any of them. */
export interface Draft {
  readonly controlConnectionId: number;
  readonly ns: number;
  readonly nr: number;
  /** Whole AVPs, header and value. */
  readonly avps: readonly Uint8Array[];
}

/** What the mutations may take numbers and parts from. */
export interface Surroundings {
  /** A number that is drawn is one that means something about every second time. */
  readonly controlConnectionIds: readonly number[];
  readonly window: number;
  /** Parts of other messages are spliced in from here. */
  readonly drafts: readonly Draft[];
}

export interface SessionIds {
  readonly localSessionId: number;
  readonly remoteSessionId: number;
}

const HEADER_LENGTH = 12;
const AVP_HEADER_LENGTH = 6;

export function draftOf(octets: Uint8Array): Draft {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  const avps: Uint8Array[] = [];
  for (let offset = HEADER_LENGTH; offset < octets.length; ) {
    const end = offset + (view.getUint16(offset) & 0x3ff);
    avps.push(octets.slice(offset, end));
    offset = end;
  }
  return { controlConnectionId: view.getUint32(4), ns: view.getUint16(8), nr: view.getUint16(10), avps };
}

/** The octets of a draft: sound as far as its parts are. */
export function assembled({ controlConnectionId, ns, nr, avps }: Draft): Uint8Array {
  let length = HEADER_LENGTH;
  for (const avp of avps) length += avp.length;
  const octets = new Uint8Array(length);
  octets[0] = 0xc8;
  octets[1] = 3;
  writeUint16(octets, 2, length);
  writeUint16(octets, 4, controlConnectionId >>> 16);
  writeUint16(octets, 6, controlConnectionId & 0xffff);
  writeUint16(octets, 8, ns);
  writeUint16(octets, 10, nr);
  let offset = HEADER_LENGTH;
  for (const avp of avps) {
    octets.set(avp, offset);
    offset += avp.length;
  }
  return octets;
}

function writeUint16(octets: Uint8Array, offset: number, value: number): void {
  octets[offset] = value >>> 8;
  octets[offset + 1] = value;
}

/** Deterministic mutations of control messages: at their header, their AVPs, their order, and their octets. */
export class Mutator {
  readonly #chance: SeededEntropy;
  readonly #around: Surroundings;

  constructor(chance: SeededEntropy, around: Surroundings) {
    this.#chance = chance;
    this.#around = around;
  }

  /** The same chance, and drafts about another connection and other sessions. */
  aimedAt(controlConnectionId: number, sessions: readonly SessionIds[]): Mutator {
    const drafts = this.#around.drafts.map((draft, index) => aimed(draft, controlConnectionId, sessions, index));
    return new Mutator(this.#chance, { ...this.#around, controlConnectionIds: [0, controlConnectionId], drafts });
  }

  /** One of the drafts with one to three changes, as octets. `due`: with these sequence numbers in place of its own. */
  next(due?: { readonly nr: number; readonly nextNs: number }): Uint8Array {
    const draft = this.#oneOf(this.#around.drafts);
    let changed = due === undefined ? draft : { ...draft, ns: due.nr, nr: due.nextNs };
    const rounds = 1 + this.#below(3);
    for (let round = 0; round < rounds; round++) changed = this.#changed(changed);
    const octets = assembled(changed);
    return this.#below(6) === 0 ? this.#damaged(octets) : octets;
  }

  #below(limit: number): number {
    return this.#chance.uint32() % limit;
  }

  #oneOf<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T;
  }

  #changed(draft: Draft): Draft {
    const { avps } = draft;
    if (avps.length === 0) return this.#otherHeader(draft);
    switch (this.#below(8)) {
      case 0:
        return this.#otherHeader(draft);
      case 1:
      case 2:
      case 3:
        return { ...draft, avps: this.#withOtherAvp(avps) };
      case 4:
        return { ...draft, avps: this.#inOtherOrder(avps) };
      case 5:
        return { ...draft, avps: avps.toSpliced(this.#below(avps.length), 1) };
      case 6:
        return { ...draft, avps: this.#withForeign(avps) };
      default:
        return { ...draft, avps: this.#spliced(avps) };
    }
  }

  #otherHeader(draft: Draft): Draft {
    switch (this.#below(3)) {
      case 0:
        return { ...draft, controlConnectionId: this.#controlConnectionId() };
      case 1:
        return { ...draft, ns: this.#near(draft.ns) };
      default:
        return { ...draft, nr: this.#near(draft.nr) };
    }
  }

  #controlConnectionId(): number {
    return this.#below(2) === 0 ? this.#oneOf(this.#around.controlConnectionIds) : this.#chance.uint32();
  }

  /** Around the window's edges, or anywhere. */
  #near(sequence: number): number {
    const { window } = this.#around;
    const step = this.#oneOf([-1, 1, window - 1, window, window + 1, 0x7fff, 0x8000, this.#below(0x10000)]);
    return (sequence + step) & 0xffff;
  }

  #withOtherAvp(avps: readonly Uint8Array[]): readonly Uint8Array[] {
    const index = this.#below(avps.length);
    return avps.with(index, this.#otherAvp((avps[index] as Uint8Array).slice()));
  }

  #otherAvp(avp: Uint8Array): Uint8Array {
    switch (this.#below(9)) {
      // M, H, and the reserved bits.
      case 0:
        return changedAt(avp, 0, (avp[0] ?? 0) ^ (1 << (2 + this.#below(6))));
      case 1:
        return changedAt(avp, 0, (avp[0] ?? 0) ^ 0x80);
      case 2:
        return this.#withLengthField(avp);
      case 3:
        return changedAt(avp, 2 + this.#below(2), this.#oneOf([0, 9, 193, this.#below(256)]));
      // A type that means something, most likely.
      case 4:
        return changedAt(changedAt(avp, 4, 0), 5, this.#below(120));
      case 5:
        return changedAt(avp, 4 + this.#below(2), this.#below(256));
      case 6:
        return this.#shorterOrLonger(avp);
      case 7:
        return this.#withZeroes(avp);
      default:
        return changedAt(avp, AVP_HEADER_LENGTH + this.#below(avp.length), this.#below(256));
    }
  }

  /** The length field alone: what follows is read out of step. */
  #withLengthField(avp: Uint8Array): Uint8Array {
    const length = this.#oneOf([0, 5, 6, avp.length - 1, avp.length + 1, avp.length + 6, 0x3ff, this.#below(0x400)]);
    const bits = (avp[0] ?? 0) & 0xfc;
    return changedAt(changedAt(avp, 0, bits | ((length >>> 8) & 3)), 1, length & 0xff);
  }

  /** Value and length field both, so that only the value is wrong. */
  #shorterOrLonger(avp: Uint8Array): Uint8Array {
    const length = Math.max(AVP_HEADER_LENGTH, avp.length + this.#oneOf([-1, 1, -2, 2, 4, -avp.length, 16]));
    const resized = new Uint8Array(length);
    resized.set(avp.subarray(0, length));
    return withLengthOf(resized);
  }

  #withZeroes(avp: Uint8Array): Uint8Array {
    return avp.fill(this.#oneOf([0, 0xff]), AVP_HEADER_LENGTH);
  }

  #inOtherOrder(avps: readonly Uint8Array[]): readonly Uint8Array[] {
    const [from, to] = [this.#below(avps.length), this.#below(avps.length)];
    const moved = avps[from] as Uint8Array;
    return avps.toSpliced(from, 1).toSpliced(to, 0, moved);
  }

  /** Twice the same AVP, or one of another message. */
  #withForeign(avps: readonly Uint8Array[]): readonly Uint8Array[] {
    const source = this.#below(2) === 0 ? avps : this.#oneOf(this.#around.drafts).avps;
    return source.length === 0 ? avps : avps.toSpliced(this.#below(avps.length + 1), 0, this.#oneOf(source));
  }

  /** The beginning of one message and the end of another. */
  #spliced(avps: readonly Uint8Array[]): readonly Uint8Array[] {
    const other = this.#oneOf(this.#around.drafts).avps;
    return [...avps.slice(0, this.#below(avps.length + 1)), ...other.slice(this.#below(other.length + 1))];
  }

  /** Octets changed, cut off or appended, whatever they mean; the Length is put right or not. */
  #damaged(octets: Uint8Array): Uint8Array {
    switch (this.#below(5)) {
      case 0:
        return octets.subarray(0, this.#below(octets.length));
      case 1:
        return withMessageLength(octets.slice(0, this.#below(octets.length)));
      case 2:
        return Uint8Array.from([...octets, ...this.#chance.octets(1 + this.#below(40))]);
      case 3:
        return changedAt(octets, this.#below(4), this.#below(256));
      default:
        return changedAt(octets, this.#below(octets.length), this.#below(256));
    }
  }
}

const LOCAL_SESSION_ID = 63;
const REMOTE_SESSION_ID = 64;

/** About the connection, and every other one about one of the sessions; "local" and "remote" are the peer's view. */
function aimed(draft: Draft, controlConnectionId: number, sessions: readonly SessionIds[], index: number): Draft {
  const session = index % 2 === 0 ? undefined : sessions[index % sessions.length];
  const avps = draft.avps.map((avp) => {
    if (session === undefined || avp.length !== AVP_HEADER_LENGTH + 4 || avp[4] !== 0) return avp;
    if (avp[5] === LOCAL_SESSION_ID) return withUint32(avp, session.remoteSessionId);
    return avp[5] === REMOTE_SESSION_ID ? withUint32(avp, session.localSessionId) : avp;
  });
  return { ...draft, controlConnectionId: draft.controlConnectionId === 0 ? 0 : controlConnectionId, avps };
}

function withUint32(avp: Uint8Array, value: number): Uint8Array {
  const copy = avp.slice();
  writeUint16(copy, AVP_HEADER_LENGTH, value >>> 16);
  writeUint16(copy, AVP_HEADER_LENGTH + 2, value & 0xffff);
  return copy;
}

/** Beyond the end: unchanged. */
function changedAt(octets: Uint8Array, offset: number, value: number): Uint8Array {
  octets[offset] = value;
  return octets;
}

/** The length field of an AVP as long as it is. */
function withLengthOf(avp: Uint8Array): Uint8Array {
  avp[0] = ((avp[0] ?? 0) & 0xfc) | ((avp.length >>> 8) & 3);
  avp[1] = avp.length & 0xff;
  return avp;
}

function withMessageLength(octets: Uint8Array): Uint8Array {
  if (octets.length >= 4) writeUint16(octets, 2, octets.length);
  return octets;
}
