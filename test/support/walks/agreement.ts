import { CIRCUIT, statusOf } from "../../../src/control/circuit-status.ts";
import type { ControlConnectionState } from "../../../src/control/control-connection-state.ts";
import type { CircuitErrorCounts } from "../../../src/control/core.ts";
import type { LcceState } from "../../../src/control/lcce.ts";
import type { SessionState } from "../../../src/control/session-state.ts";
import type { VirtualNode } from "../virtual-link.ts";
import type { OfBoth, Site } from "./plan.ts";
import { TUNNEL, type WalkWorld } from "./walk-world.ts";

const SITES = [0, 1] as const;

/** What one site has at the moment. */
interface Holdings {
  readonly node: VirtualNode;
  readonly state: LcceState;
  readonly connections: readonly ControlConnectionState[];
  readonly connection: ControlConnectionState | undefined;
  /** Ids of attempts that come to nothing. */
  readonly vain: ReadonlySet<number>;
  readonly sessions: readonly SessionState[];
}

/** Collects what is not as it should be. */
class Findings {
  readonly list: string[] = [];

  /** Compares by content, and tells the difference. */
  same(what: string, found: unknown, expected: unknown): void {
    const [one, other] = [JSON.stringify(found), JSON.stringify(expected)];
    if (one !== other) this.list.push(`${what}: ${one}, not ${other}`);
  }
}

/**
 * What keeps the two sites from agreement; nothing if both have the same control connection and the same sessions, with
 * the ids and cookies that the other assigned, just those that both administrators want, and neither holds anything
 * beside them. May be asked while messages are under way: then something is found that is gone a moment later.
 */
export function disagreements(world: WalkWorld): readonly string[] {
  const findings = new Findings();
  const wanted = world.tunnelWanted;
  const [a, b] = [holdings(world.nodes[0], wanted), holdings(world.nodes[1], wanted)];
  for (const site of SITES) {
    const states = [a, b][site]?.connections.map(({ state }) => state);
    findings.same(`${name(site)} connections`, states, wanted ? ["established"] : []);
  }
  if (findings.list.length === 0) sameThings(world, [a, b], findings);
  return findings.list;
}

function sameThings(world: WalkWorld, [a, b]: OfBoth<Holdings>, findings: Findings): void {
  const initiator = a.connection?.initiator ? 0 : 1;
  if (a.connection !== undefined && b.connection !== undefined) sameConnection(a.connection, b.connection, findings);
  for (let index = 0; index < world.plan.sessions.length; index++) {
    const outlook = a.connection === undefined ? "down" : world.outlook(index, initiator);
    if (outlook === "vain") neverUp(index, [a, b], findings);
    else sameSession(world, index, outlook === "up", [a, b], findings);
    if (outlook === "up") sameCircuits(world, index, [a, b], findings);
  }
  const settled = (_: unknown, index: number) => world.outlook(index, initiator) !== "vain";
  for (const [index, held] of [a, b].entries()) {
    const site = index as Site;
    nothingBeside(site, held, held.sessions.filter(settled), findings);
    const surplus = held.state.timers.filter(({ key }) => !mayRun(world, key, site, initiator, held));
    findings.same(`${name(site)} timers`, surplus, []);
  }
}

/**
 * `wanted`: whether the tunnel ought to be up. Where it ought not, a site may go on asking, in vain: what it asks with,
 * and what lingers of each attempt for a while as RFC 3931 3.3.2 has it, does not count.
 */
function holdings(node: VirtualNode, wanted: boolean): Holdings {
  const state = node.core.save();
  const connections = state.connections.filter((connection) => wanted || connection.state === "established");
  const attempts = state.connections.filter((connection) => !connections.includes(connection));
  const vain = new Set(attempts.map(({ localControlConnectionId }) => localControlConnectionId));
  const sessions = state.tunnels[0]?.sessions ?? [];
  return { node, state, connections, connection: connections[0], vain, sessions };
}

function name(site: Site): string {
  return site === 0 ? "A" : "B";
}

