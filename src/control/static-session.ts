import type { AnySession } from "./any-tunnel.ts";
import { CIRCUIT } from "./circuit-status.ts";
import type { SessionConfiguration, StaticSessionConfiguration, TunnelConfiguration } from "./configuration.ts";
import type { ControlConnection } from "./control-connection.ts";
import { changeDevice } from "./live-change.ts";
import type { Result } from "./result-codes.ts";
import { Retry } from "./retry.ts";
import { SessionJournal } from "./session-journal.ts";
import { NO_OCTETS, type SessionState, sessionParameters } from "./session-state.ts";
import type { SessionTimer, Turn } from "./turn.ts";

/** A pseudowire whose ids and cookies are typed in at both ends: only the datapath is asked (RFC 8159 has such tunnels). */
export class StaticSession implements AnySession {
  configuration: SessionConfiguration;
  readonly state: SessionState;
  readonly #numbers: StaticSessionConfiguration;
  readonly #retry: Retry;
  readonly #journal: SessionJournal;

  constructor(
    configuration: SessionConfiguration,
    numbers: StaticSessionConfiguration,
    tunnel: TunnelConfiguration,
    state: SessionState,
  ) {
    this.configuration = configuration;
    this.state = state;
    this.#numbers = numbers;
    const key = `call ${tunnel.name}/${configuration.name}`;
    const timer = { owner: "session", tunnel: tunnel.name, name: configuration.name, kind: "call" } as const;
    this.#retry = new Retry(key, timer, tunnel.reconnect, state);
    this.#journal = new SessionJournal(tunnel.name, state);
  }

  get localSessionId(): number {
    return this.#numbers.localSessionId;
  }

  get #asked(): boolean {
    return this.state.datapath !== "none";
  }

  /** Has the datapath make it, with its device down. */
  create(connection: ControlConnection, turn: Turn): void {
    const { state, configuration } = this;
    if (this.#asked || state.closed) return;
    this.#retry.begin(turn);
    Object.assign(state, {
      ...this.#numbers,
      l2Sublayer: configuration.l2Sublayer,
      // The peer cannot ask for sequence numbers: both directions are as configured, as with `ip l2tp … seq`.
      peerSequencing: configuration.sequencing,
      localControlConnectionId: connection.id,
      datapath: "asked",
    });
    turn.emit({ type: "create-session", session: sessionParameters(connection.id, state, configuration) });
  }

  datapathAnswered(refusal: string | undefined, connection: ControlConnection, turn: Turn): void {
    // The answer to something that was given up meanwhile.
    if (!this.#asked) return;
    if (refusal === undefined) {
      this.state.datapath = "ready";
      if (connection.established) this.raise(connection, turn);
      return;
    }
    this.#journal.fail(refusal, turn);
    this.#remove(turn);
    this.#retry.later(turn);
  }

  /** The tunnel is established: frames flow, or the session is asked for again. */
  raise(connection: ControlConnection, turn: Turn): void {
    const { state } = this;
    if (!this.#asked) this.create(connection, turn);
    if (state.datapath !== "ready" || state.forwarding) return;
    this.#retry.succeeded(turn);
    // Nobody tells of the peer's circuit: it counts as active.
    Object.assign(state, { forwarding: true, lastError: "", remoteCircuitStatus: CIRCUIT.active });
    this.#enter("established", turn);
    this.#journal.established(this.configuration.interfaceName, turn);
    turn.emit({ type: "raise-session", localSessionId: this.#numbers.localSessionId });
  }

  /** The peer is silent: the device stays, and is down so that bridges and routing see it. */
  lower(reason: string, turn: Turn): void {
    const { state } = this;
    if (!state.forwarding) return;
    Object.assign(state, { forwarding: false, remoteCircuitStatus: 0 });
    this.#journal.ended("control-connection", reason, turn);
    this.#enter("idle", turn);
    this.#journal.note("session-lowered", `session is down, ${this.configuration.interfaceName} is set down`, turn);
    turn.emit({ type: "lower-session", localSessionId: this.#numbers.localSessionId });
  }

  open(connection: ControlConnection | undefined, turn: Turn): void {
    if (this.state.closed) this.state.lastError = "";
    this.state.closed = false;
    this.#retry.reset();
    if (connection !== undefined) this.create(connection, turn);
  }

  close(_cause: Result, reason: string, _connection: ControlConnection, turn: Turn): void {
    this.#journal.closed(reason, turn);
    this.#retry.stop(turn);
    if (this.#asked) this.#remove(turn);
  }

  stopCalling(turn: Turn): void {
    this.#retry.stop(turn);
  }

  /** It is not configured any more, or not in this way. */
  giveUp(reason: string, turn: Turn): void {
    this.#retry.stop(turn);
    if (!this.#asked) return;
    this.#journal.closed(reason, turn);
    this.#remove(turn);
  }

  /** Goes on with a configuration in which nothing else is different than what can be changed on its device. */
  follow(configuration: SessionConfiguration, tunnel: TunnelConfiguration, turn: Turn): void {
    const before = this.configuration;
    this.configuration = configuration;
    this.#retry.follow(tunnel.reconnect, turn);
    changeDevice(before, configuration, this.state, turn);
  }

  /** Bridge or interface may be there now. */
  hurry(turn: Turn): void {
    this.#retry.hurry(turn);
  }

  /** The tunnel is deleted as a whole. */
  tunnelLost(reason: string, turn: Turn): void {
    this.#retry.stop(turn);
    if (!this.#asked) return;
    this.#journal.ended("control-connection", reason, turn);
    this.#journal.note("session-closed", `session is down, ${this.configuration.interfaceName} is removed`, turn);
    this.#forget(turn);
  }

  expire(kind: SessionTimer, connection: ControlConnection, turn: Turn): void {
    if (kind === "call") this.create(connection, turn);
  }

  #remove(turn: Turn): void {
    turn.emit({ type: "delete-session", localSessionId: this.#numbers.localSessionId });
    this.#forget(turn);
  }

  #forget(turn: Turn): void {
    this.#enter("idle", turn);
    Object.assign(this.state, {
      localControlConnectionId: 0,
      localSessionId: 0,
      remoteSessionId: 0,
      localCookie: NO_OCTETS,
      remoteCookie: NO_OCTETS,
      datapath: "none",
      forwarding: false,
      remoteCircuitStatus: 0,
    });
  }

  #enter(name: "idle" | "established", turn: Turn): void {
    if (this.state.state === name) return;
    this.state.state = name;
    this.state.since = turn.now;
  }
}
