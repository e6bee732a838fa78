import type { Findings } from "./findings.ts";
import type { Line } from "./source.ts";

/** A tunnel of the kernel, in the words of iproute2; what an input does not say is not there. */
export interface IpTunnel {
  readonly tunnelId: number;
  readonly peerTunnelId?: number;
  readonly encap?: "udp" | "ip";
  readonly local?: string;
  readonly remote?: string;
  readonly localPort?: number;
  readonly peerPort?: number;
  /** Over IPv4. */
  readonly checksum?: boolean;
  /** Over IPv6, in what is sent and in what is taken. */
  readonly checksumTx?: boolean;
  readonly checksumRx?: boolean;
}

export interface IpSession {
  readonly tunnelId: number;
  readonly sessionId: number;
  readonly peerSessionId?: number;
  readonly interface?: string;
  /** In packets to the peer. */
  readonly cookie?: string;
  /** In packets from the peer. */
  readonly peerCookie?: string;
  readonly l2spec?: "none" | "default";
  readonly sendSeq?: boolean;
  readonly recvSeq?: boolean;
  /** Milliseconds. */
  readonly reorderTimeout?: number;
}

/** What is said of a network device. */
export interface DeviceFact {
  readonly about: "mtu" | "bridge" | "isolated" | "address" | "route" | "name" | "up";
  readonly value: string;
}

/** A thing of one network namespace, and the line that it was first told by. */
export interface Told<T> {
  readonly netns: string;
  readonly line: Line;
  readonly thing: T;
}

/** What all inputs together say of one machine. The same tunnel or session may be told of several times. */
export class IpState {
  readonly #findings: Findings;
  readonly #tunnels = new Map<string, Told<IpTunnel>>();
  readonly #sessions = new Map<string, Told<IpSession>>();
  readonly #devices: (Told<DeviceFact> & { readonly device: string })[] = [];

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  tunnel(thing: IpTunnel, line: Line, netns = ""): void {
    this.#tell(this.#tunnels, `${netns} ${thing.tunnelId}`, { netns, line, thing });
  }

  session(thing: IpSession, line: Line, netns = ""): void {
    this.#tell(this.#sessions, `${netns} ${thing.tunnelId} ${thing.sessionId}`, { netns, line, thing });
  }

  device(device: string, thing: DeviceFact, line: Line, netns = ""): void {
    this.#devices.push({ netns, line, thing, device });
  }

  get tunnels(): readonly Told<IpTunnel>[] {
    return [...this.#tunnels.values()];
  }

  get sessions(): readonly Told<IpSession>[] {
    return [...this.#sessions.values()];
  }

  get devices(): readonly (Told<DeviceFact> & { readonly device: string })[] {
    return this.#devices;
  }

  /** Later inputs fill in what earlier ones left open; where they differ the first one stands. */
  #tell<T extends object>(known: Map<string, Told<T>>, key: string, told: Told<T>): void {
    const earlier = known.get(key);
    if (earlier === undefined) {
      known.set(key, told);
      return;
    }
    const before = new Map<string, unknown>(Object.entries(earlier.thing));
    const differing = Object.entries(told.thing).filter(([name, value]) => (before.get(name) ?? value) !== value);
    if (differing.length > 0) {
      const names = differing.map(([name]) => name).join(", ");
      this.#findings.left(told.line, `differs from ${earlier.line.source}:${earlier.line.number} in ${names}`);
    }
    known.set(key, { ...earlier, thing: { ...told.thing, ...earlier.thing } });
  }
}
