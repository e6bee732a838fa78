import { describe, expect, test } from "vitest";
import { parseSite } from "../../../src/config/load.ts";
import { complaint } from "./complaint.ts";

const PEER = 'peer = "192.0.2.2"';
const tunnel = (name: string, keys: string) => `[tunnel.${name}]\n${PEER}\n${keys}\n`;
const session = (name: string, keys: string) => `[tunnel.${name}.session.s]\n${keys}\n`;

test.each([
  ["blue", "blue"],
  ["/run/netns/blue", "blue"],
  ["/var/run/netns/blue", "blue"],
  ["/proc/1234/ns/net", "/proc/1234/ns/net"],
  ["/run/netns/of/blue", "/run/netns/of/blue"],
])("netns = %j is %j", (given, known) => {
  expect(parseSite(tunnel("a", `netns = "${given}"`), "site.toml").tunnels[0]?.netns).toBe(known);
});

test.each(["", ".", "..", "a/b", "./blue", "/", "/run/netns/"])("netns = %j is none", (given) => {
  expect(complaint(tunnel("a", `netns = "${given}"`))).toContain(
    'allowed: the name of a network namespace as of ip netns ("blue"), or an absolute path ("/proc/1234/ns/net")',
  );
});

test("without it a tunnel is in the daemon's own", () => {
  expect(parseSite(tunnel("a", ""), "site.toml").tunnels[0]?.netns).toBeUndefined();
});

describe("tunnels in different namespaces", () => {
  test("may have the same peer, addresses, ports, interface names and circuits", () => {
    const keys = 'interface = "l2"\ncircuit = "eth1"';
    const toml = ["blue", "red"].map((name) => tunnel(name, `netns = "${name}"`) + session(name, keys)).join("");
    const { tunnels, warnings } = parseSite(toml + tunnel("own", "") + session("own", keys), "site.toml");
    expect(tunnels.map(({ netns }) => netns)).toEqual(["blue", "red", undefined]);
    expect(warnings).toEqual([]);
  });

  test("a circuit may have the name that a session's interface has elsewhere", () => {
    const toml =
      tunnel("a", 'netns = "blue"') + session("a", 'interface = "x"') + tunnel("b", "") + session("b", 'circuit = "x"');
    expect(parseSite(toml, "site.toml").tunnels).toHaveLength(2);
  });

  test("in one they may not, however it is written", () => {
    const toml = ["blue", "/run/netns/blue"]
      .map(
        (netns, i) =>
          tunnel(`t${i}`, `netns = "${netns}"\nlocal_port = ${1701 + i}`) + session(`t${i}`, 'interface = "l2"'),
      )
      .join("");
    const message = complaint(toml);
    expect(message).toContain('interface "l2" is already that of t0/s');
    expect(message).toContain('the same peer would match tunnel "t0"');
  });
});

test("tunnels of the same peer that are bound to different devices are told apart, over UDP", () => {
  const toml = (more: string) => ["red", "blue"].map((vrf) => tunnel(vrf, `bind_device = "${vrf}"\n${more}`)).join("");
  expect(parseSite(toml(""), "site.toml").warnings).toEqual([]);
  expect(complaint(toml('encapsulation = "ip"'))).toContain('the same peer would match tunnel "red"');
});

test.each([
  ["peer", "fe80::2%eth0"],
  ["local", "fe80::1%eth0"],
])("a link-local %s cannot be in another namespace", (key, address) => {
  const keys =
    key === "peer"
      ? `netns = "blue"\npeer = "${address}"`
      : `netns = "blue"\npeer = "2001:db8::2"\nlocal = "${address}"`;
  expect(complaint(`[tunnel.a]\n${keys}`)).toBe(
    `site.toml:${key === "peer" ? 3 : 4}: tunnel.a.${key}: found "${address}", a link-local address, allowed with netns: an address of wider scope, or a name`,
  );
});
