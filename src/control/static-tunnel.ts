import type { DecodedMessage } from "../avp/decode.ts";
import { describeMessage } from "../avp/describe.ts";
import { avpsOf } from "./admission.ts";
import type { AnyTunnel } from "./any-tunnel.ts";
import { Authentication } from "./authentication.ts";
import { isAnew, sessionChanges } from "./changes.ts";
import type { AuthenticationConfiguration, StaticTunnelConfiguration, TunnelConfiguration } from "./configuration.ts";
import { ControlConnection } from "./control-connection.ts";
import type { Endpoint, Instant } from "./core.ts";
import { type EndedBy, noteEnding } from "./ending.ts";
import { anyAddress, endpointText, familyOf } from "./endpoint.ts";
import { changeAuthentication } from "./live-change.ts";
import { noteAddresses, PeerLookup } from "./peer-lookup.ts";
import { forgetErrors } from "./present-error.ts";
import { isBeginning } from "./reliable-channel.ts";
import { describeResult, type Result } from "./result-codes.ts";
import { Retry } from "./retry.ts";
import { same } from "./same.ts";
import { initialSessionState, succeed } from "./session-state.ts";
import { endingSessions } from "./session-table.ts";
import { StaticSession } from "./static-session.ts";
import { initialState, type SavedTunnel, type TunnelState } from "./tunnel-state.ts";
import type { ConnectionTimer, Turn } from "./turn.ts";

/**
 * A tunnel that is typed in at both ends, as with `ip l2tp`: it is there when the datapath has made it.
 *
 * mode = "hello-only": the two ends know nothing of each other but HELLO and its acknowledgement (RFC 3931 4.2, 4.4, as
 * Cisco's manual sessions with `l2tp hello`). The tunnel is established while the peer acknowledges our HELLO. When it
 * has been silent for a full retransmission cycle the devices go down, and one HELLO after the other asks for it, with
 * the pauses of `reconnect`. Both ends count from 0, and nothing tells that one has begun anew: see
 * `ReliableChannel.resynchronise`.
 */
export class StaticTunnel implements AnyTunnel {
  configuration: TunnelConfiguration;
  readonly state: TunnelState;
  sessions: ReadonlyMap<string, StaticSession>;
  readonly #numbers: StaticTunnelConfiguration;
  readonly #retry: Retry;
  readonly #lookup: PeerLookup;

  constructor(
    configuration: TunnelConfiguration,
    numbers: StaticTunnelConfiguration,
    now: Instant,
    saved: SavedTunnel | undefined,
  ) {
    this.configuration = configuration;
    this.#numbers = numbers;
    this.state = saved?.state ?? initialState(configuration, now);
    const { name, reconnect } = configuration;
    this.#retry = new Retry(`attempt ${name}`, { owner: "tunnel", name, kind: "attempt" }, reconnect, this.state);
    this.#lookup = new PeerLookup(configuration);
    const states = new Map(saved?.sessions.map((state) => [state.name, state]));
    this.sessions = new Map(
      configuration.sessions.flatMap((session) => {
        if (session.static === undefined) return [];
        const state = states.get(session.name) ?? initialSessionState(session, now);
        return [[session.name, new StaticSession(session, session.static, configuration, state)]];
      }),
    );
  }

  save(): SavedTunnel {
    return { state: this.state, sessions: Array.from(this.sessions.values(), ({ state }) => state) };
  }

  /** It has but one, whose id the state knows. */
  adopt(connection: ControlConnection): void {
    this.state.live = connection.id;
  }

  live(turn: Pick<Turn, "connections">): ControlConnection | undefined {
    return this.state.live === 0 ? undefined : turn.connections.get(this.state.live);
  }

  connections(turn: Pick<Turn, "connections">): readonly ControlConnection[] {
    return [this.live(turn) ?? []].flat();
  }

