import type {
  AuthenticationReport,
  ConfiguredSessionReport,
  ConfiguredTunnelReport,
  EndingReport,
  TunnelDetailReport,
} from "../daemon/show-details.ts";
import type { SessionReport, TunnelReport } from "../daemon/show-report.ts";
import { age, dottedQuad } from "./show-table.ts";
import { wrap } from "./table.ts";
import { printable } from "./terminal.ts";

/** What it is about, and a sentence; none: there is nothing to say. */
type Entry = readonly [about: string, sentence: string | undefined];

const LABEL_WIDTH = 17;
const WIDEST_LINE = 100;
const NARROWEST_LINE = 40;

/** A tunnel with its sessions in full words, ending with a line break. */
export function tunnelInWords(tunnel: TunnelReport, now: Date, width?: number): string {
  const own = [`tunnel ${printable(tunnel.name)}`, ...entries(tunnelEntries(tunnel, now), "  ", width)];
  const sessions = tunnel.sessions.map((session) => sessionLines(session, "  ", now, width));
  return `${[own, ...sessions].map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

/** One session in full words, with its tunnel's name before it. */
export function sessionInWords(tunnel: string, session: SessionReport, now: Date, width?: number): string {
  return `${sessionLines({ ...session, name: `${tunnel}/${session.name}` }, "", now, width).join("\n")}\n`;
}

function sessionLines(session: SessionReport, indent: string, now: Date, width: number | undefined): readonly string[] {
  const head = `${indent}session ${printable(session.name)}`;
  return [head, ...entries(sessionEntries(session, now), `${indent}  `, width)];
}

function entries(list: readonly Entry[], indent: string, width = WIDEST_LINE): readonly string[] {
  const room = Math.max(NARROWEST_LINE, Math.min(width, WIDEST_LINE)) - indent.length - LABEL_WIDTH;
  return list.flatMap(([about, sentence]) =>
    sentence === undefined
      ? []
      : wrap(printable(sentence), room).map(
          (line, index) => `${indent}${(index === 0 ? about : "").padEnd(LABEL_WIDTH)}${line}`,
        ),
  );
}

function tunnelEntries(tunnel: TunnelReport, now: Date): readonly Entry[] {
  const { configured, timers, messages, outcomes } = tunnel;
  return [
    ["State", `${tunnel.state} since ${when(tunnel.since, now)}${openedBy(tunnel)}`],
    ["Error", tunnel.last_error === "" ? undefined : tunnel.last_error],
    ["Last ended", endingText(tunnel.last_end, now)],
    ["Next attempt", timers.next_attempt === null ? undefined : inText(timers.next_attempt, now)],
    ["So far", `established ${times(outcomes.established)}, failed ${times(outcomes.failed)}`],
    ["Mode", modeText(configured)],
    ["Peer", `${peerText(tunnel)}, by ${tunnel.encapsulation === "ip" ? "IP (protocol 115)" : "UDP"}`],
    ["Peer's identity", identityText(tunnel)],
    ["Dialect", dialectText(tunnel)],
    ["Namespace", tunnel.netns ?? undefined],
    ["Connection IDs", idText(tunnel.local_ccid, tunnel.remote_ccid)],
    ["Authentication", authenticationText(tunnel)],
    ["IPsec", IPSEC[tunnel.ipsec]],
    ["Hello", helloText(tunnel, now)],
    ["Retransmission", retransmissionText(tunnel, now)],
    ["Windows", windowText(tunnel)],
    ["Congestion", congestionText(tunnel)],
    ["Messages", `${messages.sent} sent, ${messages.retransmitted} of them again; ${messages.received} received`],
  ];
}

function sessionEntries(session: SessionReport, now: Date): readonly Entry[] {
  const { counters, outcomes, remote_circuit_errors: errors, configured } = session;
  const told = `${errors.hardware_overruns} hardware overruns, ${errors.buffer_overruns} buffer overruns, ${errors.timeouts} timeouts, ${errors.alignments} alignment errors`;
  return [
    ["State", `${session.state} since ${when(session.since, now)}`],
    ["Error", session.last_error === "" ? undefined : session.last_error],
    ["Last ended", endingText(session.last_end, now)],
    ["Next attempt", session.next_attempt === null ? undefined : inText(session.next_attempt, now)],
    ["So far", `established ${times(outcomes.established)}, failed ${times(outcomes.failed)}`],
    ["Interface", interfaceText(session)],
    ["Pseudowire", `${wireText(session)}, Remote End ID "${configured.remote_end_id}"`],
    ["Call", callText(configured)],
    ["Session IDs", idText(session.local_session_id, session.remote_session_id)],
    ["Cookies", cookieText(session)],
    ["Sublayer", againstConfigured(session.l2_sublayer, configured.l2_sublayer ?? "left to the dialect")],
    ["Sequencing", sequencingText(session)],
    ["Circuits", circuitText(session)],
    ["Peer's circuit", Object.values(errors).some((count) => count > 0) ? told : undefined],
    ["Received", `${counters.received_packets} packets, ${counters.received_octets} octets`],
    [
      "Receive errors",
      `${counters.receive_errors}, of them ${counters.cookie_discards} with a wrong cookie and ${counters.sequence_discards} out of sequence`,
    ],
    ["Sent", `${counters.sent_packets} packets, ${counters.sent_octets} octets, ${counters.send_errors} errors`],
  ];
}

/** "cisco", or "cisco (configured: auto)" where that says something else. */
function againstConfigured(used: string, configured: string): string {
  return used === configured ? used : `${used} (configured: ${configured})`;
}

/** "2026-01-02 03:04:05 UTC, 2h11m ago". */
function when(iso: string, now: Date): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC, ${age(iso, now)} ago`;
}

