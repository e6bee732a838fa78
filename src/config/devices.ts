import type { SessionConfiguration } from "../control/configuration.ts";
import { type BuiltTunnel, placeOf } from "./contradictions.ts";
import type { Problems } from "./problems.ts";
import type { SessionTable } from "./tables.ts";

/** RFC 8200 5: no link with a smaller MTU carries IPv6. */
export const LEAST_IPV6_MTU = 1280;

/** What the kernel would refuse to give the device of a session, so that the session would never come up. */
export function checkDevices(built: readonly BuiltTunnel[], problems: Problems): void {
  for (const { table, session } of built.flatMap(({ sessions }) => sessions)) {
    checkMtu(table, session, problems);
  }
}

/** Whether the device of a session is given IPv6 addresses or routes. */
export function usesIpv6({ addresses, routes }: Pick<SessionConfiguration, "addresses" | "routes">): boolean {
  return [...addresses, ...routes].some((each) => each.includes(":"));
}

function checkMtu(table: SessionTable, session: SessionConfiguration, problems: Problems): void {
  const { mtu } = session;
  if (mtu === "auto" || mtu >= LEAST_IPV6_MTU || !usesIpv6(session)) return;
  const allowed = `allowed with IPv6 addresses or routes: "auto" or an integer from ${LEAST_IPV6_MTU} to 9216`;
  problems.error(placeOf(table, "mtu"), `found ${mtu}, ${allowed}`);
}
