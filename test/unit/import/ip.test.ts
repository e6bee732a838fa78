import { describe, expect, test } from "vitest";
import { importFixtures, importSources, importText, octets } from "./imported.ts";

const LAN42 = {
  static: {
    localSessionId: 10,
    remoteSessionId: 20,
    localCookie: octets("deadbeef"),
    remoteCookie: octets("0123456789abcdef"),
  },
  interfaceName: "lan42",
};

describe("ip l2tp commands", () => {
  const { site, toml, warnings, holdsSecrets } = importFixtures("static-tunnels.sh");

  test("tunnels over UDP and IP, with variables, continuations and a namespace", () => {
    expect(site.tunnels).toMatchObject([
      {
        peer: "198.51.100.2",
        local: "192.0.2.1",
        localPort: 5000,
        peerPort: 6000,
        encapsulation: "udp",
        udpChecksum: true,
        netns: undefined,
        static: { localTunnelId: 1000, remoteTunnelId: 2000, watched: false },
      },
      {
        peer: "2001:db8::2",
        local: "2001:db8::1",
        encapsulation: "ip",
        netns: "blue",
        static: { localTunnelId: 3, remoteTunnelId: 4 },
      },
    ]);
    expect(site.lcce.listen).toEqual([]);
    expect(site.warnings).toEqual([]);
  });

  test("sessions with what the script does to their devices", () => {
    expect(site.tunnels[0]?.sessions).toMatchObject([
      { ...LAN42, l2Sublayer: "none", sequencing: "none", mtu: 1446, bridge: "br0", isolated: true, addresses: [] },
      {
        static: { localSessionId: 11, remoteSessionId: 21, localCookie: octets(""), remoteCookie: octets("") },
        l2Sublayer: "default",
        sequencing: "all",
        reorderTimeoutMs: 0,
        interfaceName: "l2tpeth0",
        addresses: ["10.0.0.1/30", "2001:db8:1::1/64"],
        routes: ["10.2.0.0/16 via 10.0.0.2"],
      },
    ]);
    expect(site.tunnels[1]?.sessions).toMatchObject([
      { static: { localSessionId: 30, remoteSessionId: 40 }, interfaceName: "far", l2Sublayer: "default" },
    ]);
  });

  test("what has no equivalent is in the warnings and in comments, without secrets", () => {
    const places = warnings.map((warning) => /static-tunnels\.sh:(\d+): (\S+ \S+)/.exec(warning)?.slice(1));
    expect(places).toEqual([
      ["24", "ip link"],
      ["25", "ip link"],
      ["26", "iptables -A"],
      ["27", "ip xfrm"],
      ["28", "for i"],
      ["28", "do ip"],
      ["29", "wg set"],
    ]);
    for (const warning of warnings) expect(toml).toContain(`#   ${warning.replace("not taken over: ", "")}\n`);
    expect(toml).not.toContain("hush");
    expect(toml).toContain("modprobe l2tp_eth");
    expect(holdsSecrets).toBe(true);
    expect(toml).toContain("chmod 600");
  });

  const TUNNEL = "ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 encap ip local 192.0.2.1 remote 192.0.2.2\n";
  const SESSION = "ip l2tp add session tunnel_id 1 session_id 1 peer_session_id 2 name a\n";

  test.each([
    ["ip link set mtu 1400 dev a", { mtu: 1400 }],
    ["ip l set a up mtu 1400", { mtu: 1400 }],
    ["brctl addif br0 a", { bridge: "br0" }],
    ["ip link set a master br0 type bridge_slave isolated on", { bridge: "br0", isolated: true }],
    ["ip a add dev a 10.0.0.1", { addresses: ["10.0.0.1/32"] }],
    ["/sbin/ip addr add 10.0.0.1/24 brd + dev a label a:1", { addresses: ["10.0.0.1/24"] }],
    ["ip r add default via 10.0.0.2 dev a", { routes: ["0.0.0.0/0 via 10.0.0.2"] }],
    ["ip -6 route add default via fe80::1 dev a", { routes: ["::/0 via fe80::1"] }],
    ["ip link set a name b; ip addr add 10.0.0.1/24 dev b", { interfaceName: "b", addresses: ["10.0.0.1/24"] }],
    ["export D=a && ip link set \"$D\" mtu '1400' # why", { mtu: 1400 }],
  ])("%s", (command, expected) => {
    const { site: one, warnings: none } = importText(`${TUNNEL}${SESSION}${command}\n`);
    expect(one.tunnels[0]?.sessions).toMatchObject([expected]);
    expect(none).toEqual([]);
  });

  test.each([
    "ip link set a mtu 99",
    "ip link set a address 02:00:00:00:00:01",
    "ip link set a down",
    "ip addr add 10.0.0.1/24 peer 10.0.0.2 dev a",
    "ip route add 10.0.0.0/8 dev a metric 5",
    "ip route add 10.0.0.0/8 via 192.0.2.7",
    "ip l2tp del tunnel tunnel_id 1",
    "ip addr add $(cat address) dev a",
    "ip l2tp add session tunnel_id 9 session_id 5 peer_session_id 6",
    "ip l2tp add session tunnel_id 1 session_id 5 peer_session_id 6 seq send",
    "ip l2tp add session tunnel_id 1 session_id 5 peer_session_id 6 mtu 5",
    "ip l2tp add session tunnel_id 1 session_id 5",
    "ip l2tp add tunnel tunnel_id 7 peer_tunnel_id 8 local 192.0.2.1 remote any",
    "ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 3 encap ip local 192.0.2.1 remote 192.0.2.2",
  ])("reported: %s", (command) => {
    expect(importText(`${TUNNEL}${SESSION}${command}\n`).warnings).toHaveLength(1);
  });

  test("devices without a name get those that no other has", () => {
    const unnamed = "ip l2tp add session tunnel_id 1 session_id 5 peer_session_id 6\n";
    const { site: one } = importText(`${TUNNEL}${unnamed}${SESSION.replace("name a", "name l2tpeth0")}`);
    expect(one.tunnels[0]?.sessions).toMatchObject([{ interfaceName: "l2tpeth1" }, { interfaceName: "l2tpeth0" }]);
  });

  test.each([
    ["", false],
    ["udp_csum off", false],
    ["udp_csum on", true],
  ])('UDP checksums over IPv4 with "%s"', (words, expected) => {
    const addresses = "local 192.0.2.1 remote 192.0.2.2";
    const { site: one } = importText(
      `ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 ${addresses} udp_sport 1701 udp_dport 1701 ${words}`,
    );
    expect(one.tunnels[0]?.udpChecksum).toBe(expected);
  });
});

