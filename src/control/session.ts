import type { AvpValues } from "../avp/messages.ts";
import {
  type IncomingCallRecipientEffect,
  type IncomingCallRecipientEvent,
  stepIncomingCallRecipient,
} from "../fsm/incoming-call-recipient.ts";
import {
  type IncomingCallSenderEffect,
  type IncomingCallSenderEvent,
  stepIncomingCallSender,
} from "../fsm/incoming-call-sender.ts";
import { CIRCUIT_ACTIVE, ETHERNET_PSEUDOWIRE, framingOf, type L2Sublayer } from "./admission.ts";
import { callMessage } from "./call-messages.ts";
import type { SessionConfiguration, TunnelConfiguration } from "./configuration.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { Instant } from "./core.ts";
import { retransmissionCycleMs } from "./reliable-channel.ts";
import { CDN, describeResult, ERROR, generalError, type Result } from "./result-codes.ts";
import { Retry } from "./retry.ts";
import { type LogContext, TIE_BREAKER_LENGTH, type Turn } from "./turn.ts";

const NO_OCTETS = new Uint8Array(0);

/** Plain data: everything that makes a session what it is. */
export interface SessionState {
  readonly name: string;
  role: "sender" | "recipient";
  /** The RFC's state name (RFC 3931 7.3.1, 7.3.2). */
  state: string;
  /** Local id of its control connection; 0 while it has none. */
  localControlConnectionId: number;
  /** 0 while there is no call. */
  localSessionId: number;
  remoteSessionId: number;
  localCookie: Uint8Array;
  remoteCookie: Uint8Array;
  l2Sublayer: L2Sublayer;
  tieBreaker: Uint8Array | undefined;
  /** The peer's message that waits for the datapath's word: only then is it known to be acceptable. */
  preparing: "ICRQ" | "ICRP" | undefined;
  /** The datapath was asked to make the session and has not refused. */
  inDatapath: boolean;
  /** Circuit Status as the peer last told it (RFC 3931 5.4.5). */
  remoteCircuitStatus: number;
  /** Failed attempts in a row. */
  failures: number;
  /** An administrator closed it; until an administrator opens it. */
  closed: boolean;
  since: Instant;
  lastError: string;
}

/** One configured pseudowire: as caller or as called, whichever it is at the moment. */
export class Session {
  readonly configuration: SessionConfiguration;
  readonly state: SessionState;
  readonly #tunnel: TunnelConfiguration;
  readonly #byRemoteId: Map<number, Session>;
  readonly #retry: Retry;

  /** `byRemoteId`: finds the tunnel's sessions by the ids that the peer gave them. */
  constructor(
    configuration: SessionConfiguration,
    tunnel: TunnelConfiguration,
    state: SessionState,
    byRemoteId: Map<number, Session>,
  ) {
    this.configuration = configuration;
    this.state = state;
    this.#tunnel = tunnel;
    this.#byRemoteId = byRemoteId;
    this.#takeRemoteId(state.remoteSessionId);
    const key = `call ${tunnel.name}/${configuration.name}`;
    const timer = { owner: "session", tunnel: tunnel.name, name: configuration.name, kind: "call" } as const;
    this.#retry = new Retry(key, timer, tunnel.reconnect, state);
  }

  static initialState(configuration: SessionConfiguration, now: Instant): SessionState {
    return {
      name: configuration.name,
      role: "recipient",
      state: "idle",
      localControlConnectionId: 0,
      localSessionId: 0,
      remoteSessionId: 0,
      localCookie: NO_OCTETS,
      remoteCookie: NO_OCTETS,
      l2Sublayer: configuration.l2Sublayer,
      tieBreaker: undefined,
      preparing: undefined,
      inDatapath: false,
      remoteCircuitStatus: 0,
      failures: 0,
      closed: false,
      since: now,
      lastError: "",
    };
  }

  /** A call is in progress or up. */
  get busy(): boolean {
    return this.state.localSessionId !== 0;
  }

  get established(): boolean {
    return this.state.state === "established";
  }

