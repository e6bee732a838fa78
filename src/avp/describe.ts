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

function titleOf(name: string): string {
  const words = name.match(/[A-Z]?[a-z]+\d*|[A-Z]\d+|\d+/g) ?? [name];
  return words.map((word) => spell(word.charAt(0).toUpperCase() + word.slice(1))).join(" ");
}

function spell(word: string): string {
  return SPELLINGS[word] ?? word;
}
