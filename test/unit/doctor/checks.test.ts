import { describe, expect, test } from "vitest";
import { checkDaemon } from "../../../src/doctor/daemon.ts";
import { checkFiles } from "../../../src/doctor/files.ts";
import { checkInterfaces, type InterfaceFacts } from "../../../src/doctor/interfaces.ts";
import { checkCapabilities, checkKernel, type KernelFacts } from "../../../src/doctor/kernel.ts";
import { checkNetwork } from "../../../src/doctor/network.ts";
import { checkPeers, type PeerFacts } from "../../../src/doctor/peers.ts";
import { checkPorts, type PortFacts } from "../../../src/doctor/ports.ts";
import { plan, verdicts } from "./plans.ts";

describe("the kernel", () => {
  const LOADED = { state: "loaded", detail: "loaded" } as const;
  const GOOD: KernelFacts = {
    release: "6.12.1-amd64",
    hasL2tp: true,
    modules: new Map([["l2tp_netlink", LOADED]]),
    userspaceFlaw: undefined,
    capabilities: ~0n & 0xffff_ffff_ffn,
  };

  test("all is there", () => {
    expect(checkKernel(GOOD, plan()).map(({ status }) => status)).toEqual(["ok", "ok", "ok", "ok"]);
  });

  test.each([
    ["6.1.0-56-cloud-amd64", "note"],
    ["5.15.0", "note"],
    ["6.12.0", "ok"],
    ["7.2.1", "ok"],
  ])("Linux %s: %s", (release, status) => {
    expect(checkKernel({ ...GOOD, release }, plan())[0]).toMatchObject({ check: "kernel", status });
  });

  test.each([
    ["kernel", "error"],
    ["auto", "warning"],
    ["userspace", "note"],
    ["none", "note"],
  ])("a missing module with datapath %s is worth: %s", (datapath, status) => {
    const detail = "the kernel module l2tp_netlink is missing: install linux-image";
    const facts = {
      ...GOOD,
      hasL2tp: false,
      modules: new Map([["l2tp_netlink", { state: "missing", detail }]] as const),
    };
    const found = checkKernel(facts, plan({ lcce: `datapath = "${datapath}"` }));
    expect(verdicts(found)).toContain(`${status} kernel L2TP`);
    expect(verdicts(found)).toContain(`${status} module l2tp_netlink`);
  });

  test("one that is only not loaded yet is no trouble, one that is blacklisted hardly any", () => {
    const facts = (state: "loadable" | "blacklisted" | "disabled") => ({
      ...GOOD,
      hasL2tp: false,
      modules: new Map([["l2tp_netlink", { state, detail: "x" }]] as const),
    });
    expect(verdicts(checkKernel(facts("loadable"), plan()))).toContain("ok module l2tp_netlink");
    expect(verdicts(checkKernel(facts("blacklisted"), plan()))).toContain("note module l2tp_netlink");
    expect(verdicts(checkKernel(facts("disabled"), plan()))).toContain("warning module l2tp_netlink");
    expect(verdicts(checkKernel(facts("loadable"), plan()))).toContain("ok kernel L2TP");
  });

  test("families that cannot be asked for are said to be unknown", () => {
    expect(checkKernel({ ...GOOD, hasL2tp: undefined }, plan())[1]).toMatchObject({
      status: "note",
      advice: "run l2tpv3-lcc doctor as root",
    });
  });

  test("no TAP devices: an error where frames go through user space", () => {
    const facts = { ...GOOD, userspaceFlaw: "there is no /dev/net/tun" };
    expect(verdicts(checkKernel(facts, plan()))).toContain("note userspace datapath");
    expect(verdicts(checkKernel(facts, plan({ lcce: 'datapath = "userspace"' })))).toContain(
      "error userspace datapath",
    );
  });

  test("capabilities: only those that this configuration needs are missed", () => {
    const none = (lcce = "", tunnel = "") => verdicts(checkCapabilities({ capabilities: 0n }, plan({ lcce, tunnel })));
    expect(none()).toContain("error capability CAP_NET_ADMIN");
    expect(none('datapath = "none"')).toContain("note capability CAP_NET_ADMIN");
    expect(none()).toContain("note capability CAP_NET_BIND_SERVICE");
    expect(none("", "local_port = 701")).toContain("warning capability CAP_NET_BIND_SERVICE");
    expect(none('datapath = "kernel"')).toContain("warning capability CAP_SYS_MODULE");
    expect(none()).toContain("note capability CAP_NET_RAW");
    expect(none("", 'bind_device = "vrf-red"')).toContain("warning capability CAP_NET_RAW");
    expect(none("", 'encapsulation = "ip"')).toContain("warning capability CAP_NET_RAW");
    expect(none()).toContain("note capability CAP_SYS_ADMIN");
    expect(none("", 'netns = "blue"')).toContain("warning capability CAP_SYS_ADMIN");
    expect(verdicts(checkCapabilities({ capabilities: 1n << 12n }, plan()))).toContain("ok capability CAP_NET_ADMIN");
  });
});