  /** Whether this end places the call on a control connection that it did or did not open. */
  callsOn(connection: ControlConnection): boolean {
    const { call } = this.configuration;
    return call === undefined ? connection.state.initiator : call !== "responder";
  }

  /** Places the call: ICRQ (RFC 3931 7.3.1). */
  call(connection: ControlConnection, turn: Turn): void {
    if (this.busy || this.state.closed) return;
    const types = connection.state.peerPseudowireTypes;
    if (!types.includes(ETHERNET_PSEUDOWIRE)) {
      // RFC 3931 5.4.4: a type that the peer has not listed must not be requested.
      this.state.lastError = `the peer does not offer Ethernet pseudowires, only types ${types.join(", ")}`;
      turn.log("warn", "pseudowire-type-not-offered", this.state.lastError, this.#context);
      return;
    }
    this.#begin("sender", connection, turn);
    this.state.tieBreaker = this.configuration.call === "both" ? turn.entropy.octets(TIE_BREAKER_LENGTH) : undefined;
    this.#stepSender({ type: "local.open" }, undefined, connection, turn);
    this.#stepSender({ type: "local.control-connection-open" }, undefined, connection, turn);
  }

  /** A call from the peer that admission found nothing wrong with. The datapath has the last word. */
  answer(avps: AvpValues, connection: ControlConnection, turn: Turn): void {
    this.#begin("recipient", connection, turn);
    this.#prepare("ICRQ", avps, connection, turn);
  }

  /** ICRP to our call. `flaw`: what is wrong with its form. */
  receiveIcrp(avps: AvpValues, flaw: Result | undefined, connection: ControlConnection, turn: Turn): void {
    if (this.state.role === "recipient") {
      this.#blame(OUT_OF_TURN, turn);
      this.#stepRecipient({ type: "rx.ICRP" }, OUT_OF_TURN, connection, turn);
      return;
    }
    // Whatever is wrong with it: what we say from now on names the peer's session (RFC 3931 5.4.4).
    if (this.state.remoteSessionId === 0) this.#takeRemoteId(avps.localSessionId ?? 0);
    const problem = flaw ?? this.#icrpFlaw(avps);
    if (problem === undefined) {
      this.#prepare("ICRP", avps, connection, turn);
      return;
    }
    this.#blame(problem, turn);
    this.#stepSender({ type: "rx.ICRP", verdict: "unacceptable" }, problem, connection, turn);
  }

  #icrpFlaw(avps: AvpValues): Result | undefined {
    if (this.state.state !== "wait-reply" || this.state.preparing !== undefined) return OUT_OF_TURN;
    const framing = framingOf(avps);
    return "flaw" in framing ? framing.flaw : undefined;
  }

  receiveIccn(avps: AvpValues, flaw: Result | undefined, connection: ControlConnection, turn: Turn): void {
    if (this.state.role === "sender") {
      this.#blame(OUT_OF_TURN, turn);
      this.#stepSender({ type: "rx.ICCN" }, OUT_OF_TURN, connection, turn);
      return;
    }
    const problem = flaw ?? this.#iccnFlaw(avps);
    if (problem !== undefined) this.#blame(problem, turn);
    if (problem === undefined && avps.circuitStatus !== undefined) this.state.remoteCircuitStatus = avps.circuitStatus;
    const verdict = problem === undefined ? "acceptable" : "unacceptable";
    this.#stepRecipient({ type: "rx.ICCN", verdict }, problem ?? OUT_OF_TURN, connection, turn);
  }

