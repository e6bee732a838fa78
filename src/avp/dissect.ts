import { avpEnd, HIDDEN_BIT, MANDATORY_BIT, TYPE_OFFSET, VENDOR_OFFSET } from "./avp-header.ts";
import { type DecodedMessage, decodeMessage } from "./decode.ts";
import type { AvpDefinition } from "./definition.ts";
import { describeMessage, describeValue, titleOf } from "./describe.ts";
import { AVP_HEADER_LENGTH, FormatFailure } from "./format.ts";
import { type ControlHeader, HEADER_LENGTH } from "./header.ts";
import { unhide } from "./hiding.ts";
import { MESSAGES } from "./messages.ts";
import { copyOctets, readUint16 } from "./octets.ts";
import { AVPS, avpKey, findAvp } from "./registry.ts";
import { firstSecretOctet, isSecretAvp } from "./sanitise.ts";

/** An AVP of a message in words. */
export interface DissectedAvp {
  readonly vendorId: number;
  readonly type: number;
  /** "Host Name"; "" where nobody knows it. */
  readonly title: string;
  readonly mandatory: boolean;
  /** The H bit (RFC 3931 5.3). */
  readonly hidden: boolean;
  /** `undefined`: it is not to be shown, or cannot be read for want of the secret. */
  readonly value: string | undefined;
}

export interface DissectedMessage {
  readonly header: ControlHeader;
  /** "SCCRQ", "ZLB", "message type 99 of vendor 0". */
  readonly name: string;
  readonly avps: readonly DissectedAvp[];
  /** The message to the end that its header tells, with zeros for whatever is not to be shown. */
  readonly octets: Uint8Array;
}

/** How much may be shown. */
export interface Disclosure {
  /** Hidden values, cookies, nonces, digests and challenges too. */
  readonly secrets: boolean;
  /** What values may be hidden with, from hidingKey. */
  readonly hidingKeys: readonly Uint8Array[];
}

/**
 * A control message for people, AVP by AVP in its order, whether it makes sense or not. Throws ProtocolError where it has
 * no sound header or Message Type.
 */
export function dissectMessage(octets: Uint8Array, disclosure: Disclosure): DissectedMessage {
  const decoded = decodeMessage(octets);
  const { header } = decoded;
  const shown = copyOctets(octets, 0, header.length);
  const avps: DissectedAvp[] = [];
  let randomVector: Uint8Array | undefined;
  let offset = HEADER_LENGTH;
  for (let end = avpEnd(octets, offset, header.length); end !== undefined; ) {
    const avp = dissectAvp(octets, offset, end, { ...disclosure, randomVector });
    avps.push(avp);
    if (isIetf(avp, AVPS.randomVector)) randomVector = octets.subarray(offset + AVP_HEADER_LENGTH, end);
    if (avp.value === undefined) shown.fill(0, firstUnshown(avp, offset, end), end);
    offset = end;
    end = avpEnd(octets, offset, header.length);
  }
  // What is no AVP may be a part of one.
  shown.fill(0, Math.min(offset + AVP_HEADER_LENGTH, header.length));
  return { header, name: nameOf(decoded), avps, octets: shown };
}

function nameOf(decoded: DecodedMessage): string {
  return decoded.kind === "incomplete" ? decoded.name : describeMessage(decoded);
}

interface Reading extends Disclosure {
  /** That of the nearest Random Vector AVP so far (RFC 3931 5.3). */
  readonly randomVector: Uint8Array | undefined;
}

function dissectAvp(octets: Uint8Array, start: number, end: number, reading: Reading): DissectedAvp {
  const flags = readUint16(octets, start);
  const vendorId = readUint16(octets, start + VENDOR_OFFSET);
  const type = readUint16(octets, start + TYPE_OFFSET);
  const known = findAvp(vendorId, type);
  const hidden = (flags & HIDDEN_BIT) !== 0;
  const value = octets.subarray(start + AVP_HEADER_LENGTH, end);
  const isShown = reading.secrets || !(hidden || isSecretAvp(vendorId, type));
  return {
    vendorId,
    type,
    title: known === undefined ? "" : titleOf(known.name),
    mandatory: (flags & MANDATORY_BIT) !== 0,
    hidden,
    value: isShown ? valueText(value, { vendorId, type, hidden }, known?.definition, reading) : undefined,
  };
}

function valueText(
  value: Uint8Array,
  avp: Pick<DissectedAvp, "vendorId" | "type" | "hidden">,
  definition: AvpDefinition | undefined,
  reading: Reading,
): string | undefined {
  if (!avp.hidden) return clearText(value, avp, definition);
  if (reading.randomVector === undefined) return undefined;
  for (const key of reading.hidingKeys) {
    const clear = unhide(avp.type, key, reading.randomVector, value);
    // With the wrong secret it is noise, which seldom has the form of a value.
    if (clear !== undefined && isWellFormed(clear, definition)) return clearText(clear, avp, definition);
  }
  return undefined;
}

function isWellFormed(value: Uint8Array, definition: AvpDefinition | undefined): boolean {
  return definition === undefined || !(definition.format.decode(value, 0, value.length) instanceof FormatFailure);
}

function clearText(
  octets: Uint8Array,
  avp: Pick<DissectedAvp, "vendorId" | "type">,
  definition: AvpDefinition | undefined,
): string {
  const value = definition?.format.decode(octets, 0, octets.length);
  if (value === undefined || value instanceof FormatFailure) {
    const flaw = value instanceof FormatFailure ? ` (malformed: ${value.reason})` : "";
    return `${describeValue(octets)}${flaw}`;
  }
  if (isIetf(avp, AVPS.messageType)) return messageTypeText(value);
  if (isIetf(avp, AVPS.routerId)) return `${describeValue(value)} (${octets.join(".")})`;
  const isText = value instanceof Uint8Array && value.length > 0 && value.every(isPrintable);
  return isText ? JSON.stringify(String.fromCharCode(...value)) : describeValue(value);
}

function messageTypeText(value: unknown): string {
  const name = Object.entries(MESSAGES).find(([, { type }]) => type === value)?.[0];
  return name === undefined ? String(value) : `${value} (${name})`;
}

function isIetf({ vendorId, type }: Pick<DissectedAvp, "vendorId" | "type">, definition: AvpDefinition): boolean {
  return avpKey(vendorId, type) === avpKey(definition.vendorId, definition.type);
}

function isPrintable(octet: number): boolean {
  return octet >= 0x20 && octet < 0x7f;
}

/** The header stays, and in front of a digest its type. */
function firstUnshown({ vendorId, type, hidden }: DissectedAvp, start: number, end: number): number {
  const first = start + AVP_HEADER_LENGTH;
  return Math.min(end, hidden ? first : first + firstSecretOctet(vendorId, type));
}
