import type { AvpValues } from "../avp/messages.ts";
import type { CallEffect, CallEvent, CallMessage, CallRole } from "../fsm/call.ts";
import {
  confirmationFlaw,
  framingOf,
  PSEUDOWIRE_TYPES,
  replyFlaw,
  SEQUENCING_LEVELS,
  sendsSequenced,
} from "./admission.ts";
import { AWAITED, STEPPERS } from "./call-machines.ts";
import { callMessage } from "./call-messages.ts";
import { CircuitReports } from "./circuit-reports.ts";
import { CIRCUIT, carriesFrames, describeStatus } from "./circuit-status.ts";
import type { SessionConfiguration, TunnelConfiguration } from "./configuration.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { CircuitCondition, CircuitErrorCounts } from "./core.ts";
import { changeDevice } from "./live-change.ts";
import { retransmissionCycleMs } from "./reliable-channel.ts";
import { because, CDN, describeResult, ERROR, generalError, type Result } from "./result-codes.ts";
import { Retry } from "./retry.ts";
import { OUT_OF_TURN, SessionJournal } from "./session-journal.ts";
import { NO_ERRORS, NO_OCTETS, offeredSublayer, type SessionState, sessionParameters } from "./session-state.ts";
import { type SessionTimer, TIE_BREAKER_LENGTH, type Turn } from "./turn.ts";

const TAKEN_ID = generalError(ERROR.invalidSessionId, "the Local Session ID belongs to another session");

/** One configured pseudowire: as caller or as called, whichever it is at the moment. */
export class Session {
  configuration: SessionConfiguration;
  readonly state: SessionState;
  #tunnel: TunnelConfiguration;
  readonly #byRemoteId: Map<number, Session>;
  readonly #retry: Retry;
  readonly #reports: CircuitReports;
  readonly #journal: SessionJournal;

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
    this.#reports = new CircuitReports(tunnel.name, state);
    this.#journal = new SessionJournal(tunnel.name, state);
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

  /** Whether a request of the peer's for the same call would be a tie (RFC 3931 5.4.4). */
  get waitsForReply(): boolean {
    const { role, state, held } = this.state;
    return role.endsWith("-sender") && state === "wait-reply" && held === undefined;
  }

  /** Places the call: ICRQ (RFC 3931 7.3.1) or OCRQ (7.4.1). */
  call(connection: ControlConnection, turn: Turn): void {
    if (this.busy || this.state.closed) return;
    const types = connection.state.peerPseudowireTypes;
    const { pseudowire } = this.configuration;
    const type = PSEUDOWIRE_TYPES[pseudowire];
    if (!types.includes(type)) {
      // RFC 3931 5.4.4: a type that the peer has not listed must not be requested.
      this.state.lastError = `the peer does not offer pseudowires of type ${type} (${pseudowire}), only types ${types.join(", ")}`;
      turn.log("warn", "pseudowire-type-not-offered", this.state.lastError, this.#journal.context);
      return;
    }
    this.#begin(this.configuration.callType === "incoming" ? "icrq-sender" : "ocrq-sender", connection, turn);
    this.state.tieBreaker = this.configuration.call === "both" ? turn.entropy.octets(TIE_BREAKER_LENGTH) : undefined;
    this.#step({ type: "local.open" }, undefined, connection, turn);
    this.#step({ type: "local.control-connection-open" }, undefined, connection, turn);
  }

  /** Places the call when its timer fires, in one of the next turns. */
  callSoon(turn: Turn): void {
    if (!this.busy && !this.state.closed) this.#retry.now(turn);
  }

  /** A call from the peer that admission found nothing wrong with. The datapath has the last word. */
  answer(request: "ICRQ" | "OCRQ", avps: AvpValues, connection: ControlConnection, turn: Turn): void {
    this.#begin(request === "ICRQ" ? "icrq-recipient" : "ocrq-recipient", connection, turn);
    this.#takeOffer(avps);
    if (request === "ICRQ") this.#prepare("ICRQ", connection, turn);
    else this.#step({ type: "rx.OCRQ", verdict: "acceptable" }, undefined, connection, turn);
  }

  /** A message that sets sessions up, for this one. `flaw`: what is wrong with its form. */
  receive(
    name: CallMessage,
    avps: AvpValues,
    flaw: Result | undefined,
    connection: ControlConnection,
    turn: Turn,
  ): void {
    const { role, state, held } = this.state;
    const awaited = AWAITED[role][state] === name && held === undefined;
    // Whatever is wrong with an answer: what we say from now on names the peer's session (RFC 3931 5.4.4).
    const isAnswer = awaited && state === "wait-reply";
    const isTaken = isAnswer && this.#isTaken(avps.localSessionId ?? 0);
    if (isAnswer && !isTaken) this.#takeRemoteId(avps.localSessionId ?? 0);
    const problem = awaited ? (flaw ?? (isTaken ? TAKEN_ID : this.#contentFlaw(name, avps))) : OUT_OF_TURN;
    if (problem === undefined) {
      this.#accept(name, avps, connection, turn);
      return;
    }
    this.#journal.blame(problem, turn);
    this.#step({ type: `rx.${name}`, verdict: "unacceptable" }, problem, connection, turn);
  }

  #contentFlaw(name: CallMessage, avps: AvpValues): Result | undefined {
    const flawOf = name === "ICRP" || name === "OCRP" ? replyFlaw : confirmationFlaw;
    return flawOf(name, avps, this.configuration, this.state);
  }

  #accept(name: CallMessage, avps: AvpValues, connection: ControlConnection, turn: Turn): void {
    if (name === "ICRP" || name === "OCRP") this.#takeOffer(avps);
    else this.#takeConfirmation(avps, turn);
    if (name === "ICRP") {
      this.#prepare("ICRP", connection, turn);
      return;
    }
    if (name === "OCRP") this.#makeDatapath(connection, turn);
    // An OCCN may overtake the datapath's answer.
    if (name === "OCCN" && this.state.datapath === "asked") this.state.held = "OCCN";
    else this.#step({ type: `rx.${name}`, verdict: "acceptable" }, undefined, connection, turn);
  }

  /** The last message says again what has changed since, and nothing else (RFC 3931 5.4.4, 5.4.5). */
  #takeConfirmation({ circuitStatus, dataSequencing }: AvpValues, turn: Turn): void {
    if (circuitStatus !== undefined) this.#takeCircuitStatus(circuitStatus, turn);
    if (dataSequencing !== undefined) this.state.peerSequencing = SEQUENCING_LEVELS[dataSequencing] ?? "none";
  }

