import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { didYouMean, editDistance } from "../../../src/config/did-you-mean.ts";
import {
  isCidr,
  isDnsName,
  isInterfaceName,
  isNetwork,
  parseDuration,
  parseListen,
  parseRouterId,
} from "../../../src/config/format.ts";

describe("durations", () => {
  const ROWS: readonly (readonly [text: string, milliseconds: number | undefined])[] = [
    ["0s", 0],
    ["500ms", 500],
    ["1.5s", 1_500],
    ["0.001s", 1],
    ["2m", 120_000],
    ["24h", 86_400_000],
    ["0.5ms", undefined],
    ["1.0001s", undefined],
    ["60", undefined],
    ["60 s", undefined],
    ["-1s", undefined],
    ["1d", undefined],
    ["1S", undefined],
    ["1e3s", undefined],
    [".5s", undefined],
    ["", undefined],
    ["s", undefined],
  ];
  test.each(ROWS)("%j is %o ms", (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  test("whole numbers of every unit are exact", () => {
    const units = fc.constantFrom(
      ["ms", 1] as const,
      ["s", 1_000] as const,
      ["m", 60_000] as const,
      ["h", 3_600_000] as const,
    );
    fc.assert(
      fc.property(fc.nat(1_000_000), units, (count, [unit, factor]) => {
        expect(parseDuration(`${count}${unit}`)).toBe(count * factor);
      }),
    );
  });
});

describe("router ids", () => {
  test("dotted and integer notation agree", () => {
    fc.assert(
      fc.property(fc.ipV4(), (dotted) => {
        const value = parseRouterId(dotted);
        expect(parseRouterId(value)).toBe(value);
        const octets = [24, 16, 8, 0].map((shift) => (Number(value) >>> shift) & 0xff);
        expect(octets.join(".")).toBe(dotted);
      }),
    );
  });

  test.each([-1, 1.5, 2 ** 32, "1.2.3", "1.2.3.4.5", "", "256.1.1.1", true, null])("%o is none", (value) => {
    expect(parseRouterId(value)).toBeUndefined();
  });
});

describe("addresses and names", () => {
  test("addresses with a prefix length", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), (address, length) => isCidr(`${address}/${length}`)),
    );
    fc.assert(
      fc.property(fc.ipV6(), fc.integer({ min: 0, max: 128 }), (address, length) => isCidr(`${address}/${length}`)),
    );
    expect(["10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/1/2", "/24", "::/129", "x/8"].filter(isCidr)).toEqual([]);
  });

  test("listen addresses", () => {
    expect(parseListen("udp:192.0.2.1:1701")).toEqual({ address: "192.0.2.1", port: 1701 });
    expect(parseListen("udp:[2001:DB8:0::1]:1701")).toEqual({ address: "2001:db8::1", port: 1701 });
    expect(parseListen("udp:[::]:65535")).toEqual({ address: "::", port: 65_535 });
    expect(parseListen("ip:192.0.2.1")).toEqual({ address: "192.0.2.1", port: 0 });
    expect(parseListen("ip:[fe80::1%eth0]")).toEqual({ address: "fe80::1%eth0", port: 0 });
    const wrong = [
      "udp:192.0.2.1",
      "udp::1701",
      "udp:192.0.2.1:0",
      "udp:192.0.2.1:70000",
      "udp:1.2.3:1",
      "ip:192.0.2.1:0",
      "ip:2001:db8::1",
      "udp:[2001:db8::1]",
      "udp:[]:1701",
      "ip:[ff02::1]",
    ];
    expect(wrong.map(parseListen)).toEqual(wrong.map(() => undefined));
  });

  test("DNS names", () => {
    expect(["pe2", "pe2.example.net", "pe2.example.net.", "_l2tp.a", `${"a".repeat(63)}.b`].every(isDnsName)).toBe(
      true,
    );
    const wrong = ["", ".", "a..b", "-a", "a-", "a b", "192.0.2.1", "1.2", "2001:db8::1", `${"a".repeat(64)}.b`, "ä"];
    expect(wrong.filter(isDnsName)).toEqual([]);
  });

  test("interface names", () => {
    expect(["eth0", "l2-paris42", "a.b", "fifteen-letters"].every(isInterfaceName)).toBe(true);
    const wrong = ["", ".", "..", "a/b", "a:b", "a b", "l2-%d", "all", "default", "sixteen-letters-", "é", "a\n"];
    expect(wrong.filter(isInterfaceName)).toEqual([]);
  });
});

describe("did you mean", () => {
  const ROWS: readonly (readonly [word: string, hint: string])[] = [
    ["pear", ', did you mean "peer"?'],
    ["eper", ', did you mean "peer"?'],
    ["PEER", ', did you mean "peer"?'],
    ["hello_intervall", ', did you mean "hello_interval"?'],
    ["hallointerval", ', did you mean "hello_interval"?'],
    ["secret", ""],
    ["p", ""],
    ["", ""],
  ];
  test.each(ROWS)("%j%s", (word, hint) => {
    expect(didYouMean(word, ["role", "peer", "hello_interval"])).toBe(hint);
  });

  test("the nearest one wins, the first of equals", () => {
    expect(didYouMean("receive_windw", ["receive_wind", "receive_window"])).toBe(', did you mean "receive_wind"?');
    expect(didYouMean("peer_port", ["local_port", "peer_port2", "peer_pert"])).toBe(', did you mean "peer_port2"?');
  });

  test("the edit distance is symmetric, zero for equals alone, and no more than the longer word", () => {
    const word = fc.string({ maxLength: 12 });
    fc.assert(
      fc.property(word, word, (one, other) => {
        const distance = editDistance(one, other);
        expect(distance).toBe(editDistance(other, one));
        expect(distance === 0).toBe(one === other);
        expect(distance).toBeLessThanOrEqual(Math.max(one.length, other.length));
        expect(distance).toBeGreaterThanOrEqual(Math.abs(one.length - other.length));
      }),
    );
  });
});

test.each([
  ["10.2.0.0/16", true],
  ["10.2.1.0/16", false],
  ["10.2.0.1/32", true],
  ["0.0.0.0/0", true],
  ["128.0.0.0/1", true],
  ["192.0.0.0/1", false],
  ["2001:db8:2::/48", true],
  ["2001:db8:2::/47", true],
  ["2001:db8:3::/47", false],
  ["2001:DB8:0:2::/64", true],
  ["::/0", true],
  ["::1/128", true],
  ["::1/127", false],
  ["::ffff:192.0.2.0/120", true],
  ["::ffff:192.0.2.1/120", false],
  ["10.2.0.0/33", false],
  ["10.2.0.0", false],
])("a network has no bits behind its prefix: %s is %s", (value, expected) => {
  expect(isNetwork(value)).toBe(expected);
});
