import { Attributes, Flags, FlagsAck, MessageType, Protocol } from "netlink/dist/constants.js";
import {
  align,
  formatGenlHeader,
  formatMessage,
  GENL_HEADER_LENGTH,
  getString,
  getU8,
  getU16,
  getU32,
  getU64,
  HEADER_LENGTH,
  parseAttributes,
  parseError,
  parseMessages,
  writeU8,
  writeU16,
  writeU32,
  writeU64,
} from "netlink/dist/structs.js";

/**
 * Netlink messages and attributes: the only file that uses the `netlink` package, and of it only what formats and
 * parses. Its sockets are not used: they abort the process when a receive buffer overruns, and tell neither the error
 * number nor the extended acknowledgement. (Its main module would load them, which costs 40 ms and 8 MB.)
 */

export const NETLINK_ROUTE = Protocol.ROUTE;
export const NETLINK_GENERIC = Protocol.GENERIC;
export const NETLINK_CAP_ACK = Attributes.CAP_ACK;
export const NETLINK_EXT_ACK = Attributes.EXT_ACK;
const NLM_F_REQUEST = Flags.REQUEST;
export const NLM_F_DUMP = 0x300;
export const NLM_F_ACK = Flags.ACK;
const NLA_F_NESTED = 0x8000;
const NLMSGERR_ATTR_MSG = 1;
const ATTRIBUTE_HEADER_LENGTH = 4;

/** How one attribute's value is written and read. */
export interface AttributeFormat<T> {
  readonly nested: boolean;
  /** Octets of the value, without padding. */
  sizeOf(value: T): number;
  write(value: T, into: Buffer, offset: number): void;
  read(octets: Buffer): T;
}

type Write<T> = (this: Buffer, value: T, offset: number) => number;

function fixed<T>(size: number, write: Write<T>, read: (octets: Buffer) => T): AttributeFormat<T> {
  return {
    nested: false,
    sizeOf: () => size,
    write: (value, into, offset) => {
      write.call(into, value, offset);
    },
    read,
  };
}

export const u8 = fixed<number>(1, writeU8, getU8);
export const u16 = fixed<number>(2, writeU16, getU16);
export const u32 = fixed<number>(4, writeU32, getU32);
export const u64 = fixed<bigint>(8, writeU64, getU64);

/** Ends with a NUL. */
export const text: AttributeFormat<string> = {
  nested: false,
  sizeOf: (value) => Buffer.byteLength(value) + 1,
  write: (value, into, offset) => {
    into.write(value, offset);
  },
  read: (value) => getString(value),
};

export const octets: AttributeFormat<Uint8Array> = {
  nested: false,
  sizeOf: (value) => value.length,
  write: (value, into, offset) => into.set(value, offset),
  read: (value) => Uint8Array.from(value),
};

/** An attribute that holds attributes. */
export function nested<T extends AttributeTable>(table: T): AttributeFormat<AttributeValues<T>> {
  return {
    nested: true,
    sizeOf: (values) => sizeOfAttributes(table, values),
    write: (values, into, offset) => writeAttributes(table, values, into, offset),
    read: (value) => decodeAttributes(table, value),
  };
}

/** Name to number and format: the only place where a family's attribute numbers stand. */
export type AttributeTable = Readonly<Record<string, readonly [type: number, format: AttributeFormat<unknown>]>>;

/** What a table's attributes hold: `{ connectionId?: number, … }`. */
export type AttributeValues<T extends AttributeTable> = {
  readonly [N in keyof T]?: T[N] extends readonly [number, AttributeFormat<infer V>] ? V : never;
};

/**
 * In the order of `values`, each padded to four octets, all in one buffer: the package's own way makes several for every
 * attribute, which is half of what a session costs here as long as the code is cold.
 */
export function encodeAttributes<T extends AttributeTable>(table: T, values: AttributeValues<T>): Buffer {
  const buffer = Buffer.alloc(sizeOfAttributes(table, values));
  writeAttributes(table, values, buffer, 0);
  return buffer;
}

function sizeOfAttributes<T extends AttributeTable>(table: T, values: AttributeValues<T>): number {
  let size = 0;
  for (const name of Object.keys(values)) {
    size += align(ATTRIBUTE_HEADER_LENGTH + definitionOf(table, name)[1].sizeOf(values[name]));
  }
  return size;
}

