import { encodeMessage } from "../avp/encode.ts";
import type { AvpValues, ControlMessage } from "../avp/messages.ts";
import { ETHERNET_PSEUDOWIRE } from "./admission.ts";
import type { Authentication } from "./authentication.ts";
import type { TunnelConfiguration } from "./configuration.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { Entropy } from "./core.ts";
import { printable, type Result, STOPCCN } from "./result-codes.ts";
import type { Turn } from "./turn.ts";

/** SCCRQ, SCCRP and SCCCN (RFC 3931 6.1 to 6.3). */
export function opening(
  name: "SCCRQ" | "SCCRP" | "SCCCN",
  connection: ControlConnection,
  configuration: TunnelConfiguration,
  turn: Turn,
): ControlMessage {
  if (name === "SCCCN") return { name };
  const common = {
    hostName: turn.hostname,
    routerId: turn.routerId,
    assignedControlConnectionId: connection.id,
    pseudowireCapabilitiesList: [ETHERNET_PSEUDOWIRE],
    receiveWindowSize: configuration.receiveWindow,
    ...connection.authentication.nonce,
  };
  if (name === "SCCRP") return { name, ...common };
  const { tieBreaker } = connection.state;
  return { name, ...common, ...(tieBreaker === undefined ? {} : { tieBreaker }) };
}

/** StopCCN (RFC 3931 6.4): with our id once the peer may know it, so that it finds the connection without its own. */
export function stopCcn(connection: ControlConnection, cause: Result | undefined): ControlMessage<"StopCCN"> {
  return {
    name: "StopCCN",
    resultCode: cause ?? { result: STOPCCN.stateMachineError },
    assignedControlConnectionId: connection.id,
  };
}

/** The answer to an SCCRQ for which there is no connection: a StopCCN that nobody keeps or repeats. */
export function refusal(
  remoteControlConnectionId: number,
  cause: Result,
  authentication: Authentication | undefined,
  entropy: Entropy,
): Uint8Array {
  const signer = authentication?.withoutOwnNonce();
  const envelope = signer?.envelope(entropy);
  const octets = encodeMessage(remoteControlConnectionId, 0, 1, { name: "StopCCN", resultCode: cause }, envelope);
  signer?.sign(octets);
  return octets;
}

/** Takes over what an acceptable SCCRQ or SCCRP says of its sender (RFC 3931 6.1, 6.2). */
export function learnPeer(connection: ControlConnection, avps: AvpValues): void {
  const { state } = connection;
  state.peerHostname = printable(avps.hostName ?? "");
  state.peerRouterId = avps.routerId;
  state.peerPseudowireTypes = avps.pseudowireCapabilitiesList ?? [];
  if (avps.receiveWindowSize !== undefined) connection.setPeerWindow(avps.receiveWindowSize);
}
