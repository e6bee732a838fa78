import type { ListenAddress } from "../config/site.ts";
import type { LocalEndpoint } from "../control/core.ts";
import { encapsulationOf, endpointText, familyOf, isAnyAddress } from "../control/endpoint.ts";
import { KernelError } from "../kernel/kernel-error.ts";
import { interfaceIndex } from "../kernel/libc.ts";
import { inNamespace } from "../kernel/netns.ts";
import { placed } from "../kernel/placement.ts";
import type { Log } from "./log.ts";

interface Transport {
  listen(local: LocalEndpoint): void;
  unlisten(local: LocalEndpoint): void;
}

/** As in the configuration file: "udp:0.0.0.0:1701", "ip:[2001:db8::1]"; and where that is: " at vrf-red in netns blue". */
export function listenText(local: LocalEndpoint | ListenAddress): string {
  const { address } = local;
  const { device, netns }: Partial<LocalEndpoint> = local;
  const place = `${device === undefined ? "" : ` at ${device}`}${netns === undefined ? "" : ` in netns ${netns}`}`;
  if (encapsulationOf(local) === "udp") return `udp:${endpointText(local)}${place}`;
  return `ip:${familyOf(address) === 6 ? `[${address}]` : address}${place}`;
}

interface Opened {
  readonly local: LocalEndpoint;
  /** The number that the device had; 0: bound to none. */
  readonly boundTo: number;
}

/** The number of a device at present; stands in for the kernel in tests. */
function indexOf({ device, netns }: LocalEndpoint): number {
  return device === undefined ? 0 : inNamespace(netns, () => interfaceIndex(device));
}

/** The site's listeners; those whose address or device the machine has not yet are opened when it comes. */
export class Listeners {
  readonly #transport: Transport;
  readonly #log: Pick<Log, "write">;
  readonly #freebind: boolean;
  readonly #indexOf: typeof indexOf;
  readonly #waiting = new Set<LocalEndpoint>();
  readonly #open = new Set<Opened>();

  constructor(transport: Transport, log: Pick<Log, "write">, freebind = false, index = indexOf) {
    this.#transport = transport;
    this.#log = log;
    this.#freebind = freebind;
    this.#indexOf = index;
  }

  /** Throws what keeps it from being opened, but for a missing address or device. */
  listen(local: LocalEndpoint): void {
    try {
      this.#listen(local);
    } catch (error) {
      if (!isMissing(error, local)) throw error;
      this.#waiting.add(local);
      const message = `${error.message}; it is waited for`;
      this.#log.write({ level: "warn", event: "listener-waits", message });
    }
  }

  /** Whether it is open, and waits for nothing. */
  isOpen(local: LocalEndpoint): boolean {
    return [...this.#open].some((opened) => listenText(opened.local) === listenText(local));
  }

  /** It is wanted no more. */
  unlisten(local: LocalEndpoint): void {
    const text = listenText(local);
    for (const waiting of [...this.#waiting]) if (listenText(waiting) === text) this.#waiting.delete(waiting);
    for (const opened of [...this.#open]) {
      if (listenText(opened.local) !== text) continue;
      this.#open.delete(opened);
      this.#transport.unlisten(opened.local);
    }
  }

  /** Something else keeps it from being opened, and everything goes on without it: it is tried again. */
  putOff(local: LocalEndpoint, error: unknown): void {
    this.#waiting.add(local);
    this.#failed(local, error);
  }

  /** Addresses or devices may have come, in this network namespace. */
  retry(netns?: string): void {
    for (const opened of [...this.#open]) {
      if (opened.local.netns === netns && opened.local.device !== undefined) this.#renew(opened);
    }
    for (const local of [...this.#waiting]) if (local.netns === netns) this.#try(local);
  }

  /** The namespace is gone, and everything that was opened in it or waits for something there. */
  leave(netns: string): void {
    for (const local of [...this.#waiting]) if (local.netns === netns) this.#waiting.delete(local);
    for (const opened of [...this.#open]) {
      if (opened.local.netns !== netns) continue;
      this.#open.delete(opened);
      this.#transport.unlisten(opened.local);
    }
  }

  #listen(local: LocalEndpoint): void {
    const { netns, device: bindDevice } = local;
    const boundTo = this.#indexOf(local);
    placed({ freebind: this.#freebind, netns, bindDevice }, () => this.#transport.listen(local));
    this.#open.add({ local, boundTo });
  }

  /** A socket stays bound to the device that it was bound to, whoever has the name now. */
  #renew(opened: Opened): void {
    if (this.#indexOf(opened.local) === opened.boundTo) return;
    this.#open.delete(opened);
    this.#transport.unlisten(opened.local);
    this.#waiting.add(opened.local);
    const message = `${listenText(opened.local)} is gone with its interface; it is waited for`;
    this.#log.write({ level: "warn", event: "listener-waits", message });
  }

  #try(local: LocalEndpoint): void {
    try {
      this.#listen(local);
    } catch (error) {
      // Another program was faster, and may end.
      if (!isMissing(error, local)) this.#failed(local, error);
      return;
    }
    this.#waiting.delete(local);
    const message = `listening at ${listenText(local)}: what it waited for has come`;
    this.#log.write({ level: "info", event: "listener-opened", message });
  }

  #failed(local: LocalEndpoint, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `nobody can come by ${listenText(local)}: ${reason}`;
    this.#log.write({ level: "error", event: "listener-failed", message });
  }
}

function isMissing(error: unknown, { address }: LocalEndpoint): error is KernelError {
  if (!(error instanceof KernelError)) return false;
  return error.errno === "ENODEV" || (error.errno === "EADDRNOTAVAIL" && !isAnyAddress(address));
}
