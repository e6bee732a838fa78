import { AVP_HEADER_LENGTH, MAX_AVP_LENGTH } from "./format.ts";
import { readUint16 } from "./octets.ts";

/*
 * An AVP, RFC 3931 5.1. Reserved bits are ignored.
 *
 *     0                   1                   2                   3
 *     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *    |M|H| rsvd  |      Length       |           Vendor ID           |
 *    |         Attribute Type        |        Attribute Value ...
 */
export const MANDATORY_BIT = 0x8000;
export const HIDDEN_BIT = 0x4000;
export const VENDOR_OFFSET = 2;
export const TYPE_OFFSET = 4;

/** Octets of the Message Type AVP, which is never hidden (RFC 3931 5.4.1). */
export const MESSAGE_TYPE_LENGTH = 8;

/** Where the AVP at `offset` ends; `undefined` where none fits between `offset` and `limit` (RFC 3931 5.1). */
export function avpEnd(octets: Uint8Array, offset: number, limit: number): number | undefined {
  if (limit - offset < AVP_HEADER_LENGTH) return undefined;
  const length = readUint16(octets, offset) & MAX_AVP_LENGTH;
  return length < AVP_HEADER_LENGTH || offset + length > limit ? undefined : offset + length;
}

/** Whether the AVP at `offset`, whose header is there, has that type of vendor 0. */
export function isIetfAvp(octets: Uint8Array, offset: number, type: number): boolean {
  return readUint16(octets, offset + VENDOR_OFFSET) === 0 && readUint16(octets, offset + TYPE_OFFSET) === type;
}
