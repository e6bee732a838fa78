import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { TunnelReport } from "../../src/daemon/show-report.ts";
import { probeUserspace } from "../../src/kernel/tap.ts";
import { type DaemonProcess, until } from "../support/daemon-process.ts";
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
    expect(await paris.command("reload")).toMatchObject({
      code: 0,
      stdout: "tunnel.lyon: secret changed: applied at once\n",
    });
    await unchanged();
    writeFileSync(secretFile, "the new one\n");
    lyon.signal("SIGHUP");
    await lyon.untilLogged("applied", UP_MS, ({ message }) =>
      message.startsWith("tunnel.paris: secret changed: applied at once; what a peer says"),
    );
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
    const text = sites.configuration(sites.paris, {
      lcce: 'datapath = "userspace"',
      tunnel: 'secret = "xyzzy"\nhidden = true\nhello_interval = "2s"',
    });
    writeFileSync(paris.configurationFile, text);
    const lines = "lcce.datapath: needs a restart\ntunnel.lyon: hello_interval changed: applied at once\n";
    expect(await paris.command("reload", "--dry-run")).toMatchObject({ code: 0, stdout: lines, stderr: "" });
    expect(await paris.command("reload")).toMatchObject({ code: 1, stdout: lines, stderr: "" });
    expect(await paris.command("reload", "--dry-run")).toMatchObject({ stdout: "lcce.datapath: needs a restart\n" });
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

const lacking = probeUserspace();
const reason = missing ?? (lacking.available ? undefined : lacking.reason);

