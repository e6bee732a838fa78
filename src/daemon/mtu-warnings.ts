import type { SessionParameters } from "../control/core.ts";
import { mtuFlaw } from "../kernel/inner-mtu.ts";
import { isIpv6Socket, pathMtu } from "../kernel/sockets.ts";
import type { Log } from "./log.ts";

/** The socket of a session's control connection, which knows the path to the peer. */
interface Way {
  /** Connected. */
  readonly fd: number;
  readonly encapsulation: "udp" | "ip";
}

/**
 * Tells of an `mtu` that makes packets longer than the path carries. It may be meant, in a bridge of wider ports: so each
 * session, and each number, is told once and not at every attempt.
 */
export class MtuWarnings {
  readonly #told = new Set<string>();
  readonly #log: Pick<Log, "write">;

  constructor(log: Pick<Log, "write">) {
    this.#log = log;
  }

  /** Throws a `KernelError` where the socket cannot be asked. */
  look({ mtu, remoteCookie, l2Sublayer, interfaceName, vlan }: SessionParameters, { fd, encapsulation }: Way): void {
    if (mtu === "auto") return;
    const layers = { encapsulation, family: isIpv6Socket(fd) ? 6 : 4, vlan } as const;
    const flaw = mtuFlaw(mtu, pathMtu(fd), { cookie: remoteCookie, l2Sublayer }, layers);
    if (flaw === undefined) return;
    const message = `interface ${interfaceName}: ${flaw}`;
    if (this.#told.has(message)) return;
    this.#told.add(message);
    this.#log.write({ level: "warn", event: "mtu-too-large", message, details: { interface: interfaceName } });
  }
}