  /** Our call won the tie: the peer's is refused by whoever received it. */
  winTie(request: "ICRQ" | "OCRQ", connection: ControlConnection, turn: Turn): void {
    this.#step({ type: `rx.${request}`, verdict: "tie-won" }, undefined, connection, turn);
  }

  /** Our call lost the tie: it vanishes without a word, and the peer's is answered (RFC 3931 5.4.4). */
  loseTie(request: "ICRQ" | "OCRQ", connection: ControlConnection, turn: Turn): void {
    this.#step({ type: `rx.${request}`, verdict: "tie-lost" }, undefined, connection, turn);
    this.#retry.stop(turn);
  }

  receiveCdn(result: Result | undefined, connection: ControlConnection, turn: Turn): void {
    this.#journal.fail(`the peer closed the session (CDN): ${describeResult("CDN", result)}`, turn, "peer");
    this.#step({ type: "rx.CDN" }, undefined, connection, turn);
  }

  /** A message for this session that cannot be processed (RFC 3931 5.2, 7.1). */
  receiveInvalid(flaw: Result, connection: ControlConnection, turn: Turn): void {
    this.#journal.blame(flaw, turn);
    this.#step({ type: "rx.invalid" }, flaw, connection, turn);
  }

  /** SLI; one that says nothing of the circuit changes nothing (RFC 3931 5.4.5). */
  receiveSli({ circuitStatus }: AvpValues, turn: Turn): void {
    if (circuitStatus !== undefined) this.#takeCircuitStatus(circuitStatus, turn);
  }

