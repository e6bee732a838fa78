import { readFileSync } from "node:fs";
import { listAddresses } from "../kernel/addresses.ts";
import { listDevices } from "../kernel/devices.ts";
import { KernelError } from "../kernel/kernel-error.ts";
import { interfaceName } from "../kernel/libc.ts";
import { inNamespace } from "../kernel/netns.ts";
import { listRoutes, type RouteFact } from "../kernel/routes.ts";
import type { InterfaceFacts } from "./interfaces.ts";
import type { NetworkFacts } from "./network.ts";
import { type Plan, planWithin, sessionsOf } from "./plan.ts";
import type { PortFacts } from "./ports.ts";
import { countL2tpIpSockets, readSockets } from "./proc-sockets.ts";

/** What was found in one network namespace. */
export interface PlaceFacts {
  readonly ports: Omit<PortFacts, "daemonRuns">;
  readonly devices: InterfaceFacts["devices"];
  /** Files below /proc/sys/net. */
  readonly settings: NetworkFacts["settings"];
  /** Those that the kernel has, or why they are not known; none where the configuration has none. */
  readonly routes: readonly RouteFact[] | { readonly error: string };
}

/** Why a network namespace cannot be looked at; forbidden: that takes root. */
export interface PlaceTrouble {
  readonly error: string;
  readonly forbidden: boolean;
}

/** Looks at a network namespace, `undefined`: this process's own. Returns why it cannot be looked at. */
export function lookAt(netns: string | undefined, plan: Plan): PlaceFacts | PlaceTrouble {
  try {
    // All of it is asked by this very thread.
    return inNamespace(netns, () => ({
      ports: { sockets: readSockets(), l2tpIpSockets: countL2tpIpSockets(), addresses: addressesByInterface() },
      devices: listDevices(),
      settings: readSettings(),
      routes: readRoutes(planWithin(plan, netns)),
    }));
  } catch (error) {
    const forbidden = error instanceof KernelError && ["EPERM", "EACCES"].includes(error.errno);
    return { error: error instanceof Error ? error.message : String(error), forbidden };
  }
}

/** The namespaces that tunnels are in, the own one first. */
export function namespacesOf({ tunnels }: Plan): readonly (string | undefined)[] {
  return [...new Set([undefined, ...tunnels.map(({ netns }) => netns)])];
}

/** Those that are up and those that are not, IPv6 link-local ones with their interface. */
export function addressesByInterface(): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const { index, address } of listAddresses()) {
    const name = interfaceName(index) ?? "";
    found.set(name, [...(found.get(name) ?? []), address]);
  }
  return found;
}

/** A router may have very many, so they are only asked for where they matter. */
function readRoutes(plan: Plan): PlaceFacts["routes"] {
  if (sessionsOf(plan).every(({ session }) => session.routes.length === 0)) return [];
  try {
    return listRoutes();
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

function readSettings(): Map<string, string> {
  const names = [
    "ipv4/ip_forward",
    "ipv6/conf/all/forwarding",
    "bridge/bridge-nf-call-iptables",
    ...["all", ...listDevices().keys()].map((device) => `ipv4/conf/${device}/rp_filter`),
  ];
  const settings = new Map<string, string>();
  for (const name of names) {
    const value = read(`/proc/sys/net/${name}`);
    if (value !== "") settings.set(name, value);
  }
  return settings;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}
