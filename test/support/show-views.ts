import type { SessionDetails, TunnelDetails } from "../../src/control/details.ts";
import type { SessionView, TunnelView } from "../../src/control/view.ts";
import { session, tunnel } from "./sites.ts";

export function sessionView(changes: Partial<SessionView> = {}): SessionView {
  return {
    name: "lan42",
    state: "established",
    localSessionId: 4294967295,
    remoteSessionId: 12,
    interfaceName: "l2-paris42",
    pseudowire: "ethernet",
    vlan: undefined,
    localCookieSize: 8,
    remoteCookieSize: 4,
    l2Sublayer: "none",
    localSequencing: "none",
    remoteSequencing: "none",
    localCircuitActive: true,
    remoteCircuitActive: false,
    remoteErrors: { hardwareOverruns: 1, bufferOverruns: 2, timeouts: 3, alignments: 4 },
    since: 200_000,
    lastError: "",
    ...changes,
  };
}

export function tunnelView(changes: Partial<TunnelView> = {}): TunnelView {
  return {
    name: "paris",
    state: "established",
    netns: undefined,
    peer: "192.0.2.2:1701",
    localControlConnectionId: 3735928559,
    remoteControlConnectionId: 7,
    encapsulation: "udp",
    ipsec: "",
    peerHostname: "pe2",
    dialect: "cisco",
    dialectBy: "AVPs of vendor 9",
    peerRouterId: 0xc0000202,
    wrongDigests: 5,
    since: 100_000,
    lastError: "",
    sessions: [sessionView()],
    ...changes,
  };
}

/** Details that fit a view. */
export function detailsFor(view: TunnelView, changes: Partial<TunnelDetails> = {}): TunnelDetails {
  return {
    configuration: tunnel(view.name, { peer: "192.0.2.2" }),
    statistics: {
      name: view.name,
      messages: { sent: 20, received: 19, retransmitted: 1 },
      window: { peer: 4, congestion: 2, outstanding: 1, waiting: 0 },
      established: 2,
      failed: 3,
      sessions: view.sessions.map(({ name }) => ({ name, established: 1, failed: 0 })),
    },
    ended: { by: "peer", reason: "the peer closed the control connection (StopCCN): shutting down", at: 90_000 },
    nextAttempt: undefined,
    connection: {
      initiator: true,
      peerVendor: "Cisco Systems, Inc.",
      helloIntervalMs: 57_000,
      nextHello: 8_030_000,
      nextRetransmission: 8_002_000,
      retransmissions: 1,
      nextNs: 11,
      nextNr: 9,
      ownWindow: 16,
      threshold: 4,
      authentication: { secrets: [], digest: "none", hidden: false, chapPassword: undefined },
    },
    sessions: view.sessions.map(({ name }) => sessionDetails(name)),
    ...changes,
  };
}

function sessionDetails(name: string): SessionDetails {
  return { configuration: session(name), ended: undefined, nextAttempt: undefined };
}