  /** WEN (RFC 3931 6.13). */
  receiveWen({ circuitErrors }: AvpValues, turn: Turn): void {
    if (circuitErrors === undefined) return;
    const { hardwareOverruns, bufferOverruns, timeoutErrors: timeouts, alignmentErrors: alignments } = circuitErrors;
    this.state.remoteErrors = { hardwareOverruns, bufferOverruns, timeouts, alignments };
    const details = { ...this.#journal.context.details, ...this.state.remoteErrors };
    turn.log("warn", "circuit-errors", "the peer's circuit has errors (WEN)", { ...this.#journal.context, details });
  }

  #takeCircuitStatus(status: number, turn: Turn): void {
    if (status === this.state.remoteCircuitStatus) return;
    this.state.remoteCircuitStatus = status;
    this.#journal.note("circuit-status", `the peer's circuit is ${describeStatus(status)}`, turn);
    this.#forward(turn);
  }

  /** The attachment circuit of this end changes. */
  circuitChanged(condition: CircuitCondition, connection: ControlConnection | undefined, turn: Turn): void {
    this.state.circuit.condition = condition;
    if (connection === undefined || !this.busy) return;
    if (this.state.role === "ocrq-recipient" && this.established && condition !== "up") {
      // RFC 3931 7.4.2: a call that was placed for the peer is over when its circuit is.
      const cause = because(
        CDN.circuitLost,
        `${this.configuration.circuit ?? this.configuration.interfaceName} is ${condition}`,
      );
      this.#journal.blame(cause, turn);
      this.#step({ type: "local.circuit-failed" }, cause, connection, turn);
      return;
    }
    this.#reports.tellStatus(connection, turn);
    this.#connectCircuit(connection, turn);
  }

  /** Its error counters as they stand now. */
  circuitErrors(errors: CircuitErrorCounts, connection: ControlConnection | undefined, turn: Turn): void {
    this.state.circuit.errors = errors;
    this.state.circuit.errorsAtBegin ??= errors;
    if (connection !== undefined && this.busy) this.#reports.tellErrors(connection, turn);
  }

  /** The datapath's word on the session, or that it has lost it. */
  datapathAnswered(refusal: string | undefined, connection: ControlConnection, turn: Turn): void {
    const { held, datapath } = this.state;
    // What was refused was never made; what was lost is still to be deleted.
    if (datapath === "asked") this.state.datapath = refusal === undefined ? "ready" : "none";
    this.#endPreparation(connection);
    turn.touched.add(connection);
    const cause = refusal === undefined ? undefined : generalError(ERROR.noResources, refusal);
    if (held !== undefined) {
      if (refusal !== undefined) this.#journal.fail(refusal, turn);
      const verdict = refusal === undefined ? "acceptable" : "unacceptable";
      this.#step({ type: `rx.${held}`, verdict }, cause, connection, turn);
    } else if (cause !== undefined) this.close(cause, refusal ?? "", connection, turn);
    else this.#connectCircuit(connection, turn);
  }

  /** The call that an OCRQ asked for is through when circuit and datapath are there (RFC 3931 7.4.2). */
  #connectCircuit(connection: ControlConnection, turn: Turn): void {
    const { role, datapath, circuit } = this.state;
    if (role !== "ocrq-recipient" || datapath !== "ready" || circuit.condition !== "up") return;
    this.#step({ type: "local.circuit-open" }, undefined, connection, turn);
  }

  /** An administrator's open. `connection`: the tunnel's, if it has one. */
  open(connection: ControlConnection | undefined, turn: Turn): void {
    if (this.state.closed) this.state.lastError = "";
    this.state.closed = false;
    this.state.failures = 0;
    if (connection?.established && this.callsOn(connection)) this.call(connection, turn);
  }

  /** Ends the call with a CDN. `reason`: a sentence, remembered as the last error. */
  close(cause: Result, reason: string, connection: ControlConnection, turn: Turn): void {
    if (this.state.closed) this.#journal.closed(reason, turn);
    else this.#journal.fail(reason, turn);
    this.#retry.stop(turn);
    if (!this.busy) return;
    // A request that waits for the datapath has not been taken yet: it is refused.
    if (this.state.held === "ICRQ") this.#step({ type: "rx.ICRQ", verdict: "unacceptable" }, cause, connection, turn);
    else this.#step({ type: "local.close" }, cause, connection, turn);
  }

  stopCalling(turn: Turn): void {
    this.#retry.stop(turn);
  }

  /** It is not configured any more, or not in this way. */
  giveUp(reason: string, connection: ControlConnection | undefined, turn: Turn): void {
    const { closed } = this.state;
    // It ends because somebody here wants it to, and is not tried again.
    this.state.closed = true;
    if (connection !== undefined && this.busy)
      this.close(because(CDN.administrative, reason), reason, connection, turn);
    this.#retry.stop(turn);
    this.state.closed = closed;
  }

  /** Goes on with a configuration in which nothing else is different than what the peer need not know. */
  follow(configuration: SessionConfiguration, tunnel: TunnelConfiguration, turn: Turn): void {
    const before = this.configuration;
    this.configuration = configuration;
    this.#tunnel = tunnel;
    this.#retry.follow(tunnel.reconnect, turn);
    changeDevice(before, configuration, this.state, turn);
    if (before.circuit !== configuration.circuit) this.#reports.beginWithOther();
  }

  /** Bridge or interface may be there now. */
  hurry(turn: Turn): void {
    this.#retry.hurry(turn);
  }

  /** The control connection is gone, and with it the session: no CDN is needed (RFC 3931 3.3.2, 6.4). */
  connectionLost(reason: string, turn: Turn): void {
    this.#retry.stop(turn);
    if (!this.busy) return;
    this.#journal.ended("control-connection", reason, turn);
    this.#journal.note("session-closed", `session is down, ${this.configuration.interfaceName} is removed`, turn);
    // The datapath's tunnel is deleted as a whole.
    this.state.datapath = "none";
    this.#cleanUp(undefined, turn);
  }

  /** A deadline of this session, on a connection that is established. */
  expire(kind: SessionTimer, connection: ControlConnection, turn: Turn): void {
    if (kind === "call") this.call(connection, turn);
    else if (kind === "setup") this.#setupTimedOut(connection, turn);
    else if (kind === "status") this.#reports.tellStatus(connection, turn);
    else this.#reports.tellErrors(connection, turn);
  }

  /** No answer in time (RFC 3931 7 leaves this to the implementation). */
  #setupTimedOut(connection: ControlConnection, turn: Turn): void {
    // What waits behind a closed window has not been asked yet: that is no silence.
    if (connection.isTelling(this.state.localSessionId)) {
      this.#armSetup(turn);
      return;
    }
    const { state } = this.state;
    this.close({ result: CDN.notEstablishedInTime }, `${this.#awaited} in state ${state}`, connection, turn);
  }

