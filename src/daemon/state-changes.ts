import type { TunnelConfiguration } from "../control/configuration.ts";
import type { Instant } from "../control/core.ts";
import type { LcceState } from "../control/lcce.ts";
import type { SessionState } from "../control/session-state.ts";
import { remembered } from "./remembered.ts";
import { copyOfSession, isSameSession } from "./same-session.ts";
import {
  type Change,
  configurationKey,
  connectionKey,
  lcceKey,
  messageKey,
  sessionKey,
  timerKey,
  tunnelKey,
} from "./saved-state.ts";

type ConnectionState = LcceState["connections"][number];

interface Written {
  readonly key: string;
  /** As it was. */
  readonly state: SessionState;
}

interface WrittenTunnel {
  readonly sessions: Map<string, Written>;
  readonly connections: Set<number>;
}

/**
 * What of a state differs from what was written. A turn costs what it changes, not what there is: with thousands of sessions in a
 * tunnel each of them, each timer and each message that waits is a record of its own, and comparing is all that the others cost.
 */
export class StateChanges {
  readonly #salt: Uint8Array;
  #configurations: ReadonlyMap<string, TunnelConfiguration>;
  /** Whose configuration was written. */
  readonly #remembered = new Set<string>();
  readonly #tunnels = new Map<string, WrittenTunnel>();
  /** By local Session ID, of the sessions as they were written: the tunnel's name. */
  readonly #owners = new Map<number, string>();
  readonly #timers = new Map<string, Instant>();
  /** Of each connection: the messages that wait. */
  readonly #waiting = new Map<number, ReadonlySet<number>>();
  readonly #numbers = new WeakMap<object, number>();
  #numbered = 0;

  /** `salt`: see `remembered`. */
  constructor(tunnels: readonly TunnelConfiguration[], salt: Uint8Array) {
    this.#configurations = byName(tunnels);
    this.#salt = salt;
  }

  configure(tunnels: readonly TunnelConfiguration[]): void {
    this.#configurations = byName(tunnels);
    this.#remembered.clear();
  }

  /** Whose session was written with this local Session ID; `undefined`: nobody's. */
  tunnelOf(localSessionId: number): string | undefined {
    return this.#owners.get(localSessionId);
  }

