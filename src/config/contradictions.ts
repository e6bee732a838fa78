import type { SessionConfiguration, TunnelConfiguration } from "../control/configuration.ts";
import { canonicalAddress, isAnyAddress, isLinkLocal } from "../control/endpoint.ts";
import { LARGEST_HIDDEN_VALUE } from "./end-id.ts";
import { canBeReached } from "./listen.ts";
import type { Problems } from "./problems.ts";
import type { ListenAddress } from "./site.ts";
import type { SessionTable, TunnelTable } from "./tables.ts";

/** A tunnel as the core will get it, beside the tables it was made from. */
export interface BuiltTunnel {
  readonly table: TunnelTable;
  readonly tunnel: TunnelConfiguration;
  readonly sessions: readonly BuiltSession[];
}

interface BuiltSession {
  readonly table: SessionTable;
  readonly session: SessionConfiguration;
}

/** RFC 3931 4.2: an implementation may cap the doubling, but not below 8 seconds. */
const LEAST_RETRANSMIT_CAP_MS = 8_000;

const FOREIGN = {
  circuit: 'an interface that this daemon does not make, such as "eth1"',
  bridge: "a bridge that exists",
} as const;

/** What tells one UDP flow from another. */
const FLOW_KEYS = ["mode", "encapsulation", "peer", "peer_port", "local", "local_port", "netns", "bind_device"];

/** What no key is wrong about by itself. `listen`: where peers can reach a responder; `undefined` where that is wrong. */
export function findContradictions(
  built: readonly BuiltTunnel[],
  listen: readonly ListenAddress[] | undefined,
  problems: Problems,
): void {
  // A socket bound to no particular address does not tell to which one an SCCRQ was sent.
  const localTells = listen?.every(({ address }) => !isAnyAddress(address)) ?? true;
  for (const each of built) {
    checkPeer(each, listen, problems);
    checkNetns(each, problems);
    checkTimes(each, problems);
    checkEndIds(each, problems);
    if (each.tunnel.authentication.hidden) checkHiddenEndIds(each, problems);
    checkSessions(each, problems);
  }
  checkInterfaces(built, problems);
  checkSelectors(built, localTells, problems);
  checkFlows(built, problems);
  checkIpsec(built, problems);
}

/** Where a key was given last, or the table itself where only its default holds. */
export function placeOf(table: TunnelTable | SessionTable, key: string, within?: string): readonly string[] {
  for (const layer of table.layers.toReversed()) {
    const given: Readonly<Record<string, unknown>> = layer.given;
    const value = given[key];
    if (value === undefined) continue;
    if (within === undefined) return [...layer.path, key];
    if (Object.hasOwn(Object(value), within)) return [...layer.path, key, within];
  }
  return table.path;
}

function checkPeer(
  { table, tunnel }: BuiltTunnel,
  listen: readonly ListenAddress[] | undefined,
  problems: Problems,
): void {
  if (tunnel.static !== undefined || ["role", "peer"].some((key) => table.wrong.has(key))) return;
  if (tunnel.role !== "responder") {
    if (tunnel.peer !== undefined) return;
    problems.error(
      placeOf(table, "role"),
      `role "${tunnel.role}" opens the control connection and needs peer, an address or a DNS name`,
    );
    return;
  }
  if (listen !== undefined && !canBeReached(tunnel, listen)) {
    const none = listen.length === 0 ? "is empty" : `has no address of encapsulation "${tunnel.encapsulation}" for it`;
    problems.error(
      placeOf(table, "role"),
      `role "responder" waits for the peer, but lcce.listen ${none}: nobody can reach it`,
    );
  }
  const unselective = [tunnel.peer, tunnel.peerHostname, tunnel.peerRouterId].every(
    (selector) => selector === undefined,
  );
  if (unselective && !table.wrong.has("peer_hostname") && !table.wrong.has("peer_router_id")) {
    problems.error(table.path, "a responder needs peer, peer_hostname or peer_router_id to know its peer by");
  }
}

