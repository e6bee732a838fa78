import type { DecodedMessage } from "../avp/decode.ts";
import type { AuthenticationConfiguration, SessionConfiguration, TunnelConfiguration } from "./configuration.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { Endpoint } from "./core.ts";
import type { Result } from "./result-codes.ts";
import type { SessionState } from "./session-state.ts";
import type { SavedTunnel, TunnelState } from "./tunnel-state.ts";
import type { ConnectionTimer, SessionTimer, Turn } from "./turn.ts";

/** A configured pseudowire as the LCCE sees it. */
export interface AnySession {
  readonly configuration: SessionConfiguration;
  readonly state: SessionState;
  /** An administrator's open. `connection`: the tunnel's, if it has one. */
  open(connection: ControlConnection | undefined, turn: Turn): void;
  /** No call or attempt is due any more. */
  stopCalling(turn: Turn): void;
  /** Ends it. `cause`: for the peer. `reason`: a sentence, remembered as the last error. */
  close(cause: Result, reason: string, connection: ControlConnection, turn: Turn): void;
  /** The datapath's word on the session, or that it has lost it. */
  datapathAnswered(refusal: string | undefined, connection: ControlConnection, turn: Turn): void;
  /** A deadline of this session, on a connection that is established. */
  expire(kind: SessionTimer, connection: ControlConnection, turn: Turn): void;
}

interface Sessions {
  get(name: string): AnySession | undefined;
  /** In the order of the configuration. */
  values(): IterableIterator<AnySession>;
}

/** A configured tunnel as the LCCE sees it: its control connections are negotiated (`Tunnel`) or typed in (`StaticTunnel`). */
export interface AnyTunnel {
  readonly configuration: TunnelConfiguration;
  readonly state: TunnelState;
  readonly sessions: Sessions;
  /** Plain data; the states themselves, not copies. */
  save(): SavedTunnel;
  /** Takes on a connection that an earlier process had. */
  adopt(connection: ControlConnection): void;
  /** Every connection that is not forgotten yet. */
  connections(turn: Pick<Turn, "connections">): readonly ControlConnection[];
  /** The connection that counts. */
  live(turn: Pick<Turn, "connections">): ControlConnection | undefined;
  attempt(turn: Turn): void;
  /** `addresses`: all that the name stands for, at least one, in the resolver's order. */
  peerResolved(addresses: readonly string[], turn: Turn): void;
  peerUnresolved(reason: string, turn: Turn): void;
  /** A datagram for a connection of this tunnel, from its peer. */
  receive(connection: ControlConnection, decoded: DecodedMessage, from: Endpoint, turn: Turn): void;
  /** One from elsewhere; it is not taken. */
  receiveElsewhere?(connection: ControlConnection, from: Endpoint, octets: Uint8Array, turn: Turn): void;
  /** The datapath has made the tunnel. */
  created?(connection: ControlConnection, turn: Turn): void;
  /** The datapath's tunnel cannot be made, or is lost. */
  refused(connection: ControlConnection, reason: string, turn: Turn): void;
  socketFailed(connection: ControlConnection, reason: string, turn: Turn): void;
  /** Address, route or interface may be there now: attempts do not wait any longer, of the tunnel or of its sessions. */
  hurry(turn: Turn): void;
  /** The machine no longer has the connection's local address. */
  addressLost(connection: ControlConnection, reason: string, turn: Turn): void;
  /** No IPsec policy protects the connection any more, and the tunnel must not be without. */
  protectionLost(connection: ControlConnection, reason: string, turn: Turn): void;
  /** The tunnel's network namespace is not there (any more). */
  namespaceLost(reason: string, turn: Turn): void;
  /** The first half of going on with another configuration: sessions that it has not, or not in this way, end. */
  giveUp(configuration: TunnelConfiguration, turn: Turn): void;
  /** The other half: with everything that can be changed in place. */
  follow(configuration: TunnelConfiguration, turn: Turn): void;
  changeAuthentication(authentication: AuthenticationConfiguration, turn: Turn): void;
  open(turn: Turn): void;
  close(cause: Result, turn: Turn): void;
  expire(kind: "attempt" | "resolve", turn: Turn): void;
  expireConnection(connection: ControlConnection, kind: ConnectionTimer, turn: Turn): void;
}
