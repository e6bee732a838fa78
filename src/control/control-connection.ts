import type { DecodedMessage } from "../avp/decode.ts";
import { encodeMessage, encodeZlb } from "../avp/encode.ts";
import { decodeHeader, patchNr } from "../avp/header.ts";
import type { ControlMessage } from "../avp/messages.ts";
import {
  type ControlConnectionEffect,
  type ControlConnectionEvent,
  stepControlConnection,
} from "../fsm/control-connection.ts";
import { isAcknowledgement, isCallRequest } from "./admission.ts";
import { Authentication } from "./authentication.ts";
import type { AuthenticationConfiguration, TunnelConfiguration } from "./configuration.ts";
import { type ConnectionOrigin, type ControlConnectionState, initialState } from "./control-connection-state.ts";
import type { Endpoint } from "./core.ts";
import { type Dialect, dialectNamed } from "./dialects.ts";
import { encapsulationOf, endpointText, familyOf } from "./endpoint.ts";
import type { Flow } from "./flows.ts";
import {
  isBeginning,
  ReliableChannel,
  retransmissionCycleMs,
  retransmitDelayMs,
  setupLimitMs,
} from "./reliable-channel.ts";
import { isOldSequence } from "./sequence.ts";
import { type ConnectionTimer, type LogContext, lessATenth, type Turn } from "./turn.ts";

/** A message whose answer is being prepared is acknowledged by itself after this long (RFC 3931 appendix B). */
const ACKNOWLEDGE_DELAY_MS = 20;

/** How long the datapath has to answer `query-activity` before its silence counts as the peer's. */
const ACTIVITY_ANSWER_MS = 1_000;

/** A closed connection answers retransmissions at least this long: a full default cycle (RFC 3931 3.3.2). */
const MINIMUM_LINGER_MS = 31_000;

/** One control connection: its machine, its reliable channel, its timers, its way to the peer. Knows no sessions. */
export class ControlConnection {
  readonly state: ControlConnectionState;
  #configuration: TunnelConfiguration;
  readonly #channel: ReliableChannel<ControlMessage, DecodedMessage>;
  readonly authentication: Authentication;
  constructor(state: ControlConnectionState, configuration: TunnelConfiguration) {
    this.state = state;
    this.#configuration = configuration;
    this.#channel = new ReliableChannel(state.channel);
    this.authentication = new Authentication(configuration.authentication, state.authentication);
  }

  /** A new connection in state idle, known to `turn.connections`. */
  static create(configuration: TunnelConfiguration, origin: ConnectionOrigin, turn: Turn): ControlConnection {
    const connection = new ControlConnection(initialState(configuration, origin, turn), configuration);
    turn.connections.assign(origin.localControlConnectionId, connection);
    connection.#arm("setup", setupLimitMs(configuration.retransmit), turn);
    return connection;
  }

  /** One that nobody has to answer: both ids are known. In state idle. */
  static typedIn(configuration: TunnelConfiguration, origin: ConnectionOrigin, turn: Turn): ControlConnection {
    const connection = ControlConnection.create(configuration, origin, turn);
    connection.#stop("setup", turn);
    return connection;
  }

  get id(): number {
    return this.state.localControlConnectionId;
  }

  get dialect(): Dialect {
    return dialectNamed(this.state.dialect.name);
  }

  get established(): boolean {
    return this.state.state === "established";
  }

  /** Neither end has closed it. */
  get isOpen(): boolean {
    return this.state.life === "open";
  }

  /** So much waits for the peer's acknowledgements that it is asked for no more answers: they would pile up without end. */
  get overloaded(): boolean {
    return this.#channel.overloaded;
  }

  /** What we have said of a session last has not been acknowledged, or not even been sent. */
  isTelling(localSessionId: number): boolean {
    return this.#channel.holds((message) => "localSessionId" in message && message.localSessionId === localSessionId);
  }

  get flow(): Flow {
    const { tunnel, listener, remote } = this.state;
    const { local, localPort, netns, bindDevice } = this.#configuration;
    return { tunnel, local: listener ?? { address: local, port: localPort }, remote, netns, bindDevice };
  }

