import type { DecodedMessage } from "../avp/decode.ts";
import type { ControlConnectionEffect, ControlConnectionEvent } from "../fsm/control-connection.ts";
import { isFarewell } from "./admission.ts";
import type { AnyTunnel } from "./any-tunnel.ts";
import { Authentication } from "./authentication.ts";
import { callWaitingSessions } from "./calls.ts";
import type { AuthenticationConfiguration, TunnelConfiguration } from "./configuration.ts";
import { receiveConnectionMessage } from "./connection-messages.ts";
import { ControlConnection } from "./control-connection.ts";
import type { ConnectionOrigin } from "./control-connection-state.ts";
import type { Endpoint, Instant } from "./core.ts";
import { type EndedBy, noteEnding } from "./ending.ts";
import { anyAddress, encapsulationOf, familyOf } from "./endpoint.ts";
import { takeOverSockets } from "./flows.ts";
import { logDialect, opening, stopCcn } from "./handshake.ts";
import { changeAuthentication } from "./live-change.ts";
import { heardElsewhere, partIfElsewhere } from "./moved-peer.ts";
import { noteAddresses, PeerLookup } from "./peer-lookup.ts";
import { forgetErrors, noAnswer } from "./present-error.ts";
import { because, describeResult, ERROR, generalError, outOfTurn, type Result, STOPCCN } from "./result-codes.ts";
import { Retry } from "./retry.ts";
import { same } from "./same.ts";
import { SessionTable } from "./session-table.ts";
import { initialState, type SavedTunnel, type TunnelState } from "./tunnel-state.ts";
import { type ConnectionTimer, TIE_BREAKER_LENGTH, type Turn } from "./turn.ts";

const REPLACED = "replaced by a new control connection";

/** One configured peer: opens and accepts its control connections, keeps at most one established, tries again. */
export class Tunnel implements AnyTunnel {
  configuration: TunnelConfiguration;
  readonly state: TunnelState;
  readonly sessions: SessionTable;
  readonly #ids = new Set<number>();
  readonly #retry: Retry;
  readonly #lookup: PeerLookup;

  constructor(configuration: TunnelConfiguration, now: Instant, saved?: SavedTunnel) {
    this.configuration = configuration;
    this.state = saved?.state ?? initialState(configuration, now);
    const { name, reconnect } = configuration;
    this.#retry = new Retry(`attempt ${name}`, { owner: "tunnel", name, kind: "attempt" }, reconnect, this.state);
    this.#lookup = new PeerLookup(configuration);
    this.sessions = new SessionTable(configuration, now, saved?.sessions);
  }

  /** Plain data; the states themselves, not copies. */
  save(): SavedTunnel {
    return { state: this.state, sessions: Array.from(this.sessions.values(), ({ state }) => state) };
  }

  /** Takes on a connection that an earlier process had. */
  adopt(connection: ControlConnection): void {
    this.#ids.add(connection.id);
  }

  /** The connection that counts. */
  live(turn: Pick<Turn, "connections">): ControlConnection | undefined {
    return this.state.live === 0 ? undefined : turn.connections.get(this.state.live);
  }

