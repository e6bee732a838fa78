import type { AnySession, AnyTunnel } from "./any-tunnel.ts";
import type { AuthenticationConfiguration, SessionConfiguration, TunnelConfiguration } from "./configuration.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { Instant } from "./core.ts";
import type { Ending } from "./ending.ts";
import type { Registry } from "./registry.ts";
import { statisticsOf, type TunnelStatistics } from "./statistics.ts";
import type { TimerTable } from "./timer-table.ts";

/** What a control connection lives by. */
export interface ConnectionDetails {
  /** We sent the SCCRQ; of a tunnel that is typed in, true. */
  readonly initiator: boolean;
  /** What the connection was begun with, or could be changed to since. */
  readonly authentication: AuthenticationConfiguration;
  /** Vendor Name AVP of the peer; "" where it has sent none. */
  readonly peerVendor: string;
  /** Milliseconds of silence before a HELLO: the configured ones less up to a tenth; 0: no HELLO. */
  readonly helloIntervalMs: number;
  readonly nextHello: Instant | undefined;
  readonly nextRetransmission: Instant | undefined;
  /** Retransmissions of the oldest message that is not acknowledged. */
  readonly retransmissions: number;
  /** Ns of the next message of ours, and of the peer's (RFC 3931 4.2). */
  readonly nextNs: number;
  readonly nextNr: number;
  /** Receive Window Size that the peer was told. */
  readonly ownWindow: number;
  /** Where slow start ends (RFC 3931 appendix A). */
  readonly threshold: number;
}

/** What is told of one session beside its view and its counters. */
export interface SessionDetails {
  readonly configuration: SessionConfiguration;
  readonly ended: Ending | undefined;
  /** The call's; where its tunnel is down, that one's. */
  readonly nextAttempt: Instant | undefined;
}

/** What is told of one tunnel beside its view. */
export interface TunnelDetails {
  readonly configuration: TunnelConfiguration;
  readonly statistics: TunnelStatistics;
  readonly ended: Ending | undefined;
  readonly nextAttempt: Instant | undefined;
  /** Of the connection that counts; `undefined` while there is none. */
  readonly connection: ConnectionDetails | undefined;
  /** In the order of the view's. */
  readonly sessions: readonly SessionDetails[];
}

type Deadlines = Pick<TimerTable<unknown>, "deadline">;

export function detailsOf(
  tunnel: AnyTunnel,
  connections: Registry<ControlConnection>,
  timers: Deadlines,
): TunnelDetails {
  const { configuration, state } = tunnel;
  const live = tunnel.live({ connections });
  const nextAttempt = timers.deadline(`attempt ${state.name}`);
  return {
    configuration,
    statistics: statisticsOf(tunnel, connections),
    ended: state.ended,
    nextAttempt,
    connection: live && detailsOfConnection(live, timers),
    sessions: Array.from(tunnel.sessions.values(), (session) => {
      const withTunnel = session.state.closed ? undefined : nextAttempt;
      return detailsOfSession(session, timers.deadline(`call ${state.name}/${session.state.name}`) ?? withTunnel);
    }),
  };
}

function detailsOfConnection({ id, state, authentication }: ControlConnection, timers: Deadlines): ConnectionDetails {
  const { channel } = state;
  return {
    initiator: state.initiator,
    authentication: authentication.inForce,
    peerVendor: state.peerVendor,
    helloIntervalMs: state.helloIntervalMs,
    nextHello: timers.deadline(`hello ${id}`),
    nextRetransmission: timers.deadline(`retransmit ${id}`),
    retransmissions: channel.retransmissions,
    nextNs: channel.nextNs,
    nextNr: channel.nr,
    ownWindow: channel.ownWindow,
    threshold: channel.congestion.threshold,
  };
}

function detailsOfSession({ configuration, state }: AnySession, nextAttempt: Instant | undefined): SessionDetails {
  return { configuration, ended: state.ended, nextAttempt };
}