  /** For the log. */
  get context(): LogContext {
    return {
      tunnel: this.state.tunnel,
      details: {
        local_ccid: this.id,
        remote_ccid: this.state.remoteControlConnectionId,
        peer: endpointText(this.state.remote),
      },
    };
  }

  /** One step of the machine of RFC 3931 7.2. */
  step(event: ControlConnectionEvent, turn: Turn): readonly ControlConnectionEffect[] {
    const { state, effects } = stepControlConnection(this.state.state, event);
    if (state !== this.state.state) {
      this.state.state = state;
      this.state.since = turn.now;
      if (state === "established") this.#stop("setup", turn);
    }
    return effects;
  }

  /** What there is no machine for: a connection that was typed in. */
  enter(state: "idle" | "established", turn: Turn): void {
    this.state.state = state;
    this.state.since = turn.now;
  }

  setPeerWindow(size: number): void {
    this.#channel.setPeerWindow(size);
  }

  /** Queues a message; it leaves when the turn ends and the windows allow. */
  send(message: ControlMessage, turn: Turn): void {
    // With many calls at once the answers to the first must not wait until the last is placed.
    if (isCallRequest(message)) this.#channel.enqueueBehind(message);
    else if (message.name !== "CDN" || !this.withdrawCall(message.localSessionId)) this.#channel.enqueue(message);
    turn.touched.add(this);
  }

  /** A call that ends before its request was sent has never been: the peer must not hear of it. Returns whether it was. */
  withdrawCall(localSessionId: number): boolean {
    return this.#channel.withdraw((message) => isCallRequest(message) && message.localSessionId === localSessionId);
  }

  /** One that supersedes what still waits of its kind for the same session. */
  sendLatest(message: ControlMessage<"SLI" | "WEN">, turn: Turn): void {
    const { name, localSessionId } = message;
    this.#channel.withdraw((older) => older.name === name && older.localSessionId === localSessionId);
    this.send(message, turn);
  }

  /** Whether a datagram with this connection's id may be looked at (`Authentication.verify`). */
  verify(octets: Uint8Array): boolean {
    return this.authentication.verify(octets, !isOldSequence(decodeHeader(octets).ns, this.state.channel.nr));
  }

  /** Takes a message's sequence numbers; returns what is due now, messages in their order (RFC 3931 4.2). */
  receive(decoded: DecodedMessage, turn: Turn): readonly DecodedMessage[] {
    turn.count(this.state.tunnel, "received");
    turn.touched.add(this);
    const { ns, nr } = decoded.header;
    const isAcknowledging = this.#channel.acknowledge(nr);
    if (isAcknowledging) this.#restartRetransmission(turn);
    this.#hear(isAcknowledgement(decoded) ? isAcknowledging : !isOldSequence(ns, this.state.channel.nr), turn);
    this.#followPeer(turn);
    // An ACK has no place in the order; what may be wrong with it counts all the same (RFC 3931 5.2).
    if (isAcknowledgement(decoded)) return decoded.kind === "zlb" ? [] : [decoded];
    return this.#channel.accept(ns, decoded);
  }

  /** The same where there was no handshake. `answered`: what we had sent is acknowledged. */
  receiveUnnegotiated(
    decoded: DecodedMessage,
    turn: Turn,
  ): { readonly due: readonly DecodedMessage[]; readonly answered: boolean } {
    const { ns, nr } = decoded.header;
    // An acknowledgement of nothing is no beginning.
    if (!(isAcknowledgement(decoded) && isBeginning(ns, nr)) && this.#channel.resynchronise(ns, nr)) {
      this.#encodeAgain(turn);
      this.sendAgain(turn);
    }
    const before = this.state.channel.outstanding.length;
    const due = this.receive(decoded, turn);
    return { due, answered: this.state.channel.outstanding.length < before };
  }

  /** Gives up what the peer has not answered. The next HELLO is like the first one. */
  beginAnew(turn: Turn): void {
    if (this.state.channel.acknowledgementDue) this.#acknowledge(turn);
    this.#channel.reset();
    for (const kind of ["retransmit", "acknowledge", "hello", "activity"] as const) this.#stop(kind, turn);
  }

