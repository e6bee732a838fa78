import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Finding } from "../../src/doctor/finding.ts";
import { execute, NetworkNamespace, namespacesMissing } from "../support/namespaces.ts";
import { TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing();
const program = fileURLToPath(new URL("../../dist/bin/main.js", import.meta.url));

let sites: TwoSites;

describe.skipIf(missing !== undefined)(`doctor${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    sites = new TwoSites();
  });
  afterEach(() => sites.remove());

  test("what is wrong in a namespace, as JSON and in words, and nothing of the secret", async () => {
    const secret = join(sites.directory, "lyon.secret");
    writeFileSync(secret, "7Ohk0sheiquaimeix0\n");
    chmodSync(secret, 0o640);
    const { paris } = sites;
    paris.namespace.ip("link", "add", "l2-lyon", "type", "veth", "peer", "name", "far");
    const holder = paris.namespace.spawn(process.execPath, [
      "-e",
      'require("node:dgram").createSocket("udp4").bind(1701, () => console.log("bound"))',
    ]);
    await new Promise((resolve) => holder.stdout?.once("data", resolve));
    const conf = join(sites.directory, "doctor.toml");
    const extra = {
      lcce: 'datapath = "userspace"',
      tunnel: 'secret_file = "lyon.secret"\nlocal = "203.0.113.7"',
      session: 'bridge = "br7"\naddresses = []\ncircuit = "eth9"\nmtu = 1500',
    };
    writeFileSync(conf, sites.configuration(paris, extra), { mode: 0o600 });

    const { code, stdout, stderr } = await paris.namespace.run(process.execPath, [
      program,
      "doctor",
      "--conf",
      conf,
      "--json",
    ]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
    const findings: Finding[] = JSON.parse(stdout);
    const statuses = Object.fromEntries(findings.map(({ check, status }) => [check, status]));
    expect(statuses).toMatchObject({
      daemon: "note",
      "userspace datapath": "ok",
      "capability CAP_NET_ADMIN": "ok",
      "port udp 0.0.0.0:1701": "error",
      "local address of tunnel lyon": "warning",
      "interface l2-lyon of session lyon/lan42": "error",
      "bridge br7": "warning",
      "circuit eth9": "warning",
      // Of a route from an address that is not there nothing can be said, nor of its MTU.
      "route of tunnel lyon": "warning",
      "IPsec of tunnel lyon": "note",
      [`secret file ${secret}`]: "warning",
    });
    expect(findings.find(({ check }) => check.startsWith("port"))?.found).toBe(`in use by pid ${holder.pid} (node)`);
    expect(findings.every(({ found, advice }) => found !== "" && advice !== "")).toBe(true);
    expect(stdout).not.toContain("7Ohk0sheiquaimeix0");

    const words = await paris.namespace.run(process.execPath, [program, "doctor", "--conf", conf]);
    expect(words.code).toBe(1);
    expect(words.stdout.trimEnd().split("\n")).toHaveLength(findings.length);
    expect(words.stdout).toContain("warning  bridge br7: there is no such device → ");
    expect(words.stdout).not.toContain("7Ohk0sheiquaimeix0");
  });

  test("a daemon that runs: its ports and interfaces are its own, and nothing is an error", async () => {
    const { paris, lyon } = sites;
    const lcce = 'datapath = "userspace"';
    const [first] = [paris, lyon].map((site) => sites.start(site, sites.configuration(site, { lcce })));
    await first?.untilUp(10_000);
    const conf = first?.configurationFile ?? "";
    const { code, stdout } = await paris.namespace.run(process.execPath, [program, "doctor", "--conf", conf, "--json"]);
    const findings: Finding[] = JSON.parse(stdout);
    expect(findings.filter(({ status }) => status === "error")).toEqual([]);
    expect(code).toBe(0);
    expect(findings.find(({ check }) => check === "daemon")?.found).toContain("1 of 1 tunnels established");
    expect(findings.find(({ check }) => check.startsWith("interface l2-lyon"))?.found).toBe("there, and the daemon's");
    expect(findings.find(({ check }) => check.startsWith("port"))?.found).toContain("in use by the daemon that runs");
  });

  test("what the daemon knows of a tunnel that is not up: another secret at the other end", async () => {
    const { paris, lyon } = sites;
    const configured = (site: typeof paris, secret: string) =>
      sites.configuration(site, { lcce: 'datapath = "userspace"', tunnel: `secret = "${secret}"` });
    sites.start(lyon, configured(lyon, "what lyon believes"));
    const daemon = sites.start(paris, configured(paris, "what paris believes"));
    await daemon.untilLogged("it gives up", 20_000, ({ event }) => event === "control-connection-failed");
    const conf = daemon.configurationFile;
    const { stdout } = await paris.namespace.run(process.execPath, [program, "doctor", "--conf", conf, "--json"]);
    const findings: Finding[] = JSON.parse(stdout);
    expect(findings.find(({ check }) => check === "tunnel lyon")).toMatchObject({
      status: "warning",
      found: expect.stringContaining("the peer is dead or cannot be reached, or has another secret"),
      advice: expect.stringContaining("compare secret and digest of both ends"),
    });
    expect(stdout).not.toContain("believes");
  });

  test("a session in a bridge: its module, and ports whose frames it could not take", async () => {
    const { paris } = sites;
    paris.namespace.ip("link", "add", "br7", "type", "bridge");
    paris.namespace.ip("link", "add", "port7", "type", "veth", "peer", "name", "host7");
    paris.namespace.ip("link", "set", "port7", "master", "br7");
    const conf = join(sites.directory, "doctor.toml");
    const look = async (mtu: string) => {
      const session = `bridge = "br7"\naddresses = []\nmtu = ${mtu}`;
      writeFileSync(conf, sites.configuration(paris, { lcce: 'datapath = "userspace"', session }), { mode: 0o600 });
      const { stdout } = await paris.namespace.run(process.execPath, [program, "doctor", "--conf", conf, "--json"]);
      const findings: Finding[] = JSON.parse(stdout);
      return Object.fromEntries(findings.map((each) => [each.check, `${each.status}: ${each.found}`]));
    };
    expect(await look('"auto"')).toMatchObject({
      "module bridge": expect.stringMatching(/^ok: /),
      "bridge br7": "ok: there",
      "MTU of session lyon/lan42": expect.stringMatching(
        /^warning: auto: about 1442, but port7 in bridge br7 has 1500: /,
      ),
    });
    expect((await look("1500"))["MTU of session lyon/lan42"]).toMatch(/^ok: 1500: packets are fragmented/);
  });

  test("without root it says what it could not look at; a broken file is an error among the others", async () => {
    const conf = join(sites.directory, "broken.toml");
    writeFileSync(conf, "[lcce]\nlisten = 5\n");
    chmodSync(sites.directory, 0o755);
    const { code, stdout } = await sites.paris.namespace.run("setpriv", [
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      process.execPath,
      program,
      "doctor",
      "--conf",
      conf,
      "--json",
    ]);
    const findings: Finding[] = JSON.parse(stdout);
    expect(code).toBe(1);
    expect(findings[0]).toMatchObject({
      check: "configuration",
      status: "error",
      found: expect.stringContaining(":2: lcce.listen"),
    });
    expect(findings.find(({ check }) => check === "capability CAP_NET_ADMIN")?.status).toBe("error");
  });

  test("IPv6: the port, the local address and the way to the peer", async () => {
    const { paris, lyon } = sites;
    for (const [i, { namespace }] of [paris, lyon].entries()) {
      namespace.write("/proc/sys/net/ipv6/conf/wan/disable_ipv6", "0");
      namespace.ip("address", "add", `2001:db8::${i + 1}/64`, "dev", "wan", "nodad");
    }
    const holder = paris.namespace.spawn(process.execPath, [
      "-e",
      'require("node:dgram").createSocket({ type: "udp6", ipv6Only: true }).bind(1701, () => console.log("bound"))',
    ]);
    await new Promise((resolve) => holder.stdout?.once("data", resolve));
    const conf = join(sites.directory, "doctor.toml");
    const tunnel = 'peer = "2001:db8::2"\nlocal = "2001:db8::1"';
    writeFileSync(conf, sites.configuration(paris, { lcce: 'datapath = "userspace"', tunnel }), { mode: 0o600 });
    const { stdout } = await paris.namespace.run(process.execPath, [program, "doctor", "--conf", conf, "--json"]);
    const findings: Finding[] = JSON.parse(stdout);
    const found = Object.fromEntries(findings.map((each) => [each.check, `${each.status}: ${each.found}`]));
    expect(found).toMatchObject({
      "port udp [::]:1701": `error: in use by pid ${holder.pid} (node)`,
      "local address of tunnel lyon": "ok: 2001:db8::1",
      "route of tunnel lyon": "ok: 2001:db8::2 from 2001:db8::1 by wan, MTU 1500",
      "MTU of session lyon/lan42": expect.stringMatching(/^note: auto: about 1422/),
    });
  });

  test("what a tunnel needs in another network namespace is looked up there", async () => {
    const { paris, lyon } = sites;
    const own = new NetworkNamespace();
    try {
      paris.namespace.ip("link", "add", "l2-lyon", "type", "veth", "peer", "name", "br7");
      const conf = join(sites.directory, "doctor.toml");
      const session = 'bridge = "br7"\naddresses = []';
      const tunnel = `netns = "${paris.namespace.name}"\nlocal = "${paris.address}"`;
      const written = sites.configuration(paris, { lcce: 'datapath = "userspace"', tunnel, session });
      const missing = '[tunnel.nowhere]\npeer = "192.0.2.9"\nnetns = "l2tp-nowhere"\nlocal_port = 0\n';
      writeFileSync(conf, `${written}\n${missing}`, { mode: 0o600 });
      const { stdout } = await own.run(process.execPath, [program, "doctor", "--conf", conf, "--json"]);
      const findings: Finding[] = JSON.parse(stdout);
      const found = Object.fromEntries(findings.map((each) => [each.check, `${each.status}: ${each.found}`]));
      const where = `in netns ${paris.namespace.name}`;
      expect(found).toMatchObject({
        "capability CAP_SYS_ADMIN": "ok: this process has it",
        [`network namespace ${paris.namespace.name}`]: "ok: there",
        [`port udp 0.0.0.0:1701 ${where}`]: "ok: free",
        [`local address of tunnel lyon ${where}`]: `ok: ${paris.address}`,
        [`interface l2-lyon of session lyon/lan42 ${where}`]: expect.stringMatching(/^error: a device of that name/),
        [`bridge br7 ${where}`]: expect.stringMatching(/^error: .*no bridge/),
        [`firewall ${where}`]: expect.stringMatching(/^note: not looked at/),
        "route of tunnel lyon": `ok: ${lyon.address} from ${paris.address} by wan, MTU 1500`,
        "network namespace l2tp-nowhere": expect.stringMatching(/^warning: .*does not exist/),
        "route of tunnel nowhere": expect.stringMatching(/^warning: .*l2tp-nowhere does not exist/),
      });
      // Nobody listens where no tunnel lives.
      expect(found).not.toHaveProperty(["port udp 0.0.0.0:1701"]);
    } finally {
      own.remove();
    }
  });

  test("wrong usage: exit code 2", async () => {
    expect(await execute(process.execPath, [program, "doctor", "--jsn"])).toMatchObject({ code: 2 });
  });
});
