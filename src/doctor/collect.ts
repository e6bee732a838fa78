import { existsSync, readFileSync, statSync } from "node:fs";
import { release } from "node:os";
import { listSecretFiles } from "../config/secret-paths.ts";
import { L2TP_MODULES, moduleCondition } from "../kernel/module-condition.ts";
import { isLoaded, thisMachine } from "../kernel/modules.ts";
import { probeUserspace } from "../kernel/tap.ts";
import type { DaemonAnswer } from "./daemon.ts";
import type { Facts } from "./diagnose.ts";
import type { FileFacts } from "./files.ts";
import { readFirewall } from "./firewall.ts";
import type { KernelFacts } from "./kernel.ts";
import { askPeers } from "./peer-facts.ts";
import { lookAt, namespacesOf, type PlaceFacts, type PlaceTrouble } from "./place.ts";
import { type Plan, sessionsOf } from "./plan.ts";

export interface Questions {
  readonly plan: Plan;
  /** The configuration file, and what is wrong with it. */
  readonly configuration: FileFacts["configuration"];
  readonly warnings: readonly string[];
  /** Asks the daemon at a socket to show what is up. */
  askDaemon(socket: string): Promise<DaemonAnswer | { readonly error: string }>;
}

/** Looks at the machine once; changes nothing, loads nothing, binds nothing. Never rejects. */
export async function collect({ plan, configuration, warnings, askDaemon }: Questions): Promise<Facts> {
  const socket = plan.lcce.adminSocket;
  const places = new Map(namespacesOf(plan).map((netns) => [netns, lookAt(netns, plan)]));
  const [answer, kernel, firewall, peers] = await Promise.all([
    askDaemon(socket),
    kernelFacts(plan, hasBridge([...places.values()])),
    readFirewall(),
    askPeers(plan),
  ]);
  return {
    files: { configuration, warnings, secrets: secretModes(configuration?.path) },
    daemon: { socket, answer, socketExists: existsSync(socket) },
    kernel,
    places,
    firewall,
    peers,
  };
}

function secretModes(path: string | undefined): Map<string, number | string> {
  const files = path === undefined ? [] : listSecretFiles(path);
  return new Map(files.map((file) => [file, modeOf(file)]));
}

function modeOf(path: string): number | string {
  try {
    return statSync(path).mode;
  } catch (error) {
    return `cannot be looked at: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function hasBridge(places: readonly (PlaceFacts | PlaceTrouble)[]): boolean {
  return places.some((place) => "devices" in place && [...place.devices.values()].some(({ isBridge }) => isBridge));
}

async function kernelFacts(plan: Plan, bridgeSeen: boolean): Promise<KernelFacts> {
  const names = [
    ...L2TP_MODULES,
    ...(plan.tunnels.some(({ encapsulation }) => String(encapsulation) === "ip") ? ["l2tp_ip", "l2tp_ip6"] : []),
    ...(sessionsOf(plan).some(({ session }) => session.bridge !== undefined) ? ["bridge"] : []),
    ...(sessionsOf(plan).some(({ session }) => session.vlan !== undefined) ? ["8021q"] : []),
  ];
  const conditions = await Promise.all(
    names.map(async (name) => [name, await moduleCondition(thisMachine, name)] as const),
  );
  const probe = probeUserspace();
  return {
    release: release(),
    hasL2tp: isLoaded(thisMachine, "l2tp_netlink") ? attempt(() => thisMachine.hasL2tpFamily()) : false,
    modules: new Map(conditions),
    bridgeSeen,
    userspaceFlaw: probe.available ? undefined : probe.reason,
    capabilities: BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(read("/proc/self/status"))?.[1] ?? "0"}`),
  };
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}

function read(path: string): string {
  return attempt(() => readFileSync(path, "utf8")) ?? "";
}