  /** Established, or an attempt of ours is under way. A half-open connection of the peer's, or of a forger's, is neither. */
  #occupied(turn: Turn): boolean {
    const live = this.live(turn);
    return live !== undefined && (live.established || live.state.initiator);
  }

  /** Begins an attempt, unless one is under way or this end only answers. */
  attempt(turn: Turn): void {
    this.#retry.stop(turn);
    if (this.state.closed !== undefined || this.#occupied(turn)) return;
    // A name is looked up for each attempt; a responder needs the address to know the peer by.
    if (this.#lookup.needed && this.state.alternatives.length === 0) this.#lookup.ask(turn);
    else if (this.configuration.role !== "responder") this.openConnection(turn);
  }

  /** At least one address. */
  peerResolved(addresses: readonly string[], turn: Turn): void {
    const live = this.live(turn);
    if (live?.established) {
      this.#peerMayHaveMoved(live, addresses, turn);
      return;
    }
    this.state.address = addresses[0];
    this.state.resolved = addresses;
    if (this.state.closed !== undefined) return;
    if (this.configuration.role === "responder") this.#lookup.later(this.configuration.reconnect.maxMs, turn);
    else if (!this.#occupied(turn)) {
      this.state.alternatives = [...addresses];
      this.openConnection(turn);
    }
  }

  /** Whether that is the peer's address, or one of those that its name stands for. */
  isPeer(address: string): boolean {
    return this.state.address === address || this.state.resolved.includes(address);
  }

  /** The name was looked up on the side. A peer that answers stays where it is, whatever the name stands for now. */
  #peerMayHaveMoved(live: ControlConnection, addresses: readonly string[], turn: Turn): void {
    const moved = noteAddresses(this.state, addresses, live, turn);
    this.#lookup.watch(turn);
    if (moved === undefined) return;
    if (live.state.channel.retransmissions === 0 || this.configuration.role === "responder") return;
    this.fail(`no answer from ${live.state.remote.address}: ${moved}`, turn, live, "silence");
    this.drop(live, turn);
    this.#retry.hurry(turn);
  }

  peerUnresolved(reason: string, turn: Turn): void {
    if (this.state.closed !== undefined) return;
    if (this.live(turn) === undefined) this.fail(`the peer's name cannot be resolved: ${reason}`, turn);
    if (this.configuration.role === "responder") this.#lookup.later(this.configuration.reconnect.minMs, turn);
    else if (this.live(turn) === undefined) this.#attemptLater(turn);
    else this.#lookup.watch(turn);
  }

  /** SCCRQ. Where there are other addresses to be tried first, to the next of them, once. */
  openConnection(turn: Turn): void {
    const { configuration, state } = this;
    const address = state.alternatives.shift() ?? state.address;
    if (address === undefined) return;
    const overIp = configuration.encapsulation === "ip";
    const connection = this.createConnection(
      {
        remoteControlConnectionId: 0,
        initiator: true,
        remote: { address, port: overIp ? 0 : configuration.peerPort },
        listener: undefined,
        tieBreaker: configuration.role === "both" ? turn.entropy.octets(TIE_BREAKER_LENGTH) : undefined,
        request: undefined,
        authentication: Authentication.begin(configuration.authentication, turn.entropy),
      },
      turn,
    );
    state.live = connection.id;
    state.since = turn.now;
    state.forged.lately = 0;
    const local = configuration.local === "auto" ? anyAddress(familyOf(address)) : configuration.local;
    connection.openSocket({ address: local, port: overIp ? 0 : configuration.localPort }, undefined, turn);
    this.step(connection, { type: "local.open" }, undefined, turn);
  }

  createConnection(origin: Omit<ConnectionOrigin, "localControlConnectionId">, turn: Turn): ControlConnection {
    const localControlConnectionId = turn.connections.draw(turn.entropy, turn.now);
    const connection = ControlConnection.create(this.configuration, { ...origin, localControlConnectionId }, turn);
    this.#ids.add(connection.id);
    return connection;
  }

  connections(turn: Pick<Turn, "connections">): ControlConnection[] {
    const alive: ControlConnection[] = [];
    for (const id of this.#ids) {
      const connection = turn.connections.get(id);
      if (connection === undefined) this.#ids.delete(id);
      else alive.push(connection);
    }
    return alive;
  }

  changeAuthentication(authentication: AuthenticationConfiguration, turn: Turn): void {
    this.configuration = { ...this.configuration, authentication };
    this.state.forged.lately = 0;
    changeAuthentication(this.state.name, this.connections(turn), authentication, turn);
  }

  giveUp(configuration: TunnelConfiguration, turn: Turn): void {
    this.sessions.giveUp(configuration, this.live(turn), turn);
  }

  follow(configuration: TunnelConfiguration, turn: Turn): void {
    const before = this.configuration.authentication;
    this.configuration = configuration;
    this.#retry.follow(configuration.reconnect, turn);
    for (const connection of this.connections(turn)) connection.reconfigure(configuration, turn);
    this.sessions.follow(configuration, this.live(turn), turn);
    if (!same(before, configuration.authentication)) this.changeAuthentication(configuration.authentication, turn);
  }

  /** A datagram for a connection of this tunnel, from its peer. */
  receive(connection: ControlConnection, decoded: DecodedMessage, from: Endpoint, turn: Turn): void {
    for (const released of connection.receive(decoded, turn)) {
      if (connection.state.life === "open") receiveConnectionMessage(this, connection, released, from, turn);
      // Both ends have closed at once: the peer's StopCCN may come again, and ours has lost its point.
      else if (isFarewell(released)) connection.linger(turn);
    }
  }

  receiveElsewhere(connection: ControlConnection, from: Endpoint, octets: Uint8Array, turn: Turn): void {
    heardElsewhere(this, connection, { from, octets }, turn);
  }

  step(connection: ControlConnection, event: ControlConnectionEvent, cause: Result | undefined, turn: Turn): void {
    const wasEstablished = connection.established;
    const { state } = connection.state;
    const effects = connection.step(event, turn);
    // What a message breaks by coming at all is not said by whoever has looked at its content.
    const reason = cause ?? outOfTurn(event.type.replace("rx.", ""), state);
    const stops = effects.some((effect) => effect.type === "send" && effect.message === "StopCCN");
    if (stops) this.#explain(reason, connection, turn);
    for (const effect of effects) {
      if (effect.type === "clean-up") this.#cleanUp(connection, wasEstablished, turn);
      else this.#perform(connection, effect, reason, turn);
    }
  }

  #perform(connection: ControlConnection, effect: ControlConnectionEffect, cause: Result, turn: Turn): void {
    switch (effect.type) {
      case "send":
        if (effect.message === "StopCCN") connection.sendStopCcn(stopCcn(connection, cause), turn);
        else connection.send(opening(effect.message, connection, this.configuration, turn), turn);
        return;
      case "open-waiting-sessions":
        this.#established(connection, turn);
        return;
      // The SCCRQ that lost is answered where the tie was settled; clean-up has its own way.
      case "refuse-losing-sccrq":
      case "clean-up":
        return;
    }
  }

  #established(connection: ControlConnection, turn: Turn): void {
    const { state } = connection;
    const previous = this.live(turn);
    this.state.live = connection.id;
    if (previous !== undefined && previous !== connection) this.#replace(previous, turn);
    this.state.since = turn.now;
    this.state.lastError = "";
    this.state.alternatives = [];
    this.#retry.stop(turn);
    this.#retry.succeeded(turn);
    if (state.listener !== undefined && encapsulationOf(state.remote) === "udp") {
      takeOverSockets(connection, state.remote, this.connections(turn), turn);
      connection.openSocket(state.listener, state.remote, turn);
    }
    turn.emit({
      type: "create-tunnel",
      localControlConnectionId: connection.id,
      remoteControlConnectionId: state.remoteControlConnectionId,
    });
    connection.startHello(turn);
    this.#lookup.watch(turn);
    this.state.outcomes.established += 1;
    const words = `control connection with ${state.peerHostname} is established`;
    turn.log("info", "control-connection-established", words, connection.context);
    logDialect(connection, turn);
    callWaitingSessions(this, connection, turn);
  }

  /** The peer has begun anew: its old connection is dead at its end. One StopCCN, in case it is not. */
  #replace(previous: ControlConnection, turn: Turn): void {
    if (!previous.established) {
      // An attempt of ours, or another half-open one: like the loser of a tie it vanishes without a word.
      this.drop(previous, turn);
      return;
    }
    this.state.ended = { by: "peer", reason: REPLACED, at: turn.now };
    turn.log("info", "control-connection-replaced", `the old control connection is ${REPLACED}`, previous.context);
    this.step(previous, { type: "local.close" }, because(STOPCCN.generalClear, REPLACED), turn);
    previous.release(turn);
  }

  drop(connection: ControlConnection, turn: Turn): void {
    this.step(connection, { type: "local.peer-dead" }, undefined, turn);
    connection.release(turn);
  }

  #cleanUp(connection: ControlConnection, wasEstablished: boolean, turn: Turn): void {
    if (wasEstablished) {
      const reason = this.state.live === connection.id ? this.state.lastError : REPLACED;
      for (const session of this.sessions.values()) {
        if (session.state.localControlConnectionId === connection.id) session.connectionLost(reason, turn);
      }
      turn.emit({ type: "delete-tunnel", localControlConnectionId: connection.id });
    }
    // StopCCN and linger keep it for a while; without either there is nothing left to say.
    if (connection.state.life === "open") connection.release(turn);
    if (this.state.live !== connection.id) return;
    this.state.live = 0;
    this.state.since = turn.now;
    this.#attemptLater(turn);
  }

  #attemptLater(turn: Turn): void {
    // Each attempt looks the name up by itself; who only answers needs it to know the peer by.
    if (this.configuration.role !== "responder") this.#lookup.stop(turn);
    else if (this.state.closed === undefined) this.#lookup.ask(turn);
    if (this.state.closed === undefined && this.configuration.role !== "responder") this.#retry.later(turn);
  }

  /** Why a StopCCN is sent: something is wrong, or this end wants no more. */
  #explain(cause: Result, connection: ControlConnection, turn: Turn): void {
    if (cause !== this.state.closed) {
      this.fail(`StopCCN sent: ${describeResult("StopCCN", cause)}`, turn, connection);
      return;
    }
    noteEnding(this.state, "local", cause.message ?? "", turn.now);
    turn.log("info", "control-connection-closing", "StopCCN sent: this end closes", connection.context);
  }

  fail(reason: string, turn: Turn, connection?: ControlConnection, by: EndedBy = "local"): void {
    // What becomes of a half-open one says nothing about the connection that counts.
    const counts = connection === undefined || this.state.live === 0 || this.state.live === connection.id;
    if (counts) noteEnding(this.state, by, reason, turn.now);
    this.state.outcomes.failed += 1;
    turn.log("warn", "control-connection-failed", reason, connection?.context ?? { tunnel: this.state.name });
  }

  /** A deadline of one of its connections. */
  expireConnection(connection: ControlConnection, kind: ConnectionTimer, turn: Turn): void {
    const verdict = connection.expire(kind, turn);
    if (verdict === "fine") {
      if (kind === "retransmit") this.#missesAnswer(connection, turn);
      partIfElsewhere(this, connection, turn);
      return;
    }
    if (connection.state.life !== "open") {
      connection.release(turn);
      return;
    }
    if (verdict === "dead") {
      const isUnheard = connection.authentication.authenticated && !connection.state.heard;
      const reason = noAnswer(connection.state.remote, this.state.forged.lately, isUnheard);
      this.fail(reason, turn, connection, "silence");
      this.drop(connection, turn);
    } else {
      const message = `no progress in state ${connection.state.state}`;
      this.step(connection, { type: "local.close" }, because(STOPCCN.stateMachineError, message), turn);
    }
  }

  /** A message went unanswered twice: the peer may have another address by now. */
  #missesAnswer({ id, established, state }: ControlConnection, turn: Turn): void {
    if (established && id === this.state.live && state.channel.retransmissions === 2) this.#lookup.ask(turn);
  }

  expire(kind: "attempt" | "resolve", turn: Turn): void {
    const live = kind === "resolve" ? this.live(turn) : undefined;
    if (live === undefined) this.attempt(turn);
    else if (live.established) this.#lookup.ask(turn);
    else this.#lookup.later(this.configuration.reconnect.maxMs, turn);
  }

  /** The connection's own socket cannot be made: without the peer's knowledge, unless a listener still reaches it. */
  socketFailed(connection: ControlConnection, reason: string, turn: Turn): void {
    connection.state.socket = 0;
    if (connection.state.listener !== undefined) this.refused(connection, reason, turn);
    else {
      this.fail(reason, turn, connection);
      this.drop(connection, turn);
    }
  }

  hurry(turn: Turn): void {
    this.#retry.hurry(turn);
    for (const session of this.sessions.values()) session.hurry(turn);
    const live = this.live(turn);
    if (live?.state.initiator && live.state.state === "wait-ctl-reply") live.sendAgain(turn);
  }

  /** Nothing that is sent from there arrives any more, no StopCCN either; the peer replaces the connection by the next. */
  addressLost(connection: ControlConnection, reason: string, turn: Turn): void {
    if (this.configuration.role === "responder") return;
    this.fail(reason, turn, connection);
    this.drop(connection, turn);
    this.#retry.hurry(turn);
  }

  /** The peer hears nothing any more. What opens the tunnel again is waited for: by the next attempt, or by the peer. */
  protectionLost(connection: ControlConnection, reason: string, turn: Turn): void {
    this.fail(reason, turn, connection);
    this.drop(connection, turn);
  }

  /** What is left of the namespace goes when nobody holds it: one StopCCN, which may find its way, and nothing is kept. */
  namespaceLost(reason: string, turn: Turn): void {
    for (const connection of this.connections(turn)) {
      if (connection.state.life === "open") {
        this.step(connection, { type: "local.close" }, because(STOPCCN.generalClear, reason), turn);
      }
      connection.release(turn);
    }
    this.fail(reason, turn);
  }

  /** The datapath's tunnel cannot be made. */
  refused(connection: ControlConnection, reason: string, turn: Turn): void {
    this.step(connection, { type: "local.close" }, generalError(ERROR.noResources, reason), turn);
  }

  /** An administrator's open. */
  open(turn: Turn): void {
    const wasClosed = this.state.closed !== undefined;
    this.state.closed = undefined;
    if (wasClosed) forgetErrors(this);
    this.#retry.reset();
    this.attempt(turn);
  }

  /** An administrator's close, or the end of the daemon: StopCCN on whatever is open. */
  close(cause: Result, turn: Turn): void {
    this.state.closed = cause;
    this.#retry.stop(turn);
    this.#lookup.stop(turn);
    for (const connection of this.connections(turn)) {
      const { life, state, initiator } = connection.state;
      if (life === "open") this.step(connection, { type: "local.close" }, cause, turn);
      // Whoever sends an SCCRQ may vanish: one StopCCN is enough, and nobody's end waits for the answer.
      if (state === "wait-ctl-conn" && !initiator) connection.release(turn);
    }
  }
}