/** Node looks up the link of whoever sends among the interfaces of the daemon's own namespace. */
function checkNetns({ table, tunnel }: BuiltTunnel, problems: Problems): void {
  if (tunnel.netns === undefined) return;
  for (const key of ["peer", "local"] as const) {
    if (!isLinkLocal(tunnel[key] ?? "")) continue;
    const advice = "allowed with netns: an address of wider scope, or a name";
    problems.error(placeOf(table, key), `found "${tunnel[key]}", a link-local address, ${advice}`);
  }
}

function checkTimes({ table, tunnel }: BuiltTunnel, problems: Problems): void {
  const { initialMs, maxMs } = tunnel.retransmit;
  const capPlace = placeOf(table, "retransmit", "max");
  if (initialMs > maxMs) {
    problems.error(
      placeOf(table, "retransmit", "initial"),
      `retransmit.initial (${initialMs} ms) is longer than retransmit.max (${maxMs} ms)`,
    );
  } else if (maxMs < LEAST_RETRANSMIT_CAP_MS) {
    problems.warning(capPlace, `retransmit.max is ${maxMs} ms; RFC 3931 4.2 wants at least 8 s`);
  }
  if (tunnel.reconnect.minMs > tunnel.reconnect.maxMs) {
    const { minMs, maxMs: longest } = tunnel.reconnect;
    problems.error(
      placeOf(table, "reconnect", "min"),
      `reconnect.min (${minMs} ms) is longer than reconnect.max (${longest} ms)`,
    );
  }
}

/** A call names a session by its attachment group and by what the caller calls this end of it (RFC 4667 4.3). */
function checkEndIds({ sessions }: BuiltTunnel, problems: Problems): void {
  const owners = new Map<string, BuiltSession>();
  for (const each of sessions) {
    const identity = identityOf(each);
    if (identity === undefined) continue;
    const owner = owners.get(identity);
    if (owner === undefined) owners.set(identity, each);
    else problems.error(placeOf(each.table, endIdKey(each)), sameEndId(each, owner));
  }
}

/** `undefined` where a part of it is wrong, which has been reported: it is empty then. */
function identityOf({ table, session }: BuiltSession): string | undefined {
  const { attachmentGroup, localEndId, remoteEndId } = session;
  const isGrouped = table.layers.some(({ given }) => given.attachment_group !== undefined);
  const endId = localEndId ?? remoteEndId;
  if (endId.length === 0 || (isGrouped && attachmentGroup.length === 0)) return undefined;
  return [attachmentGroup, endId].map((octets) => Buffer.from(octets).toString("hex")).join("/");
}

function sameEndId(one: BuiltSession, owner: BuiltSession): string {
  const key = endIdKey(owner);
  const within = one.session.attachmentGroup.length === 0 ? "" : " in the same attachment_group";
  const asBoth = key === "remote_end_id" && endIdKey(one) !== key ? ", which is its local_end_id too" : "";
  return `session "${owner.table.name}" of this tunnel has the same ${key}${within}${asBoth}`;
}

function endIdKey({ session }: BuiltSession): "local_end_id" | "remote_end_id" {
  return session.localEndId === undefined ? "remote_end_id" : "local_end_id";
}

function checkHiddenEndIds({ sessions }: BuiltTunnel, problems: Problems): void {
  for (const { table, session } of sessions) {
    const values = {
      remote_end_id: session.remoteEndId,
      local_end_id: session.localEndId,
      attachment_group: session.attachmentGroup,
    };
    for (const [key, octets] of Object.entries(values)) {
      if (octets === undefined || octets.length <= LARGEST_HIDDEN_VALUE) continue;
      const numbers = `found ${octets.length} octets, allowed with hidden = true: 1 to ${LARGEST_HIDDEN_VALUE}`;
      problems.error(placeOf(table, key), numbers);
    }
  }
}

function checkSessions({ sessions }: BuiltTunnel, problems: Problems): void {
  for (const { table, session } of sessions) {
    checkDevice(table, session, problems);
    if (session.sequencing !== "none" && session.l2Sublayer === "none" && !table.wrong.has("l2_sublayer")) {
      const message = `sequencing "${session.sequencing}" needs l2_sublayer = "default", which carries the sequence numbers`;
      problems.error(placeOf(table, "sequencing"), message);
    }
    checkCallType(table, session, problems);
    checkVlan(table, session, problems);
  }
}

