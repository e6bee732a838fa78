import type { AvpValues } from "../avp/messages.ts";
import type { SessionConfiguration, TunnelConfiguration } from "./configuration.ts";
import type { Instant } from "./core.ts";
import type { Dialect } from "./dialects.ts";
import { endIdForms } from "./end-id-forms.ts";
import { because, CDN, type Result } from "./result-codes.ts";
import { Session } from "./session.ts";
import { initialSessionState, NO_OCTETS, type SessionState } from "./session-state.ts";

/** The sessions of one tunnel: by name, and by what the peer calls them. */
export class SessionTable {
  readonly #byName: ReadonlyMap<string, Session>;
  /** By the forwarder that a call names: attachment group and our end's id (RFC 4667 4.3). */
  readonly #byForwarder: ReadonlyMap<string, Session>;
  /** The same in the formats that nobody has configured; `undefined`: several sessions, so it tells nothing. */
  readonly #byOtherForm = new Map<string, Session | undefined>();
  /** Each session keeps its own entry right. */
  readonly #byRemoteId = new Map<number, Session>();

  /** `saved`: states of sessions that go on from where an earlier process left them. */
  constructor(tunnel: TunnelConfiguration, now: Instant, saved: readonly SessionState[] = []) {
    const states = new Map(saved.map((state) => [state.name, state]));
    const sessions = tunnel.sessions.map((configuration) => {
      const state = states.get(configuration.name) ?? initialSessionState(configuration, now);
      return new Session(configuration, tunnel, state, this.#byRemoteId);
    });
    this.#byName = new Map(sessions.map((session) => [session.configuration.name, session]));
    this.#byForwarder = new Map(
      sessions.map((session) => {
        const { configuration } = session;
        return [forwarder(configuration.attachmentGroup, ownEndId(configuration)), session];
      }),
    );
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
