import { hostname } from "node:os";
import { describe, expect, test } from "vitest";
import { loadSite, parseSite } from "../../../src/config/load.ts";
import type { Site } from "../../../src/config/site.ts";

const read = (toml: string): Site => parseSite(toml, "site.toml");
const octets = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The only tunnel of a text, and its only session. */
function only(toml: string) {
  const { tunnels } = read(toml);
  expect(tunnels).toHaveLength(1);
  const [tunnel] = tunnels;
  if (tunnel === undefined) throw new Error("no tunnel");
  const [session] = tunnel.sessions;
  if (session === undefined) throw new Error("no session");
  return { tunnel, session };
}

describe("defaults", () => {
  test("an empty file", () => {
    expect(read("")).toEqual({
      lcce: {
        hostname: hostname(),
        routerId: undefined,
        listen: [],
        freebind: false,
        datapath: "auto",
        adminSocket: "/run/l2tpv3-lcc/admin.sock",
        logLevel: "info",
        metrics: undefined,
      },
      hooks: { commands: {}, timeoutMs: 10_000 },
      tunnels: [],
      given: new Set(),
      warnings: ["site.toml: no [tunnel.NAME]: there is nothing to do"],
    });
  });

  test("a tunnel and a session with no more than a peer", () => {
    expect(read('[tunnel.paris]\npeer = "pe2.example.net"\n[tunnel.paris.session.lan42]')).toMatchObject({
      tunnels: [
        {
          name: "paris",
          role: "both",
          peer: "pe2.example.net",
          peerHostname: undefined,
          peerRouterId: undefined,
          peerPort: 1701,
          local: "auto",
          localPort: 1701,
          encapsulation: "udp",
          df: undefined,
          tos: 0,
          ttl: undefined,
          udpChecksum: true,
          authentication: { secrets: [], digest: "none", hidden: false, chapPassword: undefined },
          helloIntervalMs: 60_000,
          retransmit: { initialMs: 1_000, maxMs: 8_000, retries: 10, sccrqRetries: 10 },
          receiveWindow: 16,
          reconnect: { minMs: 1_000, maxMs: 60_000 },
          sessions: [
            {
              name: "lan42",
              remoteEndId: octets("lan42"),
              pseudowire: "ethernet",
              vlan: undefined,
              call: undefined,
              interfaceName: "l2-paris-lan42",
              cookieSize: 8,
              l2Sublayer: "none",
              mtu: "auto",
              bridge: undefined,
              isolated: false,
              addresses: [],
              routes: [],
            },
          ],
        },
      ],
      warnings: [],
    });
  });

  test("without peer the role is responder", () => {
    expect(read('[tunnel.a]\npeer_hostname = "b"').tunnels[0]).toMatchObject({ role: "responder", peer: undefined });
  });
});

test("a router is reached by an address, by a route before its own, or on the link; without addresses there is a warning", () => {
  const warnings = (session: string) =>
    read(`[tunnel.t]\npeer = "192.0.2.2"\n[tunnel.t.session.s]\n${session}`).warnings;
  const addresses = 'addresses = ["10.0.0.1/30", "2001:db8::1/64"]';
  expect(warnings(`${addresses}\nroutes = ["10.2.0.0/16 via 10.0.0.2", "2001:db8:2::/48 via 2001:db8::2"]`)).toEqual(
    [],
  );
  expect(warnings(`${addresses}\nroutes = ["10.9.0.0/24", "10.2.0.0/16 via 10.9.0.2", "::/0 via FE80::1"]`)).toEqual(
    [],
  );
  expect(warnings('addresses = ["2001:db8::1/64"]\nroutes = ["10.2.0.0/16 via 10.0.0.2"]')).toEqual([
    expect.stringContaining("unless something else gives the interface an address there"),
  ]);
});

test("outer header options of a tunnel, isolation and routes of a session", () => {
  const site = read(`[tunnel.t]
peer = "192.0.2.2"
df = true
tos = 184
ttl = 64
udp_checksum = false
[tunnel.t.session.spoke]
bridge = "br0"
isolated = true
[tunnel.t.session.routed]
routes = ["10.2.0.0/16 via 10.0.0.2", "2001:db8:2::/48", "0.0.0.0/0", "::/0 via fe80::1"]`);
  expect(site.tunnels[0]).toMatchObject({ df: true, tos: 184, ttl: 64, udpChecksum: false });
  expect(site.tunnels[0]?.sessions).toMatchObject([
    { isolated: true, routes: [] },
    { isolated: false, routes: ["10.2.0.0/16 via 10.0.0.2", "2001:db8:2::/48", "0.0.0.0/0", "::/0 via fe80::1"] },
  ]);
});

