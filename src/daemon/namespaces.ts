import { unwatchFile, watchFile } from "node:fs";
import { stat } from "node:fs/promises";
import type { Site } from "../config/site.ts";
import type { Input } from "../control/core.ts";
import { KernelError } from "../kernel/kernel-error.ts";
import { HeldNamespace, inNamespace, netnsPath } from "../kernel/netns.ts";
import { followListen, listenInside } from "./listen.ts";
import type { Listeners } from "./listeners.ts";
import type { Log } from "./log.ts";
import { Surroundings } from "./surroundings.ts";
import { Watches } from "./watches.ts";

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
  readonly #ports: Ports;
  readonly #watched = new Map<string, Namespace>();
  #site: Site;
  #closed = false;

  constructor(site: Site, ports: Ports) {
    this.#site = site;
    this.#ports = ports;
  }

  /** Resolves when all that are there have been entered. */
  async start(): Promise<void> {
    const missing = namespacesOf(this.#site).filter((netns) => !this.#watched.has(netns));
    if (missing.length === 0) return;
    // The first such call begins the threads of Node's pool: before any thread is elsewhere, where they would stay.
    await stat("/");
    // Another configuration may have come meanwhile.
    for (const netns of missing) if (namespacesOf(this.#site).includes(netns)) this.#watch(netns);
  }

  #watch(netns: string): void {
    if (this.#closed || this.#watched.has(netns)) return;
    const namespace = new Namespace(netns, this.#site, this.#ports);
    this.#watched.set(netns, namespace);
    namespace.start();
  }

  /** With another configuration: those that no tunnel lives in any more are left when `left` resolves. */
  async follow(site: Site, left: Promise<void>): Promise<void> {
    this.#site = site;
    const gone = [...this.#watched].filter(([netns]) => !namespacesOf(site).includes(netns));
    for (const [netns, namespace] of this.#watched) if (namespacesOf(site).includes(netns)) namespace.follow(site);
    await this.start();
    await left;
    for (const [netns, namespace] of gone) {
      // It may be wanted again by now.
      if (namespacesOf(this.#site).includes(netns) || this.#watched.get(netns) !== namespace) continue;
      this.#watched.delete(netns);
      this.#ports.listeners.leave(netns);
      await Promise.all([namespace.close(), this.#ports.datapath.leave(netns)]);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#watched.values()].map((each) => each.close()));
  }
}

function namespacesOf({ tunnels }: Pick<Site, "tunnels">): readonly string[] {
  return [...new Set(tunnels.flatMap(({ netns }) => netns ?? []))];
}

/**
 * One of them. It may come, go, and be made anew under the same name, while the old one lives on as long as anybody holds
 * a socket of it: then everything there is given up, so that it can end.
 */
class Namespace {
  readonly #netns: string;
  #site: Site;
  readonly #ports: Ports;
  #held: HeldNamespace | undefined;
  #watches: Watches | undefined;
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

  follow(site: Site): void {
    const before = this.#site;
    this.#site = site;
    if (this.#held === undefined) return;
    this.#guard(() => {
      followListen([before, site], this.#ports.listeners, this.#ports.log, this.#netns);
      this.#watches?.follow(site);
    });
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
      this.#watches = new Watches(this.#site, { core, log, netns, surroundings: watch });
      this.#watches.startSurroundings();
      listenInside(netns, listeners, this.#site, log);
    } catch (error) {
      // It has gone meanwhile, which the next look finds out.
      this.#log("warn", "namespace-missing", error instanceof Error ? error.message : String(error));
    }
    void this.#watches?.startCircuits();
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
    const watches = this.#watches;
    this.#watches = undefined;
    await watches?.close();
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