/** Reported where `pseudowire` or `vlan` stand, unless one of them is wrong by itself. */
function checkVlan(table: SessionTable, { pseudowire, vlan }: SessionConfiguration, problems: Problems): void {
  if (table.wrong.has("pseudowire") || table.wrong.has("vlan")) return;
  if (pseudowire === "vlan" && vlan === undefined) {
    const text = 'vlan is missing, needed with pseudowire = "vlan": the tag of its frames on the wire, 1 to 4094';
    problems.error(placeOf(table, "pseudowire"), text);
  } else if (pseudowire === "ethernet" && vlan !== undefined) {
    const text = 'only for pseudowire = "vlan": pseudowire "ethernet" passes frames with whatever tags they have';
    problems.error(placeOf(table, "vlan"), text);
  }
}

function checkDevice(table: SessionTable, session: SessionConfiguration, problems: Problems): void {
  if (session.bridge !== undefined && session.addresses.length > 0) {
    problems.warning(
      placeOf(table, "addresses"),
      "a device in a bridge receives nothing for its own addresses; the bridge should have them",
    );
  }
  if (session.isolated && session.bridge === undefined && !table.wrong.has("bridge")) {
    problems.error(placeOf(table, "isolated"), "only a port of a bridge can be isolated: bridge is missing");
  }
  if (new Set(session.routes.map((route) => route.split(" ")[0])).size < session.routes.length) {
    problems.error(placeOf(table, "routes"), "the same network twice");
  }
  if (new Set(session.addresses).size < session.addresses.length) {
    problems.error(placeOf(table, "addresses"), "the same address twice");
  }
}

/** An OCRQ has no room for what only an ICRQ carries (RFC 4667 4.3): the peer would look for another pseudowire. */
function checkCallType(table: SessionTable, session: SessionConfiguration, problems: Problems): void {
  if (session.callType !== "outgoing") return;
  const given = {
    attachment_group: session.attachmentGroup.length > 0,
    local_end_id: session.localEndId !== undefined,
  };
  for (const [key, isGiven] of Object.entries(given)) {
    if (isGiven) problems.error(placeOf(table, key), 'only incoming calls carry it; call_type is "outgoing"');
  }
}

/** Names of devices are unique in each network namespace. */
function checkInterfaces(built: readonly BuiltTunnel[], problems: Problems): void {
  const namespaces = new Set(built.map(({ tunnel }) => tunnel.netns));
  for (const netns of namespaces) {
    const within = built.filter(({ tunnel }) => tunnel.netns === netns);
    checkInterfacesWithin(within, problems);
  }
}

function checkInterfacesWithin(built: readonly BuiltTunnel[], problems: Problems): void {
  const owners = new Map<string, string>();
  const all = built.flatMap(({ tunnel, sessions }) =>
    sessions.map((each) => ({ ...each, name: `${tunnel.name}/${each.session.name}` })),
  );
  for (const { table, session, name } of all) {
    const place = placeOf(table, "interface");
    const owner = owners.get(session.interfaceName);
    if (owner === undefined) owners.set(session.interfaceName, name);
    else problems.error(place, `interface "${session.interfaceName}" is already that of ${owner}`);
    if (session.interfaceName === "lo") problems.error(place, 'interface "lo" is the loopback device of every machine');
  }
  for (const each of all) {
    checkForeign(each, "circuit", owners, problems);
    checkForeign(each, "bridge", owners, problems);
  }
}

/** A circuit or bridge is no device of ours. `owners`: the sessions by their interfaces. */
function checkForeign(
  { table, session, name }: BuiltSession & { readonly name: string },
  key: "circuit" | "bridge",
  owners: ReadonlyMap<string, string>,
  problems: Problems,
): void {
  const found = session[key] ?? "";
  const owner = owners.get(found);
  if (owner === undefined) return;
  const whose = owner === name ? "this session's own interface" : `the interface of session ${owner}`;
  problems.error(placeOf(table, key), `found "${found}", which is ${whose}, allowed: ${FOREIGN[key]}`);
}

