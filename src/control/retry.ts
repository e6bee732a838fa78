import type { Instant } from "./core.ts";
import { backOffMs, type Timer, type Turn } from "./turn.ts";

const HURRY_INTERVAL_MS = 1_000;

interface Counted {
  failures: number;
  /** When the last attempt succeeded, until what came of it has failed. */
  heldSince: Instant | undefined;
}

/** Attempts that failed in a row, of a tunnel or of a session: with each the pause before the next one doubles. */
export class Retry {
  readonly #key: string;
  readonly #timer: Timer;
  #policy: { readonly minMs: number; readonly maxMs: number };
  readonly #state: Counted;
  /** When something came that may let an attempt succeed, and when one was hurried for that. */
  #newsAt: Instant = Number.NEGATIVE_INFINITY;
  #hurriedAt: Instant = Number.NEGATIVE_INFINITY;

  /** `key`: of the timer table. `state`: where the failures are counted, part of what is saved. */
  constructor(key: string, timer: Timer, policy: { readonly minMs: number; readonly maxMs: number }, state: Counted) {
    this.#key = key;
    this.#timer = timer;
    this.#policy = policy;
    this.#state = state;
  }

  /** Counts a failure and arranges for the next attempt. */
  later(turn: Turn): void {
    const { heldSince } = this.#state;
    // What did not last longer than the longest pause has failed in a row with what was before.
    if (heldSince !== undefined && turn.now - heldSince > this.#policy.maxMs) this.reset();
    this.#state.heldSince = undefined;
    this.#state.failures += 1;
    turn.timers.set(this.#key, this.#timer, turn.now + backOffMs(this.#policy, this.#state.failures, turn.entropy));
    // It may have failed for want of what came while it was under way.
    if (turn.now - this.#newsAt < HURRY_INTERVAL_MS) this.#advance(turn);
  }

  /** What it may have failed for want of may have come: the next attempt is due now, but at most one a second. */
  hurry(turn: Turn): void {
    this.#newsAt = turn.now;
    this.#advance(turn);
  }

  #advance(turn: Turn): void {
    const at = Math.max(turn.now, this.#hurriedAt + HURRY_INTERVAL_MS);
    const due = turn.timers.deadline(this.#key);
    if (due === undefined || due <= at) return;
    this.#hurriedAt = at;
    turn.timers.set(this.#key, this.#timer, at);
  }

  /** The pauses are others from now on; one that has begun is no longer than the longest of these. */
  follow(policy: { readonly minMs: number; readonly maxMs: number }, turn: Turn): void {
    this.#policy = policy;
    const due = turn.timers.deadline(this.#key);
    if (due !== undefined && due > turn.now + policy.maxMs) {
      turn.timers.set(this.#key, this.#timer, turn.now + policy.maxMs);
    }
  }

  /** The next attempt is due at once. */
  now(turn: Turn): void {
    turn.timers.set(this.#key, this.#timer, turn.now);
  }

  /** An attempt is under way. */
  begin(turn: Turn): void {
    this.stop(turn);
    this.#state.heldSince = undefined;
  }

  /** It has succeeded. Whether that lasts will be seen. */
  succeeded(turn: Turn): void {
    this.#state.heldSince = turn.now;
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
