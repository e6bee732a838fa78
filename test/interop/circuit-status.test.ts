import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SessionReport, TunnelReport } from "../../src/daemon/show-report.ts";
import { type DaemonProcess, until } from "../support/daemon-process.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { type Site, TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing();
const UP_MS = 10_000;
/** The kernel itself holds news of carriers back for up to a second. */
const NEWS_MS = 5_000;

let sites: TwoSites;

describe.skipIf(missing !== undefined)(`circuits of two daemons${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    sites = new TwoSites();
    // The circuit of each site: a cable whose other end nobody has.
    for (const { namespace } of [sites.paris, sites.lyon]) {
      namespace.ip("link", "add", "eth1", "type", "veth", "peer", "name", "far");
      setCircuit({ namespace }, "up");
      namespace.ip("link", "set", "eth1", "up");
    }
  });
  afterEach(() => sites.remove());

  test("A26, H06: a circuit that loses its carrier stops the pseudowire at the other end, and lets it go on", async () => {
    const [paris, lyon] = [start(sites.paris), start(sites.lyon)];
    expect(status(await paris.untilUp(UP_MS))).toEqual({ local: "up", remote: "up" });
    await lyon.untilUp(UP_MS);
    expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });

    setCircuit(sites.paris, "down");
    const told = await lyon.untilTunnel("told of the circuit", NEWS_MS, (tunnel) => status(tunnel).remote === "down");
    expect(session(told)).toMatchObject({ state: "established", circuit_status: { local: "up", remote: "down" } });
    expect(status(await shown(paris))).toEqual({ local: "down", remote: "up" });
    await until("lyon's interface is down", NEWS_MS, () => !isUp(sites.lyon));
    expect(isUp(sites.paris)).toBe(true);
    const before = session(await shown(lyon)).counters;
    expect(await sites.ping(sites.paris, 2)).toMatchObject({ received: 0 });
    expect(session(await shown(lyon)).counters).toMatchObject({
      sent_packets: before.sent_packets,
      received_packets: before.received_packets,
    });

    setCircuit(sites.paris, "up");
    await lyon.untilTunnel("told again", NEWS_MS, (tunnel) => status(tunnel).remote === "up");
    await until("lyon's interface is up", NEWS_MS, () => isUp(sites.lyon));
    expect(await sites.ping(sites.lyon, 3)).toMatchObject({ received: 3 });
    expect(session(await shown(lyon)).local_session_id).toBe(session(told).local_session_id);
  });

  test("a circuit that is down or missing from the start is told with the call, and the interface waits for it", async () => {
    sites.paris.namespace.ip("link", "set", "eth1", "down");
    sites.lyon.namespace.ip("link", "delete", "eth1");
    const [paris, lyon] = [start(sites.paris), start(sites.lyon)];
    for (const [daemon, site] of [[paris, sites.paris] as const, [lyon, sites.lyon] as const]) {
      expect(status(await daemon.untilUp(UP_MS))).toEqual({ local: "down", remote: "down" });
      expect(isUp(site)).toBe(false);
    }
    sites.paris.namespace.ip("link", "set", "eth1", "up");
    await lyon.untilTunnel("told of the circuit", NEWS_MS, (tunnel) => status(tunnel).remote === "up");
    await until("lyon's interface is up", NEWS_MS, () => isUp(sites.lyon));
    expect(isUp(sites.paris)).toBe(false);
    sites.lyon.namespace.ip("link", "add", "eth1", "type", "veth", "peer", "name", "far");
    setCircuit(sites.lyon, "up");
    sites.lyon.namespace.ip("link", "set", "eth1", "up");
    await until("paris' interface is up", NEWS_MS, () => isUp(sites.paris));
    expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
    expect([paris, lyon].map(({ stderr }) => stderr)).toEqual(["", ""]);
    expect(await paris.stop("SIGTERM")).toMatchObject({ code: 0 });
  });

  test("control plane only: circuits are followed as well", async () => {
    const lcce = 'datapath = "none"';
    const [paris, lyon] = [start(sites.paris, lcce), start(sites.lyon, lcce)];
    await Promise.all([paris.untilUp(UP_MS), lyon.untilUp(UP_MS)]);
    setCircuit(sites.lyon, "down");
    await paris.untilTunnel("told of the circuit", NEWS_MS, (tunnel) => status(tunnel).remote === "down");
    setCircuit(sites.lyon, "up");
    await paris.untilTunnel("told again", NEWS_MS, (tunnel) => status(tunnel).remote === "up");
  });
});

function start(site: Site, lcce = ""): DaemonProcess {
  return sites.start(site, sites.configuration(site, { lcce, session: 'circuit = "eth1"' }));
}

/** The carrier of eth1 is that the other end of its cable is up. */
function setCircuit({ namespace }: Pick<Site, "namespace">, state: "up" | "down"): void {
  namespace.ip("link", "set", "far", state);
}

/** Of the pseudowire's interface. */
function isUp(site: Site): boolean {
  const [link] = JSON.parse(site.namespace.ip("-json", "link", "show", "dev", `l2-${sites.other(site).name}`));
  return link.flags.includes("UP");
}

async function shown(daemon: DaemonProcess): Promise<TunnelReport> {
  const tunnel = await daemon.tunnel();
  if (tunnel === undefined) throw new Error(`${daemon.name} shows no tunnel`);
  return tunnel;
}

function session({ sessions: [only] }: TunnelReport): SessionReport {
  if (only === undefined) throw new Error("no session is shown");
  return only;
}

function status(tunnel: TunnelReport): SessionReport["circuit_status"] {
  return session(tunnel).circuit_status;
}
