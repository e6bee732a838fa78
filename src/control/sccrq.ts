import { type DecodedMessage, decodeMessage } from "../avp/decode.ts";
import { isVersion2 } from "../avp/header.ts";
import { avpsOf, formFlaw, recoveryFlaw } from "./admission.ts";
import { Authentication } from "./authentication.ts";
import { challengeFlaw } from "./chap.ts";
import type { TunnelConfiguration } from "./configuration.ts";
import type { Endpoint, LocalEndpoint } from "./core.ts";
import { endpointText } from "./endpoint.ts";
import type { Result } from "./result-codes.ts";
import type { TunnelState } from "./tunnel-state.ts";
import type { Turn } from "./turn.ts";

/** A wrong digest is logged at most this often, so that nobody fills the log from outside. */
const FORGERY_LOG_MS = 60_000;

/** A datagram as it came; `to` is the socket that took it. */
export interface Request {
  readonly from: Endpoint;
  readonly to: LocalEndpoint;
  readonly octets: Uint8Array;
  /** An IPsec policy protects what is sent in answer. */
  readonly protected?: true;
}

/** A genuine SCCRQ. */
export interface Sccrq extends Request {
  readonly decoded: DecodedMessage;
  /** The Control Connection ID that the peer assigned; 0 where it has not. */
  readonly remoteId: number;
  /** With our nonce and the peer's: the connection's, if there will be one. */
  readonly authentication: Authentication;
}

/** `undefined`: whoever sent it does not know the tunnel's secret (RFC 3931 4.3, 5.4.1). */
export function verifySccrq(request: Request, configuration: TunnelConfiguration, turn: Turn): Sccrq | undefined {
  const policy = configuration.authentication;
  const authentication = new Authentication(policy, Authentication.begin(policy, turn.entropy));
  if (!authentication.verify(request.octets)) return undefined;
  const decoded = decodeMessage(request.octets, authentication.unhidingKey);
  return { ...request, decoded, remoteId: avpsOf(decoded).assignedControlConnectionId ?? 0, authentication };
}

/** Why a genuine SCCRQ is refused. `closed`: why the tunnel accepts none. */
export function flawOfSccrq(
  { decoded, octets }: Sccrq,
  configuration: TunnelConfiguration,
  closed: Result | undefined,
  turn: Turn,
): Result | undefined {
  const flaw = formFlaw(decoded) ?? recoveryFlaw(avpsOf(decoded)) ?? closed;
  const { chapPassword } = configuration.authentication;
  // A peer that would speak version 2 as well may mean its Challenge for that (RFC 3931 4.7.3).
  if (flaw !== undefined || (chapPassword === undefined && isVersion2(octets))) return flaw;
  return challengeFlaw("SCCRQ", avpsOf(decoded), chapPassword, turn);
}

/** A message whose digest is missing or wrong is dropped in silence, counted, and spoken of once a minute. */
export function discardForged({ name, forged }: TunnelState, from: Endpoint, turn: Turn): void {
  forged.count += 1;
  forged.lately += 1;
  if (forged.count > 1 && turn.now - forged.loggedAt < FORGERY_LOG_MS) return;
  forged.loggedAt = turn.now;
  const words = `message dropped: its digest is missing or wrong; is the secret the same at both ends? ${forged.count} so far`;
  turn.log("warn", "digest-wrong", words, { tunnel: name, details: { peer: endpointText(from) } });
}
