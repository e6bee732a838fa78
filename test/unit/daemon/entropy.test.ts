import { describe, expect, test } from "vitest";
import { Registry } from "../../../src/control/registry.ts";
import { SystemEntropy } from "../../../src/daemon/entropy.ts";

const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");

describe("chance", () => {
  test("G12 10,000 ids of the daemon are all different, and of all sizes", () => {
    const [registry, entropy] = [new Registry<number>(), new SystemEntropy()];
    const ids = Array.from({ length: 10_000 }, () => registry.draw(entropy, 0));
    // Two that are equal by chance: once in 86 runs; three pairs: once in millions.
    expect(new Set(ids).size).toBeGreaterThanOrEqual(9_998);
    const perQuarter = [0, 1, 2, 3].map((quarter) => ids.filter((id) => id >>> 30 === quarter).length);
    for (const count of perQuarter) expect(Math.abs(count - 2_500)).toBeLessThan(350);
  });

  test("B62 D18 cookies and nonces: of the length that was asked for, never the same, every octet as frequent", () => {
    const entropy = new SystemEntropy();
    const drawn = Array.from({ length: 20_000 }, (_, index) => entropy.octets(index % 2 === 0 ? 8 : 16));
    expect(new Set(drawn.map(hex)).size).toBe(drawn.length);
    expect(drawn.every((octets, index) => octets.length === (index % 2 === 0 ? 8 : 16))).toBe(true);
    const counts = new Array<number>(256).fill(0);
    for (const octets of drawn) for (const octet of octets) counts[octet] = (counts[octet] as number) + 1;
    const expected = counts.reduce((sum, count) => sum + count) / 256;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 255 degrees of freedom: beyond 420 once in a thousand million runs.
    expect(chiSquare).toBeLessThan(420);
  });

  test("B62 D18 what was drawn is a copy that later draws leave alone, and no two sources are alike", () => {
    const [one, other] = [new SystemEntropy(), new SystemEntropy()];
    const first = one.octets(16);
    const before = hex(first);
    for (let count = 0; count < 1_000; count++) one.octets(16);
    expect(hex(first)).toBe(before);
    expect(hex(other.octets(16))).not.toBe(before);
  });
});
