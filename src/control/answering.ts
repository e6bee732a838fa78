import type { ControlConnectionEvent } from "../fsm/control-connection.ts";
import { avpsOf, compareTieBreakers, type TieOutcome } from "./admission.ts";
import type { TunnelConfiguration } from "./configuration.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { ConnectionOrigin } from "./control-connection-state.ts";
import { encapsulationOf, endpointText, sameEndpoint } from "./endpoint.ts";
import { flowFlaw } from "./flows.ts";
import { excessHalfOpen, isRetransmission, mayAnswer } from "./half-open.ts";
import { learnPeer, refusal } from "./handshake.ts";
import { describeResult, type Result, STOPCCN } from "./result-codes.ts";
import { discardForged, flawOfSccrq, type Request, type Sccrq, verifySccrq } from "./sccrq.ts";
import type { TunnelState } from "./tunnel-state.ts";
import type { Turn } from "./turn.ts";

/** What the answer to an SCCRQ needs of the tunnel that it is for. */
interface Answerer {
  readonly configuration: TunnelConfiguration;
  readonly state: TunnelState;
  /** The connection that counts. */
  live(turn: Turn): ControlConnection | undefined;
  /** Every connection that is not forgotten yet. */
  connections(turn: Turn): ControlConnection[];
  openConnection(turn: Turn): void;
  createConnection(origin: Omit<ConnectionOrigin, "localControlConnectionId">, turn: Turn): ControlConnection;
  step(connection: ControlConnection, event: ControlConnectionEvent, cause: Result | undefined, turn: Turn): void;
  drop(connection: ControlConnection, turn: Turn): void;
  fail(reason: string, turn: Turn, connection?: ControlConnection): void;
}

/** An SCCRQ whose sender, if it is genuine, is this tunnel's peer. */
export function receiveSccrq(tunnel: Answerer, request: Request, turn: Turn): void {
  const sccrq = verifySccrq(request, tunnel.configuration, turn);
  if (sccrq === undefined) {
    discardForged(tunnel.state, request.from, turn);
    return;
  }
  tunnel.state.forged.lately = 0;
  const { decoded } = sccrq;
  // The first message of a connection, whatever else it is (RFC 3931 4.2).
  if (decoded.header.ns !== 0) return;
  if (!request.protected && !mayAnswer(tunnel.state, turn)) return;
  if (tunnel.configuration.requireIpsec && !request.protected) {
    checkProtection(tunnel.state.name, request, turn);
    return;
  }
  const known = connectionOf(sccrq, tunnel.connections(turn));
  if (known === undefined) receiveNew(tunnel, sccrq, turn);
  else known.receiveSccrqAgain(decoded, turn);
}

/** A retransmission carries CCID 0 too: it is known by its sender and the id that this one assigned. */
function connectionOf(sccrq: Sccrq, connections: readonly ControlConnection[]): ControlConnection | undefined {
  return connections.find((connection) => {
    const { initiator, remoteControlConnectionId, remote } = connection.state;
    if (initiator || remoteControlConnectionId !== sccrq.remoteId || !sameEndpoint(remote, sccrq.from)) return false;
    return isRetransmission(sccrq, connection);
  });
}

function receiveNew(tunnel: Answerer, sccrq: Sccrq, turn: Turn): void {
  const { from } = sccrq;
  const { name, netns, bindDevice } = tunnel.configuration;
  const flaw =
    flawOfSccrq(sccrq, tunnel.configuration, tunnel.state.closed, turn) ??
    flowFlaw({ tunnel: name, local: sccrq.to, remote: from, netns, bindDevice }, turn);
  if (flaw !== undefined) refuseFlawed(tunnel, sccrq, flaw, turn);
  else if (settleTie(tunnel, sccrq, turn)) answer(tunnel, sccrq, turn);
}

/** Before anything else becomes of it: a refusal is an answer too. */
function checkProtection(tunnel: string, { from, to, octets }: Request, turn: Turn): void {
  turn.emit({ type: "check-protection", tunnel, from, to, octets: octets.slice() });
}

