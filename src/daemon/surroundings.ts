import type { Site } from "../config/site.ts";
import type { Input } from "../control/core.ts";
import { listAddresses } from "../kernel/addresses.ts";
import { LinkMonitor } from "../kernel/link-monitor.ts";
import { inNamespace } from "../kernel/netns.ts";
import type { SurroundingsSetup } from "../kernel/surroundings-watch.ts";
import type { Log } from "./log.ts";

interface Sockets {
  localAddresses(netns?: string): Iterable<readonly [localControlConnectionId: number, address: string]>;
}

interface Ports {
  readonly core: { accept(input: Input): void };
  readonly sockets: Sockets;
  readonly listeners: { retry(netns?: string): void };
  /** Whose addresses these are; absent: the daemon's own network namespace. */
  readonly netns?: string;
  /** Addresses of the namespace; stands in for the kernel in tests. */
  readonly addresses?: () => ReadonlySet<string>;
}

/** What to do when an address, a route or an interface has come or gone. */
export class Surroundings {
  readonly #ports: Ports;
  readonly #addresses: () => ReadonlySet<string>;
  #known: ReadonlySet<string>;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#addresses = ports.addresses ?? (() => addressesOf(ports.netns));
    this.#known = this.#addresses();
  }

  /** Listeners first: who comes now finds them. */
  changed(): void {
    const { core, sockets, listeners, netns } = this.#ports;
    const before = this.#known;
    this.#known = this.#addresses();
    listeners.retry(netns);
    for (const [localControlConnectionId, address] of [...sockets.localAddresses(netns)]) {
      // One that was never there is bound on purpose (freebind).
      if (!before.has(address) || this.#known.has(address)) continue;
      const reason = `this machine no longer has the address ${address}`;
      core.accept({ type: "address-lost", localControlConnectionId, reason });
    }
    core.accept({ type: "surroundings-changed", netns: netns ?? null });
  }
}

/** Follows a namespace's addresses, routes and interfaces. Where that cannot be done, one warning: attempts take longer. */
export function followSurroundings(
  site: Pick<Site, "tunnels">,
  { changed, policiesChanged }: { changed(): void; policiesChanged(): void },
  log: Pick<Log, "write">,
  netns?: string,
): LinkMonitor | undefined {
  const warn = (reason: string) => {
    const message = `addresses, routes and interfaces cannot be followed, so what fails is only tried again now and then: ${reason}`;
    log.write({ level: "warn", event: "surroundings-unknown", message });
  };
  const ignore = () => undefined;
  const events = { condition: ignore, errors: ignore, failed: warn, surroundings: changed, policies: policiesChanged };
  try {
    return new LinkMonitor([], events, namesOf(site, netns), netns);
  } catch (error) {
    warn(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

/** Interfaces that are waited for, and those that tunnels there make. */
export function namesOf(site: Pick<Site, "tunnels">, netns: string | undefined): SurroundingsSetup {
  const tunnels = site.tunnels.filter((tunnel) => tunnel.netns === netns);
  const sessions = tunnels.flatMap((tunnel) => tunnel.sessions);
  const interfaces = tunnels.map(({ local }) => (local.startsWith("@") ? local.slice(1) : undefined));
  const devices = tunnels.map(({ bindDevice }) => bindDevice);
  const names = [...interfaces, ...devices, ...sessions.map(({ bridge }) => bridge)];
  return {
    awaited: [...new Set(names.filter((name) => name !== undefined))],
    ours: sessions.map(({ interfaceName }) => interfaceName),
    policies: tunnels.some(({ requireIpsec }) => requireIpsec),
  };
}

function addressesOf(netns: string | undefined): ReadonlySet<string> {
  return new Set(inNamespace(netns, listAddresses).map(({ address }) => address));
}
