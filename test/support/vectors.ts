import { readFileSync } from "node:fs";
import { octetsOfHex } from "./wire.ts";

/** A datagram that was really sent. */
export interface Vector {
  readonly from: "C" | "S";
  readonly message: string;
  readonly octets: Uint8Array;
}

function read(file: string): readonly Vector[] {
  const lines = readFileSync(new URL(`../conformance/vectors/${file}`, import.meta.url), "utf8").split("\n");
  return lines
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [from, message = "", hex = ""] = line.split(/\s+/);
      return { from: from === "C" ? "C" : "S", message, octets: octetsOfHex(hex) };
    });
}

export const SOFTETHER_SESSION = read("softether-udp-session.hex");
export const DIGESTS = read("digests.hex");
/** Every recorded datagram. */
export const GOLDEN: readonly Vector[] = [...SOFTETHER_SESSION, ...DIGESTS];