describe("ports and local addresses", () => {
  const FREE: PortFacts = {
    sockets: [],
    l2tpIpSockets: { 4: 0, 6: 0 },
    addresses: new Map([["eth0", ["192.0.2.1", "2001:db8::1", "fe80::1%eth0"]]]),
    daemonRuns: false,
  };
  const socket = (address: string, port: number, command?: string) => ({
    protocol: "udp" as const,
    address,
    port,
    owner: command === undefined ? undefined : { pid: 77, command },
  });

  test("free", () => {
    expect(verdicts(checkPorts(FREE, plan()))).toEqual(["ok port udp 0.0.0.0:1701"]);
  });

  test("another program has it: an error that names it", () => {
    const facts = { ...FREE, sockets: [socket("127.0.0.1", 1701, "xl2tpd")] };
    const [found] = checkPorts(facts, plan());
    expect(found).toMatchObject({ status: "error", found: "in use by pid 77 (xl2tpd)" });
  });

  test("of another port, or another address, it is no trouble", () => {
    const facts = { ...FREE, sockets: [socket("0.0.0.0", 1702, "x"), socket("127.0.0.1", 1701, "x")] };
    expect(verdicts(checkPorts(facts, plan({ lcce: 'listen = ["udp:192.0.2.1:1701"]' })))).toEqual([
      "ok port udp 192.0.2.1:1701",
    ]);
  });

  test("the daemon's own", () => {
    const sockets = [socket("0.0.0.0", 1701, "node /usr/lib/l2tpv3-lcc/dist/src/main.js")];
    expect(checkPorts({ ...FREE, sockets, daemonRuns: true }, plan())[0]).toMatchObject({ status: "ok" });
    expect(checkPorts({ ...FREE, sockets }, plan())[0]).toMatchObject({ status: "error" });
  });

  test("one that only root may look at", () => {
    const [found] = checkPorts({ ...FREE, sockets: [socket("0.0.0.0", 1701)] }, plan());
    expect(found).toMatchObject({ status: "error", found: "in use by a process that only root may look at" });
  });

  test("IPv6: its own sockets count, and one that may take IPv4 too is a warning", () => {
    const listening = (listen: string, ...sockets: PortFacts["sockets"]) =>
      verdicts(checkPorts({ ...FREE, sockets }, plan({ lcce: `listen = ["${listen}"]` })));
    expect(listening("udp:[::]:1701")).toEqual(["ok port udp [::]:1701"]);
    expect(listening("udp:[::]:1701", socket("0.0.0.0", 1701, "x"))).toEqual(["ok port udp [::]:1701"]);
    expect(listening("udp:[::]:1701", socket("2001:db8::1", 1701, "x"))).toEqual(["error port udp [::]:1701"]);
    expect(listening("udp:[2001:db8::1]:1701", socket("::", 1701, "x"))).toEqual(["error port udp [2001:db8::1]:1701"]);
    expect(listening("udp:[2001:db8::2]:1701", socket("2001:db8::1", 1701, "x"))).toEqual([
      "warning port udp [2001:db8::2]:1701",
    ]);
    expect(listening("udp:0.0.0.0:1701", socket("::", 1701, "x"))).toEqual(["warning port udp 0.0.0.0:1701"]);
    expect(listening("udp:0.0.0.0:1701", socket("2001:db8::1", 1701, "x"))).toEqual(["ok port udp 0.0.0.0:1701"]);
    expect(listening("udp:0.0.0.0:1701", socket("::", 1701, "node l2tpv3-lcc"))).toEqual(["ok port udp 0.0.0.0:1701"]);
  });

  test("protocol 115: no port, but raw sockets of others, and sockets that nobody can say more of", () => {
    const overIp = (listen: string, more: Partial<PortFacts> = {}) =>
      verdicts(
        checkPorts({ ...FREE, ...more }, plan({ lcce: `listen = ["${listen}"]`, tunnel: 'encapsulation = "ip"' })),
      );
    const raw = (address: string, command: string) => ({ ...socket(address, 0, command), protocol: "ip" as const });
    expect(overIp("ip:192.0.2.1")).toEqual(["ok protocol 115 at 192.0.2.1"]);
    expect(overIp("ip:203.0.113.1")).toEqual(["warning protocol 115 at 203.0.113.1"]);
    expect(overIp("ip:0.0.0.0", { sockets: [socket("0.0.0.0", 1701, "x")] })).toEqual(["ok protocol 115 at 0.0.0.0"]);
    expect(overIp("ip:0.0.0.0", { sockets: [raw("0.0.0.0", "kl2tpd")] })).toEqual(["warning protocol 115 at 0.0.0.0"]);
    expect(overIp("ip:0.0.0.0", { sockets: [raw("::", "kl2tpd")] })).toEqual(["ok protocol 115 at 0.0.0.0"]);
    expect(overIp("ip:0.0.0.0", { l2tpIpSockets: { 4: 2, 6: 0 } })).toEqual(["note protocol 115 at 0.0.0.0"]);
    expect(overIp("ip:0.0.0.0", { l2tpIpSockets: { 4: 2, 6: 0 }, daemonRuns: true })).toEqual([
      "ok protocol 115 at 0.0.0.0",
    ]);
    const tunnel = 'peer = "2001:db8::9"\nencapsulation = "ip"';
    const site = plan({ lcce: 'listen = ["ip:[::]"]', tunnel: tunnel.replace(/peer.*\n/, "") });
    const six = { ...site, tunnels: site.tunnels.map((each) => ({ ...each, peer: "2001:db8::9" })) };
    expect(verdicts(checkPorts({ ...FREE, l2tpIpSockets: { 4: 0, 6: 1 } }, six))).toEqual(["note protocol 115 at ::"]);
  });

  test("local addresses of IPv6, link-local ones with their interface", () => {
    const local = (address: string) => {
      const site = plan();
      const tunnels = site.tunnels.map((tunnel) => ({ ...tunnel, local: address }));
      return verdicts(checkPorts(FREE, { ...site, tunnels })).at(-1);
    };
    expect(local("2001:db8::1")).toBe("ok local address of tunnel paris");
    expect(local("fe80::1%eth0")).toBe("ok local address of tunnel paris");
    expect(local("fe80::1%eth1")).toBe("warning local address of tunnel paris");
  });

  test("addresses that the machine has not", () => {
    const ours = plan({ lcce: 'listen = ["udp:203.0.113.1:1701"]', tunnel: 'local = "192.0.2.1"' });
    expect(verdicts(checkPorts(FREE, ours))).toEqual([
      "warning port udp 203.0.113.1:1701",
      "ok local address of tunnel paris",
    ]);
    const absent = plan({ tunnel: 'local = "203.0.113.1"' });
    expect(verdicts(checkPorts(FREE, absent))).toContain("warning local address of tunnel paris");
  });
});

