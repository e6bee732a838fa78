import type { Site } from "../config/site.ts";
import type { CircuitCondition, CircuitErrorCounts, Input } from "../control/core.ts";
import { LinkMonitor, type LinkMonitorEvents } from "../kernel/link-monitor.ts";
import type { Log } from "./log.ts";

interface Core {
  accept(input: Input): void;
}

function openMonitor(names: readonly string[], events: LinkMonitorEvents, netns?: string): LinkMonitor {
  return new LinkMonitor(names, events, undefined, netns);
}

/**
 * Tells the core of the interfaces that sessions in a network namespace name as their circuits, first of all how they are
 * now. Where they cannot be followed there is one warning, and they count as up.
 */
export async function followCircuits(
  site: Pick<Site, "tunnels">,
  core: Core,
  log: Pick<Log, "write">,
  netns?: string,
  open: typeof openMonitor = openMonitor,
): Promise<LinkMonitor | undefined> {
  const names = circuitsOf(site, netns);
  const place = netns === undefined ? {} : { netns };
  if (names.length === 0) return undefined;
  const warn = (reason: string) => {
    const message = `circuits cannot be followed and count as up (${names.join(", ")}): ${reason}`;
    log.write({ level: "warn", event: "circuits-unknown", message });
  };
  const turn = (interfaceName: string, condition: CircuitCondition) =>
    core.accept({ type: "circuit", interfaceName, ...place, condition });
  try {
    const events: LinkMonitorEvents = {
      condition: turn,
      errors: (interfaceName: string, errors: CircuitErrorCounts) =>
        core.accept({ type: "circuit-errors", interfaceName, ...place, errors }),
      failed(reason) {
        warn(reason);
        // What was down would stay so for ever.
        for (const name of names) turn(name, "up");
      },
    };
    const monitor = open(names, events, netns);
    await monitor.ready();
    return monitor;
  } catch (error) {
    warn(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

/** Each once, in the order of the file. */
export function circuitsOf(site: Pick<Site, "tunnels">, netns: string | undefined): string[] {
  const tunnels = site.tunnels.filter((tunnel) => tunnel.netns === netns);
  const circuits = tunnels.flatMap(({ sessions }) => sessions.flatMap(({ circuit }) => circuit ?? []));
  return [...new Set(circuits)];
}
