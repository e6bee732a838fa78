import type { LcceConfiguration } from "../control/configuration.ts";
import type { Input, Instant } from "../control/core.ts";

/*
 * A recording is lines of JSON: a header, then an entry for each thing that happened to the core, in order. Octets are
 * { "hex": "c803…" }; the stand-in for a shared secret is { "text": "secret-1" }.
 */

/** Raised whenever an older l2tpv3-lcc could not replay what a newer one records. */
export const FORMAT = 1;

export interface RecordingHeader {
  readonly format: typeof FORMAT;
  /** Of the l2tpv3-lcc that recorded. */
  readonly version: string;
  /** Date and time in ISO 8601, for who compares with a log. */
  readonly recorded: string;
  /** When the core was made, on the clock of every `at`. */
  readonly now: Instant;
  readonly configuration: LcceConfiguration;
}

/** What the core drew from the Entropy port: a number, octets in hex, or the stand-in in hex for secret octets. */
export type Draw = number | string | { readonly secret: string };

export interface RecordingEntry {
  readonly at: Instant;
  /** `undefined`: the core was told to perform what is due. */
  readonly input: Input | undefined;
  readonly drawn: readonly Draw[];
}

/** A recording, or a line of it, that cannot be read. One sentence. */
export class RecordingError extends Error {}

/** Whatever holds this property holds secrets in it. */
const SECRETIVE = "authentication";

export function writeHeader(header: RecordingHeader, secret: (octets: Uint8Array) => Uint8Array): string {
  return JSON.stringify(toJson(header, secret));
}

export function writeEntry({ at, input, drawn }: RecordingEntry, secret: (octets: Uint8Array) => Uint8Array): string {
  const what = input === undefined ? { expire: true } : { input: toJson(input, secret) };
  return JSON.stringify({ at, ...what, ...(drawn.length === 0 ? {} : { drawn }) });
}

/** `secrets` takes every stand-in for a shared secret that is met. Throws RecordingError. */
export function readHeader(line: string, secrets: Uint8Array[]): RecordingHeader {
  const header = parse(line);
  if (!("format" in header) || !("configuration" in header)) {
    throw new RecordingError("this is no recording of l2tpv3-lcc");
  }
  const { format, version } = header;
  if (format !== FORMAT) {
    const writer = typeof version === "string" ? `, of l2tpv3-lcc ${version}` : "";
    throw new RecordingError(`the recording has format ${JSON.stringify(format)}${writer}; this one reads ${FORMAT}`);
  }
  const read = fromJson(header, secrets);
  if (!isHeader(read)) throw new RecordingError("the header of the recording is not whole");
  return read;
}

/** The same for any other line. */
export function readEntry(line: string, secrets: Uint8Array[]): RecordingEntry {
  const { at, input, expire, drawn = [] } = parse(line);
  if (typeof at !== "number") throw new RecordingError('"at" has to be a number');
  if (!Array.isArray(drawn) || !drawn.every(isDraw)) {
    throw new RecordingError('"drawn" has to be a list of numbers and octets');
  }
  if (expire === true) return { at, input: undefined, drawn };
  const read = fromJson(input, secrets);
  if (!isInput(read)) throw new RecordingError('there is neither an "input" nor "expire"');
  return { at, input: read, drawn };
}

type Fields = Readonly<Record<string, unknown>>;

function parse(line: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new RecordingError("broken or cut off: this is not JSON");
  }
  if (!isFields(value)) throw new RecordingError("this is not a JSON object");
  return value;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isHeader(value: unknown): value is RecordingHeader {
  if (!isFields(value) || typeof value["now"] !== "number" || typeof value["version"] !== "string") return false;
  const { configuration } = value;
  return isFields(configuration) && Array.isArray(configuration["tunnels"]);
}

function isInput(value: unknown): value is Input {
  return isFields(value) && typeof value["type"] === "string";
}

function isDraw(value: unknown): value is Draw {
  if (typeof value === "number") return true;
  return isHex(isFields(value) ? value["secret"] : value);
}

function isHex(value: unknown): value is string {
  return typeof value === "string" && /^(?:[0-9a-f]{2})*$/.test(value);
}

/** Plain JSON with every secret replaced: which those are, says the place where they stand. */
export function toJson(value: unknown, secret: (octets: Uint8Array) => Uint8Array): unknown {
  return convert(value, (octets, path) => {
    if (!path.includes(SECRETIVE)) return { hex: hexOf(octets) };
    return octets.length === 0 ? { hex: "" } : { text: Buffer.from(secret(octets)).toString() };
  });
}

function convert(
  value: unknown,
  octets: (value: Uint8Array, path: readonly string[]) => unknown,
  path: readonly string[] = [],
): unknown {
  if (value instanceof Uint8Array) return octets(value, path);
  if (Array.isArray(value)) return value.map((each) => convert(each, octets, path));
  if (!isFields(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, convert(each, octets, [...path, key])]));
}

function fromJson(value: unknown, secrets: Uint8Array[]): unknown {
  if (Array.isArray(value)) return value.map((each) => fromJson(each, secrets));
  if (!isFields(value)) return value;
  const { hex, text } = value;
  if (isHex(hex)) return octetsOf(hex);
  if (typeof text === "string") {
    const secret = new Uint8Array(Buffer.from(text));
    secrets.push(secret);
    return secret;
  }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fromJson(each, secrets)]));
}

export function hexOf(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("hex");
}

export function octetsOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}
