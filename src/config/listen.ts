import type { TunnelConfiguration } from "../control/configuration.ts";
import {
  anyAddress,
  canonicalAddress,
  encapsulationOf,
  familyOf,
  familyOfLocal,
  isAnyAddress,
} from "../control/endpoint.ts";
import { parseListen } from "./format.ts";
import type { Problems } from "./problems.ts";
import type { ListenAddress, Site } from "./site.ts";

/** Of UDP (RFC 3931 4.1.2). */
export const L2TP_PORT = 1701;

/** Where the daemon listens. `given`: the key `listen`, null where it is not there. */
export function buildListen(
  given: readonly string[] | null,
  tunnels: readonly TunnelConfiguration[],
  problems: Problems,
): readonly ListenAddress[] {
  if (given === null) return defaultListen(tunnels);
  const listen = given.flatMap((address) => parseListen(address) ?? []);
  for (const [index, one] of listen.entries()) {
    for (const other of listen.slice(index + 1)) checkPair(one, other, problems);
  }
  return listen;
}

function checkPair(one: ListenAddress, other: ListenAddress, problems: Problems): void {
  if (one.port !== other.port || familyOf(one.address) !== familyOf(other.address)) return;
  const place = ["lcce", "listen"];
  if (one.address === other.address) problems.error(place, "the same address twice");
  else if (one.port === 0 && [one, other].some(({ address }) => isAnyAddress(address))) {
    // The kernel gives a control connection request over IP to one of the two, and so refuses the second.
    problems.error(place, `over IP ${anyAddress(familyOf(one.address))} leaves nothing for another address beside it`);
  }
}

/** What of it is listened for in a network namespace; `undefined`: the daemon's own, for which a given `listen` always holds. */
export function listenWithin(
  {
    lcce: { listen },
    tunnels,
    given,
  }: Pick<Site, "tunnels" | "given"> & { readonly lcce: Pick<Site["lcce"], "listen"> },
  netns: string | undefined,
): readonly ListenAddress[] {
  const here = tunnels.filter((tunnel) => tunnel.netns === netns);
  if (!given.has("lcce.listen")) return defaultListen(here);
  return netns === undefined || here.some(isOpenedTo) ? listen : [];
}

/** Whether a peer may open it: nobody opens what is typed in. One that only opens hears there that its peer has come. */
export function isOpenedTo(tunnel: TunnelConfiguration): boolean {
  return tunnel.static === undefined;
}

/** Any address, of the encapsulations and IP versions that peers may come by. */
function defaultListen(tunnels: readonly TunnelConfiguration[]): readonly ListenAddress[] {
  const wanted = tunnels.filter(isOpenedTo).flatMap((tunnel) => {
    const port = tunnel.encapsulation === "ip" ? 0 : L2TP_PORT;
    return familiesOf(tunnel).map((family) => ({ address: anyAddress(family), port }));
  });
  const distinct = new Map(wanted.map((each) => [`${each.address} ${each.port}`, each]));
  return [...distinct.values()];
}

/** The IP versions that a tunnel's peer may have; a DNS name, and whoever comes, may have either. */
function familiesOf({ peer, local }: TunnelConfiguration): readonly (4 | 6)[] {
  const address = canonicalAddress(peer ?? "");
  const family = familyOfLocal(local) ?? (address === undefined ? undefined : familyOf(address));
  return family === undefined ? [4, 6] : [family];
}

/** Whether a peer's control connection request can arrive. */
export function canBeReached(tunnel: TunnelConfiguration, listen: readonly ListenAddress[]): boolean {
  const families = familiesOf(tunnel);
  return listen.some(
    (each) => encapsulationOf(each) === tunnel.encapsulation && families.includes(familyOf(each.address)),
  );
}
