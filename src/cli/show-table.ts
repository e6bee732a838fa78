import type { ShowSubject } from "../daemon/admin-protocol.ts";
import type { CounterReport, SessionReport, ShowReport, TunnelReport } from "../daemon/show-report.ts";
import { cut, renderTable, type Table } from "./table.ts";
import { printable } from "./terminal.ts";

/**
 * The report for people, ending with a line break. `now` is what ages are counted from; `width`, in characters, what lines
 * have to fit, `undefined`: nothing.
 */
export function renderReport(report: ShowReport, what: ShowSubject | undefined, now: Date, width?: number): string {
  const { hostname, router_id, datapath, version, tunnels } = report;
  const head = `${hostname}  router id ${dottedQuad(router_id)}  datapath ${datapath}  l2tpv3-lcc ${version}`;
  const body = tunnels.length === 0 ? ["no tunnels"] : bodyOf(tunnels, what, now, width);
  return `${[cut(printable(head), width), "", ...body].join("\n")}\n`;
}

function bodyOf(
  tunnels: readonly TunnelReport[],
  what: ShowSubject | undefined,
  now: Date,
  width: number | undefined,
): readonly string[] {
  switch (what) {
    case undefined:
      return renderTable(overview(tunnels, now), width);
    case "tunnels":
      return renderTable(tunnelTable(tunnels, now), width);
    case "sessions":
      return renderTable(sessionTable(tunnels, now), width);
    case "counters": {
      const lines = renderTable(counterTable(tunnels, String), width);
      const fits = width === undefined || lines.every(({ length }) => length <= width);
      return fits ? lines : renderTable(counterTable(tunnels, scaled), width);
    }
  }
}

/** An IPv4 address with its port. */
const ADDRESS_WIDTH = 21;

/** A line for each tunnel, and below it one for each of its sessions. */
function overview(tunnels: readonly TunnelReport[], now: Date): Table {
  return {
    columns: [
      { title: "TUNNEL / SESSION" },
      { title: "STATE" },
      { title: "PEER / INTERFACE", least: ADDRESS_WIDTH },
      { title: "LOCAL ID", numeric: true },
      { title: "REMOTE ID", numeric: true },
      { title: "SINCE", numeric: true },
    ],
    rows: tunnels.flatMap((tunnel) => [
      {
        cells: [
          tunnel.name,
          tunnel.state,
          tunnel.peer === "" ? "any" : tunnel.peer,
          identifier(tunnel.local_ccid),
          identifier(tunnel.remote_ccid),
          age(tunnel.since, now),
        ],
        remark: tunnel.last_error,
      },
      ...tunnel.sessions.map((session) => ({
        cells: [
          `  ${session.name}`,
          session.state,
          session.interface,
          identifier(session.local_session_id),
          identifier(session.remote_session_id),
          age(session.since, now),
        ],
        remark: session.last_error,
      })),
    ]),
  };
}

function tunnelTable(tunnels: readonly TunnelReport[], now: Date): Table {
  return {
    columns: [
      { title: "TUNNEL" },
      { title: "STATE" },
      { title: "PEER", least: ADDRESS_WIDTH },
      { title: "PEER HOST NAME", spare: 1 },
      { title: "PEER ROUTER ID", spare: 2 },
      { title: "DIALECT", spare: 3 },
      { title: "UP", numeric: true },
      { title: "SINCE", numeric: true },
    ],
    rows: tunnels.map((tunnel) => ({
      cells: [
        tunnel.name,
        tunnel.state,
        tunnel.peer === "" ? "any" : tunnel.peer,
        tunnel.peer_hostname === "" ? "-" : tunnel.peer_hostname,
        tunnel.peer_router_id === null ? "-" : dottedQuad(tunnel.peer_router_id),
        tunnel.dialect === "" ? "-" : tunnel.dialect,
        `${tunnel.sessions.filter(({ state }) => state === "established").length}/${tunnel.sessions.length}`,
        age(tunnel.since, now),
      ],
      remark: tunnel.last_error,
    })),
  };
}

function sessionTable(tunnels: readonly TunnelReport[], now: Date): Table {
  return {
    columns: [
      { title: "SESSION", least: 16 },
      { title: "STATE" },
      { title: "INTERFACE" },
      { title: "TYPE", spare: 1 },
      { title: "COOKIES", spare: 2 },
      { title: "CIRCUIT" },
      { title: "SINCE", numeric: true },
    ],
    rows: sessionsOf(tunnels).map(({ name, session }) => ({
      cells: [
        name,
        session.state,
        session.interface,
        session.vlan === null ? session.pseudowire : `vlan ${session.vlan}`,
        `${session.local_cookie_size}/${session.remote_cookie_size}`,
        `${session.circuit_status.local}/${session.circuit_status.remote}`,
        age(session.since, now),
      ],
      remark: session.last_error,
    })),
  };
}

/** Cookie and sequence errors are among the errors. */
const COUNTERS: readonly (readonly [title: string, key: keyof CounterReport, spare?: number])[] = [
  ["RX PACKETS", "received_packets"],
  ["RX OCTETS", "received_octets"],
  ["ERRORS", "receive_errors"],
  ["COOKIE", "cookie_discards", 1],
  ["SEQUENCE", "sequence_discards", 2],
  ["TX PACKETS", "sent_packets"],
  ["TX OCTETS", "sent_octets"],
  ["ERRORS", "send_errors"],
];

function counterTable(tunnels: readonly TunnelReport[], write: (value: number) => string): Table {
  return {
    columns: [
      { title: "SESSION", least: 16 },
      ...COUNTERS.map(([title, , spare]) => ({ title, numeric: true, ...(spare === undefined ? {} : { spare }) })),
    ],
    rows: sessionsOf(tunnels).map(({ name, session }) => ({
      cells: [name, ...COUNTERS.map(([, key]) => write(session.counters[key]))],
    })),
  };
}

const SCALES = ["", "k", "M", "G", "T", "P"];

/** "18.4T": of more than six digits the first three, where there is no room for all. */
export function scaled(value: number): string {
  if (value < 1_000_000) return String(value);
  let [rest, scale] = [value, 0];
  while (rest >= 999.5 && scale < SCALES.length - 1) [rest, scale] = [rest / 1_000, scale + 1];
  return `${rest < 99.95 ? rest.toFixed(1) : rest.toFixed(0)}${SCALES[scale]}`;
}

function sessionsOf(tunnels: readonly TunnelReport[]): readonly { name: string; session: SessionReport }[] {
  return tunnels.flatMap((tunnel) =>
    tunnel.sessions.map((session) => ({ name: `${tunnel.name}/${session.name}`, session })),
  );
}

function identifier(value: number): string {
  return value === 0 ? "-" : String(value);
}

/** "12s", "3m12s", "5h40m", "12d3h": the two largest units. */
export function age(since: string, now: Date): string {
  const seconds = Math.max(0, Math.floor((now.getTime() - Date.parse(since)) / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600), Math.floor(seconds / 60)];
  if (days > 0) return `${days}d${hours % 24}h`;
  if (hours > 0) return `${hours}h${minutes % 60}m`;
  return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
}

export function dottedQuad(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join(".");
}