  /** Asks the peer for a sign of life now, unless it is being asked. */
  hello(turn: Turn): void {
    if (this.#channel.settled) this.send({ name: "HELLO" }, turn);
  }

  /** What is hidden has to be hidden with the secret that the peer uses now. An SCCRQ is known again by its octets. */
  #followPeer(turn: Turn): void {
    const { provenSecret } = this.state.authentication;
    if (provenSecret === this.state.encodedFor) return;
    if (this.state.state === "wait-ctl-reply") this.state.encodedFor = provenSecret;
    else this.#encodeAgain(turn);
  }

  #encodeAgain(turn: Turn): void {
    this.state.encodedFor = this.state.authentication.provenSecret;
    this.#channel.encodeAgain((message, ns) => this.#encode(message, ns, turn));
  }

  /**
   * Goes on with another authentication, if it can (`Authentication.change`). The peer hears of it at once: it may know
   * a secret that it has not used yet, and a HELLO, or what is said again, shows it that it can.
   */
  changeAuthentication(configuration: AuthenticationConfiguration, turn: Turn): boolean {
    if (!this.authentication.change(configuration)) return false;
    this.#encodeAgain(turn);
    if (this.established && this.authentication.signs) this.hello(turn);
    return true;
  }

  /** Goes on with other timers and limits. */
  reconfigure(configuration: TunnelConfiguration, turn: Turn): void {
    const { helloIntervalMs: before } = this.#configuration;
    this.#configuration = configuration;
    const { static: typedIn, helloIntervalMs } = configuration;
    if (typedIn?.watched !== false && helloIntervalMs !== before) this.#beatAt(helloIntervalMs, turn);
  }

  /** The silence so far counts: no HELLO is missed, and none comes early. */
  #beatAt(intervalMs: number, turn: Turn): void {
    const due = turn.timers.deadline(this.#key("hello"));
    const silentSince = due === undefined ? turn.now : due - this.state.helloIntervalMs;
    this.state.helloIntervalMs = lessATenth(intervalMs, turn.entropy);
    if (intervalMs === 0) {
      this.#stop("hello", turn);
      this.#stop("activity", turn);
    } else if (this.established && this.state.life === "open" && !turn.timers.isSet(this.#key("activity"))) {
      this.#arm("hello", Math.max(0, silentSince + this.state.helloIntervalMs - turn.now), turn);
    }
  }

  /** An ACK could not be verified: the nonce for that is in the SCCRP, which acknowledges as well. */
  receiveSccrqAgain(decoded: DecodedMessage, turn: Turn): void {
    this.receive(decoded, turn);
    if (this.state.state === "wait-ctl-conn" && this.authentication.authenticated) this.sendAgain(turn);
    // Late, or from a peer that has begun anew and says the same as the first time: then it will not answer.
    if (this.established) this.hello(turn);
  }

  /** What is unacknowledged goes out again now, without waiting for the timer. */
  sendAgain(turn: Turn): void {
    this.state.channel.inFlight = 0;
    turn.touched.add(this);
  }

  /** Sends what is due and acknowledges what nothing else acknowledged. Called once when a turn ends. */
  flush(turn: Turn): void {
    const { channel } = this.state;
    for (const { octets, again } of this.#channel.sendable((message, ns) => this.#encode(message, ns, turn))) {
      this.#transmit(octets, turn);
      if (again) turn.count(this.state.tunnel, "retransmitted");
    }
    if (channel.outstanding.length > 0 && !turn.timers.isSet(this.#key("retransmit")))
      this.#restartRetransmission(turn);
    if (!channel.acknowledgementDue) this.#stop("acknowledge", turn);
    // A connection that ends may be gone, or the whole daemon, before any timer.
    else if (this.state.life !== "open") this.#acknowledge(turn);
    // Due at once, but behind everything else that has come by now: one ZLB for all of it.
    else if (this.state.repliesInPreparation === 0) this.#arm("acknowledge", 0, turn);
    else if (!turn.timers.isSet(this.#key("acknowledge"))) this.#arm("acknowledge", ACKNOWLEDGE_DELAY_MS, turn);
    if (this.state.life === "stopping" && this.#channel.settled) this.release(turn);
  }

  /** The StopCCN leaves at once, before the connection's other effects; nothing new follows it. */
  sendStopCcn(message: ControlMessage<"StopCCN">, turn: Turn): void {
    this.#channel.discardWaiting();
    const { octets } = this.#channel.sendUrgent(message, (queued, ns) => this.#encode(queued, ns, turn));
    this.#transmit(octets, turn);
    this.state.life = "stopping";
    this.#restartRetransmission(turn);
    turn.touched.add(this);
    this.#quiet(turn);
    // Nobody has ever answered here: the one StopCCN is courtesy, not worth waiting for.
    if (!this.state.heard) this.release(turn);
  }

  /** The peer said StopCCN: only its retransmissions are answered from now on (RFC 3931 3.3.2). */
  linger(turn: Turn): void {
    this.#channel.abandon();
    this.state.life = "lingering";
    turn.touched.add(this);
    this.#quiet(turn);
    this.#stop("retransmit", turn);
    this.#arm("linger", Math.max(MINIMUM_LINGER_MS, retransmissionCycleMs(this.#configuration.retransmit)), turn);
  }

  #quiet(turn: Turn): void {
    this.#stop("hello", turn);
    this.#stop("activity", turn);
    this.#stop("setup", turn);
  }

  /** Forgets the connection: socket, timers, id. */
  release(turn: Turn): void {
    for (const kind of ["retransmit", "acknowledge", "hello", "activity", "setup", "linger"] as const) {
      this.#stop(kind, turn);
    }
    this.closeSocket(turn);
    turn.touched.delete(this);
    if (turn.connections.get(this.id) === this) turn.connections.release(this.id, turn.now);
  }

  openSocket(local: Endpoint, remote: Endpoint | undefined, turn: Turn): void {
    this.state.socket = this.id;
    const { tunnel, remote: peer } = this.state;
    const [encapsulation, family] = [encapsulationOf(peer), familyOf(peer.address)];
    const protect = this.#configuration.requireIpsec ? { protect: remote ?? peer } : {};
    const localControlConnectionId = this.id;
    turn.emit({
      type: "open-socket",
      tunnel,
      encapsulation,
      family,
      localControlConnectionId,
      local,
      remote,
      ...protect,
    });
  }

  /** Only this address and port count from now on (RFC 3931 4.1.2.2). */
  connectSocket(remote: Endpoint, turn: Turn): void {
    this.state.remote = remote;
    turn.emit({ type: "connect-socket", localControlConnectionId: this.id, remote });
  }

  closeSocket(turn: Turn): void {
    if (this.state.socket === this.id) turn.emit({ type: "close-socket", localControlConnectionId: this.id });
    this.state.socket = 0;
  }

  /** Returns "dead" when the peer has left a message unacknowledged to the end. */
  expire(kind: ConnectionTimer, turn: Turn): "dead" | "setup-timeout" | "fine" {
    turn.touched.add(this);
    switch (kind) {
      case "retransmit":
        return this.#retransmit(turn);
      case "acknowledge":
        if (this.state.channel.acknowledgementDue) this.#acknowledge(turn);
        return "fine";
      case "hello":
        this.#probe(turn);
        return "fine";
      case "activity":
        this.#sendHello(turn);
        return "fine";
      case "linger":
        this.release(turn);
        return "fine";
      case "setup":
        return "setup-timeout";
    }
  }

  #retransmit(turn: Turn): "dead" | "fine" {
    const { retries, sccrqRetries } = this.#configuration.retransmit;
    if (!this.#channel.timeout(this.state.state === "wait-ctl-reply" ? sccrqRetries : retries)) return "dead";
    this.#restartRetransmission(turn);
    return "fine";
  }

  /** Silence: ask the datapath first, because data counts as a sign of life too (RFC 3931 4.4). */
  #probe(turn: Turn): void {
    if (!this.#channel.settled) {
      // A message is under way: its retransmissions find out whether the peer is there.
      this.#arm("hello", this.state.helloIntervalMs, turn);
      return;
    }
    turn.emit({ type: "query-activity", localControlConnectionId: this.id });
    this.#arm("activity", ACTIVITY_ANSWER_MS, turn);
  }

  /** The datapath's answer to `query-activity`. */
  activity(receivedPackets: number, turn: Turn): void {
    if (!turn.timers.isSet(this.#key("activity"))) return;
    this.#stop("activity", turn);
    turn.touched.add(this);
    if (receivedPackets === this.state.receivedPackets) {
      this.#sendHello(turn);
      return;
    }
    this.state.receivedPackets = receivedPackets;
    this.#arm("hello", this.state.helloIntervalMs, turn);
  }

  #sendHello(turn: Turn): void {
    this.hello(turn);
    this.#arm("hello", this.state.helloIntervalMs, turn);
  }

  /** Starts the keepalive: the connection is established. */
  startHello(turn: Turn): void {
    if (this.state.helloIntervalMs > 0) this.#arm("hello", this.state.helloIntervalMs, turn);
  }

  /** `isNew`: a sign of life, which what was said before is not: anybody can repeat it. */
  #hear(isNew: boolean, turn: Turn): void {
    this.state.heard = true;
    if (!isNew) return;
    this.state.elsewhere = undefined;
    if (!turn.timers.isSet(this.#key("hello")) && !turn.timers.isSet(this.#key("activity"))) return;
    this.#stop("activity", turn);
    this.#arm("hello", this.state.helloIntervalMs, turn);
  }

  #acknowledge(turn: Turn): void {
    this.state.channel.acknowledgementDue = false;
    this.#stop("acknowledge", turn);
    this.#transmit(this.#encodeAcknowledgement(turn), turn);
  }

  /**
   * Without digests a ZLB: an explicit ACK would count as a sequenced message with several peers. A ZLB has no room for
   * a digest, so with a secret it must not be one (RFC 3931 6.15), and for an integrity check it should not.
   */
  #encodeAcknowledgement(turn: Turn): Uint8Array {
    const { nextNs, nr } = this.state.channel;
    const { signs, authenticated } = this.authentication;
    const isExplicit = signs && (authenticated || this.dialect.explicitAck === "signed");
    if (isExplicit) return this.#encode({ name: "ACK" }, nextNs, turn);
    return encodeZlb(this.state.remoteControlConnectionId, nextNs, nr);
  }

  #encode(message: ControlMessage, ns: number, turn: Turn): Uint8Array {
    const { remoteControlConnectionId, channel } = this.state;
    const envelope = { ...this.authentication.envelope(turn.entropy), ...this.dialect.envelope };
    return encodeMessage(remoteControlConnectionId, ns, channel.nr, message, envelope);
  }

  #transmit(encoded: Uint8Array, turn: Turn): void {
    const { channel, remote, socket, listener, tunnel } = this.state;
    // A retransmission carries today's Nr (RFC 3931 4.2) and a digest over it; what went out before stays as it is.
    const octets = encoded.slice();
    patchNr(octets, channel.nr);
    this.authentication.sign(octets);
    turn.count(tunnel, "sent");
    if (socket !== 0) turn.emit({ type: "send", localControlConnectionId: socket, to: remote, octets });
    else if (listener !== undefined) turn.emit({ type: "reply", from: listener, to: remote, octets });
  }

  #restartRetransmission(turn: Turn): void {
    const { outstanding, retransmissions } = this.state.channel;
    if (outstanding.length === 0) this.#stop("retransmit", turn);
    else this.#arm("retransmit", retransmitDelayMs(this.#configuration.retransmit, retransmissions), turn);
  }

  #key(kind: ConnectionTimer): string {
    return `${kind} ${this.id}`;
  }

  #arm(kind: ConnectionTimer, delayMs: number, turn: Turn): void {
    turn.timers.set(this.#key(kind), { owner: "connection", id: this.id, kind }, turn.now + delayMs);
  }

  #stop(kind: ConnectionTimer, turn: Turn): void {
    turn.timers.stop(this.#key(kind));
  }
}
