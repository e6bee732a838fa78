import { isOpenedTo, listenWithin } from "../config/listen.ts";
import type { ListenAddress, Site } from "../config/site.ts";
import type { LocalEndpoint } from "../control/core.ts";
import { canonicalAddress, encapsulationOf, familyOf, familyOfLocal, isAnyAddress } from "../control/endpoint.ts";
import { KernelError } from "../kernel/kernel-error.ts";
import { type Listeners, listenText } from "./listeners.ts";
import type { Log } from "./log.ts";

/**
 * Opens every listener of the site in the daemon's own network namespace, after loading the kernel modules that its sockets
 * will need. Throws an `Error` that says what is missing.
 */
export async function listenAt(listeners: Listeners, site: Site, log: Log): Promise<void> {
  await provideModules(site, log);
  for (const local of listenWithin(site, undefined)) listenUnlessLacking(listeners, local, log);
  for (const local of atDevices(site, undefined)) listenBeside(listeners, local, log);
}

/** The same for another namespace: what goes wrong there is said, and tried again. */
export function listenInside(netns: string, listeners: Listeners, site: Site, log: Pick<Log, "write">): void {
  for (const local of wantedIn(netns, site)) listenBeside(listeners, local, log);
}

/** What the configuration wants no more is closed first: over IP two listeners may exclude each other. */
export function followListen(
  [before, after]: readonly [Site, Site],
  listeners: Listeners,
  log: Pick<Log, "write">,
  netns?: string,
): void {
  const [former, wanted] = [before, after].map((site) => wantedIn(netns, site)) as [Locals, Locals];
  for (const local of without(former, wanted)) listeners.unlisten(local);
  for (const local of without(wanted, former)) {
    listenBeside(listeners, local, log);
    if (!listeners.isOpen(local)) continue;
    const message = `listening at ${listenText(local)}, as the configuration says now`;
    log.write({ level: "info", event: "listener-opened", message });
  }
}

type Locals = readonly LocalEndpoint[];

function without(some: Locals, others: Locals): Locals {
  const names = new Set(others.map(listenText));
  return some.filter((local) => !names.has(listenText(local)));
}

function wantedIn(netns: string | undefined, site: Site): Locals {
  const unbound = listenWithin(site, netns).map((local) => (netns === undefined ? local : { ...local, netns }));
  return [...unbound, ...atDevices(site, netns)];
}

/** Loads the kernel modules that another configuration needs, if the former did not. Rejects with an `Error` that says what is missing. */
export async function provideModulesFor(
  [before, after]: readonly [Site, Site],
  log: Pick<Log, "write">,
): Promise<void> {
  if (!isOverIp(before) && isOverIp(after)) await provideModules(after, log);
}

function isOverIp({ lcce, tunnels }: Site): boolean {
  return (
    tunnels.some(({ encapsulation }) => encapsulation === "ip") ||
    lcce.listen.some((local) => encapsulationOf(local) === "ip")
  );
}

/**
 * Listeners for tunnels that are bound to a device. What comes by a VRF reaches a UDP socket that is bound to none only
 * with net.ipv4.udp_l3mdev_accept = 1, and an answer would not go out by it. Over IP one listener takes everything.
 */
function atDevices(site: Site, netns: string | undefined): readonly LocalEndpoint[] {
  const bound = site.tunnels.filter((tunnel) => tunnel.netns === netns && isOpenedTo(tunnel));
  const devices = new Set(
    bound.flatMap(({ encapsulation, bindDevice }) => (encapsulation === "udp" ? (bindDevice ?? []) : [])),
  );
  const overUdp = listenWithin(site, netns).filter((local) => encapsulationOf(local) === "udp");
  return [...devices].flatMap((device) => overUdp.map((local) => ({ ...local, netns, device })));
}

function listenBeside(listeners: Listeners, local: LocalEndpoint, log: Pick<Log, "write">): void {
  try {
    listenUnlessLacking(listeners, local, log);
  } catch (error) {
    listeners.putOff(local, error);
  }
}

function listenUnlessLacking(listeners: Listeners, local: LocalEndpoint, log: Pick<Log, "write">): void {
  try {
    listeners.listen(local);
  } catch (error) {
    if (!isLacking(error, local)) throw error;
    const message = `nobody can come by ${listenText(local)}: ${error.message}`;
    log.write({ level: "info", event: "not-listening", message });
  }
}

/** Of machines that have nothing of an IP version: "any address" stands in their configurations too, and in the default. */
const LACKING: ReadonlySet<string> = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT"]);

function isLacking(error: unknown, { address }: ListenAddress): error is KernelError {
  return error instanceof KernelError && isAnyAddress(address) && LACKING.has(error.errno);
}

async function provideModules({ lcce, tunnels }: Site, log: Pick<Log, "write">): Promise<void> {
  const overIp = tunnels.filter(({ encapsulation }) => encapsulation === "ip");
  const listeners = lcce.listen.filter((local) => encapsulationOf(local) === "ip");
  if (overIp.length + listeners.length === 0) return;
  const { probeL2tpOverIp } = await import("../kernel/modules.ts");
  const named = overIp.map(({ peer = "", local }) =>
    familyOfLocal(local) === undefined ? canonicalAddress(peer) : local,
  );
  const addresses = [
    ...named,
    ...listeners.filter(({ address }) => !isAnyAddress(address)).map((each) => each.address),
  ];
  const needed = new Set(addresses.flatMap((address) => (address === undefined ? [] : [familyOf(address)])));
  const reasons: string[] = [];
  for (const family of [4, 6] as const) {
    const probe = await probeL2tpOverIp(family);
    if (probe.available) continue;
    if (needed.has(family)) throw new Error(`L2TP over IP cannot be used: ${probe.reason}`);
    reasons.push(probe.reason);
  }
  // Peers by name and listeners for any address may do with either IP version, but not with none.
  if (reasons.length === 2) throw new Error(`L2TP over IP cannot be used: ${reasons.join("; ")}`);
  for (const message of reasons) log.write({ level: "debug", event: "no-l2tp-over-ip", message });
}