describe("interfaces", () => {
  const DEVICES: InterfaceFacts["devices"] = new Map([
    ["br0", { isBridge: true, hasCarrier: true }],
    ["eth1", { isBridge: false, hasCarrier: true }],
    ["eth2", { isBridge: false, hasCarrier: false }],
    ["l2-x", { isBridge: false, hasCarrier: true }],
  ]);
  const verdict = (session: string, ours: readonly string[] = []) =>
    verdicts(checkInterfaces({ devices: DEVICES, ours }, plan({ session })));

  test("bridges", () => {
    expect(verdict('bridge = "br0"')).toContain("ok bridge br0");
    expect(verdict('bridge = "br1"')).toContain("warning bridge br1");
    expect(verdict('bridge = "eth1"')).toContain("error bridge eth1");
  });

  test("circuits", () => {
    expect(verdict('circuit = "eth1"')).toContain("ok circuit eth1");
    expect(verdict('circuit = "eth2"')).toContain("warning circuit eth2");
    expect(verdict('circuit = "eth3"')).toContain("warning circuit eth3");
  });

  test("names that are taken", () => {
    expect(verdict('interface = "l2-y"')).toEqual(["ok interface l2-y of session paris/lan42"]);
    expect(verdict('interface = "l2-x"')).toEqual(["error interface l2-x of session paris/lan42"]);
    expect(verdict('interface = "l2-x"', ["l2-x"])).toEqual(["ok interface l2-x of session paris/lan42"]);
  });
});

