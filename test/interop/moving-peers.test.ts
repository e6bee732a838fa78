import type { ChildProcess } from "node:child_process";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DaemonProcess, until } from "../support/daemon-process.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { type Extra, type Site, TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing();
const UP_MS = 10_000;
/** A HELLO after 1 s at the latest, and four transmissions of it; then a handshake. */
const DEAD_PEER_MS = 12_000;
const SOON_MS = 4_000;
/** Giving up takes 53 s. */
const PATIENT = 'secret = "correct horse"\nretransmit = { initial = "200ms", max = "8s", retries = 10 }';
/** A HELLO, two retransmissions to the old port, the pause and a handshake. */
const TOLD_MS = 10_000;

/** A NAT in a process: what comes to port 7000 leaves by a port of its own, a new one after each SIGUSR2. */
const NAT = `
const { createSocket } = require("node:dgram");
const inside = createSocket("udp4");
let client, outside;
function translate() {
  outside?.close();
  outside = createSocket("udp4");
  outside.on("message", (octets) => client && inside.send(octets, client.port, client.address));
  outside.bind(0, "192.0.2.1", () => console.log(outside.address().port));
}
inside.on("message", (octets, from) => {
  client = from;
  outside.send(octets, 1701, "192.0.2.2");
});
inside.bind(7000, "127.0.0.1", translate);
process.on("SIGUSR2", translate);
`;

let sites: TwoSites;

describe.skipIf(missing !== undefined)(`peers that move${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    sites = new TwoSites();
  });
  afterEach(() => sites.remove());

  test.each([
    [
      "a responder knows an initiator behind a NAT by its name, and takes it back when its port changes",
      "",
      DEAD_PEER_MS,
    ],
    ["with a secret it does so long before messages have been given up", PATIENT, TOLD_MS],
  ])("%s", async (_title, keys, limitMs) => {
    const { paris, lyon } = sites;
    const nat = paris.namespace.spawn(process.execPath, ["-e", NAT], { stdio: ["ignore", "pipe", "inherit"] });
    const port = await nextPort(nat);
    const responder = start(lyon, { tunnel: `peer_hostname = "site-paris"\n${keys}` });
    const initiator = start(paris, {
      lcce: "listen = []",
      tunnel: `peer = "127.0.0.1"\npeer_port = 7000\n${keys}`,
    });
    const before = await initiator.untilUp(UP_MS);
    const learnt = await responder.untilUp(UP_MS);
    expect(learnt.peer).toContain(`192.0.2.1:${port}`);
    expect(await sites.ping(paris, 3)).toMatchObject({ received: 3 });
    expect(await sites.ping(lyon, 3)).toMatchObject({ received: 3 });

    const next = nextPort(nat);
    nat.kill("SIGUSR2");
    const moved = await next;
    expect(moved).not.toBe(port);
    await initiator.untilTunnel("opened anew", limitMs, (tunnel) => {
      return tunnel.state === "established" && tunnel.local_ccid !== before.local_ccid;
    });
    const after = await responder.untilUp(UP_MS);
    expect(after.peer).toContain(`192.0.2.1:${moved}`);
    await initiator.untilUp(UP_MS);
    expect(await sites.ping(paris, 3)).toMatchObject({ received: 3 });
    expect(await sites.ping(lyon, 3)).toMatchObject({ received: 3 });
  });

  test("an initiator whose address is replaced by another reconnects within seconds", async () => {
    const { paris, lyon } = sites;
    const responder = start(lyon, { tunnel: 'peer_hostname = "site-paris"' });
    // Neither HELLOs nor retransmissions could find it out in the time that this test has.
    const slow = 'hello_interval = "60s"\nreconnect = { min = "60s", max = "60s" }';
    const initiator = start(paris, { tunnel: slow });
    const before = await initiator.untilUp(UP_MS);
    paris.namespace.ip("address", "add", "192.0.2.21/24", "dev", "wan");
    paris.namespace.ip("address", "del", "192.0.2.1/24", "dev", "wan");
    // The kernel takes the second address of a network away with the first.
    paris.namespace.ip("address", "replace", "192.0.2.21/24", "dev", "wan");
    await until("opened anew", SOON_MS, async () => {
      const tunnel = await initiator.tunnel();
      return tunnel?.state === "established" && tunnel.local_ccid !== before.local_ccid;
    });
    const after = await responder.untilUp(UP_MS);
    expect(after.peer).toContain("192.0.2.21");
    expect(await sites.ping(paris, 3)).toMatchObject({ received: 3 });
  });

  test("bind_device: an interface that is not there yet is waited for", async () => {
    const { paris, lyon } = sites;
    start(lyon, {});
    const initiator = start(paris, {
      tunnel: 'bind_device = "red"\nreconnect = { min = "60s", max = "60s" }',
    });
    const { last_error } = await initiator.untilTunnel("told why", UP_MS, (tunnel) => tunnel.last_error !== "");
    expect(last_error).toBe("cannot bind to interface red: this machine has no such interface (ENODEV)");
    for (const words of [["down"], ["name", "red"], ["up"]]) {
      paris.namespace.ip("link", "set", "dev", words[0] === "up" ? "red" : "wan", ...words);
    }
    await until("up", SOON_MS, async () => (await initiator.tunnel())?.state === "established");
    await initiator.untilUp(UP_MS);
    expect(await sites.ping(paris, 3)).toMatchObject({ received: 3 });
  });
});

function start(site: Site, extra: Extra): DaemonProcess {
  const written = sites.configuration(site, { ...extra, lcce: `datapath = "userspace"\n${extra.lcce ?? ""}` });
  // A peer that is known by its name has no address in the file.
  const configuration = written.includes("peer_hostname") ? written.replace(/^peer = .*$/m, "") : written;
  return sites.start(site, configuration);
}

function nextPort(nat: ChildProcess): Promise<number> {
  return new Promise((resolve) => nat.stdout?.once("data", (octets: Buffer) => resolve(Number(octets.toString()))));
}