function sameConnection(a: ControlConnectionState, b: ControlConnectionState, findings: Findings): void {
  const idsOfA = [a.localControlConnectionId, a.remoteControlConnectionId];
  findings.same("ids of the connection", idsOfA, [b.remoteControlConnectionId, b.localControlConnectionId]);
  findings.same("initiator", [a.initiator, b.initiator].sort(), [false, true]);
  findings.same("Ns of A and Nr of B", a.channel.nextNs, b.channel.nr);
  findings.same("Ns of B and Nr of A", b.channel.nextNs, a.channel.nr);
}

function sameSession(world: WalkWorld, index: number, up: boolean, [a, b]: OfBoth<Holdings>, findings: Findings): void {
  const [mine, theirs] = [a.sessions[index], b.sessions[index]];
  if (mine === undefined || theirs === undefined) throw new Error(`no session ${index}`);
  const states = up ? ["established", "established"] : ["idle", "idle"];
  findings.same(`states of ${mine.name}`, [mine.state, theirs.state], states);
  const idsOfA = [mine.localSessionId, mine.remoteSessionId];
  findings.same(`ids of ${mine.name}`, idsOfA, [theirs.remoteSessionId, theirs.localSessionId]);
  if (!up) {
    findings.same(`ids of ${mine.name}`, idsOfA, [0, 0]);
    return;
  }
  findings.same(`cookies to A of ${mine.name}`, [...mine.localCookie], [...theirs.remoteCookie]);
  findings.same(`cookies to B of ${mine.name}`, [...theirs.localCookie], [...mine.remoteCookie]);
  const { cookieSize } = world.plan.sessions[index] ?? { cookieSize: [] };
  findings.same(`cookie sizes of ${mine.name}`, [mine.localCookie.length, theirs.localCookie.length], cookieSize);
  for (const { node, sessions, connection } of [a, b]) {
    const session = sessions[index] as SessionState;
    const held = node.datapathSessions.get(session.localSessionId);
    const { remoteSessionId, l2Sublayer } = session;
    const localControlConnectionId = connection?.localControlConnectionId;
    const carried = held && [held.remoteSessionId, held.localControlConnectionId, held.l2Sublayer, held.interfaceName];
    const expected = [remoteSessionId, localControlConnectionId, l2Sublayer, `l2-${session.name}`];
    findings.same(`datapath of ${session.name}`, carried, expected);
  }
}

/** An outgoing call without the circuit that it takes. */
function neverUp(index: number, both: OfBoth<Holdings>, findings: Findings): void {
  for (const { sessions } of both) {
    findings.same(`${sessions[index]?.name} established`, sessions[index]?.state === "established", false);
  }
}

/** Each end knows of the other's circuit how it is, and what errors it has had; frames flow to one that is up. */
function sameCircuits(world: WalkWorld, index: number, both: OfBoth<Holdings>, findings: Findings): void {
  for (const site of SITES) {
    const [mine, theirs] = [both[site].sessions[index], both[site === 0 ? 1 : 0].sessions[index]];
    if (mine === undefined || theirs === undefined) throw new Error(`no session ${index}`);
    const condition = world.condition(site, index);
    const of = `of ${mine.name} at ${name(site)}`;
    findings.same(`status ${of}`, theirs.remoteCircuitStatus & ~CIRCUIT.new, statusOf(condition));
    const other = both[site === 0 ? 1 : 0].node;
    findings.same(`frames to the circuit ${of}`, other.raised.has(theirs.localSessionId), condition === "up");
    const errors = since(mine.circuit.errorsAtBegin ?? mine.circuit.errors, world.errors(site, index));
    findings.same(`errors ${of}`, theirs.remoteErrors, errors);
  }
}

function since(before: CircuitErrorCounts, now: CircuitErrorCounts): CircuitErrorCounts {
  return {
    hardwareOverruns: (now.hardwareOverruns - before.hardwareOverruns) >>> 0,
    bufferOverruns: (now.bufferOverruns - before.bufferOverruns) >>> 0,
    timeouts: (now.timeouts - before.timeouts) >>> 0,
    alignments: (now.alignments - before.alignments) >>> 0,
  };
}