/** An SCCRQ must not fit two tunnels equally well. `localTells`: the local address of a tunnel is a selector too. */
function checkSelectors(built: readonly BuiltTunnel[], localTells: boolean, problems: Problems): void {
  const owners = new Map<string, string>();
  for (const { table, tunnel } of built) {
    if (
      tunnel.role === "initiator" ||
      ["role", "peer", "peer_hostname", "peer_router_id"].some((key) => table.wrong.has(key))
    )
      continue;
    const selectors = [tunnel.peer?.toLowerCase(), tunnel.peerHostname, tunnel.peerRouterId];
    if (selectors.every((selector) => selector === undefined)) continue;
    const device = tunnel.encapsulation === "udp" ? tunnel.bindDevice : undefined;
    const local = localTells ? tunnel.local : "auto";
    const identity = JSON.stringify([...selectors, tunnel.encapsulation, local, tunnel.netns, device]);
    const owner = owners.get(identity);
    if (owner === undefined) {
      owners.set(identity, tunnel.name);
      continue;
    }
    problems.error(
      table.path,
      `the same peer would match tunnel "${owner}": they need different peer, peer_hostname or peer_router_id`,
    );
  }
}

/**
 * Two control connections between the same addresses and ports would share one UDP flow. Of two that are negotiated the
 * second one is refused in words; what is typed in would be made beside the other one, and one of them carry nothing.
 */
function checkFlows(built: readonly BuiltTunnel[], problems: Problems): void {
  const owners = new Map<string, TunnelConfiguration>();
  for (const { table, tunnel } of built) {
    const flow = flowOf(table, tunnel);
    if (flow === undefined) continue;
    const owner = owners.get(flow);
    if (owner === undefined) {
      owners.set(flow, tunnel);
      continue;
    }
    const found = `same addresses and ports as tunnel "${owner.name}"`;
    if (owner.static === undefined && tunnel.static === undefined) {
      problems.warning(table.path, `${found}: give one of them another local_port, or local_port = 0`);
      continue;
    }
    const { peer = "", peerPort, local, localPort } = tunnel;
    const which = `peer "${peer}" port ${peerPort}, local "${local}" port ${localPort}`;
    const advice = "put the sessions into one tunnel, or give another local_port or peer_port";
    problems.error(table.path, `${found} (${which}), where only one of the two can carry anything: ${advice}`);
  }
}

/** `undefined`: it is not known before a connection is there, or is nobody else's. */
function flowOf(table: TunnelTable, tunnel: TunnelConfiguration): string | undefined {
  const { peer, peerPort, local, localPort, netns, bindDevice } = tunnel;
  if (tunnel.encapsulation === "ip" || tunnel.role === "responder" || peer === undefined || localPort === 0) return;
  if (FLOW_KEYS.some((key) => table.wrong.has(key))) return;
  return JSON.stringify([canonicalAddress(peer) ?? peer.toLowerCase(), peerPort, local, localPort, netns, bindDevice]);
}

/** Of protocol 115 an IPsec policy knows the two addresses alone: it cannot be required for one tunnel there and not the other. */
function checkIpsec(built: readonly BuiltTunnel[], problems: Problems): void {
  const overIp = built.filter(({ tunnel }) => tunnel.encapsulation === "ip" && tunnel.peer !== undefined);
  for (const { table, tunnel } of overIp) {
    if (!tunnel.requireIpsec) continue;
    const keys = ["peer", "local", "netns"] as const;
    const other = overIp.find((each) => {
      return !each.tunnel.requireIpsec && keys.every((key) => each.tunnel[key] === tunnel[key]);
    });
    if (other === undefined) continue;
    const message = `tunnel "${other.tunnel.name}" goes over IP between the same addresses and needs the same require_ipsec`;
    problems.error(placeOf(table, "require_ipsec"), message);
  }
}
