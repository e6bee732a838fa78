import type { TunnelConfiguration } from "./configuration.ts";
import type { Instant } from "./core.ts";
import { Session, type SessionState } from "./session.ts";

/** The sessions of one tunnel: by name, and by what the peer calls them. */
export class SessionTable {
  readonly #byName: ReadonlyMap<string, Session>;
  readonly #byEndId: ReadonlyMap<string, Session>;
  /** Each session keeps its own entry right. */
  readonly #byRemoteId = new Map<number, Session>();

  /** `saved`: states of sessions that go on from where an earlier process left them. */
  constructor(tunnel: TunnelConfiguration, now: Instant, saved: readonly SessionState[] = []) {
    const states = new Map(saved.map((state) => [state.name, state]));
    const sessions = tunnel.sessions.map((configuration) => {
      const state = states.get(configuration.name) ?? Session.initialState(configuration, now);
      return new Session(configuration, tunnel, state, this.#byRemoteId);
    });
    this.#byName = new Map(sessions.map((session) => [session.configuration.name, session]));
    this.#byEndId = new Map(sessions.map((session) => [keyOf(session.configuration.remoteEndId), session]));
  }

  get(name: string): Session | undefined {
    return this.#byName.get(name);
  }

  /** In the order of the configuration. */
  values(): IterableIterator<Session> {
    return this.#byName.values();
  }

  /** RFC 3931 5.4.4: the Remote End ID binds a call to a configured pseudowire, as opaque octets. */
  withEndId(remoteEndId: Uint8Array | undefined): Session | undefined {
    return remoteEndId && this.#byEndId.get(keyOf(remoteEndId));
  }

  /** The session that the peer gave this id. */
  withRemoteId(remoteSessionId: number): Session | undefined {
    return this.#byRemoteId.get(remoteSessionId);
  }
}

function keyOf(octets: Uint8Array): string {
  return String.fromCharCode(...octets);
}