test("require_ipsec, of a tunnel or its template", () => {
  const site = read(`[template.t]
require_ipsec = true
[tunnel.a]
peer = "192.0.2.2"
template = "t"
[tunnel.b]
peer = "192.0.2.3"
template = "t"
require_ipsec = false`);
  expect(site.tunnels.map(({ requireIpsec = false }) => requireIpsec)).toEqual([true, false]);
});

test("every key of [lcce]", () => {
  const toml = `[lcce]
hostname = "site-a"
router_id = "192.0.2.1"
listen = ["udp:127.0.0.1:1702", "udp:127.0.0.1:65535"]
datapath = "none"
admin_socket = "/tmp/a.sock"
log_level = "trace"`;
  expect(read(toml).lcce).toEqual({
    hostname: "site-a",
    routerId: 0xc0000201,
    listen: [
      { address: "127.0.0.1", port: 1702 },
      { address: "127.0.0.1", port: 65_535 },
    ],
    freebind: false,
    datapath: "none",
    adminSocket: "/tmp/a.sock",
    logLevel: "trace",
  });
});

test("every key of a tunnel and a session", () => {
  const { tunnel } = only(`[tunnel.paris]
role = "initiator"
peer = "192.0.2.2"
peer_hostname = "b"
peer_router_id = 4294967295
peer_port = 1
local = "192.0.2.1"
local_port = 0
encapsulation = "udp"
dialect = "cisco"
secret = "now"
secret_previous = "before"
digest = "sha1"
hidden = true
hello_interval = "0s"
retransmit = { initial = "200ms", max = "8s", retries = 0, sccrq_retries = 2 }
receive_window = 65535
reconnect = { min = "500ms", max = "1.5h" }
[tunnel.paris.session.lan42]
remote_end_id = 42
local_end_id = "43"
attachment_group = 4294967295
end_id_format = "u32"
pseudowire = "vlan"
vlan = 4094
call = "responder"
call_type = "incoming"
circuit = "eth1.42"
interface = "fifteen-letters"
cookie_size = 0
l2_sublayer = "default"
sequencing = "non-ip"
reorder_timeout = "0s"
sequence_window = 1
resync_after = 1000
mtu = 9216
bridge = "br0"`);
  expect(tunnel).toEqual({
    name: "paris",
    dialect: "cisco",
    role: "initiator",
    peer: "192.0.2.2",
    peerHostname: "b",
    peerRouterId: 0xffff_ffff,
    peerPort: 1,
    local: "192.0.2.1",
    localPort: 0,
    encapsulation: "udp",
    df: undefined,
    tos: 0,
    ttl: undefined,
    udpChecksum: true,
    freebind: false,
    netns: undefined,
    bindDevice: undefined,
    authentication: {
      secrets: [octets("now"), octets("before")],
      digest: "sha1",
      hidden: true,
      chapPassword: undefined,
    },
    helloIntervalMs: 0,
    retransmit: { initialMs: 200, maxMs: 8_000, retries: 0, sccrqRetries: 2 },
    receiveWindow: 65_535,
    reconnect: { minMs: 500, maxMs: 5_400_000 },
    sessions: [
      {
        name: "lan42",
        remoteEndId: Uint8Array.of(0, 0, 0, 42),
        localEndId: Uint8Array.of(0, 0, 0, 43),
        attachmentGroup: Uint8Array.of(255, 255, 255, 255),
        pseudowire: "vlan",
        vlan: 4094,
        call: "responder",
        callType: "incoming",
        circuit: "eth1.42",
        interfaceName: "fifteen-letters",
        cookieSize: 0,
        l2Sublayer: "default",
        sequencing: "non-ip",
        reorderTimeoutMs: 0,
        sequenceWindow: 1,
        resyncAfter: 1_000,
        mtu: 9216,
        bridge: "br0",
        isolated: false,
        addresses: [],
        routes: [],
      },
    ],
  });
});

