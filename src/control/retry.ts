import { backOffMs, type Timer, type Turn } from "./turn.ts";

/** Attempts that failed in a row, of a tunnel or of a session: with each the pause before the next one doubles. */
export class Retry {
  readonly #key: string;
  readonly #timer: Timer;
  readonly #policy: { readonly minMs: number; readonly maxMs: number };
  readonly #state: { failures: number };

  /** `key`: of the timer table. `state`: where the failures are counted, part of what is saved. */
  constructor(
    key: string,
    timer: Timer,
    policy: { readonly minMs: number; readonly maxMs: number },
    state: { failures: number },
  ) {
    this.#key = key;
    this.#timer = timer;
    this.#policy = policy;
    this.#state = state;
  }

  /** Counts a failure and arranges for the next attempt. */
  later(turn: Turn): void {
    this.#state.failures += 1;
    turn.timers.set(this.#key, this.#timer, turn.now + backOffMs(this.#policy, this.#state.failures, turn.entropy));
  }

  /** No attempt is due: one is under way, or none is wanted. */
  stop(turn: Turn): void {
    turn.timers.stop(this.#key);
  }

  /** The next failure counts as the first. */
  reset(): void {
    this.#state.failures = 0;
  }
}
