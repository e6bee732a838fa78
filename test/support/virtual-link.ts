import type { LcceConfiguration } from "../../src/control/configuration.ts";
import type {
  Effect,
  Endpoint,
  Entropy,
  Input,
  Instant,
  LogEffect,
  SessionParameters,
} from "../../src/control/core.ts";
import { Lcce } from "../../src/control/lcce.ts";
import { EventQueue } from "./event-queue.ts";

/** What becomes of a datagram: delivered as often as the array is long, each copy after so many milliseconds. */
export type Fate = (datagram: Datagram) => readonly number[];

export interface Datagram {
  /** Counted over both directions, from 0. */
  readonly number: number;
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly octets: Uint8Array;
  readonly at: Instant;
}

/** The kernel's part: how long it takes, and what it refuses (a sentence) or does (undefined). */
export interface VirtualDatapath {
  readonly delayMs: number;
  readonly refuseSession: (session: SessionParameters) => string | undefined;
  /** Of a session that it has, with the settings that it is to have; absent: as another one. */
  readonly refuseChange?: (session: SessionParameters) => string | undefined;
  readonly refuseTunnel: (localControlConnectionId: number) => string | undefined;
  /** What fails when frames are to flow, such as a route that cannot be set. */
  readonly refuseRaise?: () => string | undefined;
}

const WILLING: VirtualDatapath = { delayMs: 0, refuseSession: () => undefined, refuseTunnel: () => undefined };

export const LATENCY_MS = 10;

/** Deterministic chance: xorshift32. The same seed gives the same run. */
export class SeededEntropy implements Entropy {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  }

  uint32(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }

  octets(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.uint32() & 0xff);
  }

  secretOctets(length: number): Uint8Array {
    return this.octets(length);
  }
}

interface VirtualSocket {
  readonly encapsulation: "udp" | "ip";
  readonly local: Endpoint;
  remote: Endpoint | undefined;
}

/** One LCCE with the sockets and the datapath that a shell would give it. */
export class VirtualNode {
  readonly address: string;
  readonly log: LogEffect[] = [];
  /** Everything that the datapath holds; nothing may be left over. */
  readonly tunnels = new Set<number>();
  readonly datapathSessions = new Map<number, SessionParameters>();
  readonly raised = new Set<number>();
  readonly sockets = new Map<number, VirtualSocket>();
  /** Data packets received since the beginning, as `query-activity` is answered. */
  receivedPackets = 0;
  datapath: VirtualDatapath = WILLING;
  /** The network namespace that its sockets are in. */
  netns: string | undefined;
  /** DNS as this node sees it, several addresses with spaces between; a name that is missing cannot be resolved. */
  readonly names = new Map<string, string>();
  core: Lcce;
  /** What IPsec lacks to protect what this node sends and receives; "": nothing. */
  ipsecFlaw = "";
  readonly #link: VirtualLink;
  /** UDP ports, and 0 for L2TP over IP. */
  readonly #listen: readonly number[];

  constructor(
    link: VirtualLink,
    address: string,
    configuration: LcceConfiguration,
    seed: number,
    listen: readonly number[],
  ) {
    this.#link = link;
    this.address = address;
    this.#listen = listen;
    this.core = new Lcce(configuration, new SeededEntropy(seed), link.now);
  }

