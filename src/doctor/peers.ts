import { type Finding, finding, hidden, ok } from "./finding.ts";
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
    | { readonly error: string }
    | undefined;
  /** IPsec policies for what is sent to the first address; `undefined`: could not be looked at. */
  readonly ipsec: "protected" | "discarded" | "none" | undefined;
}

type Tunnel = Plan["tunnels"][number];

const UDP_HEADER = 8;
const ETHERNET_HEADER = 14;

/** DNS, route, MTU and IPsec for each peer. A tunnel without `peer` has nothing to be looked at. */
export function checkPeers(peers: ReadonlyMap<string, PeerFacts>, { tunnels }: Plan): Finding[] {
  return tunnels.flatMap((tunnel) => {
    const facts = peers.get(tunnel.name);
    if (tunnel.peer === undefined || facts === undefined) return [];
    const dns = checkDns(tunnel.name, tunnel.peer, facts);
    if (facts.addresses.length === 0) return dns;
    return [...dns, checkRoute(tunnel, facts), ...checkMtu(tunnel, facts), checkIpsec(tunnel, facts)];
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

function checkRoute({ name }: Tunnel, { addresses, route }: PeerFacts): Finding {
  const check = `route of tunnel ${name}`;
  if (route === undefined) return finding(check, "note", "could not be looked at", "see ip route get");
  if ("error" in route) {
    return finding(check, "warning", `${addresses[0]}: ${route.error}`, "add a route; the daemon waits for it");
  }
  const device = route.device === undefined ? "" : ` by ${route.device}`;
  return ok(check, `${addresses[0]} from ${route.local}${device}, MTU ${route.mtu}`);
}

/** Octets around an inner Ethernet payload (RFC 3931 4.1): outer headers, L2TP, cookie, sublayer, inner header. */
function overhead(tunnel: Tunnel, session: Tunnel["sessions"][number], address: string): number {
  const ip = address.includes(":") ? 40 : 20;
  const udp = tunnel.encapsulation === "udp" ? UDP_HEADER + 4 : 0;
  const sublayer = session.l2Sublayer === "default" ? 4 : 0;
  return ip + udp + 4 + session.cookieSize + sublayer + ETHERNET_HEADER;
}

function checkMtu(tunnel: Tunnel, { addresses, route }: PeerFacts): Finding[] {
  if (route === undefined || "error" in route) return [];
  return tunnel.sessions.map((session) => {
    const check = `MTU of session ${tunnel.name}/${session.name}`;
    const room = route.mtu - overhead(tunnel, session, addresses[0] ?? "");
    if (session.mtu === "auto") {
      if (room >= 1500) return ok(check, `auto: ${room}`);
      const advice = "give every device in this segment that MTU, or raise the MTU of the path";
      return finding(check, "note", `auto: about ${room}, less than the 1500 of Ethernet`, advice);
    }
    if (session.mtu <= room) return ok(check, `${session.mtu} of ${room}`);
    const advice = `set mtu = "auto" or ${room} at most, or raise the MTU of the path by ${session.mtu - room}`;
    return finding(check, "warning", `${session.mtu}, but the route leaves room for ${room}: packets fragment`, advice);
  });
}

function checkIpsec({ name }: Tunnel, { ipsec }: PeerFacts): Finding {
  const check = `IPsec of tunnel ${name}`;
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
