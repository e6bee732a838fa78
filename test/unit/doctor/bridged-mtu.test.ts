import { describe, expect, test } from "vitest";
import { checkPeers, type PeerFacts } from "../../../src/doctor/peers.ts";
import { device, plan } from "./plans.ts";

const WAY: PeerFacts = {
  addresses: ["192.0.2.9"],
  dnsError: undefined,
  route: { mtu: 1500, local: "192.0.2.1", device: "eth0" },
  ipsec: "none",
};

describe("the MTU of a session in a bridge", () => {
  const BRIDGE = ["br0", device({ isBridge: true })] as const;
  const port = (name: string, mtu: number) => [name, device({ mtu, bridge: "br0" })] as const;
  const of = (mtu: string, devices: readonly (readonly [string, ReturnType<typeof device>])[], ipsec = WAY.ipsec) =>
    checkPeers(
      new Map([["paris", { ...WAY, ipsec }]]),
      plan({ session: `interface = "l2-x"\nbridge = "br0"\nmtu = ${mtu}` }),
      () => new Map(devices),
    ).find(({ check }) => check.startsWith("MTU"));

  test("smaller than that of another port: frames are lost, and nobody is told", () => {
    expect(of('"auto"', [BRIDGE, port("eth1", 1500), port("eth2", 1400)])).toEqual({
      check: "MTU of session paris/lan42",
      status: "warning",
      found:
        "auto: about 1442, but eth1 in bridge br0 has 1500: a bridge tells nobody that a frame was too long, it drops it",
      advice: "mtu = 1500 at both ends (packets are fragmented), or MTU 1442 on every host of the segment",
    });
    expect(of("1400", [BRIDGE, port("eth1", 1500)])).toMatchObject({
      status: "warning",
      found: expect.stringMatching(/^1400, but eth1 in bridge br0 has 1500: /),
    });
  });

  test("where it is up, its own MTU counts and not what the route lets expect", () => {
    expect(of('"auto"', [BRIDGE, port("eth1", 1500), port("l2-x", 1380)])?.found).toMatch(/^auto: 1380, but eth1 /);
    expect(of('"auto"', [BRIDGE, port("eth1", 1442), port("l2-x", 1442)])).toMatchObject({ status: "note" });
  });

  test("as large as the others', at the price of fragments: that is a choice", () => {
    expect(of("1500", [BRIDGE, port("eth1", 1500), port("l2-x", 1500)])).toMatchObject({
      status: "ok",
      found: "1500: packets are fragmented, for the route leaves room for 1442; bridge br0 drops no frame",
    });
    expect(of("1500", [BRIDGE])).toMatchObject({ status: "ok" });
    expect(of("1500", [BRIDGE, port("eth1", 9000)])).toMatchObject({ status: "warning" });
  });

  test("ports of other bridges, and devices of none, do not matter", () => {
    const others = [BRIDGE, ["eth1", device()], ["eth2", device({ mtu: 9000, bridge: "br1" })]] as const;
    expect(of('"auto"', others)).toMatchObject({ status: "note", found: "auto: about 1442, not the 1500 of Ethernet" });
    expect(of("1400", others)).toMatchObject({ status: "ok", found: "1400 of 1442" });
  });
});
