/** Of the memory that a thread shares with the main one: whether it shall end, and its turns, modulo 2^32. */
const STOP = 0;
const TURNS = 1;
const WORDS = 2;

/** What a thread and the main one know of each other without a message: the main thread's side. */
export class Heartbeat {
  /** For the thread's `Pulse`. */
  readonly shared = new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT);
  readonly #words = new Int32Array(this.shared);
  #seen = -1;

  /** The thread shall end at its next turn. */
  stop(): void {
    Atomics.store(this.#words, STOP, 1);
  }

  /**
   * Whether it has taken a turn since the last time this was asked; true the first time. `wake` makes it take one, whatever
   * it waits for: it has until the next time.
   */
  hasTurned(wake: () => void): boolean {
    const turns = Atomics.load(this.#words, TURNS);
    const hasTurned = turns !== this.#seen;
    this.#seen = turns;
    wake();
    return hasTurned;
  }
}

/** The thread's side. */
export class Pulse {
  readonly #words: Int32Array;

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared);
  }

  /** To be called once a turn. Returns whether there shall be one. */
  beat(): boolean {
    Atomics.add(this.#words, TURNS, 1);
    return Atomics.load(this.#words, STOP) === 0;
  }
}
