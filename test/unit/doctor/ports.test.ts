import { describe, expect, test } from "vitest";
import { parseSite } from "../../../src/config/load.ts";
import { planWithin } from "../../../src/doctor/plan.ts";
import { checkPorts, type PortFacts } from "../../../src/doctor/ports.ts";
import { plan, verdicts } from "./plans.ts";

describe("ports and local addresses", () => {
  /** It binds nothing besides the listeners. */
  const RESPONDER = 'role = "responder"';
  const FREE: PortFacts = {
    sockets: [],
    l2tpIpSockets: { 4: 0, 6: 0 },
    addresses: new Map([["eth0", ["192.0.2.1", "2001:db8::1", "fe80::1%eth0"]]]),
    daemonRuns: false,
  };
  const socket = (address: string, port: number, command?: string) => ({
    protocol: "udp" as const,
    address,
    port,
    owner: command === undefined ? undefined : { pid: 77, command },
  });

  test("free", () => {
    expect(verdicts(checkPorts(FREE, plan()))).toEqual(["ok port udp 0.0.0.0:1701"]);
  });

  test("another program has it: an error that names it", () => {
    const facts = { ...FREE, sockets: [socket("127.0.0.1", 1701, "xl2tpd")] };
    const [found] = checkPorts(facts, plan());
    expect(found).toMatchObject({ status: "error", found: "in use by pid 77 (xl2tpd)" });
  });

  test("of another port, or another address, it is no trouble", () => {
    const facts = { ...FREE, sockets: [socket("0.0.0.0", 1702, "x"), socket("127.0.0.1", 1701, "x")] };
    expect(verdicts(checkPorts(facts, plan({ lcce: 'listen = ["udp:192.0.2.1:1701"]', tunnel: RESPONDER })))).toEqual([
      "ok port udp 192.0.2.1:1701",
    ]);
  });

  test("the daemon's own", () => {
    const sockets = [socket("0.0.0.0", 1701, "node /usr/lib/l2tpv3-lcc/dist/bin/main.js")];
    expect(checkPorts({ ...FREE, sockets, daemonRuns: true }, plan())[0]).toMatchObject({ status: "ok" });
    expect(checkPorts({ ...FREE, sockets }, plan())[0]).toMatchObject({ status: "error" });
  });

  test("one that only root may look at", () => {
    const [found] = checkPorts({ ...FREE, sockets: [socket("0.0.0.0", 1701)] }, plan());
    expect(found).toMatchObject({ status: "error", found: "in use by a process that only root may look at" });
  });

  test("IPv6: its own sockets count, and one that may take IPv4 too is a warning", () => {
    const listening = (listen: string, ...sockets: PortFacts["sockets"]) =>
      verdicts(checkPorts({ ...FREE, sockets }, plan({ lcce: `listen = ["${listen}"]`, tunnel: "local_port = 0" })));
    expect(listening("udp:[::]:1701")).toEqual(["ok port udp [::]:1701"]);
    expect(listening("udp:[::]:1701", socket("0.0.0.0", 1701, "x"))).toEqual(["ok port udp [::]:1701"]);
    expect(listening("udp:[::]:1701", socket("2001:db8::1", 1701, "x"))).toEqual(["error port udp [::]:1701"]);
    expect(listening("udp:[2001:db8::1]:1701", socket("::", 1701, "x"))).toEqual(["error port udp [2001:db8::1]:1701"]);
    expect(listening("udp:[2001:db8::2]:1701", socket("2001:db8::1", 1701, "x"))).toEqual([
      "warning port udp [2001:db8::2]:1701",
    ]);
    expect(listening("udp:0.0.0.0:1701", socket("::", 1701, "x"))).toEqual(["warning port udp 0.0.0.0:1701"]);
    expect(listening("udp:0.0.0.0:1701", socket("2001:db8::1", 1701, "x"))).toEqual(["ok port udp 0.0.0.0:1701"]);
    expect(listening("udp:0.0.0.0:1701", socket("::", 1701, "node l2tpv3-lcc"))).toEqual(["ok port udp 0.0.0.0:1701"]);
  });

  test("protocol 115: no port, but raw sockets of others, and sockets that nobody can say more of", () => {
    const overIp = (listen: string, more: Partial<PortFacts> = {}) =>
      verdicts(
        checkPorts(
          { ...FREE, ...more },
          plan({ lcce: `listen = ["${listen}"]`, tunnel: `encapsulation = "ip"\n${RESPONDER}` }),
        ),
      );
    const raw = (address: string, command: string) => ({ ...socket(address, 0, command), protocol: "ip" as const });
    expect(overIp("ip:192.0.2.1")).toEqual(["ok protocol 115 at 192.0.2.1"]);
    expect(overIp("ip:203.0.113.1")).toEqual(["warning protocol 115 at 203.0.113.1"]);
    expect(overIp("ip:0.0.0.0", { sockets: [socket("0.0.0.0", 1701, "x")] })).toEqual(["ok protocol 115 at 0.0.0.0"]);
    expect(overIp("ip:0.0.0.0", { sockets: [raw("0.0.0.0", "kl2tpd")] })).toEqual(["warning protocol 115 at 0.0.0.0"]);
    expect(overIp("ip:0.0.0.0", { sockets: [raw("::", "kl2tpd")] })).toEqual(["ok protocol 115 at 0.0.0.0"]);
    expect(overIp("ip:0.0.0.0", { l2tpIpSockets: { 4: 2, 6: 0 } })).toEqual(["note protocol 115 at 0.0.0.0"]);
    expect(overIp("ip:0.0.0.0", { l2tpIpSockets: { 4: 2, 6: 0 }, daemonRuns: true })).toEqual([
      "ok protocol 115 at 0.0.0.0",
    ]);
    const tunnel = 'peer = "2001:db8::9"\nencapsulation = "ip"';
    const site = plan({ lcce: 'listen = ["ip:[::]"]', tunnel: tunnel.replace(/peer.*\n/, "") });
    const six = { ...site, tunnels: site.tunnels.map((each) => ({ ...each, peer: "2001:db8::9" })) };
    expect(verdicts(checkPorts({ ...FREE, l2tpIpSockets: { 4: 0, 6: 1 } }, six))).toEqual(["note protocol 115 at ::"]);
  });

  describe("what tunnels bind themselves", () => {
    const judged = (tunnel: string, facts: Partial<PortFacts> = {}, lcce = "listen = []") =>
      verdicts(checkPorts({ ...FREE, ...facts }, plan({ lcce, tunnel })));
    const OURS = socket("0.0.0.0", 5000, "node /usr/lib/l2tpv3-lcc/dist/bin/main.js");

    test("the local port of one that initiates", () => {
      const sockets = [socket("127.0.0.1", 5000, "x")];
      expect(judged("local_port = 5000")).toEqual(["ok port udp 0.0.0.0:5000 of tunnel paris"]);
      expect(checkPorts({ ...FREE, sockets }, plan({ lcce: "listen = []", tunnel: "local_port = 5000" }))).toEqual([
        {
          check: "port udp 0.0.0.0:5000 of tunnel paris",
          status: "warning",
          found: "in use by pid 77 (x)",
          advice: "stop that program, or give the tunnel another local_port",
        },
      ]);
      expect(judged('local_port = 5000\nlocal = "192.0.2.1"', { sockets })).toContain(
        "ok port udp 192.0.2.1:5000 of tunnel paris",
      );
      expect(judged('local_port = 5000\nlocal = "@eth0"', { sockets: [socket("192.0.2.1", 5000, "x")] })).toContain(
        "warning port udp 192.0.2.1:5000 of tunnel paris",
      );
    });

    test("one that needs no port of its own is not spoken of", () => {
      const sockets = [socket("0.0.0.0", 5000, "x")];
      expect(judged("local_port = 0", { sockets })).toEqual([]);
      expect(judged('local_port = 5000\nrole = "responder"', { sockets }, 'listen = ["udp:0.0.0.0:1701"]')).toEqual([
        "ok port udp 0.0.0.0:1701",
      ]);
    });

    test("the daemon's own is no trouble while it runs, nor a port that a listener answers for", () => {
      expect(judged("local_port = 5000", { sockets: [OURS], daemonRuns: true })).toEqual([
        "ok port udp 0.0.0.0:5000 of tunnel paris",
      ]);
      expect(judged("local_port = 5000", { sockets: [OURS] })).toEqual([
        "warning port udp 0.0.0.0:5000 of tunnel paris",
      ]);
      expect(judged("", { sockets: [socket("0.0.0.0", 1701, "x")] }, 'listen = ["udp:0.0.0.0:1701"]')).toEqual([
        "error port udp 0.0.0.0:1701",
      ]);
    });

    test("static and hello-only tunnels, each in its network namespace", () => {
      for (const mode of ["static", "hello-only"]) {
        const text = `[lcce]\nlisten = []\n[tunnel.paris]\npeer = "2001:db8::9"\nmode = "${mode}"\nnetns = "blue"\nlocal_port = 5000\nlocal_tunnel_id = 1\nremote_tunnel_id = 2\n`;
        const site = parseSite(text, "/site.toml");
        const facts = { ...FREE, sockets: [socket("::", 5000, "x")] };
        expect(verdicts(checkPorts(facts, planWithin(site, "blue")))).toEqual([
          "warning port udp [::]:5000 of tunnel paris",
        ]);
        expect(checkPorts(facts, planWithin(site, undefined))).toEqual([]);
      }
    });

    test("protocol 115", () => {
      const raw = { ...socket("0.0.0.0", 0, "kl2tpd"), protocol: "ip" as const };
      expect(judged('encapsulation = "ip"', { sockets: [raw] })).toEqual([
        "warning protocol 115 at 0.0.0.0 of tunnel paris",
      ]);
      expect(judged('encapsulation = "ip"')).toEqual(["ok protocol 115 at 0.0.0.0 of tunnel paris"]);
    });
  });

  test("local addresses of IPv6, link-local ones with their interface", () => {
    const local = (address: string) => {
      const site = plan();
      const tunnels = site.tunnels.map((tunnel) => ({ ...tunnel, local: address }));
      return verdicts(checkPorts(FREE, { ...site, tunnels })).at(-1);
    };
    expect(local("2001:db8::1")).toBe("ok local address of tunnel paris");
    expect(local("fe80::1%eth0")).toBe("ok local address of tunnel paris");
    expect(local("fe80::1%eth1")).toBe("warning local address of tunnel paris");
  });

  test("addresses that the machine has not", () => {
    const ours = plan({ lcce: 'listen = ["udp:203.0.113.1:1701"]', tunnel: `local = "192.0.2.1"\n${RESPONDER}` });
    expect(verdicts(checkPorts(FREE, ours))).toEqual([
      "warning port udp 203.0.113.1:1701",
      "ok local address of tunnel paris",
    ]);
    const absent = plan({ tunnel: 'local = "203.0.113.1"' });
    expect(verdicts(checkPorts(FREE, absent))).toContain("warning local address of tunnel paris");
  });

  test("an address that is missing: freebind is advised where it is not set, and is a note where it is", () => {
    const judged = (extra: Parameters<typeof plan>[0]) =>
      checkPorts(FREE, plan(extra)).find(({ found }) => found.endsWith("has the address 203.0.113.1"));
    const unset = { status: "warning", advice: expect.stringContaining("or binds at once with freebind = true") };
    const set = {
      status: "note",
      advice: "add the address to an interface; with freebind the daemon binds without it",
    };
    const tunnel = 'local = "203.0.113.1"';
    const lcce = 'listen = ["udp:203.0.113.1:1701"]';
    const overIp = { lcce: "listen = []", tunnel: `${tunnel}\nencapsulation = "ip"` };
    expect(judged({ tunnel })).toMatchObject(unset);
    expect(judged({ tunnel: `${tunnel}\nfreebind = true` })).toMatchObject(set);
    expect(judged({ lcce, tunnel: RESPONDER })).toMatchObject(unset);
    expect(judged({ lcce: `${lcce}\nfreebind = true`, tunnel: RESPONDER })).toMatchObject(set);
    expect(judged(overIp)).toMatchObject(unset);
    expect(judged({ ...overIp, tunnel: `${overIp.tunnel}\nfreebind = true` })).toMatchObject(set);
  });
});
