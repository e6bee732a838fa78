import { type DecodedMessage, decodeMessage } from "../avp/decode.ts";
import { describeMessage } from "../avp/describe.ts";
import { decodeHeader, isVersion2 } from "../avp/header.ts";
import { ProtocolError } from "../avp/protocol-error.ts";
import type { Witness } from "../avp/sanitise.ts";
import { administered } from "./administration.ts";
import { avpsOf, messageName } from "./admission.ts";
import { receiveSccrq } from "./answering.ts";
import type { AnyTunnel } from "./any-tunnel.ts";
import { circuitInput } from "./circuit-input.ts";
import type { LcceConfiguration, TunnelConfiguration } from "./configuration.ts";
import { ControlConnection } from "./control-connection.ts";
import type { ControlConnectionState } from "./control-connection-state.ts";
import type { Core, Effect, Endpoint, Entropy, Input, Instant, LocalEndpoint } from "./core.ts";
import { detailsOf, type TunnelDetails } from "./details.ts";
import { encapsulationOf, endpointText, sameEndpoint } from "./endpoint.ts";
import { refusal } from "./handshake.ts";
import type { Correspondents } from "./message-owner.ts";
import { isPlaceOf, tunnelFor } from "./peer-selection.ts";
import { makeTunnel, reconfigure } from "./reconfigure.ts";
import { RefusalLimit } from "./refusal-limit.ts";
import { Registry } from "./registry.ts";
import { because, printable, STOPCCN } from "./result-codes.ts";
import { discardForged } from "./sccrq.ts";
import { Session } from "./session.ts";
import type { StaticSession } from "./static-session.ts";
import { StaticTunnel } from "./static-tunnel.ts";
import { statisticsOf, type TunnelStatistics } from "./statistics.ts";
import { surroundingsChanged } from "./surroundings.ts";
import { TimerTable } from "./timer-table.ts";
import { Tunnel } from "./tunnel.ts";
import { countMessage, type SavedTunnel } from "./tunnel-state.ts";
import type { Timer, Turn } from "./turn.ts";
import { isDualSccrq, receiveVersion2 } from "./version2.ts";
import type { LcceView } from "./view.ts";
import { viewOf } from "./view-of.ts";

/** Those left over are due still, and get a turn of their own: who has thousands must not keep datagrams waiting. */
const TIMERS_PER_TURN = 128;

type Of<T extends Input["type"]> = Extract<Input, { readonly type: T }>;

/** An LCCE between two inputs. Instants are those of the process that saved it. */
export interface LcceState {
  readonly serialNumber: number;
  readonly tunnels: readonly SavedTunnel[];
  readonly connections: readonly ControlConnectionState[];
  readonly timers: readonly { readonly key: string; readonly timer: Timer; readonly at: Instant }[];
}

/** An RFC 3931 LCCE, as a pure function of what happens to it. */
export class Lcce implements Core {
  readonly #configuration: LcceConfiguration;
  readonly #entropy: Entropy;
  readonly #timers = new TimerTable<Timer>();
  readonly #connections = new Registry<ControlConnection>();
  readonly #sessions = new Registry<Session>();
  #tunnels: ReadonlyMap<string, AnyTunnel>;
  #negotiated: readonly Tunnel[] = [];
  /** Those that have their ids by configuration. */
  #staticSessions: ReadonlyMap<number, StaticSession> = new Map();
  /** Tunnels that are not configured any more, by the control connections that still say goodbye. */
  readonly #leaving = new Map<number, AnyTunnel>();
  #serialNumber = 0;
  readonly #refusals = new RefusalLimit();
  /** The daemon ends: nothing is opened any more. */
  #ending = false;

