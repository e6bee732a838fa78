import type { EndIdFormat } from "./configuration.ts";

/** The octets of an id, given as those of its text, in another format; `undefined` where it cannot be written so. */
export function endIdIn(format: EndIdFormat, text: Uint8Array): Uint8Array | undefined {
  const written = String.fromCharCode(...text);
  switch (format) {
    case "text":
      return text;
    case "u32":
      return /^\d{1,10}$/.test(written) && Number(written) <= 0xffff_ffff ? unsigned(Number(written)) : undefined;
    case "hex":
      return /^(?:[0-9a-f]{2})+$/i.test(written) ? fromHex(written) : undefined;
  }
}

/** In every format that it can be written in, the text first. */
export function endIdForms(text: Uint8Array): readonly Uint8Array[] {
  const forms = (["text", "u32", "hex"] as const).map((format) => endIdIn(format, text));
  return forms.filter((form) => form !== undefined);
}

function unsigned(number: number): Uint8Array {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, number);
  return octets;
}

function fromHex(digits: string): Uint8Array {
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
