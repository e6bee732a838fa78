import { avpEnd, HIDDEN_BIT, MANDATORY_BIT, MESSAGE_TYPE_LENGTH, TYPE_OFFSET, VENDOR_OFFSET } from "./avp-header.ts";
import { CISCO } from "./cisco-avps.ts";
import type { AvpDefinition } from "./definition.ts";
import { AVP_HEADER_LENGTH, FormatFailure, MAX_AVP_LENGTH, WRONG_LENGTH } from "./format.ts";
import { type ControlHeader, decodeHeader, HEADER_LENGTH } from "./header.ts";
import { unhide } from "./hiding.ts";
import { type MessagePlan, PLAN_BY_TYPE, type Slot } from "./message-plan.ts";
import { type AvpValues, type ControlMessage, isEnvelope, type MessageName } from "./messages.ts";
import { copyOctets, readUint16 } from "./octets.ts";
import { ProtocolError } from "./protocol-error.ts";
import { AVPS, type AvpName, avpKey, findAvp } from "./registry.ts";
import { RFC2661_AVPS } from "./rfc2661-avps.ts";

/** An AVP as it came. */
export interface RawAvp {
  /** -1 where the message ended before it could be read; so is `type`. */
  readonly vendorId: number;
  readonly type: number;
  readonly mandatory: boolean;
  /** The H bit: `octets` are the hidden value (RFC 3931 5.3). */
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
  /**
   * AVPs of RFC 2661 that did not become values and Cisco's, Random Vectors and Message Digests: known, kept, in the
   * order received.
   */
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

/**
 * Reads a control message from the start of a datagram. Throws ProtocolError where the datagram is to be discarded
 * without an answer, and nothing else; whatever else is wrong is in the result. Keeps no view of `octets`.
 *
 * A Message Digest is not verified here: it has to be, over the octets themselves, before any content is used
 * (RFC 3931 5.4.1), and so before this is called.
 *
 * Hidden AVPs are read with `unhidingKey`, from hidingKey of the secret that verified the message. Without it they are
 * malformed, as RFC 3931 5.3 has them where nothing is shared.
 */
export function decodeMessage(octets: Uint8Array, unhidingKey?: Uint8Array): DecodedMessage {
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
  return decodeKnown(octets, header, plan, unhidingKey);
}

/** Whether the sender knows AVPs of Cisco's. */
export function hasCiscoAvps(decoded: DecodedMessage): boolean {
  return "recognised" in decoded && decoded.recognised.some(({ vendorId }) => vendorId === CISCO);
}

/** Whether the sender says what an L2TPv2 would (RFC 2661 4.4.3): Protocol Version, Framing or Bearer Capabilities. */
export function hasFramingAvps(decoded: DecodedMessage): boolean {
  return "recognised" in decoded && decoded.recognised.some((avp) => FRAMING_AVPS.has(avpKey(avp.vendorId, avp.type)));
}

const { protocolVersion, framingCapabilities, bearerCapabilities } = RFC2661_AVPS;
const FRAMING_AVPS: ReadonlySet<number> = new Set(
  [protocolVersion, framingCapabilities, bearerCapabilities].map(({ vendorId, type }) => avpKey(vendorId, type)),
);

/** Whether the message has RFC 2661's Protocol Version, which the drafts of RFC 3931 kept and it dropped. */
export function isOfDrafts(decoded: DecodedMessage): boolean {
  const { vendorId, type } = RFC2661_AVPS.protocolVersion;
  return "recognised" in decoded && decoded.recognised.some((avp) => avp.vendorId === vendorId && avp.type === type);
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

interface Unhiding {
  readonly key: Uint8Array;
  /** That of the nearest Random Vector AVP so far (RFC 3931 5.3). */
  randomVector: Uint8Array | undefined;
}

/** What a walk over the AVPs has found so far. */
class Harvest {
  readonly values: Record<string, unknown>;
  readonly refused: RejectedAvp[] = [];
  readonly ignored: RejectedAvp[] = [];
  readonly recognised: RawAvp[] = [];
  /** Of Cisco's twins, by the name of the AVP that each stands in for. */
  standIns: Map<string, unknown> | undefined;
  readonly unhiding: Unhiding | undefined;

  constructor(name: MessageName, unhidingKey: Uint8Array | undefined) {
    this.values = { name };
    this.unhiding = unhidingKey && { key: unhidingKey, randomVector: undefined };
  }

  /** Unrecognised or malformed: the M bit decides what becomes of the message (RFC 3931 5.2, 7.1). */
  judge(avp: RejectedAvp): void {
    (avp.mandatory ? this.refused : this.ignored).push(avp);
  }
}

function decodeKnown(
  octets: Uint8Array,
  header: ControlHeader,
  plan: MessagePlan,
  unhidingKey: Uint8Array | undefined,
): DecodedMessage {
  const harvest = new Harvest(plan.name, unhidingKey);
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
  if (harvest.standIns !== undefined) for (const [name, value] of harvest.standIns) values[name] ??= value;
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

function takeAvp(octets: Uint8Array, offset: number, end: number, plan: MessagePlan, harvest: Harvest): void {
  const vendorId = readUint16(octets, offset + VENDOR_OFFSET);
  const type = readUint16(octets, offset + TYPE_OFFSET);
  const slot = plan.slotByKey.get(avpKey(vendorId, type));
  if (slot === undefined) {
    takeUnlisted(octets, offset, end, harvest);
    const twin = plan.twinByKey.get(avpKey(vendorId, type));
    if (twin !== undefined) takeTwin(octets, offset, end, twin, harvest);
    return;
  }
  if ((readUint16(octets, offset) & HIDDEN_BIT) !== 0) {
    takeHidden(octets, offset, end, slot, harvest);
  } else if (isDuplicate(slot, harvest)) {
    turnDown(octets, offset, end, slot, "duplicate", harvest);
  } else {
    const value = slot.definition.format.decode(octets, offset + AVP_HEADER_LENGTH, end);
    if (value instanceof FormatFailure) turnDown(octets, offset, end, slot, value.reason, harvest);
    else keep(slot, value, harvest);
  }
}

/**
 * The one place for hidden AVPs (RFC 3931 5.3). One that must not be hidden is malformed; so is one that cannot be read,
 * for want of a shared secret or of a Random Vector before it.
 */
function takeHidden(octets: Uint8Array, offset: number, end: number, slot: Slot, harvest: Harvest): void {
  const { definition } = slot;
  const { key, randomVector } = harvest.unhiding ?? {};
  if (!definition.hideable || key === undefined || randomVector === undefined) {
    turnDown(octets, offset, end, slot, "hidden", harvest);
  } else if (isDuplicate(slot, harvest)) {
    turnDown(octets, offset, end, slot, "duplicate", harvest);
  } else {
    const hidden = octets.subarray(offset + AVP_HEADER_LENGTH, end);
    const clear = unhide(definition.type, key, randomVector, hidden);
    const value = clear === undefined ? WRONG_LENGTH : definition.format.decode(clear, 0, clear.length);
    if (value instanceof FormatFailure) turnDown(octets, offset, end, slot, value.reason, harvest);
    else keep(slot, value, harvest);
  }
}

function isDuplicate({ definition, name }: Slot, { values }: Harvest): boolean {
  return !definition.repeatable && values[name] !== undefined;
}

function keep({ definition, name }: Slot, value: unknown, { values }: Harvest): void {
  if (!definition.repeatable) {
    values[name] = value;
    return;
  }
  const list = values[name];
  if (Array.isArray(list)) list.push(value);
  else values[name] = [value];
}

/** An AVP of the message's table that gives no value. */
function turnDown(
  octets: Uint8Array,
  offset: number,
  end: number,
  { name, legacy }: Slot,
  reason: RejectedAvp["reason"],
  harvest: Harvest,
): void {
  const avp = rawAvp(octets, offset, end);
  if (legacy) harvest.recognised.push(avp);
  else if (reason === "duplicate") harvest.ignored.push({ ...avp, reason, name });
  else harvest.judge({ ...avp, reason, name });
}

/** Cisco's form of an AVP of the message's table; the first that can be read may stand in for it. */
function takeTwin(octets: Uint8Array, offset: number, end: number, slot: Slot, harvest: Harvest): void {
  const { name, definition } = slot;
  const first = offset + AVP_HEADER_LENGTH;
  const hidden = (readUint16(octets, offset) & HIDDEN_BIT) !== 0;
  const octetsOfValue = octets.subarray(first, end);
  const clear = hidden ? unhidden(definition, octetsOfValue, harvest.unhiding) : octetsOfValue;
  if (clear === undefined || harvest.standIns?.has(name)) return;
  const value = definition.format.decode(clear, 0, clear.length);
  if (value instanceof FormatFailure) return;
  harvest.standIns ??= new Map();
  harvest.standIns.set(name, value);
}

function unhidden(
  { type, hideable }: AvpDefinition,
  hidden: Uint8Array,
  unhiding: Unhiding | undefined,
): Uint8Array | undefined {
  const { key, randomVector } = unhiding ?? {};
  return hideable && key && randomVector ? unhide(type, key, randomVector, hidden) : undefined;
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

type KnownAvp = { readonly name: AvpName; readonly definition: AvpDefinition };

/** Random Vector and Message Digest: kept where well formed. Neither may be hidden (RFC 3931 5.4.1). */
function takeEnvelope(octets: Uint8Array, offset: number, end: number, slot: KnownAvp, harvest: Harvest): void {
  const { name, definition } = slot;
  const avp = rawAvp(octets, offset, end);
  const value = definition.format.decode(octets, offset + AVP_HEADER_LENGTH, end);
  const flaw = avp.hidden ? "hidden" : value instanceof FormatFailure ? value.reason : undefined;
  if (flaw === undefined) harvest.recognised.push(avp);
  else harvest.judge({ ...avp, reason: flaw, name });
  if (name === "messageDigest") excuseUnknownDigest(harvest);
  // With a broken Random Vector nothing can be unhidden; the one before was not meant.
  else if (harvest.unhiding) harvest.unhiding.randomVector = flaw === undefined ? avp.octets : undefined;
}

/** A digest of a type yet to come does no harm beside one of a type that is known: that one can be verified. */
function excuseUnknownDigest({ refused, ignored, recognised }: Harvest): void {
  const unknown = refused.findIndex((avp) => avp.name === "messageDigest" && avp.reason === "value-out-of-range");
  if (unknown < 0 || !recognised.some(({ vendorId, type }) => vendorId === 0 && type === AVPS.messageDigest.type))
    return;
  ignored.push(...refused.splice(unknown, 1));
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
