/** What was deleted is expected to be gone by then, if nothing else was. */
const PATIENCE_MS = 30_000;
/** What one device takes to go: 36 ms on Linux 6.1, one after the other; a millisecond or two from 6.12 on. */
const DEVICE_DEPARTURE_MS = 50;

export interface MadeSession {
  readonly localControlConnectionId: number;
  readonly localSessionId: number;
  readonly interfaceName: string;
}

/**
 * What this daemon has in the kernel, and what it deleted a short while ago. The kernel lets the devices of a deleted
 * tunnel go one by one in the background, and until then refuses to make one of the same name or id: that refusal
 * passes, others do not.
 */
export class Inventory {
  readonly #now: () => number;
  readonly #tunnels = new Map<number, Set<number>>();
  readonly #sessions = new Map<number, MadeSession>();
  /** When what was deleted is gone at the latest, in the order of deletion. */
  readonly #goneAt = new Map<string, number>();
  #lastDepartureAt = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  addTunnel(localControlConnectionId: number): void {
    this.#tunnels.set(localControlConnectionId, new Set());
  }

  addSession({ localControlConnectionId, localSessionId, interfaceName }: MadeSession): void {
    this.#sessions.set(localSessionId, { localControlConnectionId, localSessionId, interfaceName });
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
    this.#leave(`tunnel ${localControlConnectionId}`);
  }

  removeSession(localSessionId: number): void {
    const session = this.#sessions.get(localSessionId);
    if (session === undefined) return;
    this.#sessions.delete(localSessionId);
    this.#tunnels.get(session.localControlConnectionId)?.delete(localSessionId);
    this.#leave(`session ${localSessionId}`);
    this.#leave(`interface ${session.interfaceName}`);
  }

  isTunnelLeaving(localControlConnectionId: number): boolean {
    return this.#isLeaving(`tunnel ${localControlConnectionId}`);
  }

  /** True where a thing of this id or of this name left a short while ago. */
  isSessionLeaving({ localSessionId, interfaceName }: MadeSession): boolean {
    return this.#isLeaving(`session ${localSessionId}`) || this.#isLeaving(`interface ${interfaceName}`);
  }

  leavingInterfaces(): string[] {
    const prefix = "interface ";
    return [...this.#goneAt.keys()].flatMap((key) => (key.startsWith(prefix) ? [key.slice(prefix.length)] : []));
  }

  #leave(key: string): void {
    const now = this.#now();
    for (const [old, goneAt] of this.#goneAt) {
      if (goneAt > now) break;
      this.#goneAt.delete(old);
    }
    this.#goneAt.delete(key);
    this.#goneAt.set(key, Math.max(this.#lastDepartureAt, now) + PATIENCE_MS);
  }

  #isLeaving(key: string): boolean {
    const goneAt = this.#goneAt.get(key);
    return goneAt !== undefined && goneAt > this.#now();
  }
}
