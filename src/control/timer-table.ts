import type { Instant } from "./core.ts";

interface Entry<Timer> {
  readonly key: string;
  readonly timer: Timer;
  at: Instant;
  /** Order of setting: timers due at the same instant fire in it, so that runs can be repeated. */
  order: number;
  index: number;
}

/** Deadlines by key, in a binary heap with positions: setting, moving and stopping cost O(log n). */
export class TimerTable<Timer> {
  readonly #entries = new Map<string, Entry<Timer>>();
  readonly #heap: Entry<Timer>[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** Sets the timer, or moves it when it is set already. */
  set(key: string, timer: Timer, at: Instant): void {
    const order = this.#order++;
    const existing = this.#entries.get(key);
    if (existing !== undefined) {
      existing.at = at;
      existing.order = order;
      this.#settle(existing);
      return;
    }
    const entry = { key, timer, at, order, index: this.#heap.length };
    this.#entries.set(key, entry);
    this.#heap.push(entry);
    this.#settle(entry);
  }

  stop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#remove(entry);
  }

  isSet(key: string): boolean {
    return this.#entries.has(key);
  }

  deadline(key: string): Instant | undefined {
    return this.#entries.get(key)?.at;
  }

  nextDeadline(): Instant | undefined {
    return this.#heap[0]?.at;
  }

  /** Takes out the earliest timer that is due at `now`. */
  takeDue(now: Instant): Timer | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return undefined;
    this.#remove(first);
    return first.timer;
  }

  /** All timers as plain data, earliest first. */
  list(): readonly { readonly key: string; readonly timer: Timer; readonly at: Instant }[] {
    return [...this.#heap].sort(compare).map(({ key, timer, at }) => ({ key, timer, at }));
  }

  #remove(entry: Entry<Timer>): void {
    this.#entries.delete(entry.key);
    const last = this.#heap.pop() as Entry<Timer>;
    if (last === entry) return;
    this.#place(last, entry.index);
    this.#settle(last);
  }

  #place(entry: Entry<Timer>, index: number): void {
    this.#heap[index] = entry;
    entry.index = index;
  }

  #settle(entry: Entry<Timer>): void {
    this.#rise(entry);
    this.#sink(entry);
  }

  #rise(entry: Entry<Timer>): void {
    for (;;) {
      const parent = this.#heap[(entry.index - 1) >> 1];
      if (entry.index === 0 || parent === undefined || compare(parent, entry) <= 0) return;
      this.#swap(entry, parent);
    }
  }

  #sink(entry: Entry<Timer>): void {
    for (;;) {
      const left = this.#heap[2 * entry.index + 1];
      const right = this.#heap[2 * entry.index + 2];
      if (left === undefined) return;
      const smaller = right !== undefined && compare(right, left) < 0 ? right : left;
      if (compare(entry, smaller) <= 0) return;
      this.#swap(entry, smaller);
    }
  }

  #swap(a: Entry<Timer>, b: Entry<Timer>): void {
    const index = a.index;
    this.#place(a, b.index);
    this.#place(b, index);
  }
}

function compare(a: Entry<unknown>, b: Entry<unknown>): number {
  return a.at - b.at || a.order - b.order;
}
