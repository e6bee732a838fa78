import type { Effect, Endpoint, Input, LocalEndpoint } from "../control/core.ts";
import { encapsulationOf, endpointText, isAnyAddress } from "../control/endpoint.ts";
import { KernelError } from "../kernel/kernel-error.ts";
import { IPPROTO_L2TP, IPPROTO_UDP } from "../kernel/libc.ts";
import { inNamespace } from "../kernel/netns.ts";
import { sourceAddressTo } from "../kernel/route-source.ts";
import { listPolicies, type PacketFlow, type Policy, protectionFlaw } from "../kernel/xfrm.ts";
import { addGuard, guardId, removeGuard, removeLeftGuards } from "../kernel/xfrm-guard.ts";

/** What is asked of the kernel, in the network namespace that the calling thread is in. */
export interface PolicyKernel {
  policies(): readonly Policy[];
  addGuard(flow: PacketFlow): void;
  removeGuard(flow: PacketFlow): void;
  removeLeftGuards(policies: readonly Policy[]): void;
  sourceAddressTo(address: string, device: string | undefined): string;
}

const KERNEL: PolicyKernel = {
  policies: listPolicies,
  addGuard,
  removeGuard,
  removeLeftGuards,
  sourceAddressTo,
};

/** Guards of flows that no socket has any more: some may still be on their way out, so that they stay for a while. */
const MOST_IDLE = 1_024;

interface Guarded {
  readonly netns: string | undefined;
  readonly flow: PacketFlow;
  /** Local Control Connection IDs of the sockets that have the flow. */
  readonly holders: Set<number>;
}

interface Holder {
  readonly tunnel: string;
  readonly key: string;
}

interface Wanted {
  readonly local: LocalEndpoint;
  readonly remote: Endpoint;
}

/**
 * IPsec for tunnels that must not be without (`require_ipsec`). No socket of theirs is opened unless the kernel has policies
 * that protect the flow, out and in; and before it sends anything a guard stands behind these policies, so that nothing
 * leaves in clear when they go. What is missing is waited for.
 */
export class Protection {
  readonly #core: { accept(input: Input): void };
  readonly #kernel: PolicyKernel;
  readonly #guarded = new Map<string, Guarded>();
  readonly #holders = new Map<number, Holder>();
  /** By tunnel: what it could not do for want of policies. */
  readonly #waiting = new Map<string, Wanted>();

  constructor(core: { accept(input: Input): void }, kernel: PolicyKernel = KERNEL) {
    this.#core = core;
    this.#kernel = kernel;
  }