/**
 * RFC 3931 7.2 would have an attempt of ours end where such an SCCRQ wins the tie. It goes on: anybody can send one that
 * cannot be accepted, and a peer that has been refused hears our next retransmission.
 */
function refuseFlawed(tunnel: Answerer, sccrq: Sccrq, flaw: Result, turn: Turn): void {
  refuse(tunnel, sccrq, flaw, turn);
  if (tunnel.live(turn)?.established !== true) {
    tunnel.state.lastError = `SCCRQ refused: ${describeResult("StopCCN", flaw)}`;
  }
}

/** RFC 3931 5.4.3. Returns whether the peer's SCCRQ is to be answered. */
function settleTie(tunnel: Answerer, sccrq: Sccrq, turn: Turn): boolean {
  // An end that always opens takes the peer's SCCRQ as a sign of life: now its own will be heard.
  if (tunnel.configuration.role === "initiator" && tunnel.live(turn) === undefined) tunnel.openConnection(turn);
  const own = tunnel.live(turn);
  if (own?.state.state !== "wait-ctl-reply") return true;
  const outcome = outcomeOf(own, sccrq);
  turn.log("info", "control-connection-tie", `both ends opened at once; tie: ${outcome}`, own.context);
  switch (outcome) {
    case "won":
      tunnel.step(own, { type: "rx.SCCRQ", verdict: "tie-won" }, undefined, turn);
      // The peer is there now; it may not have been when our SCCRQ was sent. It is to know of the tie before it is refused.
      own.sendAgain(turn);
      own.flush(turn);
      refuse(tunnel, sccrq, { result: STOPCCN.alreadyExists }, turn);
      return false;
    case "lost":
      tunnel.step(own, { type: "rx.SCCRQ", verdict: "tie-lost" }, undefined, turn);
      return true;
    case "equal":
      tunnel.fail("both ends drew the same tie breaker: is the peer this machine itself?", turn, own);
      tunnel.step(own, { type: "rx.SCCRQ", verdict: "tie-lost" }, undefined, turn);
      return false;
  }
}

/**
 * Without tie breakers RFC 3931 5.4.3 lets both connections live. A tunnel has one: the ids that the two SCCRQs assign
 * decide as tie breakers would, so that two of our kind come to the same end.
 */
function outcomeOf({ id, state }: ControlConnection, { decoded, remoteId }: Sccrq): Exclude<TieOutcome, "neither"> {
  const outcome = compareTieBreakers(state.tieBreaker, avpsOf(decoded).tieBreaker);
  if (outcome !== "neither") return outcome;
  if (id === remoteId) return "equal";
  return id < remoteId ? "won" : "lost";
}

function answer(tunnel: Answerer, { decoded, octets, remoteId, authentication, from, to }: Sccrq, turn: Turn): void {
  const excess = excessHalfOpen(tunnel.connections(turn), from, turn.entropy);
  if (excess !== undefined) tunnel.drop(excess, turn);
  const connection = tunnel.createConnection(
    {
      remoteControlConnectionId: remoteId,
      initiator: false,
      remote: from,
      listener: to,
      tieBreaker: undefined,
      authentication: authentication.state,
      request: octets.slice(),
    },
    turn,
  );
  if (tunnel.live(turn) === undefined) {
    tunnel.state.live = connection.id;
    tunnel.state.since = turn.now;
  }
  // The kernel drops what comes over IP for a Control Connection ID that no socket is bound to.
  if (encapsulationOf(from) === "ip") connection.openSocket(to, from, turn);
  learnPeer(connection, decoded);
  connection.receive(decoded, turn);
  tunnel.step(connection, { type: "rx.SCCRQ", verdict: "acceptable" }, undefined, turn);
}

function refuse(tunnel: Answerer, { remoteId, authentication, from, to }: Sccrq, cause: Result, turn: Turn): void {
  if (!turn.mayRefuse()) return;
  turn.log("warn", "sccrq-refused", `SCCRQ refused: ${describeResult("StopCCN", cause)}`, {
    tunnel: tunnel.state.name,
    details: { peer: endpointText(from) },
  });
  const octets = refusal(remoteId, cause, authentication, turn.entropy);
  turn.emit({ type: "reply", from: to, to: from, octets });
}
