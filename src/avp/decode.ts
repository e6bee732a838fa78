import type { AvpDefinition } from "./definition.ts";
import { AVP_HEADER_LENGTH, FormatFailure, MAX_AVP_LENGTH } from "./format.ts";
import { type ControlHeader, decodeHeader, HEADER_LENGTH } from "./header.ts";
import { type MessagePlan, PLAN_BY_TYPE } from "./message-plan.ts";
import { type AvpValues, type ControlMessage, isEnvelope, type MessageName } from "./messages.ts";
import { copyOctets, readUint16 } from "./octets.ts";
import { ProtocolError } from "./protocol-error.ts";
import { AVPS, type AvpName, avpKey, findAvp } from "./registry.ts";

/** An AVP as it came. */
export interface RawAvp {
  /** -1 where the message ended before it could be read; so is `type`. */
  readonly vendorId: number;
  readonly type: number;
  readonly mandatory: boolean;
  /** The H bit: `octets` are not the value yet (RFC 3931 5.3). */
  readonly hidden: boolean;
  /** The value, copied. */
  readonly octets: Uint8Array;
}

export interface RejectedAvp extends RawAvp {
  readonly reason: "unknown" | "wrong-length" | "value-out-of-range" | "hidden" | "overrun" | "duplicate" | "misplaced";
  /** Absent where the AVP is unknown. */
  readonly name?: string;
}

/** The AVPs of a message that did not become values. */
interface Leftovers {
  /** M bit set, and unknown or malformed: calls for StopCCN or CDN with result 2 (RFC 3931 5.2, 7.1). */
  readonly refused: readonly RejectedAvp[];
  /** The same without M bit, and whatever is harmless: duplicates (the first wins), known AVPs out of place. */
  readonly ignored: readonly RejectedAvp[];
  /** AVPs of RFC 2661 and Cisco's, Random Vectors and Message Digests: known, kept, in the order received. */
  readonly recognised: readonly RawAvp[];
}

export type DecodedMessage =
  | { readonly kind: "zlb"; readonly header: ControlHeader }
  | (Leftovers & { readonly kind: "message"; readonly header: ControlHeader; readonly message: ControlMessage })
  | (Leftovers & {
      readonly kind: "incomplete";
      readonly header: ControlHeader;
      readonly name: MessageName;
      readonly avps: AvpValues;
      readonly missing: readonly AvpName[];
    })
  | {
      readonly kind: "unknown";
      readonly header: ControlHeader;
      /** Message Types count within a vendor, like AVPs (RFC 3931 5.4.1). */
      readonly vendorId: number;
      readonly messageType: number;
      /** M bit of the Message Type AVP: set, the control connection has to be cleared; clear, ignore the message. */
      readonly mandatory: boolean;
    };

/*
 * An AVP, RFC 3931 5.1. Reserved bits are ignored.
 *
 *     0                   1                   2                   3
 *     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *    |M|H| rsvd  |      Length       |           Vendor ID           |
 *    |         Attribute Type        |        Attribute Value ...
 */
const MANDATORY_BIT = 0x8000;
const HIDDEN_BIT = 0x4000;
const VENDOR_OFFSET = 2;
const TYPE_OFFSET = 4;
const MESSAGE_TYPE_LENGTH = 8;

/**
 * Reads a control message from the start of a datagram. Throws ProtocolError where the datagram is to be discarded
 * without an answer, and nothing else; whatever else is wrong is in the result. Keeps no view of `octets`.
 *
 * A Message Digest is not verified here: it has to be, over the octets themselves, before any content is used
 * (RFC 3931 5.4.1), and so before this is called.
 */
export function decodeMessage(octets: Uint8Array): DecodedMessage {
  const header = decodeHeader(octets);
  if (header.length === HEADER_LENGTH) return { kind: "zlb", header };
  checkMessageType(octets, header.length);
  const vendorId = readUint16(octets, HEADER_LENGTH + VENDOR_OFFSET);
  const messageType = readUint16(octets, HEADER_LENGTH + AVP_HEADER_LENGTH);
  const plan = vendorId === 0 ? PLAN_BY_TYPE.get(messageType) : undefined;
  if (plan === undefined) {
    const mandatory = (readUint16(octets, HEADER_LENGTH) & MANDATORY_BIT) !== 0;
    return { kind: "unknown", header, vendorId, messageType, mandatory };
  }
  return decodeKnown(octets, header, plan);
}