  /**
   * Where a socket has to be bound so that policies protect what it sends to `remote`: `local` with the address that the
   * route gives in the place of "any". Throws an `Error` that says what is missing; it is told when it comes.
   */
  demand(tunnel: string, local: LocalEndpoint, remote: Endpoint): LocalEndpoint {
    const bound = this.#boundLocal(local, remote);
    const flow = flowOf(bound, remote);
    let flaw: string | undefined;
    try {
      flaw = protectionFlaw(this.#policies(local.netns), flow);
    } catch (error) {
      flaw = `the kernel's IPsec policies cannot be read: ${reasonOf(error)}`;
    }
    this.#waiting.delete(tunnel);
    if (flaw === undefined) return bound;
    this.#waiting.set(tunnel, { local, remote });
    throw new Error(`require_ipsec: ${flaw}; it is waited for`);
  }

  /** From now on nothing leaves in clear between these two. Throws a `KernelError`. */
  guard(tunnel: string, holder: number, local: LocalEndpoint, remote: Endpoint): void {
    const key = this.#guard(local, remote);
    this.#guarded.get(key)?.holders.add(holder);
    const before = this.#holders.get(holder);
    this.#holders.set(holder, { tunnel, key });
    if (before !== undefined && before.key !== key) this.#let(before.key, holder);
  }

  /** A socket of ours is to be connected elsewhere. Throws an `Error` unless that is protected as well. */
  move(holder: number, local: LocalEndpoint, remote: Endpoint): void {
    const tunnel = this.#holders.get(holder)?.tunnel;
    if (tunnel !== undefined) this.guard(tunnel, holder, this.demand(tunnel, local, remote), remote);
  }

  /** The socket is closed. What is on its way out still meets the guard. */
  release(holder: number): void {
    const held = this.#holders.get(holder);
    if (held === undefined) return;
    this.#holders.delete(holder);
    this.#let(held.key, holder);
  }

  /** For who answers from a listener. */
  judge({ tunnel, from, to, octets }: Extract<Effect, { readonly type: "check-protection" }>): Input {
    try {
      this.demand(tunnel, to, from);
      this.#guard(to, from);
      return { type: "datagram", from, to, octets, protected: true };
    } catch (error) {
      return { type: "unprotected", tunnel, reason: reasonOf(error) };
    }
  }

  /** Policies of a namespace have come or gone. */
  changed(netns?: string): void {
    let policies: readonly Policy[];
    try {
      policies = this.#policies(netns);
    } catch {
      // The next attempt says so.
      return;
    }
    this.#restoreGuards(policies, netns);
    for (const { netns: where, flow, holders } of [...this.#guarded.values()]) {
      const flaw = where === netns && holders.size > 0 ? protectionFlaw(policies, flow) : undefined;
      if (flaw === undefined) continue;
      const reason = `require_ipsec: ${flaw} any more`;
      for (const localControlConnectionId of [...holders]) {
        this.#core.accept({ type: "protection-lost", localControlConnectionId, reason });
      }
    }
    this.#tellFound(policies, netns);
  }

  /** At the start: removes what processes that are dead have left behind. Where IPsec cannot be had there is nothing. */
  begin(netns?: string): void {
    try {
      inNamespace(netns, () => this.#kernel.removeLeftGuards(this.#kernel.policies()));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }

  /** Nothing of ours is sent any more. */
  close(): void {
    for (const key of [...this.#guarded.keys()]) this.#remove(key);
  }

  #boundLocal(local: LocalEndpoint, remote: Endpoint): LocalEndpoint {
    if (!isAnyAddress(local.address)) return local;
    const { netns, device } = local;
    return { ...local, address: inNamespace(netns, () => this.#kernel.sourceAddressTo(remote.address, device)) };
  }

  /** Returns its name. */
  #guard(local: LocalEndpoint, remote: Endpoint): string {
    const { netns } = local;
    const key = [netns ?? "", encapsulationOf(remote), endpointText(plain(local)), endpointText(remote)].join(" ");
    const known = this.#guarded.get(key);
    const flow = flowOf(local, remote);
    // It is added once more, too, where it was: somebody may have removed it a moment ago.
    inNamespace(netns, () => this.#kernel.addGuard(flow));
    this.#guarded.delete(key);
    this.#guarded.set(key, known ?? { netns, flow, holders: new Set() });
    this.#forgetIdle();
    return key;
  }

  /** The one that has been without a socket for longest goes. */
  #forgetIdle(): void {
    const idle = [...this.#guarded].filter(([, { holders }]) => holders.size === 0);
    for (const [key] of idle.slice(0, Math.max(0, idle.length - MOST_IDLE))) this.#remove(key);
  }

  #let(key: string, holder: number): void {
    const guarded = this.#guarded.get(key);
    if (guarded === undefined) return;
    guarded.holders.delete(holder);
    this.#guarded.delete(key);
    this.#guarded.set(key, guarded);
  }

  #remove(key: string): void {
    const guarded = this.#guarded.get(key);
    this.#guarded.delete(key);
    if (guarded === undefined) return;
    try {
      inNamespace(guarded.netns, () => this.#kernel.removeGuard(guarded.flow));
    } catch (error) {
      // It has gone with its namespace.
      if (!(error instanceof KernelError)) throw error;
    }
  }

  /** Whoever deletes all policies deletes guards too. */
  #restoreGuards(policies: readonly Policy[], netns: string | undefined): void {
    const there = new Set(policies.map(({ guard }) => guard?.id.toString("hex")));
    for (const { netns: where, flow } of this.#guarded.values()) {
      const isWhole = (["out", "in"] as const).every((way) => there.has(guardId(flow, way).toString("hex")));
      if (where !== netns || isWhole) continue;
      try {
        inNamespace(netns, () => this.#kernel.addGuard(flow));
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
      }
    }
  }

  #tellFound(policies: readonly Policy[], netns: string | undefined): void {
    for (const [tunnel, { local, remote }] of [...this.#waiting]) {
      if (local.netns !== netns || !this.#isProtected(policies, local, remote)) continue;
      this.#waiting.delete(tunnel);
      this.#core.accept({ type: "protection-found", tunnel });
    }
  }

  #isProtected(policies: readonly Policy[], local: LocalEndpoint, remote: Endpoint): boolean {
    try {
      return protectionFlaw(policies, flowOf(this.#boundLocal(local, remote), remote)) === undefined;
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  }

  #policies(netns: string | undefined): readonly Policy[] {
    return inNamespace(netns, () => this.#kernel.policies());
  }
}

function plain({ address, port }: LocalEndpoint): Endpoint {
  return { address, port };
}

function flowOf(local: Endpoint, remote: Endpoint): PacketFlow {
  const isUdp = encapsulationOf(remote) === "udp";
  // A port of the configuration means nothing over IP.
  return isUdp
    ? { protocol: IPPROTO_UDP, local: plain(local), remote }
    : { protocol: IPPROTO_L2TP, local: { address: local.address, port: 0 }, remote };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
