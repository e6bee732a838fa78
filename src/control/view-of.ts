import type { AnySession, AnyTunnel } from "./any-tunnel.ts";
import { carriesFrames } from "./circuit-status.ts";
import type { ControlConnection } from "./control-connection.ts";
import { firstDialect, type SpokenDialect } from "./dialects.ts";
import { endpointText } from "./endpoint.ts";
import { presentError } from "./present-error.ts";
import type { Registry } from "./registry.ts";
import type { SessionState } from "./session-state.ts";
import type { SessionView, TunnelView } from "./view.ts";

export function viewOf(tunnel: AnyTunnel, connections: Registry<ControlConnection>): TunnelView {
  const { configuration, state } = tunnel;
  const live = tunnel.live({ connections })?.state;
  const lastError = presentError(tunnel, live);
  return {
    name: state.name,
    state: live?.state ?? "idle",
    netns: configuration.netns,
    peer: live === undefined ? (configuration.peer ?? "") : endpointText(live.remote),
    localControlConnectionId: live?.localControlConnectionId ?? 0,
    remoteControlConnectionId: live?.remoteControlConnectionId ?? 0,
    encapsulation: configuration.encapsulation,
    // No connection is opened or answered without, and one that loses it is dropped.
    ipsec: configuration.requireIpsec ? (live === undefined ? "required" : "protected") : "",
    ...dialectOf(live?.dialect ?? firstDialect(configuration.dialect)),
    peerHostname: live?.peerHostname ?? "",
    peerRouterId: live?.peerRouterId,
    wrongDigests: state.forged.count,
    since: live?.since ?? state.since,
    lastError,
    sessions: Array.from(tunnel.sessions.values(), (session) => {
      const isAlike = live?.state !== "established" && lastError !== "" && endedWithConnection(session.state);
      return viewOfSession(session, isAlike ? lastError : session.state.lastError);
    }),
  };
}

function dialectOf({ name, by }: SpokenDialect): Pick<TunnelView, "dialect" | "dialectBy"> {
  return { dialect: by === "" ? "" : name, dialectBy: by };
}

/** What is wrong with it is what is wrong with its control connection. */
function endedWithConnection({ ended, lastError }: SessionState): boolean {
  return ended?.by === "control-connection" && ended.reason === lastError;
}

function viewOfSession({ configuration, state }: AnySession, lastError: string): SessionView {
  return {
    name: configuration.name,
    state: state.state,
    localSessionId: state.localSessionId,
    remoteSessionId: state.remoteSessionId,
    interfaceName: configuration.interfaceName,
    pseudowire: configuration.pseudowire,
    vlan: configuration.vlan,
    localCookieSize: state.localCookie.length,
    remoteCookieSize: state.remoteCookie.length,
    l2Sublayer: state.l2Sublayer,
    localSequencing: state.sequencing,
    remoteSequencing: state.peerSequencing,
    localCircuitActive: state.localSessionId !== 0 && state.circuit.condition === "up",
    remoteCircuitActive: carriesFrames(state.remoteCircuitStatus),
    remoteErrors: state.remoteErrors,
    since: state.since,
    lastError,
  };
}
