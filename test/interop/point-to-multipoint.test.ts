import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PingResult } from "../../demo/traffic.ts";
import { Link, NetworkNamespace, namespacesMissing } from "../support/namespaces.ts";
import { PLAIN_SESSION } from "../support/session-request.ts";
import { UserspaceSite } from "../support/userspace-site.ts";

const missing = namespacesMissing();
const SCRIPT = fileURLToPath(new URL("../../dist/bench/userspace-site.js", import.meta.url));
const TRAFFIC = fileURLToPath(new URL("../../dist/demo/traffic.js", import.meta.url));
const SPOKES = [1, 2, 3] as const;
const HUB = "10.9.0.100";

let hub: NetworkNamespace;
let spokes: NetworkNamespace[];
let sites: UserspaceSite[];

/** One site with three tunnels, whose sessions are ports of one bridge; a device with an address at each of the others. */
describe.skipIf(missing !== undefined)(`one site, three tunnels, one bridge${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    hub = new NetworkNamespace();
    spokes = SPOKES.map(() => new NetworkNamespace());
    hub.ip("link", "add", "br0", "type", "bridge");
    hub.ip("address", "add", `${HUB}/24`, "dev", "br0");
    hub.ip("link", "set", "br0", "up");
  });
  afterEach(async () => {
    for (const site of sites) await site.kill("SIGKILL");
    for (const namespace of [hub, ...spokes]) namespace.remove();
  });

  test.each([false, true])("isolated: %s", async (isolated) => {
    await connect(isolated);
    for (const spoke of spokes) expect(await reaches(spoke, HUB)).toBe(true);
    for (const [index, spoke] of spokes.entries()) {
      const others = SPOKES.filter((other) => other !== index + 1);
      for (const other of others) expect(await reaches(spoke, `10.9.0.${other}`)).toBe(!isolated);
    }
  });
});

async function connect(isolated: boolean): Promise<void> {
  const site = new UserspaceSite(hub, SCRIPT);
  sites = [site];
  for (const [index, namespace] of spokes.entries()) {
    const id = index + 1;
    const ends = [`192.0.${id}.1`, `192.0.${id}.2`] as const;
    new Link(hub, namespace, { device: `wan${id}`, addresses: [`${ends[0]}/24`, `${ends[1]}/24`] });
    const spoke = new UserspaceSite(namespace, SCRIPT);
    sites.push(spoke);
    await open(site, id, ends[0], ends[1], { interfaceName: `pw${id}`, bridge: "br0", isolated, addresses: [] });
    const addresses = [`10.9.0.${id}/24`];
    await open(spoke, id, ends[1], ends[0], { interfaceName: "pw0", bridge: undefined, isolated: false, addresses });
  }
}

interface Device {
  readonly interfaceName: string;
  readonly bridge: string | undefined;
  readonly isolated: boolean;
  readonly addresses: readonly string[];
}

async function open(site: UserspaceSite, id: number, local: string, remote: string, device: Device): Promise<void> {
  await site.call("openSocket", id, { address: local, port: 1701 }, { address: remote, port: 1701 });
  await site.call("createTunnel", id);
  await site.call("createSession", {
    localControlConnectionId: id,
    localSessionId: id,
    remoteSessionId: id,
    ...PLAIN_SESSION,
    ...device,
  });
  await site.call("raiseSession", id);
}

async function reaches(from: NetworkNamespace, address: string): Promise<boolean> {
  const { stdout } = await from.run(process.execPath, [TRAFFIC, "ping", address, "2"]);
  const result: PingResult = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
  return result.received > 0;
}