/** struct nlattr: length without padding, type with its flags; then the value. */
function writeAttributes<T extends AttributeTable>(
  table: T,
  values: AttributeValues<T>,
  into: Buffer,
  start: number,
): void {
  let offset = start;
  for (const name of Object.keys(values)) {
    const [type, format] = definitionOf(table, name);
    const value = values[name];
    const length = ATTRIBUTE_HEADER_LENGTH + format.sizeOf(value);
    writeU16.call(into, length, offset);
    writeU16.call(into, format.nested ? type | NLA_F_NESTED : type, offset + 2);
    format.write(value, into, offset + ATTRIBUTE_HEADER_LENGTH);
    offset += align(length);
  }
}

function definitionOf(table: AttributeTable, name: string): AttributeTable[string] {
  const definition = table[name];
  if (definition === undefined) throw new Error(`no netlink attribute is called ${name}`);
  return definition;
}

/** Attributes that the table does not know are skipped. */
export function decodeAttributes<T extends AttributeTable>(table: T, attributes: Buffer): AttributeValues<T> {
  const names = namesByType(table);
  const values: Record<string, unknown> = {};
  parseAttributes(attributes, ({ type, data }) => {
    const name = names.get(type);
    if (name !== undefined) values[name] = table[name]?.[1].read(data);
  });
  return values as AttributeValues<T>;
}

const NAMES = new WeakMap<AttributeTable, ReadonlyMap<number, string>>();

function namesByType(table: AttributeTable): ReadonlyMap<number, string> {
  let names = NAMES.get(table);
  if (names === undefined) {
    names = new Map(Object.entries(table).map(([name, [type]]) => [type, name]));
    NAMES.set(table, names);
  }
  return names;
}

export interface NetlinkRequest {
  /** A message type of rtnetlink, or a generic netlink family. */
  readonly type: number;
  /** Besides NLM_F_REQUEST. */
  readonly flags: number;
  /** What follows the netlink header; a multiple of four octets. */
  readonly payload: readonly Uint8Array[];
}

/** One datagram that holds all requests, numbered upwards from `sequence`. */
export function encodeRequests(requests: readonly NetlinkRequest[], sequence: number): Buffer {
  const parts = requests.flatMap(({ type, flags, payload }, i) =>
    formatMessage({ type, flags: flags | NLM_F_REQUEST, seq: sequence + i, port: 0, data: [...payload] }),
  );
  return Buffer.concat(parts);
}

/** The body of a generic netlink message. */
export function genericPayload(command: number, version: number, attributes: Uint8Array): Uint8Array[] {
  return [formatGenlHeader({ cmd: command, version }), attributes];
}

/** The attributes of a generic netlink message. */
export function genericAttributes(message: Buffer): Buffer {
  return message.subarray(GENL_HEADER_LENGTH);
}

/** One message from the kernel. */
export type NetlinkReply =
  /** `errno` 0: done. The last reply to a request. */
  | { readonly kind: "end"; readonly sequence: number; readonly errno: number; readonly extendedAck: string }
  /** `octets` is what follows the netlink header, in a buffer of its own. `port` is the socket whose request it answers. */
  | {
      readonly kind: "message";
      readonly type: number;
      readonly port: number;
      readonly sequence: number;
      readonly octets: Buffer;
    };

/** The messages of one received datagram. */
export function parseReplies(datagram: Buffer): NetlinkReply[] {
  const replies: NetlinkReply[] = [];
  for (const { type, flags, port, seq: sequence, data } of parseMessages(datagram)) {
    if (type === MessageType.ERROR) {
      const errno = Math.abs(parseError(data, flags).errno);
      replies.push({ kind: "end", sequence, errno, extendedAck: extendedAck(data, flags) });
    } else if (type === MessageType.DONE) {
      replies.push({ kind: "end", sequence, errno: 0, extendedAck: "" });
    } else if (type !== MessageType.NOOP) {
      replies.push({ kind: "message", type, port, sequence, octets: Buffer.from(data) });
    }
  }
  return replies;
}

/** The package stops at the error number; the attributes stand behind the request's header, or the whole request. */
function extendedAck(error: Buffer, flags: number): string {
  if ((flags & FlagsAck.ACK_TLVS) === 0) return "";
  const echoed = (flags & FlagsAck.CAPPED) === 0 ? align(error.readUInt32LE(4)) : HEADER_LENGTH;
  const { message } = decodeAttributes({ message: [NLMSGERR_ATTR_MSG, text] } as const, error.subarray(4 + echoed));
  return message ?? "";
}
