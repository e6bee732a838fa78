import { describe, expect, test } from "vitest";
import { checkNetwork, type FirewallFacts } from "../../../src/doctor/network.ts";
import { plan } from "./plans.ts";

type Status = "ok" | "note" | "warning";
const OVER_IP = 'encapsulation = "ip"';

/** The peer is 192.0.2.9, and sends to port 1701. */
function verdict(tool: FirewallFacts["tool"], rules: string, tunnel = ""): string | undefined {
  const facts = { settings: new Map(), devices: [], firewall: [{ tool, rules }] };
  return checkNetwork(facts, plan({ tunnel }))[0]?.status;
}

describe("nft", () => {
  const input = (rules: string, policy = "accept") =>
    `table inet f {\n\tchain input {\n\t\ttype filter hook input priority filter; policy ${policy};\n\t\t${rules}\n\t}\n}`;

  const OPEN: readonly (readonly [string, Status])[] = [
    ["", "ok"],
    ["udp dport 1701 drop", "warning"],
    ["udp dport { 500, 1701 } counter packets 0 bytes 0 reject", "warning"],
    ["tcp dport 1701 drop", "ok"],
    ["udp dport 11701 drop", "ok"],
    ["ip protocol 115 drop", "ok"],
    ["ct state invalid drop", "ok"],
    ["ip saddr 192.0.2.9 drop", "warning"],
    ["ip saddr 198.51.100.1 drop", "ok"],
    ["ip saddr @banned drop", "note"],
    ["reject with icmpx admin-prohibited", "warning"],
    ['counter packets 3 bytes 9 log prefix "drop " drop comment "the rest"', "warning"],
    ["udp dport { 500,\n\t\t\t 1701 } accept\ndrop", "ok"],
    ["udp dport 1700-1710 accept\ndrop", "ok"],
    ["ip saddr 192.0.2.9 accept\ndrop", "ok"],
    ["ip saddr 192.0.2.0/24 accept\ndrop", "ok"],
    ["ip saddr 198.51.100.1 accept\ndrop", "warning"],
    ["ip saddr @peers accept\ndrop", "note"],
    ['iifname "lo" accept\ndrop', "warning"],
    ['iifname "eth0" accept\ndrop', "note"],
    [
      "ct state established,related accept\ntcp dport 22 accept\nmeta l4proto { icmp, ipv6-icmp } accept\ndrop",
      "warning",
    ],
    ["ct state vmap { established : accept, related : accept, invalid : drop }\ndrop", "warning"],
    ["ct state vmap { invalid : drop, established : accept }\nudp dport 1701 accept\ndrop", "ok"],
  ];
  test.each(OPEN)("%s: %s", (rules, status) => expect(verdict("nft", input(rules))).toBe(status));

  const CLOSED: readonly (readonly [string, Status])[] = [
    ["", "warning"],
    ["udp dport l2tp accept", "ok"],
    ['iifname "eth0" udp dport 1701 accept', "ok"],
    ["ip saddr 192.0.2.9 accept", "ok"],
    ["udp dport 1000-2000 accept", "ok"],
    ["udp dport 1000-1700 accept", "warning"],
    ["meta l4proto udp udp dport 1701 counter packets 0 bytes 0 accept", "ok"],
  ];
  test.each(CLOSED)("policy drop, %s: %s", (rules, status) =>
    expect(verdict("nft", input(rules, "drop"))).toBe(status),
  );

  test.each(["ip protocol 115 drop", "meta l4proto l2tp drop"])("over IP, %s: warning", (rule) => {
    expect(verdict("nft", input(rule), OVER_IP)).toBe("warning");
    expect(verdict("nft", input("udp dport 1701 drop"), OVER_IP)).toBe("ok");
  });

  test("what is forwarded, or of another table's chain of that name, is something else", () => {
    const forward =
      "table inet f {\n chain forward {\n type filter hook forward priority 0; policy drop;\n udp dport 1701 drop\n }\n}";
    expect(verdict("nft", forward)).toBe("ok");
    expect(
      verdict("nft", `table ip6 x {\n chain input {\n type filter hook input priority 0; policy drop;\n }\n}`),
    ).toBe("ok");
  });

  const firewalld = (allowed: string) =>
    `table inet firewalld {
	chain filter_INPUT {
		type filter hook input priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
		ct state invalid drop
		jump filter_INPUT_ZONES
		reject with icmpx admin-prohibited
	}
	chain filter_INPUT_ZONES {
		iifname "eth0" goto filter_IN_public
		goto filter_IN_public
	}
	chain filter_IN_public {
		jump filter_IN_public_allow
		meta l4proto { icmp, ipv6-icmp } accept
		reject with icmpx admin-prohibited
	}
	chain filter_IN_public_allow {
		tcp dport 22 accept
		${allowed}
	}
}`;
  test("firewalld: its zones are gone through, and its end is found", () => {
    expect(verdict("nft", firewalld(""))).toBe("warning");
    expect(verdict("nft", firewalld("udp dport 1701 accept"))).toBe("ok");
  });
});

describe("iptables", () => {
  const RULES: readonly (readonly [string, Status])[] = [
    [":INPUT ACCEPT [0:0]", "ok"],
    ["-A INPUT -p udp -m udp --dport 1701 -j DROP", "warning"],
    ["-A OUTPUT -p udp -m udp --dport 1701 -j DROP", "ok"],
    ["-A FORWARD -j DROP", "ok"],
    [":INPUT DROP [0:0]", "warning"],
    [":INPUT DROP [0:0]\n-A INPUT -p udp -m udp --dport 1701 -j ACCEPT", "ok"],
    [":INPUT DROP [0:0]\n-A INPUT -p udp -m udp --dport 1700:1710 -j ACCEPT", "ok"],
    [":INPUT DROP [0:0]\n-A INPUT -p udp -m multiport --dports 500,1701 -j ACCEPT", "ok"],
    [":INPUT DROP [0:0]\n-A INPUT -s 192.0.2.9/32 -j ACCEPT", "ok"],
    [":INPUT DROP [0:0]\n-A INPUT ! -s 192.0.2.9/32 -j ACCEPT", "warning"],
    [":INPUT DROP [0:0]\n-A INPUT -i eth0 -j ACCEPT", "note"],
    [
      "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -j REJECT --reject-with icmp-host-prohibited",
      "warning",
    ],
    ['-A INPUT -p udp -m udp --dport 1701 -m comment --comment "to - here" -j ACCEPT\n-A INPUT -j REJECT', "ok"],
    [":INPUT DROP [0:0]\n-A INPUT -j mine\n-A mine -p udp --dport 1701 -j ACCEPT", "ok"],
    ["-A INPUT -j local\n-A local -m addrtype --dst-type LOCAL -j RETURN\n-A local -j DROP", "ok"],
    ['-A INPUT -j log\n-A log -j LOG --log-prefix "drop "', "ok"],
    ["-A INPUT -p 115 -j REJECT", "ok"],
  ];
  test.each(RULES)("%s: %s", (rules, status) => expect(verdict("iptables", rules)).toBe(status));

  test("over IP", () => {
    expect(verdict("iptables", "-A INPUT -p 115 -j REJECT", OVER_IP)).toBe("warning");
    expect(verdict("iptables", ":INPUT DROP [0:0]\n-A INPUT -p l2tp -j ACCEPT", OVER_IP)).toBe("ok");
  });
});
