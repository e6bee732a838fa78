import { describe, expect, test } from "vitest";
import { listenWithin } from "../../../src/config/listen.ts";
import { parseSite } from "../../../src/config/load.ts";

function listenOf(toml: string) {
  return parseSite(toml, "site.toml").lcce.listen;
}

function tunnelOf(toml: string) {
  return parseSite(`[tunnel.t]\n${toml}`, "site.toml").tunnels[0];
}

describe("where the daemon listens by default", () => {
  test.each([
    ['peer = "192.0.2.1"', [{ address: "0.0.0.0", port: 1701 }]],
    ['peer = "2001:db8::1"', [{ address: "::", port: 1701 }]],
    ['peer = "192.0.2.1"\nencapsulation = "ip"', [{ address: "0.0.0.0", port: 0 }]],
    ['peer = "2001:db8::1"\nencapsulation = "ip"', [{ address: "::", port: 0 }]],
    ['peer = "pe.example"\nlocal = "2001:db8::1"', [{ address: "::", port: 1701 }]],
    ['peer = "2001:db8::1"\nlocal = "@eth0"', [{ address: "::", port: 1701 }]],
    ['peer = "192.0.2.1"\nlocal = "@eth0"', [{ address: "0.0.0.0", port: 1701 }]],
    [
      'peer = "pe.example"\nlocal = "@eth0"',
      [
        { address: "0.0.0.0", port: 1701 },
        { address: "::", port: 1701 },
      ],
    ],
    [
      'peer_hostname = "b"',
      [
        { address: "0.0.0.0", port: 1701 },
        { address: "::", port: 1701 },
      ],
    ],
    [
      'peer = "192.0.2.1"\n[tunnel.u]\npeer = "192.0.2.2"\n[tunnel.v]\npeer = "192.0.2.3"\nencapsulation = "ip"',
      [
        { address: "0.0.0.0", port: 1701 },
        { address: "0.0.0.0", port: 0 },
      ],
    ],
  ])("%j", (toml, listen) => {
    expect(listenOf(`[tunnel.t]\n${toml}`)).toEqual(listen);
  });

  const UDP = { address: "0.0.0.0", port: 1701 };
  const IP = { address: "0.0.0.0", port: 0 };
  const PEER = 'peer = "192.0.2.1"\n';
  const TYPED = `${PEER}mode = "static"\nlocal_tunnel_id = 1\nremote_tunnel_id = 2\n`;
  test.each([
    ["without any tunnel", "", [], []],
    ["its own one", `[tunnel.t]\n${PEER}`, [UDP], []],
    ["one that only opens, but hears its peer", `[tunnel.t]\n${PEER}role = "initiator"`, [UDP], []],
    ["another namespace's one", `[tunnel.t]\n${PEER}netns = "x"`, [], [UDP]],
    ["a static one", `[tunnel.t]\n${TYPED}`, [], []],
    ["a hello-only one", `[tunnel.t]\n${TYPED.replace("static", "hello-only")}`, [], []],
    ["a static one elsewhere", `[tunnel.t]\n${TYPED}netns = "x"`, [], []],
    ["one each", `[tunnel.t]\n${PEER}netns = "x"\n[tunnel.u]\n${PEER}encapsulation = "ip"`, [IP], [UDP]],
    ["given, own", `[lcce]\nlisten = ["udp:0.0.0.0:1701"]\n[tunnel.t]\n${TYPED}`, [UDP], []],
    ["given, elsewhere", `[lcce]\nlisten = ["udp:0.0.0.0:1701"]\n[tunnel.t]\n${PEER}netns = "x"`, [UDP], [UDP]],
    ["given, static", `[lcce]\nlisten = ["udp:0.0.0.0:1701"]\n[tunnel.t]\n${TYPED}netns = "x"`, [UDP], []],
  ])("in its own network namespace and in x: %s", (_title, toml, own, x) => {
    const site = parseSite(toml, "site.toml");
    expect([undefined, "x"].map((netns) => listenWithin(site, netns))).toEqual([own, x]);
  });
});

test("addresses are taken in their canonical form", () => {
  expect(tunnelOf('peer = "2001:DB8:0:0::2"\nlocal = "2001:db8:0::1"')).toMatchObject({
    peer: "2001:db8::2",
    local: "2001:db8::1",
  });
  expect(tunnelOf('peer = "FE80:0::2%eth0"')?.peer).toBe("fe80::2%eth0");
});

test("who cannot be reached by the tunnel's encapsulation only opens", () => {
  const toml = (listen: string) =>
    `[lcce]\nlisten = ["${listen}"]\n[tunnel.t]\npeer = "192.0.2.1"\nencapsulation = "ip"`;
  const roleOf = (listen: string) => parseSite(toml(listen), "site.toml").tunnels[0]?.role;
  expect(["ip:192.0.2.9", "udp:0.0.0.0:1701", "ip:[::]"].map(roleOf)).toEqual(["both", "initiator", "initiator"]);
});

const IP = '[tunnel.t]\npeer = "192.0.2.2"\nencapsulation = "ip"\n';

test.each([
  [
    `${IP}peer_port = 1701`,
    'site.toml:4: tunnel.t.peer_port: there are no ports with encapsulation "ip": leave the key out',
  ],
  [
    `${IP}local_port = 0`,
    'site.toml:4: tunnel.t.local_port: there are no ports with encapsulation "ip": leave the key out',
  ],
  [
    `[lcce]\ndatapath = "userspace"\n${IP}`,
    'site.toml:5: tunnel.t.encapsulation: found "ip", which only the kernel\'s datapath carries, allowed with datapath "userspace": "udp"',
  ],
  [
    '[tunnel.t]\npeer = "192.0.2.2"\nlocal = "2001:DB8::1"',
    'site.toml:3: tunnel.t.local: found "2001:db8::1", which is not of the IP version of the peer, 192.0.2.2, allowed: "auto" or one of IPv4',
  ],
  [
    '[tunnel.t]\npeer = "fe80::2%eth0"\nlocal = "@eth0"',
    "site.toml:3: tunnel.t.local: a link-local peer names the interface itself: leave local out",
  ],
  [
    `[lcce]\nlisten = ["udp:0.0.0.0:1701"]\n${IP}role = "responder"`,
    'site.toml:6: tunnel.t.role: role "responder" waits for the peer, but lcce.listen has no address of encapsulation "ip" for it: nobody can reach it',
  ],
  [
    '[lcce]\nlisten = ["udp:[::1]:1701", "udp:[0::1]:1701"]\n[tunnel.t]\npeer = "::1"',
    "site.toml:2: lcce.listen: the same address twice",
  ],
])("%j", (toml, message) => {
  expect(() => parseSite(toml, "site.toml")).toThrow(message);
});

test("two tunnels for one peer are told apart by their encapsulation", () => {
  const toml = `[tunnel.t]\npeer = "192.0.2.2"\nrole = "responder"\n${IP.replace("tunnel.t", "tunnel.u")}role = "responder"`;
  expect(parseSite(toml, "site.toml").tunnels.map(({ encapsulation }) => encapsulation)).toEqual(["udp", "ip"]);
  expect(() => parseSite(toml.replace('"ip"', '"udp"'), "site.toml")).toThrow('the same peer would match tunnel "t"');
});
