import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SEQUENCE_MASK, SequenceWindow, type SequencingSettings } from "../../../src/kernel/sequence-window.ts";

const SPACE = SEQUENCE_MASK + 1;
const HALF = SPACE / 2;

/** A receiver and what has come out of it: each frame has its own sequence number as text. */
class Receiver {
  readonly delivered: number[] = [];
  discarded = 0;
  now = 0;
  readonly window: SequenceWindow;

  constructor(more: Partial<SequencingSettings> = {}) {
    const settings = { timeoutMs: 20, window: HALF, resyncAfter: 5, ...more };
    this.window = new SequenceWindow(settings, (frame) => this.delivered.push(Number(new TextDecoder().decode(frame))));
  }

  receive(...sequences: number[]): void {
    for (const sequence of sequences) {
      const verdict = this.window.judge(sequence);
      if (verdict === "discard") this.discarded++;
      else if (verdict === "deliver") {
        this.delivered.push(sequence);
        this.window.advance();
      } else if (!this.window.hold(sequence, new TextEncoder().encode(String(sequence)), this.now)) this.discarded++;
    }
  }

  /** As the forwarder does: every deadline on the way is kept. */
  pass(milliseconds: number): void {
    const end = this.now + milliseconds;
    while ((this.window.deadline ?? Number.POSITIVE_INFINITY) <= end) {
      this.now = this.window.deadline as number;
      this.window.expire(this.now);
    }
    this.now = end;
  }
}

/** `count` sequence numbers from `first` on. */
const run = (first: number, count: number) => Array.from({ length: count }, (_, index) => (first + index) % SPACE);

/** Brings a receiver to where it expects `sequence`. A copy is no new beginning for it. */
function expecting(sequence: number): Receiver {
  const receiver = new Receiver({ resyncAfter: 1_000 });
  for (const step of [HALF - 1, sequence - 1]) {
    if (step < 0 || step > sequence) continue;
    receiver.receive(step);
    receiver.pass(10_000);
  }
  receiver.delivered.length = 0;
  receiver.discarded = 0;
  return receiver;
}

describe("F15 sequence numbers (RFC 3931 appendix C)", () => {
  test("begin with 0, and 0 follows the last", () => {
    const receiver = new Receiver();
    receiver.receive(...run(0, 10));
    expect(receiver.delivered).toEqual(run(0, 10));
    const wrapping = expecting(SPACE - 3);
    wrapping.receive(...run(SPACE - 3, 6));
    expect([wrapping.delivered, wrapping.discarded]).toEqual([[SPACE - 3, SPACE - 2, SPACE - 1, 0, 1, 2], 0]);
  });

  test("that are old are discarded, and come twice never", () => {
    const receiver = new Receiver();
    receiver.receive(0, 1, 2, 1, 2, 0, 3, 3);
    expect([receiver.delivered, receiver.discarded]).toEqual([[0, 1, 2, 3], 4]);
  });

  test("within the window are new, beyond it old", () => {
    const receiver = new Receiver({ window: 10, timeoutMs: 0, resyncAfter: 1_000 });
    receiver.receive(0, 10, 21, 20, 31);
    // 10 is the ninth ahead of 1. Of 11, 21 is beyond the tenth; 20 is not. Of 21, 31 is.
    expect([receiver.delivered, receiver.discarded]).toEqual([[0, 10, 20], 2]);
  });

  test("half of all are ahead unless configured otherwise", () => {
    const receiver = new Receiver({ timeoutMs: 0 });
    receiver.receive(HALF - 1);
    receiver.receive(HALF - 2, 0);
    expect([receiver.delivered, receiver.discarded]).toEqual([[HALF - 1], 2]);
  });

  test("without waiting, a gap is passed at once and what was missing is late", () => {
    const receiver = new Receiver({ timeoutMs: 0 });
    receiver.receive(0, 2, 1, 3);
    expect([receiver.delivered, receiver.discarded, receiver.window.holds]).toEqual([[0, 2, 3], 1, false]);
  });
});