function inText(iso: string, now: Date): string {
  return `in ${age(now.toISOString(), new Date(iso))}`;
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

function msText(ms: number): string {
  return ms % 1_000 === 0 || ms > 10_000 ? `${Math.round(ms / 1_000)} s` : `${ms} ms`;
}

function openedBy({ opened_by, configured }: TunnelReport): string {
  if (opened_by === null || configured.mode !== "dynamic") return "";
  return opened_by === "local" ? "; this end opened it" : "; the peer opened it";
}

const ENDED_BY: Readonly<Record<EndingReport["by"], string>> = {
  peer: "by the peer",
  local: "by this end",
  silence: "because the peer was silent",
  "control-connection": "with its control connection",
};

function endingText(end: EndingReport | null, now: Date): string {
  return end === null ? "never since the daemon began" : `${when(end.at, now)}, ${ENDED_BY[end.by]}: ${end.reason}`;
}

const ROLES = {
  initiator: "this end opens the control connection",
  responder: "the peer opens the control connection",
  both: "either end opens the control connection",
} as const;

function modeText({ mode, role }: ConfiguredTunnelReport): string {
  switch (mode) {
    case "dynamic":
      return `negotiated; ${ROLES[role]}`;
    case "static":
      return "static: typed in at both ends, nothing is negotiated";
    case "hello-only":
      return "static, and the peer is watched with HELLO";
  }
}

function peerText({ peer, configured }: TunnelReport): string {
  if (configured.peer === null) return peer === "" ? "any that its identity selects" : `${peer} (configured: any)`;
  const { address, port } = splitEndpoint(peer);
  const portText = configured.peer_port === null ? "" : ` port ${configured.peer_port}`;
  const same = address === configured.peer && (port === undefined || port === configured.peer_port);
  return same ? peer : `${peer} (configured: ${configured.peer}${portText})`;
}

/** "192.0.2.1:1701", "[2001:db8::1]:1701", or an address alone. */
function splitEndpoint(peer: string): { readonly address: string; readonly port: number | undefined } {
  const { address, port } = /^\[?(?<address>.*?)\]?:(?<port>\d+)$/.exec(peer)?.groups ?? {};
  const isEndpoint = address !== undefined && (peer.startsWith("[") || !address.includes(":"));
  return isEndpoint ? { address, port: Number(port) } : { address: peer, port: undefined };
}

function identityText({ peer_hostname, peer_router_id, peer_vendor }: TunnelReport): string | undefined {
  const parts = [
    peer_hostname === "" ? [] : [`host name ${peer_hostname}`],
    peer_router_id === null ? [] : [`Router ID ${dottedQuad(peer_router_id)}`],
    peer_vendor === "" ? [] : [`vendor "${peer_vendor}"`],
  ].flat();
  return parts.length === 0 ? undefined : parts.join(", ");
}

function dialectText({ dialect, dialect_by, configured }: TunnelReport): string | undefined {
  if (configured.mode !== "dynamic") return undefined;
  if (dialect === "") return "to be recognised from what the peer sends";
  return dialect_by === "configured" ? `${dialect}, as configured` : `${dialect}, recognised by ${dialect_by}`;
}

function idText(local: number, remote: number): string | undefined {
  if (local === 0) return undefined;
  return `${local} at this end, ${remote === 0 ? "none yet" : remote} at the peer's`;
}

function authenticationText({ name, configured, authentication_in_force, wrong_digests }: TunnelReport): string {
  const [inForce, wanted] = [authentication_in_force ?? configured, configured].map(mannerText);
  const later = `${inForce} in force; ${wanted} from the next control connection on (l2tpv3-lcc close ${name}, then open)`;
  const dropped = wrong_digests === 0 ? "" : `; ${wrong_digests} messages dropped for their digest`;
  return `${inForce === wanted ? wanted : later}${dropped}`;
}

function mannerText({ authentication, digest, hidden, chap }: AuthenticationReport): string {
  const manner = {
    none: "none",
    integrity: `none; ${digest.toUpperCase()} digests without a secret`,
    secret: `shared secret, HMAC-${digest.toUpperCase()}`,
  }[authentication];
  const more = [hidden ? ", AVPs are hidden" : "", chap ? ", CHAP as in RFC 2661" : ""].join("");
  return `${manner}${more}`;
}

const IPSEC: Readonly<Record<TunnelReport["ipsec"], string | undefined>> = {
  "": undefined,
  required: "required; there is no connection: no policy protects it yet, or no peer answers",
  protected: "required, and a policy protects the connection",
};

function helloText({ configured, hello_interval_ms, timers, state }: TunnelReport, now: Date): string | undefined {
  if (configured.mode === "static") return undefined;
  if (configured.hello_interval_ms === 0) return "off";
  const interval = `after ${msText(hello_interval_ms ?? configured.hello_interval_ms)} of silence`;
  const exact = `${interval} (configured: ${msText(configured.hello_interval_ms)})`;
  const stated = hello_interval_ms === null || hello_interval_ms === configured.hello_interval_ms ? interval : exact;
  if (state !== "established") return stated;
  return `${stated}; the next one ${timers.next_hello === null ? "is being asked for" : inText(timers.next_hello, now)}`;
}

function retransmissionText({ configured, timers, window }: TunnelReport, now: Date): string | undefined {
  if (configured.mode === "static") return undefined;
  const { initial_ms, max_ms, retries, sccrq_retries } = configured.retransmit;
  const policy = `after ${msText(initial_ms)}, doubling to ${msText(max_ms)}, ${times(retries)} (SCCRQ: ${sccrq_retries})`;
  if (window === null || timers.next_retransmission === null) return `nothing is unacknowledged; ${policy}`;
  return `the next ${inText(timers.next_retransmission, now)}, ${window.retransmissions} so far; ${policy}`;
}

function windowText({ window, configured }: Pick<TunnelDetailReport, "window" | "configured">): string | undefined {
  if (window === null) return undefined;
  return `we take ${againstConfigured(String(window.own), String(configured.receive_window))}, the peer takes ${window.peer} messages at once; Ns ${window.next_ns}, Nr ${window.next_nr}`;
}

function congestionText({ window }: TunnelReport): string | undefined {
  if (window === null) return undefined;
  const phase = window.congestion < window.threshold ? "slow start" : "congestion avoidance";
  return `${window.congestion} may be under way (${phase}, threshold ${window.threshold}); ${window.outstanding} unacknowledged, ${window.waiting} waiting`;
}

function interfaceText({ interface: name, mtu, configured }: SessionReport): string {
  const auto = mtu === null ? "MTU as the path allows" : `MTU ${mtu}, as the path allows`;
  const typedIn = `MTU ${againstConfigured(String(mtu ?? configured.mtu), String(configured.mtu))}`;
  return `${name}, ${configured.mtu === "auto" ? auto : typedIn}${configured.bridge === null ? "" : `, in bridge ${configured.bridge}`}`;
}

function wireText({ pseudowire, vlan }: SessionReport): string {
  return vlan === null ? pseudowire : `VLAN ${vlan}`;
}

function callText({ call, call_type }: ConfiguredSessionReport): string {
  const placer = {
    initiator: "this end",
    responder: "the peer",
    both: "either end",
    opener: "whoever opened the control connection",
  }[call ?? "opener"];
  return `${call_type}, placed by ${placer}`;
}

function cookieText({ local_cookie_size, remote_cookie_size, configured }: SessionReport): string {
  const sizes = `${octetText(local_cookie_size)} in packets to us, ${octetText(remote_cookie_size)} in packets to the peer`;
  return local_cookie_size === configured.cookie_size ? sizes : `${sizes} (configured: ${configured.cookie_size})`;
}

function octetText(size: number): string {
  return size === 0 ? "none" : `${size} octets`;
}

function sequencingText({ local_sequencing, remote_sequencing, configured }: SessionReport): string {
  return `the peer sequences ${againstConfigured(local_sequencing, configured.sequencing)}, this end ${remote_sequencing}`;
}

function circuitText({ circuit_status: { local, remote }, configured }: SessionReport): string {
  const own = configured.circuit === null ? "no interface is watched" : configured.circuit;
  return `${local} at this end (${own}), ${remote} at the peer's`;
}