describe("remote_end_id", () => {
  const ROWS: readonly (readonly [keys: string, octets: Uint8Array])[] = [
    ['remote_end_id = "100"', octets("100")],
    ['remote_end_id = "café"', octets("café")],
    ['remote_end_id = "100"\nend_id_format = "u32"', Uint8Array.of(0, 0, 0, 100)],
    ['remote_end_id = 4294967295\nend_id_format = "u32"', Uint8Array.of(255, 255, 255, 255)],
    ['end_id_format = "u32"', Uint8Array.of(0, 0, 0, 7)],
    ['remote_end_id = "00C0ffee"\nend_id_format = "hex"', Uint8Array.of(0, 0xc0, 0xff, 0xee)],
    ['remote_end_id = "00:01"\nend_id_format = "hex"', Uint8Array.of(0, 1)],
  ];
  test.each(ROWS)("%s", (keys, expected) => {
    expect(only(`[tunnel.a]\npeer = "b"\n[tunnel.a.session.7]\n${keys}`).session.remoteEndId).toEqual(expected);
  });
});

test("an outgoing call", () => {
  const site = parseSite(`[tunnel.t]\npeer = "192.0.2.2"\n[tunnel.t.session.s]\ncall_type = "outgoing"`, "site.toml");
  expect(site.tunnels[0]?.sessions[0]?.callType).toBe("outgoing");
});

describe("local_end_id and attachment_group", () => {
  test("are octets as remote_end_id is; a template may give the group", () => {
    const { session } = only(`[template.t]
attachment_group = "blue"
[tunnel.a]
peer = "b"
template = "t"
[tunnel.a.session.s]
local_end_id = "here"
remote_end_id = "there"`);
    expect(session).toMatchObject({
      attachmentGroup: octets("blue"),
      localEndId: octets("here"),
      remoteEndId: octets("there"),
    });
    const hex = only(`[tunnel.a]\npeer = "b"\n[tunnel.a.session.s]
end_id_format = "hex"\nremote_end_id = "01"\nlocal_end_id = "02:03"\nattachment_group = "FF"`).session;
    expect(hex.localEndId).toEqual(Uint8Array.of(2, 3));
    expect(hex.attachmentGroup).toEqual(Uint8Array.of(255));
  });

  test("1017 octets fit", () => {
    const long = "x".repeat(1017);
    const { session } = only(`[tunnel.a]\npeer = "b"\n[tunnel.a.session.s]
local_end_id = "${long}"\nattachment_group = "${long}"`);
    expect([session.localEndId?.length, session.attachmentGroup.length]).toEqual([1017, 1017]);
  });
});

describe("templates", () => {
  test("what is nearer goes before: session, session keys of the template, the template itself, the default", () => {
    const { tunnels } = read(`[template.cisco]
hello_interval = "10s"
peer_port = 1702
cookie_size = 4
mtu = 1400
l2_sublayer = "default"
[template.cisco.session]
mtu = 1300
bridge = "br0"
[tunnel.a]
template = "cisco"
peer = "192.0.2.2"
peer_port = 1703
[tunnel.a.session.s]
bridge = "br1"
[tunnel.b]
peer = "192.0.2.3"
[tunnel.b.session.s]`);
    expect(tunnels[0]).toMatchObject({ helloIntervalMs: 10_000, peerPort: 1703, receiveWindow: 16 });
    expect(tunnels[0]?.sessions[0]).toMatchObject({
      cookieSize: 4,
      mtu: 1300,
      l2Sublayer: "default",
      bridge: "br1",
      addresses: [],
    });
    expect(tunnels[1]).toMatchObject({ helloIntervalMs: 60_000, peerPort: 1701 });
    expect(tunnels[1]?.sessions[0]).toMatchObject({ cookieSize: 8, mtu: "auto", bridge: undefined });
  });

  test("groups are merged key by key", () => {
    const { tunnels } = read(`[template.slow]
retransmit = { retries = 3, initial = "2s" }
[tunnel.a]
template = "slow"
peer = "192.0.2.2"
retransmit = { initial = "4s" }`);
    expect(tunnels[0]?.retransmit).toEqual({ initialMs: 4_000, maxMs: 8_000, retries: 3, sccrqRetries: 10 });
  });

  test("a template may make the peer, and with it the role", () => {
    const { tunnels } = read('[template.x]\npeer = "b"\n[tunnel.a]\ntemplate = "x"');
    expect(tunnels[0]).toMatchObject({ peer: "b", role: "both" });
  });
});

