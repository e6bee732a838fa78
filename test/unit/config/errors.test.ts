import { describe, expect, test } from "vitest";
import { ConfigError } from "../../../src/config/config-error.ts";
import { loadSite, parseSite } from "../../../src/config/load.ts";
import { complaint } from "./complaint.ts";

const PEER = `[tunnel.t]\npeer = "192.0.2.2"\n`;
const SESSION = `${PEER}[tunnel.t.session.s]\n`;
const DURATION = "allowed: a duration with a unit (ms, s, m, h) from";
const INTERFACE = "allowed: an interface name: 1 to 15 printable characters without space, /, : and %";
const ROUTER_ID = 'allowed: an unsigned 32-bit value, dotted ("192.0.2.1") or an integer from 0 to 4294967295';
const LISTEN =
  "allowed: a list, each element udp:ADDRESS:PORT with a port from 1 to 65535, or ip:ADDRESS, with an IPv4 address or an IPv6 address in brackets";
const LOCAL =
  'allowed: an IPv4 or IPv6 address of this machine (link-local: with its interface, "fe80::1%eth0"), "auto", or "@" and an interface ("@eth0")';
const PEER_ALLOWED =
  'allowed: an IPv4 or IPv6 address (link-local: with this end\'s interface, "fe80::2%eth0") or a DNS name';
const CIDR = 'allowed: a list, each element an address with prefix length ("10.0.0.1/30", "2001:db8::1/64")';
const NETWORK =
  'allowed: a list, each element a network with prefix length, and its router ("10.2.0.0/16 via 10.0.0.2", "2001:db8:2::/48")';
const TOS = "allowed: an integer from 0 to 252 whose ECN bits (the lowest two) are 0: a multiple of 4";
const NAME = "allowed: 1 to 64 letters, digits, hyphens, underscores and dots, not beginning with a hyphen or dot";
const METRICS = "allowed: ADDRESS:PORT with a port from 1 to 65535, an IPv6 address in brackets";
const HOOK =
  'allowed: a list of strings: the absolute path of an executable ("/etc/l2tpv3-lcc/hooks/notify"), then its arguments';

type Row = readonly [toml: string, message: string];

