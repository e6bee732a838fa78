import type { LcceConfiguration, SessionConfiguration, TunnelConfiguration } from "../../src/control/configuration.ts";

/** A session as a user would configure it, with the defaults. */
export function session(name: string, more: Partial<SessionConfiguration> = {}): SessionConfiguration {
  return {
    name,
    remoteEndId: new TextEncoder().encode(name),
    pseudowire: "ethernet",
    vlan: undefined,
    call: undefined,
    callType: "incoming",
    attachmentGroup: new Uint8Array(0),
    localEndId: undefined,
    circuit: undefined,
    interfaceName: `l2-${name}`,
    cookieSize: 8,
    l2Sublayer: "none",
    sequencing: "none",
    reorderTimeoutMs: 20,
    sequenceWindow: 2 ** 23,
    resyncAfter: 5,
    mtu: "auto",
    bridge: undefined,
    isolated: false,
    addresses: [],
    routes: [],
    ...more,
  };
}

export function tunnel(name: string, more: Partial<TunnelConfiguration> = {}): TunnelConfiguration {
  return {
    name,
    role: "both",
    peer: undefined,
    peerHostname: undefined,
    peerRouterId: undefined,
    peerPort: 1701,
    local: "auto",
    localPort: 1701,
    encapsulation: "udp",
    df: undefined,
    tos: 0,
    ttl: undefined,
    udpChecksum: true,
    freebind: false,
    netns: undefined,
    bindDevice: undefined,
    authentication: { secrets: [], digest: "none", hidden: false, chapPassword: undefined },
    helloIntervalMs: 60_000,
    retransmit: { initialMs: 1_000, maxMs: 8_000, retries: 10, sccrqRetries: 10 },
    receiveWindow: 16,
    reconnect: { minMs: 1_000, maxMs: 60_000 },
    sessions: [session("lan42")],
    ...more,
  };
}

export function lcce(hostname: string, ...tunnels: TunnelConfiguration[]): LcceConfiguration {
  return { hostname, routerId: hostname.charCodeAt(hostname.length - 1), tunnels };
}

export const A = "192.0.2.1";
export const B = "192.0.2.2";