  /** Only of tunnels that `isTouched`, and of timers. To be written as a whole. */
  *since(state: LcceState, isTouched: (tunnel: string) => boolean): Generator<Change> {
    yield [lcceKey, { serialNumber: state.serialNumber, salt: this.#salt }];
    yield* this.#timerChanges(state.timers);
    const connections = new Map<string, ConnectionState[]>();
    for (const connection of state.connections) {
      if (!isTouched(connection.tunnel)) continue;
      const known = connections.get(connection.tunnel);
      if (known === undefined) connections.set(connection.tunnel, [connection]);
      else known.push(connection);
    }
    for (const { state: tunnel, sessions } of state.tunnels) {
      if (!isTouched(tunnel.name)) continue;
      yield* this.#configurationOf(tunnel.name);
      yield* this.#sessionChanges(tunnel.name, sessions);
      yield* this.#connectionChanges(tunnel.name, connections.get(tunnel.name) ?? []);
      yield [tunnelKey(tunnel.name), { state: tunnel }];
    }
    if (this.#tunnels.size > state.tunnels.length) yield* this.#forgetOthers(state.tunnels);
  }

  *#timerChanges(timers: LcceState["timers"]): Generator<Change> {
    for (const entry of timers) {
      if (this.#timers.get(entry.key) === entry.at) continue;
      this.#timers.set(entry.key, entry.at);
      yield [timerKey(entry.key), entry];
    }
    if (this.#timers.size === timers.length) return;
    const set = new Set(timers.map(({ key }) => key));
    for (const key of this.#timers.keys()) {
      if (set.has(key)) continue;
      this.#timers.delete(key);
      yield [timerKey(key), undefined];
    }
  }

  /** It is not part of the state. */
  *#configurationOf(name: string): Generator<Change> {
    const configuration = this.#configurations.get(name);
    if (this.#remembered.has(name) || configuration === undefined) return;
    this.#remembered.add(name);
    yield [configurationKey(name), { name, ...remembered(configuration, this.#salt) }];
  }

  #written(tunnel: string): WrittenTunnel {
    const written = this.#tunnels.get(tunnel) ?? { sessions: new Map(), connections: new Set() };
    this.#tunnels.set(tunnel, written);
    return written;
  }

  *#sessionChanges(tunnel: string, states: readonly SessionState[]): Generator<Change> {
    const { sessions } = this.#written(tunnel);
    for (const state of states) {
      const written = sessions.get(state.name);
      if (written !== undefined && isSameSession(state, written.state)) continue;
      const key = written?.key ?? sessionKey(tunnel, state.name);
      this.#disown(tunnel, written);
      if (state.localSessionId !== 0) this.#owners.set(state.localSessionId, tunnel);
      sessions.set(state.name, { key, state: copyOfSession(state) });
      yield [key, { tunnel, state }];
    }
    if (sessions.size === states.length) return;
    const names = new Set(states.map(({ name }) => name));
    for (const [name, written] of sessions) {
      if (names.has(name)) continue;
      sessions.delete(name);
      this.#disown(tunnel, written);
      yield [written.key, undefined];
    }
  }

  #disown(tunnel: string, written: Written | undefined): void {
    const id = written?.state.localSessionId ?? 0;
    if (this.#owners.get(id) === tunnel) this.#owners.delete(id);
  }

  *#connectionChanges(tunnel: string, states: readonly ConnectionState[]): Generator<Change> {
    const { connections } = this.#written(tunnel);
    const present = new Set(states.map(({ localControlConnectionId }) => localControlConnectionId));
    for (const id of connections) if (!present.has(id)) yield* this.#forgetConnection(id, connections);
    for (const state of states) {
      const { localControlConnectionId: id, channel } = state;
      connections.add(id);
      const [waiting, waitingBehind] = [this.#numbersOf(channel.waiting), this.#numbersOf(channel.waitingBehind)];
      yield* this.#messageChanges(id, [...channel.waiting, ...channel.waitingBehind]);
      yield [connectionKey(id), { state: { ...state, channel: { ...channel, waiting, waitingBehind } } }];
    }
  }

  #numbersOf(messages: readonly object[]): readonly number[] {
    return messages.map((message) => {
      const number = this.#numbers.get(message) ?? ++this.#numbered;
      this.#numbers.set(message, number);
      return number;
    });
  }

  *#messageChanges(connection: number, messages: readonly object[]): Generator<Change> {
    const before = this.#waiting.get(connection);
    const now = new Set<number>();
    for (const message of messages) {
      const number = this.#numbers.get(message) ?? 0;
      now.add(number);
      if (before?.has(number) !== true) yield [messageKey(number), message];
    }
    for (const number of before ?? []) if (!now.has(number)) yield [messageKey(number), undefined];
    this.#waiting.set(connection, now);
  }

  *#forgetConnection(id: number, connections: Set<number>): Generator<Change> {
    connections.delete(id);
    yield* this.#messageChanges(id, []);
    this.#waiting.delete(id);
    yield [connectionKey(id), undefined];
  }

  *#forgetOthers(tunnels: LcceState["tunnels"]): Generator<Change> {
    const names = new Set(tunnels.map(({ state }) => state.name));
    for (const [name, { sessions, connections }] of this.#tunnels) {
      if (names.has(name)) continue;
      this.#tunnels.delete(name);
      for (const id of [...connections]) yield* this.#forgetConnection(id, connections);
      for (const written of sessions.values()) {
        this.#disown(name, written);
        yield [written.key, undefined];
      }
      for (const key of [tunnelKey(name), configurationKey(name)]) yield [key, undefined];
    }
  }
}

function byName(tunnels: readonly TunnelConfiguration[]): ReadonlyMap<string, TunnelConfiguration> {
  return new Map(tunnels.map((tunnel) => [tunnel.name, tunnel]));
}
