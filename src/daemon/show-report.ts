import { didYouMean } from "../config/did-you-mean.ts";
import type { Instant } from "../control/core.ts";
import type { SessionDetails, TunnelDetails } from "../control/details.ts";
import type { LcceView, SessionView, TunnelView } from "../control/view.ts";
import type { Datapath, SessionCounters } from "../kernel/datapath.ts";
import { type AdminReply, SHOW_IN_WORDS, SHOW_SUBJECTS, type ShowRequest } from "./admin-protocol.ts";
import {
  type OutcomeReport,
  reportSessionDetails,
  reportTunnelDetails,
  type SessionDetailReport,
  type TunnelDetailReport,
} from "./show-details.ts";

/**
 * Of what `show --json` prints: docs/show.schema.json. One more than the last one where something that was there is no
 * longer, or means something else; keys that are added change nothing.
 */
export const SCHEMA_VERSION = 1;

/** `show --json`. Identifiers are numbers, 0 while none is assigned; times are ISO 8601. */
export interface ShowReport {
  readonly schema_version: typeof SCHEMA_VERSION;
  /** Of the daemon. */
  readonly version: string;
  readonly hostname: string;
  readonly router_id: number;
  readonly datapath: Datapath["name"];
  readonly tunnels: readonly TunnelReport[];
}

export interface TunnelReport extends TunnelDetailReport {
  readonly name: string;
  readonly state: string;
  /** Network namespace; null: the daemon's own. */
  readonly netns: string | null;
  readonly peer: string;
  readonly local_ccid: number;
  readonly remote_ccid: number;
  readonly encapsulation: "udp" | "ip";
  /** "required": no connection, for no IPsec policy protects it yet, or no peer answers; "protected"; "": not required. */
  readonly ipsec: "" | "required" | "protected";
  readonly peer_hostname: string;
  /** How the peer is spoken to (`dialect` of the configuration); "" while it is to be recognised from what it sends. */
  readonly dialect: string;
  /** "configured", or what the peer was recognised by: "AVPs of vendor 9". */
  readonly dialect_by: string;
  /** null until the peer has told it. */
  readonly peer_router_id: number | null;
  /** Messages dropped because their digest was missing or wrong, since the daemon began. */
  readonly wrong_digests: number;
  readonly since: string;
  readonly last_error: string;
  readonly sessions: readonly SessionReport[];
}

export type CircuitState = "up" | "down";

export interface SessionReport extends SessionDetailReport {
  readonly name: string;
  readonly state: string;
  readonly local_session_id: number;
  readonly remote_session_id: number;
  readonly interface: string;
  /** That the interface has, in octets; null: there is none, or nobody can say. */
  readonly mtu: number | null;
  readonly pseudowire: "ethernet" | "vlan";
  /** The tag of a "vlan" pseudowire, else null. */
  readonly vlan: number | null;
  readonly l2_sublayer: "none" | "default";
  /** What each end asks the other to put sequence numbers into. */
  readonly local_sequencing: "none" | "non-ip" | "all";
  readonly remote_sequencing: "none" | "non-ip" | "all";
  readonly local_cookie_size: number;
  readonly remote_cookie_size: number;
  /** Circuit Status AVP (RFC 3931 5.4.5), ours and the peer's. "up": active, and not on standby (RFC 5641). */
  readonly circuit_status: { readonly local: CircuitState; readonly remote: CircuitState };
  /** Of the peer's attachment circuit since the call began, as its last WEN told (RFC 3931 6.13). */
  readonly remote_circuit_errors: CircuitErrorReport;
  readonly counters: CounterReport;
  readonly since: string;
  readonly last_error: string;
}

export interface CircuitErrorReport {
  readonly hardware_overruns: number;
  readonly buffer_overruns: number;
  readonly timeouts: number;
  readonly alignments: number;
}

export interface CounterReport {
  readonly received_packets: number;
  readonly received_octets: number;
  readonly receive_errors: number;
  readonly sequence_discards: number;
  readonly cookie_discards: number;
  readonly sent_packets: number;
  readonly sent_octets: number;
  readonly send_errors: number;
}

export interface ReportSource {
  readonly view: LcceView;
  /** In the order of the view. */
  readonly details: readonly TunnelDetails[];
  readonly counters: readonly SessionCounters[];
  /** By local Session ID, as far as they are known. */
  readonly mtus?: ReadonlyMap<number, number>;
  readonly datapath: Datapath["name"];
  readonly version: string;
  /** Turns the core's monotonic instants into dates. */
  readonly toDate: (instant: Instant) => Date;
}

export function buildShowReport(source: ReportSource): ShowReport {
  const { view, details, counters, mtus = new Map(), datapath, version, toDate } = source;
  const measured = { counters: new Map(counters.map((each) => [each.localSessionId, each])), mtus };
  return {
    schema_version: SCHEMA_VERSION,
    version,
    hostname: view.hostname,
    router_id: view.routerId,
    datapath,
    tunnels: view.tunnels.flatMap((tunnel, index) => {
      const beside = details[index];
      return beside === undefined ? [] : [reportTunnel(tunnel, beside, measured, toDate)];
    }),
  };
}

