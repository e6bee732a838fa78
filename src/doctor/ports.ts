import { isIP } from "node:net";
import { type Finding, finding, ok } from "./finding.ts";
import type { Plan } from "./plan.ts";

/** A UDP socket, or a raw one of protocol 115, in a network namespace. */
export interface SocketFact {
  readonly protocol: "udp" | "ip";
  readonly address: string;
  /** 0 for protocol 115. */
  readonly port: number;
  /** Whose it is; `undefined`: a process that could not be looked at. */
  readonly owner: { readonly pid: number; readonly command: string } | undefined;
}

export interface PortFacts {
  readonly sockets: readonly SocketFact[];
  /** How many sockets of L2TP over IP there are, by IP version; whose and where cannot be seen. */
  readonly l2tpIpSockets: { readonly 4: number; readonly 6: number };
  /** Addresses of this machine's interfaces. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** One answers on the admin socket. */
  readonly daemonRuns: boolean;
}

const ANY = ["0.0.0.0", "::"];
/** As it is installed, or out of the source tree. */
const OUR_PROGRAM = /l2tpv3-lcc|\/main\.[jt]s$/;

type Listen = Plan["lcce"]["listen"][number];

/** Whether the daemon can have its addresses and ports, and who has them. */
export function checkPorts(facts: PortFacts, plan: Plan): Finding[] {
  const listeners = plan.lcce.listen.map((listen) =>
    listen.port === 0
      ? checkProtocol(listen, facts, { freebind: plan.lcce.freebind })
      : checkPort(listen, facts, plan.lcce.freebind),
  );
  return [...listeners, ...checkTunnelPorts(facts, plan), ...checkLocalAddresses(facts, plan)];
}

/** A place that is to be bound, and what is to be said where somebody else has it. */
interface Claim extends Listen {
  readonly check: string;
  readonly taken: "warning" | "error";
  readonly advice: string;
}

function checkPort(listen: Listen, facts: PortFacts, freebind: boolean): Finding {
  const advice = "stop that program, or give [lcce] listen another address or port";
  const claim = { ...listen, check: `port udp ${written(listen)}`, taken: "error", advice } as const;
  return (
    checkTaken(claim, facts) ??
    (hasAddress(facts, listen.address) ? ok(claim.check, "free") : absent({ ...claim, freebind }))
  );
}

/** `undefined`: nobody has it. */
function checkTaken({ check, address, port, taken: status, advice }: Claim, facts: PortFacts): Finding | undefined {
  const taken = facts.sockets.filter((socket) => socket.protocol === "udp" && socket.port === port);
  const competing = taken.filter((socket) => overlaps(socket.address, address));
  if (competing.length > 0) {
    const who = owners(competing);
    const known = competing.every((socket) => socket.owner === undefined || isOurs(socket));
    if (facts.daemonRuns && known) return ok(check, `in use by the daemon that runs (${who})`);
    return finding(check, status, `in use by ${who}`, advice);
  }
  // A socket of IPv6 takes IPv4 too, unless it is told not to, which cannot be seen. Ours are.
  const dual = taken.filter((socket) => socket.address === "::" && !isIpv6(address) && !isOurs(socket));
  if (dual.length === 0) return undefined;
  return finding(check, "warning", `${owners(dual)} has [::]:${port}, and with it perhaps IPv4`, advice);
}

/**
 * What tunnels bind themselves, where the check of a listener does not answer for it. A warning at most: such a socket may
 * stand beside one of a program that shares its port (SO_REUSEADDR), which cannot be seen.
 */
function checkTunnelPorts(facts: PortFacts, { lcce, tunnels }: Plan): Finding[] {
  const opening = tunnels.filter(
    ({ role, peer, static: typedIn }) => peer !== undefined && (typedIn !== undefined || role !== "responder"),
  );
  return opening.flatMap((tunnel) => {
    const { encapsulation } = tunnel;
    const port = encapsulation === "ip" ? 0 : tunnel.localPort;
    if (encapsulation === "udp" && port === 0) return [];
    const claims = localAddresses(tunnel, facts).map((address) => ({ address, port }));
    const own = claims.filter((claim) => !lcce.listen.some((listen) => covers(listen, claim)));
    return own.map((claim) => checkTunnelPort(tunnel, claim, facts));
  });
}

