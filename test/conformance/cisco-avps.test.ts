import { describe, expect, test } from "vitest";
import { FormatFailure } from "../../src/avp/format.ts";
import { findAvp, type RegisteredAvp } from "../../src/avp/registry.ts";
import { outcomeOf } from "../support/received-messages.ts";
import { avp, octetsOfHex } from "../support/wire.ts";

const CISCO = 9;

/** Cisco's AVPs of the drafts before RFC 3931, each with the AVP of RFC 3931 that has its layout, and a value. */
const ROWS: readonly (readonly [id: string, type: number, twin: number | undefined, sample: string])[] = [
  ["B120", 1, 61, "0a0b0c0d"],
  ["B121", 2, 62, "00050004"],
  ["B122", 3, 63, "80000001"],
  ["B123", 4, 64, "00000000"],
  ["B124", 5, 65, "0102030405060708"],
  ["B125", 6, 66, "6c616e3432"],
  ["B126", 7, 68, "0005"],
  ["B127", 8, 71, "0001"],
  ["B128", 9, 5, "0102030405060708"],
  ["B129", 10, undefined, "0001"],
  ["B130", 12, 59, `00${"11".repeat(16)}`],
  ["B131", 13, 73, "22".repeat(16)],
  ["B132", 14, 91, "05dc"],
  ["B133", 11, undefined, "c0ffee"],
];

function definitionOf(vendorId: number, type: number): RegisteredAvp["definition"] {
  return (findAvp(vendorId, type) as RegisteredAvp).definition;
}

function read(vendorId: number, type: number, octets: Uint8Array): unknown {
  const value = definitionOf(vendorId, type).format.decode(octets, 0, octets.length);
  return value instanceof FormatFailure ? value.reason : value;
}

describe("AVPs of vendor 9", () => {
  test.each(ROWS.filter(([, , twin]) => twin !== undefined))(
    "%s type %i is read as type %i of RFC 3931",
    (_, type, twin, sample) => {
      const candidates = [octetsOfHex(sample), ...Array.from({ length: 30 }, (__, length) => new Uint8Array(length))];
      expect(read(CISCO, type, octetsOfHex(sample))).not.toBe("wrong-length");
      for (const octets of candidates) expect(read(CISCO, type, octets)).toEqual(read(0, twin as number, octets));
    },
  );

  test.each(ROWS)("%s type %i with M, in any message beside RFC 3931's own, changes nothing", (_, type, __, sample) => {
    for (const name of ["SCCRQ", "SCCRP", "SCCCN", "HELLO", "ICRQ", "ICRP", "ICCN", "SLI"] as const) {
      const more = avp(type, sample, { vendorId: CISCO });
      expect(outcomeOf(name, { more }), name).toEqual(outcomeOf(name));
    }
  });
});
