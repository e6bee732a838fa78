/** Sequence numbers of the default sublayer: 24 bits (RFC 3931 4.6). */
export const SEQUENCE_MASK = 0xff_ffff;
/**
 * Frames that may wait at a time, so that a flood with gaps costs no memory without end: 20 ms of 50,000 frames a second.
 */
const MOST_WAITING = 1_024;

export interface SequencingSettings {
  /** How long a frame waits for those before it; 0: not at all. */
  readonly timeoutMs: number;
  /** 1 to 2^23: how many sequence numbers, from the one expected on, are new. */
  readonly window: number;
  /** So many old sequence numbers in a row are a new beginning. */
  readonly resyncAfter: number;
}

interface Waiting {
  readonly sequence: number;
  readonly frame: Uint8Array;
  readonly deadline: number;
}

/** What is to become of a frame: in its turn; held back until its turn comes; late, or there twice. */
export type SequenceVerdict = "deliver" | "hold" | "discard";

/**
 * The receiver's side of RFC 3931 appendix C, for one session: frames with sequence numbers in, in order out. A frame that
 * is ahead of its turn waits for those before it, but no longer than the timeout. Knows no clock: instants are given.
 */
export class SequenceWindow {
  readonly #settings: SequencingSettings;
  readonly #deliver: (frame: Uint8Array) => void;
  #expected = 0;
  /** In the order of their turns. */
  #waiting: Waiting[] = [];
  /** The run of old sequence numbers, each one more than the one before. */
  #lastOld = -1;
  #oldRun = 0;

  /** `deliver` gets the frames that have waited. */
  constructor(settings: SequencingSettings, deliver: (frame: Uint8Array) => void) {
    this.#settings = settings;
    this.#deliver = deliver;
  }

  /** By when `expire` has to be called; `undefined`: nothing waits. */
  get deadline(): number | undefined {
    // Who came first waits for the shortest time, wherever it stands.
    return this.#waiting.length === 0 ? undefined : Math.min(...this.#waiting.map(({ deadline }) => deadline));
  }

  get holds(): boolean {
    return this.#waiting.length > 0;
  }

  /**
   * After "deliver" and the frame's delivery `advance` must be called: others may have waited for this one. After "hold",
   * `hold`.
   */
  judge(sequence: number): SequenceVerdict {
    const ahead = this.#ahead(sequence);
    if (ahead >= this.#settings.window) return this.#judgeOld(sequence);
    this.#oldRun = 0;
    if (ahead === 0) return "deliver";
    if (this.#settings.timeoutMs > 0) return "hold";
    this.#expected = sequence;
    return "deliver";
  }

  /** The frame whose turn it was has been delivered: so are those that follow it without a gap. */
  advance(): void {
    this.#expected = (this.#expected + 1) & SEQUENCE_MASK;
    this.#release();
  }

  /** Keeps a frame that is ahead of its turn; false: one of its number waits already. The octets are kept. */
  hold(sequence: number, frame: Uint8Array, now: number): boolean {
    const ahead = this.#ahead(sequence);
    let index = this.#waiting.length;
    while (index > 0 && this.#aheadOf(index - 1) > ahead) index--;
    if (index > 0 && this.#aheadOf(index - 1) === ahead) return false;
    this.#waiting.splice(index, 0, { sequence, frame, deadline: now + this.#settings.timeoutMs });
    if (this.#waiting.length > MOST_WAITING) this.#skipTo(0);
    return true;
  }

  /** Whoever has waited long enough is delivered, after all that stand before it: what is missing is lost. */
  expire(now: number): void {
    const last = this.#waiting.findLastIndex(({ deadline }) => deadline <= now);
    if (last >= 0) this.#skipTo(last);
  }

  /** What waits is forgotten. */
  clear(): void {
    this.#waiting = [];
  }

  #ahead(sequence: number): number {
    return (sequence - this.#expected) & SEQUENCE_MASK;
  }

  #aheadOf(index: number): number {
    return this.#ahead((this.#waiting[index] as Waiting).sequence);
  }

  #judgeOld(sequence: number): SequenceVerdict {
    this.#oldRun = sequence === ((this.#lastOld + 1) & SEQUENCE_MASK) ? this.#oldRun + 1 : 1;
    this.#lastOld = sequence;
    if (this.#oldRun < this.#settings.resyncAfter) return "discard";
    // The peer has begun anew: what waits belongs to what it sent before.
    if (this.holds) this.#skipTo(this.#waiting.length - 1);
    this.#oldRun = 0;
    this.#expected = sequence;
    return "deliver";
  }

  /** Up to the frame at `index`, gaps or not, and what follows it without a gap. */
  #skipTo(index: number): void {
    const due = this.#waiting.splice(0, index + 1);
    for (const { frame } of due) this.#deliver(frame);
    this.#expected = ((due.at(-1) as Waiting).sequence + 1) & SEQUENCE_MASK;
    this.#release();
  }

  #release(): void {
    while (this.#waiting[0]?.sequence === this.#expected) {
      this.#deliver((this.#waiting.shift() as Waiting).frame);
      this.#expected = (this.#expected + 1) & SEQUENCE_MASK;
    }
  }
}
