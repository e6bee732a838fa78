import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CISCO_AVPS } from "../../../src/avp/cisco-avps.ts";
import { describeAvp } from "../../../src/avp/describe.ts";
import { AVPS, type AvpName, findAvp } from "../../../src/avp/registry.ts";
import { RFC2661_AVPS } from "../../../src/avp/rfc2661-avps.ts";
import { utf8 } from "../../../src/avp/text-format.ts";
import { singleValueOf } from "./arbitraries.ts";

const AVP_NAMES = Object.keys(AVPS) as AvpName[];

describe("every row", () => {
  test.each(AVP_NAMES)("%s: a value that may be sent comes back from its octets", (name) => {
    const { format } = AVPS[name] as { format: Parameters<typeof roundTrip>[0] };
    fc.assert(
      fc.property(singleValueOf(name), fc.nat(20), (value, offset) => {
        expect(format.flaw(value)).toBeUndefined();
        expect(roundTrip(format, value, offset)).toEqual(value);
      }),
      { seed: 3931, numRuns: 100 },
    );
  });

  const legacy = Object.entries<{ readonly format: Parameters<typeof roundTrip>[0] }>({
    ...RFC2661_AVPS,
    ...Object.fromEntries(Object.entries(CISCO_AVPS).map(([name, row]) => [`Cisco ${name}`, row])),
  });

  test.each(legacy)("%s: octets of a right length come back from their value", (_, { format }) => {
    const lengths: number[] = [];
    for (let length = 0; length <= 24; length++) {
      // Digest type 0; a number that is not zero; text that is ASCII.
      const octets = new Uint8Array(length).fill(0x41).fill(0, 0, length === 17 ? 1 : 0);
      const value = format.decode(octets, 0, length);
      if (format.flaw(value) !== undefined) continue;
      lengths.push(length);
      const target = new Uint8Array(length);
      expect(format.encode(target, 0, value)).toBe(length);
      expect(format.decode(target, 0, length)).toEqual(value);
    }
    expect(lengths).not.toEqual([]);
  });

  test("no two rows have the same vendor and type", () => {
    const rows = [...Object.values(AVPS), ...Object.values(RFC2661_AVPS), ...Object.values(CISCO_AVPS)];
    const keys = rows.map(({ vendorId, type }) => `${vendorId}/${type}`);
    expect(new Set(keys).size).toBe(keys.length);
    for (const { vendorId, type } of rows)
      expect(findAvp(vendorId, type)?.definition).toMatchObject({ vendorId, type });
  });

  test("Cisco's twins have the layout of the AVPs of RFC 3931", () => {
    const twins = Object.values(CISCO_AVPS).flatMap(({ type, twin }) =>
      twin === undefined ? [] : [[type, AVPS[twin].type]],
    );
    expect(twins).toEqual([
      [1, 61],
      [2, 62],
      [3, 63],
      [4, 64],
      [5, 65],
      [6, 66],
      [7, 68],
      [8, 71],
      [9, 5],
      [12, 59],
      [13, 73],
    ]);
  });
});

describe("values that are none", () => {
  const nonsense = [
    undefined,
    null,
    "x",
    "",
    -1,
    0.5,
    Number.NaN,
    Infinity,
    2 ** 64,
    [],
    {},
    [null],
    new Date(0),
    Symbol("x"),
  ];

  test.each(AVP_NAMES)("%s: nothing that cannot be sent goes unnoticed or throws", (name) => {
    const { format } = AVPS[name] as { format: Parameters<typeof roundTrip>[0] };
    for (const value of nonsense) {
      if (format.flaw(value) === undefined) expect(roundTrip(format, value, 0)).toEqual(value);
    }
    expect(nonsense.some((value) => format.flaw(value) !== undefined)).toBe(true);
  });
});

test.each([
  [0, 77, "vendor 0 attribute 77 (Tunnel Recovery)"],
  [0, 61, "vendor 0 attribute 61 (Assigned Control Connection ID)"],
  [0, 12, "vendor 0 attribute 12 (Q.931 Cause Code)"],
  [0, 69, "vendor 0 attribute 69 (L2 Specific Sublayer)"],
  [0, 102, "vendor 0 attribute 102 (S-BFD Discriminators)"],
  [0, 91, "vendor 0 attribute 91 (Interface MTU)"],
  [0, 16, "vendor 0 attribute 16 (Minimum BPS)"],
  [9, 10, "vendor 9 attribute 10 (Draft AVP Version)"],
  [9, 11, "vendor 9 attribute 11 (Undocumented11)"],
  [0, 0x7777, "vendor 0 attribute 30583"],
  [193, 1, "vendor 193 attribute 1"],
  [-1, -1, "an AVP cut off within its header"],
])("vendor %i type %i is called: %s", (vendorId, type, text) => {
  expect(describeAvp({ vendorId, type })).toBe(text);
});

test("text is measured in octets, not in characters", () => {
  expect(utf8.flaw("é".repeat(508))).toBeUndefined();
  expect(utf8.flaw("é".repeat(509))).toBe("is not 0 to 1017 octets");
});

interface AnyFormat {
  decode(octets: Uint8Array, start: number, end: number): unknown;
  flaw(value: unknown): string | undefined;
  encode(target: Uint8Array, offset: number, value: unknown): number;
}

function roundTrip(format: AnyFormat, value: unknown, offset: number): unknown {
  const target = new Uint8Array(1_100).fill(0xee);
  const end = format.encode(target, offset, value);
  expect(target.subarray(0, offset).every((octet) => octet === 0xee)).toBe(true);
  expect(target.subarray(end).every((octet) => octet === 0xee)).toBe(true);
  return format.decode(target, offset, end);
}