  /** `saved`: what an earlier process knew; it goes on from there with the same configuration. */
  constructor(configuration: LcceConfiguration, entropy: Entropy, now: Instant, saved?: LcceState) {
    this.#configuration = configuration;
    this.#entropy = entropy;
    this.#serialNumber = saved?.serialNumber ?? 0;
    const tunnels = new Map(saved?.tunnels.map((tunnel) => [tunnel.state.name, tunnel]));
    this.#tunnels = new Map(
      configuration.tunnels.map((tunnel) => [tunnel.name, makeTunnel(tunnel, now, tunnels.get(tunnel.name))]),
    );
    this.#index();
    if (saved !== undefined) this.#restore(saved);
  }

  #index(): void {
    const tunnels = [...this.#tunnels.values()];
    const sessions = tunnels.flatMap((tunnel) => (tunnel instanceof StaticTunnel ? [...tunnel.sessions.values()] : []));
    this.#negotiated = tunnels.filter((tunnel) => tunnel instanceof Tunnel);
    this.#staticSessions = new Map(sessions.map((session) => [session.localSessionId, session]));
    this.#sessions.reserve(this.#staticSessions.keys());
    this.#connections.reserve(tunnels.flatMap(({ configuration }) => configuration.static?.localTunnelId ?? []));
  }

  /** The tunnel that a connection is of, even where the configuration has it no more, or otherwise. */
  #tunnelOf({ id, state }: ControlConnection): AnyTunnel | undefined {
    return this.#leaving.get(id) ?? this.#tunnels.get(state.tunnel);
  }

  #restore({ connections, timers }: LcceState): void {
    for (const tunnel of this.#tunnels.values()) {
      for (const session of tunnel.sessions.values()) {
        if (session instanceof Session && session.busy) this.#sessions.assign(session.state.localSessionId, session);
      }
    }
    for (const state of connections) {
      const tunnel = this.#tunnels.get(state.tunnel);
      if (tunnel === undefined) continue;
      const connection = new ControlConnection(state, tunnel.configuration);
      this.#connections.assign(connection.id, connection);
      tunnel.adopt(connection);
    }
    for (const { key, timer, at } of timers) this.#timers.set(key, timer, at);
  }

  /** Everything that it knows, as plain data that can be cloned, written out and read back. Not a copy. */
  save(): LcceState {
    return {
      serialNumber: this.#serialNumber,
      tunnels: Array.from(this.#tunnels.values(), (tunnel) => tunnel.save()),
      connections: Array.from(this.#connections.owners(), ({ state }) => state),
      timers: this.#timers.list(),
    };
  }

  receive(input: Input, now: Instant): readonly Effect[] {
    return this.#take(now, (turn) => this.#handle(input, turn));
  }

  expire(now: Instant): readonly Effect[] {
    return this.#take(now, (turn) => {
      for (let fired = 0; fired < TIMERS_PER_TURN; fired++) {
        const timer = this.#timers.takeDue(now);
        if (timer === undefined) return;
        this.#guard(turn, () => this.#fire(timer, turn));
      }
    });
  }

  nextDeadline(): Instant | undefined {
    return this.#timers.nextDeadline();
  }

  idle(): boolean {
    for (const { state } of this.#connections.owners()) if (state.life !== "lingering") return false;
    return true;
  }

  #take(now: Instant, act: (turn: Turn) => void): readonly Effect[] {
    const effects: Effect[] = [];
    const turn: Turn = {
      now,
      entropy: this.#entropy,
      timers: this.#timers,
      connections: this.#connections,
      sessions: this.#sessions,
      touched: new Set(),
      hostname: this.#configuration.hostname,
      routerId: this.#configuration.routerId,
      emit: (effect) => effects.push(effect),
      log: (level, event, message, context) => effects.push({ type: "log", level, event, message, ...context }),
      nextSerialNumber: () => {
        this.#serialNumber = (this.#serialNumber + 1) >>> 0;
        return this.#serialNumber;
      },
      count: (tunnel, what) => countMessage(this.#tunnels.get(tunnel)?.state, what),
      mayRefuse: () => this.#refusals.allows(now, (words) => turn.log("warn", "too-many-refusals", words, {})),
    };
    act(turn);
    for (const connection of turn.touched) this.#flush(connection, turn);
    for (const id of this.#leaving.keys()) if (this.#connections.get(id) === undefined) this.#leaving.delete(id);
    return effects;
  }

  /** What cannot be written is an error of ours, or of the configuration, that a wall has to stop too. */
  #flush(connection: ControlConnection, turn: Turn): void {
    if (this.#guard(turn, () => connection.flush(turn)) || connection.state.life !== "open") return;
    this.#tunnelOf(connection)?.refused(connection, "internal error", turn);
  }

  #handle(input: Input, turn: Turn): void {
    switch (input.type) {
      case "start":
        for (const tunnel of this.#tunnels.values()) tunnel.attempt(turn);
        return;
      case "datagram":
        this.#receiveDatagram(input, turn);
        return;
      case "peer-resolved":
        this.#asking(input)?.peerResolved([input.address, ...(input.others ?? [])], turn);
        return;
      case "peer-unresolved":
        this.#asking(input)?.peerUnresolved(input.reason, turn);
        return;
      case "socket-failed":
        this.#withConnection(input.localControlConnectionId, (tunnel, connection) =>
          tunnel.socketFailed(connection, input.reason, turn),
        );
        return;
      case "tunnel-refused":
        this.#withConnection(input.localControlConnectionId, (tunnel, connection) =>
          tunnel.refused(connection, input.reason, turn),
        );
        return;
      case "tunnel-created":
        this.#withConnection(input.localControlConnectionId, (tunnel, connection) =>
          tunnel.created?.(connection, turn),
        );
        return;
      case "session-created":
      case "session-refused":
        this.#datapathAnswered(input, turn);
        return;
      case "activity":
        this.#connections.get(input.localControlConnectionId)?.activity(input.receivedPackets, turn);
        return;
      case "circuit":
      case "circuit-errors":
        circuitInput(input, this.#tunnels, turn);
        return;
      case "surroundings-changed":
      case "address-lost":
      case "protection-lost":
      case "protection-found":
      case "unprotected":
      case "namespace-lost":
      case "namespace-found":
        surroundingsChanged(input, this.#tunnels, turn);
        return;
      case "open":
        if (!this.#ending) administered(input, this.#tunnels, turn);
        return;
      case "close":
        administered(input, this.#tunnels, turn);
        return;
      case "authentication-changed":
        this.#tunnels.get(input.tunnel)?.changeAuthentication(input.authentication, turn);
        return;
      case "configuration-changed":
        if (!this.#ending) this.#reconfigure(input.tunnels, turn);
        return;
      case "shutdown":
        this.#ending = true;
        for (const tunnel of this.#tunnels.values()) tunnel.close({ result: STOPCCN.shuttingDown }, turn);
        return;
    }
  }

  #reconfigure(tunnels: readonly TunnelConfiguration[], turn: Turn): void {
    this.#tunnels = reconfigure(this.#tunnels, tunnels, this.#leaving, turn);
    this.#index();
  }

  /** Nobody wants to know any more what a name stands for that the configuration had before. */
  #asking({ tunnel: name, host }: Of<"peer-resolved" | "peer-unresolved">): AnyTunnel | undefined {
    const tunnel = this.#tunnels.get(name);
    return host === undefined || tunnel?.configuration.peer === host ? tunnel : undefined;
  }

  /** For who records: what can tell whether a datagram is genuine. Throws ProtocolError like whoever reads it. */
  witnesses({ from, to, octets }: Of<"datagram">): readonly Witness[] {
    const { controlConnectionId } = decodeHeader(octets);
    const connection = this.#connections.get(controlConnectionId);
    if (connection !== undefined) return [connection.authentication.witness];
    if (controlConnectionId !== 0) return [];
    const near = [...this.#connections.owners()].filter((each) => this.#isFrom(each, from, to));
    const witnesses = near.map(({ authentication }) => authentication.witness);
    const tunnel = tunnelFor(this.#negotiated, decodeMessage(octets), from, to);
    return tunnel === undefined ? witnesses : [tunnel.configuration.authentication, ...witnesses];
  }

  /** To find out whose the control messages are that pass. */
  get correspondents(): Correspondents {
    return { connections: this.#connections, negotiated: this.#negotiated };
  }

  #withConnection(id: number, act: (tunnel: AnyTunnel, connection: ControlConnection) => void): void {
    const connection = this.#connections.get(id);
    const tunnel = connection && this.#tunnelOf(connection);
    if (connection !== undefined && tunnel !== undefined && connection.state.life === "open") act(tunnel, connection);
  }

  /** Who it is for, whether it is genuine, and only then what it says (RFC 3931 5.4.1). */
  #receiveDatagram(input: Of<"datagram">, turn: Turn): void {
    try {
      const { controlConnectionId } = decodeHeader(input.octets);
      const connection = this.#connections.get(controlConnectionId);
      if (connection !== undefined) this.#receiveFor(connection, input, turn);
      else if (controlConnectionId === 0) this.#receiveUnaddressed(input, turn);
      else {
        const message = `datagram for control connection ${controlConnectionId}`;
        turn.log("debug", "unknown-control-connection", message, sender(input.from));
      }
    } catch (error) {
      // RFC 3931 7.1: what has no sound header is discarded in silence.
      if (!(error instanceof ProtocolError)) throw error;
      turn.log("debug", "datagram-discarded", error.message, sender(input.from));
    }
  }

  #receiveFor(connection: ControlConnection, input: Of<"datagram">, turn: Turn): void {
    const { state, authentication } = connection;
    const { from, to, octets } = input;
    const anyPort = state.initiator && state.state === "wait-ctl-reply" && encapsulationOf(from) === "udp";
    const isPort = from.port === state.remote.port || (anyPort && encapsulationOf(state.remote) === "udp");
    if (from.address !== state.remote.address || !isPort || !this.#isPlaceOf(connection, to)) {
      turn.log("debug", "wrong-source", "datagram from another address than the peer's", sender(from));
      this.#receiveElsewhere(connection, input, turn);
    } else if (!connection.verify(octets)) this.#discardForged(connection, from, turn);
    else this.#receiveOn(connection, decodeMessage(octets, authentication.unhidingKey), input, turn);
  }

  #receiveElsewhere(connection: ControlConnection, { from, to, octets }: Of<"datagram">, turn: Turn): void {
    if (!this.#isPlaceOf(connection, to)) return;
    this.#tunnels.get(connection.state.tunnel)?.receiveElsewhere?.(connection, from, octets, turn);
  }

  /** Control Connection ID 0: the sender does not know ours yet. */
  #receiveUnaddressed(input: Of<"datagram">, turn: Turn): void {
    const decoded = decodeMessage(input.octets);
    const name = messageName(decoded);
    if (isVersion2(input.octets) && encapsulationOf(input.from) === "ip")
      // RFC 3931 4.7.1.
      turn.log("debug", "datagram-discarded", "version 2 over IP, where there is none", sender(input.from));
    else if (isVersion2(input.octets) && !isDualSccrq(decoded)) receiveVersion2(decoded, input, this.#secretive, turn);
    else if (name === "SCCRQ") this.#receiveSccrq(decoded, input, turn);
    else if (name === "StopCCN") this.#receiveEarlyStopCcn(input, turn);
    else
      turn.log("debug", "unknown-control-connection", `${describeMessage(decoded)} without an id`, sender(input.from));
  }

  /** A StopCCN from a peer that has not learnt our id names its own instead (RFC 3931 5.4.3). */
  #receiveEarlyStopCcn(input: Of<"datagram">, turn: Turn): void {
    let suspect: ControlConnection | undefined;
    // A peer that has begun anew may use the id of a connection that is over once more.
    const openFirst = [...this.#connections.owners()].sort((one, other) => Number(other.isOpen) - Number(one.isOpen));
    for (const connection of openFirst) {
      const { remoteControlConnectionId, life } = connection.state;
      if (!this.#isFrom(connection, input.from, input.to)) continue;
      if (!connection.verify(input.octets)) {
        // It need not be for one that is over: the peer may have begun anew and given up since.
        if (life === "open") suspect = connection;
        continue;
      }
      // The id may be hidden, and then each connection reads it with its own secret.
      const decoded = decodeMessage(input.octets, connection.authentication.unhidingKey);
      if (avpsOf(decoded).assignedControlConnectionId !== remoteControlConnectionId) continue;
      this.#receiveOn(connection, decoded, input, turn);
      return;
    }
    if (suspect !== undefined) this.#discardForged(suspect, input.from, turn);
  }

  #isFrom(connection: ControlConnection, from: Endpoint, to: LocalEndpoint): boolean {
    return sameEndpoint(connection.state.remote, from) && this.#isPlaceOf(connection, to);
  }

  #isPlaceOf(connection: ControlConnection, to: LocalEndpoint): boolean {
    return this.#tunnelOf(connection) !== undefined && isPlaceOf(connection.flow, to);
  }

  #discardForged(connection: ControlConnection, from: Endpoint, turn: Turn): void {
    const tunnel = this.#tunnelOf(connection);
    if (tunnel !== undefined) discardForged(tunnel.state, from, turn);
  }

  #receiveOn(connection: ControlConnection, decoded: DecodedMessage, input: Of<"datagram">, turn: Turn): void {
    const tunnel = this.#tunnelOf(connection);
    if (tunnel === undefined) return;
    const sound = this.#guard(turn, () => tunnel.receive(connection, decoded, input.from, turn));
    if (!sound) tunnel.refused(connection, "internal error", turn);
  }

  /** A wall: an error of ours ends one connection, or one timer, and nothing else. Returns whether all was well. */
  #guard(turn: Turn, act: () => void): boolean {
    try {
      act();
      return true;
    } catch (error) {
      turn.log("error", "internal-error", String(error instanceof Error ? error.stack : error), {});
      return false;
    }
  }

  /** `decoded` is only a hint: it says whose secret can tell whether it is genuine (RFC 3931 5.4.1). */
  #receiveSccrq(decoded: DecodedMessage, input: Of<"datagram">, turn: Turn): void {
    const { from, to } = input;
    const tunnel = tunnelFor(this.#negotiated, decoded, from, to);
    if (tunnel !== undefined) {
      receiveSccrq(tunnel, input, turn);
      return;
    }
    if (!turn.mayRefuse()) return;
    turn.log("warn", "unknown-peer", "SCCRQ from a peer that no tunnel names", {
      details: { peer: endpointText(from), host_name: printable(avpsOf(decoded).hostName ?? "") },
    });
    if (this.#secretive) return;
    const cause = because(STOPCCN.notAuthorized, "no tunnel is configured for this peer");
    const remoteId = avpsOf(decoded).assignedControlConnectionId ?? 0;
    turn.emit({ type: "reply", from: to, to: from, octets: refusal(remoteId, cause, undefined, turn.entropy) });
  }

  /** Where there are secrets, or IPsec has to be, a stranger learns nothing: not even which peers are configured. */
  get #secretive(): boolean {
    return Array.from(this.#tunnels.values()).some(
      ({ configuration: { authentication, requireIpsec } }) => requireIpsec || authentication.secrets.length > 0,
    );
  }

  #datapathAnswered(input: Of<"session-created"> | Of<"session-refused">, turn: Turn): void {
    const session = this.#sessions.get(input.localSessionId) ?? this.#staticSessions.get(input.localSessionId);
    if (session === undefined) return;
    const connection = this.#connections.get(session.state.localControlConnectionId);
    if (connection === undefined) return;
    const refused = input.type === "session-refused" ? input.reason : undefined;
    session.datapathAnswered(refused, connection, turn);
  }

  #fire(timer: Timer, turn: Turn): void {
    switch (timer.owner) {
      case "connection": {
        const connection = this.#connections.get(timer.id);
        const tunnel = connection && this.#tunnelOf(connection);
        if (connection !== undefined) tunnel?.expireConnection(connection, timer.kind, turn);
        return;
      }
      case "tunnel":
        this.#tunnels.get(timer.name)?.expire(timer.kind, turn);
        return;
      case "session": {
        const tunnel = this.#tunnels.get(timer.tunnel);
        const session = tunnel?.sessions.get(timer.name);
        const connection = tunnel?.live(turn);
        if (session === undefined || !connection?.established) return;
        session.expire(timer.kind, connection, turn);
        return;
      }
    }
  }

  view(name?: string): LcceView {
    const { hostname, routerId } = this.#configuration;
    const tunnels = name === undefined ? [...this.#tunnels.values()] : [this.#tunnels.get(name) ?? []].flat();
    return { hostname, routerId, tunnels: tunnels.map((tunnel) => viewOf(tunnel, this.#connections)) };
  }

  /** What is counted, of every tunnel in the order of the configuration. */
  statistics(): readonly TunnelStatistics[] {
    return Array.from(this.#tunnels.values(), (tunnel) => statisticsOf(tunnel, this.#connections));
  }

  /** What `show` tells beside the view, in the same order. */
  details(): readonly TunnelDetails[] {
    return Array.from(this.#tunnels.values(), (tunnel) => detailsOf(tunnel, this.#connections, this.#timers));
  }
}

function sender(from: Endpoint) {
  return { details: { from: endpointText(from) } };
}