describe("ip -json l2tp show", () => {
  const { site, warnings, toml } = importFixtures("show-json.txt");

  test("tunnels and sessions of iproute2's keys", () => {
    expect(site.tunnels).toMatchObject([
      {
        peer: "198.51.100.2",
        local: "192.0.2.1",
        localPort: 5000,
        peerPort: 6000,
        udpChecksum: false,
        static: { localTunnelId: 1000, remoteTunnelId: 2000 },
        sessions: [
          { ...LAN42, sequencing: "none" },
          { interfaceName: "l2tpeth0", sequencing: "all", reorderTimeoutMs: 50, l2Sublayer: "default" },
        ],
      },
      { peer: "2001:db8::2", encapsulation: "ip", sessions: [{ interfaceName: "far" }] },
    ]);
    expect(warnings).toEqual([]);
  });

  test("the sublayer, which is not shown, is a guess that says so", () => {
    expect(toml).toContain('l2_sublayer       = "default"  # guessed');
  });

  test("two inputs that tell of the same tunnel complete each other", () => {
    const show = {
      name: "show",
      text: `[{"tunnel_id":1,"encap":"UDP","local":"192.0.2.1","peer":"192.0.2.2","peer_tunnel":2,"local_port":5000,"peer_port":1701,"checksum":true}]
        [{"session_id":1,"tunnel_id":1,"peer_session_id":2,"interface":"a"}]`,
    };
    const script = {
      name: "script",
      text: `ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 local 192.0.2.1 remote 192.0.2.2 udp_sport 6000 udp_dport 1701
        ip l2tp add session tunnel_id 1 session_id 1 peer_session_id 2 l2spec_type none name a
        ip link set a master br0`,
    };
    const { site: both, warnings: differences } = importSources([show, script]);
    expect(both.tunnels).toMatchObject([
      { localPort: 5000, udpChecksum: true, sessions: [{ interfaceName: "a", l2Sublayer: "none", bridge: "br0" }] },
    ]);
    expect(differences).toHaveLength(1);
    expect(differences[0]).toMatch(/script:1: ip l2tp add tunnel .*: differs from show:1 in .*localPort/);
  });

  test.each([
    ['[{"tunnel_id":1', "no valid JSON"],
    ['[{"session_id":1,"tunnel_id":1,"peer_session_id":1}]', "tunnel 1 is not there"],
    ["[]", "no L2TPv3 tunnel"],
  ])("refused: %s", (text, reason) => {
    expect(() => importText(text)).toThrow(reason);
  });

  test("keys that are unknown are reported", () => {
    const tunnel = '{"tunnel_id":1,"encap":"IP","local":"192.0.2.1","peer":"192.0.2.2","peer_tunnel":2,"debug":7}';
    expect(importText(`[${tunnel}]`).warnings).toEqual([expect.stringContaining("the key debug")]);
  });
});

describe("ip l2tp show", () => {
  const { site, warnings } = importFixtures("show.txt");

  test("the same as of its JSON", () => {
    const [first] = site.tunnels;
    expect(first?.static).toEqual(importFixtures("show-json.txt").site.tunnels[0]?.static);
    expect(first?.sessions).toEqual(importFixtures("show-json.txt").site.tunnels[0]?.sessions);
    expect(warnings).toEqual([]);
  });

  test("checksums over IPv6", () => {
    expect(site.tunnels[1]).toMatchObject({ peer: "2001:db8::2", udpChecksum: false, localPort: 1701 });
  });

  test("lines that are unknown are reported", () => {
    const text = "Tunnel 1, encap IP\n  From 192.0.2.1 to 192.0.2.2\n  Peer tunnel 2\n  colour blue\n";
    expect(importText(text).warnings).toEqual([expect.stringContaining("input:4: colour blue")]);
  });
});
