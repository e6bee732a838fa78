/** What was deleted is expected to be gone by then, if nothing else was. */
const PATIENCE_MS = 30_000;
/** What one device takes to go: 36 ms on Linux 6.1, one after the other; a millisecond or two from 6.12 on. */
const DEVICE_DEPARTURE_MS = 50;

export interface MadeSession {
  readonly localControlConnectionId: number;
  readonly localSessionId: number;
  readonly interfaceName: string;
  /** CIDR notation. */
  readonly addresses: readonly string[];
}

/**
 * What this daemon has in the kernel, and what it deleted a short while ago. The kernel lets the devices of a deleted
 * tunnel go one by one in the background, and until then refuses to make one of the same name: that refusal passes,
 * others do not. Ids are random and rest for minutes, so only names come back.
 */
export class Inventory {
  readonly #now: () => number;
  readonly #tunnels = new Map<number, Set<number>>();
  readonly #sessions = new Map<number, MadeSession>();
  /** Those whose device was set down after it had been made: the kernel may have dropped addresses. */
  readonly #lowered = new Set<number>();
  /** By interface name: when the deleted device is gone at the latest, in the order of deletion. */
  readonly #goneAt = new Map<string, number>();
  #lastDepartureAt = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  addTunnel(localControlConnectionId: number): void {
    this.#tunnels.set(localControlConnectionId, new Set());
  }

  addSession({ localControlConnectionId, localSessionId, interfaceName, addresses }: MadeSession): void {
    this.#sessions.set(localSessionId, { localControlConnectionId, localSessionId, interfaceName, addresses });
    this.#tunnels.get(localControlConnectionId)?.add(localSessionId);
  }

  tunnels(): number[] {
    return [...this.#tunnels.keys()];
  }

  hasTunnel(localControlConnectionId: number): boolean {
    return this.#tunnels.has(localControlConnectionId);
  }

  session(localSessionId: number): MadeSession | undefined {
    return this.#sessions.get(localSessionId);
  }

  /** Those of one tunnel, or all. */
  sessions(localControlConnectionId: number | undefined): MadeSession[] {
    if (localControlConnectionId === undefined) return [...this.#sessions.values()];
    const ids = this.#tunnels.get(localControlConnectionId) ?? [];
    return [...ids].flatMap((id) => this.#sessions.get(id) ?? []);
  }

  /** Its sessions' devices go one after the other, behind those of tunnels that were removed before. */
  removeTunnel(localControlConnectionId: number): void {
    const sessions = this.sessions(localControlConnectionId);
    this.#lastDepartureAt = Math.max(this.#lastDepartureAt, this.#now()) + sessions.length * DEVICE_DEPARTURE_MS;
    for (const { localSessionId } of sessions) this.removeSession(localSessionId);
    this.#tunnels.delete(localControlConnectionId);
  }

  removeSession(localSessionId: number): void {
    const session = this.#sessions.get(localSessionId);
    if (session === undefined) return;
    this.#sessions.delete(localSessionId);
    this.#lowered.delete(localSessionId);
    this.#tunnels.get(session.localControlConnectionId)?.delete(localSessionId);
    this.markLeaving(session.interfaceName);
  }

  markLowered(localSessionId: number): void {
    this.#lowered.add(localSessionId);
  }

  /** True where `markLowered` was called since it was made, or since this was asked last. */
  takeLowered(localSessionId: number): boolean {
    return this.#lowered.delete(localSessionId);
  }

  /** True where a device of this name left a short while ago. */
  isLeaving(interfaceName: string): boolean {
    const goneAt = this.#goneAt.get(interfaceName);
    return goneAt !== undefined && goneAt > this.#now();
  }

  leavingInterfaces(): string[] {
    return [...this.#goneAt.keys()];
  }

  /** A device that was deleted is on its way out. */
  markLeaving(interfaceName: string): void {
    const now = this.#now();
    for (const [old, goneAt] of this.#goneAt) {
      if (goneAt > now) break;
      this.#goneAt.delete(old);
    }
    this.#goneAt.delete(interfaceName);
    this.#goneAt.set(interfaceName, Math.max(this.#lastDepartureAt, now) + PATIENCE_MS);
  }
}
