import type { StaticSessionConfiguration, StaticTunnelConfiguration } from "../control/configuration.ts";
import { type BuiltTunnel, placeOf } from "./contradictions.ts";
import type { SessionValues, TunnelValues } from "./keys.ts";
import type { Problems } from "./problems.ts";
import type { SessionTable, TunnelTable } from "./tables.ts";

/** What only means something while a control connection is set up, and what to write in its place. */
const NEGOTIATED: Readonly<Record<string, string>> = {
  dialect: "nothing is said that a peer could understand otherwise",
  role: "both ends have everything typed in, and neither opens",
  peer_hostname: "nobody tells a host name: name peer",
  peer_router_id: "nobody tells a Router ID: name peer",
  secret: "a secret needs the nonces of a handshake (RFC 3931 4.3)",
  secret_file: "a secret needs the nonces of a handshake (RFC 3931 4.3)",
  secret_previous: "a secret needs the nonces of a handshake (RFC 3931 4.3)",
  secret_previous_file: "a secret needs the nonces of a handshake (RFC 3931 4.3)",
  hidden: "there are no AVPs to hide",
  chap_password: "there is no handshake to put challenges into",
  chap_password_file: "there is no handshake to put challenges into",
  receive_window: "it is negotiated",
};

/** What besides needs the HELLOs of hello-only. */
const WATCHED: Readonly<Record<string, string>> = {
  digest: 'there are no control messages; mode = "hello-only" has them',
  hello_interval: 'there are no control messages; mode = "hello-only" has them',
  retransmit: 'there are no control messages; mode = "hello-only" has them',
};

const NEGOTIATED_SESSION: Readonly<Record<string, string>> = {
  remote_end_id: "the session is known by local_session_id and remote_session_id",
  local_end_id: "the session is known by local_session_id and remote_session_id",
  attachment_group: "the session is known by local_session_id and remote_session_id",
  end_id_format: "the session is known by local_session_id and remote_session_id",
  call: "nobody places a call",
  call_type: "nobody places a call",
  cookie_size: "the cookies are given as local_cookie and remote_cookie",
  circuit: "nobody could be told of its condition",
};

const TUNNEL_IDS = ["local_tunnel_id", "remote_tunnel_id"] as const;
const SESSION_IDS = ["local_session_id", "remote_session_id"] as const;
const SESSION_COOKIES = ["local_cookie", "remote_cookie"] as const;

/** Ids that are missing have been reported by `checkStatic`, and are 0 here. */
export function buildStaticTunnel(values: TunnelValues): { readonly static?: StaticTunnelConfiguration } {
  const { mode, local_tunnel_id, remote_tunnel_id } = values;
  if (mode === "dynamic") return {};
  const watched = mode === "hello-only";
  return { static: { localTunnelId: local_tunnel_id ?? 0, remoteTunnelId: remote_tunnel_id ?? 0, watched } };
}

export function buildStaticSession(values: SessionValues): { readonly static: StaticSessionConfiguration } {
  const { local_session_id, remote_session_id, local_cookie, remote_cookie } = values;
  return {
    static: {
      localSessionId: local_session_id ?? 0,
      remoteSessionId: remote_session_id ?? 0,
      localCookie: octetsOf(local_cookie ?? ""),
      remoteCookie: octetsOf(remote_cookie ?? ""),
    },
  };
}

function octetsOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

/** The keys of static tunnels: there where they are needed, and nowhere else. */
export function checkStatic(built: readonly BuiltTunnel[], problems: Problems): void {
  for (const each of built) {
    if (each.table.wrong.has("mode")) continue;
    if (each.tunnel.static === undefined) checkDynamic(each, problems);
    else checkTypedIn(each, each.tunnel.static, problems);
  }
  checkUnique(built, problems);
}

