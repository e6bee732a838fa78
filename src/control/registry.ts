import type { Entropy, Instant } from "./core.ts";

/** How long a released id stays unused, so that stray packets of its last owner meet nobody. Two minutes. */
const REST_MS = 120_000;

/** Resting ids that are remembered; of 2^32 random ones the others do not come again that soon either. */
const MOST_RESTING = 4_096;

/** Assigns random, unique, non-zero 32-bit ids to their owners (RFC 3931 5.4.3, 5.4.4, 8.2) and finds these by id. */
export class Registry<Owner> {
  readonly #owners = new Map<number, Owner>();
  /** Ids at rest with the instant of their release, oldest first. */
  readonly #released = new Map<number, Instant>();
  #reserved: ReadonlySet<number> = new Set();

  get size(): number {
    return this.#owners.size;
  }

  get(id: number): Owner | undefined {
    return this.#owners.get(id);
  }

  owners(): IterableIterator<Owner> {
    return this.#owners.values();
  }

  /** Never to be drawn, these and no others: they are somebody's by configuration. */
  reserve(ids: Iterable<number>): void {
    this.#reserved = new Set(ids);
  }

  /** An id that nobody has and nobody had lately. */
  draw(entropy: Entropy, now: Instant): number {
    this.#forget(now);
    for (;;) {
      const id = entropy.uint32();
      if (id !== 0 && !this.#owners.has(id) && !this.#released.has(id) && !this.#reserved.has(id)) return id;
    }
  }

  assign(id: number, owner: Owner): void {
    this.#owners.set(id, owner);
  }

  release(id: number, now: Instant): void {
    this.#owners.delete(id);
    this.#released.delete(id);
    this.#released.set(id, now);
  }

  #forget(now: Instant): void {
    for (const [id, since] of this.#released) {
      if (now - since < REST_MS && this.#released.size <= MOST_RESTING) return;
      this.#released.delete(id);
    }
  }
}
