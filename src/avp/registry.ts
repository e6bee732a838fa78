import { CISCO_AVPS } from "./cisco-avps.ts";
import type { AvpDefinition, RepeatableAvp, SingleAvp } from "./definition.ts";
import { EXTENSION_AVPS } from "./extension-avps.ts";
import { CHALLENGE_AVPS, RFC2661_AVPS } from "./rfc2661-avps.ts";
import { RFC3931_AVPS } from "./rfc3931-avps.ts";

/** The AVPs of version 3. */
const VERSION_3_AVPS = { ...RFC3931_AVPS, ...EXTENSION_AVPS } as const;

/** Every IETF AVP that this LCCE understands by value. Its table files are the only place an attribute number is written. */
export const AVPS = { ...VERSION_3_AVPS, ...CHALLENGE_AVPS } as const;

export type AvpName = keyof typeof AVPS;

/** What the value of an AVP is in a message; a list where the AVP may stand there several times. */
export type AvpValue<N extends AvpName> =
  (typeof AVPS)[N] extends RepeatableAvp<infer T>
    ? readonly T[]
    : (typeof AVPS)[N] extends SingleAvp<infer T>
      ? T
      : never;

/** A row of the registry under its name. */
export type RegisteredAvp =
  /** Decoded by value, in the messages that MESSAGES lists. */
  | { readonly origin: "ietf"; readonly name: AvpName; readonly definition: AvpDefinition }
  /** Recognised and kept, never judged; a Challenge and its Response in some messages by value. */
  | { readonly origin: "rfc2661" | "cisco"; readonly name: string; readonly definition: AvpDefinition };

/** What an AVP is known by: attribute types count within a vendor (RFC 3931 5.1). */
export function avpKey(vendorId: number, type: number): number {
  return vendorId * 0x1_0000 + type;
}

function* register(): Generator<RegisteredAvp> {
  for (const name of Object.keys(VERSION_3_AVPS) as (keyof typeof VERSION_3_AVPS)[]) {
    yield { origin: "ietf", name, definition: VERSION_3_AVPS[name] };
  }
  for (const [name, definition] of Object.entries({ ...CHALLENGE_AVPS, ...RFC2661_AVPS }))
    yield { origin: "rfc2661", name, definition };
  for (const [name, definition] of Object.entries(CISCO_AVPS)) yield { origin: "cisco", name, definition };
}

/** All of them, in the order of their tables. */
export const REGISTERED_AVPS: readonly RegisteredAvp[] = [...register()];

const REGISTRY: ReadonlyMap<number, RegisteredAvp> = new Map(
  REGISTERED_AVPS.map((entry) => [avpKey(entry.definition.vendorId, entry.definition.type), entry]),
);

/** By vendor and attribute type; `undefined` is what RFC 3931 5.2 calls unrecognised. */
export function findAvp(vendorId: number, type: number): RegisteredAvp | undefined {
  return REGISTRY.get(avpKey(vendorId, type));
}
