import { unwatchFile, watchFile } from "node:fs";
import { stat } from "node:fs/promises";
import type { Site } from "../config/site.ts";
import type { Input } from "../control/core.ts";
import { KernelError } from "../kernel/kernel-error.ts";
import type { LinkMonitor } from "../kernel/link-monitor.ts";
import { HeldNamespace, inNamespace, netnsPath } from "../kernel/netns.ts";
import { followCircuits } from "./circuits.ts";
import { listenInside } from "./listen.ts";
import type { Listeners } from "./listeners.ts";
import type { Log } from "./log.ts";
import { followSurroundings, Surroundings } from "./surroundings.ts";

/** Milliseconds from one look at a namespace's file to the next. */
const LOOK_INTERVAL_MS = 1_000;

interface Ports {
  readonly core: { accept(input: Input): void };
  readonly sockets: { localAddresses(netns?: string): Iterable<readonly [number, string]> };
  readonly listeners: Listeners;
  /** Lets go of everything that it has in a namespace. */
  readonly datapath: { leave(netns: string): Promise<void> };
  /** IPsec there. */
  readonly protection: { begin(netns: string): void; changed(netns: string): void };
  readonly log: Pick<Log, "write">;
}

/** The network namespaces that tunnels live in, each watched as long as the daemon runs. */
export class Namespaces {
  readonly #watched: readonly Namespace[];

  constructor(site: Site, ports: Ports) {
    const names = new Set(site.tunnels.flatMap(({ netns }) => netns ?? []));
    this.#watched = Array.from(names, (netns) => new Namespace(netns, site, ports));
  }

  /** Resolves when all that are there have been entered. */
  async start(): Promise<void> {
    if (this.#watched.length === 0) return;
    // The first such call begins the threads of Node's pool: before any thread is elsewhere, where they would stay.
    await stat("/");
    for (const each of this.#watched) each.start();
  }

  async close(): Promise<void> {
    await Promise.all(this.#watched.map((each) => each.close()));
  }
}

/**
 * One of them. It may come, go, and be made anew under the same name, while the old one lives on as long as anybody holds
 * a socket of it: then everything there is given up, so that it can end.
 */
class Namespace {
  readonly #netns: string;
  readonly #site: Site;
  readonly #ports: Ports;
  #held: HeldNamespace | undefined;
  #monitors: (LinkMonitor | undefined | Promise<LinkMonitor | undefined>)[] = [];
  /** Error number of why it was not there when it was looked at last. */
  #flaw: string | undefined;
  #leaving: Promise<void> | undefined;
  #closed = false;

  constructor(netns: string, site: Site, ports: Ports) {
    this.#netns = netns;
    this.#site = site;
    this.#ports = ports;
  }

  start(): void {
    this.#look();
    watchFile(netnsPath(this.#netns), { interval: LOOK_INTERVAL_MS, persistent: false }, this.#look);
  }

  async close(): Promise<void> {
    this.#closed = true;
    unwatchFile(netnsPath(this.#netns), this.#look);
    await this.#leaving;
    await this.#closeMonitors();
    this.#held?.release();
  }

  readonly #look = (): void => {
    if (this.#closed || this.#leaving !== undefined) return;
    if (this.#held === undefined) {
      this.#find();
      return;
    }
    const flaw = this.#held.flaw();
    if (flaw !== undefined) this.#lose(flaw, this.#held);
  };

  #find(): void {
    try {
      this.#held = this.#enter();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#miss(error.message, error.errno);
      return;
    }
    this.#flaw = undefined;
    this.#log("info", "namespace-found", `network namespace ${this.#netns} is there`);
    this.#begin();
  }

  /** Throws a `KernelError` that says why that cannot be. */
  #enter(): HeldNamespace {
    const held = new HeldNamespace(this.#netns);
    try {
      inNamespace(this.#netns, () => undefined);
      return held;
    } catch (error) {
      held.release();
      throw error;
    }
  }

  /** The same once more is no news; nor that what was lost does not exist. */
  #miss(reason: string, errno: string): void {
    if (this.#flaw === errno) return;
    this.#flaw = errno;
    this.#log("warn", "namespace-missing", reason);
    this.#ports.core.accept({ type: "namespace-lost", netns: this.#netns, reason });
  }

  #begin(): void {
    const { core, sockets, listeners, protection, log } = this.#ports;
    const netns = this.#netns;
    try {
      const surroundings = new Surroundings({ core, sockets, listeners, netns });
      protection.begin(netns);
      const watch = {
        changed: () => this.#guard(() => surroundings.changed()),
        policiesChanged: () => this.#guard(() => protection.changed(netns)),
      };
      this.#monitors.push(followSurroundings(this.#site, watch, log, netns));
      listenInside(netns, listeners, this.#site, log);
    } catch (error) {
      // It has gone meanwhile, which the next look finds out.
      this.#log("warn", "namespace-missing", error instanceof Error ? error.message : String(error));
    }
    this.#monitors.push(followCircuits(this.#site, core, log, netns));
    core.accept({ type: "namespace-found", netns });
  }

  /** What is asked in a namespace that has gone a moment ago is not answered. */
  #guard(act: () => void): void {
    try {
      act();
    } catch {
      this.#look();
    }
  }

  #lose(reason: string, held: HeldNamespace): void {
    this.#held = undefined;
    this.#miss(reason, "ENOENT");
    this.#forgetConditions();
    this.#ports.listeners.leave(this.#netns);
    this.#leaving = this.#leave(held);
  }

  async #leave(held: HeldNamespace): Promise<void> {
    await Promise.all([this.#closeMonitors(), this.#ports.datapath.leave(this.#netns)]);
    held.release();
    this.#leaving = undefined;
    // It may be back.
    this.#look();
  }

  async #closeMonitors(): Promise<void> {
    const monitors = await Promise.all(this.#monitors.splice(0));
    await Promise.all(monitors.map((monitor) => monitor?.close()));
  }

  /** Of interfaces that come with the next namespace nothing is told while they are up. */
  #forgetConditions(): void {
    const netns = this.#netns;
    const sessions = this.#site.tunnels.flatMap((tunnel) => (tunnel.netns === netns ? tunnel.sessions : []));
    for (const { circuit, interfaceName } of sessions) {
      this.#ports.core.accept({ type: "circuit", interfaceName: circuit ?? interfaceName, netns, condition: "up" });
    }
  }

  #log(level: "info" | "warn", event: string, message: string): void {
    this.#ports.log.write({ level, event, message, details: { netns: this.#netns } });
  }
}
