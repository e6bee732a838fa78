import { describe, expect, test } from "vitest";
import { Registry } from "../../../src/control/registry.ts";
import { SeededEntropy } from "../../support/virtual-link.ts";

/** Draws these numbers, one after the other. */
function entropyOf(...numbers: number[]) {
  const octets = (length: number) => new Uint8Array(length);
  return { uint32: () => numbers.shift() ?? Number.NaN, octets, secretOctets: octets };
}

describe("registry of ids", () => {
  test("B50 0 is never drawn", () => {
    expect(new Registry<string>().draw(entropyOf(0, 0, 7), 0)).toBe(7);
  });

  test("F12 an id that somebody has is not drawn again", () => {
    const registry = new Registry<string>();
    registry.assign(7, "owner");
    expect(registry.draw(entropyOf(7, 7, 8), 0)).toBe(8);
    expect([registry.get(7), registry.get(8), registry.size]).toEqual(["owner", undefined, 1]);
  });

  test("C23 a released id rests for two minutes", () => {
    const registry = new Registry<string>();
    registry.assign(7, "owner");
    registry.release(7, 1_000);
    expect(registry.get(7)).toBeUndefined();
    expect(registry.draw(entropyOf(7, 8), 120_999)).toBe(8);
    expect(registry.draw(entropyOf(7, 8), 121_000)).toBe(7);
  });

  test("C23 of very many released ids only the latest are remembered", () => {
    const registry = new Registry<string>();
    for (let id = 1; id <= 5_000; id++) registry.release(id, 0);
    expect(registry.draw(entropyOf(5_000, 904, 1), 1)).toBe(904);
    expect(registry.draw(entropyOf(906, 1), 1)).toBe(1);
  });

  test("C23 an id that is released twice rests from the second time on", () => {
    const registry = new Registry<string>();
    registry.release(7, 0);
    registry.release(8, 50_000);
    registry.release(7, 100_000);
    expect(registry.draw(entropyOf(7, 8), 170_000)).toBe(8);
    expect(registry.draw(entropyOf(7, 9), 219_999)).toBe(9);
    expect(registry.draw(entropyOf(7), 220_000)).toBe(7);
  });

  test("G12 10,000 ids are all different and in no order", () => {
    const registry = new Registry<number>();
    const entropy = new SeededEntropy(1);
    const ids = Array.from({ length: 10_000 }, (_, index) => {
      const id = registry.draw(entropy, 0);
      registry.assign(id, index);
      return id;
    });
    expect([registry.size, new Set(ids).size]).toEqual([10_000, 10_000]);
    expect([...registry.owners()]).toHaveLength(10_000);
    const rising = ids.filter((id, index) => index > 0 && id > (ids[index - 1] ?? 0)).length;
    expect(Math.abs(rising - 5_000)).toBeLessThan(300);
  });
});