describe("F16 a run of old numbers in order", () => {
  test.each([2, 5, 40])("of %i is a new beginning", (resyncAfter) => {
    const receiver = new Receiver({ resyncAfter });
    receiver.receive(...run(0, 100));
    receiver.delivered.length = 0;
    receiver.receive(...run(0, resyncAfter + 3));
    expect([receiver.delivered, receiver.discarded]).toEqual([run(resyncAfter - 1, 4), resyncAfter - 1]);
  });

  test("is one without gaps, and without anything new in between", () => {
    const receiver = new Receiver({ resyncAfter: 3 });
    receiver.receive(...run(0, 100));
    receiver.receive(1, 3, 5, 7, 8, 10, 11, 100, 12, 13);
    expect([receiver.delivered, receiver.discarded]).toEqual([run(0, 101), 9]);
  });

  test("lets go of what waits first", () => {
    const receiver = new Receiver({ resyncAfter: 3 });
    receiver.receive(...run(0, 10), 12, 3, 4, 5, 6);
    expect([receiver.delivered, receiver.window.holds]).toEqual([[...run(0, 10), 12, 5, 6], false]);
  });
});

describe("F17 waiting for frames that come later", () => {
  test("a frame that comes in time puts everything in order", () => {
    const receiver = new Receiver();
    receiver.receive(0, 3, 2);
    receiver.pass(19);
    receiver.receive(1);
    expect([receiver.delivered, receiver.window.holds]).toEqual([[0, 1, 2, 3], false]);
  });

  test("one that does not is given up, and is late then", () => {
    const receiver = new Receiver();
    receiver.receive(0, 2);
    receiver.pass(20);
    receiver.receive(1, 3);
    expect([receiver.delivered, receiver.discarded]).toEqual([[0, 2, 3], 1]);
  });

  test("a flood behind a gap does not wait in any number", () => {
    const receiver = new Receiver({ timeoutMs: 10_000 });
    receiver.receive(...run(1, 1_025));
    expect([receiver.delivered, receiver.window.holds]).toEqual([run(1, 1_025), false]);
  });

  test("what waits can be forgotten", () => {
    const receiver = new Receiver();
    receiver.receive(5);
    receiver.window.clear();
    receiver.pass(100);
    expect([receiver.delivered, receiver.window.deadline]).toEqual([[], undefined]);
  });

  test("F15 F17 whatever the order within the timeout: all come out, in order, once, also around 2^24", () => {
    const arbitrary = fc.record({
      first: fc.constantFrom(0, 1, 1_000, HALF - 20, HALF + 7, SPACE - 60, SPACE - 1),
      delays: fc.array(fc.integer({ min: 0, max: 18 }), { minLength: 1, maxLength: 120 }),
      copies: fc.array(fc.nat(119), { maxLength: 20 }),
    });
    fc.assert(
      fc.property(arbitrary, ({ first, delays, copies }) => {
        // A new beginning is for others to test: copies must not look like one.
        const receiver = expecting(first);
        const sent = delays.map((delay, index) => ({ sequence: (first + index) % SPACE, at: index + delay }));
        const twice = copies.flatMap((index) => sent[index] ?? []);
        const arrivals = [...sent, ...twice].sort((one, other) => one.at - other.at);
        const began = receiver.now;
        for (const { sequence, at } of arrivals) {
          receiver.pass(began + at - receiver.now);
          receiver.receive(sequence);
        }
        receiver.pass(100);
        expect(receiver.delivered).toEqual(run(first, delays.length));
        expect(receiver.discarded).toBe(twice.length);
      }),
      { numRuns: 500 },
    );
  });

  test("F17 whatever is lost: nobody waits longer than the timeout, and the order holds", () => {
    const arbitrary = fc.array(fc.record({ isLost: fc.boolean(), delay: fc.integer({ min: 0, max: 60 }) }), {
      maxLength: 120,
    });
    fc.assert(
      fc.property(arbitrary, fc.integer({ min: 0, max: 40 }), (frames, timeoutMs) => {
        const receiver = new Receiver({ timeoutMs, resyncAfter: 1_000 });
        const arrivals = frames
          .flatMap(({ isLost, delay }, index) => (isLost ? [] : [{ sequence: index, at: index + delay }]))
          .sort((one, other) => one.at - other.at);
        for (const { sequence, at } of arrivals) {
          receiver.pass(at - receiver.now);
          receiver.receive(sequence);
          const wait = (receiver.window.deadline ?? 0) - receiver.now;
          expect(wait).toBeLessThanOrEqual(timeoutMs);
        }
        receiver.pass(timeoutMs);
        expect(receiver.window.holds).toBe(false);
        expect(receiver.delivered.length + receiver.discarded).toBe(arrivals.length);
        expect(receiver.delivered).toEqual([...receiver.delivered].sort((one, other) => one - other));
      }),
      { numRuns: 500 },
    );
  });
});