describe("warnings", () => {
  const ROWS: readonly (readonly [toml: string, warning: string])[] = [
    [
      '[tunnel.a]\npeer = "b"\nretransmit = { max = "7999ms" }',
      "site.toml:3: tunnel.a.retransmit.max: retransmit.max is 7999 ms; RFC 3931 4.2 wants at least 8 s",
    ],
    [
      '[tunnel.a]\npeer = "b"\n[tunnel.a.session.s]\nbridge = "br0"\naddresses = ["10.0.0.1/30", "2001:db8::1/64"]',
      "site.toml:5: tunnel.a.session.s.addresses: a device in a bridge receives nothing for its own addresses; the bridge should have them",
    ],
    [
      '[tunnel.a]\npeer = "b"\n[tunnel.b]\nrole = "initiator"\npeer = "b"',
      'site.toml:3: tunnel.b: same addresses and ports as tunnel "a": give one of them another local_port, or local_port = 0',
    ],
  ];
  test.each(ROWS)("%j", (toml, warning) => {
    expect(read(toml).warnings).toEqual([warning]);
  });
});

test("conf/site.toml is good, gives no warning and says what its comments say", () => {
  const site = loadSite(new URL("../../../conf/site.toml", import.meta.url).pathname);
  expect(site.warnings).toEqual([]);
  expect(site.lcce).toMatchObject({ hostname: "site-a", routerId: 0xc0000201, datapath: "auto" });
  expect(site.tunnels).toHaveLength(1);
  expect(site.tunnels[0]).toMatchObject({ peer: "198.51.100.2", role: "both", helloIntervalMs: 30_000 });
  expect(site.tunnels[0]?.sessions).toEqual([
    {
      name: "lan42",
      leftToDialect: { l2Sublayer: true, endIdFormat: true },
      remoteEndId: octets("42"),
      localEndId: undefined,
      attachmentGroup: octets(""),
      pseudowire: "ethernet",
      call: undefined,
      callType: "incoming",
      circuit: undefined,
      interfaceName: "l2-paris42",
      cookieSize: 8,
      l2Sublayer: "none",
      sequencing: "none",
      reorderTimeoutMs: 20,
      sequenceWindow: 8_388_608,
      resyncAfter: 5,
      mtu: "auto",
      bridge: undefined,
      isolated: false,
      addresses: ["10.0.0.1/30"],
      routes: [],
    },
  ]);
});

test("every line that conf/site.toml comments out is good too, and a default where it says so", async () => {
  const { readFile } = await import("node:fs/promises");
  const text = await readFile(new URL("../../../conf/site.toml", import.meta.url), "utf8");
  // Those of static tunnels have no place in one that is negotiated.
  const uncommented = text.replaceAll(
    /^# (?!(?:local|remote)_(?:tunnel_id|session_id|cookie)\b)([a-z0-9_]+ *= )/gm,
    "$1",
  );
  expect(uncommented).not.toBe(text);
  const [tunnel] = read(uncommented).tunnels;
  const [shown] = read(text).tunnels;
  // What is optional and has no default.
  expect(tunnel).toMatchObject({ peerHostname: "site-b", peerRouterId: 0xc6336402, bindDevice: "vrf-red" });
  expect(tunnel?.sessions[0]).toMatchObject({
    bridge: "br0",
    call: "both",
    callType: "incoming",
    circuit: "eth1",
    pseudowire: "vlan",
    vlan: 42,
    localEndId: octets("42"),
    attachmentGroup: octets("blue"),
  });
  expect(tunnel?.authentication).toMatchObject({ digest: "md5", hidden: false, chapPassword: octets("another") });
  expect(tunnel?.authentication.secrets).toHaveLength(2);
  const named = { peerHostname: undefined, peerRouterId: undefined, bindDevice: undefined, netns: undefined };
  expect(shown?.leftToDialect).toEqual({ receiveWindow: true });
  const left = { leftToDialect: shown?.leftToDialect };
  const optional = { ...named, ...left, df: undefined, ttl: undefined, authentication: shown?.authentication };
  expect(tunnel).toMatchObject({ df: true, ttl: 64 });
  expect({ ...tunnel, ...optional, sessions: [] }).toEqual({ ...shown, sessions: [] });
});
