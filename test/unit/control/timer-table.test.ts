import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TimerTable } from "../../../src/control/timer-table.ts";

interface ModelEntry {
  readonly key: string;
  readonly at: number;
  readonly order: number;
}

/** The same by the simplest means: a sorted array. */
class Model {
  #entries: ModelEntry[] = [];
  #order = 0;

  set(key: string, at: number): void {
    this.stop(key);
    this.#entries.push({ key, at, order: this.#order++ });
    this.#entries.sort((a, b) => a.at - b.at || a.order - b.order);
  }

  stop(key: string): void {
    this.#entries = this.#entries.filter((entry) => entry.key !== key);
  }

  takeDue(now: number): string | undefined {
    const [first] = this.#entries;
    return first !== undefined && first.at <= now ? this.#entries.shift()?.key : undefined;
  }

  get entries(): readonly ModelEntry[] {
    return this.#entries;
  }
}

const key = fc.integer({ min: 0, max: 12 }).map((number) => `k${number}`);
const instant = fc.integer({ min: 0, max: 30 });
const operation = fc.oneof(
  fc.record({ type: fc.constant("set" as const), key, at: instant }),
  fc.record({ type: fc.constant("stop" as const), key }),
  fc.record({ type: fc.constant("take" as const), now: instant }),
);

describe("timer table", () => {
  test("does what a sorted array does, whatever is set, moved, stopped and taken", () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
        const table = new TimerTable<string>();
        const model = new Model();
        for (const step of operations) {
          if (step.type === "set") {
            table.set(step.key, step.key, step.at);
            model.set(step.key, step.at);
          } else if (step.type === "stop") {
            table.stop(step.key);
            model.stop(step.key);
          } else expect(table.takeDue(step.now)).toBe(model.takeDue(step.now));
          expect(table.nextDeadline()).toBe(model.entries[0]?.at);
          expect(table.size).toBe(model.entries.length);
          expect(table.list()).toEqual(model.entries.map(({ key: name, at }) => ({ key: name, timer: name, at })));
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("timers of the same instant fire in the order in which they were set last", () => {
    const table = new TimerTable<string>();
    for (const name of ["a", "b", "c"]) table.set(name, name, 5);
    table.set("a", "a", 5);
    expect([table.takeDue(5), table.takeDue(5), table.takeDue(5), table.takeDue(5)]).toEqual([
      "b",
      "c",
      "a",
      undefined,
    ]);
  });

  test("nothing is due before its time, and a stopped timer is not set", () => {
    const table = new TimerTable<string>();
    table.set("a", "a", 5);
    expect([table.takeDue(4), table.isSet("a")]).toEqual([undefined, true]);
    table.stop("a");
    table.stop("a");
    expect([table.isSet("a"), table.takeDue(9), table.nextDeadline()]).toEqual([false, undefined, undefined]);
  });
});

test("what takes the place of a stopped timer may be due before those above it", () => {
  const timers = new TimerTable<number>();
  // Chosen so that the last of the heap is earlier than the parent of the one that is stopped.
  for (const at of [6, 7, 4, 3, 5, 2, 1]) timers.set(String(at), at, at);
  timers.stop("7");
  const taken = Array.from({ length: 6 }, () => timers.takeDue(10));
  expect(taken).toEqual([1, 2, 3, 4, 5, 6]);
});
