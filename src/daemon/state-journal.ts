import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { deserialize, serialize } from "node:v8";
import { crc32 } from "node:zlib";

/** Other contents, and not what `FORMAT` says: whoever changes what is in a state raises the number. */
const FORMAT = 2;

const MAGIC = "l2tpv3-lcc state";
/** Octets before each record: its length and the CRC-32 of the rest, both with the lowest octet first. */
const PREFIX_OCTETS = 8;
/** The file is written anew when it has grown so far beyond what is in it. */
const SLACK_FACTOR = 4;
const SLACK_OCTETS = 1 << 20;

/** What makes an instant of another process mean the same here. */
export interface Origin {
  readonly magic: string;
  readonly format: number;
  /** Of the system's boot. */
  readonly boot: string;
}

/** Why a file is of no use. */
export class JournalError extends Error {}

/**
 * Records by key in one file that a crash at any moment leaves readable: changes are appended, each record with its
 * checksum, and once in a while the file is written anew beside its place and renamed. A record that ends before its time
 * is that of a write which did not come to its end, and nothing had followed from it yet. A failing `append` throws
 * an `Error` of node:fs.
 */
export class StateJournal {
  readonly #path: string;
  readonly #origin: Origin;
  /** By key, as they are in the file: what a new one would be made of. */
  readonly #records = new Map<string, Buffer>();
  #fd: number | undefined;
  #live = 0;
  #written = 0;

  /** `boot`: what tells one boot of the machine from the next. The file is made with the first `append`. */
  constructor(path: string, boot: string) {
    this.#path = path;
    this.#origin = { magic: MAGIC, format: FORMAT, boot };
  }

  /** The records of an earlier process; `undefined`: there is no such file. Throws `JournalError` where it is of no use. */
  read(): ReadonlyMap<string, unknown> | undefined {
    const octets = readIfThere(this.#path);
    return octets === undefined ? undefined : recordsOf(octets, this.#origin);
  }

  /** Everything that follows from these has to wait until this returns. `undefined`: the record is gone. */
  append(changes: Iterable<readonly [key: string, value: unknown]>): void {
    const added: Buffer[] = [];
    for (const [key, value] of changes) {
      const record = frame([key, value]);
      if (this.#records.get(key)?.equals(record) === true) continue;
      if (value === undefined && !this.#records.has(key)) continue;
      this.#note(key, value === undefined ? undefined : record);
      added.push(record);
    }
    if (added.length === 0) return;
    const octets = added.reduce((sum, record) => sum + record.length, 0);
    if (this.#fd === undefined || this.#written + octets > SLACK_FACTOR * this.#live + SLACK_OCTETS) this.#renew();
    else this.#write(this.#fd, added);
  }

  /** There is nothing to go on from. */
  remove(): void {
    this.close();
    rmSync(this.#path, { force: true });
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #note(key: string, record: Buffer | undefined): void {
    this.#live += (record?.length ?? 0) - (this.#records.get(key)?.length ?? 0);
    if (record === undefined) this.#records.delete(key);
    else this.#records.set(key, record);
  }

  #renew(): void {
    const beside = `${this.#path}.new`;
    rmSync(beside, { force: true });
    const fd = openSync(beside, "wx", 0o600);
    this.#written = 0;
    this.#write(fd, [frame(this.#origin), ...this.#records.values()]);
    renameSync(beside, this.#path);
    this.close();
    this.#fd = fd;
  }

  #write(fd: number, records: readonly Buffer[]): void {
    const octets = Buffer.concat(records);
    try {
      for (let done = 0; done < octets.length; ) done += writeSync(fd, octets, done);
    } catch (error) {
      // Nothing may follow what was written in part.
      this.close();
      throw error;
    }
    this.#written += octets.length;
  }
}

function frame(value: unknown): Buffer {
  const body = serialize(value);
  const prefix = Buffer.alloc(PREFIX_OCTETS);
  prefix.writeUInt32LE(body.length, 0);
  prefix.writeUInt32LE(crc32(body), 4);
  return Buffer.concat([prefix, body]);
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new JournalError(error instanceof Error ? error.message : String(error));
  }
}

function recordsOf(octets: Buffer, expected: Origin): ReadonlyMap<string, unknown> {
  const [first, ...rest] = valuesOf(octets);
  checkOrigin(first, expected);
  const records = new Map<string, unknown>();
  for (const record of rest) {
    if (!Array.isArray(record) || typeof record[0] !== "string") throw new JournalError("it is damaged");
    if (record[1] === undefined) records.delete(record[0]);
    else records.set(record[0], record[1]);
  }
  return records;
}

function* valuesOf(octets: Buffer): Generator<unknown> {
  for (let at = 0; at + PREFIX_OCTETS <= octets.length; ) {
    const length = octets.readUInt32LE(at);
    const body = octets.subarray(at + PREFIX_OCTETS, at + PREFIX_OCTETS + length);
    if (body.length < length) return;
    if (crc32(body) !== octets.readUInt32LE(at + 4)) throw new JournalError("it is damaged");
    yield readValue(body);
    at += PREFIX_OCTETS + length;
  }
}

function readValue(body: Buffer): unknown {
  try {
    return deserialize(body);
  } catch {
    throw new JournalError("it is damaged, or another version of Node.js has written it");
  }
}

function checkOrigin(found: unknown, { magic, format, boot }: Origin): void {
  if (typeof found !== "object" || found === null) throw new JournalError("it is damaged");
  const origin: Partial<Origin> = found;
  if (origin.magic !== magic) throw new JournalError("it is no state of this program");
  if (origin.format !== format) throw new JournalError(`it has format ${origin.format}, and ${format} is expected`);
  if (origin.boot !== boot) throw new JournalError("it is from before the machine was booted");
}