function checkDynamic({ table, sessions }: BuiltTunnel, problems: Problems): void {
  const advice = 'only for mode = "static" or "hello-only": here the ends agree on it themselves';
  for (const key of given(table, TUNNEL_IDS)) problems.error(placeOf(table, key), advice);
  for (const { table: session } of sessions) {
    for (const key of given(session, [...SESSION_IDS, ...SESSION_COOKIES])) {
      problems.error(placeOf(session, key), advice);
    }
  }
}

function checkTypedIn(
  { table, tunnel, sessions }: BuiltTunnel,
  { watched }: StaticTunnelConfiguration,
  problems: Problems,
): void {
  const mode = watched ? "hello-only" : "static";
  checkAbsent(table, { ...NEGOTIATED, ...(watched ? {} : WATCHED) }, mode, problems);
  checkPresent(table, [...TUNNEL_IDS, "peer"], mode, problems);
  if (tunnel.localPort === 0 && tunnel.encapsulation === "udp") {
    const text = `found 0, allowed with mode = "${mode}": the port that the other end has typed in, 1 to 65535`;
    problems.error(placeOf(table, "local_port"), text);
  }
  if (watched && tunnel.helloIntervalMs === 0) {
    const text = 'found "0s", allowed with mode = "hello-only": 100 ms to 24 h, or mode = "static"';
    problems.error(placeOf(table, "hello_interval"), text);
  }
  for (const { table: session } of sessions) {
    checkAbsent(session, NEGOTIATED_SESSION, mode, problems);
    checkPresent(session, SESSION_IDS, mode, problems);
  }
}

function checkAbsent(
  table: TunnelTable | SessionTable,
  reasons: Readonly<Record<string, string>>,
  mode: string,
  problems: Problems,
): void {
  for (const key of given(table, Object.keys(reasons))) {
    problems.error(placeOf(table, key), `not with mode = "${mode}": ${reasons[key]}`);
  }
}

const MISSING: Readonly<Record<string, string>> = {
  peer: "the address or DNS name of the other end",
  local_tunnel_id: "1 to 4294967295, the other end's remote_tunnel_id (peer_tunnel_id of ip l2tp)",
  remote_tunnel_id: "1 to 4294967295, the other end's local_tunnel_id (tunnel_id of ip l2tp)",
  local_session_id: "1 to 4294967295, the other end's remote_session_id (peer_session_id of ip l2tp)",
  remote_session_id: "1 to 4294967295, the other end's local_session_id (session_id of ip l2tp)",
};

function checkPresent(
  table: TunnelTable | SessionTable,
  keys: readonly string[],
  mode: string,
  problems: Problems,
): void {
  for (const key of keys) {
    if (table.wrong.has(key) || given(table, [key]).length > 0) continue;
    problems.error(table.path, `${key} is missing, needed with mode = "${mode}": ${MISSING[key]}`);
  }
}

function given(table: TunnelTable | SessionTable, keys: readonly string[]): readonly string[] {
  return keys.filter((key) => table.layers.some((layer) => Object.hasOwn(layer.given, key)));
}

/** One datapath serves the whole site: an id leads to one tunnel, or one session, only. */
function checkUnique(built: readonly BuiltTunnel[], problems: Problems): void {
  const tunnels = new Map<number, string>();
  const sessions = new Map<number, string>();
  for (const each of built) {
    const { static: numbers, name } = each.tunnel;
    if (numbers === undefined) continue;
    claim(tunnels, numbers.localTunnelId, `tunnel "${name}"`, each.table, "local_tunnel_id", problems);
    for (const { table, session } of each.sessions) {
      const owner = `session "${name}/${session.name}"`;
      claim(sessions, session.static?.localSessionId ?? 0, owner, table, "local_session_id", problems);
    }
  }
}

function claim(
  owners: Map<number, string>,
  id: number,
  claimant: string,
  table: TunnelTable | SessionTable,
  key: string,
  problems: Problems,
): void {
  // Missing or wrong, which has been reported.
  if (id === 0) return;
  const owner = owners.get(id);
  if (owner === undefined) owners.set(id, claimant);
  else problems.error(placeOf(table, key), `${id} is already that of ${owner}`);
}
