import type { Instant } from "./core.ts";

/** Strangers get at most this many StopCCN a second: nobody's flood is to be reflected. */
const REFUSALS_PER_SECOND = 10;

/** How many SCCRQs may be refused aloud. */
export class RefusalLimit {
  #second = 0;
  #count = 0;

  /** Whether one more may be; `tell` is called once in a second in which it may not. */
  allows(now: Instant, tell: (message: string) => void): boolean {
    const second = Math.floor(now / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#count = 0;
    }
    this.#count += 1;
    if (this.#count === REFUSALS_PER_SECOND + 1) {
      tell(`more than ${REFUSALS_PER_SECOND} SCCRQs to refuse within a second: the rest is dropped in silence`);
    }
    return this.#count <= REFUSALS_PER_SECOND;
  }
}
