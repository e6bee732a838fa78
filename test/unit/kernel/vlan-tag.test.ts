import { describe, expect, test } from "vitest";
import { popTag, pushTag } from "../../../src/kernel/vlan-tag.ts";

const ADDRESSES = "020000000002020000000001";
const REST = "88b5000102030405";

function octets(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

function hex(of: Uint8Array): string {
  return Buffer.from(of).toString("hex");
}

describe("I05 the tag of 802.1Q", () => {
  test.each([
    [1, "0001"],
    [42, "002a"],
    [256, "0100"],
    [4094, "0ffe"],
  ])("%i is put behind the addresses, in front of whatever else there is", (vlan, tci) => {
    const buffer = octets(`aabb 00000000 ${ADDRESSES}${REST} cc`.replaceAll(" ", ""));
    pushTag(buffer, 2, vlan);
    expect(hex(buffer)).toBe(`aabb${ADDRESSES}8100${tci}${REST}cc`);
  });

  test.each([
    ["as it was put on", "8100002a"],
    ["with priority and DEI", "8100f02a"],
  ])("is taken off %s, and the frame begins 4 octets later", (_, tag) => {
    const buffer = octets(`aabb${ADDRESSES}${tag}${REST}cc`);
    expect(popTag(buffer, 2, 24, 42)).toBe(true);
    expect(hex(buffer.subarray(6))).toBe(`${ADDRESSES}${REST}cc`);
    expect(hex(buffer.subarray(0, 2))).toBe("aabb");
  });

  test("an inner tag stays", () => {
    const buffer = octets(`${ADDRESSES}8100002a81000063${REST}`);
    expect(popTag(buffer, 0, buffer.length, 42)).toBe(true);
    expect(hex(buffer.subarray(4))).toBe(`${ADDRESSES}81000063${REST}`);
  });

  test.each([
    ["of another VLAN", `${ADDRESSES}8100002b${REST}`],
    ["of a VLAN that differs in the four high bits alone", `${ADDRESSES}8100012a${REST}`],
    ["of priority alone", `${ADDRESSES}8100e000${REST}`],
    ["of 802.1ad", `${ADDRESSES}88a8002a${REST}`],
    ["inside another", `${ADDRESSES}81000063 8100002a${REST}`.replaceAll(" ", "")],
    ["that is none", `${ADDRESSES}${REST}`],
    ["and nothing behind it", `${ADDRESSES}8100002a88`],
  ])("one %s is refused, and the frame is as it was", (_, frame) => {
    const buffer = octets(frame);
    expect(popTag(buffer, 0, buffer.length, 42)).toBe(false);
    expect(hex(buffer)).toBe(frame);
  });
});
