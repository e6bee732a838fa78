import { hostname } from "node:os";
import { dirname } from "node:path";
import type {
  AuthenticationConfiguration,
  RetransmitConfiguration,
  SessionConfiguration,
  TunnelConfiguration,
} from "../control/configuration.ts";
import { canonicalAddress } from "../control/endpoint.ts";
import { buildAuthentication, type DirectoryOf } from "./authentication.ts";
import { type BuiltTunnel, findContradictions, placeOf } from "./contradictions.ts";
import { checkDevices } from "./devices.ts";
import { checkDialects } from "./dialect.ts";
import { checkEncapsulations } from "./encapsulation.ts";
import { encodeEndId } from "./end-id.ts";
import { parseDuration, parseRouterId } from "./format.ts";
import { keysGiven } from "./given.ts";
import { buildHooks } from "./hooks.ts";
import { checkInlineSecrets } from "./inline-secrets.ts";
import { nameInterfaces } from "./interface-name.ts";
import type { LcceValues, SessionValues, TunnelValues } from "./keys.ts";
import { buildListen, canBeReached, L2TP_PORT } from "./listen.ts";
import { Problems } from "./problems.ts";
import type { Site } from "./site.ts";
import { readSiteFile } from "./site-file.ts";
import { readParts } from "./site-parts.ts";
import { buildStaticSession, buildStaticTunnel, checkStatic } from "./static.ts";
import { readTables, SESSION, type SessionTable, TUNNEL, type TunnelTable } from "./tables.ts";

/** Control messages that a peer may have under way; RFC 3931 5.4.3 recommends no number. */
const DEFAULT_RECEIVE_WINDOW = 16;

/** Reads and checks a configuration file with all that it includes. Throws a `ConfigError` that tells everything that is wrong. */
export function loadSite(path: string): Site {
  const { text, mode } = readSiteFile(path);
  return parseSite(text, path, mode);
}

/**
 * The same for a text; `file` is named in messages, and relative paths of secret files begin in its directory. `mode`:
 * permission bits of that file, which matter where it holds a secret.
 */
export function parseSite(toml: string, file: string, mode = 0o600): Site {
  const { parts, document, lines } = readParts(toml, file, mode);
  const problems = new Problems(file, lines);
  const { lcce, lcceGiven, lcceWrong, hooks, tunnels } = readTables(document, problems);
  for (const part of parts) checkInlineSecrets(part.document, part.file, part.mode, problems);
  const directoryOf = (place: readonly string[]) => dirname(lines.fileOf?.(place) ?? file);
  const built = buildTunnels(tunnels, directoryOf, problems);
  checkStatic(built, problems);
  const listen = buildListen(
    lcce.listen,
    built.map(({ tunnel }) => tunnel),
    problems,
  );
  findContradictions(built, lcceWrong.has("listen") ? undefined : listen, problems);
  const named = buildLcce(lcce, listen);
  checkDialects(built, named.hostname, problems);
  checkEncapsulations(built, lcce.datapath, problems);
  checkDevices(built, problems);
  if (tunnels.length === 0) problems.warning([], "no [tunnel.NAME]: there is nothing to do");
  const builtHooks = buildHooks(hooks, problems);
  problems.throwIfAny();
  return {
    lcce: named,
    hooks: builtHooks,
    tunnels: built.map(({ tunnel }) => (canBeReached(tunnel, listen) ? tunnel : onlyOpening(tunnel))),
    given: keysGiven(lcceGiven, tunnels),
    warnings: problems.warnings(),
  };
}

/** Without a listener nobody can open a control connection with us: there is no tie to break either. */
function onlyOpening(tunnel: TunnelConfiguration): TunnelConfiguration {
  return tunnel.role === "both" ? { ...tunnel, role: "initiator" } : tunnel;
}

function buildLcce(values: LcceValues, listen: Site["lcce"]["listen"]): Site["lcce"] {
  return {
    hostname: values.hostname ?? hostname(),
    routerId: parseRouterId(values.router_id),
    listen,
    freebind: values.freebind,
    datapath: values.datapath,
    adminSocket: values.admin_socket,
    logLevel: values.log_level,
    metrics: values.metrics ?? undefined,
  };
}

function buildTunnels(
  tables: readonly TunnelTable[],
  directoryOf: DirectoryOf,
  problems: Problems,
): readonly BuiltTunnel[] {
  const all = tables.flatMap((tunnel) =>
    tunnel.sessions.map((session) => ({ tunnel, session, values: valuesOf(session) })),
  );
  const names = nameInterfaces(
    all.map(({ tunnel, session, values }) => ({
      tunnel: tunnel.name,
      session: session.name,
      configured: values.interface,
    })),
  );
  const sessions = all.map(({ tunnel, session, values }, index) => ({
    tunnel,
    table: session,
    session: buildSession(session, values, names[index] ?? "", isStatic(tunnel), problems),
  }));
  return tables.map((table) => {
    const own = sessions.filter(({ tunnel }) => tunnel === table);
    const values = TUNNEL.complete(...table.layers.map(({ given }) => given));
    return {
      table,
      tunnel: buildTunnel(
        table.name,
        values,
        buildAuthentication(table, values, directoryOf, problems),
        own.map(({ session }) => session),
      ),
      sessions: own,
    };
  });
}

function valuesOf(table: SessionTable): SessionValues {
  return SESSION.complete(...table.layers.map(({ given }) => given));
}

