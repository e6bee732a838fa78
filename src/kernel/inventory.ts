import type { DeviceSettings, SessionRequest } from "./datapath.ts";
import { devicesOf } from "./device-names.ts";

/** What was deleted is expected to be gone by then, if nothing else was. */
const PATIENCE_MS = 30_000;
/** What one device takes to go: 36 ms on Linux 6.1, one after the other; a millisecond or two from 6.12 on. */
const DEVICE_DEPARTURE_MS = 50;

/** A session as far as others can interfere with it: without cookies and what else the kernel alone needs. */
export type MadeSession = Pick<
  SessionRequest,
  | "localControlConnectionId"
  | "localSessionId"
  | "remoteSessionId"
  | "interfaceName"
  | "vlan"
  | "bridge"
  | "isolated"
  | "addresses"
  | "routes"
>;

/** Cookies are not kept. */
export function madeOf(session: MadeSession): MadeSession {
  const { localControlConnectionId, localSessionId, remoteSessionId, interfaceName, vlan, ...more } = session;
  const { bridge, isolated, addresses, routes } = more;
  const ids = { localControlConnectionId, localSessionId, remoteSessionId };
  return { ...ids, interfaceName, vlan, bridge, isolated, addresses, routes };
}

/** Who wants to know of the devices that are ours. */
export interface DeviceFollower {
  added(session: MadeSession): void;
  /** Its device is to be like this from now on. */
  changed(session: MadeSession): void;
  removed(localSessionId: number): void;
  switched(localSessionId: number, up: boolean): void;
}

/**
 * What this daemon has in the kernel, and what it deleted a short while ago. The kernel lets the devices of a deleted
 * tunnel go one by one in the background, and until then refuses to make one of the same name: that refusal passes,
 * others do not. Ids are random and rest for minutes, so only names come back.
 */
export class Inventory {
  readonly #now: () => number;
  readonly #follower: DeviceFollower | undefined;
  readonly #tunnels = new Map<number, Set<number>>();
  readonly #remoteIds = new Map<number, number>();
  readonly #sessions = new Map<number, MadeSession>();
  /** Those whose device was set down after it had been made: the kernel may have dropped addresses. */
  readonly #lowered = new Set<number>();
  readonly #raised = new Set<number>();
  /** By interface name: when the deleted device is gone at the latest, in the order of deletion. */
  readonly #goneAt = new Map<string, number>();
  /** Names that devices of an earlier process were found to have, and that were waited for once. */
  readonly #leftovers = new Set<string>();
  #lastDepartureAt = 0;

  constructor(now: () => number, follower?: DeviceFollower) {
    this.#now = now;
    this.#follower = follower;
  }

  /** `remoteControlConnectionId`: 0 where it is not known. */
  addTunnel(localControlConnectionId: number, remoteControlConnectionId = 0): void {
    this.#tunnels.set(localControlConnectionId, new Set());
    this.#remoteIds.set(localControlConnectionId, remoteControlConnectionId);
  }

  /** `undefined`: there is no such tunnel. */
  remoteIdOf(localControlConnectionId: number): number | undefined {
    return this.#remoteIds.get(localControlConnectionId);
  }

  addSession(session: MadeSession): void {
    const made = madeOf(session);
    this.#sessions.set(made.localSessionId, made);
    this.#tunnels.get(made.localControlConnectionId)?.add(made.localSessionId);
    this.#leftovers.delete(made.interfaceName);
    this.#follower?.added(made);
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
    this.#remoteIds.delete(localControlConnectionId);
  }

  removeSession(localSessionId: number): void {
    const session = this.#sessions.get(localSessionId);
    if (session === undefined) return;
    this.#sessions.delete(localSessionId);
    this.#lowered.delete(localSessionId);
    this.#raised.delete(localSessionId);
    this.#tunnels.get(session.localControlConnectionId)?.delete(localSessionId);
    this.#follower?.removed(localSessionId);
    for (const name of devicesOf(session)) this.markLeaving(name);
  }

  changeSession(localSessionId: number, { bridge, isolated, addresses, routes }: DeviceSettings): void {
    const session = this.#sessions.get(localSessionId);
    if (session === undefined) return;
    const changed = { ...session, bridge, isolated, addresses, routes };
    this.#sessions.set(localSessionId, changed);
    this.#follower?.changed(changed);
  }

  /** Its device is up, as far as this process knows. */
  isRaised(localSessionId: number): boolean {
    return this.#raised.has(localSessionId);
  }

  markLowered(localSessionId: number): void {
    this.#lowered.add(localSessionId);
  }

  /** Its device was set up or down. */
  markSwitched(localSessionId: number, up: boolean): void {
    if (up) this.#raised.add(localSessionId);
    else this.#raised.delete(localSessionId);
    this.#follower?.switched(localSessionId, up);
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

  /** A device that an earlier process left behind has the name: it goes with its socket, and is waited for once. */
  markLeftover(interfaceName: string): void {
    if (this.#leftovers.has(interfaceName)) return;
    this.#leftovers.add(interfaceName);
    // How many there are is not known.
    this.#lastDepartureAt = Math.max(this.#lastDepartureAt, this.#now()) + DEVICE_DEPARTURE_MS;
    this.markLeaving(interfaceName);
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
