import { randomBytes } from "node:crypto";
import { avp } from "../../support/wire.ts";

/** What a peer of some make says, as AVPs in hex, and how it behaves. Written from documentation and captures. */
export interface Personality {
  readonly make: string;
  /** Without Message Type, digest and nonce. */
  readonly sccrq: (ids: ConnectionIds) => readonly string[];
  readonly sccrp: (ids: ConnectionIds) => readonly string[];
  readonly icrq: (ids: SessionIds) => readonly string[];
  readonly icrp: (ids: SessionIds) => readonly string[];
  readonly iccn: (ids: SessionIds) => readonly string[];
  /** How long it waits before it acknowledges what nothing else acknowledges. */
  readonly acknowledgeAfterMs: number;
  /** It refuses AVPs with M that are not in here ("61", "v9/1"), with StopCCN 2/8. Absent: it is no stickler. */
  readonly knows?: ReadonlySet<string>;
  /** Whose connection it takes: values in hex of AVPs of SCCRQ and SCCRP, by "7". Others are refused, with StopCCN 4. */
  readonly expects?: Readonly<Record<string, string>>;
}

export interface ConnectionIds {
  readonly ccid: number;
}

export interface SessionIds {
  readonly localSessionId: number;
  /** 0 where it is not known. */
  readonly remoteSessionId: number;
  /** In hex: what the other end calls the pseudowire. */
  readonly endId: string;
  /** The Assigned Cookie AVP as it is to be sent, hidden or not; none: "". */
  readonly cookie: string;
}

export const optional = { mandatory: false } as const;

export function u32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

export function text(words: string): string {
  return Buffer.from(words).toString("hex");
}

export function tieBreaker(options = {}): string {
  return avp(5, randomBytes(8).toString("hex"), options);
}