  /** Makes the tunnel; or, where it is made and the peer is silent, asks for the peer, and for where it is. */
  attempt(turn: Turn): void {
    this.#retry.stop(turn);
    if (this.state.closed !== undefined) return;
    const live = this.live(turn);
    if (live !== undefined) this.#askAgain(live, turn);
    else if (this.#lookup.needed && this.state.alternatives.length === 0) this.#lookup.ask(turn);
    else this.#begin(turn);
  }

  #askAgain(live: ControlConnection, turn: Turn): void {
    if (!this.#numbers.watched || !this.state.made || live.established) return;
    if (this.state.alternatives.length > 0) this.#leave(live, noAnswer(live), turn);
    else {
      // Not after the resolver's answer: it may be as far away as the peer.
      live.hello(turn);
      this.#lookup.ask(turn);
    }
  }

  peerResolved(addresses: readonly string[], turn: Turn): void {
    const live = this.live(turn);
    if (live !== undefined && this.state.made) {
      this.#peerMayHaveMoved(live, addresses, turn);
      return;
    }
    this.state.address = addresses[0];
    this.state.resolved = addresses;
    if (this.state.closed !== undefined || live !== undefined) return;
    this.state.alternatives = [...addresses];
    this.#begin(turn);
  }

  /** A peer that answers HELLO stays where it is. Of one that is not asked, its name alone tells where it is. */
  #peerMayHaveMoved(live: ControlConnection, addresses: readonly string[], turn: Turn): void {
    const { remote, channel } = live.state;
    const { watched } = this.#numbers;
    const moved = noteAddresses(this.state, addresses, live, turn);
    if (live.established) this.#lookup.watch(turn);
    if (moved === undefined) {
      if (!live.established) this.state.alternatives = addresses.filter((address) => address !== remote.address);
    } else if (!watched || !live.established || channel.retransmissions > 0) {
      this.state.alternatives = [...addresses];
      this.#leave(live, watched ? `no answer from ${remote.address}: ${moved}` : moved, turn);
    }
  }

  peerUnresolved(reason: string, turn: Turn): void {
    if (this.state.closed !== undefined) return;
    const live = this.live(turn);
    if (live?.established) this.#lookup.watch(turn);
    if (live !== undefined) return;
    this.#fail(`the peer's name cannot be resolved: ${reason}`, turn);
    this.#retry.later(turn);
  }

  /** The tunnel is made anew at once, towards the next address. */
  #leave(connection: ControlConnection, reason: string, turn: Turn): void {
    if (connection.established && this.#numbers.watched) this.#fail(reason, turn, "silence");
    else noteEnding(this.state, this.#numbers.watched ? "silence" : "local", reason, turn.now);
    this.#remove(connection, reason, turn);
    this.#retry.now(turn);
  }

  /** Where the peer's name has addresses that were not tried yet, to the next of them. */
  #begin(turn: Turn): void {
    const { configuration, state } = this;
    const { localTunnelId, remoteTunnelId } = this.#numbers;
    const address = state.alternatives.shift() ?? state.address;
    if (address === undefined) return;
    const overIp = configuration.encapsulation === "ip";
    const remote = { address, port: overIp ? 0 : configuration.peerPort };
    const local = configuration.local === "auto" ? anyAddress(familyOf(address)) : configuration.local;
    const connection = ControlConnection.typedIn(
      configuration,
      {
        localControlConnectionId: localTunnelId,
        remoteControlConnectionId: remoteTunnelId,
        initiator: true,
        remote,
        listener: undefined,
        tieBreaker: undefined,
        request: undefined,
        authentication: Authentication.begin(configuration.authentication, turn.entropy),
      },
      turn,
    );
    state.live = connection.id;
    state.since = turn.now;
    connection.openSocket({ address: local, port: overIp ? 0 : configuration.localPort }, remote, turn);
    turn.emit({
      type: "create-tunnel",
      localControlConnectionId: localTunnelId,
      remoteControlConnectionId: remoteTunnelId,
    });
  }

