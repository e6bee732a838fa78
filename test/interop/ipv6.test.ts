import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { namespacesMissing } from "../support/namespaces.ts";
import { type Site, TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing();
const UP_MS = 20_000;
/** IPv4: 1500 - 20 - 8 - 8 - 8 - 14; IPv6 has 20 octets more. */
const MTU = 1422;

let sites: TwoSites;

function enableIpv6({ name, namespace }: Site): void {
  for (const [key, value] of Object.entries({ accept_dad: "0", disable_ipv6: "0" })) {
    namespace.write(`/proc/sys/net/ipv6/conf/wan/${key}`, value);
  }
  namespace.ip("address", "add", `2001:db8::${name === "paris" ? 1 : 2}/64`, "dev", "wan", "nodad");
}

function linkLocalOf({ namespace }: Site): string {
  const found = /inet6 (fe80::[0-9a-f:]+)\//.exec(namespace.ip("address", "show", "dev", "wan"))?.[1];
  return `${found}%wan`;
}

function mtuOf({ namespace }: Site, device: string): number {
  return JSON.parse(namespace.ip("-json", "link", "show", "dev", device))[0].mtu;
}

describe.skipIf(missing !== undefined)(`two daemons over UDP and IPv6${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    sites = new TwoSites();
    for (const site of [sites.paris, sites.lyon]) enableIpv6(site);
  });
  afterEach(() => sites.remove());

  function start(site: Site, peer: string, lcce = "", more = "") {
    return sites.start(site, sites.configuration(site, { tunnel: `peer = "${peer}"\n${more}`, lcce }));
  }

  test("F01 local = @wan is that interface's IPv6 address where the peer's is one", async () => {
    const lyon = start(sites.lyon, "2001:db8::1");
    const paris = start(sites.paris, "2001:db8::2", "", 'local = "@wan"');
    await paris.untilUp(UP_MS);
    expect(await lyon.untilUp(UP_MS)).toMatchObject({ peer: "[2001:db8::1]:1701" });
  });

  test("F01 a session between global addresses: frames flow, the MTU fits, both sides listen side by side", async () => {
    const listen = 'listen = ["udp:0.0.0.0:1701", "udp:[::]:1701"]';
    const lyon = start(sites.lyon, "2001:0DB8::0:1", listen);
    const paris = start(sites.paris, "2001:db8::2", listen);
    const [atParis, atLyon] = [await paris.untilUp(UP_MS), await lyon.untilUp(UP_MS)];
    expect(atParis).toMatchObject({ encapsulation: "udp", peer: "[2001:db8::2]:1701" });
    expect(atLyon).toMatchObject({ encapsulation: "udp", peer: "[2001:db8::1]:1701" });
    expect([mtuOf(sites.paris, "l2-lyon"), mtuOf(sites.lyon, "l2-paris")]).toEqual([MTU, MTU]);
    expect(await sites.ping(sites.paris, 5)).toMatchObject({ sent: 5, received: 5 });
    const { octetsSent, octetsReceived } = await sites.transfer(sites.lyon, 1);
    expect(octetsReceived).toBe(octetsSent);
  });

  test("F01 a session between link-local addresses, and the initiator comes back after it was killed", async () => {
    const [atParis, atLyon] = [linkLocalOf(sites.paris), linkLocalOf(sites.lyon)];
    const lyon = start(sites.lyon, atParis);
    const paris = start(sites.paris, atLyon);
    expect(await paris.untilUp(UP_MS)).toMatchObject({ peer: `[${atLyon}]:1701` });
    const before = await lyon.untilUp(UP_MS);
    expect(before).toMatchObject({ peer: `[${atParis}]:1701` });
    expect(await sites.ping(sites.lyon, 3)).toMatchObject({ received: 3 });
    await paris.stop("SIGKILL");
    const again = start(sites.paris, atLyon);
    await again.untilUp(UP_MS);
    const isNew = ({ local_ccid, state }: { local_ccid: number; state: string }) =>
      state === "established" && local_ccid !== before.local_ccid;
    await lyon.untilTunnel("replaced", UP_MS, isNew);
    expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
  });
});
