import type { DecodedMessage } from "../avp/decode.ts";
import type { ControlMessage } from "../avp/messages.ts";
import type { AuthenticationState } from "./authentication.ts";
import type { TunnelConfiguration } from "./configuration.ts";
import type { Endpoint, Instant, LocalEndpoint } from "./core.ts";
import { firstDialect, type SpokenDialect } from "./dialects.ts";
import { type ChannelState, createChannelState } from "./reliable-channel.ts";
import { lessATenth, type Turn } from "./turn.ts";

/** Plain data: everything that makes a control connection what it is. */
export interface ControlConnectionState {
  readonly tunnel: string;
  readonly localControlConnectionId: number;
  /** 0 until the peer has assigned it. */
  remoteControlConnectionId: number;
  /** We sent the SCCRQ. */
  readonly initiator: boolean;
  /** The RFC's state name (RFC 3931 7.2). */
  state: string;
  /** open; stopping: our StopCCN is not acknowledged yet; lingering: the peer's StopCCN may come again. */
  life: "open" | "stopping" | "lingering";
  remote: Endpoint;
  /** Where a genuine message has come from since the peer was heard at `remote` last. */
  elsewhere: Endpoint | undefined;
  /** The socket that took the SCCRQ: a responder answers from it until the connection is established. */
  readonly listener: LocalEndpoint | undefined;
  /** Whose socket carries our messages: our own id, a successor's id, or 0 for the listener's. */
  socket: number;
  readonly tieBreaker: Uint8Array | undefined;
  /** The peer's SCCRQ as it came: its retransmissions are told from a new one by it. `undefined`: we sent the SCCRQ. */
  readonly request: Uint8Array | undefined;
  /** The interval of the configuration less up to a tenth, so that many connections do not beat as one. */
  helloIntervalMs: number;
  peerHostname: string;
  /** Vendor Name AVP; "" where there was none. */
  peerVendor: string;
  peerRouterId: number | undefined;
  peerPseudowireTypes: readonly number[];
  dialect: SpokenDialect;
  /** When `state` was entered. */
  since: Instant;
  heard: boolean;
  /** Data packets that the datapath had received when it was asked last. */
  receivedPackets: number;
  /** Messages that will be answered once the datapath is ready: their acknowledgement can wait for the answer. */
  repliesInPreparation: number;
  readonly authentication: AuthenticationState;
  /** The peer's `provenSecret` that what is outstanding was encoded for. */
  encodedFor: number;
  readonly channel: ChannelState<ControlMessage, DecodedMessage>;
}

export type ConnectionOrigin = Pick<
  ControlConnectionState,
  | "localControlConnectionId"
  | "remoteControlConnectionId"
  | "initiator"
  | "remote"
  | "listener"
  | "tieBreaker"
  | "request"
  | "authentication"
>;

/** A new connection, in state idle. */
export function initialState(
  configuration: TunnelConfiguration,
  origin: ConnectionOrigin,
  { now, entropy }: Pick<Turn, "now" | "entropy">,
): ControlConnectionState {
  return {
    ...origin,
    tunnel: configuration.name,
    state: "idle",
    life: "open",
    socket: 0,
    elsewhere: undefined,
    helloIntervalMs: lessATenth(configuration.helloIntervalMs, entropy),
    peerHostname: "",
    peerVendor: "",
    peerRouterId: undefined,
    peerPseudowireTypes: [],
    dialect: firstDialect(configuration.dialect),
    since: now,
    heard: false,
    receivedPackets: 0,
    repliesInPreparation: 0,
    encodedFor: origin.authentication.provenSecret,
    channel: createChannelState(configuration.receiveWindow),
  };
}