  created(connection: ControlConnection, turn: Turn): void {
    if (this.state.made) return;
    this.state.made = true;
    for (const session of this.sessions.values()) session.create(connection, turn);
    if (this.#numbers.watched) connection.hello(turn);
    else this.#established(connection, "static tunnel is made", turn);
  }

  #established(connection: ControlConnection, words: string, turn: Turn): void {
    this.state.since = turn.now;
    this.state.lastError = "";
    this.state.alternatives = [];
    this.#lookup.watch(turn);
    this.#retry.stop(turn);
    this.#retry.reset();
    connection.enter("established", turn);
    if (this.#numbers.watched) connection.startHello(turn);
    this.state.outcomes.established += 1;
    turn.log("info", "control-connection-established", words, connection.context);
    for (const session of this.sessions.values()) session.raise(connection, turn);
  }

  receive(connection: ControlConnection, decoded: DecodedMessage, _from: Endpoint, turn: Turn): void {
    const name = nameOf(decoded);
    if (!this.#numbers.watched || name === undefined) {
      const words = `${describeMessage(decoded)} on a static tunnel: ignored`;
      turn.log("debug", "message-ignored", words, connection.context);
      return;
    }
    const { due, answered } = connection.receiveUnnegotiated(decoded, turn);
    if (due.some((message) => nameOf(message) === "StopCCN")) {
      const { resultCode } = avpsOf(decoded);
      this.#silent(
        connection,
        `the peer has stopped (StopCCN): ${describeResult("StopCCN", resultCode)}`,
        "peer",
        turn,
      );
    } else if (this.state.made) this.#heard(connection, decoded, answered, turn);
  }