  /** What kept the session from coming up. */
  get #awaited(): string {
    const { role, datapath } = this.state;
    if (datapath === "asked") return "the datapath has not made the session in time,";
    return role === "ocrq-recipient" ? "the circuit did not come up" : "no answer from the peer";
  }

  #begin(role: CallRole, connection: ControlConnection, turn: Turn): void {
    const { state } = this;
    this.#retry.begin(turn);
    state.role = role;
    state.state = "idle";
    state.localControlConnectionId = connection.id;
    state.localSessionId = turn.sessions.draw(turn.entropy, turn.now);
    turn.sessions.assign(state.localSessionId, this);
    // RFC 3931 8.2: a new random cookie for each session.
    state.localCookie = turn.entropy.secretOctets(this.configuration.cookieSize);
    state.l2Sublayer = offeredSublayer(this.configuration, connection.dialect);
    state.sequencing = this.configuration.sequencing;
    state.peerSequencing = "none";
    this.#reports.begin();
    this.#armSetup(turn);
  }

  /** What the peer's request or reply says of its end. */
  #takeOffer(avps: AvpValues): void {
    const { state } = this;
    const framing = framingOf(avps, this.configuration);
    this.#takeRemoteId(avps.localSessionId ?? 0);
    state.remoteCookie = avps.assignedCookie ?? NO_OCTETS;
    state.remoteCircuitStatus = avps.circuitStatus ?? CIRCUIT.active;
    // One sublayer serves both directions in the datapath: the peer's wish decides, and our next message says so.
    if ("flaw" in framing) return;
    state.l2Sublayer = framing.l2Sublayer;
    state.peerSequencing = framing.peerSequencing;
    // Who sends sequence numbers has to get some: the kernel discards what comes without.
    if (sendsSequenced(state.peerSequencing, this.configuration)) state.sequencing = "all";
  }

  #prepare(message: "ICRQ" | "ICRP", connection: ControlConnection, turn: Turn): void {
    this.state.held = message;
    connection.state.repliesInPreparation += 1;
    this.#makeDatapath(connection, turn);
  }

  #makeDatapath(connection: ControlConnection, turn: Turn): void {
    const { state, configuration } = this;
    state.datapath = "asked";
    turn.emit({ type: "create-session", session: sessionParameters(connection.id, state, configuration) });
  }

  #takeRemoteId(remoteSessionId: number): void {
    const previous = this.state.remoteSessionId;
    if (this.#byRemoteId.get(previous) === this) this.#byRemoteId.delete(previous);
    this.state.remoteSessionId = remoteSessionId;
    if (remoteSessionId !== 0) this.#byRemoteId.set(remoteSessionId, this);
  }

  /** Whether the peer has given that id to another session of the connection, of which a CDN could be mistaken to speak. */
  #isTaken(remoteSessionId: number): boolean {
    const owner = this.#byRemoteId.get(remoteSessionId);
    if (owner === undefined || owner === this) return false;
    return owner.state.localControlConnectionId === this.state.localControlConnectionId;
  }

  #endPreparation(connection: ControlConnection | undefined): void {
    const { held } = this.state;
    if (connection !== undefined && (held === "ICRQ" || held === "ICRP")) connection.state.repliesInPreparation -= 1;
    this.state.held = undefined;
  }

  #step(event: CallEvent, cause: Result | undefined, connection: ControlConnection, turn: Turn): void {
    const { state, effects } = STEPPERS[this.state.role](this.state.state, event);
    if (state !== this.state.state) {
      this.state.state = state;
      this.state.since = turn.now;
    }
    for (const effect of effects) this.#perform(effect, cause, connection, turn);
    if (this.busy) this.#reports.tellStatus(connection, turn);
  }

  #perform(effect: CallEffect, cause: Result | undefined, connection: ControlConnection, turn: Turn): void {
    switch (effect.type) {
      case "send":
        if (effect.message === "CDN") this.#sayCdn(cause ?? OUT_OF_TURN, connection, turn);
        else {
          connection.send(callMessage(effect.message, this.state, this.configuration, connection.dialect, turn), turn);
          this.#reports.advertised();
        }
        return;
      case "place-call":
        this.#makeDatapath(connection, turn);
        return;
      case "establish":
        this.#establish(connection, turn);
        return;
      case "clean-up":
        this.#cleanUp(connection, turn);
        return;
      // The control connection opens on its own account; the losing request is answered where it was received.
      case "open-control-connection":
      case "refuse-losing-request":
        return;
    }
  }

  #establish(connection: ControlConnection, turn: Turn): void {
    turn.timers.stop(this.#setupKey);
    this.#retry.succeeded(turn);
    this.state.lastError = "";
    this.#journal.established(this.configuration.interfaceName, turn);
    this.#forward(turn);
    this.#reports.tellErrors(connection, turn);
  }

  /** RFC 3931 5.4.5: no frames to a peer whose circuit is not active. */
  #forward(turn: Turn): void {
    const { localSessionId, remoteCircuitStatus, forwarding } = this.state;
    const wanted = this.established && carriesFrames(remoteCircuitStatus);
    if (wanted === forwarding) return;
    this.state.forwarding = wanted;
    turn.emit({ type: wanted ? "raise-session" : "lower-session", localSessionId });
  }

  #cleanUp(connection: ControlConnection | undefined, turn: Turn): void {
    const { state } = this;
    if (state.datapath !== "none") turn.emit({ type: "delete-session", localSessionId: state.localSessionId });
    this.#endPreparation(connection);
    connection?.withdrawCall(state.localSessionId);
    if (state.localSessionId !== 0) turn.sessions.release(state.localSessionId, turn.now);
    turn.timers.stop(this.#setupKey);
    this.#reports.stop(turn);
    if (state.state !== "idle") state.since = turn.now;
    this.#takeRemoteId(0);
    Object.assign(state, {
      state: "idle",
      localSessionId: 0,
      localCookie: NO_OCTETS,
      remoteCookie: NO_OCTETS,
      tieBreaker: undefined,
      datapath: "none",
      forwarding: false,
      remoteCircuitStatus: 0,
      remoteErrors: NO_ERRORS,
    });
    // Whoever calls on this connection calls again, even if this call was the peer's.
    if (connection !== undefined && this.callsOn(connection) && !state.closed) this.#retry.later(turn);
    if (connection === undefined) state.localControlConnectionId = 0;
  }

  #sayCdn(cause: Result, connection: ControlConnection, turn: Turn): void {
    const { localSessionId, remoteSessionId } = this.state;
    connection.send({ name: "CDN", resultCode: cause, localSessionId, remoteSessionId }, turn);
  }

  #armSetup(turn: Turn): void {
    const timer = { owner: "session", tunnel: this.#tunnel.name, name: this.state.name, kind: "setup" } as const;
    turn.timers.set(this.#setupKey, timer, turn.now + retransmissionCycleMs(this.#tunnel.retransmit));
  }

  get #setupKey(): string {
    return `setup ${this.#tunnel.name}/${this.configuration.name}`;
  }
}
