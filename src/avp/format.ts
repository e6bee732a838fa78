import {
  copyOctets,
  readUint16,
  readUint32,
  readUint64,
  writeOctets,
  writeUint16,
  writeUint32,
  writeUint64,
} from "./octets.ts";

/** Why the value of a recognised AVP cannot be used; such an AVP counts as unrecognised (RFC 3931 7.1). */
export class FormatFailure {
  readonly reason: "wrong-length" | "value-out-of-range";

  constructor(reason: "wrong-length" | "value-out-of-range") {
    this.reason = reason;
  }
}

export const WRONG_LENGTH = new FormatFailure("wrong-length");
export const OUT_OF_RANGE = new FormatFailure("value-out-of-range");

/** The 10-bit length of an AVP counts its 6-octet header (RFC 3931 5.1). */
export const AVP_HEADER_LENGTH = 6;
export const MAX_AVP_LENGTH = 0x3ff;
export const MAX_VALUE_LENGTH = MAX_AVP_LENGTH - AVP_HEADER_LENGTH;

/** How the value of an AVP stands in octets. */
export interface AvpFormat<T> {
  /** The value in octets[start, end): never reads beside it, never keeps a view of it. */
  decode(octets: Uint8Array, start: number, end: number): T | FormatFailure;
  /** What keeps the value from being sent ("is 0"), `undefined` if nothing does. Types alone are not trusted. */
  flaw(value: unknown): string | undefined;
  /** Writes a value without flaw and returns the offset after it. */
  encode(target: Uint8Array, offset: number, value: T): number;
}

/** A format whose values all take the same number of octets. */
export interface FixedFormat<T> extends AvpFormat<T> {
  readonly size: number;
}

interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

function unsigned(
  size: 1 | 2 | 4,
  read: (octets: Uint8Array, offset: number) => number,
  write: (octets: Uint8Array, offset: number, value: number) => void,
  { min = 0, max = 2 ** (8 * size) - 1 }: Bounds,
): FixedFormat<number> {
  return {
    size,
    decode(octets, start, end) {
      if (end - start !== size) return WRONG_LENGTH;
      const value = read(octets, start);
      return value < min || value > max ? OUT_OF_RANGE : value;
    },
    flaw(value) {
      if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return undefined;
      return `is not an integer from ${min} to ${max}`;
    },
    encode(target, offset, value) {
      write(target, offset, value);
      return offset + size;
    },
  };
}

export function uint16In(bounds: Bounds): FixedFormat<number> {
  return unsigned(2, readUint16, writeUint16, bounds);
}

export const uint8 = unsigned(
  1,
  (octets, offset) => octets[offset] ?? 0,
  (octets, offset, value) => {
    octets[offset] = value;
  },
  {},
);
export const uint16 = uint16In({});
export const uint32 = unsigned(4, readUint32, writeUint32, {});
/** Ids that are never 0 (RFC 3931 5.4.3, 5.4.4), because 0 says "not known yet". */
export const uint32NonZero = unsigned(4, readUint32, writeUint32, { min: 1 });

const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;

export const uint64: FixedFormat<bigint> = {
  size: 8,
  decode(octets, start, end) {
    return end - start === 8 ? readUint64(octets, start) : WRONG_LENGTH;
  },
  flaw(value) {
    return typeof value === "bigint" && value >= 0n && value <= MAX_UINT64 ? undefined : "is not a 64-bit bigint";
  },
  encode(target, offset, value) {
    writeUint64(target, offset, value);
    return offset + 8;
  },
};

/** A 16-bit mask. Reserved bits are ignored on receipt and never sent (RFC 3931 6). */
export function flags16(mask: number): FixedFormat<number> {
  return {
    size: 2,
    decode(octets, start, end) {
      return end - start === 2 ? readUint16(octets, start) & mask : WRONG_LENGTH;
    },
    flaw(value) {
      const legal = Number.isInteger(value) && (value as number) >= 0 && (value as number) <= mask;
      return legal && ((value as number) & ~mask) === 0 ? undefined : `has bits outside 0x${mask.toString(16)}`;
    },
    encode(target, offset, value) {
      writeUint16(target, offset, value);
      return offset + 2;
    },
  };
}

/** A number of which only some values are defined. */
export function oneOf(format: FixedFormat<number>, values: readonly number[]): FixedFormat<number> {
  return {
    size: format.size,
    decode(octets, start, end) {
      const value = format.decode(octets, start, end);
      if (value instanceof FormatFailure) return value;
      return values.includes(value) ? value : OUT_OF_RANGE;
    },
    flaw(value) {
      return values.includes(value as number) ? undefined : `is none of ${values.join(", ")}`;
    },
    encode(target, offset, value) {
      return format.encode(target, offset, value);
    },
  };
}

/** An AVP that says all by being there. */
export const present: FixedFormat<true> = {
  size: 0,
  decode(_octets, start, end) {
    return end === start ? true : WRONG_LENGTH;
  },
  flaw(value) {
    return value === true ? undefined : "is not true";
  },
  encode(_target, offset) {
    return offset;
  },
};

/** Opaque octets, always a copy. */
export function octetsOf(min: number, max: number = MAX_VALUE_LENGTH): AvpFormat<Uint8Array> {
  return {
    decode(octets, start, end) {
      return end - start < min || end - start > max ? WRONG_LENGTH : copyOctets(octets, start, end);
    },
    flaw(value) {
      if (value instanceof Uint8Array && value.length >= min && value.length <= max) return undefined;
      return min === max ? `is not ${min} octets` : `is not ${min} to ${max} octets`;
    },
    encode: writeOctets,
  };
}

/** Assigned Cookie, RFC 3931 5.4.4: none, 32 or 64 bits. */
export const cookie: AvpFormat<Uint8Array> = {
  decode(octets, start, end) {
    return isCookieLength(end - start) ? copyOctets(octets, start, end) : WRONG_LENGTH;
  },
  flaw(value) {
    return value instanceof Uint8Array && isCookieLength(value.length) ? undefined : "is not 0, 4 or 8 octets";
  },
  encode: writeOctets,
};

function isCookieLength(length: number): boolean {
  return length === 0 || length === 4 || length === 8;
}

/** Fixed-size elements with nothing between them. */
export function listOf<T>(element: FixedFormat<T>, min: number): AvpFormat<readonly T[]> {
  const max = Math.floor(MAX_VALUE_LENGTH / element.size);
  return {
    decode(octets, start, end) {
      const count = (end - start) / element.size;
      if (!Number.isInteger(count) || count < min) return WRONG_LENGTH;
      const list: T[] = [];
      for (let offset = start; offset < end; offset += element.size) {
        const value = element.decode(octets, offset, offset + element.size);
        if (value instanceof FormatFailure) return value;
        list.push(value);
      }
      return list;
    },
    flaw(value) {
      if (!Array.isArray(value) || value.length < min || value.length > max) return `is not a list of ${min} to ${max}`;
      for (const member of value) {
        const flaw = element.flaw(member);
        if (flaw !== undefined) return `has an element that ${flaw}`;
      }
      return undefined;
    },
    encode(target, offset, value) {
      let end = offset;
      for (const member of value) end = element.encode(target, end, member);
      return end;
    },
  };
}