/** Message Type has to be the first AVP, 8 octets, not hidden (RFC 3931 5.4.1); its vendor is open. */
function checkMessageType(octets: Uint8Array, end: number): void {
  if (end < HEADER_LENGTH + MESSAGE_TYPE_LENGTH) {
    throw new ProtocolError("malformed-message-type", `no room for a Message Type AVP in ${end} octets`);
  }
  const flags = readUint16(octets, HEADER_LENGTH);
  const type = readUint16(octets, HEADER_LENGTH + TYPE_OFFSET);
  if (type !== AVPS.messageType.type) {
    throw new ProtocolError("malformed-message-type", `the first AVP has attribute type ${type}, not Message Type`);
  }
  if ((flags & MAX_AVP_LENGTH) !== MESSAGE_TYPE_LENGTH || (flags & HIDDEN_BIT) !== 0) {
    throw new ProtocolError("malformed-message-type", "the Message Type AVP is hidden or has a wrong length");
  }
}

type KnownAvp = { readonly name: AvpName; readonly definition: AvpDefinition };

/** What a walk over the AVPs has found so far. */
class Harvest {
  readonly values: Record<string, unknown>;
  readonly refused: RejectedAvp[] = [];
  readonly ignored: RejectedAvp[] = [];
  readonly recognised: RawAvp[] = [];

  constructor(name: MessageName) {
    this.values = { name };
  }

  /** Unrecognised or malformed: the M bit decides what becomes of the message (RFC 3931 5.2, 7.1). */
  judge(avp: RejectedAvp): void {
    (avp.mandatory ? this.refused : this.ignored).push(avp);
  }
}

function decodeKnown(octets: Uint8Array, header: ControlHeader, plan: MessagePlan): DecodedMessage {
  const harvest = new Harvest(plan.name);
  const { values, refused, ignored, recognised } = harvest;
  let offset = HEADER_LENGTH + MESSAGE_TYPE_LENGTH;
  while (offset < header.length) {
    const end = avpEnd(octets, offset, header.length);
    if (end === undefined) {
      // Where the next AVP begins is lost.
      harvest.judge(overrunAvp(octets, offset, header.length));
      break;
    }
    takeAvp(octets, offset, end, plan, harvest);
    offset = end;
  }
  for (const name of plan.requires) {
    if (values[name] === undefined) return incomplete(header, plan, harvest);
  }
  return { kind: "message", header, message: values as unknown as ControlMessage, refused, ignored, recognised };
}

function incomplete(header: ControlHeader, plan: MessagePlan, harvest: Harvest): DecodedMessage {
  const { name: _, ...avps } = harvest.values;
  const missing = plan.requires.filter((name) => avps[name] === undefined);
  const { refused, ignored, recognised } = harvest;
  return { kind: "incomplete", header, name: plan.name, avps, missing, refused, ignored, recognised };
}

/** `undefined` where no AVP fits between `offset` and `limit` (RFC 3931 5.1). */
function avpEnd(octets: Uint8Array, offset: number, limit: number): number | undefined {
  if (limit - offset < AVP_HEADER_LENGTH) return undefined;
  const length = readUint16(octets, offset) & MAX_AVP_LENGTH;
  return length < AVP_HEADER_LENGTH || offset + length > limit ? undefined : offset + length;
}

