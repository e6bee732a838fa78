import type { AvpFormat } from "./format.ts";

/** One row of a table of AVPs. */
interface Definition<T> {
  readonly vendorId: number;
  readonly type: number;
  readonly format: AvpFormat<T>;
  /** M bit that we send (RFC 3931 5.2). A received M bit is judged per AVP, never compared with this. */
  readonly mandatory: boolean;
  /** Whether the H bit may be set (RFC 3931 5.3). */
  readonly hideable: boolean;
  /** RFC and section, or for a later RFC its number alone. */
  readonly section: string;
}

/** An AVP that stands in a message at most once. */
export interface SingleAvp<T = unknown> extends Definition<T> {
  readonly repeatable: false;
}

/** An AVP that may stand in a message several times; its values make a list. */
export interface RepeatableAvp<T = unknown> extends Definition<T> {
  readonly repeatable: true;
}

export type AvpDefinition<T = unknown> = SingleAvp<T> | RepeatableAvp<T>;

interface Rules {
  readonly vendorId?: number;
  readonly mandatory: boolean;
  readonly hideable: boolean;
  readonly section: string;
}

export function avp<T>(type: number, format: AvpFormat<T>, rules: Rules): SingleAvp<T> {
  return { vendorId: 0, type, format, ...rules, repeatable: false };
}

export function repeatableAvp<T>(type: number, format: AvpFormat<T>, rules: Rules): RepeatableAvp<T> {
  return { vendorId: 0, type, format, ...rules, repeatable: true };
}
