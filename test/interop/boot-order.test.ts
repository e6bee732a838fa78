import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DaemonProcess, until } from "../support/daemon-process.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { type Extra, type Site, TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing();
const UP_MS = 10_000;
/** Long pauses between attempts: whoever comes up within seconds was told, and did not wait for them. */
const PATIENT = 'reconnect = { min = "60s", max = "60s" }\nretransmit = { initial = "1s", retries = 3 }';
/** What a command of the daemon takes here, and a handshake. */
const SOON_MS = 8_000;

let sites: TwoSites;

describe.skipIf(missing !== undefined)(`what comes after the daemon${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    sites = new TwoSites();
  });
  afterEach(() => sites.remove());

  test("the local address of an initiator", async () => {
    const { paris, lyon } = sites;
    paris.namespace.ip("address", "add", "192.0.2.77/24", "dev", "wan");
    paris.namespace.ip("address", "del", "192.0.2.1/24", "dev", "wan");
    start(lyon);
    const daemon = start(paris, { tunnel: `local = "192.0.2.1"\n${PATIENT}` });
    await daemon.untilTunnel("told why", UP_MS, ({ last_error }) => last_error.includes("EADDRNOTAVAIL"));
    await upSoonAfter(daemon, () => paris.namespace.ip("address", "add", "192.0.2.1/24", "dev", "wan"));
  });

  test("freebind: bound at once", async () => {
    const { paris, lyon } = sites;
    paris.namespace.ip("address", "del", "192.0.2.1/24", "dev", "wan");
    start(lyon);
    const daemon = start(paris, { tunnel: `local = "192.0.2.1"\nfreebind = true\n${PATIENT}` });
    await daemon.untilTunnel("trying", UP_MS, ({ state }) => state === "wait-ctl-reply");
    await upSoonAfter(daemon, () => paris.namespace.ip("address", "add", "192.0.2.1/24", "dev", "wan"));
  });

  test("the address that a responder listens at", async () => {
    const { paris, lyon } = sites;
    lyon.namespace.ip("address", "del", "192.0.2.2/24", "dev", "wan");
    const responder = start(lyon, { lcce: 'listen = ["udp:192.0.2.2:1701"]' });
    await responder.untilLogged("waits for its address", UP_MS, ({ event }) => event === "listener-waits");
    const initiator = start(paris);
    await initiator.untilTunnel("trying", UP_MS, ({ state }) => state === "wait-ctl-reply");
    lyon.namespace.ip("address", "add", "192.0.2.2/24", "dev", "wan");
    await responder.untilLogged("listens", 1_000, ({ event }) => event === "listener-opened");
    await initiator.untilUp(UP_MS);
    expect(await sites.ping(paris, 3)).toMatchObject({ received: 3 });
  });

  test("freebind for listeners: the daemon starts and listens", async () => {
    const { paris, lyon } = sites;
    lyon.namespace.ip("address", "del", "192.0.2.2/24", "dev", "wan");
    const responder = start(lyon, { lcce: 'listen = ["udp:192.0.2.2:1701"]\nfreebind = true' });
    await responder.untilLogged("ready", UP_MS, ({ event }) => event === "ready");
    expect(responder.log.map(({ event }) => event)).not.toContain("listener-waits");
    lyon.namespace.ip("address", "add", "192.0.2.2/24", "dev", "wan");
    await start(paris).untilUp(UP_MS);
  });

  test("the route to the peer", async () => {
    const { paris, lyon } = sites;
    lyon.namespace.ip("address", "add", "198.51.100.2/32", "dev", "lo");
    start(lyon, { lcce: 'listen = ["udp:198.51.100.2:1701"]' });
    const hasty = PATIENT.replace("retries = 3", "retries = 3, sccrq_retries = 0");
    const daemon = start(paris, { tunnel: `peer = "198.51.100.2"\n${hasty}` });
    await daemon.untilTunnel("given up", UP_MS * 2, ({ last_error }) => last_error !== "");
    await upSoonAfter(daemon, () => paris.namespace.ip("route", "add", "198.51.100.2/32", "via", "192.0.2.2"));
  });

  test("the route to the peer, while the SCCRQ waits to be sent again", async () => {
    const { paris, lyon } = sites;
    lyon.namespace.ip("address", "add", "198.51.100.2/32", "dev", "lo");
    const responder = start(lyon, { lcce: 'listen = ["udp:198.51.100.2:1701"]' });
    // The SCCRQ that the route brings is the only one for a long time.
    await responder.untilLogged("listens", UP_MS, ({ event }) => event === "ready");
    const hesitant = PATIENT.replace('"1s"', '"30s", max = "30s"');
    const daemon = start(paris, { tunnel: `peer = "198.51.100.2"\n${hesitant}` });
    await daemon.untilTunnel("trying", UP_MS, ({ state }) => state === "wait-ctl-reply");
    await upSoonAfter(daemon, () => paris.namespace.ip("route", "add", "198.51.100.2/32", "via", "192.0.2.2"));
  });

  test("the interface of local = @wan, whose address is followed when it changes", async () => {
    const { paris, lyon } = sites;
    paris.namespace.ip("address", "del", "192.0.2.1/24", "dev", "wan");
    start(lyon, { tunnel: 'peer_hostname = "site-paris"' }, true);
    const daemon = start(paris, { tunnel: `local = "@wan"\n${PATIENT}` });
    await daemon.untilTunnel("told why", UP_MS, ({ last_error }) => last_error.includes("has no IPv4 address"));
    const first = await upSoonAfter(daemon, () => paris.namespace.ip("address", "add", "192.0.2.11/24", "dev", "wan"));
    paris.namespace.ip("address", "del", "192.0.2.11/24", "dev", "wan");
    await daemon.untilTunnel("noticed", SOON_MS, ({ state }) => state !== "established");
    const second = await upSoonAfter(daemon, () => paris.namespace.ip("address", "add", "192.0.2.12/24", "dev", "wan"));
    expect(second.local_ccid).not.toBe(first.local_ccid);
    expect(await sites.ping(paris, 3)).toMatchObject({ received: 3 });
  });

  test("the device that a responder is bound to, also when it is made anew", async () => {
    const { paris, lyon } = sites;
    const address = "192.0.2.2/24";
    lyon.namespace.ip("address", "del", address, "dev", "wan");
    const responder = start(lyon, { tunnel: 'bind_device = "br-wan"' });
    await responder.untilLogged("waits for its device", UP_MS, ({ event }) => event === "listener-waits");
    const make = () => {
      lyon.namespace.ip("link", "add", "br-wan", "type", "bridge");
      lyon.namespace.ip("link", "set", "wan", "master", "br-wan");
      lyon.namespace.ip("address", "add", address, "dev", "br-wan");
      lyon.namespace.ip("link", "set", "br-wan", "up");
    };
    const initiator = start(paris);
    make();
    await initiator.untilUp(UP_MS);
    expect(await sites.ping(paris, 3)).toMatchObject({ received: 3 });
    const opened = responder.log.length;
    lyon.namespace.ip("link", "del", "br-wan");
    await initiator.untilTunnel("noticed", UP_MS, ({ state }) => state !== "established");
    make();
    await responder.untilLogged("listens", UP_MS, ({ event }) => event === "listener-opened", opened);
    await initiator.untilUp(UP_MS);
    expect(await sites.ping(paris, 3)).toMatchObject({ received: 3 });
  });

  test("what comes by another device than the one that a responder is bound to is nobody's", async () => {
    const { paris, lyon } = sites;
    lyon.namespace.ip("link", "add", "other", "type", "bridge");
    const responder = start(lyon, { tunnel: 'bind_device = "other"' });
    await responder.untilLogged("ready", UP_MS, ({ event }) => event === "ready");
    const initiator = start(paris);
    await responder.untilLogged("refused", UP_MS, ({ event }) => event === "unknown-peer");
    expect(await initiator.tunnel()).not.toMatchObject({ state: "established" });
  });

  test("the bridge of a session", async () => {
    const { paris, lyon } = sites;
    start(lyon);
    const daemon = start(paris, { session: 'bridge = "br7"\naddresses = []', tunnel: PATIENT });
    await daemon.untilTunnel("told why", UP_MS, ({ sessions: [session] }) => (session?.last_error ?? "") !== "");
    await upSoonAfter(daemon, () => paris.namespace.ip("link", "add", "br7", "type", "bridge"));
    const [link] = JSON.parse(paris.namespace.ip("-json", "link", "show", "dev", "l2-lyon"));
    expect(link.master).toBe("br7");
    const attempts = daemon.log.filter(({ message }) => message.includes("br7")).length;
    expect(attempts).toBeLessThan(5);
  });

  test("what fails for another reason is not hurried by what the daemon itself does", async () => {
    const { paris, lyon } = sites;
    start(lyon);
    const daemon = start(paris, { session: 'bridge = "br7"\naddresses = []', tunnel: PATIENT });
    await daemon.untilTunnel("told why", UP_MS, ({ sessions: [session] }) => (session?.last_error ?? "") !== "");
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(daemon.log.filter(({ event }) => event === "session-failed").length).toBeLessThanOrEqual(2);
  });
});

function start(site: Site, extra: Extra = {}, anyAddress = false): DaemonProcess {
  const written = sites.configuration(site, { ...extra, lcce: `datapath = "userspace"\n${extra.lcce ?? ""}` });
  // The peer is known by its name alone.
  return sites.start(site, anyAddress ? written.replace(/^peer = .*$/m, "") : written);
}

/** Comes up soon after `act`, although the next attempt would be due in a minute. */
async function upSoonAfter(daemon: DaemonProcess, act: () => void) {
  act();
  const began = Date.now();
  const tunnel = await until(`${daemon.name} is up`, SOON_MS, async () => {
    const shown = await daemon.tunnel();
    const isUp = shown?.state === "established" && shown.sessions.every(({ state }) => state === "established");
    return isUp ? shown : undefined;
  });
  expect(Date.now() - began).toBeLessThan(SOON_MS + 1_000);
  return tunnel;
}
