import type { DeviceFact } from "../kernel/devices.ts";
import { type Finding, finding, hidden, ok } from "./finding.ts";
import { checkMtu } from "./mtu.ts";
import type { Plan } from "./plan.ts";

/** What is known of the way to one tunnel's peer. */
export interface PeerFacts {
  /** The addresses of the peer: what DNS says, or the configured one. */
  readonly addresses: readonly string[];
  /** Why the name cannot be resolved. */
  readonly dnsError: string | undefined;
  /** Of the route to the first address. */
  readonly route:
    | { readonly mtu: number; readonly local: string; readonly device: string | undefined }
    | RouteTrouble
    | undefined;
  /** IPsec policies for what is sent to the first address; `undefined`: may not be looked at. */
  readonly ipsec: "protected" | "discarded" | "none" | { readonly error: string } | undefined;
  /** What is missing for IPsec to protect both ways; `undefined`: nothing, or not known. */
  readonly ipsecFlaw?: string | undefined;
}

/**
 * Why there is no answer, and for want of what: the tunnel's network namespace, its bind_device, its local address, the
 * interface of a link-local peer, a local address that reaches the peer, rights, or a route.
 */
export interface RouteTrouble {
  readonly error: string;
  readonly lacks: "namespace" | "device" | "local" | "link" | "source" | "rights" | "route";
}

type Tunnel = Plan["tunnels"][number];

/** By network namespace and name; none of one that could not be looked at. */
type DevicesOf = (netns: string | undefined) => ReadonlyMap<string, DeviceFact>;

/** DNS, route, MTU and IPsec for each peer. A tunnel without `peer` has nothing to be looked at. */
export function checkPeers(
  peers: ReadonlyMap<string, PeerFacts>,
  { tunnels }: Plan,
  devicesOf: DevicesOf = () => new Map(),
): Finding[] {
  return tunnels.flatMap((tunnel) => {
    const facts = peers.get(tunnel.name);
    if (tunnel.peer === undefined || facts === undefined) return [];
    const dns = checkDns(tunnel.name, tunnel.peer, facts);
    if (facts.addresses.length === 0) return dns;
    return [
      ...dns,
      checkRoute(tunnel, facts),
      ...checkWay(tunnel, facts, devicesOf),
      checkIpsec(tunnel, facts),
      ...checkSecret(tunnel, facts),
    ];
  });
}

function checkDns(name: string, peer: string, { addresses, dnsError }: PeerFacts): Finding[] {
  const check = `DNS of tunnel ${name}`;
  if (dnsError !== undefined) {
    const advice = "mend the name or the resolver; the daemon looks it up again for every attempt";
    return [finding(check, "error", `${peer} cannot be resolved: ${dnsError}`, advice)];
  }
  return addresses.includes(peer) ? [] : [ok(check, `${peer} is ${addresses.join(", ")}`)];
}

const ROUTE_ADVICE: Readonly<Record<RouteTrouble["lacks"], string>> = {
  namespace: "see its network namespace above; without it nothing can be said of the route",
  device: "see bind_device above; without it nothing can be said of the route",
  local: "see its local address above; without it nothing can be said of the route",
  link: "make or mend that interface; the daemon waits for it",
  source: "give local an address that reaches the peer, or leave it out",
  rights: "run l2tpv3-lcc doctor as root",
  route: "add a route; the daemon waits for it",
};

function checkRoute({ name, local }: Tunnel, { addresses, route }: PeerFacts): Finding {
  const check = `route of tunnel ${name}`;
  if (route === undefined) return finding(check, "note", "could not be looked at", "see ip route get");
  if ("error" in route) {
    const status = route.lacks === "rights" ? "note" : "warning";
    const [peer = ""] = addresses;
    const from = local === "auto" ? "" : ` from ${local}`;
    const advice = ROUTE_ADVICE[route.lacks].replace("that interface", `interface ${peer.split("%")[1]}`);
    return finding(check, status, `${peer}${from}: ${route.error}`, advice);
  }
  const device = route.device === undefined ? "" : ` by ${route.device}`;
  return ok(check, `${addresses[0]} from ${route.local}${device}, MTU ${route.mtu}`);
}

function checkWay(tunnel: Tunnel, { addresses, route, ipsec }: PeerFacts, devicesOf: DevicesOf): Finding[] {
  if (route === undefined || "error" in route) return [];
  const way = { address: addresses[0] ?? "", mtu: route.mtu, isProtected: ipsec === "protected" };
  return checkMtu(tunnel, way, devicesOf(tunnel.netns));
}

/** RFC 3931 4.3, 8.1: without authentication whoever can forge the peer's address can end the tunnel. */
function checkSecret(tunnel: Tunnel, { ipsec }: PeerFacts): Finding[] {
  const { name, authentication, requireIpsec } = tunnel;
  const isProven = authentication.secrets.some(({ length }) => length > 0);
  if (tunnel.static !== undefined || isProven || requireIpsec || ipsec === "protected") return [];
  const found = "no secret: whoever can send under the peer's address can close it, or open it in the peer's place";
  return [
    finding(`authentication of tunnel ${name}`, "warning", found, "give both ends the same secret, or use IPsec"),
  ];
}

function checkIpsec({ name, requireIpsec }: Tunnel, { ipsec, ipsecFlaw }: PeerFacts): Finding {
  const check = `IPsec of tunnel ${name}`;
  if (requireIpsec && ipsecFlaw !== undefined) {
    const advice = "start what negotiates IPsec, or add the policies (ip xfrm policy); the daemon waits for them";
    return finding(check, "error", `require_ipsec: ${ipsecFlaw}`, advice);
  }
  if (typeof ipsec === "object") {
    return finding(check, "note", `the IPsec policies could not be looked at: ${ipsec.error}`, "see ip xfrm policy");
  }
  switch (ipsec) {
    case "protected":
      return ok(check, "a policy protects what is sent to the peer");
    case "discarded":
      return finding(check, "error", "a policy discards what is sent to the peer", "see ip xfrm policy");
    case "none":
      return finding(
        check,
        "note",
        "no IPsec policy: the data in this tunnel is not protected",
        "over networks that you do not trust add IPsec in transport mode (RFC 3931 8.1)",
      );
    case undefined:
      return hidden(check, "the IPsec policies");
  }
}