describe("one wrong value", () => {
  const LCCE: readonly Row[] = [
    ['hostname = ""', 'hostname: found "", allowed: 1 to 255 printable US-ASCII characters'],
    ['hostname = "münchen"', 'hostname: found "münchen", allowed: 1 to 255 printable US-ASCII characters'],
    ["hostname = 5", "hostname: found 5, allowed: 1 to 255 printable US-ASCII characters"],
    ['router_id = "1.2.3"', `router_id: found "1.2.3", ${ROUTER_ID}`],
    ["router_id = 4294967296", `router_id: found 4294967296, ${ROUTER_ID}`],
    ["router_id = -1", `router_id: found -1, ${ROUTER_ID}`],
    ['listen = "udp:0.0.0.0:1701"', `listen: found "udp:0.0.0.0:1701", ${LISTEN}`],
    ['listen = ["udp:0.0.0.0:0"]', `listen: found "udp:0.0.0.0:0", ${LISTEN}`],
    ['listen = ["udp:0.0.0.0:65536"]', `listen: found "udp:0.0.0.0:65536", ${LISTEN}`],
    ['listen = ["tcp:0.0.0.0:1"]', `listen: found "tcp:0.0.0.0:1", ${LISTEN}`],
    ['listen = ["ip:0.0.0.0:1701"]', `listen: found "ip:0.0.0.0:1701", ${LISTEN}`],
    ['listen = ["ip:::"]', `listen: found "ip:::", ${LISTEN}`],
    ['listen = ["ip:[192.0.2.1]"]', `listen: found "ip:[192.0.2.1]", ${LISTEN}`],
    ['listen = ["udp:[fe80::1]:1701"]', `listen: found "udp:[fe80::1]:1701", ${LISTEN}`],
    ['listen = ["ip:0.0.0.0", "ip:192.0.2.1"]', "listen: over IP 0.0.0.0 leaves nothing for another address beside it"],
    ['listen = ["udp:0.0.0.0:1701", "udp:0.0.0.0:1701"]', "listen: the same address twice"],
    [
      'datapath = "kernal"',
      'datapath: found "kernal", allowed: "auto", "kernel", "userspace" or "none", did you mean "kernel"?',
    ],
    [
      'admin_socket = "admin.sock"',
      'admin_socket: found "admin.sock", allowed: an absolute path of at most 107 octets',
    ],
    ["log_level = true", 'log_level: found true, allowed: "error", "warn", "info", "debug" or "trace"'],
    ['metrics = "127.0.0.1:0"', `metrics: found "127.0.0.1:0", ${METRICS}`],
    ['metrics = "::1:9101"', `metrics: found "::1:9101", ${METRICS}`],
    ['metrics = "localhost:9101"', `metrics: found "localhost:9101", ${METRICS}`],
    ["metrics = 9101", `metrics: found 9101, ${METRICS}`],
    ['hostnam = "x"', 'hostnam: unknown key, did you mean "hostname"?'],
    ["zzz = 1", "zzz: unknown key"],
    ['peer = "192.0.2.2"', "peer: unknown key here: peer belongs into [tunnel.NAME]"],
  ];
  test.each(LCCE)("[lcce] %s", (toml, message) => {
    expect(complaint(`[lcce]\n${toml}\n${PEER}`)).toBe(`site.toml:2: lcce.${message}`);
  });

  const HOOKS: readonly Row[] = [
    ['tunnel-up = "/bin/true"', `tunnel-up: found "/bin/true", ${HOOK}`],
    ["tunnel-up = []", `tunnel-up: found an empty list, ${HOOK}`],
    ['tunnel-up = ["bin/true"]', `tunnel-up: found a list, ${HOOK}`],
    ['tunnel-up = ["/bin/true", 5]', `tunnel-up: found a list, ${HOOK}`],
    ['tunel-up = ["/bin/true"]', 'tunel-up: unknown key, did you mean "tunnel-up"?'],
    ['timeout = "1ms"', `timeout: found "1ms", ${DURATION} "100ms" to "10m"`],
  ];
  test.each(HOOKS)("[hooks] %s", (toml, message) => {
    expect(complaint(`[hooks]\n${toml}\n${PEER}`)).toBe(`site.toml:2: hooks.${message}`);
  });

  const TUNNEL: readonly Row[] = [
    [
      'role = "initator"',
      'role: found "initator", allowed: "initiator", "responder" or "both", did you mean "initiator"?',
    ],
    ['local = "eth0"', `local: found "eth0", ${LOCAL}`],
    ['local = "0.0.0.0"', `local: found "0.0.0.0", ${LOCAL}`],
    ['local = "@"', `local: found "@", ${LOCAL}`],
    ["peer_port = 0", "peer_port: found 0, allowed: an integer from 1 to 65535"],
    ["peer_port = 65536", "peer_port: found 65536, allowed: an integer from 1 to 65535"],
    ['peer_port = "1701"', 'peer_port: found "1701", allowed: an integer from 1 to 65535, did you mean 1701?'],
    ["peer_port = 1.5", "peer_port: found 1.5, allowed: an integer from 1 to 65535"],
    ["local_port = -1", "local_port: found -1, allowed: an integer from 0 to 65535"],
    ['encapsulation = "upd"', 'encapsulation: found "upd", allowed: "udp" or "ip", did you mean "udp"?'],
    ["tos = 1", `tos: found 1, ${TOS}`],
    ["tos = 187", `tos: found 187, ${TOS}`],
    ["tos = 256", `tos: found 256, ${TOS}`],
    ["ttl = 0", "ttl: found 0, allowed: an integer from 1 to 255"],
    ["df = 1", "df: found 1, allowed: true or false"],
    [
      "hello_interval = 60",
      `hello_interval: found 60, ${DURATION} "100ms" to "24h", or "0s" for off, did you mean "60s"?`,
    ],
    ['hello_interval = "60"', `hello_interval: found "60", ${DURATION} "100ms" to "24h", or "0s" for off`],
    ['hello_interval = "99ms"', `hello_interval: found "99ms", ${DURATION} "100ms" to "24h", or "0s" for off`],
    ["receive_window = 0", "receive_window: found 0, allowed: an integer from 1 to 65535"],
    ["receive_window = 65536", "receive_window: found 65536, allowed: an integer from 1 to 65535"],
    ["receive_window = 1979-05-27", "receive_window: found a date, allowed: an integer from 1 to 65535"],
    ["receive_window = [16]", "receive_window: found a list, allowed: an integer from 1 to 65535"],
    ["receive_window = { size = 16 }", "receive_window: found a table, allowed: an integer from 1 to 65535"],
    ['retransmit = "1s"', "retransmit: has to be a table"],
    ["retransmit = { retires = 3 }", 'retransmit.retires: unknown key, did you mean "retries"?'],
    ["retransmit = { retries = 101 }", "retransmit.retries: found 101, allowed: an integer from 0 to 100"],
    ["retransmit = { sccrq_retries = -1 }", "retransmit.sccrq_retries: found -1, allowed: an integer from 0 to 100"],
    ['retransmit = { initial = "5ms" }', `retransmit.initial: found "5ms", ${DURATION} "10ms" to "1m"`],
    [
      'retransmit = { initial = "9s" }',
      "retransmit.initial: retransmit.initial (9000 ms) is longer than retransmit.max (8000 ms)",
    ],
    ['reconnect = { min = "2m" }', "reconnect.min: reconnect.min (120000 ms) is longer than reconnect.max (60000 ms)"],
    ["template = 5", "template: found 5, allowed: the name of a template (there is no [template.NAME])"],
    [
      'dialect = "juniper"',
      'dialect: found "juniper", allowed: "auto", "cisco", "cisco-ietf", "yamaha", "mikrotik", "rfc2661" or "ietf"',
    ],
    ["pear = 1", 'pear: unknown key, did you mean "peer"?'],
    ['metrics = "x"', "metrics: unknown key"],
    ["cookie_size = 4", "cookie_size: unknown key here: cookie_size belongs into [tunnel.NAME.session.NAME]"],
    ["constructor = 1", "constructor: unknown key"],
    ["__proto__ = 1", "__proto__: unknown key"],
    ["session = 1", "session: found 1, allowed: tables, [tunnel.t.session.NAME]"],
    ["session.s = 1", "session.s: found a number, allowed: a table, [tunnel.t.session.NAME]"],
  ];
  test.each(TUNNEL)("[tunnel.t] %s", (toml, message) => {
    expect(complaint(`${PEER}${toml}`)).toBe(`site.toml:3: tunnel.t.${message}`);
  });

  const PEERS = [
    "",
    "0.0.0.0",
    "224.0.0.1",
    "192.0.2.256",
    "fe80::1",
    "2001:db8::1%eth0",
    "ff02::1",
    "::",
    "::ffff:192.0.2.1",
    "1::2::3",
    "pe 2",
    "-a.example",
    "a..b",
  ];
  test.each(PEERS)("peer = %j", (peer) => {
    const found = JSON.stringify(peer);
    expect(complaint(`[tunnel.t]\npeer = ${found}`)).toBe(
      `site.toml:2: tunnel.t.peer: found ${found}, ${PEER_ALLOWED}`,
    );
  });

  const SESSIONS: readonly Row[] = [
    ["cookie_size = 5", "cookie_size: found 5, allowed: 0, 4 or 8"],
    ['cookie_size = "8"', 'cookie_size: found "8", allowed: 0, 4 or 8'],
    ['l2_sublayer = "atm"', 'l2_sublayer: found "atm", allowed: "none" or "default"'],
    ['pseudowire = "vlna"', 'pseudowire: found "vlna", allowed: "ethernet" or "vlan", did you mean "vlan"?'],
    ['vlan = 0\npseudowire = "vlan"', "vlan: found 0, allowed: an integer from 1 to 4094"],
    ['vlan = 4095\npseudowire = "vlan"', "vlan: found 4095, allowed: an integer from 1 to 4094"],
    ['vlan = "42"\npseudowire = "vlan"', 'vlan: found "42", allowed: an integer from 1 to 4094, did you mean 42?'],
    ['call = "peer"', 'call: found "peer", allowed: "initiator", "responder" or "both"'],
    ['interface = "l2-paris42-toolong"', `interface: found "l2-paris42-toolong", ${INTERFACE}`],
    ['interface = "a/b"', `interface: found "a/b", ${INTERFACE}`],
    ['interface = ".."', `interface: found "..", ${INTERFACE}`],
    ['bridge = "b r"', `bridge: found "b r", ${INTERFACE}`],
    ["mtu = 575", 'mtu: found 575, allowed: "auto" or an integer from 576 to 9216'],
    ["mtu = 9217", 'mtu: found 9217, allowed: "auto" or an integer from 576 to 9216'],
    ['mtu = "1500"', 'mtu: found "1500", allowed: "auto" or an integer from 576 to 9216'],
    ['addresses = ["10.0.0.1/30", "10.0.0.2"]', `addresses: found "10.0.0.2", ${CIDR}`],
    ['addresses = ["10.0.0.1/33"]', `addresses: found "10.0.0.1/33", ${CIDR}`],
    ['addresses = ["2001:db8::1/129"]', `addresses: found "2001:db8::1/129", ${CIDR}`],
    ['addresses = ["fe80::1%eth0/64"]', `addresses: found "fe80::1%eth0/64", ${CIDR}`],
    ['addresses = ["10.0.0.1/30", "10.0.0.1/30"]', "addresses: the same address twice"],
    ['routes = ["10.2.0.1/16"]', `routes: found "10.2.0.1/16", ${NETWORK}`],
    ['routes = ["2001:db8:2::1/48"]', `routes: found "2001:db8:2::1/48", ${NETWORK}`],
    ['routes = ["10.2.0.0"]', `routes: found "10.2.0.0", ${NETWORK}`],
    ['routes = ["10.2.0.0/16", "10.2.0.0/16"]', "routes: the same network twice"],
    ['routes = ["10.2.0.0/16 via 10.0.0.2", "10.2.0.0/16"]', "routes: the same network twice"],
    ...[
      "10.2.0.0/16 via ::1",
      "10.2.0.0/16 via 224.0.0.1",
      "10.2.0.0/16 via",
      "10.2.0.0/16 via 10.0.0.2 via 10.0.0.3",
    ].map((route) => [`routes = ["${route}"]`, `routes: found "${route}", ${NETWORK}`] as const),
    ...["::/0 via 10.0.0.2", "::/0 via ff02::1", "::/0 via fe80::1%eth0"].map(
      (route) => [`routes = ["${route}"]`, `routes: found "${route}", ${NETWORK}`] as const,
    ),
    ...['addresses = ["10.0.0.1/30", "2001:db8::1/64"]', 'routes = ["2001:db8:2::/48"]'].map(
      (key) =>
        [
          `mtu = 1279\n${key}`,
          'mtu: found 1279, allowed with IPv6 addresses or routes: "auto" or an integer from 1280 to 9216',
        ] as const,
    ),
    ...["10.2.0.0/16 via 10.9.0.2", "2001:db8:2::/48 via 2001:db8:9::2"].map(
      (route) =>
        [
          `routes = ["${route}"]\naddresses = ["10.0.0.1/30", "2001:db8::1/64"]`,
          `routes: found "${route}", whose router is in no network of the session's addresses: the kernel refuses such a route`,
        ] as const,
    ),
    ...["10.2.0.0/16 via 10.0.0.1", "2001:db8:2::/48 via 2001:DB8:0::1"].map(
      (route) =>
        [
          `routes = ["${route}"]\naddresses = ["10.0.0.1/30", "2001:db8::1/64"]`,
          `routes: found "${route}", whose router is this end's own address, allowed: that of the other end`,
        ] as const,
    ),
    [
      'routes = ["10.2.0.0/16 via 10.9.0.2", "10.9.0.0/24"]\naddresses = ["10.0.0.1/30"]',
      'routes: found "10.2.0.0/16 via 10.9.0.2", whose router is in no network of the session\'s addresses: the kernel refuses such a route',
    ],
    ["isolated = true", "isolated: only a port of a bridge can be isolated: bridge is missing"],
    ["end_id_format = 'u16'", 'end_id_format: found "u16", allowed: "text", "u32" or "hex"'],
    ["remote_end_id = 42", 'remote_end_id: found 42, allowed: a string ("42"), or set end_id_format = "u32"'],
    [
      "remote_end_id = ''",
      'remote_end_id: found "", allowed: a string, or with end_id_format = "u32" an integer from 0 to 4294967295',
    ],
    [`remote_end_id = "${"é".repeat(509)}"`, "remote_end_id: found 1018 octets, allowed: 1 to 1017"],
    [
      'remote_end_id = "1x"\nend_id_format = "u32"',
      'remote_end_id: found "1x", allowed with end_id_format = "u32": an integer from 0 to 4294967295',
    ],
    [
      'remote_end_id = "4294967296"\nend_id_format = "u32"',
      'remote_end_id: found "4294967296", allowed with end_id_format = "u32": an integer from 0 to 4294967295',
    ],
    [
      'remote_end_id = "abc"\nend_id_format = "hex"',
      'remote_end_id: found "abc", allowed with end_id_format = "hex": pairs of hexadecimal digits in a string ("00c0ffee", "00:c0:ff:ee")',
    ],
    ['sequencing = "al"', 'sequencing: found "al", allowed: "none", "non-ip" or "all", did you mean "all"?'],
    [
      'sequencing = "all"',
      'sequencing: sequencing "all" needs l2_sublayer = "default", which carries the sequence numbers',
    ],
    [
      'sequencing = "non-ip"',
      'sequencing: sequencing "non-ip" needs l2_sublayer = "default", which carries the sequence numbers',
    ],
    [
      'reorder_timeout = "11s"',
      'reorder_timeout: found "11s", allowed: a duration with a unit (ms, s, m, h) from "1ms" to "10s", or "0s" for off',
    ],
    ["sequence_window = 0", "sequence_window: found 0, allowed: an integer from 1 to 8388608"],
    ["sequence_window = 8388609", "sequence_window: found 8388609, allowed: an integer from 1 to 8388608"],
    ["resync_after = 1", "resync_after: found 1, allowed: an integer from 2 to 1000"],
    ['circuit = "eth 1"', `circuit: found "eth 1", ${INTERFACE}`],
    ["circuit = ['eth1']", `circuit: found a list, ${INTERFACE}`],
    ["circuit = true", `circuit: found true, ${INTERFACE}`],
    ['circut = "eth1"', 'circut: unknown key, did you mean "circuit"?'],
    [
      'call_type = "outgoin"',
      'call_type: found "outgoin", allowed: "incoming" or "outgoing", did you mean "outgoing"?',
    ],
    ["call_type = 1", 'call_type: found 1, allowed: "incoming" or "outgoing"'],
    ["local_end_id = 42", 'local_end_id: found 42, allowed: a string ("42"), or set end_id_format = "u32"'],
    [
      "local_end_id = ''",
      'local_end_id: found "", allowed: a string, or with end_id_format = "u32" an integer from 0 to 4294967295',
    ],
    [`local_end_id = "${"é".repeat(509)}"`, "local_end_id: found 1018 octets, allowed: 1 to 1017"],
    [
      "attachment_group = -1",
      'attachment_group: found -1, allowed: a string, or with end_id_format = "u32" an integer from 0 to 4294967295',
    ],
    ["attachment_group = 7", 'attachment_group: found 7, allowed: a string ("7"), or set end_id_format = "u32"'],
    [`attachment_group = "${"x".repeat(1018)}"`, "attachment_group: found 1018 octets, allowed: 1 to 1017"],
    [
      'attachment_group = "blue"\nremote_end_id = "00"\nend_id_format = "hex"',
      'attachment_group: found "blue", allowed with end_id_format = "hex": pairs of hexadecimal digits in a string ("00c0ffee", "00:c0:ff:ee")',
    ],
    [
      'circuit = "l2-t-s"',
      'circuit: found "l2-t-s", which is this session\'s own interface, allowed: an interface that this daemon does not make, such as "eth1"',
    ],
    [
      'bridge = "x"\ninterface = "x"',
      'bridge: found "x", which is this session\'s own interface, allowed: a bridge that exists',
    ],
    ['interface = "lo"', 'interface: interface "lo" is the loopback device of every machine'],
    ["cooky_size = 4", 'cooky_size: unknown key, did you mean "cookie_size"?'],
    ['hello_interval = "1s"', "hello_interval: unknown key here: hello_interval belongs into [tunnel.NAME]"],
  ];
  test.each(SESSIONS)("[tunnel.t.session.s] %s", (toml, message) => {
    expect(complaint(`${SESSION}${toml}`)).toBe(`site.toml:4: tunnel.t.session.s.${message}`);
  });

  test("an end id format that the session's name does not have", () => {
    expect(complaint(`${SESSION}end_id_format = "u32"`)).toBe(
      'site.toml:3: tunnel.t.session.s.remote_end_id: missing, and the session\'s name will not do: found "s", allowed with end_id_format = "u32": an integer from 0 to 4294967295',
    );
  });
});

