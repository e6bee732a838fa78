import { decodeMessage } from "../avp/decode.ts";
import { decodeHeader } from "../avp/header.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { Endpoint, Input } from "./core.ts";
import { tunnelFor } from "./peer-selection.ts";
import type { Registry } from "./registry.ts";
import type { Tunnel } from "./tunnel.ts";

/** Whose a control message is. */
export interface MessageOwner {
  readonly tunnel: string;
  /** Local id of the connection; 0: there is none yet. */
  readonly localControlConnectionId: number;
  /** What its AVPs may be hidden with. They never leave the process. */
  readonly secrets: readonly Uint8Array[];
}

/** Whoever may send and receive control messages. */
export interface Correspondents {
  readonly connections: Registry<ControlConnection>;
  readonly negotiated: readonly Tunnel[];
}

/** Whom a datagram is for: that it is genuine, nobody has found yet. Throws ProtocolError. */
export function addressee(
  { from, to, octets }: Extract<Input, { readonly type: "datagram" }>,
  { connections, negotiated }: Correspondents,
): MessageOwner | undefined {
  const { controlConnectionId } = decodeHeader(octets);
  const connection = connections.get(controlConnectionId);
  if (connection !== undefined) return ownerOf(connection);
  if (controlConnectionId !== 0) return undefined;
  const tunnel = tunnelFor(negotiated, decodeMessage(octets), from, to);
  if (tunnel === undefined) return undefined;
  const { secrets } = tunnel.configuration.authentication;
  return { tunnel: tunnel.state.name, localControlConnectionId: 0, secrets };
}

/** Who says this to `to`: the connection with that id, or without an id a half-open one. Throws ProtocolError. */
export function sender(
  localControlConnectionId: number | undefined,
  octets: Uint8Array,
  to: Endpoint,
  { connections }: Correspondents,
): MessageOwner | undefined {
  const connection =
    localControlConnectionId === undefined
      ? speakerTo(connections, decodeHeader(octets).controlConnectionId, to)
      : connections.get(localControlConnectionId);
  return connection && ownerOf(connection);
}

export function ownerOf({ state, authentication }: ControlConnection): MessageOwner {
  const { tunnel, localControlConnectionId } = state;
  return { tunnel, localControlConnectionId, secrets: authentication.witness.secrets };
}

/** The connection that speaks to this Control Connection ID of a peer. */
function speakerTo(
  connections: Registry<ControlConnection>,
  remoteControlConnectionId: number,
  { address, port }: Endpoint,
): ControlConnection | undefined {
  for (const connection of connections.owners()) {
    const { state } = connection;
    const isSame = state.remote.address === address && state.remote.port === port;
    if (isSame && state.remoteControlConnectionId === remoteControlConnectionId) return connection;
  }
  return undefined;
}
