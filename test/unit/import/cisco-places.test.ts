import { describe, expect, test } from "vitest";
import { importFixtures, importText } from "./imported.ts";

const ONLY_ETHERNET = "only Ethernet and VLAN circuits are carried";

describe("where xconnects and addresses stand", () => {
  const { site, warnings, toml } = importFixtures("circuits.cfg");

  test("the peer is the router's primary address, wherever the secondary ones stand", () => {
    expect(site.tunnels).toMatchObject([{ peer: "192.0.2.2", local: "192.0.2.1" }]);
  });

  test("a name is the same with a space before its number, and in other letters", () => {
    expect(toml).toContain("Loopback0 of the router");
    expect(toml).toContain("Ethernet0/0 of the router");
    expect(warnings.join()).not.toContain("Loopback");
  });

  test("what is no Ethernet circuit is left, and said to be", () => {
    expect(site.tunnels[0]?.sessions.map(({ name }) => name)).toEqual(["vc100", "vc107"]);
    expect(warnings).toEqual([
      expect.stringMatching(`:22: xconnect 192.0.2.1 300 pw-class p: ${ONLY_ETHERNET}`),
      expect.stringMatching(`:26: xconnect 192.0.2.1 200 pw-class p: ${ONLY_ETHERNET}`),
      expect.stringMatching(`:37: xconnect 192.0.2.1 102 pw-class p: ${ONLY_ETHERNET}`),
    ]);
  });

  test("only what has no xconnect is called needless", () => {
    expect(toml).toContain("interface Serial0/1.1 point-to-point: no xconnect");
    for (const name of ["ATM0/0", "Serial0/0", "Ethernet0/2"]) expect(toml).not.toContain(`${name}: no xconnect`);
  });

  test.each([
    "FastEthernet0/0",
    "TenGigE0/0/0/1",
    "HundredGigE1/0/1",
    "Vlan12",
    "Port-channel 3",
    "Bundle-Ether7",
    "Gi0/1",
  ])("%s carries Ethernet", (name) => {
    expect(importText(portOf(name)).site.tunnels[0]?.sessions).toHaveLength(1);
  });

  test.each(["Serial0/0", "ATM1/0.100 point-to-point", "POS2/0", "Tunnel5", "Dialer1", "Multilink 3"])(
    "%s does not",
    (name) => {
      expect(() => importText(portOf(name))).toThrow(ONLY_ETHERNET);
    },
  );

  test("an interface whose own circuit is left still lends its address", () => {
    const lending = portOf("Ethernet0/0")
      .replace("interface Loopback0", "interface Serial 0/0")
      .replace("interface Loopback0", "interface serial0/0\n xconnect 192.0.2.1 9 pw-class p");
    const { site: one, warnings: left } = importText(lending);
    expect(one.tunnels).toMatchObject([{ peer: "192.0.2.2", sessions: [{ name: "vc1" }] }]);
    expect(left).toEqual([expect.stringContaining(ONLY_ETHERNET)]);
  });
});

function portOf(name: string): string {
  return [
    "hostname R1",
    "pseudowire-class p",
    " encapsulation l2tpv3",
    " ip local interface Loopback0",
    "interface Loopback0",
    " ip address 192.0.2.2 255.255.255.255",
    `interface ${name}`,
    " xconnect 192.0.2.1 1 pw-class p",
  ].join("\n");
}
