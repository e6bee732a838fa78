import { readFileSync, rmSync, writeFileSync } from "node:fs";

/** So often a state may be gone on from in a row without its process living for a while: then the fault may be in the state. */
const MOST_TRIES = 8;
const LONG_ENOUGH_MS = 10_000;

/** Counts, from process to process, how often the same state was gone on from and the process ended soon. */
export class Tries {
  readonly #path: string;

  /** `path`: of a file that outlives the process. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Throws an `Error` that says so where it has been tried often enough. What cannot be counted is not. */
  begin(): void {
    const before = this.#read();
    if (before >= MOST_TRIES) {
      this.forget();
      throw new Error(`it was tried ${before} times, and each time the process ended soon`);
    }
    try {
      writeFileSync(this.#path, String(before + 1), { mode: 0o600 });
    } catch {
      return;
    }
    setTimeout(() => this.forget(), LONG_ENOUGH_MS).unref();
  }

  forget(): void {
    rmSync(this.#path, { force: true });
  }

  #read(): number {
    try {
      return Number.parseInt(readFileSync(this.#path, "latin1"), 10) || 0;
    } catch {
      return 0;
    }
  }
}
