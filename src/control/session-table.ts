import type { AvpValues } from "../avp/messages.ts";
import { isAnew, sessionChanges } from "./changes.ts";
import type { SessionConfiguration, TunnelConfiguration } from "./configuration.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { Instant } from "./core.ts";
import type { Dialect } from "./dialects.ts";
import { endIdForms } from "./end-id-forms.ts";
import { because, CDN, type Result } from "./result-codes.ts";
import { Session } from "./session.ts";
import { initialSessionState, NO_OCTETS, type SessionState, succeed } from "./session-state.ts";
import type { Turn } from "./turn.ts";

/** The sessions of one tunnel: by name, and by what the peer calls them. */
export class SessionTable {
  #byName: ReadonlyMap<string, Session> = new Map();
  /** By the forwarder that a call names: attachment group and our end's id (RFC 4667 4.3). */
  #byForwarder: ReadonlyMap<string, Session> = new Map();
  /** The same in the formats that nobody has configured; `undefined`: several sessions, so it tells nothing. */
  readonly #byOtherForm = new Map<string, Session | undefined>();
  /** Each session keeps its own entry right. */
  readonly #byRemoteId = new Map<number, Session>();

  /** `saved`: states of sessions that go on from where an earlier process left them. */
  constructor(tunnel: TunnelConfiguration, now: Instant, saved: readonly SessionState[] = []) {
    const states = new Map(saved.map((state) => [state.name, state]));
    this.#index(
      tunnel.sessions.map((configuration) => {
        const state = states.get(configuration.name) ?? initialSessionState(configuration, now);
        return new Session(configuration, tunnel, state, this.#byRemoteId);
      }),
    );
  }

  /** Ends those that the tunnel is not to have any more, or not in this way. `connection`: the tunnel's, if it has one. */
  giveUp(tunnel: TunnelConfiguration, connection: ControlConnection | undefined, turn: Turn): void {
    for (const [session, reason] of endingSessions(this.#byName.values(), tunnel)) {
      session.giveUp(reason, connection, turn);
    }
  }

  /** Goes on with the others, and with those that are new; these are called soon where it is up to this end. */
  follow(tunnel: TunnelConfiguration, connection: ControlConnection | undefined, turn: Turn): void {
    const before = this.#byName;
    const begun: Session[] = [];
    this.#index(
      tunnel.sessions.map((configuration) => {
        const known = before.get(configuration.name);
        if (known !== undefined && !isAnew(sessionChanges(known.configuration, configuration))) {
          known.follow(configuration, tunnel, turn);
          return known;
        }
        const state = succeed(known?.state, configuration, turn.now);
        const session = new Session(configuration, tunnel, state, this.#byRemoteId);
        begun.push(session);
        return session;
      }),
    );
    for (const session of begun) {
      if (connection?.established && session.callsOn(connection)) session.callSoon(turn);
    }
  }

  #index(sessions: readonly Session[]): void {
    this.#byName = new Map(sessions.map((session) => [session.configuration.name, session]));
    this.#byForwarder = new Map(
      sessions.map((session) => {
        const { configuration } = session;
        return [forwarder(configuration.attachmentGroup, ownEndId(configuration)), session];
      }),
    );
    this.#byOtherForm.clear();
    for (const session of sessions) this.#addOtherForms(session);
  }

  #addOtherForms(session: Session): void {
    const { configuration } = session;
    for (const form of formsOf(ownEndId(configuration), configuration).slice(1)) {
      const key = forwarder(configuration.attachmentGroup, form);
      this.#byOtherForm.set(key, this.#byOtherForm.has(key) ? undefined : session);
    }
  }

  get(name: string): Session | undefined {
    return this.#byName.get(name);
  }

  /** In the order of the configuration. */
  values(): IterableIterator<Session> {
    return this.#byName.values();
  }

  /**
   * The session that a call is for: what it names as its end and ours has to agree with the configuration, as opaque
   * octets (RFC 3931 5.4.4, RFC 4667 4.3), or with some dialects in whatever format. Where the caller's own id is absent
   * it is that of ours.
   */
  attachedTo(avps: AvpValues, { takesAnyEndId }: Dialect): Session | { readonly flaw: Result } {
    const { remoteEndId = NO_OCTETS, attachmentGroupIdentifier = NO_OCTETS } = avps;
    const key = forwarder(attachmentGroupIdentifier, remoteEndId);
    const session = this.#byForwarder.get(key) ?? (takesAnyEndId ? this.#byOtherForm.get(key) : undefined);
    if (session === undefined) return { flaw: unknownForwarder(attachmentGroupIdentifier, remoteEndId) };
    const caller = avps.localEndId ?? remoteEndId;
    const { configuration } = session;
    const expected = takesAnyEndId ? formsOf(configuration.remoteEndId, configuration) : [configuration.remoteEndId];
    if (expected.some((form) => keyOf(form) === keyOf(caller))) return session;
    const message = `${readable(remoteEndId)} is not for ${readable(caller)}`;
    return { flaw: because(CDN.forwarderUnauthorized, message) };
  }

  /** The session that the peer gave this id. */
  withRemoteId(remoteSessionId: number): Session | undefined {
    return this.#byRemoteId.get(remoteSessionId);
  }
}

const REMOVED = "removed from the configuration";
export const CHANGED = "its configuration was changed";

/** Those that end, and why. */
export function* endingSessions<S extends { readonly configuration: SessionConfiguration }>(
  sessions: Iterable<S>,
  tunnel: TunnelConfiguration,
): Generator<readonly [S, string]> {
  const wanted = new Map(tunnel.sessions.map((configuration) => [configuration.name, configuration]));
  for (const session of sessions) {
    const after = wanted.get(session.configuration.name);
    if (after === undefined) yield [session, REMOVED];
    else if (isAnew(sessionChanges(session.configuration, after))) yield [session, CHANGED];
  }
}

function ownEndId({ localEndId, remoteEndId }: SessionConfiguration): Uint8Array {
  return localEndId ?? remoteEndId;
}

/** How a configured id may be written, as it stands in the file first. */
function formsOf(endId: Uint8Array, { leftToDialect }: SessionConfiguration): readonly Uint8Array[] {
  return leftToDialect?.endIdFormat === true ? endIdForms(endId) : [endId];
}

function forwarder(group: Uint8Array, endId: Uint8Array): string {
  return `${group.length} ${keyOf(group)}${keyOf(endId)}`;
}

function keyOf(octets: Uint8Array): string {
  return String.fromCharCode(...octets);
}

function unknownForwarder(group: Uint8Array, endId: Uint8Array): Result {
  const where = group.length === 0 ? "" : ` in attachment group ${readable(group)}`;
  return because(CDN.forwarderUnknown, `no session has the Remote End ID ${readable(endId)}${where}`);
}

function readable(octets: Uint8Array): string {
  const ascii = octets.every((octet) => octet >= 0x20 && octet < 0x7f);
  if (ascii) return `"${String.fromCharCode(...octets)}"`;
  return `0x${Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("")}`;
}
