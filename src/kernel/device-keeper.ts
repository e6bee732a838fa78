import type { DeviceNotice, SessionRequest } from "./datapath.ts";
import type { DeviceNews } from "./device-news.ts";
import { type Link, type LinkAnswer, type LinkCall, RT_TABLE_MAIN } from "./links.ts";
import { routeListing } from "./refusals.ts";

/** What the device of a session has to be, for as long as the session lasts. */
export type KeptDevice = Pick<
  SessionRequest,
  "localSessionId" | "interfaceName" | "bridge" | "isolated" | "addresses" | "routes"
>;

export interface DeviceKeeperPorts {
  links(calls: readonly LinkCall[]): readonly LinkAnswer[];
  /** Milliseconds, monotonic. */
  now(): number;
  /** The device is gone for good. It is kept no longer. */
  lost(localSessionId: number, reason: string): void;
  /** "down": somebody set the device down, or its bridge is gone; "up": no longer. */
  port(interfaceName: string, condition: "up" | "down"): void;
  notice(notice: DeviceNotice): void;
  /** Routes have to be heard of from now on. */
  listenToRoutes(): void;
}

interface Kept {
  device: KeptDevice;
  /** The device's number; 0: not heard yet. */
  index: number;
  master: number;
  /** Frames are to flow, which is when addresses and routes have to be there. */
  raised: boolean;
  up: boolean;
  /** When it has to be looked at; infinity: nothing makes us doubt it. */
  checkAt: number;
  /** When it was put right last. */
  restoredAt: number;
  /** Those of its routes whose place another's has, as was told. */
  taken: readonly string[];
}

const RECONCILE_INTERVAL_MS = 60_000;
/** Somebody who insists is answered no more often. */
const RESTORE_INTERVAL_MS = 1_000;
const CHECKS_AT_ONCE = 32;
const NOT_ANSWERED: LinkAnswer = { errno: "EIO", extendedAck: "", link: undefined };

/**
 * Devices that others interfere with. What the kernel announces only raises doubts: then the kernel is asked how the
 * device is, so that our own doings are no news, a lost announcement does no harm, and a look at all of them once a
 * minute is the same thing. Name, bridge port, addresses and routes are put back; a device that is gone is lost.
 */
export class DeviceKeeper {
  readonly #ports: DeviceKeeperPorts;
  /** By local Session ID. */
  readonly #kept = new Map<number, Kept>();
  readonly #byIndex = new Map<number, Kept>();
  readonly #byName = new Map<string, Kept>();
  /** Names of devices of which it was told that they are down. */
  readonly #down = new Set<string>();
  #reconcileAt: number;

  constructor(ports: DeviceKeeperPorts) {
    this.#ports = ports;
    this.#reconcileAt = ports.now() + RECONCILE_INTERVAL_MS;
  }

  /** It has just been made, and put into its bridge. */
  added(device: KeptDevice): void {
    const kept: Kept = {
      device,
      index: 0,
      master: 0,
      raised: false,
      up: false,
      checkAt: Number.POSITIVE_INFINITY,
      restoredAt: Number.NEGATIVE_INFINITY,
      taken: [],
    };
    this.#kept.set(device.localSessionId, kept);
    this.#byName.set(device.interfaceName, kept);
    if (device.routes.length > 0) this.#ports.listenToRoutes();
    this.#tell(kept, "up", "");
  }

  /** It has been given, or is to be given, other settings. */
  changed(device: KeptDevice): void {
    const kept = this.#kept.get(device.localSessionId);
    if (kept === undefined) return;
    kept.device = device;
    if (device.routes.length > 0) this.#ports.listenToRoutes();
    // It may have been missing a bridge that it needs no more.
    this.#doubt(kept);
  }