function takeAvp(octets: Uint8Array, offset: number, end: number, plan: MessagePlan, harvest: Harvest): void {
  const vendorId = readUint16(octets, offset + VENDOR_OFFSET);
  const type = readUint16(octets, offset + TYPE_OFFSET);
  const slot = plan.slotByKey.get(avpKey(vendorId, type));
  if (slot === undefined) {
    takeUnlisted(octets, offset, end, harvest);
    return;
  }
  const { definition, name } = slot;
  const { values } = harvest;
  if ((readUint16(octets, offset) & HIDDEN_BIT) !== 0) {
    takeHidden(octets, offset, end, slot, harvest);
    return;
  }
  if (!definition.repeatable && values[name] !== undefined) {
    harvest.ignored.push(rejected(octets, offset, end, "duplicate", name));
    return;
  }
  const value = definition.format.decode(octets, offset + AVP_HEADER_LENGTH, end);
  if (value instanceof FormatFailure) {
    harvest.judge(rejected(octets, offset, end, value.reason, name));
  } else if (definition.repeatable) {
    const list = values[name];
    if (Array.isArray(list)) list.push(value);
    else values[name] = [value];
  } else {
    values[name] = value;
  }
}

/**
 * The one place for hidden AVPs (RFC 3931 5.3). One that must not be hidden (`definition.hideable`) is malformed; the
 * others cannot be read while there is no shared secret to unhide them with, which comes to the same.
 */
function takeHidden(octets: Uint8Array, offset: number, end: number, slot: KnownAvp, harvest: Harvest): void {
  harvest.judge(rejected(octets, offset, end, "hidden", slot.name));
}

/** An AVP that the message's table does not list. */
function takeUnlisted(octets: Uint8Array, offset: number, end: number, harvest: Harvest): void {
  const avp = rawAvp(octets, offset, end);
  const known = findAvp(avp.vendorId, avp.type);
  if (known === undefined) {
    harvest.judge({ ...avp, reason: "unknown" });
  } else if (known.origin !== "ietf") {
    harvest.recognised.push(avp);
  } else if (known.name === "messageType") {
    harvest.ignored.push({ ...avp, reason: "duplicate", name: known.name });
  } else if (isEnvelope(known.name)) {
    takeEnvelope(octets, offset, end, known, harvest);
  } else {
    harvest.ignored.push({ ...avp, reason: "misplaced", name: known.name });
  }
}

/** Random Vector and Message Digest: kept where well formed. */
function takeEnvelope(octets: Uint8Array, offset: number, end: number, slot: KnownAvp, harvest: Harvest): void {
  const avp = rawAvp(octets, offset, end);
  if (avp.hidden) {
    takeHidden(octets, offset, end, slot, harvest);
    return;
  }
  const value = slot.definition.format.decode(octets, offset + AVP_HEADER_LENGTH, end);
  if (value instanceof FormatFailure) harvest.judge({ ...avp, reason: value.reason, name: slot.name });
  else harvest.recognised.push(avp);
}

function rawAvp(octets: Uint8Array, offset: number, end: number): RawAvp {
  const flags = readUint16(octets, offset);
  return {
    vendorId: readUint16(octets, offset + VENDOR_OFFSET),
    type: readUint16(octets, offset + TYPE_OFFSET),
    mandatory: (flags & MANDATORY_BIT) !== 0,
    hidden: (flags & HIDDEN_BIT) !== 0,
    octets: copyOctets(octets, offset + AVP_HEADER_LENGTH, end),
  };
}

function rejected(
  octets: Uint8Array,
  offset: number,
  end: number,
  reason: RejectedAvp["reason"],
  name: AvpName,
): RejectedAvp {
  return { ...rawAvp(octets, offset, end), reason, name };
}

/** An AVP whose length is below 6 or beyond the message; of one with less than a header only the M bit is sure. */
function overrunAvp(octets: Uint8Array, offset: number, limit: number): RejectedAvp {
  if (limit - offset < AVP_HEADER_LENGTH) {
    const first = octets[offset] ?? 0;
    const mandatory = (first & 0x80) !== 0;
    const hidden = (first & 0x40) !== 0;
    const rest = copyOctets(octets, offset, limit);
    return { vendorId: -1, type: -1, mandatory, hidden, octets: rest, reason: "overrun" };
  }
  const avp = rawAvp(octets, offset, limit);
  const known = findAvp(avp.vendorId, avp.type);
  return known === undefined ? { ...avp, reason: "overrun" } : { ...avp, reason: "overrun", name: known.name };
}
