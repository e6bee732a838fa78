import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { deserialize, serialize } from "node:v8";
import { crc32 } from "node:zlib";

/** Other contents, and not what `FORMAT` says: whoever changes what is in a state raises the number. */
const FORMAT = 3;

/** What the file begins with, so that other formats can be told apart however they go on. */
const PREAMBLE = Buffer.from(`l2tpv3-lcc state ${FORMAT}\n`);
/**
 * Before what a commit has written: its number, the length of it, its CRC-32, and the CRC-32 of these three. A length that is
 * damaged would make it look like something that was not finished. Unsigned 32-bit numbers with the lowest octet first.
 */
const HEADER = { number: 0, length: 4, crc: 8, ownCrc: 12, octets: 16 } as const;
/** Before each record of it. */
const LENGTH_OCTETS = 4;
/** The file is written anew when it has grown so far beyond what is in it. */
const SLACK_FACTOR = 4;
const SLACK_OCTETS = 1 << 20;

const DAMAGED = "it is damaged";

/** Why a file is of no use. */
export class JournalError extends Error {}

/**
 * Records by key in one file that a crash at any moment leaves readable: changes are appended, those of one `append` as one
 * commit that counts as a whole or not at all, and once in a while the file is written anew beside its place and renamed. A
 * last commit that ends before its time is that of a write which did not come to its end, and nothing had followed from it yet.
 */
export class StateJournal {
  readonly #path: string;
  readonly #boot: string;
  /** By key, as they are in the file: what a new one would be made of. */
  readonly #records = new Map<string, Buffer>();
  #fd: number | undefined;
  #live = 0;
  #written = 0;
  /** In the file. */
  #commits = 0;

  /** `boot`: what tells one boot of the machine from the next. The file is made with the first `append`. */
  constructor(path: string, boot: string) {
    this.#path = path;
    this.#boot = boot;
  }

  /** The records of an earlier process; `undefined`: there is no such file. Throws `JournalError` where it is of no use. */
  read(): ReadonlyMap<string, unknown> | undefined {
    const octets = readIfThere(this.#path);
    return octets === undefined ? undefined : recordsOf(octets, this.#boot);
  }

  /**
   * Everything that follows from these has to wait until this returns. `undefined`: the record is gone. Throws an `Error` of
   * node:fs where it fails; the file is as it was before then, and the next commit has everything.
   */
  append(changes: Iterable<readonly [key: string, value: unknown]>): void {
    try {
      this.#commit(this.#note(changes));
    } catch (error) {
      // Nothing may follow what was written in part, and what was noted is in no file.
      this.close();
      throw error;
    }
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

  /** Those that are others than in the file. */
  #note(changes: Iterable<readonly [key: string, value: unknown]>): readonly Buffer[] {
    const others: Buffer[] = [];
    for (const [key, value] of changes) {
      const known = this.#records.get(key);
      const record = recordOf([key, value]);
      if (value === undefined ? known === undefined : known?.equals(record) === true) continue;
      this.#live += (value === undefined ? 0 : record.length) - (known?.length ?? 0);
      if (value === undefined) this.#records.delete(key);
      else this.#records.set(key, record);
      others.push(record);
    }
    return others;
  }

  #commit(records: readonly Buffer[]): void {
    if (records.length === 0) return;
    const commit = commitOf(this.#commits, records);
    if (this.#fd === undefined || this.#written + commit.length > SLACK_FACTOR * this.#live + SLACK_OCTETS) {
      this.#renew();
      return;
    }
    writeWhole(this.#fd, commit);
    this.#commits += 1;
    this.#written += commit.length;
  }

  #renew(): void {
    const beside = `${this.#path}.new`;
    const octets = Buffer.concat([PREAMBLE, commitOf(0, [recordOf(this.#boot), ...this.#records.values()])]);
    rmSync(beside, { force: true });
    const fd = openSync(beside, "wx", 0o600);
    try {
      writeWhole(fd, octets);
      renameSync(beside, this.#path);
    } catch (error) {
      closeSync(fd);
      rmSync(beside, { force: true });
      throw error;
    }
    this.close();
    this.#fd = fd;
    this.#commits = 1;
    this.#written = octets.length;
  }
}

function recordOf(value: unknown): Buffer {
  const octets = serialize(value);
  const length = Buffer.alloc(LENGTH_OCTETS);
  length.writeUInt32LE(octets.length);
  return Buffer.concat([length, octets]);
}

function commitOf(number: number, records: readonly Buffer[]): Buffer {
  const commit = Buffer.concat([Buffer.alloc(HEADER.octets), ...records]);
  const contents = commit.subarray(HEADER.octets);
  commit.writeUInt32LE(number, HEADER.number);
  commit.writeUInt32LE(contents.length, HEADER.length);
  commit.writeUInt32LE(crc32(contents), HEADER.crc);
  commit.writeUInt32LE(crc32(commit.subarray(0, HEADER.ownCrc)), HEADER.ownCrc);
  return commit;
}

function writeWhole(fd: number, octets: Buffer): void {
  for (let done = 0; done < octets.length; ) done += writeSync(fd, octets, done);
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new JournalError(error instanceof Error ? error.message : String(error));
  }
}

function recordsOf(octets: Buffer, expectedBoot: string): ReadonlyMap<string, unknown> {
  if (!octets.subarray(0, PREAMBLE.length).equals(PREAMBLE)) {
    throw new JournalError("it has another format, or is no state of this program");
  }
  const [boot, ...rest] = valuesOf(octets);
  if (typeof boot !== "string") throw new JournalError(DAMAGED);
  if (boot !== expectedBoot) throw new JournalError("it is from before the machine was booted");
  const records = new Map<string, unknown>();
  for (const record of rest) {
    if (!Array.isArray(record) || typeof record[0] !== "string") throw new JournalError(DAMAGED);
    if (record[1] === undefined) records.delete(record[0]);
    else records.set(record[0], record[1]);
  }
  return records;
}

function* valuesOf(octets: Buffer): Generator<unknown> {
  for (const contents of commitsOf(octets)) yield* valuesIn(contents);
}

/** Up to one that was not finished: of which the header is cut off, or is whole and says that there should be more. */
function* commitsOf(octets: Buffer): Generator<Buffer> {
  let at = PREAMBLE.length;
  for (let number = 0; at + HEADER.octets <= octets.length; number++) {
    const header = octets.subarray(at, at + HEADER.octets);
    const isSound = crc32(header.subarray(0, HEADER.ownCrc)) === header.readUInt32LE(HEADER.ownCrc);
    if (!isSound || header.readUInt32LE(HEADER.number) !== number) throw new JournalError(DAMAGED);
    const length = header.readUInt32LE(HEADER.length);
    at += HEADER.octets;
    const contents = octets.subarray(at, at + length);
    if (contents.length < length) return;
    if (crc32(contents) !== header.readUInt32LE(HEADER.crc)) throw new JournalError(DAMAGED);
    yield contents;
    at += length;
  }
}

function valuesIn(contents: Buffer): readonly unknown[] {
  const values: unknown[] = [];
  try {
    for (let at = 0; at < contents.length; ) {
      const end = at + LENGTH_OCTETS + contents.readUInt32LE(at);
      values.push(deserialize(contents.subarray(at + LENGTH_OCTETS, end)));
      at = end;
    }
  } catch {
    throw new JournalError(`${DAMAGED}, or another version of Node.js has written it`);
  }
  return values;
}