  /** We remove it, or it is lost: what becomes of it is no news. */
  removed(localSessionId: number): void {
    const kept = this.#kept.get(localSessionId);
    if (kept === undefined) return;
    this.#kept.delete(localSessionId);
    if (this.#byIndex.get(kept.index) === kept) this.#byIndex.delete(kept.index);
    if (this.#byName.get(kept.device.interfaceName) === kept) this.#byName.delete(kept.device.interfaceName);
  }

  /** We have set it up or down, and up with its addresses and routes. */
  switched(localSessionId: number, up: boolean): void {
    const kept = this.#kept.get(localSessionId);
    if (kept === undefined) return;
    kept.raised = up;
    kept.up = up;
    if (up) this.#tell(kept, "up", "");
  }

  take(news: DeviceNews): void {
    const kept = this.#byIndex.get(news.index);
    if (news.type === "link") this.#hear(news, kept);
    else if (kept === undefined) return;
    else if (news.type === "bereft") this.#doubt(kept);
    else this.#lose(kept, "someone removed it or moved it to another network namespace");
  }

  /** Announcements were lost, or a minute is over: whatever is kept is looked at. */
  reconcile(): void {
    this.#reconcileAt = this.#ports.now() + RECONCILE_INTERVAL_MS;
    for (const kept of this.#kept.values()) this.#doubt(kept);
  }

  /** Looks at some of those in doubt. Returns in how many milliseconds it wants to be called again. */
  step(): number {
    const now = this.#ports.now();
    if (now >= this.#reconcileAt) this.reconcile();
    let next = this.#reconcileAt;
    let checks = 0;
    for (const kept of this.#kept.values()) {
      if (kept.checkAt <= now && checks++ < CHECKS_AT_ONCE) this.#check(kept);
      next = Math.min(next, kept.checkAt);
    }
    return Math.max(0, next - now);
  }

  #hear(news: Extract<DeviceNews, { readonly type: "link" }>, known: Kept | undefined): void {
    this.#hearOfBridge(news.name);
    const kept = known ?? this.#byName.get(news.name);
    if (kept === undefined) return;
    if (known === undefined) {
      // Its number is not known yet, and the news may be of one that had the name before: the kernel knows.
      if (kept.index === 0) this.#doubt(kept);
      return;
    }
    const { device, master, up } = kept;
    // While it is being made its bridge comes last.
    const left = master !== 0 && news.master !== master && device.bridge !== undefined;
    if (news.name !== device.interfaceName || left || news.up !== up) this.#doubt(kept);
    kept.master = news.master;
  }

  /** A bridge that was missed may be back. */
  #hearOfBridge(name: string): void {
    if (this.#down.size === 0) return;
    for (const kept of this.#kept.values()) {
      if (kept.device.bridge === name && this.#down.has(kept.device.interfaceName)) this.#doubt(kept);
    }
  }

  #doubt(kept: Kept): void {
    kept.checkAt = Math.min(kept.checkAt, Math.max(this.#ports.now(), kept.restoredAt + RESTORE_INTERVAL_MS));
  }

  #check(kept: Kept): void {
    kept.checkAt = Number.POSITIVE_INFINITY;
    const { interfaceName } = kept.device;
    const call: LinkCall =
      kept.index === 0
        ? { command: "RTM_GETLINK", name: interfaceName }
        : { command: "RTM_GETLINK", name: "", index: kept.index };
    const { errno, link } = this.#ask(call);
    if (link === undefined) {
      if (errno === "ENODEV") this.#lose(kept, "someone removed it or moved it to another network namespace");
      else this.#doubtLater(kept);
      return;
    }
    if (kept.index === 0) this.#byIndex.set(link.index, kept);
    kept.index = link.index;
    kept.master = link.master;
    if (!this.#rename(kept, link)) return;
    const restored = link.name === interfaceName ? [] : ["its name"];
    const problem = this.#restorePort(kept, link, restored);
    this.#restoreState(kept, link, problem, restored);
    if (restored.length > 0) this.#report(kept, link, restored);
  }

  /** False: its name is another's now. */
  #rename(kept: Kept, { index, name, up }: Link): boolean {
    const { interfaceName } = kept.device;
    if (name === interfaceName) return true;
    const renaming: LinkCall = { command: "RTM_SETLINK", name: interfaceName, index };
    let { errno } = this.#ask(renaming);
    if (errno === "EBUSY" && up) {
      // Older kernels rename only what is down.
      this.#ask({ command: "RTM_SETLINK", name, up: false });
      errno = this.#ask(renaming).errno;
      this.#ask({ command: "RTM_SETLINK", name: errno === "" ? interfaceName : name, up: true });
    }
    if (errno !== "") this.#lose(kept, `someone renamed it to ${name}, and it cannot be renamed back (${errno})`);
    return errno === "";
  }

  /** Puts it back into its bridge. Returns why that cannot be. */
  #restorePort(kept: Kept, link: Link, restored: string[]): string | undefined {
    const { interfaceName: name, bridge, isolated } = kept.device;
    if (bridge === undefined) return undefined;
    const found = this.#ask({ command: "RTM_GETLINK", name: bridge }).link;
    if (found === undefined) return `bridge ${bridge} is gone`;
    const isPort = link.master === found.index;
    if (!isPort) {
      const { errno } = this.#ask({ command: "RTM_SETLINK", name, master: found.index });
      if (errno !== "") return `it cannot be put back into bridge ${bridge} (${errno})`;
      kept.master = found.index;
      restored.push(`its place in bridge ${bridge}`);
    }
    // A new port is not isolated.
    if (isolated === (isPort && link.isolated)) return undefined;
    const { errno } = this.#ask({ command: "RTM_NEWLINK", name, isolated });
    if (errno === "" && isPort) restored.push("what it has to be in its bridge");
    return errno === "" ? undefined : `it cannot be isolated in bridge ${bridge} (${errno})`;
  }

  #restoreState(kept: Kept, link: Link, problem: string | undefined, restored: string[]): void {
    const cameUp = link.up && !kept.up;
    kept.up = link.up;
    if (!kept.raised) return;
    if (link.up) this.#restoreAddresses(kept, restored);
    const reason = link.up ? problem : "someone set it down";
    this.#tell(kept, reason === undefined ? "up" : "down", reason ?? (cameUp ? "someone set it up" : "it is restored"));
  }

  /** What is there already is refused: what is not refused was missing. Of a route there may be another's. */
  #restoreAddresses(kept: Kept, restored: string[]): void {
    const { index } = kept;
    const { addresses, routes } = kept.device;
    const calls: LinkCall[] = [
      ...addresses.map((address) => ({ command: "RTM_NEWADDR", index, address }) as const),
      ...routes.map((destination) => ({ command: "RTM_NEWROUTE", index, destination }) as const),
    ];
    if (calls.length === 0) return;
    const answers = this.#ports.links(calls);
    const refused: string[] = [];
    for (const [i, call] of calls.entries()) {
      const errno = answers[i]?.errno;
      if (errno === "" && call.command === "RTM_NEWADDR") restored.push(`address ${call.address}`);
      if (call.command !== "RTM_NEWROUTE") continue;
      if (errno === "") restored.push(`route ${call.destination}`);
      else if (errno === "EEXIST") refused.push(call.destination);
    }
    this.#tellOfTaken(kept, refused);
  }

  /** `refused`: its routes with something in their place, which most of the time is what we put there. */
  #tellOfTaken(kept: Kept, refused: readonly string[]): void {
    const { interfaceName } = kept.device;
    const answers = this.#ports.links(refused.map((destination) => ({ command: "RTM_GETROUTE", destination })));
    const taken = refused.filter((destination, i) => isAnothers(destination, kept.index, answers[i]));
    for (const destination of taken) {
      if (kept.taken.includes(destination)) continue;
      const way = `(see: ${routeListing(destination)})`;
      const message = `interface ${interfaceName}: another route has taken the place of ${destination} ${way}; it is left alone`;
      this.#ports.notice({ level: "warn", event: "route-taken", interfaceName, message });
    }
    kept.taken = taken;
  }

