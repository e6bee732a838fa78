import { describe, expect, test } from "vitest";
import { checkDaemon } from "../../../src/doctor/daemon.ts";
import { checkFiles } from "../../../src/doctor/files.ts";
import { complaint } from "../../../src/doctor/firewall.ts";
import { checkInterfaces, type InterfaceFacts } from "../../../src/doctor/interfaces.ts";
import { checkCapabilities, checkKernel, type KernelFacts } from "../../../src/doctor/kernel.ts";
import { checkNetwork } from "../../../src/doctor/network.ts";
import { askPeers } from "../../../src/doctor/peer-facts.ts";
import { checkPeers, type PeerFacts } from "../../../src/doctor/peers.ts";
import { DEFAULT_PLAN } from "../../../src/doctor/plan.ts";
import { device, plan, verdicts } from "./plans.ts";

describe("the kernel", () => {
  const LOADED = { state: "loaded", detail: "loaded" } as const;
  const GOOD: KernelFacts = {
    release: "6.12.1-amd64",
    hasL2tp: true,
    modules: new Map([["l2tp_netlink", LOADED]]),
    userspaceFlaw: undefined,
    capabilities: ~0n & 0xffff_ffff_ffn,
    bridgeSeen: false,
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
    const detail = "the kernel module l2tp_netlink is missing";
    const facts = {
      ...GOOD,
      hasL2tp: false,
      userspaceFlaw: "there is no /dev/net/tun",
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
      userspaceFlaw: "there is no /dev/net/tun",
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
    const none = (lcce = "", tunnel = "", release = "6.1.0-50-amd64") =>
      verdicts(checkCapabilities({ capabilities: 0n, release }, plan({ lcce, tunnel })));
    expect(none()).toContain("error capability CAP_NET_ADMIN");
    expect(none('datapath = "none"')).toContain("note capability CAP_NET_ADMIN");
    expect(none()).toContain("note capability CAP_NET_BIND_SERVICE");
    expect(none("", "local_port = 701")).toContain("warning capability CAP_NET_BIND_SERVICE");
    expect(none('datapath = "kernel"')).toContain("warning capability CAP_SYS_MODULE");
    expect(none()).toContain("note capability CAP_NET_RAW");
    expect(none("", 'bind_device = "vrf-red"')).toContain("note capability CAP_NET_RAW");
    expect(none("", 'bind_device = "vrf-red"', "5.6.19")).toContain("warning capability CAP_NET_RAW");
    expect(none("", 'encapsulation = "ip"', "5.6.19")).toContain("note capability CAP_NET_RAW");
    expect(none()).toContain("note capability CAP_SYS_ADMIN");
    expect(none("", 'netns = "blue"')).toContain("warning capability CAP_SYS_ADMIN");
    expect(verdicts(checkCapabilities({ ...GOOD, capabilities: 1n << 12n }, plan()))).toContain(
      "ok capability CAP_NET_ADMIN",
    );
  });
});