describe.skipIf(reason !== undefined)(`frames while it reloads${reason ? ` (${reason})` : ""}`, () => {
  beforeEach(() => {
    sites = new TwoSites();
  });
  afterEach(() => sites.remove());

  /** With sessions beside the usual one, and tunnels that nobody answers, in a file that is included. */
  const configure = (site: Site, more: string, session = "") =>
    `include = ["${site.name}.d/*.toml"]\n${sites.configuration(site, { lcce: 'datapath = "userspace"', session })}\n${more}`;
  const other = (site: Site, name: string, keys = "") =>
    `[tunnel.${sites.other(site).name}.session.${name}]\ninterface = "l2-${name}"\n${keys}\n`;
  const fragment = (site: Site, text: string) => {
    mkdirSync(join(sites.directory, `${site.name}.d`), { recursive: true });
    writeFileSync(join(sites.directory, `${site.name}.d`, "more.toml"), text);
  };
  const addresses = (site: Site, device: string) => {
    const shown: { addr_info: { local: string; prefixlen: number }[] }[] = JSON.parse(
      site.namespace.ip("-json", "address", "show", "dev", device),
    );
    return shown.flatMap((each) => each.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`));
  };

  async function reload(daemon: DaemonProcess, more: string, line: string): Promise<void> {
    writeFileSync(daemon.configurationFile, configure(sites.paris, more));
    expect(await daemon.command("reload")).toMatchObject({ code: 0, stdout: expect.stringContaining(line) });
    await new Promise((resolve) => setTimeout(resolve, 300));
  }

  test("ten reloads with sessions and tunnels that come, go and change: nothing of the others is lost", async () => {
    const paris = sites.start(sites.paris, configure(sites.paris, other(sites.paris, "b")));
    const lyon = sites.start(sites.lyon, configure(sites.lyon, other(sites.lyon, "b") + other(sites.lyon, "c")));
    await paris.untilUp(UP_MS);
    const before = identityOf(await paris.tunnel(), "lan42");
    const ping = sites.ping(sites.paris, 150);
    for (let round = 0; round < 5; round++) {
      fragment(sites.paris, "");
      await reload(paris, other(sites.paris, "c") + other(sites.paris, "b"), "session.c: new: called");
      fragment(sites.paris, '[tunnel.nobody]\npeer = "192.0.2.77"\n');
      await reload(paris, other(sites.paris, "b", "cookie_size = 4"), "tunnel.nobody: new: opened");
    }
    expect(await ping).toMatchObject({ sent: 150, received: 150 });
    expect(identityOf(await paris.tunnel(), "lan42")).toEqual(before);
    const ended = [...paris.log, ...lyon.log].filter(
      ({ event, session }) => event === "session-closed" && session === "lan42",
    );
    expect(ended).toEqual([]);
    const hellos = [...paris.log, ...lyon.log].filter(({ event }) => event === "control-connection-failed");
    expect(hellos.filter(({ tunnel }) => tunnel !== "nobody")).toEqual([]);
  });

  test("addresses and routes of a session: there, gone, and the session is the same", async () => {
    const paris = sites.start(sites.paris, configure(sites.paris, ""));
    sites.start(sites.lyon);
    await paris.untilUp(UP_MS);
    const before = identityOf(await paris.tunnel(), "lan42");
    const own = `${sites.paris.pseudowireAddress}/24`;
    const ping = sites.ping(sites.paris, 30);
    const rewrite = async (session: string, line: string) => {
      writeFileSync(paris.configurationFile, configure(sites.paris, "", session));
      const text = `tunnel.lyon.session.lan42: ${line} changed: applied without re-signalling\n`;
      expect(await paris.command("reload", "--dry-run")).toMatchObject({ code: 0, stdout: text });
      expect(await paris.command("reload")).toMatchObject({ code: 0, stdout: text });
    };
    await rewrite(
      `addresses = ["${own}", "10.77.0.1/30"]\nroutes = ["10.78.0.0/16 via 10.77.0.2"]`,
      "addresses, routes",
    );
    await until("the address is there", UP_MS, () => addresses(sites.paris, "l2-lyon").includes("10.77.0.1/30"));
    await until("the route is there", UP_MS, () =>
      sites.paris.namespace.ip("route").includes("10.78.0.0/16 via 10.77.0.2"),
    );
    await rewrite(`addresses = ["${own}", "10.79.0.1/30"]`, "addresses, routes");
    await until("the other is there", UP_MS, () => addresses(sites.paris, "l2-lyon").includes("10.79.0.1/30"));
    expect(addresses(sites.paris, "l2-lyon").toSorted()).toEqual([own, "10.79.0.1/30"].toSorted());
    expect(sites.paris.namespace.ip("route")).not.toContain("10.78.0.0/16");
    expect(await ping).toMatchObject({ sent: 30, received: 30 });
    expect(identityOf(await paris.tunnel(), "lan42")).toEqual(before);
    expect(paris.log.filter(({ event }) => event === "device-restored")).toEqual([]);
    expect(paris.log.filter(({ message }) => /sent.*(SLI|CDN|ICRQ)/.test(message))).toHaveLength(0);
  });

  test("another circuit is followed, and its condition is told", async () => {
    const paris = sites.start(sites.paris, configure(sites.paris, ""));
    const lyon = sites.start(sites.lyon);
    await paris.untilUp(UP_MS);
    const before = identityOf(await paris.tunnel(), "lan42");
    for (const name of ["lan1", "lan2"])
      sites.paris.namespace.ip("link", "add", name, "type", "veth", "peer", `${name}p`);
    const lyonHears = (status: string) =>
      lyon.untilTunnel(
        `the circuit is ${status}`,
        UP_MS,
        ({ sessions }) => sessions[0]?.circuit_status.remote === status,
      );
    const circuit = async (name: string) => {
      writeFileSync(paris.configurationFile, configure(sites.paris, "", `circuit = "${name}"`));
      expect(await paris.command("reload")).toMatchObject({
        code: 0,
        stdout: expect.stringContaining("circuit changed"),
      });
    };
    await circuit("lan1");
    await lyonHears("down");
    for (const end of ["lan2", "lan2p"]) sites.paris.namespace.ip("link", "set", end, "up");
    await circuit("lan2");
    await lyonHears("up");
    sites.paris.namespace.ip("link", "set", "lan2p", "down");
    await lyonHears("down");
    expect(identityOf(await paris.tunnel(), "lan42")).toEqual(before);
  });

  test("listeners, log level and hooks follow, and a tunnel in another namespace comes and goes", async () => {
    const paris = sites.start(sites.paris, sites.configuration(sites.paris, { lcce: 'datapath = "userspace"' }));
    await paris.untilLogged("ready", UP_MS, ({ event }) => event === "ready");
    const hook = join(sites.directory, "hook");
    writeFileSync(hook, "#!/bin/sh\necho heard $L2TP_EVENT of $L2TP_TUNNEL\n", { mode: 0o755 });
    const lcce = 'datapath = "userspace"\nlog_level = "trace"\nlisten = ["udp:0.0.0.0:1702", "udp:0.0.0.0:1701"]';
    const inside = `[tunnel.inside]\npeer = "192.0.2.9"\nnetns = "${sites.lyon.namespace.name}"\n`;
    const hooks = `[hooks]\ntunnel-up = ["${hook}"]\n`;
    writeFileSync(paris.configurationFile, hooks + inside + sites.configuration(sites.paris, { lcce }));
    expect(await paris.command("reload")).toMatchObject({
      code: 0,
      stdout: [
        "lcce.listen: applied at once",
        "lcce.log_level: applied at once",
        "hooks.tunnel-up: applied at once",
        "tunnel.inside: new: opened",
        "",
      ].join("\n"),
    });
    await paris.untilLogged("the namespace", UP_MS, ({ event }) => event === "namespace-found");
    await paris.untilLogged("what is sent", UP_MS, ({ level }) => level === "trace");
    expect(await sockets(sites.paris)).toEqual(expect.arrayContaining(["0.0.0.0:1701", "0.0.0.0:1702"]));
    const without = 'datapath = "userspace"\nlisten = ["udp:0.0.0.0:1701"]';
    writeFileSync(paris.configurationFile, hooks + sites.configuration(sites.paris, { lcce: without }));
    expect(await paris.command("reload")).toMatchObject({
      stdout: expect.stringContaining("tunnel.inside: removed: closed"),
    });
    expect(await sockets(sites.paris)).not.toContain("0.0.0.0:1702");
    await until("nothing is left there", UP_MS, async () => (await sockets(sites.lyon)).length === 0);
    sites.start(sites.lyon);
    await paris.untilUp(UP_MS);
    await paris.untilLogged("the hook", UP_MS, ({ message }) => message === "heard tunnel-up of lyon");
  });
});

/** Local addresses and ports of UDP sockets. */
async function sockets({ namespace }: Site): Promise<readonly string[]> {
  const { stdout } = await namespace.run("cat", ["/proc/net/udp"]);
  const lines = stdout.trim().split("\n").slice(1);
  return lines.map((line) => {
    const [address = "", port = ""] = (line.trim().split(/\s+/)[1] ?? "").split(":");
    const octets = address
      .match(/../g)
      ?.toReversed()
      .map((octet) => Number.parseInt(octet, 16));
    return `${octets?.join(".")}:${Number.parseInt(port, 16)}`;
  });
}

function identityOf(tunnel: TunnelReport | undefined, name: string): unknown {
  const session = tunnel?.sessions.find((each) => each.name === name);
  return [tunnel?.local_ccid, session?.local_session_id, session?.remote_session_id, session?.state];
}

/** What is the same as long as nothing goes down. */
function identity(tunnel: TunnelReport | undefined): unknown {
  const ids = tunnel?.sessions.map((session) => [session.local_session_id, session.state]);
  return [tunnel?.local_ccid, tunnel?.state, tunnel?.last_error, ids];
}