  #report(kept: Kept, link: Link, restored: readonly string[]): void {
    const { interfaceName } = kept.device;
    kept.restoredAt = this.#ports.now();
    const as = link.name === interfaceName ? "" : ` (someone had renamed it to ${link.name})`;
    const message = `interface ${interfaceName}: put back ${restored.join(", ")}${as}`;
    this.#ports.notice({ level: "warn", event: "device-restored", interfaceName, message });
  }

  #tell({ device: { interfaceName } }: Kept, condition: "up" | "down", reason: string): void {
    if (this.#down.has(interfaceName) === (condition === "down")) return;
    if (condition === "down") this.#down.add(interfaceName);
    else this.#down.delete(interfaceName);
    const because = reason === "" ? "" : `: ${reason}`;
    this.#ports.notice({
      level: condition === "down" ? "warn" : "info",
      event: condition === "down" ? "device-down" : "device-up",
      interfaceName,
      message: `interface ${interfaceName} counts as ${condition}${because}`,
    });
    this.#ports.port(interfaceName, condition);
  }

  #lose(kept: Kept, reason: string): void {
    const { localSessionId, interfaceName } = kept.device;
    this.removed(localSessionId);
    this.#ports.lost(localSessionId, `interface ${interfaceName} is gone: ${reason}`);
  }

  #doubtLater(kept: Kept): void {
    kept.checkAt = this.#ports.now() + RESTORE_INTERVAL_MS;
  }

  #ask(call: LinkCall): LinkAnswer {
    return this.#ports.links([call])[0] ?? NOT_ANSWERED;
  }
}

/** Only where that is sure: a longer route, a routing rule or a route over several devices may hide ours. */
function isAnothers(destination: string, index: number, answer: LinkAnswer = NOT_ANSWERED): boolean {
  const { route } = answer;
  if (route === undefined || route.table !== RT_TABLE_MAIN || route.index === 0 || route.index === index) return false;
  return route.prefixLength === Number(destination.split(" ")[0]?.split("/")[1]);
}