function checkTunnelPort({ name, freebind }: Plan["tunnels"][number], place: Listen, facts: PortFacts): Finding {
  if (place.port === 0) return checkProtocol(place, facts, { of: ` of tunnel ${name}`, freebind });
  const check = `port udp ${written(place)} of tunnel ${name}`;
  const advice = "stop that program, or give the tunnel another local_port";
  return checkTaken({ ...place, check, taken: "warning", advice }, facts) ?? ok(check, "free");
}

/** "auto" binds any address of the peer's IP version, which is not known of a DNS name. */
function localAddresses({ local, peer = "" }: Plan["tunnels"][number], { addresses }: PortFacts): readonly string[] {
  const family = isIP(peer.split("%")[0] ?? "");
  if (local === "auto") return ANY.filter((any) => family === 0 || isIP(any) === family);
  if (!local.startsWith("@")) return [local];
  const found = addresses.get(local.slice(1)) ?? [];
  return found.filter((address) => family === 0 || isIpv6(address) === (family === 6)).slice(0, 1);
}

function covers(listen: Listen, { address, port }: Listen): boolean {
  const isWider = ANY.includes(listen.address) && isIpv6(listen.address) === isIpv6(address);
  return listen.port === port && (listen.address === address || isWider);
}

function written({ address, port }: Listen): string {
  return `${isIpv6(address) ? `[${address}]` : address}:${port}`;
}

/** L2TP over IP (RFC 3931 4.1.1) has one listener for an address, and no table says who that is. */
function checkProtocol(
  listen: Listen,
  facts: PortFacts,
  { of = "", freebind }: { readonly of?: string; readonly freebind: boolean },
): Finding {
  const { address } = listen;
  const check = `protocol 115 at ${address}${of}`;
  const raw = facts.sockets.filter(
    (socket) => socket.protocol === "ip" && isIpv6(socket.address) === isIpv6(address) && !isOurs(socket),
  );
  if (raw.length > 0) {
    const found = `${owners(raw)} reads protocol 115 by a raw socket, and answers what is for us too`;
    return finding(check, "warning", found, "stop that program");
  }
  const others = facts.l2tpIpSockets[isIpv6(address) ? 6 : 4];
  if (others > 0 && !facts.daemonRuns) {
    const found = `sockets of L2TP over IP: ${others}, of tunnels or of a program that cannot be seen`;
    return finding(
      check,
      "note",
      found,
      "if the daemon cannot have its own, look for a second one, and at ip l2tp show tunnel",
    );
  }
  return hasAddress(facts, address) ? ok(check, "nothing is in the way") : absent({ check, address, freebind });
}

function isIpv6(address: string): boolean {
  return address.includes(":");
}

/** Ours of IPv6 take no IPv4. The tables know no links: fe80::1 stands for fe80::1%eth0. */
function overlaps(one: string, other: string): boolean {
  if (isIpv6(one) !== isIpv6(other)) return false;
  return one === other.split("%")[0] || ANY.includes(one) || ANY.includes(other);
}

function isOurs({ owner }: SocketFact): boolean {
  return owner !== undefined && OUR_PROGRAM.test(owner.command);
}

function owners(sockets: readonly SocketFact[]): string {
  return [...new Set(sockets.map(describeOwner))].join(", ");
}

function describeOwner({ owner }: SocketFact): string {
  return owner === undefined ? "a process that only root may look at" : `pid ${owner.pid} (${owner.command})`;
}

function hasAddress({ addresses }: PortFacts, address: string): boolean {
  return ANY.includes(address) || [...addresses.values()].some((list) => list.includes(address));
}

interface Absence {
  readonly check: string;
  readonly address: string;
  readonly freebind: boolean;
}

function absent({ check, address, freebind }: Absence): Finding {
  const found = `no interface of this machine has the address ${address}`;
  const add = "add the address to an interface";
  return freebind
    ? finding(check, "note", found, `${add}; with freebind the daemon binds without it`)
    : finding(check, "warning", found, `${add}; the daemon waits for it, or binds at once with freebind = true`);
}

function checkLocalAddresses(facts: PortFacts, { tunnels }: Plan): Finding[] {
  return tunnels.flatMap(({ name, local, freebind }) => {
    const check = `local address of tunnel ${name}`;
    if (local === "auto") return [];
    if (!local.startsWith("@"))
      return [hasAddress(facts, local) ? ok(check, local) : absent({ check, address: local, freebind })];
    const found = facts.addresses.get(local.slice(1)) ?? [];
    if (found.length > 0) return [ok(check, `${local}: ${found.join(", ")}`)];
    const advice = "add an address; the daemon waits for it";
    return [finding(check, "warning", `interface ${local.slice(1)} is missing, or has no address`, advice)];
  });
}
