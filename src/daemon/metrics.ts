import {
  bit,
  byState,
  circuitErrors,
  isUp,
  type Metric,
  ofHooks,
  ofOutcomes,
  ofProcess,
  ofSession,
  ofStatistics,
  ofTraffic,
  ofTunnel,
  one,
} from "./metric-rows.ts";

const CONNECTION_STATES = ["idle", "wait-ctl-reply", "wait-ctl-conn", "established"];
const SESSION_STATES = ["idle", "wait-control-conn", "wait-reply", "wait-connect", "wait-cs-answer", "established"];

/** Every metric: what is not in this table is not told. */
export const METRICS: readonly Metric[] = [
  one(
    "l2tpv3_build_info",
    "gauge",
    "1, with version and datapath of this daemon.",
    () => 1,
    (source) => ({
      version: source.version,
      datapath: source.datapath,
      node: process.version,
    }),
  ),
  byState(
    "l2tpv3_tunnels",
    "Tunnels by the state of their control connection (RFC 3931 7.2).",
    CONNECTION_STATES,
    (view) => view.tunnels,
  ),
  byState("l2tpv3_sessions", "Sessions by state (RFC 3931 7.3, 7.4).", SESSION_STATES, (view) =>
    view.tunnels.flatMap(({ sessions }) => sessions),
  ),

  ofTunnel("l2tpv3_tunnel_up", "gauge", "Whether the control connection is established.", (tunnel) =>
    bit(isUp(tunnel)),
  ),
  ofTunnel(
    "l2tpv3_tunnel_state_change_timestamp_seconds",
    "gauge",
    "When the control connection entered its present state.",
    (tunnel, { toSeconds }) => toSeconds(tunnel.since),
  ),
  ofTunnel(
    "l2tpv3_tunnel_wrong_digests_total",
    "counter",
    "Control messages dropped because their digest was missing or wrong.",
    (tunnel) => tunnel.wrongDigests,
  ),
  ofStatistics(
    "l2tpv3_tunnel_established_total",
    "Control connections that were established: the first one, and reconnects.",
    (tunnel) => tunnel.established,
  ),
  ofStatistics(
    "l2tpv3_tunnel_failures_total",
    "Attempts to open a control connection that failed, and connections that were lost.",
    (tunnel) => tunnel.failed,
  ),
  ofStatistics(
    "l2tpv3_tunnel_control_messages_sent_total",
    "Control messages sent, with retransmissions and acknowledgements.",
    (tunnel) => tunnel.messages.sent,
  ),
  ofStatistics(
    "l2tpv3_tunnel_control_messages_received_total",
    "Genuine control messages received, with duplicates and acknowledgements.",
    (tunnel) => tunnel.messages.received,
  ),
  ofStatistics(
    "l2tpv3_tunnel_control_messages_retransmitted_total",
    "Control messages sent again because they were not acknowledged in time.",
    (tunnel) => tunnel.messages.retransmitted,
  ),
  ofStatistics(
    "l2tpv3_tunnel_peer_window_messages",
    "Control messages that the peer can hold (Receive Window Size).",
    ({ window }) => window?.peer,
    "gauge",
  ),
  ofStatistics(
    "l2tpv3_tunnel_congestion_window_messages",
    "Control messages that congestion control lets be under way.",
    ({ window }) => window?.congestion,
    "gauge",
  ),
  ofStatistics(
    "l2tpv3_tunnel_outstanding_messages",
    "Control messages sent and not acknowledged.",
    ({ window }) => window?.outstanding,
    "gauge",
  ),
  ofStatistics(
    "l2tpv3_tunnel_waiting_messages",
    "Control messages that wait for room in the windows.",
    ({ window }) => window?.waiting,
    "gauge",
  ),

  ofSession("l2tpv3_session_up", "gauge", "Whether the session is established.", (session) => bit(isUp(session))),
  ofSession(
    "l2tpv3_session_state_change_timestamp_seconds",
    "gauge",
    "When the session entered its present state.",
    (session, { toSeconds }) => toSeconds(session.since),
  ),
  ofSession(
    "l2tpv3_session_local_circuit_up",
    "gauge",
    "Whether this end's circuit is active (Circuit Status, RFC 3931 5.4.5).",
    (session) => bit(session.localCircuitActive),
  ),
  ofSession(
    "l2tpv3_session_remote_circuit_up",
    "gauge",
    "Whether the peer's circuit is active and not on standby.",
    (session) => bit(session.remoteCircuitActive),
  ),
  ofOutcomes("l2tpv3_session_established_total", "Calls that were established.", ({ established }) => established),
  ofOutcomes("l2tpv3_session_failures_total", "Calls that were refused, failed or were lost.", ({ failed }) => failed),
  {
    name: "l2tpv3_session_remote_circuit_errors",
    type: "gauge",
    help: "Errors of the peer's circuit since the call began, as its last WEN told them (RFC 3931 6.13).",
    samples: ({ view }) =>
      view.tunnels.flatMap((tunnel) => tunnel.sessions.flatMap((session) => circuitErrors(tunnel, session))),
  },

  ofTraffic("l2tpv3_session_received_packets_total", "Data packets received.", (counters) => counters.receivedPackets),
  ofTraffic("l2tpv3_session_received_bytes_total", "Octets of data received.", (counters) => counters.receivedOctets),
  ofTraffic(
    "l2tpv3_session_receive_errors_total",
    "Data packets that were discarded on reception, for whatever reason.",
    (counters) => counters.receiveErrors,
  ),
  ofTraffic(
    "l2tpv3_session_sequence_discards_total",
    "Of those: for their sequence number, or for having none.",
    (counters) => counters.sequenceDiscards,
  ),
  ofTraffic("l2tpv3_session_sent_packets_total", "Data packets sent.", (counters) => counters.sentPackets),
  ofTraffic("l2tpv3_session_sent_bytes_total", "Octets of data sent.", (counters) => counters.sentOctets),
  ofTraffic(
    "l2tpv3_session_send_errors_total",
    "Data packets that could not be sent.",
    (counters) => counters.sendErrors,
  ),
  one(
    "l2tpv3_datapath_answers",
    "gauge",
    "Whether the datapath told its counters; where it did not, those of sessions are missing.",
    ({ counters }) => bit(counters !== undefined),
  ),

  ofHooks("l2tpv3_hooks_run_total", "Hooks that were run.", ({ run }) => run),
  ofHooks(
    "l2tpv3_hooks_failed_total",
    "Of those: not started, not ended in time, or with an exit code that is not 0.",
    ({ failed }) => failed,
  ),
  ofHooks(
    "l2tpv3_hooks_dropped_total",
    "Hooks that were not run because too many were waiting.",
    ({ dropped }) => dropped,
  ),

  ofProcess("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", (facts) => facts.residentBytes),
  ofProcess(
    "process_cpu_seconds_total",
    "counter",
    "User and system CPU time spent, in seconds.",
    (facts) => facts.cpuSeconds,
  ),
  ofProcess(
    "process_start_time_seconds",
    "gauge",
    "Start time of the process, in seconds of the epoch.",
    (facts) => facts.startedAtSeconds,
  ),
  ofProcess("process_open_fds", "gauge", "Open file descriptors.", (facts) => facts.openFiles),
  ofProcess(
    "nodejs_eventloop_lag_p99_seconds",
    "gauge",
    "How late the event loop was in the last minute, the 99th percentile.",
    (facts) => facts.lagP99Seconds,
  ),
  ofProcess(
    "nodejs_eventloop_lag_max_seconds",
    "gauge",
    "How late the event loop was in the last minute, at most.",
    (facts) => facts.lagMaxSeconds,
  ),
];
