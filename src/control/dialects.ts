import { type DecodedMessage, hasCiscoAvps, hasFramingAvps } from "../avp/decode.ts";
import type { Envelope } from "../avp/encode.ts";
import type { AvpName } from "../avp/registry.ts";
import { avpsOf, type L2Sublayer } from "./admission.ts";
import type { EndIdFormat } from "./configuration.ts";

/** A way to speak L2TPv3: whatever RFC 3931 leaves open, and where implementations are known to depart from it. */
export interface Dialect {
  /** What in an SCCRQ or SCCRP gives it away; none: it is never recognised, only configured, or what is left. */
  readonly marks: readonly Mark[];
  /** Optional AVPs of SCCRQ and SCCRP that nobody has configured: "bare" leaves out Receive Window Size. */
  readonly opening: "full" | "bare";
  /** Cisco's AVPs (vendor 9) beside those that they are the twins of, and AVPs whose M bit is cleared (RFC 3931 5.2). */
  readonly envelope: Pick<Envelope, "ciscoTwins" | "notMandatory">;
  /** When acknowledgements are ACK messages and not ZLBs: where messages are signed, or only where a secret forbids ZLBs. */
  readonly explicitAck: "signed" | "authenticated";
  /** Requests and replies name L2-Specific Sublayer and Data Sequencing even where both are none. */
  readonly namesLayering: boolean;
  /** What an ICRP may come without, although RFC 3931 6.7 wants it. */
  readonly icrpLacks: readonly AvpName[];
  /** What a session offers that has no l2_sublayer configured. */
  readonly l2Sublayer: L2Sublayer;
  /** How a remote_end_id is sent that has no end_id_format configured. */
  readonly endIdFormat: EndIdFormat;
  /** Such an id is recognised in whatever format the peer writes it. */
  readonly takesAnyEndId: boolean;
  /** What the peer can cope with, for who writes a configuration; `undefined`: no limit known. */
  readonly limits: Limits | undefined;
}

interface Mark {
  /** Completes "recognised by …". */
  readonly by: string;
  readonly isIn: (decoded: DecodedMessage) => boolean;
}

interface Limits {
  readonly hostNameLength: number;
  readonly endIdLength: number;
  readonly encapsulation: "udp" | "ip";
}

const IETF: Dialect = {
  marks: [],
  opening: "full",
  envelope: {},
  explicitAck: "signed",
  namesLayering: false,
  icrpLacks: [],
  l2Sublayer: "none",
  endIdFormat: "text",
  takesAnyEndId: false,
  limits: undefined,
};

/** Younger than the drafts: an IOS that knows only those may refuse a message for their M bit, and reads the twins. */
const YOUNGER_THAN_DRAFTS: readonly AvpName[] = [
  "tieBreaker",
  "routerId",
  "assignedControlConnectionId",
  "pseudowireCapabilitiesList",
  "localSessionId",
  "remoteSessionId",
  "assignedCookie",
  "remoteEndId",
  "pseudowireType",
  "circuitStatus",
];

/**
 * The only place that knows of peers that differ. In the order in which they are tried: the AVPs say more than a name,
 * which some give themselves to be taken for others (SoftEther's is Yamaha's).
 */
export const DIALECTS = {
  /** IOS and IOS-XE with `protocol l2tpv3`, and whoever else sends AVPs of vendor 9. */
  cisco: {
    ...IETF,
    marks: [{ by: "AVPs of vendor 9", isIn: hasCiscoAvps }],
    envelope: { ciscoTwins: true, notMandatory: YOUNGER_THAN_DRAFTS },
    namesLayering: true,
    icrpLacks: ["circuitStatus"],
    takesAnyEndId: true,
  },
  /** The same with `protocol l2tpv3ietf`. */
  "cisco-ietf": { ...IETF, marks: [vendorName("Cisco")], namesLayering: true, takesAnyEndId: true },
  /** An unknown mandatory AVP makes it refuse; SoftEther, which takes this name too, counts an ACK as a message. */
  yamaha: {
    ...IETF,
    marks: [vendorName("YAMAHA")],
    opening: "bare",
    envelope: { notMandatory: ["tieBreaker"] },
    explicitAck: "authenticated",
    icrpLacks: ["circuitStatus"],
    limits: { hostNameLength: 32, endIdLength: 32, encapsulation: "udp" },
  },
  /** RouterOS 7: the sublayer is on by default. */
  mikrotik: { ...IETF, marks: [vendorName("MikroTik")], l2Sublayer: "default" },
  /** Grew out of an L2TPv2 and may not know ACK (freeRtr). */
  rfc2661: {
    ...IETF,
    marks: [{ by: "AVPs of RFC 2661", isIn: hasFramingAvps }],
    explicitAck: "authenticated",
    icrpLacks: ["circuitStatus"],
  },
  /** RFC 3931 and nothing else; whoever bears no mark is taken for this. */
  ietf: IETF,
} as const satisfies Readonly<Record<string, Dialect>>;

export type DialectName = keyof typeof DIALECTS;
/** "auto": recognised from the peer's SCCRQ or SCCRP. */
export type DialectChoice = DialectName | "auto";

export const DIALECT_NAMES: readonly DialectName[] = Object.keys(DIALECTS) as DialectName[];

/** What is spoken on a control connection, and how that came to be. Plain data. */
export interface SpokenDialect {
  readonly name: DialectName;
  /** "configured", the mark that gave the peer away, or that there was none; "" while the peer has not been heard. */
  readonly by: string;
}

/** Before the peer is heard: with `auto` what suits everyone, which are RFC 3931's AVPs and those of RFC 2661. */
export function firstDialect(choice: DialectChoice = "auto"): SpokenDialect {
  return choice === "auto" ? { name: "ietf", by: "" } : { name: choice, by: "configured" };
}

/** From an SCCRQ or SCCRP of the peer's. What is configured stands. */
export function recogniseDialect(decoded: DecodedMessage, before: SpokenDialect): SpokenDialect {
  if (before.by === "configured") return before;
  for (const name of DIALECT_NAMES) {
    const mark = dialectNamed(name).marks.find(({ isIn }) => isIn(decoded));
    if (mark !== undefined) return { name, by: mark.by };
  }
  return { name: "ietf", by: "no mark of another dialect" };
}

export function dialectNamed(name: DialectName): Dialect {
  return DIALECTS[name];
}

function vendorName(beginning: string): Mark {
  const isIn = (decoded: DecodedMessage) =>
    avpsOf(decoded).vendorName?.toLowerCase().startsWith(beginning.toLowerCase()) ?? false;
  return { by: "Vendor Name", isIn };
}
