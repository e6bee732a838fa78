import { createHmac, randomBytes } from "node:crypto";
import type { StandIns } from "../avp/sanitise.ts";
import type { SessionConfiguration, TunnelConfiguration } from "../control/configuration.ts";

const KEY_LENGTH = 32;

/**
 * The stand-ins of one recording. Secrets become "secret-1", "secret-2" … in the order in which they are met. Everything
 * else becomes a keyed hash: nothing has to be remembered, and without the key, which never leaves this object, nobody
 * can tell what was there.
 */
export class RecordingStandIns implements StandIns {
  readonly #key = randomBytes(KEY_LENGTH);
  readonly #secrets = new Map<string, Uint8Array>();

  readonly secret = (secret: Uint8Array): Uint8Array => {
    if (secret.length === 0) return secret;
    const name = Buffer.from(secret).toString("latin1");
    const known = this.#secrets.get(name);
    if (known !== undefined) return known;
    const standIn = new Uint8Array(Buffer.from(`secret-${this.#secrets.size + 1}`));
    this.#secrets.set(name, standIn);
    return standIn;
  };

  octets(octets: Uint8Array): Uint8Array {
    const { length } = octets;
    const standIn = new Uint8Array(length);
    for (let offset = 0, block = 0; offset < length; block++) {
      const hash = this.#hash(octets, block).subarray(0, length - offset);
      standIn.set(hash, offset);
      offset += hash.length;
    }
    return standIn;
  }

  #hash(octets: Uint8Array, block: number): Uint8Array {
    return createHmac("sha256", this.#key).update(`${block} `).update(octets).digest();
  }
}

/** Cookies that are typed in stand in the configuration, and keep their length. */
export function tunnelsWithoutCookies(
  tunnels: readonly TunnelConfiguration[],
  standIns: Pick<StandIns, "octets">,
): readonly TunnelConfiguration[] {
  const session = (each: SessionConfiguration): SessionConfiguration => {
    if (each.static === undefined) return each;
    const { localCookie, remoteCookie } = each.static;
    const cookies = { localCookie: standIns.octets(localCookie), remoteCookie: standIns.octets(remoteCookie) };
    return { ...each, static: { ...each.static, ...cookies } };
  };
  return tunnels.map((tunnel) => ({ ...tunnel, sessions: tunnel.sessions.map(session) }));
}