  /** The sublayer may be named again in the ICCN; the datapath was made with what the ICRQ said. */
  #iccnFlaw(avps: AvpValues): Result | undefined {
    if (this.state.state !== "wait-connect") return OUT_OF_TURN;
    if (avps.l2SpecificSublayer === undefined && avps.dataSequencing === undefined) return undefined;
    const framing = framingOf(avps);
    if ("flaw" in framing) return framing.flaw;
    if (framing.l2Sublayer === this.state.l2Sublayer) return undefined;
    const message = "the L2-Specific Sublayer of the ICCN is not that of the ICRQ";
    return generalError(ERROR.valueOutOfRange, message);
  }

  /** A second ICRQ for a call that exists (RFC 3931 7.3.2). */
  receiveRepeatedIcrq(connection: ControlConnection, turn: Turn): void {
    this.#blame(OUT_OF_TURN, turn);
    if (this.state.role === "sender") {
      this.#stepSender({ type: "rx.ICRQ", verdict: "unacceptable" }, OUT_OF_TURN, connection, turn);
    } else this.#stepRecipient({ type: "rx.ICRQ", verdict: "unacceptable" }, OUT_OF_TURN, connection, turn);
  }

  /** Our call won the tie: the peer's is refused by whoever received it. */
  winTie(connection: ControlConnection, turn: Turn): void {
    this.#stepSender({ type: "rx.ICRQ", verdict: "tie-won" }, undefined, connection, turn);
  }

  /** Our call lost the tie: it vanishes without a word, and the peer's is answered (RFC 3931 5.4.4). */
  loseTie(connection: ControlConnection, turn: Turn): void {
    this.#stepSender({ type: "rx.ICRQ", verdict: "tie-lost" }, undefined, connection, turn);
    this.#retry.stop(turn);
  }

  receiveCdn(result: Result | undefined, connection: ControlConnection, turn: Turn): void {
    this.#fail(`the peer closed the session (CDN): ${describeResult("CDN", result)}`, turn);
    if (this.state.role === "sender") this.#stepSender({ type: "rx.CDN" }, undefined, connection, turn);
    else this.#stepRecipient({ type: "rx.CDN" }, undefined, connection, turn);
  }

  /** A message for this session that cannot be processed (RFC 3931 5.2, 7.1). */
  receiveInvalid(flaw: Result, connection: ControlConnection, turn: Turn): void {
    this.#blame(flaw, turn);
    if (this.state.role === "sender") this.#stepSender({ type: "rx.invalid" }, flaw, connection, turn);
    else this.#stepRecipient({ type: "rx.invalid" }, flaw, connection, turn);
  }

  receiveSli(avps: AvpValues, turn: Turn): void {
    if (avps.circuitStatus === undefined || avps.circuitStatus === this.state.remoteCircuitStatus) return;
    this.state.remoteCircuitStatus = avps.circuitStatus;
    const active = (avps.circuitStatus & CIRCUIT_ACTIVE) !== 0;
    turn.log("info", "circuit-status", `the peer's circuit is ${active ? "active" : "inactive"}`, this.#context);
  }

  /** The datapath's word on what `preparing` waits for. */
  datapathAnswered(refusal: string | undefined, connection: ControlConnection, turn: Turn): void {
    const { preparing } = this.state;
    if (preparing === undefined) {
      if (refusal !== undefined) this.close(generalError(ERROR.noResources, refusal), refusal, connection, turn);
      return;
    }
    this.#endPreparation(connection);
    turn.touched.add(connection);
    const verdict = refusal === undefined ? "acceptable" : "unacceptable";
    const cause = generalError(ERROR.noResources, refusal ?? "");
    if (refusal !== undefined) {
      this.state.inDatapath = false;
      this.#fail(refusal, turn);
    }
    if (preparing === "ICRQ") this.#stepRecipient({ type: "rx.ICRQ", verdict }, cause, connection, turn);
    else this.#stepSender({ type: "rx.ICRP", verdict }, cause, connection, turn);
  }

  /** Ends the call with a CDN. `reason`: a sentence, remembered as the last error. */
  close(cause: Result, reason: string, connection: ControlConnection, turn: Turn): void {
    if (this.state.closed) this.#noteClosed(reason, turn);
    else this.#fail(reason, turn);
    this.#retry.stop(turn);
    if (!this.busy) return;
    if (this.state.role === "sender") this.#stepSender({ type: "local.close" }, cause, connection, turn);
    else if (this.state.preparing === "ICRQ") {
      this.#stepRecipient({ type: "rx.ICRQ", verdict: "unacceptable" }, cause, connection, turn);
    } else this.#stepRecipient({ type: "local.close" }, cause, connection, turn);
  }

  /** The control connection is gone, and with it the session: no CDN is needed (RFC 3931 3.3.2, 6.4). */
  connectionLost(reason: string, turn: Turn): void {
    this.#retry.stop(turn);
    if (!this.busy) return;
    this.state.lastError = reason;
    turn.log(
      "info",
      "session-closed",
      `session is down, ${this.configuration.interfaceName} is removed`,
      this.#context,
    );
    // The datapath's tunnel is deleted as a whole.
    this.state.inDatapath = false;
    this.#cleanUp(undefined, turn);
  }

  /** No answer in time (RFC 3931 7 leaves this to the implementation). */
  setupTimedOut(connection: ControlConnection, turn: Turn): void {
    // What waits behind a closed window has not been asked yet, or not been answered: that is no silence.
    if (connection.congested) {
      this.#armSetup(turn);
      return;
    }
    const reason = `no answer from the peer in state ${this.state.state}`;
    this.close({ result: CDN.notEstablishedInTime }, reason, connection, turn);
  }

  #begin(role: "sender" | "recipient", connection: ControlConnection, turn: Turn): void {
    const { state } = this;
    this.#retry.stop(turn);
    state.role = role;
    state.state = "idle";
    state.localControlConnectionId = connection.id;
    state.localSessionId = turn.sessions.draw(turn.entropy, turn.now);
    turn.sessions.assign(state.localSessionId, this);
    // RFC 3931 8.2: a new random cookie for each session.
    state.localCookie = turn.entropy.octets(this.configuration.cookieSize);
    state.l2Sublayer = this.configuration.l2Sublayer;
    this.#armSetup(turn);
  }

  #prepare(message: "ICRQ" | "ICRP", avps: AvpValues, connection: ControlConnection, turn: Turn): void {
    const { state, configuration } = this;
    const framing = framingOf(avps);
    this.#takeRemoteId(avps.localSessionId ?? 0);
    state.remoteCookie = avps.assignedCookie ?? NO_OCTETS;
    state.remoteCircuitStatus = avps.circuitStatus ?? 0;
    // One sublayer serves both directions in the datapath: the peer's wish decides, and our next message says so.
    if ("l2Sublayer" in framing) state.l2Sublayer = framing.l2Sublayer;
    state.preparing = message;
    state.inDatapath = true;
    connection.state.repliesInPreparation += 1;
    turn.emit({
      type: "create-session",
      session: {
        localControlConnectionId: connection.id,
        localSessionId: state.localSessionId,
        remoteSessionId: state.remoteSessionId,
        localCookie: state.localCookie,
        remoteCookie: state.remoteCookie,
        l2Sublayer: state.l2Sublayer,
        interfaceName: configuration.interfaceName,
        mtu: configuration.mtu,
        bridge: configuration.bridge,
        addresses: configuration.addresses,
      },
    });
  }

  #takeRemoteId(remoteSessionId: number): void {
    const previous = this.state.remoteSessionId;
    if (this.#byRemoteId.get(previous) === this) this.#byRemoteId.delete(previous);
    this.state.remoteSessionId = remoteSessionId;
    if (remoteSessionId !== 0) this.#byRemoteId.set(remoteSessionId, this);
  }

  #endPreparation(connection: ControlConnection | undefined): void {
    if (this.state.preparing !== undefined && connection !== undefined) connection.state.repliesInPreparation -= 1;
    this.state.preparing = undefined;
  }

  #stepSender(
    event: IncomingCallSenderEvent,
    cause: Result | undefined,
    connection: ControlConnection,
    turn: Turn,
  ): void {
    const { state, effects } = stepIncomingCallSender(this.state.state, event);
    this.#enter(state, turn);
    for (const effect of effects) this.#perform(effect, cause, connection, turn);
  }

  #stepRecipient(
    event: IncomingCallRecipientEvent,
    cause: Result | undefined,
    connection: ControlConnection,
    turn: Turn,
  ): void {
    const { state, effects } = stepIncomingCallRecipient(this.state.state, event);
    this.#enter(state, turn);
    for (const effect of effects) this.#perform(effect, cause, connection, turn);
  }

  #enter(state: string, turn: Turn): void {
    if (state === this.state.state) return;
    this.state.state = state;
    this.state.since = turn.now;
  }

  #perform(
    effect: IncomingCallSenderEffect | IncomingCallRecipientEffect,
    cause: Result | undefined,
    connection: ControlConnection,
    turn: Turn,
  ): void {
    switch (effect.type) {
      case "send":
        if (effect.message === "CDN") this.#sayCdn(cause ?? OUT_OF_TURN, connection, turn);
        else connection.send(callMessage(effect.message, this.state, this.configuration, turn), turn);
        return;
      case "establish":
        this.#establish(turn);
        return;
      case "clean-up":
        this.#cleanUp(connection, turn);
        return;
      // The control connection opens on its own account; the losing ICRQ is answered where it was received.
      case "open-control-connection":
      case "refuse-losing-icrq":
        return;
    }
  }

  #establish(turn: Turn): void {
    const { state, configuration } = this;
    turn.timers.stop(this.#setupKey);
    this.#retry.reset();
    state.lastError = "";
    turn.emit({ type: "raise-session", localSessionId: state.localSessionId });
    turn.log("info", "session-established", `session is up on ${configuration.interfaceName}`, this.#context);
  }

  #cleanUp(connection: ControlConnection | undefined, turn: Turn): void {
    const { state } = this;
    if (state.inDatapath) turn.emit({ type: "delete-session", localSessionId: state.localSessionId });
    this.#endPreparation(connection);
    if (state.localSessionId !== 0) turn.sessions.release(state.localSessionId, turn.now);
    turn.timers.stop(this.#setupKey);
    this.#enter("idle", turn);
    this.#takeRemoteId(0);
    Object.assign(state, {
      localSessionId: 0,
      localCookie: NO_OCTETS,
      remoteCookie: NO_OCTETS,
      tieBreaker: undefined,
      inDatapath: false,
      remoteCircuitStatus: 0,
    });
    // Whoever calls on this connection calls again, even if this call was the peer's.
    if (connection !== undefined && this.callsOn(connection) && !state.closed) this.#retry.later(turn);
    if (connection === undefined) state.localControlConnectionId = 0;
  }

  #fail(reason: string, turn: Turn): void {
    this.state.lastError = reason;
    turn.log("warn", "session-failed", reason, this.#context);
  }

  #noteClosed(reason: string, turn: Turn): void {
    this.state.lastError = reason;
    turn.log("info", "session-closed", reason, this.#context);
  }

  /** What is wrong with the peer's message, and so the reason of the CDN that follows. */
  #blame(cause: Result, turn: Turn): void {
    if (cause === OUT_OF_TURN) this.#fail("the peer sent a message that does not fit the session's state", turn);
    else this.#fail(`CDN sent: ${describeResult("CDN", cause)}`, turn);
  }

  #sayCdn(cause: Result, connection: ControlConnection, turn: Turn): void {
    const { localSessionId, remoteSessionId } = this.state;
    connection.send({ name: "CDN", resultCode: cause, localSessionId, remoteSessionId }, turn);
  }

  get #context(): LogContext {
    const { localSessionId, remoteSessionId } = this.state;
    return {
      tunnel: this.#tunnel.name,
      session: this.configuration.name,
      details: { local_session_id: localSessionId, remote_session_id: remoteSessionId },
    };
  }

  #armSetup(turn: Turn): void {
    const timer = { owner: "session", tunnel: this.#tunnel.name, name: this.state.name, kind: "setup" } as const;
    turn.timers.set(this.#setupKey, timer, turn.now + retransmissionCycleMs(this.#tunnel.retransmit));
  }

  get #setupKey(): string {
    return `setup ${this.#tunnel.name}/${this.configuration.name}`;
  }
}

const OUT_OF_TURN: Result = { result: CDN.stateMachineError };
