import { avpEnd, HIDDEN_BIT, isIetfAvp, MANDATORY_BIT } from "./avp-header.ts";
import { CISCO, CISCO_AVPS } from "./cisco-avps.ts";
import { describeAvp } from "./describe.ts";
import { type DigestKind, MAX_DIGESTS, unsignedDigest } from "./digest.ts";
import { AVP_HEADER_LENGTH, MAX_AVP_LENGTH } from "./format.ts";
import { HEADER_LENGTH, MAX_MESSAGE_LENGTH, writeHeader } from "./header.ts";
import { followingRandomVector, hide, MAX_HIDDEN_VALUE_LENGTH } from "./hiding.ts";
import { type MessagePlan, PLAN_BY_NAME, type Slot } from "./message-plan.ts";
import type { ControlMessage } from "./messages.ts";
import { writeOctets, writeUint16 } from "./octets.ts";
import { AVPS, type AvpName } from "./registry.ts";

/** How the AVPs that may be hidden are hidden (RFC 3931 5.3). */
interface Hiding {
  /** From hidingKey. */
  readonly key: Uint8Array;
  /** Unpredictable, 16 octets or more, and used for no other message (RFC 3931 5.4.1). */
  readonly randomVector: Uint8Array;
  /** Octets after every hidden value, so that its length is not told; no more of them than the AVP has room for. */
  readonly padding?: Uint8Array;
  /** What is hidden; by default everything that may be. */
  readonly only?: readonly AvpName[];
}

/** How a message is carried, beside what it says (RFC 3931 5.4.1). */
export interface Envelope {
  /** One Message Digest AVP each, two at most; signMessage fills them. */
  readonly digests?: readonly DigestKind[];
  readonly hiding?: Hiding;
  /** Cisco's AVPs beside those that they are the twins of, for a peer that sends them too; but none for what is hidden. */
  readonly ciscoTwins?: boolean;
  /** AVPs that go without the M bit, whatever their definition says: receivers may do without them (RFC 3931 5.2). */
  readonly notMandatory?: readonly AvpName[];
}

/** Where a message is built before its length is known; one AVP may reach beyond what a message may have. */
const scratch = new Uint8Array(MAX_MESSAGE_LENGTH + MAX_AVP_LENGTH);

type Values = Readonly<Record<string, unknown>>;
type Row = Pick<Slot, "name" | "definition">;

/**
 * The octets of a control message, in a buffer of their own. `controlConnectionId` is the peer's id, 0 while unknown.
 * Throws RangeError, naming the AVP and its value, rather than build a message that RFC 3931 does not allow.
 */