/** Sockets, tunnels and sessions are those of the one connection, and its queues are empty. */
function nothingBeside(
  site: Site,
  { node, connection, vain, sessions }: Holdings,
  settled: readonly SessionState[],
  findings: Findings,
): void {
  const ids = connection === undefined ? [] : [connection.localControlConnectionId];
  const sessionIds = settled.map(({ localSessionId }) => localSessionId).filter((id) => id !== 0);
  const changing = new Set(sessions.filter((one) => !settled.includes(one)).map((one) => one.localSessionId));
  const held = [...node.datapathSessions.keys()].filter((id) => !changing.has(id));
  const sorted = (set: Iterable<number>) => [...set].sort((x, y) => x - y);
  const sockets = [...node.sockets.keys()].filter((id) => !vain.has(id));
  findings.same(`${name(site)} sockets`, sockets, ids);
  findings.same(`${name(site)} tunnels in the datapath`, [...node.tunnels], ids);
  findings.same(`${name(site)} sessions in the datapath`, sorted(held), sorted(sessionIds));
  if (connection === undefined) return;
  const { outstanding, waiting, waitingBehind, early, inFlight } = connection.channel;
  const queued = [outstanding.length, waiting.length, waitingBehind.length, early.length, inFlight];
  findings.same(`${name(site)} messages in queues`, queued, [0, 0, 0, 0, 0]);
  findings.same(`${name(site)} replies in preparation`, connection.repliesInPreparation, 0);
}

/** Timers of what goes on: keepalive, further attempts at what this end wants, and DNS for whoever waits for a name. */
function mayRun(
  world: WalkWorld,
  key: string,
  site: Site,
  initiator: Site,
  { connection, vain, sessions }: Holdings,
): boolean {
  const [kind, what] = key.split(" ");
  switch (kind) {
    case "hello":
    case "activity":
      return what === String(connection?.localControlConnectionId);
    case "resolve":
      // Who opens looks the name up for each attempt, and again while the connection is up.
      return (world.plan.roles[site] === "responder" || connection !== undefined) && world.plan.peers[site] === "name";
    case "attempt":
      return connection === undefined && world.tunnelOpen(site) && world.plan.roles[site] !== "responder";
    case "setup":
    case "call": {
      const index = sessions.findIndex((session) => what === `${TUNNEL}/${session.name}`);
      if (index >= 0 && world.outlook(index, initiator) === "vain") return true;
      if (kind === "setup") return vain.has(Number(what));
      const idle = sessions[index]?.localSessionId === 0;
      return idle && connection !== undefined && world.calls(index, site, initiator);
    }
    default:
      return vain.has(Number(what));
  }
}

/** What a site has that is over: after a shutdown and its echoes everything counts. */
export function leftovers(node: VirtualNode): readonly string[] {
  const findings = new Findings();
  const { state, sessions } = holdings(node, true);
  findings.same("connections", state.connections.length, 0);
  findings.same("timers", state.timers, []);
  findings.same("deadline", node.core.nextDeadline(), undefined);
  const sizes = [node.sockets.size, node.tunnels.size, node.datapathSessions.size, node.raised.size];
  findings.same("sockets, tunnels, sessions, raised sessions", sizes, [0, 0, 0, 0]);
  for (const session of sessions) {
    const { localSessionId, remoteSessionId, localCookie, remoteCookie } = session;
    const traces = [session.state, localSessionId, remoteSessionId, localCookie.length, remoteCookie.length];
    findings.same(session.name, traces, ["idle", 0, 0, 0, 0]);
  }
  return findings.list;
}

/** What holds at any time. */
export function impossible(node: VirtualNode): readonly string[] {
  const findings: string[] = [];
  for (const id of node.raised) if (!node.datapathSessions.has(id)) findings.push(`raised ${id}, which is not there`);
  for (const [id, { localControlConnectionId }] of node.datapathSessions) {
    if (!node.tunnels.has(localControlConnectionId)) findings.push(`session ${id} without its tunnel`);
  }
  const owners = new Set(node.core.save().connections.map((connection) => connection.localControlConnectionId));
  for (const id of node.sockets.keys()) if (!owners.has(id)) findings.push(`socket of connection ${id}, which is gone`);
  for (const id of node.tunnels) if (!owners.has(id)) findings.push(`tunnel of connection ${id}, which is gone`);
  return findings;
}
