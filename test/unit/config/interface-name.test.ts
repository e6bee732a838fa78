import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isInterfaceName } from "../../../src/config/format.ts";
import { type NamedInterface, nameInterfaces } from "../../../src/config/interface-name.ts";

const derived = (tunnel: string, session: string): NamedInterface => ({ tunnel, session, configured: null });

describe("derived interface names", () => {
  const ROWS: readonly (readonly [tunnel: string, session: string, name: string])[] = [
    ["paris", "lan42", "l2-paris-lan42"],
    ["paris1", "lan42", "l2-paris1-lan42"],
    ["paris12", "lan42", "l2-pari-7w2d05y"],
    ["a-very-long-name", "x", "l2-a-ve-aoyc48r"],
  ];
  test.each(ROWS)("%s/%s: %s", (tunnel, session, name) => {
    expect(nameInterfaces([derived(tunnel, session)])).toEqual([name]);
  });

  test("two that would be the same are told apart, whatever their order", () => {
    const [one, other] = [derived("a-b", "c"), derived("a", "b-c")];
    const names = nameInterfaces([one, other]);
    expect(new Set(names).size).toBe(2);
    expect(nameInterfaces([other, one])).toEqual(names.toReversed());
  });

  test("one that is configured already makes way", () => {
    const names = nameInterfaces([derived("a", "b"), { tunnel: "x", session: "y", configured: "l2-a-b" }]);
    expect(names[1]).toBe("l2-a-b");
    expect(names[0]).toMatch(/^l2-a-b-[0-9a-z]{7}$/);
  });

  test("are valid, unique, and do not depend on the order", () => {
    const part = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,19}$/);
    const pairs = fc.uniqueArray(fc.tuple(part, part), { maxLength: 30, selector: (pair) => pair.join("/") });
    fc.assert(
      fc.property(pairs, (all) => {
        const interfaces = all.map(([tunnel, session]) => derived(tunnel, session));
        const names = nameInterfaces(interfaces);
        expect(names.filter((name) => !isInterfaceName(name))).toEqual([]);
        expect(new Set(names).size).toBe(names.length);
        expect(nameInterfaces(interfaces.toReversed())).toEqual(names.toReversed());
      }),
    );
  });
});
