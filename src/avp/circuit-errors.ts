import type { AvpFormat } from "./format.ts";
import { uint16, uint32 } from "./format.ts";
import { record } from "./record-format.ts";

/** Cumulative since the call began. The first two come in the layout of RFC 2661 alone. */
export interface CircuitErrors {
  readonly crcErrors?: number;
  readonly framingErrors?: number;
  readonly hardwareOverruns: number;
  readonly bufferOverruns: number;
  readonly timeoutErrors: number;
  readonly alignmentErrors: number;
}

const FOUR_COUNTERS_LENGTH = 18;

const fourCounters: AvpFormat<CircuitErrors> = record(
  ["reserved", uint16],
  ["hardwareOverruns", uint32],
  ["bufferOverruns", uint32],
  ["timeoutErrors", uint32],
  ["alignmentErrors", uint32],
);

const sixCounters: AvpFormat<CircuitErrors> = record(
  ["reserved", uint16],
  ["crcErrors", uint32],
  ["framingErrors", uint32],
  ["hardwareOverruns", uint32],
  ["bufferOverruns", uint32],
  ["timeoutErrors", uint32],
  ["alignmentErrors", uint32],
);

function hasSixCounters(value: unknown): boolean {
  return typeof value === "object" && value !== null && ("crcErrors" in value || "framingErrors" in value);
}

/**
 * Circuit Errors, RFC 3931 5.4.5: the figure shows four counters, the length given in the text is that of RFC 2661's six.
 * Both are understood; six are sent where CRC and framing errors are given.
 */
export const circuitErrors: AvpFormat<CircuitErrors> = {
  decode(octets, start, end) {
    return (end - start === FOUR_COUNTERS_LENGTH ? fourCounters : sixCounters).decode(octets, start, end);
  },
  flaw(value) {
    return (hasSixCounters(value) ? sixCounters : fourCounters).flaw(value);
  },
  encode(target, offset, value) {
    return (hasSixCounters(value) ? sixCounters : fourCounters).encode(target, offset, value);
  },
};