/** What was asked for, in the same shape as the whole: tunnels without a session that was named are left out. */
export function answerShow(report: ShowReport, { name, what }: ShowRequest): AdminReply {
  if (name === undefined) return { ok: true, result: report };
  const [tunnelName = "", sessionName] = name.split("/", 2);
  const tunnels = report.tunnels.flatMap((tunnel) => select(tunnel, tunnelName, sessionName));
  if (tunnels.length > 0) return { ok: true, result: { ...report, tunnels } };
  const known = report.tunnels.flatMap((tunnel) => [
    tunnel.name,
    ...tunnel.sessions.flatMap((session) => [session.name, `${tunnel.name}/${session.name}`]),
  ]);
  const meant = what === undefined ? [...known, ...SHOW_SUBJECTS, ...SHOW_IN_WORDS] : known;
  return { ok: false, error: `there is no tunnel or session "${name}"${didYouMean(name, meant)}` };
}

/** A name without a slash is that of a tunnel, or of sessions in any tunnel. */
function select(tunnel: TunnelReport, name: string, sessionName: string | undefined): readonly TunnelReport[] {
  if (tunnel.name === name && sessionName === undefined) return [tunnel];
  if (tunnel.name !== name && sessionName !== undefined) return [];
  const sessions = tunnel.sessions.filter((session) => session.name === (sessionName ?? name));
  return sessions.length === 0 ? [] : [{ ...tunnel, sessions }];
}

/** What the datapath has to say of sessions, by local Session ID. */
interface Measured {
  readonly counters: ReadonlyMap<number, SessionCounters>;
  readonly mtus: ReadonlyMap<number, number>;
}

function reportTunnel(
  tunnel: TunnelView,
  details: TunnelDetails,
  measured: Measured,
  toDate: (instant: Instant) => Date,
): TunnelReport {
  return {
    name: tunnel.name,
    state: tunnel.state,
    netns: tunnel.netns ?? null,
    peer: tunnel.peer,
    local_ccid: tunnel.localControlConnectionId,
    remote_ccid: tunnel.remoteControlConnectionId,
    encapsulation: tunnel.encapsulation,
    ipsec: tunnel.ipsec,
    peer_hostname: tunnel.peerHostname,
    dialect: tunnel.dialect,
    dialect_by: tunnel.dialectBy,
    peer_router_id: tunnel.peerRouterId ?? null,
    wrong_digests: tunnel.wrongDigests,
    since: toDate(tunnel.since).toISOString(),
    last_error: tunnel.lastError,
    ...reportTunnelDetails(details, toDate),
    sessions: tunnel.sessions.flatMap((session, index) => {
      const [beside, outcomes] = [details.sessions[index], details.statistics.sessions[index]];
      if (beside === undefined || outcomes === undefined) return [];
      return [reportSession(session, beside, outcomes, measured, toDate)];
    }),
  };
}

function reportSession(
  session: SessionView,
  details: SessionDetails,
  outcomes: OutcomeReport,
  measured: Measured,
  toDate: (instant: Instant) => Date,
): SessionReport {
  const counters = measured.counters.get(session.localSessionId);
  return {
    name: session.name,
    state: session.state,
    local_session_id: session.localSessionId,
    remote_session_id: session.remoteSessionId,
    interface: session.interfaceName,
    mtu: measured.mtus.get(session.localSessionId) ?? null,
    pseudowire: session.pseudowire,
    vlan: session.vlan ?? null,
    l2_sublayer: session.l2Sublayer,
    local_sequencing: session.localSequencing,
    remote_sequencing: session.remoteSequencing,
    local_cookie_size: session.localCookieSize,
    remote_cookie_size: session.remoteCookieSize,
    circuit_status: {
      local: session.localCircuitActive ? "up" : "down",
      remote: session.remoteCircuitActive ? "up" : "down",
    },
    remote_circuit_errors: {
      hardware_overruns: session.remoteErrors.hardwareOverruns,
      buffer_overruns: session.remoteErrors.bufferOverruns,
      timeouts: session.remoteErrors.timeouts,
      alignments: session.remoteErrors.alignments,
    },
    counters: {
      received_packets: counters?.receivedPackets ?? 0,
      received_octets: counters?.receivedOctets ?? 0,
      receive_errors: counters?.receiveErrors ?? 0,
      sequence_discards: counters?.sequenceDiscards ?? 0,
      cookie_discards: counters?.cookieDiscards ?? 0,
      sent_packets: counters?.sentPackets ?? 0,
      sent_octets: counters?.sentOctets ?? 0,
      send_errors: counters?.sendErrors ?? 0,
    },
    since: toDate(session.since).toISOString(),
    last_error: session.lastError,
    ...reportSessionDetails(details, outcomes, toDate),
  };
}