describe("interfaces", () => {
  const DEVICES: InterfaceFacts["devices"] = new Map([
    ["br0", device({ isBridge: true, hasCarrier: true })],
    ["eth1", device({ isBridge: false, hasCarrier: true })],
    ["eth2", device({ isBridge: false, hasCarrier: false })],
    ["l2-x", device({ isBridge: false, hasCarrier: true })],
  ]);
  const verdict = (session: string, ours: readonly string[] = []) =>
    verdicts(checkInterfaces({ devices: DEVICES, ours }, plan({ session })));

  test("bridges", () => {
    expect(verdict('bridge = "br0"')).toContain("ok bridge br0");
    expect(verdict('bridge = "br1"')).toContain("warning bridge br1");
    expect(verdict('bridge = "eth1"')).toContain("error bridge eth1");
  });

  test("what sockets are bound to", () => {
    const of = (name: string) =>
      verdicts(checkInterfaces({ devices: DEVICES, ours: [] }, plan({ tunnel: `bind_device = "${name}"` })));
    expect(of("eth1")).toContain("ok bind_device eth1");
    expect(of("vrf-red")).toContain("warning bind_device vrf-red");
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
    const facts = { settings: settings({}), devices: [] };
    const elsewhere = (netns: string) => checkNetwork({ ...facts, firewall: { netns } }, plan())[0];
    expect(elsewhere("blue")).toMatchObject({ status: "note", advice: "ip netns exec blue nft list ruleset" });
    expect(elsewhere("/proc/7/ns/net")?.advice).toBe("nsenter --net=/proc/7/ns/net nft list ruleset");
    const closed = { ...facts, firewall: [{ tool: "ip6tables" as const, rules: ":INPUT DROP [0:0]" }] };
    expect(verdicts(checkNetwork(closed, plan()))).toEqual([]);
    expect(verdicts(checkNetwork(closed, plan({ lcce: 'listen = ["udp:0.0.0.0:1701", "udp:[::]:1701"]' })))).toEqual([
      "warning firewall ip6tables",
    ]);
  });

  test("rules that may not be read are said to be unknown", () => {
    const facts = { settings: settings({}), devices: [], firewall: [{ tool: "nft" as const, rules: undefined }] };
    expect(checkNetwork(facts, plan())[0]).toMatchObject({ status: "note", advice: "run l2tpv3-lcc doctor as root" });
  });

  test("a tool that fails for another reason says why", () => {
    const rules = complaint("nft: Protocol not supported\nnext line\n");
    expect(complaint("Operation not permitted (you must be root)")).toBeUndefined();
    const facts = { settings: settings({}), devices: [], firewall: [{ tool: "nft" as const, rules }] };
    expect(checkNetwork(facts, plan())[0]).toMatchObject({
      status: "note",
      found: "the rules of nft could not be looked at: nft: Protocol not supported",
    });
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

  test("no route, or no answer for want of something else, which is what the advice is about", () => {
    const of = (lacks: "namespace" | "device" | "rights" | "route") => {
      const facts = { ...GOOD, route: { error: "x", lacks } };
      return checkPeers(new Map([["paris", facts]]), plan()).find(({ check }) => check.startsWith("route"));
    };
    expect(of("route")).toMatchObject({ status: "warning", advice: "add a route; the daemon waits for it" });
    expect(of("namespace")).toMatchObject({ status: "warning", advice: expect.stringContaining("network namespace") });
    expect(of("device")).toMatchObject({ status: "warning", advice: expect.stringContaining("bind_device") });
    expect(of("rights")).toMatchObject({ status: "note", advice: "run l2tpv3-lcc doctor as root" });
  });

  test("asked of this machine: a namespace and a device that are missing", async () => {
    const site = plan({ lcce: "listen = []", tunnel: 'netns = "l2tp-nowhere"' });
    const inNowhere = (await askPeers(site)).get("paris");
    expect(inNowhere?.route).toMatchObject({ lacks: "namespace" });
    expect(inNowhere?.ipsec).toMatchObject({ error: expect.stringContaining("l2tp-nowhere does not exist") });
    const found = checkPeers(new Map([["paris", inNowhere ?? GOOD]]), site);
    expect(found.find(({ check }) => check.startsWith("IPsec"))?.advice).toBe("see ip xfrm policy");
    const byNothing = await askPeers(plan({ tunnel: 'bind_device = "l2tp-nothing"' }));
    expect(byNothing.get("paris")?.route).toMatchObject({ lacks: expect.stringMatching(/^(device|rights)$/) });
  });

  test("asked of this machine: a link-local peer whose interface is missing", async () => {
    const site = plan();
    const tunnels = site.tunnels.map((tunnel) => ({ ...tunnel, peer: "fe80::1%l2tp-nothing" }));
    const facts = (await askPeers({ ...site, tunnels })).get("paris");
    const found = checkPeers(new Map([["paris", facts ?? GOOD]]), { ...site, tunnels });
    expect(found.find(({ check }) => check.startsWith("route"))).toEqual({
      check: "route of tunnel paris",
      status: "warning",
      found: "fe80::1%l2tp-nothing: this machine has no such interface (ENODEV)",
      advice: "make or mend interface l2tp-nothing; the daemon waits for it",
    });
  });

  test("asked of this machine: the route from the local address that is configured", async () => {
    const of = async (peer: string, local: string, freebind = false) => {
      const site = plan();
      const tunnels = site.tunnels.map((tunnel) => ({ ...tunnel, peer, local, freebind }));
      const facts = (await askPeers({ ...site, tunnels })).get("paris");
      return checkPeers(new Map([["paris", facts ?? GOOD]]), { ...site, tunnels }).find(({ check }) =>
        check.startsWith("route"),
      );
    };
    expect(await of("127.0.0.1", "127.0.0.7")).toMatchObject({
      status: "ok",
      found: expect.stringContaining("from 127.0.0.7"),
    });
    expect(await of("127.0.0.1", "@lo")).toMatchObject({ found: expect.not.stringContaining("127.0.0.7") });
    expect(await of("127.0.0.1", "203.0.113.77")).toEqual({
      check: "route of tunnel paris",
      status: "warning",
      found: "127.0.0.1 from 203.0.113.77: this machine has no such address (EADDRNOTAVAIL)",
      advice: "see its local address above; without it nothing can be said of the route",
    });
    expect(await of("127.0.0.1", "203.0.113.77", true)).toMatchObject({ status: "ok" });
  });

  test("a local address from which the peer is not reached", () => {
    const facts = { ...GOOD, route: { error: "x", lacks: "source" as const } };
    const found = checkPeers(new Map([["paris", facts]]), plan({ tunnel: 'local = "127.0.0.1"' }));
    expect(found.find(({ check }) => check.startsWith("route"))).toMatchObject({
      status: "warning",
      found: "192.0.2.9 from 127.0.0.1: x",
      advice: "give local an address that reaches the peer, or leave it out",
    });
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

  test("MTU inside IPsec: the route's does not count what ESP adds, which is said", () => {
    const of = (ipsec: PeerFacts["ipsec"], mtu: string) =>
      checkPeers(new Map([["paris", { ...GOOD, ipsec }]]), plan({ session: `mtu = ${mtu}` })).find(({ check }) =>
        check.startsWith("MTU"),
      )?.found;
    expect(of("protected", '"auto"')).toBe("auto: about 1442 less what IPsec adds, not the 1500 of Ethernet");
    expect(of("none", '"auto"')).toBe("auto: about 1442, not the 1500 of Ethernet");
    expect(of("protected", "1400")).toBe("1400 of 1442 less what IPsec adds");
    expect(of("none", "1400")).toBe("1400 of 1442");
  });

  test("MTU of a session with IPv6: below 1280 it does not come up", () => {
    const IPV6 = 'addresses = ["10.0.0.1/30", "2001:db8::1/64"]';
    const of = (mtu: number, session: string) =>
      checkPeers(
        new Map([["paris", { ...GOOD, route: { mtu, local: "192.0.2.1", device: "eth0" } }]]),
        plan({ session }),
      ).find(({ check }) => check.startsWith("MTU"));
    expect(of(1337, IPV6)).toMatchObject({
      status: "error",
      found: "auto: about 1279 less what IPsec adds, and IPv6 needs 1280: the session cannot come up",
      advice:
        "raise the MTU of the path by 1, set mtu = 1280 (packets fragment), or leave out the IPv6 addresses and routes",
    });
    expect(of(1337, 'routes = ["2001:db8:2::/48"]')).toMatchObject({ status: "error" });
    expect(of(1337, 'addresses = ["10.0.0.1/30"]')).toMatchObject({ status: "note" });
    expect(of(1338, IPV6)).toMatchObject({ status: "note" });
    expect(of(1337, `${IPV6}\nmtu = 1280`)).toMatchObject({
      status: "warning",
      advice: "raise the MTU of the path by 1; less than 1280 carries no IPv6",
    });
  });

  test("MTU of a static session: the longer of the cookies that are typed in counts", () => {
    const numbers = "local_session_id = 1\nremote_session_id = 2";
    const tunnel = 'mode = "static"\nlocal_tunnel_id = 1\nremote_tunnel_id = 2';
    const judged = (session: string) => verdict({}, { tunnel, session: `${numbers}\n${session}` });
    expect(judged("mtu = 1450")).toContain("ok MTU of session paris/lan42");
    expect(judged("mtu = 1451")).toContain("warning MTU of session paris/lan42");
    const cookies = 'local_cookie = "0011223344556677"\nremote_cookie = "00112233"';
    expect(judged(`${cookies}\nmtu = 1442`)).toContain("ok MTU of session paris/lan42");
    expect(judged(`${cookies}\nmtu = 1443`)).toContain("warning MTU of session paris/lan42");
  });

  test("MTU of a VLAN pseudowire: its tag takes four octets", () => {
    const vlan = (mtu: number) => ({ session: `pseudowire = "vlan"\nvlan = 7\ncookie_size = 0\nmtu = ${mtu}` });
    expect(verdict({}, vlan(1446))).toContain("ok MTU of session paris/lan42");
    expect(verdict({}, vlan(1447))).toContain("warning MTU of session paris/lan42");
  });

  test("IPsec: missing in one line, discarding, unknown", () => {
    const of = (ipsec: PeerFacts["ipsec"]) =>
      checkPeers(new Map([["paris", { ...GOOD, ipsec }]]), plan()).find(({ check }) => check.startsWith("IPsec"));
    expect(of("none")).toMatchObject({ status: "note", found: expect.stringContaining("not protected") });
    expect(of("discarded")).toMatchObject({ status: "error" });
    expect(of(undefined)).toMatchObject({ status: "note", advice: "run l2tpv3-lcc doctor as root" });
  });

  test("without a secret and without IPsec anybody may speak for the peer: a warning", () => {
    const of = (ipsec: PeerFacts["ipsec"], tunnel = "") =>
      checkPeers(new Map([["paris", { ...GOOD, ipsec }]]), plan({ tunnel }))
        .filter(({ check }) => check.startsWith("authentication"))
        .map(({ status }) => status);
    expect(of("none")).toEqual(["warning"]);
    expect(of("none", 'digest = "md5"')).toEqual(["warning"]);
    expect(of("none", 'secret = "a secret for two"')).toEqual([]);
    expect(of("none", "require_ipsec = true")).toEqual([]);
    expect(of("protected")).toEqual([]);
  });

  test("IPsec that a tunnel demands: what is missing is an error, in either direction", () => {
    const of = (ipsecFlaw: string | undefined, tunnel = "require_ipsec = true") => {
      const facts = new Map([["paris", { ...GOOD, ipsecFlaw }]]);
      return checkPeers(facts, plan({ tunnel })).find(({ check }) => check.startsWith("IPsec"));
    };
    const flaw = "no IPsec policy protects UDP received from there";
    expect(of(flaw)).toMatchObject({ status: "error", found: `require_ipsec: ${flaw}` });
    expect(of(undefined)).toMatchObject({ status: "ok" });
    expect(of(flaw, "")).toMatchObject({ status: "ok" });
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
    const answer = {
      version: "1",
      datapath: "kernel",
      tunnels: 2,
      established: 1,
      interfaces: [],
      known: [],
      notUp: [],
      namesakes: [],
    };
    expect(checkDaemon({ socket: "/s", answer, socketExists: true }, DEFAULT_PLAN)).toMatchObject([
      { status: "ok", found: "l2tpv3-lcc 1 answers at /s: datapath kernel, 1 of 2 tunnels established" },
    ]);
    const error = "no daemon at /s: nobody listens there";
    const silent = (socketExists: boolean) =>
      checkDaemon({ socket: "/s", answer: { error }, socketExists }, DEFAULT_PLAN);
    expect(silent(false)).toMatchObject([{ status: "note" }]);
    expect(silent(true)).toMatchObject([{ status: "warning" }]);
  });
});
