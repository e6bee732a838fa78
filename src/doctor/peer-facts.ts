import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { KernelError } from "../kernel/kernel-error.ts";
import * as sockets from "../kernel/sockets.ts";
import { type OutgoingPolicy, outgoingPolicies, verdictFor } from "../kernel/xfrm.ts";
import type { PeerFacts } from "./peers.ts";
import type { Plan } from "./plan.ts";

type Tunnel = Plan["tunnels"][number];

const DNS_TIMEOUT_MS = 5_000;
const IPPROTO_UDP = 17;
const IPPROTO_L2TP = 115;

/** Looks up every peer, and asks the kernel for the way to it. Sends nothing to it. Never rejects. */
export async function askPeers({ tunnels }: Plan): Promise<Map<string, PeerFacts>> {
  const policies = readPolicies();
  const answers = await Promise.all(
    tunnels.map(async (tunnel) => [tunnel.name, await askPeer(tunnel, policies)] as const),
  );
  return new Map(answers);
}

async function askPeer(tunnel: Tunnel, policies: readonly OutgoingPolicy[] | undefined): Promise<PeerFacts> {
  const { addresses, dnsError } = await resolvePeer(tunnel.peer);
  const [first] = addresses;
  if (first === undefined) return { addresses, dnsError, route: undefined, ipsec: undefined };
  const protocol = String(tunnel.encapsulation) === "ip" ? IPPROTO_L2TP : IPPROTO_UDP;
  const to = { address: first, protocol, port: tunnel.peerPort };
  return { addresses, dnsError, route: routeTo(first), ipsec: policies && verdictFor(policies, to) };
}

async function resolvePeer(peer: string | undefined): Promise<Pick<PeerFacts, "addresses" | "dnsError">> {
  if (peer === undefined) return { addresses: [], dnsError: undefined };
  if (isIP(peer) !== 0) return { addresses: [peer], dnsError: undefined };
  const timeout = AbortSignal.timeout(DNS_TIMEOUT_MS);
  const late = new Promise<never>((_, reject) => {
    timeout.addEventListener("abort", () => reject(new Error("no answer in time")));
  });
  try {
    const found = await Promise.race([lookup(peer, { all: true }), late]);
    return { addresses: found.map(({ address }) => address), dnsError: undefined };
  } catch (error) {
    return { addresses: [], dnsError: error instanceof Error ? error.message : String(error) };
  }
}

/** Connecting a UDP socket asks for the route, and sends nothing. */
function routeTo(address: string): PeerFacts["route"] {
  if (isIP(address) !== 4) return undefined;
  const fd = sockets.openConnectionSocket({ local: { address: "0.0.0.0", port: 0 } });
  try {
    sockets.connectSocket(fd, { address, port: 9 });
    const local = sockets.localAddress(fd).address;
    return { mtu: sockets.pathMtu(fd), local, device: deviceOf(local) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  } finally {
    sockets.close(fd);
  }
}

function deviceOf(address: string): string | undefined {
  const devices = addressesByInterface(networkInterfaces());
  return [...devices].find(([, addresses]) => addresses.includes(address))?.[0];
}

/** `undefined`: may not be read. A kernel without IPsec has no policies. */
function readPolicies(): OutgoingPolicy[] | undefined {
  try {
    return outgoingPolicies();
  } catch (error) {
    const lacks = error instanceof KernelError && error.errno === "EPROTONOSUPPORT";
    return lacks ? [] : undefined;
  }
}

export function addressesByInterface(
  found: Readonly<Record<string, NetworkInterfaceInfo[] | undefined>>,
): Map<string, readonly string[]> {
  return new Map(Object.entries(found).map(([device, infos]) => [device, (infos ?? []).map(({ address }) => address)]));
}
