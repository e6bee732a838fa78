import { describe, expect, test } from "vitest";
import { parseSite } from "../../../src/config/load.ts";
import type { DaemonAnswer } from "../../../src/doctor/daemon.ts";
import { diagnose } from "../../../src/doctor/diagnose.ts";
import type { Finding } from "../../../src/doctor/finding.ts";
import type { PlaceFacts, PlaceTrouble } from "../../../src/doctor/place.ts";
import { device, verdicts } from "./plans.ts";

describe("network namespaces", () => {
  const PLACE: PlaceFacts = {
    ports: { sockets: [], l2tpIpSockets: { 4: 0, 6: 0 }, addresses: new Map() },
    devices: new Map([["l2-x", device()]]),
    settings: new Map(),
    routes: [],
  };
  const site = parseSite(
    ["", 'netns = "blue"']
      .map((netns, i) => `[tunnel.t${i}]\npeer = "192.0.2.9"\n${netns}\n[tunnel.t${i}.session.s]\ninterface = "l2-x"\n`)
      .join(""),
    "/site.toml",
  );
  function found(blue: PlaceFacts | PlaceTrouble, interfaces: DaemonAnswer["interfaces"] = []) {
    const known = site.tunnels.map(({ name }) => ({ name, sessions: ["s"] }));
    const answer = {
      version: "1",
      datapath: "kernel",
      tunnels: 2,
      established: 1,
      interfaces,
      known,
      notUp: [],
      namesakes: [],
    };
    const route = { mtu: 1500, local: "192.0.2.1", device: "eth7" };
    const peer = { addresses: ["192.0.2.9"], dnsError: undefined, route, ipsec: "none" } as const;
    return diagnose(
      {
        files: { configuration: undefined, warnings: [], secrets: new Map() },
        daemon: { socket: "/s", answer, socketExists: true },
        kernel: {
          release: "6.12.1",
          hasL2tp: true,
          modules: new Map(),
          userspaceFlaw: undefined,
          bridgeSeen: false,
          capabilities: ~0n,
        },
        places: new Map([
          [undefined, { ...PLACE, devices: new Map() }],
          ["blue", blue],
        ]),
        firewall: [],
        peers: new Map([["t1", peer]]),
      },
      site,
    );
  }
  const about = (findings: readonly Finding[]) =>
    verdicts(findings.filter(({ check }) => /netns|namespace|l2-x/.test(check)));

  test("each is judged by what was found in it", () => {
    expect(about(found(PLACE))).toEqual([
      "ok interface l2-x of session t0/s",
      "ok network namespace blue",
      "ok port udp 0.0.0.0:1701 in netns blue",
      "error interface l2-x of session t1/s in netns blue",
      "ok rp_filter of eth7 in netns blue",
      "note firewall in netns blue",
    ]);
    const theDaemons = found(PLACE, [{ name: "l2-x", netns: "blue" }]);
    expect(about(theDaemons)).toContain("ok interface l2-x of session t1/s in netns blue");
    expect(about(found(PLACE, [{ name: "l2-x", netns: null }]))).toContain(
      "error interface l2-x of session t1/s in netns blue",
    );
  });

  test("one that is not there is waited for", () => {
    const judged = (forbidden: boolean) =>
      found({ error: "it cannot be entered", forbidden }).filter(({ check }) => /netns|namespace/.test(check));
    expect(judged(false)).toEqual([
      {
        check: "network namespace blue",
        status: "warning",
        found: "it cannot be entered",
        advice: "make it: ip netns add blue; the daemon waits for it",
      },
    ]);
    expect(judged(true)).toMatchObject([{ advice: "run l2tpv3-lcc doctor as root" }]);
  });
});
