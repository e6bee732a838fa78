import type { Site } from "../config/site.ts";
import type { Input } from "../control/core.ts";
import { listAddresses } from "../kernel/addresses.ts";
import { LinkMonitor } from "../kernel/link-monitor.ts";
import type { SurroundingsSetup } from "../kernel/surroundings-watch.ts";
import type { Log } from "./log.ts";

interface Sockets {
  localAddresses(): Iterable<readonly [localControlConnectionId: number, address: string]>;
}

interface Ports {
  readonly core: { accept(input: Input): void };
  readonly sockets: Sockets;
  readonly listeners: { retry(): void };
  /** Addresses of the machine; stands in for the kernel in tests. */
  readonly addresses?: () => ReadonlySet<string>;
}

/** What to do when an address, a route or an interface has come or gone. */
export class Surroundings {
  readonly #ports: Ports;
  readonly #addresses: () => ReadonlySet<string>;
  #known: ReadonlySet<string>;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#addresses = ports.addresses ?? machineAddresses;
    this.#known = this.#addresses();
  }

  /** Listeners first: who comes now finds them. */
  changed(): void {
    const { core, sockets, listeners } = this.#ports;
    const before = this.#known;
    this.#known = this.#addresses();
    listeners.retry();
    for (const [localControlConnectionId, address] of [...sockets.localAddresses()]) {
      // One that was never there is bound on purpose (freebind).
      if (!before.has(address) || this.#known.has(address)) continue;
      const reason = `this machine no longer has the address ${address}`;
      core.accept({ type: "address-lost", localControlConnectionId, reason });
    }
    core.accept({ type: "surroundings-changed" });
  }
}

/** Follows the machine's addresses, routes and interfaces. Where that cannot be done, one warning: attempts take longer. */
export function followSurroundings(
  site: Pick<Site, "tunnels">,
  surroundings: Surroundings,
  log: Pick<Log, "write">,
): LinkMonitor | undefined {
  const warn = (reason: string) => {
    const message = `addresses, routes and interfaces cannot be followed, so what fails is only tried again now and then: ${reason}`;
    log.write({ level: "warn", event: "surroundings-unknown", message });
  };
  const ignore = () => undefined;
  const events = { condition: ignore, errors: ignore, failed: warn, surroundings: () => surroundings.changed() };
  try {
    return new LinkMonitor([], events, namesOf(site));
  } catch (error) {
    warn(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

function namesOf({ tunnels }: Pick<Site, "tunnels">): SurroundingsSetup {
  const sessions = tunnels.flatMap((tunnel) => tunnel.sessions);
  const interfaces = tunnels.map(({ local }) => (local.startsWith("@") ? local.slice(1) : undefined));
  const devices = tunnels.map(({ bindDevice }) => bindDevice);
  const names = [...interfaces, ...devices, ...sessions.map(({ bridge }) => bridge)];
  return {
    awaited: [...new Set(names.filter((name) => name !== undefined))],
    ours: sessions.map(({ interfaceName }) => interfaceName),
  };
}

function machineAddresses(): ReadonlySet<string> {
  return new Set(listAddresses().map(({ address }) => address));
}
