import { expect } from "vitest";
import type { LcceConfiguration, TunnelConfiguration } from "../../src/control/configuration.ts";
import { internalErrors, tunnelOf } from "./scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "./sites.ts";
import { VirtualLink, type VirtualNode } from "./virtual-link.ts";

export const HELLO_MS = 10_000;
/** 1 s, then 2, 4 and 8: a peer is held dead 15 s after the HELLO that it does not answer. */
const RETRANSMIT = { initialMs: 1_000, maxMs: 8_000, retries: 3, sccrqRetries: 3 };
export const CYCLE_MS = 15_000;
const octets = (...values: number[]) => Uint8Array.from(values);

export const LOCAL = {
  localSessionId: 101,
  remoteSessionId: 201,
  localCookie: octets(1, 2, 3, 4),
  remoteCookie: octets(),
};
const REMOTE = { localSessionId: 201, remoteSessionId: 101, localCookie: octets(), remoteCookie: octets(1, 2, 3, 4) };

export function configuration(
  at: string,
  watched: boolean,
  more: Partial<TunnelConfiguration> = {},
): LcceConfiguration {
  const [ids, numbers, peer] =
    at === A
      ? [{ localTunnelId: 11, remoteTunnelId: 21 }, LOCAL, B]
      : [{ localTunnelId: 21, remoteTunnelId: 11 }, REMOTE, A];
  const ours = tunnel("static", {
    role: "initiator",
    peer,
    static: { ...ids, watched },
    helloIntervalMs: HELLO_MS,
    retransmit: RETRANSMIT,
    sessions: [session("lan", { static: numbers })],
    ...more,
  });
  return lcce(`site-${at === A ? "a" : "b"}`, ours);
}

export function twoSites(watched: boolean, more: Partial<TunnelConfiguration> = {}, seed = 1) {
  const link = new VirtualLink();
  const a = link.add(A, configuration(A, watched, more), seed);
  const b = link.add(B, configuration(B, watched, more), seed);
  link.start();
  return { link, a, b };
}

export function isUp(node: VirtualNode): boolean {
  const { state, sessions } = tunnelOf(node);
  return state === "established" && sessions.every((each) => each.state === "established") && node.raised.size === 1;
}

export function expectNothingLeft(...nodes: readonly VirtualNode[]): void {
  for (const node of nodes) {
    expect(node.core.nextDeadline()).toBeUndefined();
    expect(node.core.idle()).toBe(true);
    expect([node.tunnels.size, node.datapathSessions.size, node.sockets.size, node.raised.size]).toEqual([0, 0, 0, 0]);
    expect(internalErrors(node)).toEqual([]);
  }
}
