/** Control messages by hand, in hex, so that tests do not lean on the encoder that they judge. */

/** RFC 3931 3.1: numbers of the message types. */
export const MESSAGE_TYPES: Readonly<Record<number, string>> = {
  1: "SCCRQ",
  2: "SCCRP",
  3: "SCCCN",
  4: "StopCCN",
  6: "HELLO",
  10: "ICRQ",
  11: "ICRP",
  12: "ICCN",
  14: "CDN",
  16: "SLI",
  20: "ACK",
};

export function octetsOfHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
}

export function hexOf(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}

function hexNumber(value: number, octets: number): string {
  return value.toString(16).padStart(2 * octets, "0");
}

interface AvpOptions {
  readonly vendorId?: number;
  /** M is set unless told otherwise. */
  readonly mandatory?: boolean;
  readonly hidden?: boolean;
  /** The four reserved bits. */
  readonly reserved?: number;
  /** What the length field says, if not the truth. */
  readonly length?: number;
}

/** An AVP in hex, from its attribute type and its value in hex. */
export function avp(type: number, value: string, options: AvpOptions = {}): string {
  const { vendorId = 0, mandatory = true, hidden = false, reserved = 0, length = 6 + value.length / 2 } = options;
  const flags = (mandatory ? 0x8000 : 0) | (hidden ? 0x4000 : 0) | (reserved << 10) | length;
  return hexNumber(flags, 2) + hexNumber(vendorId, 2) + hexNumber(type, 2) + value;
}

/** A control message whose body is given in hex: CCID 0x01020304, Ns 2, Nr 3. */
export function messageOf(
  body: string,
  options: { readonly flags?: string; readonly length?: number } = {},
): Uint8Array {
  const { flags = "c803", length = 12 + body.length / 2 } = options;
  return octetsOfHex(`${flags}${hexNumber(length, 2)}010203040002 0003${body}`);
}

/** A control message of a given Message Type (vendor 0, M set) with the AVPs given in hex. */
export function message(type: number, ...avps: readonly string[]): Uint8Array {
  return messageOf(avp(0, hexNumber(type, 2)) + avps.join(""));
}

/** An AVP as it stands in a message; its value in hex. */
export interface SeenAvp {
  readonly vendorId: number;
  readonly type: number;
  readonly mandatory: boolean;
  readonly hidden: boolean;
  readonly value: string;
}

/** The AVPs of a whole message, read by hand. */
export function avpsIn(octets: Uint8Array): readonly SeenAvp[] {
  const all = Buffer.from(octets);
  const seen: SeenAvp[] = [];
  for (let offset = 12; offset < all.length; ) {
    const flags = all.readUInt16BE(offset);
    const end = offset + (flags & 0x3ff);
    seen.push({
      vendorId: all.readUInt16BE(offset + 2),
      type: all.readUInt16BE(offset + 4),
      mandatory: (flags & 0x8000) !== 0,
      hidden: (flags & 0x4000) !== 0,
      value: all.subarray(offset + 6, end).toString("hex"),
    });
    offset = end;
  }
  return seen;
}

/** "61", "61-" without the M bit, "v9/1" of vendor 9: every AVP of a message in order. */
export function avpList(octets: Uint8Array): readonly string[] {
  return avpsIn(octets).map(
    ({ vendorId, type, mandatory }) => `${vendorId === 0 ? "" : `v${vendorId}/`}${type}${mandatory ? "" : "-"}`,
  );
}
