import type { Site } from "../config/site.ts";
import type { Input } from "../control/core.ts";
import { same } from "../control/same.ts";
import type { LinkMonitor } from "../kernel/link-monitor.ts";
import { circuitsOf, followCircuits } from "./circuits.ts";
import type { Log } from "./log.ts";
import { followSurroundings, namesOf, type Surroundings } from "./surroundings.ts";

interface Ports {
  readonly core: { accept(input: Input): void };
  readonly log: Pick<Log, "write">;
  /** Whose interfaces these are; absent: the daemon's own network namespace. */
  readonly netns?: string | undefined;
  readonly surroundings: Pick<Surroundings, "changed"> & { policiesChanged(): void };
}

/**
 * What is followed of a network namespace for the tunnels there: interfaces that they wait for, and attachment circuits. With
 * another configuration the successors of what follows are there before it ends, so that nothing is missed.
 */
export class Watches {
  readonly #ports: Ports;
  #site: Pick<Site, "tunnels">;
  #surroundings: LinkMonitor | undefined;
  #circuits: Promise<LinkMonitor | undefined> = Promise.resolve(undefined);
  #closed = false;

  constructor(site: Pick<Site, "tunnels">, ports: Ports) {
    this.#site = site;
    this.#ports = ports;
  }

  /** First, so that what comes while the rest begins is not missed. */
  startSurroundings(): void {
    const { surroundings, log, netns } = this.#ports;
    this.#surroundings = followSurroundings(this.#site, surroundings, log, netns);
  }

  /** Resolves when the core has been told of circuits that are not up. */
  async startCircuits(): Promise<void> {
    const { core, log, netns } = this.#ports;
    this.#circuits = followCircuits(this.#site, core, log, netns);
    await this.#circuits;
  }

  follow(site: Pick<Site, "tunnels">): void {
    const { netns, surroundings, log } = this.#ports;
    const before = this.#site;
    this.#site = site;
    if (this.#closed) return;
    if (!same(namesOf(before, netns), namesOf(site, netns))) {
      const former = this.#surroundings;
      this.#surroundings = followSurroundings(site, surroundings, log, netns);
      void former?.close();
    }
    if (!same(circuitsOf(before, netns), circuitsOf(site, netns))) {
      this.#circuits = this.#succeedCircuits(site, this.#circuits);
    }
  }

  /** Of circuits that are up a monitor says nothing: but the former one may have said that they are not. */
  async #succeedCircuits(
    site: Pick<Site, "tunnels">,
    former: Promise<LinkMonitor | undefined>,
  ): Promise<LinkMonitor | undefined> {
    const { core, log, netns } = this.#ports;
    const ended = await former;
    const told = new Set<string>();
    const heard = (input: Input) => {
      if (input.type === "circuit") told.add(input.interfaceName);
      core.accept(input);
    };
    const monitor = await followCircuits(site, { accept: heard }, log, netns);
    await ended?.close();
    const place = netns === undefined ? {} : { netns };
    for (const interfaceName of circuitsOf(site, netns)) {
      if (!told.has(interfaceName)) core.accept({ type: "circuit", interfaceName, ...place, condition: "up" });
    }
    return monitor;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const circuits = await this.#circuits.catch(() => undefined);
    await Promise.all([this.#surroundings?.close(), circuits?.close()]);
  }
}
