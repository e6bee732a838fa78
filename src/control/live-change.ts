import type { AuthenticationConfiguration, SessionConfiguration } from "./configuration.ts";
import type { ControlConnection } from "./control-connection.ts";
import { same } from "./same.ts";
import { deviceSettings, type SessionState } from "./session-state.ts";
import type { Turn } from "./turn.ts";

/** Gives a tunnel's connections another authentication (RFC 3931 5.4.1 has two secrets for that), and tells what came of it. */
export function changeAuthentication(
  tunnel: string,
  connections: readonly ControlConnection[],
  authentication: AuthenticationConfiguration,
  turn: Turn,
): void {
  const kept = connections.filter((connection) => !connection.changeAuthentication(authentication, turn));
  const established = kept.find((connection) => connection.established);
  const end = established === undefined ? "" : `; ${goesOn(tunnel, established)}`;
  turn.log("info", "authentication-changed", `the authentication was changed${end}`, { tunnel });
}

/** Of one that the change is not for. */
function goesOn(tunnel: string, { authentication: { signs } }: ControlConnection): string {
  const manner = signs ? "keeps the old one" : "goes on without";
  return `the established control connection ${manner} (l2tpv3-lcc close ${tunnel}, then open, for the new one)`;
}

/** Has the datapath give the device of a session, if it has one, what the new configuration says. */
export function changeDevice(
  before: SessionConfiguration,
  after: SessionConfiguration,
  { datapath, localSessionId }: SessionState,
  turn: Turn,
): void {
  const settings = deviceSettings(after);
  if (datapath === "none" || same(deviceSettings(before), settings)) return;
  turn.emit({ type: "change-session", localSessionId, settings });
}