  receive(input: Input): void {
    this.perform(this.core.receive(input, this.#link.now));
  }

  expire(): void {
    this.perform(this.core.expire(this.#link.now));
  }

  /** A crash: everything is gone at once, and nobody is told. */
  crash(configuration: LcceConfiguration, seed: number): void {
    this.core = new Lcce(configuration, new SeededEntropy(seed), this.#link.now);
    this.tunnels.clear();
    this.datapathSessions.clear();
    this.raised.clear();
    this.sockets.clear();
  }

  /** Takes a datagram if a socket would. */
  deliver(from: Endpoint, to: Endpoint, octets: Uint8Array): void {
    const isTaken = to.port === 0 ? this.#isTakenOverIp(from, octets) : this.#hasSocket(from, to);
    if (!isTaken && !this.#listen.includes(to.port)) return;
    if (!isTaken && to.port === 0 && connectionIdOf(octets) !== 0) return;
    const address = from.address.includes(":") ? "::" : "0.0.0.0";
    this.receive({ type: "datagram", from, to: { address, port: to.port, netns: this.netns }, octets });
  }

  /** As the kernel does it: by Control Connection ID alone, of which 0 is the listener's. */
  #isTakenOverIp(from: Endpoint, octets: Uint8Array): boolean {
    const socket = this.sockets.get(connectionIdOf(octets));
    if (socket === undefined || socket.encapsulation === "udp") return false;
    return socket.remote === undefined || socket.remote.address === from.address;
  }

  #hasSocket(from: Endpoint, to: Endpoint): boolean {
    for (const { encapsulation, local, remote } of this.sockets.values()) {
      if (encapsulation === "ip" || local.port !== to.port) continue;
      if (remote === undefined || (remote.address === from.address && remote.port === from.port)) return true;
    }
    return false;
  }

  perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "log":
        this.log.push(effect);
        return;
      case "open-socket":
        this.#openSocket(effect);
        return;
      case "check-protection":
        this.#judge(effect);
        return;
      case "connect-socket": {
        const socket = this.sockets.get(effect.localControlConnectionId);
        if (socket === undefined) throw new Error("connect-socket without a socket");
        socket.remote = effect.remote;
        return;
      }
      case "close-socket":
        this.sockets.delete(effect.localControlConnectionId);
        return;
      case "send": {
        const socket = this.sockets.get(effect.localControlConnectionId);
        if (socket === undefined) return;
        // A connected socket reaches its peer and nobody else.
        this.#link.transmit(this.#from(socket.local.port), socket.remote ?? effect.to, effect.octets);
        return;
      }
      case "reply":
        this.#link.transmit(this.#from(effect.from.port), effect.to, effect.octets);
        return;
      case "query-activity": {
        const { localControlConnectionId } = effect;
        this.#answer({ type: "activity", localControlConnectionId, receivedPackets: this.receivedPackets });
        return;
      }
      case "resolve-peer":
        this.#resolve(effect.tunnel, effect.host);
        return;
      default:
        this.#carry(effect);
    }
  }

  #judge({ tunnel, from, to, octets }: Extract<Effect, { type: "check-protection" }>): void {
    if (this.ipsecFlaw === "") this.#answer({ type: "datagram", from, to, octets, protected: true });
    else this.#answer({ type: "unprotected", tunnel, reason: this.ipsecFlaw });
  }

  #openSocket(effect: Extract<Effect, { type: "open-socket" }>) {
    const { localControlConnectionId, encapsulation, local, remote, protect } = effect;
    if (protect !== undefined && this.ipsecFlaw !== "") {
      this.#answer({ type: "socket-failed", localControlConnectionId, reason: this.ipsecFlaw });
      return;
    }
    const port = encapsulation === "ip" ? 0 : local.port || 40_000 + this.sockets.size;
    this.sockets.set(localControlConnectionId, { encapsulation, local: { ...local, port }, remote });
  }

  #carry(effect: Extract<Effect, { type: `${string}-tunnel` | `${string}-session` }>): void {
    switch (effect.type) {
      case "create-tunnel":
        this.#createTunnel(effect.localControlConnectionId);
        return;
      case "delete-tunnel":
        this.tunnels.delete(effect.localControlConnectionId);
        for (const [id, session] of this.datapathSessions) {
          if (session.localControlConnectionId === effect.localControlConnectionId) this.#forget(id);
        }
        return;
      case "create-session":
        this.#createSession(effect.session);
        return;
      case "raise-session":
        if (!this.datapathSessions.has(effect.localSessionId)) throw new Error("raise-session without a session");
        this.#raise(effect.localSessionId);
        return;
      case "lower-session":
        if (!this.raised.delete(effect.localSessionId)) throw new Error("lower-session without a raised one");
        return;
      case "change-session":
        this.#changeSession(effect);
        return;
      case "delete-session":
        this.#forget(effect.localSessionId);
        return;
    }
  }

  #createTunnel(localControlConnectionId: number): void {
    const reason = this.datapath.refuseTunnel(localControlConnectionId);
    if (reason === undefined) {
      this.tunnels.add(localControlConnectionId);
      this.#answer({ type: "tunnel-created", localControlConnectionId });
    } else this.#answer({ type: "tunnel-refused", localControlConnectionId, reason });
  }

  #createSession(session: SessionParameters): void {
    const { localSessionId, localControlConnectionId } = session;
    const tunnelMissing = this.tunnels.has(localControlConnectionId) ? undefined : "no such tunnel";
    const reason = tunnelMissing ?? this.datapath.refuseSession(session);
    if (reason === undefined) {
      this.datapathSessions.set(localSessionId, session);
      this.#answer({ type: "session-created", localSessionId });
    } else this.#answer({ type: "session-refused", localSessionId, reason });
  }

  #changeSession({ localSessionId, settings }: Extract<Effect, { type: "change-session" }>): void {
    const session = this.datapathSessions.get(localSessionId);
    if (session === undefined) {
      // Its refusal may be on the way.
      this.#answer({ type: "session-refused", localSessionId, reason: "no such session" });
      return;
    }
    const changed = { ...session, ...settings };
    const { refuseChange = this.datapath.refuseSession } = this.datapath;
    const reason = refuseChange(changed);
    if (reason === undefined) this.datapathSessions.set(localSessionId, changed);
    else this.#answer({ type: "session-refused", localSessionId, reason });
  }

  #raise(localSessionId: number): void {
    const reason = this.datapath.refuseRaise?.();
    this.raised.add(localSessionId);
    if (reason !== undefined) this.#answer({ type: "session-refused", localSessionId, reason });
  }

  #forget(localSessionId: number): void {
    this.datapathSessions.delete(localSessionId);
    this.raised.delete(localSessionId);
  }

  #resolve(tunnel: string, host: string): void {
    const address = this.names.get(host);
    const [first, ...others] = address?.split(" ") ?? [];
    if (first === undefined) this.#answer({ type: "peer-unresolved", tunnel, reason: `${host} not found` });
    else this.#answer({ type: "peer-resolved", tunnel, address: first, others });
  }

  #answer(input: Input): void {
    this.#link.later(this.datapath.delayMs, () => this.receive(input));
  }

  #from(port: number): Endpoint {
    return { address: this.address, port };
  }
}

