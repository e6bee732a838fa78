import type { ListenAddress } from "../config/site.ts";
import { encapsulationOf, endpointText, familyOf, isAnyAddress } from "../control/endpoint.ts";
import { KernelError } from "../kernel/kernel-error.ts";
import type { Log } from "./log.ts";

interface Transport {
  listen(local: ListenAddress): void;
}

/** As in the configuration file: "udp:0.0.0.0:1701", "ip:[2001:db8::1]". */
export function listenText(local: ListenAddress): string {
  const { address } = local;
  if (encapsulationOf(local) === "udp") return `udp:${endpointText(local)}`;
  return `ip:${familyOf(address) === 6 ? `[${address}]` : address}`;
}

/** The site's listeners; those whose address the machine has not yet are opened when it comes. */
export class Listeners {
  readonly #transport: Transport;
  readonly #log: Pick<Log, "write">;
  readonly #waiting = new Set<ListenAddress>();

  constructor(transport: Transport, log: Pick<Log, "write">) {
    this.#transport = transport;
    this.#log = log;
  }

  /** Throws what keeps it from being opened, but for a missing address. */
  listen(local: ListenAddress): void {
    try {
      this.#transport.listen(local);
    } catch (error) {
      if (isAnyAddress(local.address) || !(error instanceof KernelError) || error.errno !== "EADDRNOTAVAIL")
        throw error;
      this.#waiting.add(local);
      const message = `${error.message}; it is waited for`;
      this.#log.write({ level: "warn", event: "listener-waits", message });
    }
  }

  /** Addresses may have come. */
  retry(): void {
    for (const local of [...this.#waiting]) this.#try(local);
  }

  #try(local: ListenAddress): void {
    try {
      this.#transport.listen(local);
    } catch (error) {
      if (error instanceof KernelError && error.errno === "EADDRNOTAVAIL") return;
      // Another program was faster, and may end.
      const message = error instanceof Error ? error.message : String(error);
      this.#log.write({ level: "error", event: "listener-failed", message });
      return;
    }
    this.#waiting.delete(local);
    const message = `listening at ${listenText(local)}: the address has come`;
    this.#log.write({ level: "info", event: "listener-opened", message });
  }
}
