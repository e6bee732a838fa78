import type { LcceConfiguration, Role, SessionConfiguration, TunnelConfiguration } from "../control/configuration.ts";
import type { Effect, Endpoint, Entropy, Input, Instant } from "../control/core.ts";
import { Lcce } from "../control/lcce.ts";

const PORT = 1701;
const ENDS = [
  { address: "192.0.2.1", role: "initiator" },
  { address: "192.0.2.2", role: "responder" },
] as const;

/**
 * One handshake between two LCCEs inside this process, without sockets. The first one of a process takes some 20 ms
 * longer than later ones, because code is compiled and the state machines are asked for the first time: a peer need not
 * wait for that.
 */
export function rehearse(entropy: Entropy, now: Instant): void {
  const lcces = ENDS.map(({ role }, end) => new Lcce(configuration(role, endpointOf(1 - end).address), entropy, now));
  const waiting: { readonly end: number; readonly input: Input }[] = [{ end: 0, input: { type: "start" } }];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { end, input } = next;
    const lcce = lcces[end] as Lcce;
    for (const effect of [...lcce.receive(input, now), ...lcce.expire(now)]) {
      waiting.push(...consequences(end, effect));
    }
  }
}

/** What a shell, a wire without delay and a datapath would make of an effect. */
function consequences(end: number, effect: Effect): { readonly end: number; readonly input: Input }[] {
  switch (effect.type) {
    case "send":
    case "reply": {
      const datagram = { from: endpointOf(end), to: endpointOf(1 - end), octets: effect.octets };
      return [{ end: 1 - end, input: { type: "datagram", ...datagram } }];
    }
    case "create-session":
      return [{ end, input: { type: "session-created", localSessionId: effect.session.localSessionId } }];
    default:
      return [];
  }
}

function endpointOf(end: number): Endpoint {
  return { address: ENDS[end]?.address ?? "", port: PORT };
}

function configuration(role: Role, peer: string): LcceConfiguration {
  const session: SessionConfiguration = {
    name: "rehearsal",
    remoteEndId: Uint8Array.of(1),
    pseudowire: "ethernet",
    vlan: undefined,
    call: undefined,
    callType: "incoming",
    attachmentGroup: new Uint8Array(0),
    localEndId: undefined,
    circuit: undefined,
    interfaceName: "rehearsal",
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
  };
  const tunnel: TunnelConfiguration = {
    name: "rehearsal",
    role,
    peer,
    peerHostname: undefined,
    peerRouterId: undefined,
    peerPort: PORT,
    local: "auto",
    localPort: PORT,
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
    sessions: [session],
  };
  return { hostname: "rehearsal", routerId: 1, tunnels: [tunnel] };
}
