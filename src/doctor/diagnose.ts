import { checkDaemon, type DaemonFacts } from "./daemon.ts";
import { checkFiles, type FileFacts } from "./files.ts";
import { type Finding, finding, ok } from "./finding.ts";
import { checkInterfaces } from "./interfaces.ts";
import { checkCapabilities, checkKernel, type KernelFacts } from "./kernel.ts";
import { checkNetwork, type FirewallFacts } from "./network.ts";
import { checkPeers, type PeerFacts } from "./peers.ts";
import type { PlaceFacts, PlaceTrouble } from "./place.ts";
import { type Plan, planWithin } from "./plan.ts";
import { checkPorts } from "./ports.ts";
import { checkRoutes } from "./routes.ts";

/** All that was looked at on the machine, once. */
export interface Facts {
  readonly files: FileFacts;
  readonly daemon: DaemonFacts;
  readonly kernel: KernelFacts;
  /** By network namespace, the own one first; or why it cannot be looked at. */
  readonly places: ReadonlyMap<string | undefined, PlaceFacts | PlaceTrouble>;
  /** Of the own one. */
  readonly firewall: readonly FirewallFacts[];
  /** By the name of the tunnel. */
  readonly peers: ReadonlyMap<string, PeerFacts>;
}

/** Every check, in the order in which things have to work. A pure function: tests make up the facts. */
export function diagnose(facts: Facts, plan: Plan): Finding[] {
  return [
    ...checkFiles(facts.files),
    ...checkDaemon(facts.daemon, plan),
    ...checkKernel(facts.kernel, plan),
    ...checkCapabilities(facts.kernel, plan),
    ...[...facts.places].flatMap(([netns, place]) => checkPlace(netns, place, facts, plan)),
    ...checkPeers(facts.peers, plan, (netns) => devicesWithin(facts.places.get(netns))),
  ];
}

function devicesWithin(place: PlaceFacts | PlaceTrouble | undefined): PlaceFacts["devices"] {
  return place !== undefined && "devices" in place ? place.devices : new Map();
}

function checkPlace(netns: string | undefined, place: PlaceFacts | PlaceTrouble, facts: Facts, plan: Plan): Finding[] {
  const check = netns === undefined ? "this network namespace" : `network namespace ${netns}`;
  if ("error" in place) {
    const asRoot = netns === undefined || place.forbidden;
    const make = netns?.startsWith("/") ? "start what makes it" : `make it: ip netns add ${netns}`;
    const advice = asRoot ? "run l2tpv3-lcc doctor as root" : `${make}; the daemon waits for it`;
    return [finding(check, "warning", place.error, advice)];
  }
  const found = checkWithin(netns, place, facts, planWithin(plan, netns));
  if (netns === undefined) return found;
  return [ok(check, "there"), ...found.map((each) => ({ ...each, check: `${each.check} in netns ${netns}` }))];
}

function checkWithin(netns: string | undefined, place: PlaceFacts, facts: Facts, plan: Plan): Finding[] {
  const { answer } = facts.daemon;
  const interfaces = "error" in answer ? [] : answer.interfaces.filter((each) => (each.netns ?? undefined) === netns);
  const ours = interfaces.map(({ name }) => name);
  const firewall = netns === undefined ? facts.firewall : { netns };
  const devices = devicesToPeers(facts.peers, plan);
  return [
    ...checkPorts({ ...place.ports, daemonRuns: !("error" in answer) }, plan),
    ...checkInterfaces({ devices: place.devices, ours }, plan),
    ...checkRoutes(place.routes, plan),
    ...checkNetwork({ settings: place.settings, devices, firewall }, plan),
  ];
}

/** Interfaces that the routes to the peers lead by. */
function devicesToPeers(peers: Facts["peers"], { tunnels }: Plan): string[] {
  const devices = tunnels.flatMap(({ name }) => {
    const route = peers.get(name)?.route;
    return route !== undefined && "device" in route ? (route.device ?? []) : [];
  });
  return [...new Set(devices)].filter((device) => device !== "lo");
}
