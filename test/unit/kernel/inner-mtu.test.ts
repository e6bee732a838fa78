import { describe, expect, test } from "vitest";
import { mtuFlaw, type OuterLayers, overheadOf } from "../../../src/kernel/inner-mtu.ts";

const SUBLAYERS = [
  ["none", 0],
  ["default", 4],
] as const;

/** IP header, UDP header, L2TP header with Session ID, Ethernet header. */
const LAYERS: readonly (readonly [OuterLayers, number])[] = [
  [{ encapsulation: "udp", family: 4 }, 20 + 8 + 8 + 14],
  [{ encapsulation: "udp", family: 6 }, 40 + 8 + 8 + 14],
  [{ encapsulation: "ip", family: 4 }, 20 + 4 + 14],
  [{ encapsulation: "ip", family: 6 }, 40 + 4 + 14],
];

const COMBINATIONS = LAYERS.flatMap(([layers, octets]) =>
  SUBLAYERS.flatMap(([l2Sublayer, sublayer]) =>
    [0, 4, 8].map((cookie) => [layers, l2Sublayer, cookie, octets + sublayer + cookie] as const),
  ),
);

describe("I07: room for all headers", () => {
  test.each(COMBINATIONS)("%o, sublayer %s, a cookie of %i octets: %i octets", (layers, l2Sublayer, size, octets) => {
    const layout = { cookie: new Uint8Array(size), l2Sublayer };
    expect(overheadOf(layout, layers)).toBe(octets);
    expect(mtuFlaw(1500 - octets, 1500, layout, layers)).toBeUndefined();
    expect(mtuFlaw("auto", 576, layout, layers)).toBeUndefined();
    expect(mtuFlaw(1501 - octets, 1500, layout, layers)).toContain(`at most ${1500 - octets} fits`);
  });

  test("as Linux computes it for its own tunnels", () => {
    const [none, eight] = [new Uint8Array(0), new Uint8Array(8)];
    const mtu = (layers: OuterLayers, cookie = none) => 1500 - overheadOf({ cookie, l2Sublayer: "default" }, layers);
    expect(mtu({ encapsulation: "udp", family: 4 })).toBe(1446);
    expect(mtu({ encapsulation: "udp", family: 4 }, eight)).toBe(1438);
    expect(mtu({ encapsulation: "ip", family: 4 })).toBe(1458);
    expect(mtu({ encapsulation: "udp", family: 6 })).toBe(1426);
  });

  test.each(COMBINATIONS)(
    "I05 %o, sublayer %s, a cookie of %i octets, and a tag",
    (layers, l2Sublayer, size, octets) => {
      const layout = { cookie: new Uint8Array(size), l2Sublayer };
      expect(overheadOf(layout, { ...layers, vlan: 42 })).toBe(octets + 4);
    },
  );

  test("the numbers are in the words", () => {
    const layout = { cookie: new Uint8Array(8), l2Sublayer: "none" } as const;
    expect(mtuFlaw(1500, 1500, layout, { encapsulation: "udp", family: 4 })).toBe(
      'mtu = 1500 does not fit the path to the peer: 1500 octets and 58 of headers make 1558, it carries 1500; at most 1442 fits (mtu = "auto")',
    );
  });
});
