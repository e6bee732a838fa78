import { type AvpFormat, MAX_VALUE_LENGTH, WRONG_LENGTH } from "./format.ts";
import { writeOctets } from "./octets.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * UTF-8, of which US-ASCII is the part that RFC 3931 asks for in names. Received text is taken whatever it holds, with
 * U+FFFD for what is no UTF-8: a peer's odd name or error text is no reason to refuse it.
 */
function text(charset: "utf-8" | "us-ascii", min: number): AvpFormat<string> {
  return {
    decode(octets, start, end) {
      return end - start < min ? WRONG_LENGTH : decodeText(octets, start, end);
    },
    flaw(value) {
      if (typeof value !== "string") return "is not a string";
      if (charset === "us-ascii" && !isAscii(value)) return "is not US-ASCII";
      const length = encodedLength(value);
      return length < min || length > MAX_VALUE_LENGTH ? `is not ${min} to ${MAX_VALUE_LENGTH} octets` : undefined;
    },
    encode: encodeText,
  };
}

export const utf8 = text("utf-8", 0);
export const ascii = text("us-ascii", 0);
export const asciiNonEmpty = text("us-ascii", 1);

function decodeText(octets: Uint8Array, start: number, end: number): string {
  let decoded = "";
  for (let index = start; index < end; index++) {
    const octet = octets[index] ?? 0;
    if (octet > 0x7f) return decoder.decode(octets.subarray(start, end));
    decoded += String.fromCharCode(octet);
  }
  return decoded;
}

function isAscii(value: string): boolean {
  for (let index = 0; index < value.length; index++) {
    if (value.charCodeAt(index) > 0x7f) return false;
  }
  return true;
}

function encodedLength(value: string): number {
  return isAscii(value) ? value.length : encoder.encode(value).length;
}

function encodeText(target: Uint8Array, offset: number, value: string): number {
  for (let index = 0; index < value.length; index++) {
    const unit = value.charCodeAt(index);
    if (unit > 0x7f) return writeOctets(target, offset, encoder.encode(value));
    target[offset + index] = unit;
  }
  return offset + value.length;
}
