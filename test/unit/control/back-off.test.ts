import { describe, expect, test } from "vitest";
import { retransmissionCycleMs, retransmitDelayMs } from "../../../src/control/reliable-channel.ts";
import { backOffMs, withJitter } from "../../../src/control/turn.ts";
import { SeededEntropy } from "../../support/virtual-link.ts";

const DEFAULTS = { initialMs: 1_000, maxMs: 8_000, retries: 10, sccrqRetries: 10 };
const octets = (length: number) => new Uint8Array(length);
const chance = (uint32: number) => ({ uint32: () => uint32, octets, secretOctets: octets });
const NONE = chance(0);
const MOST = chance(0xffffffff);

describe("waits before retransmissions", () => {
  test("C10 C11 the defaults: 1, 2, 4, 8, 8 ... seconds", () => {
    const delays = Array.from({ length: 7 }, (_, count) => retransmitDelayMs(DEFAULTS, count));
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000]);
  });

  test("C11 the cap holds where it is no power of two, and for any number of retransmissions", () => {
    const policy = { ...DEFAULTS, initialMs: 300, maxMs: 20_000 };
    expect(retransmitDelayMs(policy, 6)).toBe(19_200);
    expect([7, 40, 1_000, 1_000_000].map((count) => retransmitDelayMs(policy, count))).toEqual([
      20_000, 20_000, 20_000, 20_000,
    ]);
  });

  test.each([
    [0, 1_000],
    [2, 7_000],
    [4, 23_000],
    [10, 71_000],
  ])("C12 with %i retries a peer is given up after %i ms", (retries, cycle) => {
    expect(retransmissionCycleMs({ ...DEFAULTS, retries })).toBe(cycle);
  });
});

describe("pauses between attempts", () => {
  const policy = { minMs: 1_000, maxMs: 60_000 };

  test.each([
    [1, 1_000],
    [2, 2_000],
    [3, 4_000],
    [6, 32_000],
    [7, 60_000],
    [8, 60_000],
    [5_000, 60_000],
  ])("after %i failures in a row: %i ms and up to a tenth more", (failures, pause) => {
    expect(backOffMs(policy, failures, NONE)).toBe(pause);
    expect(backOffMs(policy, failures, MOST)).toBeLessThanOrEqual(pause * 1.1);
    expect(backOffMs(policy, failures, MOST)).toBeGreaterThan(pause * 1.09);
  });

  test("jitter only lengthens, and spreads", () => {
    const entropy = new SeededEntropy(7);
    const values = Array.from({ length: 1_000 }, () => withJitter(10_000, entropy));
    expect(Math.min(...values)).toBeGreaterThanOrEqual(10_000);
    expect(Math.max(...values)).toBeLessThanOrEqual(11_000);
    expect(new Set(values).size).toBeGreaterThan(500);
    expect(withJitter(0, MOST)).toBe(0);
  });
});
