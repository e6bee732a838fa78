import type { DecodedMessage } from "../avp/decode.ts";
import { encodeMessage } from "../avp/encode.ts";
import type { ControlMessage, MessageName } from "../avp/messages.ts";
import { avpsOf, identityFlaw, PSEUDOWIRE_TYPES } from "./admission.ts";
import type { Authentication } from "./authentication.ts";
import { chapAvps, chapFlaw } from "./chap.ts";
import type { TunnelConfiguration } from "./configuration.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { Endpoint, Entropy } from "./core.ts";
import { recogniseDialect } from "./dialects.ts";
import { flowFlaw } from "./flows.ts";
import { printable, type Result } from "./result-codes.ts";
import type { Turn } from "./turn.ts";

/** SCCRQ, SCCRP and SCCCN (RFC 3931 6.1 to 6.3). */
export function opening(
  name: "SCCRQ" | "SCCRP" | "SCCCN",
  connection: ControlConnection,
  configuration: TunnelConfiguration,
  turn: Turn,
): ControlMessage {
  const { authentication } = connection;
  if (name === "SCCCN") return { name, ...chapAvps(name, authentication) };
  const common = {
    hostName: turn.hostname,
    routerId: turn.routerId,
    assignedControlConnectionId: connection.id,
    pseudowireCapabilitiesList: Object.values(PSEUDOWIRE_TYPES),
    ...(isBare(connection, configuration) ? {} : { receiveWindowSize: configuration.receiveWindow }),
    ...authentication.nonce,
    ...chapAvps(name, authentication),
  };
  if (name === "SCCRP") return { name, ...common };
  const { tieBreaker } = connection.state;
  return { name, ...common, ...(tieBreaker === undefined ? {} : { tieBreaker }) };
}

/** What is configured is said in any dialect. */
function isBare({ dialect }: ControlConnection, { leftToDialect }: TunnelConfiguration): boolean {
  return dialect.opening === "bare" && leftToDialect?.receiveWindow === true;
}

/** StopCCN (RFC 3931 6.4): with our id once the peer may know it, so that it finds the connection without its own. */
export function stopCcn(connection: ControlConnection, cause: Result): ControlMessage<"StopCCN"> {
  return {
    name: "StopCCN",
    resultCode: cause,
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

/** Why an SCCRP or SCCCN, whole as it is, does not come from the peer that was meant (RFC 3931 3.3). */
export function openingFlaw(
  name: MessageName,
  connection: ControlConnection,
  configuration: TunnelConfiguration,
  { decoded, from }: { readonly decoded: DecodedMessage; readonly from: Endpoint },
  turn: Turn,
): Result | undefined {
  if (name !== "SCCRP" && name !== "SCCCN") return undefined;
  const avps = avpsOf(decoded);
  const identity = name === "SCCRP" ? identityFlaw(configuration, avps) : undefined;
  // The SCCRP may come from another port than the SCCRQ went to (RFC 3931 4.1.2.2).
  const flow = { ...connection.flow, remote: from };
  return identity ?? chapFlaw(name, connection, avps, turn) ?? flowFlaw(flow, turn);
}

/** What was recognised; what is configured is no news. */
export function logDialect({ state, context }: ControlConnection, turn: Turn): void {
  const { name, by } = state.dialect;
  if (by === "configured") return;
  const details = { ...context.details, dialect: name };
  turn.log("info", "dialect-recognised", `the peer speaks the dialect ${name}: ${by}`, { ...context, details });
}

/** Takes over what an acceptable SCCRQ or SCCRP says of its sender (RFC 3931 6.1, 6.2). */
export function learnPeer(connection: ControlConnection, decoded: DecodedMessage): void {
  const { state } = connection;
  const avps = avpsOf(decoded);
  state.dialect = recogniseDialect(decoded, state.dialect);
  state.peerHostname = printable(avps.hostName ?? "");
  state.peerVendor = printable(avps.vendorName ?? "");
  state.peerRouterId = avps.routerId;
  state.authentication.remoteChallenge = avps.challenge ?? new Uint8Array(0);
  state.peerPseudowireTypes = avps.pseudowireCapabilitiesList ?? [];
  if (avps.receiveWindowSize !== undefined) connection.setPeerWindow(avps.receiveWindowSize);
}

/** Of an SCCRP, acceptable or not: what is said from now on, a StopCCN too, goes to its id and port (RFC 3931 5.4.3, 4.1.2.2). */
export function learnSender({ state }: ControlConnection, decoded: DecodedMessage, from: Endpoint): void {
  if (state.state !== "wait-ctl-reply") return;
  state.remote = from;
  state.remoteControlConnectionId = avpsOf(decoded).assignedControlConnectionId ?? 0;
}
