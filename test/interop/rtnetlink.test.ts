import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LinkAnswer, LinkCall } from "../../src/kernel/links.ts";
import { NetworkNamespace, namespacesMissing } from "../support/namespaces.ts";

const DIST = new URL("../../dist/src/kernel/", import.meta.url);

function missing(): string | undefined {
  return namespacesMissing() ?? (existsSync(new URL("links.js", DIST)) ? undefined : "needs dist: npm run build");
}

const reason = missing();

/** A netlink socket belongs to the namespace that it was made in, so the calls are made by a process inside. */
const SCRIPT = `
  const { callLinks } = await import("${DIST}links.js");
  const { NETLINK_ROUTE } = await import("${DIST}netlink-messages.js");
  const { NetlinkSocket } = await import("${DIST}netlink-socket.js");
  const socket = new NetlinkSocket(NETLINK_ROUTE);
  const answers = callLinks((requests) => socket.exchange(requests), JSON.parse(process.argv[1]));
  console.log(JSON.stringify(answers));
`;

describe.skipIf(reason !== undefined)(`rtnetlink${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  let namespace: NetworkNamespace;
  const inside = (...words: string[]) => namespace.ip(...words);

  async function call(...calls: LinkCall[]): Promise<LinkAnswer[]> {
    const words = ["--input-type=module", "-e", SCRIPT, JSON.stringify(calls)];
    const { code, stdout, stderr } = await namespace.run(process.execPath, words);
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout);
  }

  beforeAll(() => {
    namespace = new NetworkNamespace();
    namespace.write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0");
    inside("link", "add", "v0", "type", "veth", "peer", "name", "v1");
    inside("link", "add", "br0", "type", "bridge");
  });

  afterAll(() => namespace.remove());

  test("MTU, bridge, addresses and up, as ip shows them", async () => {
    const [port, bridge] = await call({ command: "RTM_GETLINK", name: "v0" }, { command: "RTM_GETLINK", name: "br0" });
    expect(port?.link).toMatchObject({ name: "v0", mtu: 1500, up: false, kind: "veth" });
    expect(bridge?.link).toMatchObject({ name: "br0", kind: "bridge" });
    const answers = await call(
      { command: "RTM_SETLINK", name: "v0", mtu: 1400 },
      { command: "RTM_SETLINK", name: "v0", master: bridge?.link?.index ?? 0 },
      { command: "RTM_NEWADDR", index: port?.link?.index ?? 0, address: "10.0.0.1/30" },
      { command: "RTM_NEWADDR", index: port?.link?.index ?? 0, address: "2001:db8::1/64" },
      { command: "RTM_SETLINK", name: "v0", up: true },
    );
    expect(answers.map(({ errno }) => errno)).toEqual(["", "", "", "", ""]);
    const [shown] = JSON.parse(inside("-json", "addr", "show", "dev", "v0"));
    expect(shown).toMatchObject({ mtu: 1400, master: "br0", flags: expect.arrayContaining(["UP"]) });
    const addresses = shown.addr_info.map(
      (each: { local: string; prefixlen: number }) => `${each.local}/${each.prefixlen}`,
    );
    expect(addresses).toEqual(expect.arrayContaining(["10.0.0.1/30", "2001:db8::1/64"]));
    expect((await call({ command: "RTM_GETLINK", name: "v0" }))[0]?.link).toMatchObject({ up: true, mtu: 1400 });
  });

  test("routes on the link, and behind a router of it", async () => {
    inside("link", "set", "v1", "up");
    const [link] = await call({ command: "RTM_GETLINK", name: "v0" });
    const index = link?.link?.index ?? 0;
    const destinations = [
      "10.2.0.0/16",
      "10.3.0.0/16 via 10.0.0.2",
      "2001:db8:2::/48 via 2001:db8::2",
      "10.4.0.0/16 via 10.9.0.1",
    ];
    const answers = await call(
      ...destinations.map((destination) => ({ command: "RTM_NEWROUTE", index, destination }) as const),
    );
    // No network of the device has the last one's router.
    expect(answers.map(({ errno }) => errno)).toEqual(["", "", "", "ENETUNREACH"]);
    const shown = [...JSON.parse(inside("-json", "route")), ...JSON.parse(inside("-json", "-6", "route"))];
    const routes = shown.map(({ dst, gateway, scope }) => [dst, gateway, scope].join(" "));
    expect(routes).toEqual(expect.arrayContaining(["10.2.0.0/16  link", "10.3.0.0/16 10.0.0.2 "]));
    expect(routes).toEqual(expect.arrayContaining([expect.stringMatching(/^2001:db8:2::\/48 2001:db8::2 /)]));
  });

  test("whose a route is, before and after somebody replaces it", async () => {
    const destinations = ["10.5.0.0/16", "2001:db8:5::/48"];
    const names = ["v0", "v1"] as const;
    const links = await call(...names.map((name) => ({ command: "RTM_GETLINK", name }) as const));
    const indexes = links.map(({ link }) => link?.index);
    const ask = async () => {
      const answers = await call(
        ...destinations.map((each) => ({ command: "RTM_GETROUTE", destination: each }) as const),
      );
      return answers.map(({ route }) => route);
    };
    const found = (index?: number) => [16, 48].map((prefixLength) => ({ index, prefixLength, table: 254 }));
    for (const name of names) inside("link", "set", name, "up");
    for (const each of destinations) inside("route", "add", each, "dev", "v0");
    expect(await ask()).toEqual(found(indexes[0]));
    for (const each of destinations) inside("route", "replace", each, "dev", "v1");
    expect(await ask()).toEqual(found(indexes[1]));
  });

  test("refusals carry the error number and the kernel's own words", async () => {
    const [tooBig, noBridge, twice, unknown] = await call(
      { command: "RTM_SETLINK", name: "v0", mtu: 100_000 },
      { command: "RTM_SETLINK", name: "v1", master: 1 },
      { command: "RTM_NEWADDR", index: 1_000_000, address: "10.0.0.1/30" },
      { command: "RTM_SETLINK", name: "v9", up: true },
    );
    expect(tooBig).toMatchObject({ errno: "EINVAL", extendedAck: "mtu greater than device maximum" });
    expect(noBridge?.errno).not.toBe("");
    expect(twice?.errno).toBe("ENODEV");
    expect(unknown?.errno).toBe("ENODEV");
  });
});
