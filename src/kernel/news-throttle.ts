/** News come in bursts, and who hears of them looks at everything. */
const TELL_INTERVAL_MS = 100;

/** Tells of news at once, and then no more often than every tenth of a second. */
export class NewsThrottle {
  readonly #tell: () => void;
  #isNews = false;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(tell: () => void) {
    this.#tell = tell;
  }

  news(): void {
    this.#isNews = true;
  }

  /** Tells what there is to tell, unless it is too early. Returns in how many milliseconds it has to be called again. */
  settle(now: number): number {
    if (!this.#isNews) return Number.POSITIVE_INFINITY;
    const wait = this.#toldAt + TELL_INTERVAL_MS - now;
    if (wait > 0) return wait;
    this.#isNews = false;
    this.#toldAt = now;
    this.#tell();
    return Number.POSITIVE_INFINITY;
  }
}
