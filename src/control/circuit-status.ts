import type { CircuitCondition } from "./core.ts";

/** Bits of the Circuit Status AVP (RFC 3931 5.4.5, RFC 5641 2). */
export const CIRCUIT = {
  active: 0x0001,
  /** The first time that this circuit is told of; RFC 5641 no longer asks for it, and nobody has to heed it. */
  new: 0x0002,
  receiveFault: 0x0004,
  transmitFault: 0x0008,
  networkReceiveFault: 0x0010,
  networkTransmitFault: 0x0020,
  standby: 0x0040,
} as const;

/** RFC 5641 3: a fault is never told together with "active"; a circuit that is set down has no fault. */
const STATUS: Readonly<Record<CircuitCondition, number>> = {
  up: CIRCUIT.active,
  "no-carrier": CIRCUIT.receiveFault | CIRCUIT.transmitFault,
  down: 0,
};

export function statusOf(condition: CircuitCondition): number {
  return STATUS[condition];
}

/** Whether frames may be sent to a peer that tells this status (RFC 3931 5.4.5; RFC 5641 2 for standby). */
export function carriesFrames(status: number): boolean {
  return (status & CIRCUIT.active) !== 0 && (status & CIRCUIT.standby) === 0;
}

const WORDS: readonly (readonly [bit: number, words: string])[] = [
  [CIRCUIT.receiveFault, "receive fault of the circuit"],
  [CIRCUIT.transmitFault, "transmit fault of the circuit"],
  [CIRCUIT.networkReceiveFault, "receive fault towards the network"],
  [CIRCUIT.networkTransmitFault, "transmit fault towards the network"],
  [CIRCUIT.standby, "standby"],
];

/** "active", "inactive (receive fault of the circuit)"; bits that no RFC names are left out. */
export function describeStatus(status: number): string {
  const details = WORDS.filter(([bit]) => (status & bit) !== 0).map(([, words]) => words);
  const state = (status & CIRCUIT.active) === 0 ? "inactive" : "active";
  return details.length === 0 ? state : `${state} (${details.join(", ")})`;
}
