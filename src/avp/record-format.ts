import {
  type AvpFormat,
  type FixedFormat,
  FormatFailure,
  MAX_VALUE_LENGTH,
  OUT_OF_RANGE,
  uint8,
  uint16,
  WRONG_LENGTH,
} from "./format.ts";
import { copyOctets, readUint16, writeOctets, writeUint16 } from "./octets.ts";
import { utf8 } from "./text-format.ts";

type Field = readonly [name: string, format: FixedFormat<unknown>];
type Tail = readonly [name: string, format: AvpFormat<unknown>];
type ValueOf<F> = F extends AvpFormat<infer T> ? T : never;
type FieldsOf<F extends Field | Tail> = {
  readonly [E in F as Exclude<E[0], "reserved">]: ValueOf<E[1]>;
};

type Values = Readonly<Record<string, unknown>>;

/** Fixed fields one after another; a field called "reserved" is ignored on receipt and sent as zero. */
export function record<const F extends readonly Field[]>(...fields: F): AvpFormat<FieldsOf<F[number]>> {
  const size = sizeOf(fields);
  return {
    decode(octets, start, end) {
      if (end - start !== size) return WRONG_LENGTH;
      return decodeFields(fields, octets, start) as FieldsOf<F[number]> | FormatFailure;
    },
    flaw(value) {
      return flawOfFields(fields, value);
    },
    encode(target, offset, value) {
      return encodeFields(fields, target, offset, value as Values);
    },
  };
}

/** Fixed fields, and a last one that takes whatever is left. */
export function recordWithTail<const F extends readonly Field[], const L extends Tail>(
  fields: F,
  tail: L,
): AvpFormat<FieldsOf<F[number] | L>> {
  const size = sizeOf(fields);
  const [tailName, tailFormat] = tail;
  return {
    decode(octets, start, end) {
      if (end - start < size) return WRONG_LENGTH;
      const values = decodeFields(fields, octets, start);
      if (values instanceof FormatFailure) return values;
      const last = tailFormat.decode(octets, start + size, end);
      if (last instanceof FormatFailure) return last;
      return { ...values, [tailName]: last } as FieldsOf<F[number] | L>;
    },
    flaw(value) {
      const flaw = flawOfFields(fields, value) ?? flawOfFields([tail], value);
      if (flaw !== undefined) return flaw;
      return tooLong(tailFormat, (value as Values)[tailName], MAX_VALUE_LENGTH - size)
        ? `is longer than ${MAX_VALUE_LENGTH} octets`
        : undefined;
    },
    encode(target, offset, value) {
      const end = encodeFields(fields, target, offset, value as Values);
      return tailFormat.encode(target, end, (value as Values)[tailName]);
    },
  };
}

function sizeOf(fields: readonly Field[]): number {
  return fields.reduce((size, [, format]) => size + format.size, 0);
}

function decodeFields(fields: readonly Field[], octets: Uint8Array, start: number): Values | FormatFailure {
  const values: Record<string, unknown> = {};
  let offset = start;
  for (const [name, format] of fields) {
    const value = format.decode(octets, offset, offset + format.size);
    if (value instanceof FormatFailure) return value;
    if (name !== "reserved") values[name] = value;
    offset += format.size;
  }
  return values;
}

function flawOfFields(fields: readonly Tail[], value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return "is not an object";
  for (const [name, format] of fields) {
    const flaw = name === "reserved" ? undefined : format.flaw((value as Values)[name]);
    if (flaw !== undefined) return `has a ${name} that ${flaw}`;
  }
  return undefined;
}

function encodeFields(fields: readonly Field[], target: Uint8Array, offset: number, values: Values): number {
  let end = offset;
  for (const [name, format] of fields) end = format.encode(target, end, name === "reserved" ? 0 : values[name]);
  return end;
}

const scratch = new Uint8Array(MAX_VALUE_LENGTH);

/** Whether a tail without flaw of its own leaves no room for what stands before it. */
function tooLong(format: AvpFormat<unknown>, value: unknown, room: number): boolean {
  return format.encode(scratch, 0, value) > room;
}

export interface ResultCode {
  /** What the code means depends on the message: StopCCN or CDN. 0 is reserved, but has been received. */
  readonly result: number;
  /** General error code; it means something with result 2 alone, or in StopCCN with result 5. */
  readonly error?: number;
  readonly message?: string;
}

/** Result Code, RFC 3931 5.4.2: a code; it may be followed by an error code, and that by a text. */
export const resultCode: AvpFormat<ResultCode> = {
  decode(octets, start, end) {
    const length = end - start;
    if (length < 2 || length === 3) return WRONG_LENGTH;
    const result = readUint16(octets, start);
    if (length === 2) return { result };
    const error = readUint16(octets, start + 2);
    if (length === 4) return { result, error };
    const message = utf8.decode(octets, start + 4, end);
    return message instanceof FormatFailure ? message : { result, error, message };
  },
  flaw(value) {
    if (typeof value !== "object" || value === null) return "is not an object";
    const { result, error, message } = value as Partial<ResultCode>;
    if (result === 0 || uint16.flaw(result) !== undefined) return "has a result that is not an integer from 1 to 65535";
    if (error !== undefined && uint16.flaw(error) !== undefined) return "has an error that is not an integer to 65535";
    if (message === undefined) return undefined;
    if (error === undefined) return "has a message without an error code";
    if (utf8.flaw(message) !== undefined || tooLong(utf8, message, MAX_VALUE_LENGTH - 4)) {
      return `has a message that is not text of at most ${MAX_VALUE_LENGTH - 4} octets`;
    }
    return undefined;
  },
  encode(target, offset, value) {
    writeUint16(target, offset, value.result);
    if (value.error === undefined) return offset + 2;
    writeUint16(target, offset + 2, value.error);
    return utf8.encode(target, offset + 4, value.message ?? "");
  },
};

export interface MessageDigest {
  readonly type: 0 | 1;
  readonly digest: Uint8Array;
}

/** HMAC-MD5 and HMAC-SHA-1, RFC 3931 5.4.1: the octets of a digest by its type. */
const DIGEST_LENGTHS = [16, 20] as const;

/** Message Digest, RFC 3931 5.4.1. */
export const messageDigest: AvpFormat<MessageDigest> = {
  decode(octets, start, end) {
    if (end - start < 1) return WRONG_LENGTH;
    const type = octets[start];
    if (type !== 0 && type !== 1) return OUT_OF_RANGE;
    if (end - start !== 1 + DIGEST_LENGTHS[type]) return WRONG_LENGTH;
    return { type, digest: copyOctets(octets, start + 1, end) };
  },
  flaw(value) {
    if (typeof value !== "object" || value === null) return "is not an object";
    const { type, digest } = value as Partial<MessageDigest>;
    if (type !== 0 && type !== 1) return "has a type that is none of 0, 1";
    const length = DIGEST_LENGTHS[type];
    return digest instanceof Uint8Array && digest.length === length
      ? undefined
      : `has a digest that is not ${length} octets`;
  },
  encode(target, offset, value) {
    return writeOctets(target, uint8.encode(target, offset, value.type), value.digest);
  },
};