describe("network", () => {
  const settings = (pairs: Readonly<Record<string, string>>) => new Map(Object.entries(pairs));

  test.each([
    ["0", "0", "ok"],
    ["1", "0", "note"],
    ["0", "1", "note"],
    ["2", "1", "ok"],
    ["1", "2", "ok"],
  ])("rp_filter: all %s, eth0 %s: %s", (all, own, status) => {
    const facts = {
      settings: settings({ "ipv4/conf/all/rp_filter": all, "ipv4/conf/eth0/rp_filter": own }),
      devices: ["eth0"],
      firewall: [],
    };
    expect(verdicts(checkNetwork(facts, plan()))).toContain(`${status} rp_filter of eth0`);
  });

  test("forwarding is spoken of in routed mode, the bridge filter where there is a bridge", () => {
    const facts = {
      settings: settings({ "ipv4/ip_forward": "0", "bridge/bridge-nf-call-iptables": "1" }),
      devices: [],
      firewall: [],
    };
    expect(verdicts(checkNetwork(facts, plan()))).toEqual(["ok firewall"]);
    expect(verdicts(checkNetwork(facts, plan({ session: 'addresses = ["10.0.0.1/30"]' })))).toContain(
      "note forwarding",
    );
    expect(verdicts(checkNetwork(facts, plan({ session: 'bridge = "br0"' })))).toContain("note bridge filter");
    const six = plan({ session: 'addresses = ["2001:db8::1/64"]' });
    expect(verdicts(checkNetwork(facts, six))).toEqual(["note forwarding of IPv6", "ok firewall"]);
    const on = { ...facts, settings: settings({ "ipv6/conf/all/forwarding": "1" }) };
    expect(verdicts(checkNetwork(on, six))).toEqual(["ok forwarding of IPv6", "ok firewall"]);
  });

  test("a firewall that was not looked at is said to be, and rules for IPv6 alone matter where that is used", () => {
    const facts = { settings: settings({}), devices: [], firewall: undefined };
    expect(checkNetwork(facts, plan())[0]).toMatchObject({ check: "firewall", status: "note" });
    const closed = { ...facts, firewall: [{ tool: "ip6tables" as const, rules: ":INPUT DROP [0:0]" }] };
    expect(verdicts(checkNetwork(closed, plan()))).toEqual([]);
    expect(verdicts(checkNetwork(closed, plan({ lcce: 'listen = ["udp:0.0.0.0:1701", "udp:[::]:1701"]' })))).toEqual([
      "warning firewall ip6tables",
    ]);
  });

  const NFT: readonly (readonly [string, "ok" | "warning"])[] = [
    ["table inet f {\n chain input {\n type filter hook input priority 0; policy accept;\n }\n}", "ok"],
    ["  udp dport 1701 drop", "warning"],
    ["  udp dport { 500, 1701 } counter packets 0 bytes 0 reject", "warning"],
    ["  tcp dport 1701 drop", "ok"],
    ["  udp dport 11701 drop", "ok"],
    ["  ip protocol 115 drop", "warning"],
    ["  meta l4proto l2tp drop", "warning"],
    ["  type filter hook input priority filter; policy drop;", "warning"],
    ["  type filter hook input priority filter; policy drop;\n  udp dport l2tp accept", "ok"],
  ];
  test.each(NFT)("nft: %s", (rules, status) => {
    const facts = { settings: settings({}), devices: [], firewall: [{ tool: "nft" as const, rules }] };
    expect(verdicts(checkNetwork(facts, plan()))).toEqual([`${status} firewall nft`]);
  });

  const IPTABLES: readonly (readonly [string, "ok" | "warning"])[] = [
    [":INPUT ACCEPT [0:0]", "ok"],
    ["-A INPUT -p udp -m udp --dport 1701 -j DROP", "warning"],
    ["-A OUTPUT -p udp -m udp --dport 1701 -j DROP", "ok"],
    ["-A INPUT -p 115 -j REJECT", "warning"],
    [":INPUT DROP [0:0]", "warning"],
    [":INPUT DROP [0:0]\n-A INPUT -p udp -m udp --dport 1701 -j ACCEPT", "ok"],
  ];
  test.each(IPTABLES)("iptables: %s", (rules, status) => {
    const facts = { settings: settings({}), devices: [], firewall: [{ tool: "iptables" as const, rules }] };
    expect(verdicts(checkNetwork(facts, plan()))).toEqual([`${status} firewall iptables`]);
  });

  test("rules that may not be read are said to be unknown", () => {
    const facts = { settings: settings({}), devices: [], firewall: [{ tool: "nft" as const, rules: undefined }] };
    expect(checkNetwork(facts, plan())[0]).toMatchObject({ status: "note", advice: "run l2tpv3-lcc doctor as root" });
  });
});

