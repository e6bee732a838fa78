import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DeviceSettings } from "../../src/kernel/datapath.ts";
import type { ChangingDevice } from "../../src/kernel/device-change.ts";
import type { Refusal } from "../../src/kernel/refusals.ts";
import { NetworkNamespace, namespacesMissing } from "../support/namespaces.ts";

const DIST = new URL("../../dist/src/kernel/", import.meta.url);

function missing(): string | undefined {
  return namespacesMissing() ?? (existsSync(new URL("links.js", DIST)) ? undefined : "needs dist: npm run build");
}

const reason = missing();

/** A netlink socket belongs to the namespace that it was made in, so the changes are made by a process inside. */
const SCRIPT = `
  const { callLinks } = await import("${DIST}links.js");
  const { changeDevice } = await import("${DIST}device-change.js");
  const { NETLINK_ROUTE } = await import("${DIST}netlink-messages.js");
  const { NetlinkSocket } = await import("${DIST}netlink-socket.js");
  const socket = new NetlinkSocket(NETLINK_ROUTE);
  const links = (calls) => callLinks((requests) => socket.exchange(requests), calls);
  const [device, settings] = JSON.parse(process.argv[1]);
  console.log(JSON.stringify(changeDevice({ links }, device, settings) ?? null));
`;

const PLAIN: DeviceSettings = { mtu: "auto", bridge: undefined, isolated: false, addresses: [], routes: [] };

describe.skipIf(reason !== undefined)(
  `another configuration for a device that is up${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  () => {
    let namespace: NetworkNamespace;
    let before: DeviceSettings = PLAIN;
    const inside = (...words: string[]) => namespace.ip(...words);

    async function change(settings: Partial<DeviceSettings>, more: Partial<ChangingDevice> = {}): Promise<string> {
      const device = { ...before, interfaceName: "v0", lowerName: undefined, raised: true, ...more };
      const after = { ...PLAIN, ...settings };
      const words = ["--input-type=module", "-e", SCRIPT, JSON.stringify([device, after])];
      const { code, stdout, stderr } = await namespace.run(process.execPath, words);
      expect(code, stderr).toBe(0);
      const refusal: Refusal | null = JSON.parse(stdout);
      if (refusal === null) before = after;
      return refusal?.message ?? "";
    }

    /** Global addresses, and routes that are nobody's but ours; and that the device was up all the time. */
    function state() {
      const [shown] = JSON.parse(inside("-json", "-details", "address", "show", "dev", "v0"));
      expect(shown.flags).toContain("UP");
      const info: { local: string; prefixlen: number; scope: string }[] = shown.addr_info;
      const addresses = info.filter(({ scope }) => scope === "global").map((each) => `${each.local}/${each.prefixlen}`);
      const routes: { dst: string; gateway?: string; protocol: string }[] = [
        ...JSON.parse(inside("-json", "route", "show", "dev", "v0")),
        ...JSON.parse(inside("-json", "-6", "route", "show", "dev", "v0")),
      ];
      const ours = routes.filter(({ protocol }) => protocol === "static");
      return {
        addresses: addresses.toSorted(),
        routes: ours.map(({ dst, gateway }) => (gateway === undefined ? dst : `${dst} via ${gateway}`)).toSorted(),
        master: shown.master,
        mtu: shown.mtu,
        isolated: shown.linkinfo?.info_slave_data?.isolated === true,
      };
    }

    beforeAll(() => {
      namespace = new NetworkNamespace();
      namespace.write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0");
      inside("link", "add", "v0", "type", "veth", "peer", "name", "v1");
      for (const name of ["br0", "br1"]) inside("link", "add", name, "type", "bridge");
      for (const name of ["v0", "v1", "br0", "br1"]) inside("link", "set", name, "up");
    });

    afterAll(() => namespace.remove());

    test("addresses and routes of both IP versions come, stay and go", async () => {
      const first = {
        addresses: ["10.0.0.1/24", "2001:db8::1/64"],
        routes: ["10.2.0.0/16", "10.3.0.0/16 via 10.0.0.2", "2001:db8:2::/48 via 2001:db8::2"],
      };
      expect(await change(first)).toBe("");
      expect(state()).toMatchObject({ addresses: first.addresses.toSorted(), routes: first.routes.toSorted() });
      const second = { addresses: ["10.0.0.1/24", "10.0.0.9/24"], routes: ["10.2.0.0/16", "10.3.0.0/16"] };
      expect(await change(second)).toBe("");
      expect(state()).toMatchObject(second);
    });

    test("the first address of a network goes, and the second one stays; so do the routes", async () => {
      expect(await change({ addresses: ["10.0.0.9/24"], routes: ["10.2.0.0/16"] })).toBe("");
      expect(state()).toMatchObject({ addresses: ["10.0.0.9/24"], routes: ["10.2.0.0/16"] });
    });

    test("the only address for another one: the routes stay", async () => {
      expect(await change({ addresses: ["10.9.0.1/24"], routes: ["10.2.0.0/16"] })).toBe("");
      expect(state()).toMatchObject({ addresses: ["10.9.0.1/24"], routes: ["10.2.0.0/16"] });
      expect(await change({ routes: ["10.2.0.0/16"] })).toBe("");
      expect(state()).toMatchObject({ addresses: [], routes: ["10.2.0.0/16"] });
    });

    test("into a bridge, isolated, to another one, and out of it; with its MTU", async () => {
      expect(await change({ bridge: "br0", isolated: true, mtu: 1400 })).toBe("");
      expect(state()).toMatchObject({ master: "br0", isolated: true, mtu: 1400, routes: [] });
      expect(await change({ bridge: "br1", mtu: 1450 })).toBe("");
      expect(state()).toMatchObject({ master: "br1", isolated: false, mtu: 1450 });
      expect(await change({})).toBe("");
      expect(state().master).toBeUndefined();
      expect(await change({ bridge: "br7" })).toContain("there is no bridge br7");
    });
  },
);
