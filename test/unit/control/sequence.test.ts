import { describe, expect, test } from "vitest";
import { isOldSequence, nextSequence, sequenceDistance } from "../../../src/control/sequence.ts";

describe("sequence numbers", () => {
  test.each([
    // RFC 3931 4.2: the last one received is 15.
    [0, true],
    [14, true],
    [15, true],
    [16, false],
    [17, false],
    [32_783, false],
    [32_784, true],
    [65_535, true],
  ])("C02 after 15, %i is old: %s", (ns, old) => {
    expect(isOldSequence(ns, 16)).toBe(old);
  });

  test.each([
    [65_535, 0, true],
    [0, 0, false],
    [32_767, 0, false],
    [32_768, 0, true],
    [65_534, 65_535, true],
    [0, 65_535, false],
    [65_535, 65_535, false],
  ])("C02 around the wrap: %i, when %i is expected, is old: %s", (ns, expected, old) => {
    expect(isOldSequence(ns, expected)).toBe(old);
  });

  test.each([0, 1, 15, 32_767, 32_768, 65_535])(
    "C02 over all distances from %i: one half is old, one half new",
    (expected) => {
      for (let distance = 0; distance < 65_536; distance++) {
        const ns = (expected + distance) % 65_536;
        if (isOldSequence(ns, expected) !== distance > 32_767) throw new Error(`${ns} with ${expected} expected`);
        if (sequenceDistance(expected, ns) !== distance) throw new Error(`${expected} to ${ns}`);
      }
      expect(isOldSequence(expected, expected)).toBe(false);
    },
  );

  test.each([
    [0, 1],
    [65_534, 65_535],
    [65_535, 0],
  ])("C01 after %i comes %i", (sequence, next) => {
    expect(nextSequence(sequence)).toBe(next);
  });
});
