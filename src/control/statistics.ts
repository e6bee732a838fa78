import type { AnyTunnel } from "./any-tunnel.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { Registry } from "./registry.ts";
import type { ChannelState } from "./reliable-channel.ts";

/** Control messages of one tunnel; a new control connection goes on counting. */
export interface MessageCounts {
  /** Retransmissions and acknowledgements included. */
  sent: number;
  /** Genuine ones; duplicates and acknowledgements included. */
  received: number;
  /** Those among the ones sent that had been sent before. */
  retransmitted: number;
}

/** What became of control connections, or of calls: how often one was established, and how often one or an attempt failed. */
export interface Outcomes {
  established: number;
  failed: number;
}

/** In messages (RFC 3931 4.2, appendix A). */
export interface WindowStatistics {
  /** What the peer says that it can hold. */
  readonly peer: number;
  /** What congestion lets be under way. */
  readonly congestion: number;
  /** Sent and not acknowledged. */
  readonly outstanding: number;
  /** Not sent yet, for want of room. */
  readonly waiting: number;
}

/** What is counted of a tunnel, since the daemon began. */
export interface TunnelStatistics extends Readonly<Outcomes> {
  readonly name: string;
  readonly messages: Readonly<MessageCounts>;
  /** Of the connection that counts; `undefined` while there is none. */
  readonly window: WindowStatistics | undefined;
  readonly sessions: readonly ({ readonly name: string } & Readonly<Outcomes>)[];
}

export function statisticsOf(tunnel: AnyTunnel, connections: Registry<ControlConnection>): TunnelStatistics {
  const { name, messages, outcomes } = tunnel.state;
  const channel = tunnel.live({ connections })?.state.channel;
  return {
    name,
    messages: { ...messages },
    window: channel && windowOf(channel),
    ...outcomes,
    sessions: Array.from(tunnel.sessions.values(), ({ state }) => ({ name: state.name, ...state.outcomes })),
  };
}

type Channel = Pick<
  ChannelState<unknown, unknown>,
  "peerWindow" | "congestion" | "outstanding" | "waiting" | "waitingBehind"
>;

function windowOf({ peerWindow, congestion, outstanding, waiting, waitingBehind }: Channel): WindowStatistics {
  return {
    peer: peerWindow,
    congestion: congestion.size,
    outstanding: outstanding.length,
    waiting: waiting.length + waitingBehind.length,
  };
}
