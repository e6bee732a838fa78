import type { DecodedMessage } from "../avp/decode.ts";
import { MESSAGES, type MessageName } from "../avp/messages.ts";
import type { ControlConnectionEvent } from "../fsm/control-connection.ts";
import { avpsOf, formFlaw, unknownTypeFlaw } from "./admission.ts";
import { alternativesOf, reachableFrom } from "./alternatives.ts";
import { receiveSessionMessage } from "./calls.ts";
import type { TunnelConfiguration } from "./configuration.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { Endpoint } from "./core.ts";
import type { EndedBy } from "./ending.ts";
import { takeOverSockets } from "./flows.ts";
import { learnPeer, learnSender, openingFlaw } from "./handshake.ts";
import { describeResult, outOfTurn, type Result } from "./result-codes.ts";
import type { SessionTable } from "./session-table.ts";
import type { TunnelState } from "./tunnel-state.ts";
import type { Turn } from "./turn.ts";

/** What the messages of a control connection need of its tunnel. */
interface Tunnel {
  readonly configuration: TunnelConfiguration;
  readonly state: TunnelState;
  readonly sessions: SessionTable;
  connections(turn: Turn): readonly ControlConnection[];
  step(connection: ControlConnection, event: ControlConnectionEvent, cause: Result | undefined, turn: Turn): void;
  fail(reason: string, turn: Turn, connection: ControlConnection, by: EndedBy): void;
}

/** A message that is due in order on a connection that is open. */
export function receiveConnectionMessage(
  tunnel: Tunnel,
  connection: ControlConnection,
  decoded: DecodedMessage,
  from: Endpoint,
  turn: Turn,
): void {
  if (decoded.kind === "zlb") return;
  if (decoded.kind === "unknown") {
    const flaw = unknownTypeFlaw(decoded);
    if (flaw !== undefined) tunnel.step(connection, { type: "rx.invalid" }, flaw, turn);
    return;
  }
  const name = decoded.kind === "message" ? decoded.message.name : decoded.name;
  receive(tunnel, connection, name, decoded, from, turn);
}

function receive(
  tunnel: Tunnel,
  connection: ControlConnection,
  name: MessageName,
  decoded: DecodedMessage,
  from: Endpoint,
  turn: Turn,
): void {
  const flaw = formFlaw(decoded) ?? openingFlaw(name, connection, tunnel.configuration, { decoded, from }, turn);
  const verdict = flaw === undefined ? "acceptable" : "unacceptable";
  switch (name) {
    case "SCCRQ":
      tunnel.step(connection, { type: "rx.SCCRQ", verdict: "unacceptable" }, flaw, turn);
      return;
    case "SCCRP":
      learnSender(connection, decoded, from);
      if (verdict === "acceptable") takeSccrp(tunnel, connection, decoded, from, turn);
      tunnel.step(connection, { type: "rx.SCCRP", verdict }, flaw, turn);
      return;
    case "SCCCN":
      tunnel.step(connection, { type: "rx.SCCCN", verdict }, flaw, turn);
      return;
    case "StopCCN":
      receiveStopCcn(tunnel, connection, decoded, turn);
      return;
    case "HELLO":
    case "ACK":
      if (flaw !== undefined) tunnel.step(connection, { type: "rx.invalid" }, flaw, turn);
      return;
    default:
      if (connection.established) receiveSessionMessage(tunnel, connection, name, decoded, turn);
      // Types that may be ignored (RFC 3931 5.4.1) break nothing at any time.
      else if (MESSAGES[name].mandatory)
        tunnel.step(connection, { type: "rx.invalid" }, flaw ?? outOfTurn(name, connection.state.state), turn);
  }
}

/** An answer may come from another port than the one we asked; then both ports are fixed (RFC 3931 4.1.2.2). */
function takeSccrp(
  tunnel: Tunnel,
  connection: ControlConnection,
  decoded: DecodedMessage,
  from: Endpoint,
  turn: Turn,
): void {
  if (connection.state.state !== "wait-ctl-reply") return;
  learnPeer(connection, decoded);
  if (tunnel.configuration.localPort !== 0) takeOverSockets(connection, from, tunnel.connections(turn), turn);
  connection.connectSocket(from, turn);
}

function receiveStopCcn(tunnel: Tunnel, connection: ControlConnection, decoded: DecodedMessage, turn: Turn): void {
  const { resultCode } = avpsOf(decoded);
  const reason = `the peer closed the control connection (StopCCN): ${describeResult("StopCCN", resultCode)}`;
  tunnel.fail(reason, turn, connection, "peer");
  // Only a peer that has proven itself may send us elsewhere (RFC 3931 5.4.2).
  if (connection.authentication.authenticated) {
    tunnel.state.alternatives = reachableFrom(tunnel.configuration.local, alternativesOf(resultCode));
  }
  connection.linger(turn);
  tunnel.step(connection, { type: "rx.StopCCN" }, undefined, turn);
}