  /** A peer that is heard need not hear us: only an answer to our HELLO shows that both ways are open. */
  #heard(connection: ControlConnection, { header, kind }: DecodedMessage, answered: boolean, turn: Turn): void {
    if (connection.established) {
      // It has begun anew, or not heard us for long.
      if (kind === "message" && isBeginning(header.ns, header.nr)) connection.hello(turn);
    } else if (answered) this.#established(connection, "the peer answers HELLO", turn);
    else {
      this.#retry.stop(turn);
      connection.hello(turn);
    }
  }

  /** The tunnel stays, with its devices down. */
  #silent(connection: ControlConnection, reason: string, by: EndedBy, turn: Turn): void {
    this.#fail(reason, turn, by);
    this.state.since = turn.now;
    connection.enter("idle", turn);
    this.#lookup.stop(turn);
    for (const session of this.sessions.values()) session.lower(reason, turn);
    this.#askLater(connection, turn);
  }

  #askLater(connection: ControlConnection, turn: Turn): void {
    connection.beginAnew(turn);
    this.#retry.later(turn);
  }

  expireConnection(connection: ControlConnection, kind: ConnectionTimer, turn: Turn): void {
    // The pauses between attempts are those of `reconnect`, in the place of retransmissions.
    if (kind === "retransmit" && !connection.established) {
      this.state.lastError ||= noAnswer(connection);
      this.#askLater(connection, turn);
    } else if (connection.expire(kind, turn) === "dead")
      this.#silent(connection, noAnswer(connection), "silence", turn);
    // The peer may have another address by now.
    else if (kind === "retransmit" && connection.state.channel.retransmissions === 2) this.#lookup.ask(turn);
  }

  expire(kind: "attempt" | "resolve", turn: Turn): void {
    if (kind === "resolve") this.#lookup.ask(turn);
    else this.attempt(turn);
  }

  socketFailed(connection: ControlConnection, reason: string, turn: Turn): void {
    connection.state.socket = 0;
    this.refused(connection, reason, turn);
  }

  /** It is made anew after a pause. */
  refused(connection: ControlConnection, reason: string, turn: Turn): void {
    this.#fail(reason, turn);
    this.#remove(connection, reason, turn);
    this.#retry.later(turn);
  }

  hurry(turn: Turn): void {
    this.#retry.hurry(turn);
    for (const session of this.sessions.values()) session.hurry(turn);
  }

  addressLost(connection: ControlConnection, reason: string, turn: Turn): void {
    this.refused(connection, reason, turn);
    this.#retry.hurry(turn);
  }

  protectionLost(connection: ControlConnection, reason: string, turn: Turn): void {
    this.refused(connection, reason, turn);
  }

  namespaceLost(reason: string, turn: Turn): void {
    const live = this.live(turn);
    if (live === undefined) this.#fail(reason, turn);
    else this.refused(live, reason, turn);
  }

  giveUp(configuration: TunnelConfiguration, turn: Turn): void {
    for (const [session, reason] of endingSessions(this.sessions.values(), configuration)) {
      session.giveUp(reason, turn);
    }
  }

  follow(configuration: TunnelConfiguration, turn: Turn): void {
    const before = this.configuration.authentication;
    this.configuration = configuration;
    this.#retry.follow(configuration.reconnect, turn);
    const live = this.live(turn);
    live?.reconfigure(configuration, turn);
    const begun = this.#followSessions(turn);
    if (live !== undefined && this.state.made) for (const session of begun) session.create(live, turn);
    if (!same(before, configuration.authentication)) this.changeAuthentication(configuration.authentication, turn);
  }

  /** Returns those that are new, or begin anew. */
  #followSessions(turn: Turn): readonly StaticSession[] {
    const before = this.sessions;
    const begun: StaticSession[] = [];
    this.sessions = new Map(
      this.configuration.sessions.flatMap((session) => {
        const known = before.get(session.name);
        if (session.static === undefined) return [];
        if (known !== undefined && !isAnew(sessionChanges(known.configuration, session))) {
          known.follow(session, this.configuration, turn);
          return [[session.name, known]];
        }
        const state = succeed(known?.state, session, turn.now);
        const fresh = new StaticSession(session, session.static, this.configuration, state);
        begun.push(fresh);
        return [[session.name, fresh]];
      }),
    );
    return begun;
  }

  changeAuthentication(authentication: AuthenticationConfiguration, turn: Turn): void {
    this.configuration = { ...this.configuration, authentication };
    const live = this.live(turn);
    changeAuthentication(this.state.name, live === undefined ? [] : [live], authentication, turn);
  }

  open(turn: Turn): void {
    const wasClosed = this.state.closed !== undefined;
    this.state.closed = undefined;
    if (wasClosed) forgetErrors(this);
    this.#retry.reset();
    this.attempt(turn);
  }

  /** Without a word to the peer, which would not expect one. */
  close(cause: Result, turn: Turn): void {
    this.state.closed = cause;
    this.state.alternatives = [];
    this.#retry.stop(turn);
    this.#lookup.stop(turn);
    const live = this.live(turn);
    if (live === undefined) return;
    noteEnding(this.state, "local", cause.message ?? "", turn.now);
    turn.log("info", "control-connection-closing", "static tunnel is removed", live.context);
    this.#remove(live, this.state.lastError, turn);
  }

  #remove(connection: ControlConnection, reason: string, turn: Turn): void {
    this.#lookup.stop(turn);
    for (const session of this.sessions.values()) session.tunnelLost(reason, turn);
    turn.emit({ type: "delete-tunnel", localControlConnectionId: connection.id });
    connection.release(turn);
    Object.assign(this.state, { live: 0, made: false, since: turn.now });
  }

  #fail(reason: string, turn: Turn, by: EndedBy = "local"): void {
    noteEnding(this.state, by, reason, turn.now);
    this.state.outcomes.failed += 1;
    turn.log("warn", "control-connection-failed", reason, { tunnel: this.state.name });
  }
}

/** Of the messages that two ends without a handshake have for each other. */
function nameOf(decoded: DecodedMessage): "ZLB" | "ACK" | "HELLO" | "StopCCN" | undefined {
  if (decoded.kind === "zlb") return "ZLB";
  if (decoded.kind === "unknown") return undefined;
  const name = decoded.kind === "message" ? decoded.message.name : decoded.name;
  return name === "ACK" || name === "HELLO" || name === "StopCCN" ? name : undefined;
}

function noAnswer({ state }: ControlConnection): string {
  return `no answer to HELLO from ${endpointText(state.remote)}: the peer is dead or cannot be reached`;
}
