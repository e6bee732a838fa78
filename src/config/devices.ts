import type { SessionConfiguration } from "../control/configuration.ts";
import { canonicalAddress, familyOf, isLinkLocal } from "../control/endpoint.ts";
import { type BuiltTunnel, placeOf } from "./contradictions.ts";
import { isWithin } from "./format.ts";
import type { Problems } from "./problems.ts";
import type { SessionTable } from "./tables.ts";

/** RFC 8200 5: no link with a smaller MTU carries IPv6. */
export const LEAST_IPV6_MTU = 1280;

/** What the kernel would refuse to give the device of a session, so that the session would never come up. */
export function checkDevices(built: readonly BuiltTunnel[], problems: Problems): void {
  for (const { table, session } of built.flatMap(({ sessions }) => sessions)) {
    checkMtu(table, session, problems);
    if (!table.wrong.has("addresses") && !table.wrong.has("routes")) checkRouters(table, session, problems);
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

/**
 * The kernel takes a router that the device itself leads to: by one of its addresses, or by a route without a router, made
 * before. Where the configuration gives no address of that IP version, somebody else may.
 */
function checkRouters(table: SessionTable, { addresses, routes }: SessionConfiguration, problems: Problems): void {
  for (const [i, route] of routes.entries()) {
    const router = canonicalAddress(route.split(" via ")[1] ?? "");
    if (router === undefined || isLinkLocal(router)) continue;
    const own = addresses.filter((address) => familyOf(address) === familyOf(router));
    const direct = routes.slice(0, i).filter((each) => !each.includes(" via "));
    const flaw = routerFlaw(router, own, direct);
    if (flaw === undefined) continue;
    const text = `found "${route}", whose router is ${flaw}`;
    if (own.length > 0) problems.error(placeOf(table, "routes"), text);
    else
      problems.warning(placeOf(table, "routes"), `${text} unless something else gives the interface an address there`);
  }
}

function routerFlaw(router: string, own: readonly string[], direct: readonly string[]): string | undefined {
  if (own.some((address) => canonicalAddress(address.split("/")[0] ?? "") === router)) {
    return "this end's own address, allowed: that of the other end";
  }
  const isReached = [...own, ...direct].some((network) => isWithin(router, network));
  return isReached ? undefined : "in no network of the session's addresses: the kernel refuses such a route";
}
