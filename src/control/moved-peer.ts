import { type DecodedMessage, decodeMessage } from "../avp/decode.ts";
import { isAcknowledgement } from "./admission.ts";
import type { ControlConnection } from "./control-connection.ts";
import { endpointText } from "./endpoint.ts";
import { because, STOPCCN } from "./result-codes.ts";
import type { Request } from "./sccrq.ts";
import { nextSequence } from "./sequence.ts";
import type { Tunnel } from "./tunnel.ts";
import type { Turn } from "./turn.ts";

/** So many retransmissions to where the peer was have to stay unanswered before its new place is believed. */
const UNANSWERED = 2;

/**
 * A datagram for a connection that the peer has opened, from elsewhere than the peer. RFC 3931 4.1.2.2 lets nobody follow
 * it to another port, so nothing of it is taken. But where it proves that the peer has said it, and just now, a NAT on the
 * way may have another mapping, and then no message of ours arrives any more. Or somebody has read the message, and says
 * it too. So the peer is asked where it was.
 */
export function heardElsewhere(
  tunnel: Pick<Tunnel, "step">,
  connection: ControlConnection,
  { from, octets }: Pick<Request, "from" | "octets">,
  turn: Turn,
): void {
  const { state, authentication, established } = connection;
  if (!established || state.listener === undefined) return;
  // Without a secret everybody can say anything.
  if (!authentication.authenticated || !connection.verify(octets)) return;
  if (!maySayNow(connection, decodeMessage(octets, authentication.unhidingKey))) return;
  state.elsewhere = from;
  connection.hello(turn);
  partIfElsewhere(tunnel, connection, turn);
}

/**
 * Ends the connection of a peer that does not answer where it was. The StopCCN goes to where it is, so that it opens anew
 * without having to find out by itself; from the listener's socket, since the connection's own reaches only where it was.
 */
export function partIfElsewhere(tunnel: Pick<Tunnel, "step">, connection: ControlConnection, turn: Turn): void {
  const { elsewhere, remote, channel, socket } = connection.state;
  if (elsewhere === undefined || channel.retransmissions < UNANSWERED) return;
  const [before, now] = [endpointText(remote), endpointText(elsewhere)];
  const words = `messages came from ${before}, now they come from ${now}: hello_interval has to be below the NAT's timeout`;
  Object.assign(connection.state, { remote: elsewhere, elsewhere: undefined, socket: 0 });
  // A new way has all its chances.
  channel.retransmissions = 0;
  connection.sendAgain(turn);
  tunnel.step(connection, { type: "local.close" }, because(STOPCCN.generalClear, words), turn);
  connection.state.socket = socket;
  connection.closeSocket(turn);
}

/** What the peer may be saying now: the message that is due, or the last one again, not knowing that it has arrived. */
function maySayNow({ state: { channel } }: ControlConnection, decoded: DecodedMessage): boolean {
  if (isAcknowledgement(decoded)) return false;
  const { ns } = decoded.header;
  return ns === channel.nr || nextSequence(ns) === channel.nr;
}