function isStatic({ layers }: TunnelTable): boolean {
  return TUNNEL.complete(...layers.map(({ given }) => given)).mode !== "dynamic";
}

function buildTunnel(
  name: string,
  values: TunnelValues,
  authentication: AuthenticationConfiguration,
  sessions: readonly SessionConfiguration[],
): BuiltTunnel["tunnel"] {
  return {
    name,
    ...buildStaticTunnel(values),
    ...(values.mode === "dynamic" ? { dialect: values.dialect, ...leftByTunnel(values) } : {}),
    role: values.mode === "dynamic" ? (values.role ?? (values.peer === null ? "responder" : "both")) : "initiator",
    peer: canonicalAddress(values.peer ?? "") ?? values.peer ?? undefined,
    peerHostname: values.peer_hostname ?? undefined,
    peerRouterId: parseRouterId(values.peer_router_id),
    peerPort: values.peer_port ?? L2TP_PORT,
    local: canonicalAddress(values.local) ?? values.local,
    localPort: values.local_port ?? L2TP_PORT,
    encapsulation: values.encapsulation,
    ...buildSocketOptions(values),
    authentication,
    helloIntervalMs: milliseconds(values.hello_interval),
    retransmit: buildRetransmit(values),
    receiveWindow: values.receive_window ?? DEFAULT_RECEIVE_WINDOW,
    reconnect: { minMs: milliseconds(values.reconnect.min), maxMs: milliseconds(values.reconnect.max) },
    sessions,
  };
}

function leftByTunnel({ receive_window }: TunnelValues): Pick<TunnelConfiguration, "leftToDialect"> {
  return receive_window === null ? { leftToDialect: { receiveWindow: true } } : {};
}

function leftBySession({ l2_sublayer, end_id_format }: SessionValues): Pick<SessionConfiguration, "leftToDialect"> {
  const left = { l2Sublayer: l2_sublayer === null, endIdFormat: end_id_format === null };
  return left.l2Sublayer || left.endIdFormat ? { leftToDialect: left } : {};
}

function buildSocketOptions(values: TunnelValues) {
  return {
    df: values.df ?? undefined,
    tos: values.tos,
    ttl: values.ttl ?? undefined,
    udpChecksum: values.udp_checksum,
    freebind: values.freebind,
    netns: buildNetns(values.netns),
    bindDevice: values.bind_device ?? undefined,
    ...(values.require_ipsec ? { requireIpsec: true } : {}),
  };
}

/** The one form in which they are compared: what `ip netns` has goes by its name. */
function buildNetns(given: string | null): string | undefined {
  return given?.replace(/^(?:\/var)?\/run\/netns\/(?=[^/]+$)/, "");
}

function buildRetransmit({ retransmit }: TunnelValues): RetransmitConfiguration {
  return {
    initialMs: milliseconds(retransmit.initial),
    maxMs: milliseconds(retransmit.max),
    retries: retransmit.retries,
    sccrqRetries: retransmit.sccrq_retries,
  };
}

function buildSession(
  table: SessionTable,
  values: SessionValues,
  interfaceName: string,
  typedIn: boolean,
  problems: Problems,
): SessionConfiguration {
  return {
    name: table.name,
    ...(typedIn ? buildStaticSession(values) : leftBySession(values)),
    remoteEndId: typedIn ? new Uint8Array() : buildRemoteEndId(table, values, problems),
    pseudowire: values.pseudowire,
    vlan: values.vlan ?? undefined,
    call: values.call ?? undefined,
    callType: values.call_type,
    attachmentGroup: buildEndId(table, "attachment_group", values, problems) ?? new Uint8Array(),
    localEndId: buildEndId(table, "local_end_id", values, problems),
    circuit: values.circuit ?? undefined,
    interfaceName,
    cookieSize: values.cookie_size,
    l2Sublayer: values.l2_sublayer ?? "none",
    sequencing: values.sequencing,
    reorderTimeoutMs: milliseconds(values.reorder_timeout),
    sequenceWindow: values.sequence_window,
    resyncAfter: values.resync_after,
    mtu: values.mtu,
    bridge: values.bridge ?? undefined,
    isolated: values.isolated,
    addresses: values.addresses,
    routes: values.routes,
  };
}

function buildRemoteEndId(table: SessionTable, values: SessionValues, problems: Problems): Uint8Array {
  const given = buildEndId(table, "remote_end_id", values, problems);
  if (given !== undefined) return given;
  const octets = encodeEndId(table.name, values.end_id_format ?? "text");
  if (typeof octets !== "string") return octets;
  if (!table.wrong.has("remote_end_id") && !table.wrong.has("end_id_format")) {
    problems.error([...table.path, "remote_end_id"], `missing, and the session's name will not do: ${octets}`);
  }
  return new Uint8Array();
}

/** `undefined` where the key is not given. What cannot be octets is reported, and becomes none. */
function buildEndId(
  table: SessionTable,
  key: "remote_end_id" | "local_end_id" | "attachment_group",
  values: SessionValues,
  problems: Problems,
): Uint8Array | undefined {
  const value = values[key];
  if (value === null) return undefined;
  const octets = encodeEndId(value, values.end_id_format ?? "text");
  if (typeof octets !== "string") return octets;
  if (!table.wrong.has(key) && !table.wrong.has("end_id_format")) problems.error(placeOf(table, key), octets);
  return new Uint8Array();
}

/** Of a duration that the schema has accepted. */
function milliseconds(duration: string): number {
  return parseDuration(duration) ?? 0;
}
