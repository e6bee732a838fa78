import { randomFillSync } from "node:crypto";
import type { Entropy } from "../control/core.ts";

const POOL_LENGTH = 4_096;

/** Cryptographically strong, as RFC 3931 8.2 wants session ids and cookies to be. */
export class SystemEntropy implements Entropy {
  readonly #pool = Buffer.alloc(POOL_LENGTH);
  #used = POOL_LENGTH;

  uint32(): number {
    return Buffer.from(this.octets(4)).readUInt32BE();
  }

  octets(length: number): Uint8Array {
    if (this.#used + length > POOL_LENGTH) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const octets = Uint8Array.from(this.#pool.subarray(this.#used, this.#used + length));
    this.#used += length;
    return octets;
  }

  secretOctets(length: number): Uint8Array {
    return this.octets(length);
  }
}
