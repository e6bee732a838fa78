import { type Finding, finding, ok } from "./finding.ts";
import type { Plan } from "./plan.ts";

/** A UDP socket, or a raw one of protocol 115, in this network namespace. */
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
  /** Addresses of this machine's interfaces. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** One answers on the admin socket. */
  readonly daemonRuns: boolean;
}

const ANY = ["0.0.0.0", "::"];
/** As it is installed, or out of the source tree. */
const OUR_PROGRAM = /l2tpv3-lcc|\/main\.[jt]s$/;

/** Whether the daemon can have its addresses and ports, and who has them. */
export function checkPorts(facts: PortFacts, plan: Plan): Finding[] {
  return [...plan.lcce.listen.map((listen) => checkPort(listen, facts)), ...checkLocalAddresses(facts, plan)];
}

function checkPort({ address, port }: { readonly address: string; readonly port: number }, facts: PortFacts): Finding {
  const check = `port udp ${address}:${port}`;
  const taken = facts.sockets.filter((socket) => socket.protocol === "udp" && socket.port === port);
  const competing = taken.filter((socket) => overlaps(socket.address, address));
  if (competing.length === 0) {
    return hasAddress(facts, address) ? ok(check, "free") : absent(check, address);
  }
  const who = [...new Set(competing.map(describeOwner))].join(", ");
  const isOurs = competing.every(({ owner }) => owner === undefined || OUR_PROGRAM.test(owner.command));
  if (facts.daemonRuns && isOurs) return ok(check, `in use by the daemon that runs (${who})`);
  const advice = "stop that program, or give [lcce] listen another address or port";
  return finding(check, "error", `in use by ${who}`, advice);
}

function overlaps(one: string, other: string): boolean {
  return one === other || ANY.includes(one) || ANY.includes(other);
}

function describeOwner({ owner }: SocketFact): string {
  return owner === undefined ? "a process that only root may look at" : `pid ${owner.pid} (${owner.command})`;
}

function hasAddress({ addresses }: PortFacts, address: string): boolean {
  return ANY.includes(address) || [...addresses.values()].some((list) => list.includes(address));
}

function absent(check: string, address: string): Finding {
  const advice = "add the address to an interface; the daemon waits for it, or binds at once with freebind = true";
  return finding(check, "warning", `no interface of this machine has the address ${address}`, advice);
}

function checkLocalAddresses(facts: PortFacts, { tunnels }: Plan): Finding[] {
  return tunnels.flatMap(({ name, local }) => {
    const check = `local address of tunnel ${name}`;
    if (local === "auto") return [];
    if (!local.startsWith("@")) return [hasAddress(facts, local) ? ok(check, local) : absent(check, local)];
    const found = facts.addresses.get(local.slice(1)) ?? [];
    if (found.length > 0) return [ok(check, `${local}: ${found.join(", ")}`)];
    const advice = "add an address; the daemon waits for it";
    return [finding(check, "warning", `interface ${local.slice(1)} is missing, or has no address`, advice)];
  });
}
