import { closeSync, openSync, unlinkSync, writeSync } from "node:fs";

/** Lines that wait for the loop to turn are written before there are more than these octets of them. */
const LONGEST_BUFFER = 256 * 1024;

/** Only its owner may read it. */
const MODE = 0o600;

/** Where lines of a recording go. */
export interface Lines {
  /** False once nothing is taken any more. */
  readonly open: boolean;
  append(line: string): void;
  /** Takes nothing any more; `error` says why. */
  fail(error: unknown): void;
}

/**
 * A new file that lines are appended to. What was appended in one turn of the event loop is written when that is over,
 * and so is not lost when the process is killed later. The first error is told, and then the file is left as it is.
 */
export class RecordingFile implements Lines {
  readonly path: string;
  #fd: number | undefined;
  readonly #failed: (error: Error) => void;
  #waiting = "";
  #empty = true;
  readonly #flushAtExit = () => this.#flush();

  /** `fd` is open for writing, and closed in the end. `failed` hears of the error that ended the recording, if any. */
  constructor(path: string, fd: number, failed: (error: Error) => void) {
    this.path = path;
    this.#fd = fd;
    this.#failed = failed;
    // The process may end by an error that nobody has caught.
    process.on("exit", this.#flushAtExit);
  }

  /** Throws an `Error` that names the path where it cannot be written, or exists: it is never overwritten. */
  static create(path: string, failed: (error: Error) => void): RecordingFile {
    return new RecordingFile(path, create(path), failed);
  }

  get open(): boolean {
    return this.#fd !== undefined;
  }

  append(line: string): void {
    if (!this.open) return;
    if (this.#waiting === "") setImmediate(() => this.#flush());
    this.#waiting += `${line}\n`;
    if (this.#waiting.length > LONGEST_BUFFER) this.#flush();
  }

  fail(error: unknown): void {
    if (!this.open) return;
    attempt(() => this.#release());
    this.#failed(asError(error));
  }

  /** Writes what waits. A file that nothing was recorded in is removed again. */
  close(): void {
    this.#flush();
    if (!this.open) return;
    const error = attempt(() => {
      this.#release();
      if (this.#empty) unlinkSync(this.path);
    });
    if (error !== undefined) this.#failed(error);
  }

  #flush(): void {
    const fd = this.#fd;
    if (this.#waiting === "" || fd === undefined) return;
    const octets = Buffer.from(this.#waiting);
    this.#waiting = "";
    try {
      for (let offset = 0; offset < octets.length; ) offset += writeSync(fd, octets, offset);
      this.#empty = false;
    } catch (error) {
      this.fail(error);
    }
  }

  #release(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    this.#waiting = "";
    process.off("exit", this.#flushAtExit);
    // On some file systems an error of writing is told only here.
    if (fd !== undefined) closeSync(fd);
  }
}

/** What came of it, if not what was meant: a recording must not take the daemon with it. */
function attempt(act: () => void): Error | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return asError(error);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function create(path: string): number {
  try {
    return openSync(path, "wx", MODE);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === "EEXIST" ? "there is a file of that name already, and it is left as it is" : message;
    throw new Error(`recording ${path}: ${why}`, { cause: error });
  }
}
