import type {
  AuthenticationConfiguration,
  SessionConfiguration,
  TunnelConfiguration,
} from "../control/configuration.ts";
import type { Instant } from "../control/core.ts";
import type { SessionDetails, TunnelDetails } from "../control/details.ts";
import type { EndedBy, Ending } from "../control/ending.ts";

/** How a control connection or session, or an attempt at one, ended. */
export interface EndingReport {
  /** "control-connection": of a session, that its control connection ended. */
  readonly by: EndedBy;
  readonly reason: string;
  readonly at: string;
}

/** null: not set. */
export interface TimerReport {
  readonly next_hello: string | null;
  readonly next_retransmission: string | null;
  /** Of a tunnel that is not up: when it is tried again. */
  readonly next_attempt: string | null;
}

/** In control messages (RFC 3931 4.2, appendix A). */
export interface WindowReport {
  /** Receive Window Size that the peer was told, and that it has told. */
  readonly own: number;
  readonly peer: number;
  /** What congestion lets be under way, and where slow start ends. */
  readonly congestion: number;
  readonly threshold: number;
  /** Sent and not acknowledged; not sent yet, for want of room. */
  readonly outstanding: number;
  readonly waiting: number;
  /** Of the oldest outstanding message. */
  readonly retransmissions: number;
  /** Ns of our next message, and of the peer's. */
  readonly next_ns: number;
  readonly next_nr: number;
}

/** Since the daemon began. */
export interface OutcomeReport {
  readonly established: number;
  readonly failed: number;
}

/** Of control messages (RFC 3931 4.3). */
export interface AuthenticationReport {
  /** "secret": a shared secret authenticates every message; "integrity": digests without one; "none". */
  readonly authentication: "none" | "integrity" | "secret";
  readonly digest: "md5" | "sha1" | "none";
  readonly hidden: boolean;
  readonly chap: boolean;
}

/** The configuration as it is applied, defaults filled in. */
export interface ConfiguredTunnelReport extends AuthenticationReport {
  readonly mode: "dynamic" | "static" | "hello-only";
  readonly role: "initiator" | "responder" | "both";
  readonly peer: string | null;
  /** null: over IP there are none. */
  readonly peer_port: number | null;
  readonly local: string;
  readonly local_port: number | null;
  readonly dialect: string;
  /** Milliseconds; 0: never. */
  readonly hello_interval_ms: number;
  readonly receive_window: number;
  readonly retransmit: {
    readonly initial_ms: number;
    readonly max_ms: number;
    readonly retries: number;
    readonly sccrq_retries: number;
  };
}

export interface ConfiguredSessionReport {
  /** null: whoever opened the control connection. */
  readonly call: "initiator" | "responder" | "both" | null;
  readonly call_type: "incoming" | "outgoing";
  /** As text, or as hexadecimal digits after "0x". */
  readonly remote_end_id: string;
  readonly cookie_size: number;
  /** null: left to the dialect. */
  readonly l2_sublayer: "none" | "default" | null;
  readonly sequencing: "none" | "non-ip" | "all";
  readonly mtu: number | "auto";
  readonly circuit: string | null;
  readonly bridge: string | null;
}

/** What a tunnel's report has beyond the view of it. */
export interface TunnelDetailReport {
  /** Vendor Name AVP of the peer; "" where it has sent none. */
  readonly peer_vendor: string;
  /** Who sent the SCCRQ; null without a control connection. */
  readonly opened_by: "local" | "peer" | null;
  /** Silence after which a HELLO is sent: the configured one less up to a tenth. null without a control connection. */
  readonly hello_interval_ms: number | null;
  /** Of the control connection, which may be another one than is configured by now; null without a connection. */
  readonly authentication_in_force: AuthenticationReport | null;
  /** null: none has ended since the daemon began. */
  readonly last_end: EndingReport | null;
  readonly timers: TimerReport;
  readonly window: WindowReport | null;
  readonly messages: { readonly sent: number; readonly received: number; readonly retransmitted: number };
  readonly outcomes: OutcomeReport;
  readonly configured: ConfiguredTunnelReport;
}

export interface SessionDetailReport {
  readonly last_end: EndingReport | null;
  /** When the call is placed again, or the tunnel that is down is tried again; null: neither is. */
  readonly next_attempt: string | null;
  readonly outcomes: OutcomeReport;
  readonly configured: ConfiguredSessionReport;
}

