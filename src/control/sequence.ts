/** Ns and Nr are 16-bit counters that wrap (RFC 3931 4.2). */
const SEQUENCE_MASK = 0xffff;

/** Half of the number space: what lies further ahead counts as old. */
const HALF = 0x8000;

export function nextSequence(sequence: number): number {
  return (sequence + 1) & SEQUENCE_MASK;
}

/** Steps from `from` forward to `to`, 0 to 65535. */
export function sequenceDistance(from: number, to: number): number {
  return (to - from) & SEQUENCE_MASK;
}

/**
 * Whether a message with this Ns has been received before: it is the last one received (`expected` less one) or one of
 * the 32767 before it (RFC 3931 4.2).
 */
export function isOldSequence(ns: number, expected: number): boolean {
  return sequenceDistance(expected, ns) >= HALF;
}
