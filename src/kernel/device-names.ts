import type { SessionRequest } from "./datapath.ts";

type Named = Pick<SessionRequest, "localSessionId" | "interfaceName" | "vlan">;

/**
 * The name of a session's l2tpeth device. With a VLAN the configured name is that of the sub-interface, and this is one that no
 * other session has, of at most 13 characters.
 */
export function l2tpDeviceOf({ localSessionId, interfaceName, vlan }: Named): string {
  return vlan === undefined ? interfaceName : `l2pw-${localSessionId.toString(16)}`;
}

/** The names of all devices that a session has. */
export function devicesOf(session: Named): readonly string[] {
  return [...new Set([l2tpDeviceOf(session), session.interfaceName])];
}
