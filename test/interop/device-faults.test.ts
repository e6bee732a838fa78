import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SessionReport } from "../../src/daemon/show-report.ts";
import { type DaemonProcess, until } from "../support/daemon-process.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { type Site, TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing();
const UP_MS = 15_000;
/** Noticed within a second; others may keep the machine busy. */
const SOON_MS = 8_000;
const ROUTE = "10.2.0.0/16";

interface LinkReport {
  readonly flags: readonly string[];
  readonly master?: string;
  readonly addr_info: readonly { readonly local: string }[];
}

let sites: TwoSites;
let paris: DaemonProcess;
let lyon: DaemonProcess;

describe.skipIf(missing !== undefined)(
  `devices that others interfere with, userspace datapath${missing ? ` (${missing})` : ""}`,
  () => {
    beforeEach(() => {
      sites = new TwoSites();
    });
    afterEach(() => sites.remove());

    test("address, route and bridge port are put back without a new session, and the log says so", async () => {
      await start(`routes = ["${ROUTE}"]`);
      const before = await localId(paris);
      expect(routes(sites.paris)).toContain(ROUTE);

      sites.paris.namespace.ip("address", "delete", "10.42.0.1/24", "dev", "l2-lyon");
      await until("the address is back", SOON_MS, () => device(sites.paris)?.addr_info.length === 1);
      await until("the route is back", SOON_MS, () => routes(sites.paris).includes(ROUTE));
      expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
      sites.paris.namespace.ip("route", "delete", ROUTE, "dev", "l2-lyon");
      await until("the route is back again", SOON_MS, () => routes(sites.paris).includes(ROUTE));

      expect(await localId(paris)).toBe(before);
      const said = paris.log.filter(({ event }) => event === "device-restored").map(({ message }) => message);
      expect(said.join()).toContain("interface l2-lyon: put back address 10.42.0.1/24");
      expect(said.join()).toContain(`route ${ROUTE}`);
    });

    test.each([ROUTE, "0.0.0.0/0"])(
      "another's route in the place of %s is left alone, and the log says so",
      async (route) => {
        await start(`routes = ["${route}"]`);
        sites.paris.namespace.ip("route", "replace", route, "dev", "lo");
        sites.paris.namespace.ip("address", "delete", "10.42.0.1/24", "dev", "l2-lyon");
        await until("the address is back", SOON_MS, () => device(sites.paris)?.addr_info.length === 1);
        const said = () => paris.log.filter(({ event }) => event === "route-taken").map(({ message }) => message);
        await until("that is said", SOON_MS, () => said().length > 0);
        expect(said()).toEqual([expect.stringContaining(`another route has taken the place of ${route} (see: ip `)]);
        expect(sites.paris.namespace.ip("route", "show", "exact", route)).toContain("dev lo");
      },
    );

    test("H11: a deleted bridge, and a device set down by hand, are told to the peer, and so is their return", async () => {
      const addBridge = () => sites.paris.namespace.ip("link", "add", "br0", "type", "bridge");
      addBridge();
      await start("", 'bridge = "br0"\naddresses = []');
      const before = await localId(paris);
      expect(device(sites.paris)?.master).toBe("br0");

      sites.paris.namespace.ip("link", "set", "l2-lyon", "nomaster");
      await until("it is in the bridge again", SOON_MS, () => device(sites.paris)?.master === "br0");

      sites.paris.namespace.ip("link", "delete", "br0");
      await untilRemote("down");
      addBridge();
      await untilRemote("up");
      expect(device(sites.paris)?.master).toBe("br0");

      sites.paris.namespace.ip("link", "set", "l2-lyon", "down");
      await untilRemote("down");
      expect(device(sites.paris)?.flags).not.toContain("UP");
      sites.paris.namespace.ip("link", "set", "l2-lyon", "up");
      await untilRemote("up");
      expect(await localId(paris)).toBe(before);
    });

    test("a device that was removed, moved or renamed: a session anew, or its name back", async () => {
      await start();
      sites.paris.namespace.ip("link", "delete", "l2-lyon");
      await anew("is gone|was removed");
      sites.paris.namespace.ip("link", "set", "l2-lyon", "netns", sites.lyon.namespace.name);
      await anew("moved it to another network namespace");
      const before = await localId(paris);
      sites.paris.namespace.ip("link", "set", "l2-lyon", "down");
      sites.paris.namespace.ip("link", "set", "l2-lyon", "name", "other");
      await until("its name is back", SOON_MS, () => device(sites.paris) !== undefined);
      sites.paris.namespace.ip("link", "set", "l2-lyon", "up");
      await until("frames flow", SOON_MS, async () => (await sites.ping(sites.paris, 1)).received === 1);
      expect(await localId(paris)).toBe(before);
    });
  },
);

/** Both daemons, until the session is up. */
async function start(session = "", atParis = session): Promise<void> {
  const configuration = (site: Site, keys: string) =>
    sites.configuration(site, { lcce: 'datapath = "userspace"', session: keys });
  lyon = sites.start(sites.lyon, configuration(sites.lyon, ""));
  paris = sites.start(sites.paris, configuration(sites.paris, atParis));
  await Promise.all([paris.untilUp(UP_MS), lyon.untilUp(UP_MS)]);
}

async function anew(reason: string): Promise<void> {
  const before = paris.log.length;
  await until(reason, SOON_MS, () => paris.log.slice(before).some(({ message }) => new RegExp(reason).test(message)));
  await until("frames flow again", UP_MS, async () => (await sites.ping(sites.paris, 1)).received === 1);
}

async function sessionOf(daemon: DaemonProcess): Promise<SessionReport | undefined> {
  return (await daemon.tunnel())?.sessions[0];
}

async function localId(daemon: DaemonProcess): Promise<number | undefined> {
  return (await sessionOf(daemon))?.local_session_id;
}

/** What lyon knows of paris' circuit. */
async function untilRemote(status: "up" | "down"): Promise<void> {
  await until(`told ${status}`, SOON_MS, async () => (await sessionOf(lyon))?.circuit_status.remote === status);
}

function device(site: Site): LinkReport | undefined {
  const name = `l2-${sites.other(site).name}`;
  if (!site.namespace.devices().includes(name)) return undefined;
  const [link]: LinkReport[] = JSON.parse(site.namespace.ip("-json", "address", "show", "dev", name));
  return link;
}

function routes(site: Site): readonly string[] {
  const shown: { readonly dst: string }[] = JSON.parse(
    site.namespace.ip("-json", "route", "show", "dev", `l2-${sites.other(site).name}`),
  );
  return shown.map(({ dst }) => dst);
}
