import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { addressOfInterface } from "../kernel/addresses.ts";
import { KernelError } from "../kernel/kernel-error.ts";
import { IPPROTO_L2TP, IPPROTO_UDP } from "../kernel/libc.ts";
import { inNamespace } from "../kernel/netns.ts";
import { ANYWHERE, placed } from "../kernel/placement.ts";
import { sourceAddressTo } from "../kernel/route-source.ts";
import * as sockets from "../kernel/sockets.ts";
import { listPolicies, type PacketFlow, type Policy, protectionFlaw, verdictFor } from "../kernel/xfrm.ts";
import type { PeerFacts, RouteTrouble } from "./peers.ts";
import { addressesByInterface } from "./place.ts";
import type { Plan } from "./plan.ts";

type Tunnel = Plan["tunnels"][number];

const DNS_TIMEOUT_MS = 5_000;

/** Looks up every peer, and asks the kernel for the way to it. Sends nothing to it. Never rejects. */
export async function askPeers({ tunnels }: Plan): Promise<Map<string, PeerFacts>> {
  const namespaces = new Set(tunnels.map(({ netns }) => netns));
  const policies = new Map(Array.from(namespaces, (netns) => [netns, readPolicies(netns)]));
  const answers = await Promise.all(
    tunnels.map(async (tunnel) => [tunnel.name, await askPeer(tunnel, policies.get(tunnel.netns))] as const),
  );
  return new Map(answers);
}

type Policies = readonly Policy[] | { readonly error: string } | undefined;

async function askPeer(tunnel: Tunnel, policies: Policies): Promise<PeerFacts> {
  const { addresses, dnsError } = await resolvePeer(tunnel);
  const [first] = addresses;
  if (first === undefined) return { addresses, dnsError, route: undefined, ipsec: undefined };
  const route = routeTo(first, tunnel);
  const flow = flowTo(first, tunnel, route);
  return {
    addresses,
    dnsError,
    route,
    ipsec: isList(policies) ? IPSEC[verdictFor(policies, flow, "out")] : policies,
    ipsecFlaw: isList(policies) ? protectionFlaw(policies, flow) : undefined,
  };
}

const IPSEC = { transform: "protected", block: "discarded", pass: "none", none: "none" } as const;

/** What the tunnel sends, as far as it is known before it is sent. */
function flowTo(address: string, tunnel: Tunnel, route: PeerFacts["route"]): PacketFlow {
  const { encapsulation, local, localPort, peerPort } = tunnel;
  const from = isIP(local) !== 0 ? local : route !== undefined && "local" in route ? route.local : undefined;
  return encapsulation === "ip"
    ? { protocol: IPPROTO_L2TP, local: { address: from, port: 0 }, remote: { address, port: 0 } }
    : { protocol: IPPROTO_UDP, local: { address: from, port: localPort }, remote: { address, port: peerPort } };
}

/** In this process's own namespace, as the daemon does it. A local address says which IP version is meant. */
async function resolvePeer({ peer, local }: Tunnel): Promise<Pick<PeerFacts, "addresses" | "dnsError">> {
  if (peer === undefined) return { addresses: [], dnsError: undefined };
  if (isIP(peer) !== 0) return { addresses: [peer], dnsError: undefined };
  const timeout = AbortSignal.timeout(DNS_TIMEOUT_MS);
  const late = new Promise<never>((_, reject) => {
    timeout.addEventListener("abort", () => reject(new Error("no answer in time")));
  });
  try {
    const found = await Promise.race([lookup(peer, { all: true, family: isIP(local) }), late]);
    return { addresses: found.map(({ address }) => address), dnsError: undefined };
  } catch (error) {
    return { addresses: [], dnsError: error instanceof Error ? error.message : String(error) };
  }
}

/** Connecting a UDP socket asks for the route, and sends nothing. */
function routeTo(address: string, tunnel: Tunnel): PeerFacts["route"] {
  const { netns, bindDevice } = tunnel;
  let fd = -1;
  try {
    const from = inNamespace(netns, () => sourceOf(tunnel, address));
    placed({ ...ANYWHERE, netns, bindDevice }, () => {
      fd = sockets.openConnectionSocket({ local: { address: from, port: 0 } });
    });
    sockets.connectSocket(fd, { address, port: 9 });
    const local = sockets.localAddress(fd).address;
    return { mtu: sockets.pathMtu(fd), local, device: inNamespace(netns, () => deviceTo(address, tunnel)) };
  } catch (error) {
    return { error: reasonOf(error), lacks: lackOf(error) };
  } finally {
    if (fd >= 0) sockets.close(fd);
  }
}

/** The configured address, or any where none is, or where freebind does not wait for it. */
function sourceOf({ local, freebind }: Tunnel, peer: string): string {
  const family = isIP(peer) === 4 ? 4 : 6;
  const any = family === 4 ? "0.0.0.0" : "::";
  if (local.startsWith("@")) return addressOfInterface(local.slice(1), family);
  if (isIP(local) !== family) return any;
  return freebind && deviceOf(local) === undefined ? any : local;
}

/** By its address: what is sent from another one, such as that of lo, leaves by the same interface. */
function deviceTo(address: string, { bindDevice }: Tunnel): string | undefined {
  try {
    return deviceOf(sourceAddressTo(address, bindDevice));
  } catch {
    return undefined;
  }
}

function deviceOf(address: string): string | undefined {
  return [...addressesByInterface()].find(([, addresses]) => addresses.includes(address))?.[0];
}

/** Without the socket that only asks. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/^cannot (?:bind|connect) to UDP \S+: /, "") : String(error);
}

function lackOf(error: unknown): RouteTrouble["lacks"] {
  if (!(error instanceof KernelError)) return "route";
  if (isRefusal(error)) return "rights";
  return LACKS[`${error.command} ${error.errno}`] ?? LACKS[error.command] ?? "route";
}

/** By what failed. */
const LACKS: Readonly<Record<string, RouteTrouble["lacks"]>> = {
  setns: "namespace",
  setsockopt: "device",
  bind: "local",
  "connect ENODEV": "link",
  "connect EINVAL": "source",
};

function isRefusal(error: unknown): boolean {
  // EACCES of connect is the answer of a route or a firewall.
  return (
    error instanceof KernelError && (error.errno === "EPERM" || (error.errno === "EACCES" && error.command === "setns"))
  );
}

/** `undefined`: may not be read. A kernel without IPsec has no policies. */
function readPolicies(netns: string | undefined): Policies {
  try {
    return inNamespace(netns, listPolicies);
  } catch (error) {
    if (error instanceof KernelError && error.errno === "EPROTONOSUPPORT") return [];
    return isRefusal(error) ? undefined : { error: error instanceof Error ? error.message : String(error) };
  }
}

function isList(policies: Policies): policies is readonly Policy[] {
  return Array.isArray(policies);
}