type ToDate = (instant: Instant) => Date;

export function reportTunnelDetails(details: TunnelDetails, toDate: ToDate): TunnelDetailReport {
  const { connection, statistics, configuration } = details;
  const { established, failed, messages } = statistics;
  return {
    peer_vendor: connection?.peerVendor ?? "",
    opened_by: connection === undefined ? null : connection.initiator ? "local" : "peer",
    hello_interval_ms: connection?.helloIntervalMs ?? null,
    authentication_in_force: connection === undefined ? null : reportAuthentication(connection.authentication),
    last_end: reportEnding(details.ended, toDate),
    timers: {
      next_hello: isoOf(connection?.nextHello, toDate),
      next_retransmission: isoOf(connection?.nextRetransmission, toDate),
      next_attempt: isoOf(details.nextAttempt, toDate),
    },
    window: reportWindow(details),
    messages,
    outcomes: { established, failed },
    configured: reportConfiguredTunnel(configuration),
  };
}

export function reportSessionDetails(
  details: SessionDetails,
  { established, failed }: OutcomeReport,
  toDate: ToDate,
): SessionDetailReport {
  return {
    last_end: reportEnding(details.ended, toDate),
    next_attempt: isoOf(details.nextAttempt, toDate),
    outcomes: { established, failed },
    configured: reportConfiguredSession(details.configuration),
  };
}

function reportEnding(ended: Ending | undefined, toDate: ToDate): EndingReport | null {
  return ended === undefined ? null : { by: ended.by, reason: ended.reason, at: toDate(ended.at).toISOString() };
}

function isoOf(instant: Instant | undefined, toDate: ToDate): string | null {
  return instant === undefined ? null : toDate(instant).toISOString();
}

function reportWindow({ connection, statistics: { window } }: TunnelDetails): WindowReport | null {
  if (connection === undefined || window === undefined) return null;
  return {
    own: connection.ownWindow,
    peer: window.peer,
    congestion: window.congestion,
    threshold: connection.threshold,
    outstanding: window.outstanding,
    waiting: window.waiting,
    retransmissions: connection.retransmissions,
    next_ns: connection.nextNs,
    next_nr: connection.nextNr,
  };
}

function reportConfiguredTunnel(tunnel: TunnelConfiguration): ConfiguredTunnelReport {
  const { initialMs, maxMs, retries, sccrqRetries } = tunnel.retransmit;
  const overIp = tunnel.encapsulation === "ip";
  return {
    mode: tunnel.static === undefined ? "dynamic" : tunnel.static.watched ? "hello-only" : "static",
    role: tunnel.role,
    peer: tunnel.peer ?? null,
    peer_port: overIp ? null : tunnel.peerPort,
    local: tunnel.local,
    local_port: overIp ? null : tunnel.localPort,
    dialect: tunnel.dialect ?? "auto",
    ...reportAuthentication(tunnel.authentication),
    hello_interval_ms: tunnel.helloIntervalMs,
    receive_window: tunnel.receiveWindow,
    retransmit: { initial_ms: initialMs, max_ms: maxMs, retries, sccrq_retries: sccrqRetries },
  };
}

function reportAuthentication(configuration: AuthenticationConfiguration): AuthenticationReport {
  const { secrets, digest, hidden, chapPassword } = configuration;
  return {
    authentication: secrets.length > 0 ? "secret" : digest === "none" ? "none" : "integrity",
    digest,
    hidden,
    chap: chapPassword !== undefined,
  };
}

function reportConfiguredSession(session: SessionConfiguration): ConfiguredSessionReport {
  return {
    call: session.call ?? null,
    call_type: session.callType,
    remote_end_id: endIdText(session.remoteEndId),
    cookie_size: session.static?.localCookie.length ?? session.cookieSize,
    l2_sublayer: session.leftToDialect?.l2Sublayer === true ? null : session.l2Sublayer,
    sequencing: session.sequencing,
    mtu: session.mtu,
    circuit: session.circuit ?? null,
    bridge: session.bridge ?? null,
  };
}

function endIdText(octets: Uint8Array): string {
  const text = Buffer.from(octets).toString("latin1");
  return /^[\x20-\x7e]*$/.test(text) ? text : `0x${Buffer.from(octets).toString("hex")}`;
}
