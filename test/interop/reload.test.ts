import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { TunnelReport } from "../../src/daemon/show-report.ts";
import type { DaemonProcess } from "../support/daemon-process.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { type Site, TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing();
const UP_MS = 10_000;
/** HELLOs come every second, and a peer that does not answer is given up after 3 s. */
const SETTLED_MS = 4_000;

let sites: TwoSites;

describe.skipIf(missing !== undefined)(`secrets changed while it runs${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    sites = new TwoSites();
  });
  afterEach(() => sites.remove());

  const configure = (site: Site, tunnel: string) =>
    sites.configuration(site, { lcce: 'datapath = "none"', tunnel: `${tunnel}\nhidden = true` });
  const start = (site: Site, tunnel: string) => sites.start(site, configure(site, tunnel));
  const rewrite = ({ configurationFile }: DaemonProcess, site: Site, tunnel: string) =>
    writeFileSync(configurationFile, configure(site, tunnel));
  const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLED_MS));

  test("D17 from the old secret to the new one, one site after the other, and the tunnel stays established", async () => {
    const secretFile = join(sites.directory, "lyon.secret");
    writeFileSync(secretFile, "the old one\n", { mode: 0o600 });
    const paris = start(sites.paris, 'secret = "the old one"');
    const lyon = start(sites.lyon, `secret_file = "${secretFile}"`);
    await Promise.all([paris.untilUp(UP_MS), lyon.untilUp(UP_MS)]);
    const tunnels = async () => [identity(await paris.tunnel()), identity(await lyon.tunnel())];
    const before = await tunnels();
    const unchanged = async () => {
      await settle();
      expect(await tunnels()).toEqual(before);
    };

    rewrite(paris, sites.paris, 'secret = "the new one"\nsecret_previous = "the old one"');
    expect(await paris.command("reload")).toMatchObject({ code: 0, stdout: "applied: tunnel.lyon: secret\n" });
    await unchanged();
    writeFileSync(secretFile, "the new one\n");
    lyon.signal("SIGHUP");
    await lyon.untilLogged("applied", UP_MS, ({ message }) => message === "applied: tunnel.paris: secret");
    await unchanged();
    rewrite(paris, sites.paris, 'secret = "the new one"');
    expect(await paris.command("reload")).toMatchObject({ code: 0 });
    await unchanged();
    expect(await paris.command("reload")).toMatchObject({ code: 0, stdout: "nothing has changed\n" });

    // It is the secret indeed: with another one alone, the peer is lost.
    rewrite(paris, sites.paris, 'secret = "a third one"');
    expect(await paris.command("reload")).toMatchObject({ code: 0 });
    await paris.untilTunnel("peer lost", UP_MS, ({ state }) => state !== "established");
    const log = JSON.stringify([paris.log, lyon.log]);
    expect(log).toContain("digest is missing or wrong");
    expect(log).not.toMatch(/the old one|the new one|a third one/);
  });

  test("what cannot be applied is named, and a broken file changes nothing", async () => {
    const paris = start(sites.paris, 'secret = "xyzzy"');
    const lyon = start(sites.lyon, 'secret = "xyzzy"');
    await Promise.all([paris.untilUp(UP_MS), lyon.untilUp(UP_MS)]);
    rewrite(paris, sites.paris, 'secret = "xyzzy"\nreceive_window = 3\nhello_interval = "2s"');
    expect(await paris.command("reload")).toMatchObject({
      code: 1,
      stdout: "",
      stderr: "needs a restart: tunnel.lyon.receive_window\nneeds a restart: tunnel.lyon.hello_interval\n",
    });
    rewrite(paris, sites.paris, 'secret = "plugh"\npear = 1');
    const { code, stderr } = await paris.command("reload");
    expect([code, stderr]).toEqual([1, expect.stringContaining('tunnel.lyon.pear: unknown key, did you mean "peer"?')]);
    paris.signal("SIGHUP");
    await paris.untilLogged("the error", UP_MS, ({ event, message }) => {
      return event === "configuration-wrong" && message.includes("tunnel.lyon.pear");
    });
    await settle();
    rewrite(paris, sites.paris, 'secret = "xyzzy"');
    expect((await paris.tunnel())?.state).toBe("established");
    expect((await paris.stop("SIGTERM")).code).toBe(0);
  });
});

/** What is the same as long as nothing goes down. */
function identity(tunnel: TunnelReport | undefined): unknown {
  const ids = tunnel?.sessions.map((session) => [session.local_session_id, session.state]);
  return [tunnel?.local_ccid, tunnel?.state, tunnel?.last_error, ids];
}