describe("the shape of the file", () => {
  const ROWS: readonly Row[] = [
    ["tunel = 1", 'site.toml:1: tunel: unknown table or key, did you mean "tunnel"?'],
    ["[lccd]", 'site.toml:1: lccd: unknown table or key, did you mean "lcce"?'],
    ["lcce = 1", "site.toml:1: lcce: has to be a table"],
    ["tunnel = 1", "site.toml:1: tunnel: found 1, allowed: tables, [tunnel.NAME]"],
    ["[[tunnel]]", "site.toml:1: tunnel: found a list, allowed: tables, [tunnel.NAME]"],
    ['[tunnel."a/b"]\npeer = "x"', `site.toml:1: tunnel."a/b": wrong name, ${NAME}`],
    [`${PEER}[tunnel.t.session."-"]`, `site.toml:3: tunnel.t.session.-: wrong name, ${NAME}`],
    ["[template.a]\ntemplate = 'b'", "site.toml:2: template.a.template: a template cannot use another template"],
    ["[template.a]\npeerr = 'b'", 'site.toml:2: template.a.peerr: unknown key, did you mean "peer"?'],
    ["[template.a]\ncookie_size = 3", "site.toml:2: template.a.cookie_size: found 3, allowed: 0, 4 or 8"],
    [
      "[template.a.session]\ncookie_size = 3",
      "site.toml:2: template.a.session.cookie_size: found 3, allowed: 0, 4 or 8",
    ],
    [
      `[template.cisco]\n[template.yamaha]\n${PEER}template = "cisko"`,
      'site.toml:5: tunnel.t.template: found "cisko", allowed: the name of a template ("cisco", "yamaha"), did you mean "cisco"?',
    ],
  ];
  test.each(ROWS)("%j", (toml, message) => {
    expect(complaint(toml)).toBe(message);
  });

  test("a syntax error has line and column, and quotes nothing of the file", () => {
    const toml = `[lcce]\n${PEER}secret = "xyzzy\n`;
    expect(complaint(toml)).toMatch(/^site\.toml:4:\d+: no valid TOML: [^\n]+$/);
    expect(complaint(toml)).not.toContain("xyzzy");
  });

  const BARE: readonly (readonly [line: string, hint: string])[] = [
    ["bridge = br0", ', a string needs quotes: "br0"'],
    ["bridge = br0 # the LAN's", ', a string needs quotes: "br0"'],
    ["\tlocal=192.0.2.9", ', a string needs quotes: "192.0.2.9"'],
    ["hello_interval = 500ms", ', a string needs quotes: "500ms"'],
    ["mtu = truth", ', a string needs quotes: "truth"'],
    ["secret_file = /etc/x", ", a string needs quotes"],
    ["secret = hunter2", ", a string needs quotes"],
    ["secrte = hunter2", ", a string needs quotes"],
    ["secret.peer = hunter2", ", a string needs quotes"],
    ["local_cookie = 00ff", ", a string needs quotes"],
    ["addresses = [10.0.0.1/30]", ", a string needs quotes"],
    ["retransmit = { initial = 200ms }", ", a string needs quotes"],
    ["bridge = br0 br1", ""],
    ["bridge =", ""],
    ["mtu = 1_", ""],
    ['peer = "192.0.2.9" x', ""],
    ['bridge = "br0', ""],
  ];
  test.each(BARE)("a word without quotes: %j", (line, hint) => {
    const said = complaint(`${PEER}${line}\n`);
    expect(said).toMatch(/^site\.toml:3:\d+: no valid TOML: /);
    expect(said.includes(", a string") ? said.slice(said.indexOf(", a string")) : "").toBe(hint);
    expect(said).not.toContain("hunter2");
  });

  test("a key twice", () => {
    expect(complaint(`${PEER}peer = "192.0.2.3"`)).toMatch(/^site\.toml:3:\d+: no valid TOML: /);
  });

  test("a file that is not there", () => {
    expect(() => loadSite("/nonexistent/site.toml")).toThrow(
      "/nonexistent/site.toml: cannot be read: ENOENT: no such file or directory, open '/nonexistent/site.toml'",
    );
  });
});

test("all errors of a file come in one go, in the order of the lines", () => {
  const toml = `
[tunnel.paris]
peer = "192.0.2.2"
receive_window = 0
[tunnel.paris.session.lan42]
cookie_size = 5
[lcce]
datapath = "kernels"
`;
  const error = (() => {
    try {
      parseSite(toml, "site.toml");
    } catch (caught) {
      return caught;
    }
    return undefined;
  })();
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as ConfigError).problems).toEqual([
    {
      line: 4,
      column: undefined,
      key: "tunnel.paris.receive_window",
      text: "found 0, allowed: an integer from 1 to 65535",
    },
    { line: 6, column: undefined, key: "tunnel.paris.session.lan42.cookie_size", text: "found 5, allowed: 0, 4 or 8" },
    {
      line: 8,
      column: undefined,
      key: "lcce.datapath",
      text: 'found "kernels", allowed: "auto", "kernel", "userspace" or "none", did you mean "kernel"?',
    },
  ]);
});
