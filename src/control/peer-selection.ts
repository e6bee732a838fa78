import type { DecodedMessage } from "../avp/decode.ts";
import { avpsOf } from "./admission.ts";
import type { TunnelConfiguration } from "./configuration.ts";
import type { Endpoint, LocalEndpoint } from "./core.ts";
import { encapsulationOf, isAnyAddress } from "./endpoint.ts";
import type { Tunnel } from "./tunnel.ts";

/** The tunnel that names the sender of an SCCRQ most closely: by address, host name, Router ID (RFC 3931 3.3). */
export function tunnelFor(
  tunnels: readonly Tunnel[],
  decoded: DecodedMessage,
  from: Endpoint,
  to: LocalEndpoint,
): Tunnel | undefined {
  const { hostName, routerId } = avpsOf(decoded);
  let best: Tunnel | undefined;
  let bestRank = 0;
  for (const tunnel of tunnels) {
    const { peer, peerHostname, peerRouterId, role } = tunnel.configuration;
    if (!listensAt(tunnel.configuration, to)) continue;
    const score = scoreOf([
      [peer, tunnel.isPeer(from.address)],
      [peerHostname, peerHostname === hostName],
      [peerRouterId, peerRouterId === routerId],
    ]);
    // One that only opens stands behind one that accepts: it would refuse.
    const rank = score === 0 ? 0 : 2 * score + (role === "initiator" ? 0 : 1);
    if (rank > bestRank) {
      best = tunnel;
      bestRank = rank;
    }
  }
  return best;
}

/** Whether what came by this socket may be for the tunnel: in two network namespaces the same address may be two peers. */
export function isPlaceOf({ netns }: Pick<TunnelConfiguration, "netns">, to: LocalEndpoint): boolean {
  return netns === to.netns;
}

/** Whether a request that came to this address may be for the tunnel. */
function listensAt(configuration: TunnelConfiguration, to: LocalEndpoint): boolean {
  const { local, encapsulation, bindDevice } = configuration;
  if (encapsulation !== encapsulationOf(to) || !isPlaceOf(configuration, to)) return false;
  // Over IP there is one listener for all interfaces; over UDP one that is bound to it takes all that comes by it.
  if (encapsulation === "udp" && bindDevice !== to.device) return false;
  return local === "auto" || local.startsWith("@") || isAnyAddress(to.address) || to.address === local;
}

/** How many selectors are set, if all that are set agree; else 0. */
function scoreOf(selectors: readonly (readonly [configured: unknown, agrees: boolean])[]): number {
  const set = selectors.filter(([configured]) => configured !== undefined);
  return set.every(([, agrees]) => agrees) ? set.length : 0;
}
