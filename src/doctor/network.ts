import { isIP } from "node:net";
import { type Datagram, type Doubt, judge } from "./filter.ts";
import { type Finding, finding, hidden, ok } from "./finding.ts";
import { parseIptables } from "./iptables-rules.ts";
import { parseNft } from "./nft-rules.ts";
import { type Plan, sessionsOf } from "./plan.ts";

export interface NetworkFacts {
  /** Files below /proc/sys/net by their path there: "ipv4/ip_forward". Those that there are. */
  readonly settings: ReadonlyMap<string, string>;
  /** Interfaces that datagrams of peers may come by. */
  readonly devices: readonly string[];
  /** Or the other network namespace, where it was not looked at. */
  readonly firewall: readonly FirewallFacts[] | { readonly netns: string };
}

export interface FirewallFacts {
  /** ip6tables: of IPv6 alone. */
  readonly tool: "nft" | "iptables" | "ip6tables";
  /** What the tool prints of its rules; `undefined`: it may not; or what it complains of. */
  readonly rules: string | { readonly error: string } | undefined;
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
  if ("netns" in firewall) {
    const { netns } = firewall;
    const into = netns.startsWith("/") ? `nsenter --net=${netns}` : `ip netns exec ${netns}`;
    return [finding("firewall", "note", "not looked at in another network namespace", `${into} nft list ruleset`)];
  }
  if (firewall.length === 0) return [ok("firewall", "neither nft nor iptables is installed")];
  const relevant = firewall.filter(({ tool }) => tool !== "ip6tables" || mayUseIpv6(plan));
  return relevant.map(({ tool, rules }) => {
    const check = `firewall ${tool}`;
    if (rules === undefined) return hidden(check, `the rules of ${tool}`);
    if (typeof rules === "object") {
      const found = `the rules of ${tool} could not be looked at: ${rules.error}`;
      return finding(check, "note", found, `look at what ${tool} says`);
    }
    const filter = tool === "nft" ? parseNft(rules) : parseIptables(rules, tool === "iptables" ? [4] : [6]);
    return judged(
      check,
      datagramsOf(plan).flatMap((datagram) => judge(filter, datagram)),
    );
  });
}

function judged(check: string, doubts: readonly Doubt[]): Finding {
  const found = [...new Set(doubts.map((doubt) => doubt.found))].join("; ");
  if (found === "") return ok(check, "no rule drops what peers send");
  const advice = "let in UDP from the peers to your listen ports (1701), or protocol 115 where that is used";
  return finding(check, doubts.some(({ status }) => status === "warning") ? "warning" : "note", found, advice);
}

/** A name may stand for such an address, and so may whoever comes. */
function mayUseIpv6({ lcce, tunnels }: Plan): boolean {
  return lcce.listen.some(({ address }) => address.includes(":")) || tunnels.some(({ peer }) => peer?.includes(":"));
}

/** What peers begin with: one datagram of each, and where whoever comes may, one of nobody in particular. */
function datagramsOf(plan: Plan): Datagram[] {
  const families = mayUseIpv6(plan) ? ([4, 6] as const) : ([4] as const);
  const listening = new Set(plan.lcce.listen.map(({ port }) => port).filter((port) => port !== 0));
  const expected = plan.tunnels.flatMap(({ peer, encapsulation, localPort }): Datagram[] => {
    const source = peer?.split("%")[0] ?? "";
    const own = isIP(source) === 0 ? families : ([isIP(source) === 4 ? 4 : 6] as const);
    const ports = new Set([...listening, localPort]);
    const protocol = encapsulation === "ip" ? "l2tp" : "udp";
    return own.map((family) => ({ family, protocol, source: isIP(source) === 0 ? undefined : source, ports }));
  });
  const anyone = plan.lcce.listen.map(({ address, port }): Datagram => {
    const family = address.includes(":") ? 6 : 4;
    return { family, protocol: port === 0 ? "l2tp" : "udp", source: undefined, ports: listening };
  });
  const missing = anyone.filter((one) => !expected.some(({ family }) => family === one.family));
  return [...expected, ...missing];
}
