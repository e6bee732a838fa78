import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SessionReport, TunnelReport } from "../../src/daemon/show-report.ts";
import { type DaemonProcess, until } from "../support/daemon-process.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { type Extra, type Site, TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing();
const UP_MS = 10_000;
/** A HELLO after 1 s at the latest, and four transmissions of it: 4 s in all. */
const DEAD_PEER_MS = 8_000;

let sites: TwoSites;

describe.skipIf(missing !== undefined)(`two daemons, userspace datapath${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    sites = new TwoSites();
  });
  afterEach(() => sites.remove());

  test("a session comes up, both ends tell the same of it, and frames flow", async () => {
    const paris = start(sites.paris, { session: "cookie_size = 8" });
    const lyon = start(sites.lyon, { session: "cookie_size = 4" });
    const [atParis, atLyon] = [await paris.untilUp(UP_MS), await lyon.untilUp(UP_MS)];
    expectAgreement(atParis, atLyon);
    expect(atParis).toMatchObject({ name: "lyon", encapsulation: "udp", peer_hostname: "site-lyon", last_error: "" });
    expect(atLyon).toMatchObject({ name: "paris", encapsulation: "udp", peer_hostname: "site-paris", last_error: "" });
    expect(session(atParis)).toMatchObject({
      name: "lan42",
      interface: "l2-lyon",
      pseudowire: "ethernet",
      local_cookie_size: 8,
      remote_cookie_size: 4,
      circuit_status: { local: "up", remote: "up" },
      last_error: "",
    });
    expect(sites.paris.namespace.devices()).toContain("l2-lyon");

    expect(await sites.ping(sites.paris, 5)).toMatchObject({ sent: 5, received: 5 });
    expect(await sites.ping(sites.lyon, 5)).toMatchObject({ sent: 5, received: 5 });
    const { octetsSent, octetsReceived } = await sites.transfer(sites.paris, 1);
    expect(octetsSent).toBeGreaterThan(1_000_000);
    expect(octetsReceived).toBe(octetsSent);

    const [atSender, atReceiver] = [await counters(paris), await counters(lyon)];
    expect(atSender.sent_octets).toBeGreaterThan(octetsSent);
    expect(atReceiver.received_octets).toBeGreaterThan(octetsSent);
    expect(atSender.received_packets).toBeGreaterThan(10);
    expect(atReceiver.sent_packets).toBeGreaterThan(10);
    expect(atSender.receive_errors + atReceiver.receive_errors).toBe(0);
  });

  test("a cut link is noticed at both ends and mended without help", async () => {
    const { paris, lyon } = await startBoth();
    const before = await paris.untilUp(UP_MS);
    sites.link.cut();
    for (const daemon of [paris, lyon]) {
      const lost = await daemon.untilTunnel("dead peer noticed", DEAD_PEER_MS, ({ state }) => state !== "established");
      expect(lost.last_error).not.toBe("");
      expect(lost.sessions.map(({ state }) => state)).not.toContain("established");
    }
    expect(sites.lyon.namespace.devices()).toEqual(["wan"]);
    sites.link.restore();
    const [atParis, atLyon] = [await paris.untilUp(UP_MS), await lyon.untilUp(UP_MS)];
    expectAgreement(atParis, atLyon);
    expect(atParis.local_ccid).not.toBe(before.local_ccid);
    expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
  });

  test("an initiator that was killed and started again replaces the old connection at once", async () => {
    const { paris, lyon } = await startBoth();
    const before = await lyon.untilUp(UP_MS);
    expect(await paris.stop("SIGKILL")).toMatchObject({ signal: "SIGKILL" });
    const again = start(sites.paris);
    // Well before lyon could have noticed the dead peer by itself, which would show in last_error.
    const after = await lyon.untilTunnel("replaced", UP_MS, (tunnel) => isReplaced(tunnel, before));
    expectAgreement(await again.untilUp(UP_MS), after);
    expect(lyon.log.map(({ message }) => message).join("\n")).not.toMatch(/dead|unacknowledged/i);
    expect(await sites.ping(sites.lyon, 3)).toMatchObject({ received: 3 });
  });

  test("a responder that was killed and started again is found by the keepalive", async () => {
    const { paris, lyon } = await startBoth();
    const before = await paris.untilUp(UP_MS);
    await lyon.stop("SIGKILL");
    const again = start(sites.lyon);
    const after = await paris.untilTunnel("replaced", DEAD_PEER_MS + UP_MS, (tunnel) => isReplaced(tunnel, before));
    expectAgreement(after, await again.untilUp(UP_MS));
    expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
  });

  test.each(["SIGTERM", "SIGINT"] as const)("%s: StopCCN, exit code 0, and nothing is left", async (signal) => {
    const { paris, lyon } = await startBoth();
    expect(statSync(sites.paris.adminSocket).mode & 0o007).toBe(0);
    const { code, afterMs } = await paris.stop(signal, 5_000);
    expect({ code, stderr: paris.stderr }).toEqual({ code: 0, stderr: "" });
    expect(afterMs).toBeLessThan(5_000);
    const heard = await lyon.untilTunnel("StopCCN", 1_500, ({ state }) => state === "idle");
    expect(heard.sessions.map(({ state }) => state)).toEqual(["idle"]);
    expect(lyon.log.map(({ message }) => message).join("\n")).toMatch(/StopCCN/);
    expect(sites.paris.namespace.devices()).toEqual(["wan"]);
    expect(sites.paris.namespace.processes()).toEqual([]);
    expect(existsSync(sites.paris.adminSocket)).toBe(false);
    await until(
      "the device of the other end is gone",
      1_000,
      () => !sites.lyon.namespace.devices().includes("l2-paris"),
    );
    // A connection that ended properly does not hold up the end of the daemon.
    expect(await lyon.stop(signal, 5_000)).toMatchObject({ code: 0 });
    expect(sites.lyon.namespace.devices()).toEqual(["wan"]);
  });

  test("SIGTERM while the peer is out of reach: one retransmission cycle of patience, none after a second signal", async () => {
    const { paris, lyon } = await startBoth();
    sites.link.cut();
    const [patient, hurried] = [paris.stop("SIGTERM"), lyon.stop("SIGTERM")];
    await new Promise((resolve) => setTimeout(resolve, 500));
    lyon.signal("SIGTERM");
    const { code, afterMs } = await hurried;
    expect(code).toBe(0);
    expect(afterMs).toBeLessThan(2_000);
    // 200, 400, 800 and 1600 ms.
    const ended = await patient;
    expect(ended.code).toBe(0);
    expect(ended.afterMs).toBeGreaterThan(2_000);
    expect(ended.afterMs).toBeLessThan(5_000);
    expect(sites.paris.namespace.devices()).toEqual(["wan"]);
  });

  test("a second daemon on the same address and port ends with exit code 1 and names both", async () => {
    const first = start(sites.lyon);
    await until("the first one answers", UP_MS, () => first.show());
    const lcce = `${USERSPACE}\nadmin_socket = "${join(sites.directory, "second.sock")}"`;
    const second = sites.start(sites.lyon, sites.configuration(sites.lyon, { lcce }), "second");
    const { code } = await second.exited;
    expect(code).toBe(1);
    expect(`${second.stderr}${second.log.map(({ message }) => message).join("\n")}`).toMatch(/0\.0\.0\.0:1701/);
    expect(first.running).toBe(true);
  });

  test("datapath auto takes the kernel's L2TP, or warns once that it is missing", async () => {
    const daemon = sites.start(sites.lyon, sites.configuration(sites.lyon));
    const { datapath } = await until("it answers", UP_MS, () => daemon.show());
    const warnings = daemon.log.filter(({ level }) => level === "warn").map(({ event }) => event);
    expect([datapath, warnings]).toEqual(datapath === "kernel" ? ["kernel", []] : ["userspace", ["datapath-fallback"]]);
  });

  test("a stale admin socket is replaced", async () => {
    const killed = start(sites.lyon);
    await until("it answers", UP_MS, () => killed.show());
    await killed.stop("SIGKILL");
    expect(existsSync(sites.lyon.adminSocket)).toBe(true);
    expect(await killed.command("show")).toMatchObject({ code: 1, stdout: "" });
    const again = start(sites.lyon);
    await until("the new one answers", UP_MS, () => again.show());
  });

  test("close and open of one session leave the rest alone", async () => {
    const second = (site: Site) => `\n[tunnel.${sites.other(site).name}.session.lan43]\ninterface = "l2-second"\n`;
    const [paris, lyon] = [sites.paris, sites.lyon].map((site) =>
      sites.start(site, sites.configuration(site, { lcce: USERSPACE }) + second(site)),
    ) as [DaemonProcess, DaemonProcess];
    const before = await paris.untilUp(UP_MS);
    await lyon.untilUp(UP_MS);

    expect(await paris.command("close", "lyon/lan42")).toMatchObject({ code: 0, stderr: "" });
    const closed = await lyon.untilTunnel("the CDN", 2_000, (tunnel) => session(tunnel).state === "idle");
    expect(closed).toMatchObject({ state: "established", remote_ccid: before.local_ccid });
    expect(session(closed, "lan43")).toMatchObject({ state: "established" });
    expect(sites.paris.namespace.devices()).not.toContain("l2-lyon");
    expect(sites.paris.namespace.devices()).toContain("l2-second");

    expect(await paris.command("open", "lyon/lan42")).toMatchObject({ code: 0, stderr: "" });
    const [atParis, atLyon] = [await paris.untilUp(UP_MS), await lyon.untilUp(UP_MS)];
    expectAgreement(atParis, atLyon);
    expect(atParis.local_ccid).toBe(before.local_ccid);
    expect(session(atParis).local_session_id).not.toBe(session(before).local_session_id);
    expect(session(atParis, "lan43").local_session_id).toBe(session(before, "lan43").local_session_id);
    expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
  });

  test("close of a tunnel lasts until open", async () => {
    const { paris, lyon } = await startBoth();
    expect(await paris.command("close", "lyon")).toMatchObject({ code: 0, stderr: "" });
    await lyon.untilTunnel("the StopCCN", 2_000, ({ state }) => state === "idle");
    const from = paris.log.length;
    // Longer than reconnect.max: an attempt would have been made.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(await paris.tunnel()).toMatchObject({ state: "idle" });
    expect(await lyon.tunnel()).toMatchObject({ state: "idle" });
    expect(paris.log.slice(from).filter(({ tunnel }) => tunnel === "lyon")).toEqual([]);
    expect(await paris.command("open", "lyon")).toMatchObject({ code: 0, stderr: "" });
    expectAgreement(await paris.untilUp(UP_MS), await lyon.untilUp(UP_MS));
  });

  test("open and close of what does not exist fail and say so", async () => {
    const { paris } = await startBoth();
    expect(await paris.command("close", "rome")).toMatchObject({ code: 1, stderr: expect.stringMatching(/rome/) });
    expect(await paris.command("open", "lyon/lan4")).toMatchObject({ code: 1, stderr: expect.stringMatching(/lan4/) });
  });

  test("an interface name that is taken is a CDN at the peer, and both ends say why", async () => {
    sites.paris.namespace.ip("link", "add", "l2-lyon", "type", "bridge");
    const [paris, lyon] = [start(sites.paris), start(sites.lyon)];
    const refused = (tunnel: TunnelReport) => tunnel.state === "established" && session(tunnel).last_error !== "";
    const atParis = await paris.untilTunnel("the refusal", UP_MS, refused);
    const atLyon = await lyon.untilTunnel("the CDN", UP_MS, refused);
    expect(session(atParis)).toMatchObject({ last_error: expect.stringMatching(/l2-lyon/) });
    expect(session(atLyon).last_error).not.toBe("");
    expect(session(atLyon).state).not.toBe("established");

    // The next attempt finds the name free again.
    sites.paris.namespace.ip("link", "delete", "l2-lyon");
    expectAgreement(await paris.untilUp(UP_MS), await lyon.untilUp(UP_MS));
    expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
  });

  test("both ends may open the connection and place the call", async () => {
    const both: Extra = { tunnel: 'role = "both"', session: 'call = "both"' };
    const [paris, lyon] = [start(sites.paris, both), start(sites.lyon, both)];
    expectAgreement(await paris.untilUp(UP_MS), await lyon.untilUp(UP_MS));
    expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
  });
});

const USERSPACE = 'datapath = "userspace"';

function start(site: Site, extra: Extra = {}): DaemonProcess {
  return sites.start(site, sites.configuration(site, { ...extra, lcce: USERSPACE }));
}

async function startBoth(): Promise<{ readonly paris: DaemonProcess; readonly lyon: DaemonProcess }> {
  const [lyon, paris] = [start(sites.lyon), start(sites.paris)];
  await Promise.all([paris.untilUp(UP_MS), lyon.untilUp(UP_MS)]);
  return { paris, lyon };
}

function isReplaced(tunnel: TunnelReport, before: TunnelReport): boolean {
  const up = tunnel.state === "established" && session(tunnel).state === "established";
  return up && tunnel.remote_ccid !== before.remote_ccid;
}

function session(tunnel: TunnelReport, name = "lan42"): SessionReport {
  const found = tunnel.sessions.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no session ${name} in ${JSON.stringify(tunnel)}`);
  return found;
}

async function counters(daemon: DaemonProcess): Promise<SessionReport["counters"]> {
  const tunnel = await until("show", 5_000, () => daemon.tunnel());
  return session(tunnel).counters;
}

/** What one end calls local is remote at the other. */
function expectAgreement(one: TunnelReport, other: TunnelReport): void {
  expect(one.local_ccid).not.toBe(0);
  expect([one.local_ccid, one.remote_ccid]).toEqual([other.remote_ccid, other.local_ccid]);
  for (const here of one.sessions) {
    const there = session(other, here.name);
    expect(here.local_session_id).not.toBe(0);
    expect([here.local_session_id, here.remote_session_id]).toEqual([there.remote_session_id, there.local_session_id]);
    expect([here.local_cookie_size, here.remote_cookie_size]).toEqual([
      there.remote_cookie_size,
      there.local_cookie_size,
    ]);
  }
}