describe("peers", () => {
  const GOOD: PeerFacts = {
    addresses: ["192.0.2.9"],
    dnsError: undefined,
    route: { mtu: 1500, local: "192.0.2.1", device: "eth0" },
    ipsec: "protected",
  };
  const verdict = (facts: Partial<PeerFacts>, extra: Parameters<typeof plan>[0] = {}) =>
    verdicts(checkPeers(new Map([["paris", { ...GOOD, ...facts }]]), plan(extra)));

  test("a route, an MTU, IPsec", () => {
    expect(verdict({})).toEqual([
      "ok route of tunnel paris",
      "note MTU of session paris/lan42",
      "ok IPsec of tunnel paris",
    ]);
  });

  test("no route", () => {
    expect(verdict({ route: { error: "there is no route to it" } })).toContain("warning route of tunnel paris");
  });

  test("a name that cannot be resolved, and one that can", () => {
    const named = { tunnel: "" };
    const site = plan(named);
    const tunnels = site.tunnels.map((tunnel) => ({ ...tunnel, peer: "pe.example.net" }));
    const facts = { ...GOOD, addresses: [], dnsError: "ENOTFOUND" };
    expect(verdicts(checkPeers(new Map([["paris", facts]]), { ...site, tunnels }))).toEqual([
      "error DNS of tunnel paris",
    ]);
    expect(verdicts(checkPeers(new Map([["paris", GOOD]]), { ...site, tunnels }))).toContain("ok DNS of tunnel paris");
  });

  test("MTU: 1446 is what UDP over IPv4 leaves of 1500 with the default sublayer and no cookie", () => {
    const session = (mtu: number) => ({ session: `mtu = ${mtu}\ncookie_size = 0\nl2_sublayer = "default"` });
    expect(verdict({}, session(1446))).toContain("ok MTU of session paris/lan42");
    expect(verdict({}, session(1447))).toContain("warning MTU of session paris/lan42");
  });

  test("IPsec: missing in one line, discarding, unknown", () => {
    const of = (ipsec: PeerFacts["ipsec"]) =>
      checkPeers(new Map([["paris", { ...GOOD, ipsec }]]), plan()).find(({ check }) => check.startsWith("IPsec"));
    expect(of("none")).toMatchObject({ status: "note", found: expect.stringContaining("not protected") });
    expect(of("discarded")).toMatchObject({ status: "error" });
    expect(of(undefined)).toMatchObject({ status: "note", advice: "run l2tpv3-lcc doctor as root" });
  });
});

describe("files and the daemon", () => {
  test("who may read a secret", () => {
    const secrets = new Map<string, number | string>([
      ["/a", 0o100600],
      ["/b", 0o100640],
      ["/c", 0o100644],
      ["/d", "cannot be looked at: ENOENT"],
    ]);
    const found = checkFiles({ configuration: { path: "/site.toml", problems: [] }, warnings: ["w"], secrets });
    expect(verdicts(found)).toEqual([
      "ok configuration",
      "warning configuration",
      "ok secret file /a",
      "warning secret file /b",
      "error secret file /c",
      "error secret file /d",
    ]);
  });

  test("every problem of the configuration is an error", () => {
    const configuration = { path: "/site.toml", problems: ["/site.toml:1: x", "/site.toml:2: y"] };
    expect(verdicts(checkFiles({ configuration, warnings: [], secrets: new Map() }))).toEqual([
      "error configuration",
      "error configuration",
    ]);
  });

  test("a daemon that answers, one that does not run, one that left its socket", () => {
    const answer = { version: "1", datapath: "kernel", tunnels: 2, established: 1, interfaces: [] };
    expect(checkDaemon({ socket: "/s", answer, socketExists: true })).toMatchObject({
      status: "ok",
      found: "l2tpv3-lcc 1 answers at /s: datapath kernel, 1 of 2 tunnels established",
    });
    const error = "no daemon at /s: nobody listens there";
    expect(checkDaemon({ socket: "/s", answer: { error }, socketExists: false })).toMatchObject({ status: "note" });
    expect(checkDaemon({ socket: "/s", answer: { error }, socketExists: true })).toMatchObject({ status: "warning" });
  });
});
