import type { SessionView, TunnelView } from "../control/view.ts";
import type { Transition } from "./transitions.ts";

const LONGEST_VALUE = 255;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Everything that a hook finds in its environment: nothing of the daemon's own, which may hold secrets. What peers can
 * choose goes in without control and formatting characters, in bounded length.
 */
export function hookEnvironment({ event, tunnel, session, reason }: Transition): Readonly<Record<string, string>> {
  const values = { event, ...ofTunnel(tunnel), ...(session === undefined ? {} : ofSession(session)), reason };
  const named = Object.entries(values).map(([name, value]) => [
    `L2TP_${name.toUpperCase()}`,
    plain(value, LONGEST_VALUE),
  ]);
  return { PATH, LANG: "C.UTF-8", ...Object.fromEntries(named) };
}

function ofTunnel(tunnel: TunnelView) {
  return {
    tunnel: tunnel.name,
    netns: tunnel.netns ?? "",
    peer: tunnel.peer,
    peer_hostname: tunnel.peerHostname,
    peer_router_id: dotted(tunnel.peerRouterId),
    encapsulation: tunnel.encapsulation,
    local_ccid: String(tunnel.localControlConnectionId),
    remote_ccid: String(tunnel.remoteControlConnectionId),
  };
}

function ofSession(session: SessionView) {
  return {
    session: session.name,
    interface: session.interfaceName,
    pseudowire: session.pseudowire,
    vlan: session.vlan === undefined ? "" : String(session.vlan),
    local_session_id: String(session.localSessionId),
    remote_session_id: String(session.remoteSessionId),
    local_circuit: session.localCircuitActive ? "up" : "down",
    remote_circuit: session.remoteCircuitActive ? "up" : "down",
  };
}

function dotted(id: number | undefined): string {
  return id === undefined ? "" : [24, 16, 8, 0].map((shift) => (id >>> shift) & 0xff).join(".");
}

/** On one line, and nothing that a terminal or a reader would be led astray by. */
export function plain(text: string, longest: number): string {
  const safe = text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, "?");
  return safe.length <= longest ? safe : `${safe.slice(0, longest - 1)}…`;
}
