import type { DecodedMessage } from "./decode.ts";
import { findAvp } from "./registry.ts";

/** Words of AVP names that are not written as names usually are. */
const SPELLINGS: Readonly<Record<string, string>> = {
  Id: "ID",
  Avp: "AVP",
  Bps: "BPS",
  Ds: "DS",
  Ppp: "PPP",
  Vpi: "VPI",
  Vci: "VCI",
  Atm: "ATM",
  Oam: "OAM",
  Mtu: "MTU",
  Fcs: "FCS",
  Vccv: "VCCV",
  Tdm: "TDM",
  Rtp: "RTP",
  Sbfd: "S-BFD",
  Ecn: "ECN",
  Lcp: "LCP",
  Accm: "ACCM",
  Q931: "Q.931",
  L2: "L2",
};

/** "vendor 0 attribute 77 (Tunnel Recovery)", for error texts (RFC 3931 5.4.2 asks that they name the AVP). */
export function describeAvp(avp: { readonly vendorId: number; readonly type: number }): string {
  if (avp.vendorId < 0 || avp.type < 0) return "an AVP cut off within its header";
  const known = findAvp(avp.vendorId, avp.type);
  const number = `vendor ${avp.vendorId} attribute ${avp.type}`;
  return known === undefined ? number : `${number} (${titleOf(known.name)})`;
}

/**
 * "ICRQ", "ZLB", "ICRQ without Remote End ID", "ICRP with hidden AVPs", "message type 99 of vendor 0": what a message is,
 * not what it carries.
 */
export function describeMessage(decoded: DecodedMessage): string {
  switch (decoded.kind) {
    case "zlb":
      return "ZLB";
    case "message":
      return decoded.message.name;
    case "incomplete":
      return describeIncomplete(decoded);
    case "unknown":
      return `message type ${decoded.messageType} of vendor ${decoded.vendorId}`;
  }
}

/** What is hidden is not missing: whoever describes the message only lacks the secret. */
function describeIncomplete({
  name,
  missing,
  refused,
  ignored,
}: Extract<DecodedMessage, { kind: "incomplete" }>): string {
  const unread = [...refused, ...ignored].filter(({ reason }) => reason === "hidden");
  const hidden = unread.map(({ vendorId, type }) => findAvp(vendorId, type)?.name);
  const absent = missing.filter((each) => !hidden.includes(each)).map(titleOf);
  const without = absent.length === 0 ? "" : ` without ${absent.join(", ")}`;
  return `${name}${without}${unread.length === 0 ? "" : " with hidden AVPs"}`;
}

/** The AVPs of a message with their values, as far as they could be read: 'Host Name "a", Router ID 1'. */
export function describeValues(decoded: DecodedMessage): string {
  if (decoded.kind === "zlb" || decoded.kind === "unknown") return "";
  const values: object = decoded.kind === "message" ? decoded.message : decoded.avps;
  const parts = Object.entries(values)
    .filter(([name, value]) => name !== "name" && value !== undefined)
    .map(([name, value]) => `${titleOf(name)} ${describeValue(value)}`);
  for (const avp of [...decoded.refused, ...decoded.ignored]) parts.push(`${avp.reason}: ${describeAvp(avp)}`);
  return parts.join(", ");
}

/** A value for people: octets as hexadecimal digits, text in quotation marks. */
export function describeValue(value: unknown): string {
  if (value instanceof Uint8Array) {
    return `0x${Array.from(value, (octet) => octet.toString(16).padStart(2, "0")).join("")}`;
  }
  if (Array.isArray(value)) return `[${value.map(describeValue).join(" ")}]`;
  if (typeof value !== "object" || value === null)
    return typeof value === "string" ? JSON.stringify(value) : `${value}`;
  const fields = Object.entries(value).filter(([, each]) => each !== undefined);
  return `{${fields.map(([name, each]) => `${name} ${describeValue(each)}`).join(", ")}}`;
}

/** "Remote End ID" for remoteEndId. */
export function titleOf(name: string): string {
  const words = name.match(/[A-Z]?[a-z]+\d*|[A-Z]\d+|\d+/g) ?? [name];
  return words.map((word) => spell(word.charAt(0).toUpperCase() + word.slice(1))).join(" ");
}

function spell(word: string): string {
  return SPELLINGS[word] ?? word;
}
