import { type Finding, finding, hidden, ok } from "./finding.ts";
import { type Plan, sessionsOf } from "./plan.ts";

export interface NetworkFacts {
  /** Files below /proc/sys/net by their path there: "ipv4/ip_forward". Those that there are. */
  readonly settings: ReadonlyMap<string, string>;
  /** Interfaces that datagrams of peers may come by. */
  readonly devices: readonly string[];
  /** `undefined`: of another network namespace, where it was not looked at. */
  readonly firewall: readonly FirewallFacts[] | undefined;
}

export interface FirewallFacts {
  /** ip6tables: of IPv6 alone. */
  readonly tool: "nft" | "iptables" | "ip6tables";
  /** What the tool prints of its rules; `undefined`: it may not. */
  readonly rules: string | undefined;
}

export function checkNetwork(facts: NetworkFacts, plan: Plan): Finding[] {
  return [...checkReversePath(facts), ...checkForwarding(facts, plan), ...checkFirewall(facts, plan)];
}

const STRICT = "1";

function checkReversePath({ settings, devices }: NetworkFacts): Finding[] {
  const all = settings.get("ipv4/conf/all/rp_filter") ?? "0";
  return devices.map((device) => {
    const check = `rp_filter of ${device}`;
    const own = settings.get(`ipv4/conf/${device}/rp_filter`) ?? "0";
    // The kernel takes the higher one.
    const value = Number(own) > Number(all) ? own : all;
    if (value !== STRICT) return ok(check, value === "0" ? "off" : "loose");
    return finding(
      check,
      "note",
      `strict: what comes from a peer whose route leads to another interface than ${device} is dropped`,
      `with more than one way to a peer: sysctl net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.${device}.rp_filter=2`,
    );
  });
}

const FORWARDING = [
  {
    check: "forwarding",
    file: "ipv4/ip_forward",
    key: "net.ipv4.ip_forward",
    uses: (address: string) => !address.includes(":"),
  },
  {
    check: "forwarding of IPv6",
    file: "ipv6/conf/all/forwarding",
    key: "net.ipv6.conf.all.forwarding",
    uses: (address: string) => address.includes(":"),
  },
] as const;

function checkForwarding({ settings }: NetworkFacts, plan: Plan): Finding[] {
  const sessions = sessionsOf(plan).map(({ session }) => session);
  const findings: Finding[] = [];
  const routed = sessions.flatMap(({ addresses }) => addresses);
  for (const { check, file, key, uses } of FORWARDING) {
    if (!routed.some(uses)) continue;
    if (settings.get(file) === "1") findings.push(ok(check, "on"));
    else {
      const advice = `to route for other machines through a pseudowire: sysctl ${key}=1`;
      findings.push(finding(check, "note", `${key} is off`, advice));
    }
  }
  if (sessions.some(({ bridge }) => bridge !== undefined) && settings.get("bridge/bridge-nf-call-iptables") === "1") {
    const advice = "unless that is wanted: sysctl net.bridge.bridge-nf-call-iptables=0";
    findings.push(finding("bridge filter", "note", "bridged IP packets pass the rules of iptables", advice));
  }
  return findings;
}

function checkFirewall({ firewall }: NetworkFacts, plan: Plan): Finding[] {
  if (firewall === undefined) {
    return [
      finding("firewall", "note", "not looked at in another network namespace", "ip netns exec NAME nft list ruleset"),
    ];
  }
  if (firewall.length === 0) return [ok("firewall", "neither nft nor iptables is installed")];
  const relevant = firewall.filter(({ tool }) => tool !== "ip6tables" || mayUseIpv6(plan));
  return relevant.map(({ tool, rules }) => {
    const check = `firewall ${tool}`;
    if (rules === undefined) return hidden(check, `the rules of ${tool}`);
    const suspects = tool === "nft" ? suspectsOfNft(rules, plan) : suspectsOfIptables(rules, plan);
    if (suspects.length === 0) return ok(check, "no rule that names L2TP drops it, and input is accepted by default");
    const advice = "let in UDP from the peers to your listen ports (1701), or protocol 115 where that is used";
    return finding(check, "warning", suspects.join("; "), advice);
  });
}

/** A name may stand for such an address, and so may whoever comes. */
function mayUseIpv6({ lcce, tunnels }: Plan): boolean {
  return lcce.listen.some(({ address }) => address.includes(":")) || tunnels.some(({ peer }) => peer?.includes(":"));
}

function portsOf({ lcce, tunnels }: Plan): Set<string> {
  return new Set([...lcce.listen, ...tunnels.map(({ localPort: port }) => ({ port }))].map(({ port }) => String(port)));
}

/** Rules that drop what we need, and chains of input that drop by default where no rule accepts it. */
function suspectsOfNft(rules: string, plan: Plan): string[] {
  const lines = rules.split("\n").map((line) => line.trim());
  const dropping = lines.filter((line) => /\b(drop|reject)\b/.test(line) && namesL2tp(line, plan));
  const closed = lines.some((line) => /hook input\b.*policy drop/.test(line));
  const accepts = lines.some((line) => /\baccept\b/.test(line) && namesL2tp(line, plan));
  if (closed && !accepts) dropping.push("input is dropped by default, and no rule accepts L2TP");
  return dropping;
}

function suspectsOfIptables(rules: string, plan: Plan): string[] {
  const lines = rules.split("\n");
  const inputs = lines.filter((line) => line.startsWith("-A INPUT ") && namesL2tp(line, plan));
  const dropping = inputs.filter((line) => /-j (DROP|REJECT)\b/.test(line));
  const closed = lines.some((line) => line.startsWith(":INPUT DROP") || line === "-P INPUT DROP");
  if (closed && !inputs.some((line) => / -j ACCEPT\b/.test(line))) {
    dropping.push("input is dropped by default, and no rule accepts L2TP");
  }
  return dropping;
}

/** A rule's text names one of our UDP ports, or protocol 115. */
function namesL2tp(rule: string, plan: Plan): boolean {
  if (/(?:^|\s)(?:-p|protocol|nexthdr|l4proto)\s+(?:115|l2tp)\b/.test(rule)) return true;
  if (/\btcp\b/.test(rule)) return false;
  const ports = /(?:--dports?|dport)\s+(\{[^}]*\}|\S+)/.exec(rule)?.[1] ?? "";
  return ports.split(/[^0-9a-z]+/).some((port) => port === "l2tp" || portsOf(plan).has(port));
}
