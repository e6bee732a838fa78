import { expect } from "vitest";
import type { TunnelConfiguration } from "../../src/control/configuration.ts";
import { nameOnWire } from "./digest-by-hand.ts";
import { A, B, lcce, session, tunnel } from "./sites.ts";
import { VirtualLink, type VirtualNode } from "./virtual-link.ts";

export const SESSIONS = [session("lan42"), session("lan43")];

export function toB(more: Partial<TunnelConfiguration> = {}): TunnelConfiguration {
  return tunnel("to-b", { peer: B, role: "initiator", helloIntervalMs: 5_000, sessions: SESSIONS, ...more });
}

export function toA(more: Partial<TunnelConfiguration> = {}): TunnelConfiguration {
  return tunnel("to-a", { peer: A, role: "responder", helloIntervalMs: 5_000, sessions: SESSIONS, ...more });
}

/** Two sites that are up, and have their configurations changed. */
export class World {
  readonly link = new VirtualLink();
  readonly a: VirtualNode;
  readonly b: VirtualNode;

  constructor(ofA: readonly TunnelConfiguration[] = [toB()], ofB: readonly TunnelConfiguration[] = [toA()]) {
    this.a = this.link.add(A, lcce("site-a", ...ofA));
    this.b = this.link.add(B, lcce("site-b", ...ofB));
    this.link.start();
    expect(this.link.runUntil(() => this.isUp)).toBe(true);
    this.link.run(1_000);
  }

  get isUp(): boolean {
    return [this.a, this.b].every(({ core }) =>
      core
        .view()
        .tunnels.every(({ state, sessions }) => [state, ...sessions.map((each) => each.state)].every(isEstablished)),
    );
  }

  /** The names of all messages that are sent meanwhile, but for acknowledgements; "a:CDN". */
  said(act: () => void): readonly string[] {
    const before = this.link.datagrams.length;
    act();
    return this.link.datagrams.slice(before).flatMap(({ from, octets }) => {
      const name = nameOnWire(octets);
      return name === "ZLB" || name === "ACK" ? [] : [`${from.address === A ? "a" : "b"}:${name}`];
    });
  }

  /** The same, for so long after a reload. */
  saidWithin(ms: number, node: VirtualNode, ...tunnels: readonly TunnelConfiguration[]): readonly string[] {
    return this.said(() => {
      this.reload(node, ...tunnels);
      this.link.run(ms);
    });
  }

  reload(node: VirtualNode, ...tunnels: readonly TunnelConfiguration[]): void {
    node.receive({ type: "configuration-changed", tunnels });
  }
}

function isEstablished(state: string): boolean {
  return state === "established";
}

/** What is the same as long as nothing goes down. */
export function identity({ core, raised, tunnels }: VirtualNode): unknown {
  const view = core.view().tunnels;
  return {
    tunnels: view.map(({ name, localControlConnectionId, state }) => ({ name, localControlConnectionId, state })),
    sessions: view.flatMap(({ sessions }) =>
      sessions.map(({ name, localSessionId, state }) => [name, localSessionId, state]),
    ),
    raised: [...raised],
    datapath: [...tunnels],
  };
}