export function encodeMessage(
  controlConnectionId: number,
  ns: number,
  nr: number,
  message: ControlMessage,
  envelope?: Envelope,
): Uint8Array {
  const plan = PLAN_BY_NAME.get(message.name);
  if (plan === undefined) throw new RangeError(`there is no message ${String(message.name)}`);
  const { messageType } = AVPS;
  const first = startAvp(HEADER_LENGTH, messageType.vendorId, messageType.type);
  const body = finishAvp(HEADER_LENGTH, messageType.format.encode(scratch, first, plan.type), plan.mandatory);
  const values = message as unknown as Values;
  const length = envelope === undefined ? writeAvps(body, plan, values) : writeEnvelope(body, plan, values, envelope);
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

const HIDDEN_OCTET = HIDDEN_BIT >> 8;
const MESSAGE_DIGEST: Row = { name: "messageDigest", definition: AVPS.messageDigest };
const RANDOM_VECTOR: Row = { name: "randomVector", definition: AVPS.randomVector };

/** Message Digests directly behind Message Type, then the AVPs, hidden or not (RFC 3931 5.4.1). */
function writeEnvelope(start: number, plan: MessagePlan, values: Values, envelope: Envelope): number {
  const { digests = [], hiding, ciscoTwins = false, notMandatory = [] } = envelope;
  if (digests.length > MAX_DIGESTS) throw new RangeError(`${digests.length} digests are more than ${MAX_DIGESTS}`);
  const body = digests.reduce((offset, kind) => writeAvp(offset, MESSAGE_DIGEST, unsignedDigest(kind)), start);
  const end = hiding === undefined ? writeAvps(body, plan, values) : writeSomeHidden(body, plan, values, hiding);
  if (notMandatory.length > 0) clearMandatoryBits(body, end, notMandatory);
  return ciscoTwins ? writeTwins(end, plan, values, hiding) : end;
}

/** Of the IETF's AVPs between two offsets; hidden or not, the M bit is in the clear. */
function clearMandatoryBits(start: number, end: number, names: readonly AvpName[]): void {
  for (let offset: number | undefined = start; offset !== undefined; offset = avpEnd(scratch, offset, end)) {
    const at = offset;
    if (names.some((name) => isIetfAvp(scratch, at, AVPS[name].type))) {
      scratch[at] = (scratch[at] ?? 0) & ~(MANDATORY_BIT >> 8);
    }
  }
}

const DRAFT_AVP_VERSION = CISCO_AVPS.draftAvpVersion;
/** The version of the drafts that Cisco's AVPs are of. */
const DRAFT = 1;

function writeTwins(start: number, plan: MessagePlan, values: Values, hiding: Hiding | undefined): number {
  let offset = start;
  for (const [name, twin] of plan.twinByName) {
    if (values[name] === undefined || isHidden(twin, hiding)) continue;
    offset = writeAvp(offset, twin, values[name]);
  }
  if (plan.name !== "SCCRQ" && plan.name !== "SCCRP") return offset;
  return finishAvp(
    offset,
    DRAFT_AVP_VERSION.format.encode(scratch, startAvp(offset, CISCO, DRAFT_AVP_VERSION.type), DRAFT),
    DRAFT_AVP_VERSION.mandatory,
  );
}

function isHidden({ name, definition }: Slot, hiding: Hiding | undefined): boolean {
  return hiding !== undefined && definition.hideable && hiding.only?.includes(name) !== false;
}

function writeSomeHidden(start: number, plan: MessagePlan, values: Values, hiding: Hiding): number {
  const { only } = hiding;
  const unhideable = only?.find((name) => !AVPS[name].hideable);
  if (unhideable !== undefined) throw new RangeError(`${unhideable} must not be hidden`);
  const vectors: RandomVectors = { current: undefined };
  let offset = start;
  for (const slot of slotsInOrder(plan, values)) {
    const value = values[slot.name];
    offset = isHidden(slot, hiding)
      ? writeEachHidden(offset, slot, value, hiding, vectors)
      : writeEach(offset, slot, value);
  }
  return offset;
}

interface RandomVectors {
  /** What the last Random Vector AVP said; `undefined` before the first. */
  current: Uint8Array | undefined;
}

/** A Random Vector goes before the first hidden AVP, and another before a further one of the same type (RFC 3931 5.3). */
function writeEachHidden(start: number, slot: Slot, values: unknown, hiding: Hiding, vectors: RandomVectors): number {
  let offset = start;
  for (const [index, value] of valuesOf(slot, values).entries()) {
    let { current } = vectors;
    if (current === undefined || index > 0) {
      current = current === undefined ? hiding.randomVector : followingRandomVector(current);
      vectors.current = current;
      offset = writeAvp(offset, RANDOM_VECTOR, current);
    }
    offset = writeHiddenAvp(offset, slot, value, hiding, current);
  }
  return offset;
}

function writeHiddenAvp(offset: number, slot: Slot, value: unknown, hiding: Hiding, randomVector: Uint8Array): number {
  const { definition, name } = slot;
  const first = offset + AVP_HEADER_LENGTH;
  const clear = scratch.subarray(first, writeAvp(offset, slot, value));
  const room = MAX_HIDDEN_VALUE_LENGTH - clear.length;
  // In the clear there would be room; but what was to be hidden is not sent in the clear.
  if (room < 0) throw new RangeError(`${name} of ${clear.length} octets is too long to be hidden`);
  const hidden = hide(definition.type, hiding.key, randomVector, clear, hiding.padding?.subarray(0, room));
  const end = writeOctets(scratch, first, hidden);
  if (end > MAX_MESSAGE_LENGTH) throw tooLong(definition, value);
  finishAvp(offset, end, definition.mandatory);
  scratch[offset] = (scratch[offset] ?? 0) | HIDDEN_OCTET;
  return end;
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
  return valuesOf(slot, values).reduce<number>((end, value) => writeAvp(end, slot, value), offset);
}

/** One value for each AVP of the slot. */
function valuesOf({ definition, name }: Slot, value: unknown): readonly unknown[] {
  if (!definition.repeatable) return [value];
  if (!Array.isArray(value) || value.length === 0) throw new RangeError(`${name} is not a list of values`);
  return value;
}

function writeAvp(offset: number, row: Row, value: unknown): number {
  const { definition } = row;
  const flaw = definition.format.flaw(value);
  if (flaw !== undefined) throw new RangeError(`${row.name} ${show(value)} ${flaw}`);
  const end = definition.format.encode(scratch, startAvp(offset, definition.vendorId, definition.type), value);
  if (end > MAX_MESSAGE_LENGTH) throw tooLong(definition, value);
  return finishAvp(offset, end, definition.mandatory);
}

function tooLong(definition: Row["definition"], value: unknown): RangeError {
  const what = `${describeAvp(definition)} ${show(value)}`;
  return new RangeError(`${what} makes the message longer than ${MAX_MESSAGE_LENGTH} octets`);
}

/** Returns where the value goes. */
function startAvp(offset: number, vendorId: number, type: number): number {
  writeUint16(scratch, offset + 2, vendorId);
  writeUint16(scratch, offset + 4, type);
  return offset + AVP_HEADER_LENGTH;
}

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
