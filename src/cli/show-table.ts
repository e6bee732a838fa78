import type { ShowSubject } from "../daemon/admin-protocol.ts";
import type { CounterReport, SessionReport, ShowReport, TunnelReport } from "../daemon/show-report.ts";
import { printable } from "./terminal.ts";

/** Columns of a table; numbers stand at the right. A row may have a remark below it. */
interface Table {
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
}

interface Column {
  readonly title: string;
  readonly widest: number;
  readonly numeric?: boolean;
}

interface Row {
  readonly cells: readonly string[];
  readonly remark?: string;
}

/** The report for people, ending with a line break. `now` is what ages are counted from. */
export function renderReport(report: ShowReport, what: ShowSubject | undefined, now: Date): string {
  const head = `${report.hostname}  router id ${dottedQuad(report.router_id)}  datapath ${report.datapath}  l2tpv3-lcc ${report.version}`;
  const lines = [printable(head), ""];
  if (report.tunnels.length === 0) return `${[...lines, "no tunnels"].join("\n")}\n`;
  switch (what) {
    case undefined:
      lines.push(...renderTable(overview(report.tunnels, now)));
      break;
    case "tunnels":
      lines.push(...renderTable(tunnelTable(report.tunnels, now)));
      break;
    case "sessions":
      lines.push(...renderTable(sessionTable(report.tunnels, now)));
      break;
    case "counters":
      lines.push(...renderTable(counterTable(report.tunnels)));
      break;
  }
  return `${lines.join("\n")}\n`;
}

/** A line for each tunnel, and below it one for each of its sessions. */
function overview(tunnels: readonly TunnelReport[], now: Date): Table {
  return {
    columns: [
      { title: "TUNNEL / SESSION", widest: 26 },
      { title: "STATE", widest: 17 },
      { title: "PEER / INTERFACE", widest: 27 },
      { title: "LOCAL ID", widest: 10, numeric: true },
      { title: "REMOTE ID", widest: 10, numeric: true },
      { title: "SINCE", widest: 7, numeric: true },
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
        remark: remarkOf(tunnel),
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

/** Why it is not up; or, so that two different secrets are found out, that nobody is understood. */
function remarkOf({ last_error, state, wrong_digests }: TunnelReport): string {
  if (last_error !== "" || state === "established" || wrong_digests === 0) return last_error;
  return `messages dropped because their digest is missing or wrong: ${wrong_digests}`;
}

function tunnelTable(tunnels: readonly TunnelReport[], now: Date): Table {
  return {
    columns: [
      { title: "TUNNEL", widest: 20 },
      { title: "STATE", widest: 14 },
      { title: "PEER", widest: 21 },
      { title: "PEER HOST NAME", widest: 16 },
      { title: "PEER ROUTER ID", widest: 15 },
      { title: "DIALECT", widest: 10 },
      { title: "UP", widest: 9, numeric: true },
      { title: "SINCE", widest: 7, numeric: true },
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
      remark: remarkOf(tunnel),
    })),
  };
}

function sessionTable(tunnels: readonly TunnelReport[], now: Date): Table {
  return {
    columns: [
      { title: "SESSION", widest: 28 },
      { title: "STATE", widest: 17 },
      { title: "INTERFACE", widest: 15 },
      { title: "TYPE", widest: 9 },
      { title: "COOKIES", widest: 7 },
      { title: "CIRCUIT", widest: 9 },
      { title: "SINCE", widest: 7, numeric: true },
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

const COUNTERS: readonly (readonly [title: string, key: keyof CounterReport, widest: number])[] = [
  ["RX PACKETS", "received_packets", 12],
  ["RX OCTETS", "received_octets", 15],
  ["ERRORS", "receive_errors", 8],
  ["TX PACKETS", "sent_packets", 12],
  ["TX OCTETS", "sent_octets", 15],
  ["ERRORS", "send_errors", 8],
];

function counterTable(tunnels: readonly TunnelReport[]): Table {
  return {
    columns: [
      { title: "SESSION", widest: 28 },
      ...COUNTERS.map(([title, , widest]) => ({ title, widest, numeric: true })),
    ],
    rows: sessionsOf(tunnels).map(({ name, session }) => ({
      cells: [name, ...COUNTERS.map(([, key]) => String(session.counters[key]))],
    })),
  };
}

function sessionsOf(tunnels: readonly TunnelReport[]): readonly { name: string; session: SessionReport }[] {
  return tunnels.flatMap((tunnel) =>
    tunnel.sessions.map((session) => ({ name: `${tunnel.name}/${session.name}`, session })),
  );
}

function renderTable({ columns, rows }: Table): readonly string[] {
  const fitted = rows.map(({ cells, remark }) => ({
    cells: cells.map((cell, index) => shorten(printable(cell), columns[index])),
    remark: printable(remark ?? ""),
  }));
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...fitted.map(({ cells }) => cells[index]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, index) => pad(cell, widths[index], columns[index]))
      .join("  ")
      .trimEnd();
  return [
    line(columns.map(({ title }) => title)),
    ...fitted.flatMap(({ cells, remark }) => (remark === "" ? [line(cells)] : [line(cells), ...wrap(remark)])),
  ];
}

/** Numbers are never shortened: half a number is wrong, half a name is not. */
function shorten(cell: string, column: Column | undefined): string {
  if (column === undefined || column.numeric === true || cell.length <= column.widest) return cell;
  return `${cell.slice(0, column.widest - 1)}…`;
}

function pad(cell: string, width = 0, column: Column | undefined = undefined): string {
  return column?.numeric === true ? cell.padStart(width) : cell.padEnd(width);
}

/** A sentence below its line, broken between words at 100 characters. */
function wrap(sentence: string): readonly string[] {
  const lines: string[] = [];
  for (const word of sentence.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= 96) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.map((line, index) => `${index === 0 ? "    ! " : "      "}${line}`);
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

function dottedQuad(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join(".");
}
