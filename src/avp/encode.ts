import { describeAvp } from "./describe.ts";
import { AVP_HEADER_LENGTH, MAX_AVP_LENGTH } from "./format.ts";
import { HEADER_LENGTH, MAX_MESSAGE_LENGTH, writeHeader } from "./header.ts";
import { type MessagePlan, PLAN_BY_NAME, type Slot } from "./message-plan.ts";
import type { ControlMessage } from "./messages.ts";
import { writeUint16 } from "./octets.ts";
import { AVPS } from "./registry.ts";

const MANDATORY_BIT = 0x8000;

/** Where a message is built before its length is known; one AVP may reach beyond what a message may have. */
const scratch = new Uint8Array(MAX_MESSAGE_LENGTH + MAX_AVP_LENGTH);

type Values = Readonly<Record<string, unknown>>;

/**
 * The octets of a control message, in a buffer of their own. `controlConnectionId` is the peer's id, 0 while unknown.
 * Throws RangeError, naming the AVP and its value, rather than build a message that RFC 3931 does not allow.
 */
export function encodeMessage(
  controlConnectionId: number,
  ns: number,
  nr: number,
  message: ControlMessage,
): Uint8Array {
  const plan = PLAN_BY_NAME.get(message.name);
  if (plan === undefined) throw new RangeError(`there is no message ${String(message.name)}`);
  const { messageType } = AVPS;
  const first = startAvp(HEADER_LENGTH, messageType.vendorId, messageType.type);
  const body = finishAvp(HEADER_LENGTH, messageType.format.encode(scratch, first, plan.type), plan.mandatory);
  // Here come the Message Digests, directly after Message Type, and a Random Vector before the first hidden AVP
  // (RFC 3931 5.4.1, 5.3).
  const length = writeAvps(body, plan, message as unknown as Values);
  writeHeader(scratch, { controlConnectionId, ns, nr, length });
  return scratch.slice(0, length);
}

/** A header alone: acknowledges, and takes no Ns of its own (RFC 3931 3.2.1, 4.2). `ns` is the one to be sent next. */
export function encodeZlb(controlConnectionId: number, ns: number, nr: number): Uint8Array {
  const octets = new Uint8Array(HEADER_LENGTH);
  writeHeader(octets, { controlConnectionId, ns, nr, length: HEADER_LENGTH });
  return octets;
}

/** Returns the offset after the last AVP. */
function writeAvps(start: number, plan: MessagePlan, values: Values): number {
  let offset = start;
  for (const slot of slotsInOrder(plan, values)) {
    const value = values[slot.name];
    offset = slot.definition.repeatable ? writeEach(offset, slot, value) : writeAvp(offset, slot, value);
  }
  return offset;
}

/** Starts from what is there, not from the table: most messages carry few of the AVPs that they may carry. */
function slotsInOrder(plan: MessagePlan, values: Values): readonly Slot[] {
  const slots: Slot[] = [];
  let required = 0;
  for (const name in values) {
    if (name === "name" || values[name] === undefined) continue;
    const slot = plan.slotByName.get(name);
    if (slot === undefined) throw new RangeError(`${plan.name} with ${name}, which it may not carry`);
    if (slot.order < plan.requires.length) required++;
    insert(slots, slot);
  }
  if (required < plan.requires.length) {
    const missing = plan.requires.filter((name) => values[name] === undefined);
    throw new RangeError(`${plan.name} without ${missing.join(", ")}`);
  }
  return slots;
}

/** One step of an insertion sort: whoever writes a message down mostly keeps to the RFC's order. */
function insert(slots: Slot[], slot: Slot): void {
  let index = slots.length;
  for (; index > 0; index--) {
    const before = slots[index - 1];
    if (before === undefined || before.order < slot.order) break;
    slots[index] = before;
  }
  slots[index] = slot;
}

function writeEach(offset: number, slot: Slot, values: unknown): number {
  if (!Array.isArray(values) || values.length === 0) throw new RangeError(`${slot.name} is not a list of values`);
  return values.reduce<number>((end, value) => writeAvp(end, slot, value), offset);
}

function writeAvp(offset: number, slot: Slot, value: unknown): number {
  const { definition } = slot;
  const flaw = definition.format.flaw(value);
  if (flaw !== undefined) throw new RangeError(`${slot.name} ${show(value)} ${flaw}`);
  const end = definition.format.encode(scratch, startAvp(offset, definition.vendorId, definition.type), value);
  if (end > MAX_MESSAGE_LENGTH) {
    const what = `${describeAvp(definition)} ${show(value)}`;
    throw new RangeError(`${what} makes the message longer than ${MAX_MESSAGE_LENGTH} octets`);
  }
  return finishAvp(offset, end, definition.mandatory);
}

/** Returns where the value goes. */
function startAvp(offset: number, vendorId: number, type: number): number {
  writeUint16(scratch, offset + 2, vendorId);
  writeUint16(scratch, offset + 4, type);
  return offset + AVP_HEADER_LENGTH;
}

/** Hidden AVPs are for the place above: H is never set here. */
function finishAvp(offset: number, end: number, mandatory: boolean): number {
  writeUint16(scratch, offset, (end - offset) | (mandatory ? MANDATORY_BIT : 0));
  return end;
}

const SHOWN_LENGTH = 80;

/** Octets in hex, everything else as JSON would have it, cut short. */
function show(value: unknown): string {
  const text =
    value instanceof Uint8Array
      ? `0x${Array.from(value, (octet) => octet.toString(16).padStart(2, "0")).join("")}`
      : String(JSON.stringify(value, (_, member) => (typeof member === "bigint" ? member.toString() : member)));
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}...` : text;
}
