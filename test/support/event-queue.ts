import type { Instant } from "../../src/control/core.ts";

interface Entry {
  readonly at: Instant;
  readonly order: number;
  readonly act: () => void;
}

/** What is still to happen, earliest first; what is due at one instant in the order in which it was put in. A binary heap. */
export class EventQueue {
  readonly #heap: Entry[] = [];
  #order = 0;

  /** When the first event is due. */
  get next(): Instant | undefined {
    return this.#heap[0]?.at;
  }

  put(at: Instant, act: () => void): void {
    const entry = { at, order: this.#order++, act };
    let index = this.#heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = this.#heap[parent] as Entry;
      if (!before(entry, above)) break;
      this.#heap[index] = above;
      index = parent;
    }
    this.#heap[index] = entry;
  }

  take(): (() => void) | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first !== undefined && last !== undefined && first !== last) this.#sink(last);
    return first?.act;
  }

  /** Finds a place for `entry`, from the top, which is free. */
  #sink(entry: Entry): void {
    let index = 0;
    for (;;) {
      const child = this.#smallerChild(index);
      const below = this.#heap[child];
      if (below === undefined || !before(below, entry)) break;
      this.#heap[index] = below;
      index = child;
    }
    this.#heap[index] = entry;
  }

  #smallerChild(index: number): number {
    const left = this.#heap[2 * index + 1];
    const right = this.#heap[2 * index + 2];
    return left !== undefined && right !== undefined && before(right, left) ? 2 * index + 2 : 2 * index + 1;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