/** Of a control message. */
function connectionIdOf(octets: Uint8Array): number {
  return new DataView(octets.buffer, octets.byteOffset).getUint32(4);
}

/** What the core waits for by the clock, in the order in which it is due. */
export function runningTimers(node: VirtualNode): readonly string[] {
  return node.core.save().timers.map(({ timer }) => timer.kind);
}

/** Nodes on one wire, in virtual time: it jumps from event to event, nothing sleeps. */
export class VirtualLink {
  now: Instant = 0;
  fate: Fate = () => [LATENCY_MS];
  readonly nodes: VirtualNode[] = [];
  /** Every datagram sent, lost ones too. */
  readonly datagrams: Datagram[] = [];
  readonly #events = new EventQueue();

  add(address: string, configuration: LcceConfiguration, seed = 1, listen: readonly number[] = [1701, 0]): VirtualNode {
    const node = new VirtualNode(this, address, configuration, seed + this.nodes.length * 7919, listen);
    this.nodes.push(node);
    return node;
  }

  later(delayMs: number, act: () => void): void {
    this.#events.put(this.now + delayMs, act);
  }

  transmit(from: Endpoint, to: Endpoint, octets: Uint8Array): void {
    const datagram = { number: this.datagrams.length, from, to, octets, at: this.now };
    this.datagrams.push(datagram);
    const node = this.nodes.find(({ address }) => address === to.address);
    for (const delayMs of this.fate(datagram)) this.later(delayMs, () => node?.deliver(from, to, octets));
  }

  start(): void {
    for (const node of this.nodes) node.receive({ type: "start" });
  }

  /** Goes on until the condition holds; false when `limitMs` have passed without it, or nothing is left to happen. */
  runUntil(condition: () => boolean, limitMs = 600_000): boolean {
    const end = this.now + limitMs;
    while (!condition()) if (!this.#advance(end)) return condition();
    return true;
  }

  run(durationMs: number): void {
    const end = this.now + durationMs;
    while (this.#advance(end));
    this.now = end;
  }

  /** The next event or deadline. */
  #advance(end: Instant): boolean {
    const event = this.#events.next ?? Number.POSITIVE_INFINITY;
    let deadline = Number.POSITIVE_INFINITY;
    let node: VirtualNode | undefined;
    for (const candidate of this.nodes) {
      const at = candidate.core.nextDeadline();
      if (at === undefined || at >= deadline) continue;
      deadline = at;
      node = candidate;
    }
    const at = Math.min(event, deadline);
    if (at > end) return false;
    this.now = Math.max(this.now, at);
    // Infinity is not beyond an endless end.
    if (event <= deadline) this.#events.take()?.();
    else node?.expire();
    return at < Number.POSITIVE_INFINITY;
  }
}
