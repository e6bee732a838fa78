import { describe, expect, test } from "vitest";
import { decodeAddress } from "../../../src/kernel/addresses.ts";
import { SurroundingsWatch } from "../../../src/kernel/surroundings-watch.ts";

const RTM = { newLink: 16, delLink: 17, newAddress: 20, delAddress: 21, newRoute: 24 } as const;

function attribute(type: number, value: Uint8Array): Buffer {
  const octets = Buffer.alloc(4 + ((value.length + 3) & ~3));
  octets.writeUInt16LE(4 + value.length, 0);
  octets.writeUInt16LE(type, 2);
  octets.set(value, 4);
  return octets;
}

function link(index: number, name: string, flags = 0x1_0001): Buffer {
  const head = Buffer.alloc(16);
  head.writeInt32LE(index, 4);
  head.writeUInt32LE(flags, 8);
  return Buffer.concat([head, attribute(3, Buffer.from(`${name}\0`))]);
}

function address(index: number, value: readonly number[], { flags = 0, scope = 0 } = {}): Buffer {
  const head = Buffer.from([value.length === 4 ? 2 : 10, 24, flags, scope, 0, 0, 0, 0]);
  head.writeUInt32LE(index, 4);
  return Buffer.concat([head, attribute(value.length === 4 ? 2 : 1, Uint8Array.from(value))]);
}

function route(index: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(index);
  return Buffer.concat([Buffer.alloc(12), attribute(1, Uint8Array.of(10, 0, 0, 0)), attribute(4, out)]);
}

describe("what is news", () => {
  function watch() {
    let told = 0;
    const surroundings = new SurroundingsWatch({ awaited: ["br0"], ours: ["l2-a"] }, () => {
      told += 1;
    });
    let now = 0;
    return (type: number, octets: Buffer): boolean => {
      const before = told;
      surroundings.take([{ kind: "message", type, port: 0, sequence: 0, octets }]);
      now += 1_000;
      expect(surroundings.settle(now)).toBe(Number.POSITIVE_INFINITY);
      return told > before;
    };
  }

  test("addresses that come and go, and routes that come", () => {
    const hear = watch();
    expect(hear(RTM.newAddress, address(2, [192, 0, 2, 1]))).toBe(true);
    expect(hear(RTM.delAddress, address(2, [192, 0, 2, 1]))).toBe(true);
    expect(hear(RTM.newRoute, route(2))).toBe(true);
  });

  test("not those of our own devices, until another has the index", () => {
    const hear = watch();
    expect(hear(RTM.newLink, link(7, "l2-a"))).toBe(false);
    expect(hear(RTM.newAddress, address(7, [10, 0, 0, 1]))).toBe(false);
    expect(hear(RTM.newRoute, route(7))).toBe(false);
    expect(hear(RTM.delLink, link(7, "l2-a"))).toBe(false);
    expect(hear(RTM.newRoute, route(7))).toBe(true);
  });

  test("an awaited interface that comes, comes anew, or goes up; not what else happens to it, nor others", () => {
    const hear = watch();
    expect(hear(RTM.newLink, link(3, "eth5"))).toBe(false);
    expect(hear(RTM.newLink, link(4, "br0", 0))).toBe(true);
    expect(hear(RTM.newLink, link(4, "br0", 0))).toBe(false);
    expect(hear(RTM.newLink, link(4, "br0"))).toBe(true);
    expect(hear(RTM.newLink, link(4, "br0"))).toBe(false);
    expect(hear(RTM.newLink, link(5, "br0"))).toBe(true);
  });

  test("a burst is told once, what follows a tenth of a second later", () => {
    let told = 0;
    const surroundings = new SurroundingsWatch({ awaited: [], ours: [] }, () => {
      told += 1;
    });
    surroundings.lost();
    surroundings.settle(1_000);
    surroundings.lost();
    expect([surroundings.settle(1_040), told]).toEqual([60, 1]);
    expect([surroundings.settle(1_100), told]).toEqual([Number.POSITIVE_INFINITY, 2]);
  });
});

describe("addresses", () => {
  test("IPv4 and IPv6, with their scope", () => {
    expect(decodeAddress(address(2, [192, 0, 2, 1]))).toEqual({
      index: 2,
      family: 4,
      address: "192.0.2.1",
      isGlobal: true,
    });
    const linkLocal = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    expect(decodeAddress(address(1, linkLocal, { scope: 253 }))).toMatchObject({
      address: "fe80::1%lo",
      isGlobal: false,
    });
  });

  test("not those that cannot be bound: duplicate address detection is not over, or has failed", () => {
    expect(decodeAddress(address(2, [192, 0, 2, 1], { flags: 0x40 }))).toBeUndefined();
    expect(decodeAddress(address(2, [192, 0, 2, 1], { flags: 0x08 }))).toBeUndefined();
  });
});
