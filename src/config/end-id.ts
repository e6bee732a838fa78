import type { EndIdFormat } from "../control/configuration.ts";

/** Octets of an AVP (10-bit length, RFC 3931 5.1) less its header. */
const LARGEST_AVP_VALUE = 1017;
/** The same of a hidden AVP: the Original Length takes two octets (RFC 3931 5.3). */
export const LARGEST_HIDDEN_VALUE = LARGEST_AVP_VALUE - 2;

/**
 * The octets of a Remote End ID (RFC 3931 5.4.4), Local End ID or Attachment Group Identifier AVP (RFC 4667 4.3), or a
 * sentence that says what is wrong.
 */
export function encodeEndId(value: string | number, format: EndIdFormat): Uint8Array | string {
  switch (format) {
    case "text":
      return textOctets(value);
    case "u32":
      return unsignedOctets(value);
    case "hex":
      return hexOctets(value);
  }
}

function textOctets(value: string | number): Uint8Array | string {
  if (typeof value === "number") return `found ${value}, allowed: a string ("${value}"), or set end_id_format = "u32"`;
  return limited(new TextEncoder().encode(value));
}

function unsignedOctets(value: string | number): Uint8Array | string {
  const number = typeof value === "string" && /^\d{1,10}$/.test(value) ? Number(value) : value;
  if (typeof number === "string" || number > 0xffff_ffff) {
    return `found ${JSON.stringify(value)}, allowed with end_id_format = "u32": an integer from 0 to 4294967295`;
  }
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, number);
  return octets;
}

function hexOctets(value: string | number): Uint8Array | string {
  if (typeof value === "number" || !/^(?:[0-9a-f]{2}:?)*[0-9a-f]{2}$/i.test(value)) {
    const found = JSON.stringify(value);
    return `found ${found}, allowed with end_id_format = "hex": pairs of hexadecimal digits in a string ("00c0ffee", "00:c0:ff:ee")`;
  }
  const pairs = value.replaceAll(":", "").match(/../g) ?? [];
  return limited(Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16)));
}

function limited(octets: Uint8Array): Uint8Array | string {
  if (octets.length <= LARGEST_AVP_VALUE) return octets;
  return `found ${octets.length} octets, allowed: 1 to ${LARGEST_AVP_VALUE}`;
}
