import type { AnyTunnel } from "./any-tunnel.ts";
import { isAnew, tunnelChanges } from "./changes.ts";
import type { TunnelConfiguration } from "./configuration.ts";
import type { Instant } from "./core.ts";
import { because, STOPCCN } from "./result-codes.ts";
import { Session } from "./session.ts";
import type { CircuitState } from "./session-state.ts";
import { succeed } from "./session-state.ts";
import { CHANGED } from "./session-table.ts";
import { StaticTunnel } from "./static-tunnel.ts";
import { Tunnel } from "./tunnel.ts";
import { type SavedTunnel, succeedTunnel } from "./tunnel-state.ts";
import type { Turn } from "./turn.ts";

type Tunnels = ReadonlyMap<string, AnyTunnel>;

export function makeTunnel(configuration: TunnelConfiguration, now: Instant, saved?: SavedTunnel): AnyTunnel {
  const numbers = configuration.static;
  if (numbers === undefined) return new Tunnel(configuration, now, saved);
  return new StaticTunnel(configuration, numbers, now, saved);
}

/**
 * Makes of the tunnels those of another configuration, in its order. First everything ends that is to end: names of devices
 * are free then. `leaving` takes each control connection of a tunnel that is no more, which still has to say goodbye.
 */
export function reconfigure(
  tunnels: Tunnels,
  configurations: readonly TunnelConfiguration[],
  leaving: Map<number, AnyTunnel>,
  turn: Turn,
): Map<string, AnyTunnel> {
  const wanted = new Map(configurations.map((configuration) => [configuration.name, configuration]));
  const circuits = knownCircuits(tunnels);
  for (const tunnel of tunnels.values()) giveUp(tunnel, wanted.get(tunnel.state.name), leaving, turn);
  const followed = new Map(
    configurations.map((configuration) => [configuration.name, follow(tunnels, configuration, leaving, turn)]),
  );
  for (const tunnel of followed.values()) tellCircuits(tunnel, circuits, turn);
  // Those that nothing is the matter with have nothing to attempt.
  for (const [name, tunnel] of followed) if (tunnels.get(name) !== tunnel) tunnel.attempt(turn);
  return followed;
}

function giveUp(
  tunnel: AnyTunnel,
  wanted: TunnelConfiguration | undefined,
  leaving: Map<number, AnyTunnel>,
  turn: Turn,
): void {
  if (wanted !== undefined && goesOn(tunnel, wanted)) {
    tunnel.giveUp(wanted, turn);
    return;
  }
  const { name, closed } = tunnel.state;
  const reason = wanted === undefined ? "removed from the configuration" : CHANGED;
  turn.log("info", "tunnel-given-up", `tunnel is closed: ${reason}`, { tunnel: name });
  for (const session of tunnel.sessions.values()) session.stopCalling(turn);
  tunnel.close(because(STOPCCN.generalClear, reason), turn);
  tunnel.state.closed = closed;
  for (const connection of tunnel.connections(turn)) leaving.set(connection.id, tunnel);
}

function goesOn(tunnel: AnyTunnel, wanted: TunnelConfiguration): boolean {
  return !isAnew(tunnelChanges(tunnel.configuration, wanted));
}

function follow(
  tunnels: Tunnels,
  configuration: TunnelConfiguration,
  leaving: Map<number, AnyTunnel>,
  turn: Turn,
): AnyTunnel {
  const before = tunnels.get(configuration.name);
  if (before !== undefined && goesOn(before, configuration)) {
    before.follow(configuration, turn);
    return before;
  }
  if (before === undefined) return makeTunnel(configuration, turn.now);
  const tunnel = makeTunnel(configuration, turn.now, {
    state: succeedTunnel(before.state, configuration, turn.now),
    sessions: configuration.sessions.map((each) => succeed(before.sessions.get(each.name)?.state, each, turn.now)),
  });
  // A successor between the same two endpoints takes their sockets over.
  if (tunnel instanceof Tunnel) {
    for (const connection of before.connections(turn)) {
      leaving.delete(connection.id);
      tunnel.adopt(connection);
    }
  }
  return tunnel;
}

type KnownCircuit = Pick<CircuitState, "condition" | "errors">;

/** What the machine has told of attachment circuits: it does not tell it again to those who come. */
function knownCircuits(tunnels: Tunnels): ReadonlyMap<string, KnownCircuit> {
  const known = new Map<string, KnownCircuit>();
  for (const { configuration, sessions } of tunnels.values()) {
    for (const session of sessions.values()) {
      const { condition, errors } = session.state.circuit;
      if (session instanceof Session) known.set(keyOf(configuration, session), { condition, errors });
    }
  }
  return known;
}

/** Nothing is told of an interface that has been up since it was asked for. */
function tellCircuits(tunnel: AnyTunnel, circuits: ReadonlyMap<string, KnownCircuit>, turn: Turn): void {
  const live = tunnel.live(turn);
  for (const session of tunnel.sessions.values()) {
    if (!(session instanceof Session)) continue;
    const known = circuits.get(keyOf(tunnel.configuration, session));
    const condition = known?.condition ?? "up";
    const { circuit } = session.state;
    if (condition !== circuit.condition) session.circuitChanged(condition, live, turn);
    if (known === undefined) continue;
    circuit.errors = known.errors;
    circuit.errorsAtBegin ??= known.errors;
  }
}

function keyOf({ netns = "" }: TunnelConfiguration, { configuration }: Session): string {
  return `${configuration.circuit ?? configuration.interfaceName} ${netns}`;
}
