import { describe, expect, test } from "vitest";
import { ScriptedPeer, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import {
  CYCLE_MS,
  configuration,
  expectNothingLeft,
  HELLO_MS,
  isUp,
  LOCAL,
  twoSites,
} from "../support/static-sites.ts";
import { LATENCY_MS, SeededEntropy, VirtualLink } from "../support/virtual-link.ts";

describe("a static tunnel", () => {
  test("I27 a session that cannot be raised is made again with pauses that grow", () => {
    const { link, a } = twoSites(false, { reconnect: { minMs: 1_000, maxMs: 60_000 } });
    link.run(1_000);
    a.datapath = { ...a.datapath, refuseRaise: () => "there is another route to it" };
    a.receive({ type: "close", tunnel: "static", session: "lan" });
    a.receive({ type: "open", tunnel: "static", session: "lan" });
    a.log.length = 0;
    link.run(120_000);
    expect(sessionOf(a).lastError).toContain("there is another route to it");
    const attempts = a.log.filter(({ event }) => event === "session-established").length;
    expect([attempts > 5, attempts < 10]).toEqual([true, true]);
  });

  test("I27 is up as soon as the datapath has made it, with the ids and cookies of the configuration, and says nothing", () => {
    const { link, a } = twoSites(false);
    link.run(3_600_000);
    expect(link.datagrams).toEqual([]);
    expect(isUp(a)).toBe(true);
    expect([...a.tunnels]).toEqual([11]);
    expect(a.datapathSessions.get(101)).toMatchObject({ ...LOCAL, localControlConnectionId: 11, l2Sublayer: "none" });
    expect(a.sockets.get(11)).toMatchObject({ local: { port: 1701 }, remote: { address: B, port: 1701 } });
    expect(tunnelOf(a)).toMatchObject({ localControlConnectionId: 11, remoteControlConnectionId: 21, lastError: "" });
    expect(sessionOf(a)).toMatchObject({ localSessionId: 101, remoteSessionId: 201, localCookieSize: 4 });
    expect(a.core.nextDeadline()).toBeUndefined();
  });

  test("I27 a refusal of the tunnel is told, and the tunnel is asked for again with growing pauses until it is there", () => {
    const { link, a } = twoSites(false);
    let asked = 0;
    let refuse = true;
    a.datapath = {
      ...a.datapath,
      refuseTunnel: () => {
        asked += 1;
        return refuse ? "tunnel 11 exists already" : undefined;
      },
    };
    a.receive({ type: "close", tunnel: "static" });
    a.receive({ type: "open", tunnel: "static" });
    link.run(30_000);
    // 1, 2, 4, 8 s, each up to a tenth longer; the first answer is still that of the datapath before.
    expect(asked).toBe(5);
    expect(tunnelOf(a)).toMatchObject({ state: "idle", lastError: "tunnel 11 exists already" });
    expect(sessionOf(a).state).toBe("idle");
    refuse = false;
    expect(link.runUntil(() => isUp(a), 20_000)).toBe(true);
    expect(tunnelOf(a).lastError).toBe("");
  });

  test("I27 a refused session leaves the tunnel up, is told, and is asked for again", () => {
    const link = new VirtualLink();
    const a = link.add(A, configuration(A, false));
    a.datapath = { ...a.datapath, refuseSession: () => "interface l2-lan exists already" };
    link.start();
    link.run(2_000);
    expect(tunnelOf(a).state).toBe("established");
    expect(sessionOf(a)).toMatchObject({ state: "idle", lastError: "interface l2-lan exists already" });
    a.datapath = { ...a.datapath, refuseSession: () => undefined };
    expect(link.runUntil(() => isUp(a), 10_000)).toBe(true);
    expect(sessionOf(a).lastError).toBe("");
  });

  test("I27 a session or tunnel that the datapath loses is made anew", () => {
    const { link, a } = twoSites(false);
    expect(link.runUntil(() => isUp(a))).toBe(true);
    a.receive({ type: "session-refused", localSessionId: 101, reason: "interface l2-lan was removed by someone" });
    expect(sessionOf(a)).toMatchObject({ state: "idle", lastError: "interface l2-lan was removed by someone" });
    expect(a.datapathSessions.size).toBe(0);
    expect(link.runUntil(() => isUp(a), 5_000)).toBe(true);
    a.receive({ type: "tunnel-refused", localControlConnectionId: 11, reason: "the thread died" });
    expect(tunnelOf(a)).toMatchObject({ state: "idle", lastError: "the thread died" });
    expect(link.runUntil(() => isUp(a), 5_000)).toBe(true);
  });

  test("I27 a socket that cannot be had is told, and tried for again", () => {
    const { link, a } = twoSites(false);
    expect(link.runUntil(() => isUp(a))).toBe(true);
    a.receive({ type: "socket-failed", localControlConnectionId: 11, reason: "no route to 192.0.2.2" });
    expect(tunnelOf(a)).toMatchObject({ state: "idle", lastError: "no route to 192.0.2.2" });
    expect(link.runUntil(() => isUp(a), 5_000)).toBe(true);
  });

  test("I27 close and open of session and tunnel; nothing is left, not even a timer", () => {
    const { link, a, b } = twoSites(false);
    link.runUntil(() => isUp(a) && isUp(b));
    a.receive({ type: "close", tunnel: "static", session: "lan" });
    expect(sessionOf(a)).toMatchObject({ state: "idle", lastError: "closed by the administrator" });
    expect([a.datapathSessions.size, tunnelOf(a).state]).toEqual([0, "established"]);
    link.run(600_000);
    expect(sessionOf(a).state).toBe("idle");
    a.receive({ type: "open", tunnel: "static", session: "lan" });
    expect(link.runUntil(() => isUp(a), 1_000)).toBe(true);
    a.receive({ type: "close", tunnel: "static" });
    expect(tunnelOf(a)).toMatchObject({ state: "idle", lastError: "closed by the administrator" });
    expectNothingLeft(a);
    a.receive({ type: "open", tunnel: "static" });
    expect(link.runUntil(() => isUp(a), 1_000)).toBe(true);
    for (const node of [a, b]) node.receive({ type: "shutdown" });
    expectNothingLeft(a, b);
    expect(link.datagrams).toEqual([]);
  });

  test("I27 what a peer says to it is ignored, with a line in the log", () => {
    const link = new VirtualLink();
    const a = link.add(A, configuration(A, false));
    const peer = new ScriptedPeer(link, B, { address: A, port: 1701 });
    peer.remoteCcid = 11;
    link.start();
    link.run(100);
    peer.send({ name: "HELLO" });
    peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: 21 });
    link.run(60_000);
    expect(peer.heard).toEqual([]);
    expect(isUp(a)).toBe(true);
    expect(a.log.filter(({ event }) => event === "message-ignored")).toHaveLength(2);
  });

  test("I27 what is negotiated beside it never takes its ids", () => {
    const link = new VirtualLink();
    const dynamic = tunnel("other", { peer: B, localPort: 1702, sessions: [session("x")] });
    const { tunnels } = configuration(A, false);
    const a = link.add(A, lcce("site-a", ...tunnels, dynamic));
    const b = link.add(B, lcce("site-b", tunnel("other", { peer: A, role: "responder", sessions: [session("x")] })));
    link.start();
    const established = () => a.core.view().tunnels.every(({ state }) => state === "established");
    expect(link.runUntil(established, 10_000)).toBe(true);
    link.run(1_000);
    expect(a.datapathSessions.size).toBe(2);
    expect(b.datapathSessions.size).toBe(1);
  });
});

describe("hello-only", () => {
  test("I27 the tunnel is up when the peer answers, and not before", () => {
    const link = new VirtualLink();
    const a = link.add(A, configuration(A, true));
    link.start();
    link.run(60_000);
    expect(tunnelOf(a)).toMatchObject({ state: "idle", lastError: expect.stringMatching(/no answer to HELLO from/) });
    expect([a.datapathSessions.size, a.raised.size]).toEqual([1, 0]);
    const b = link.add(B, configuration(B, true));
    b.receive({ type: "start" });
    expect(link.runUntil(() => isUp(a) && isUp(b), 100)).toBe(true);
    expect(tunnelOf(a).lastError).toBe("");
  });

  test("I27 between silent ends there is one HELLO and one acknowledgement in each interval", () => {
    const { link, a, b } = twoSites(true);
    link.runUntil(() => isUp(a) && isUp(b));
    link.run(HELLO_MS);
    const before = link.datagrams.length;
    link.run(100 * HELLO_MS);
    const sent = link.datagrams.length - before;
    expect(sent).toBeGreaterThanOrEqual(180);
    expect(sent).toBeLessThanOrEqual(240);
    expect(isUp(a) && isUp(b)).toBe(true);
    expect([...a.log, ...b.log].filter(({ level }) => level === "warn")).toEqual([]);
  });

  test("I27 a silent peer takes the device down within a cycle, and its return brings it up again", () => {
    const { link, a, b } = twoSites(true);
    link.runUntil(() => isUp(a) && isUp(b));
    link.run(100_000);
    link.fate = () => [];
    expect(link.runUntil(() => a.raised.size === 0 && b.raised.size === 0, HELLO_MS + CYCLE_MS + 100)).toBe(true);
    for (const node of [a, b]) {
      expect(tunnelOf(node)).toMatchObject({ state: "idle", lastError: expect.stringMatching(/no answer to HELLO/) });
      expect(sessionOf(node)).toMatchObject({ state: "idle", lastError: expect.stringMatching(/no answer to HELLO/) });
      expect([node.tunnels.size, node.datapathSessions.size]).toEqual([1, 1]);
    }
    const before = link.datagrams.length;
    link.run(600_000);
    // One HELLO at a time, with pauses that grow to a minute.
    expect(link.datagrams.length - before).toBeLessThan(40);
    link.fate = () => [LATENCY_MS];
    expect(link.runUntil(() => isUp(a) && isUp(b), 70_000)).toBe(true);
    link.run(10 * HELLO_MS);
    expect(isUp(a) && isUp(b)).toBe(true);
  });

  test("I27 where only one way is open neither end is up for long", () => {
    const { link, a, b } = twoSites(true);
    link.runUntil(() => isUp(a) && isUp(b));
    link.fate = ({ from }) => (from.address === A ? [] : [LATENCY_MS]);
    expect(link.runUntil(() => a.raised.size === 0 && b.raised.size === 0, 10 * (HELLO_MS + CYCLE_MS))).toBe(true);
    link.fate = () => [LATENCY_MS];
    expect(link.runUntil(() => isUp(a) && isUp(b), 70_000)).toBe(true);
  });

  test.each([
    [A, "early", 0],
    [B, "early", 0],
    [A, "late", 500_000],
    [B, "late", 500_000],
  ])("I27 the end at %s restarts (%s): the other one stays up and answers it at once", (which, _, afterMs) => {
    const { link, a, b } = twoSites(true);
    link.runUntil(() => isUp(a) && isUp(b));
    link.run(afterMs);
    const [restarted, other] = which === A ? [a, b] : [b, a];
    restarted.crash(configuration(which, true), 99);
    restarted.receive({ type: "start" });
    // A HELLO, its acknowledgement; a second round where the first ones crossed.
    expect(link.runUntil(() => isUp(restarted), 2_000)).toBe(true);
    expect(isUp(other)).toBe(true);
    link.run(50 * HELLO_MS);
    expect(isUp(a) && isUp(b)).toBe(true);
    expect(other.log.filter(({ event }) => event === "control-connection-failed")).toEqual([]);
  });

  test("I27 both restart at once", () => {
    const { link, a, b } = twoSites(true);
    link.run(500_000);
    for (const node of [a, b]) node.crash(configuration(node.address, true), 5);
    for (const node of [a, b]) node.receive({ type: "start" });
    expect(link.runUntil(() => isUp(a) && isUp(b), 2_000)).toBe(true);
  });

  test("I27 over a bad link it stays up, and after any loss, order or restart it comes up when the link heals", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const chance = new SeededEntropy(seed);
      const { link, a, b } = twoSites(true, {}, seed);
      link.fate = () => {
        const fate = chance.uint32() % 10;
        const delay = 1 + (chance.uint32() % 3_000);
        return fate < 3 ? [] : fate < 5 ? [delay, delay + (chance.uint32() % 5_000)] : [delay];
      };
      link.run(200_000);
      const crashed = seed % 2 === 0 ? a : b;
      crashed.crash(configuration(crashed.address, true), seed + 1);
      crashed.receive({ type: "start" });
      link.run(200_000);
      link.fate = () => [LATENCY_MS];
      expect(
        link.runUntil(() => isUp(a) && isUp(b), 140_000),
        `seed ${seed}`,
      ).toBe(true);
      link.run(20 * HELLO_MS);
      expect(isUp(a) && isUp(b), `seed ${seed} stays`).toBe(true);
      for (const node of [a, b]) node.receive({ type: "shutdown" });
      expectNothingLeft(a, b);
    }
  });

  test("I27 with an integrity digest acknowledgements are explicit, since a ZLB has no room for one", () => {
    const authentication = { secrets: [], digest: "sha1", hidden: false, chapPassword: undefined } as const;
    const { link, a, b } = twoSites(true, { authentication });
    expect(link.runUntil(() => isUp(a) && isUp(b), 1_000)).toBe(true);
    expect(link.datagrams.every((each) => each.octets.length > 12)).toBe(true);
  });

  test("I27 close lowers nothing at the other end before it has missed its HELLOs, and leaves no timer", () => {
    const { link, a, b } = twoSites(true);
    link.runUntil(() => isUp(a) && isUp(b));
    a.receive({ type: "close", tunnel: "static" });
    expectNothingLeft(a);
    expect(link.runUntil(() => b.raised.size === 0, HELLO_MS + CYCLE_MS + 100)).toBe(true);
    a.receive({ type: "open", tunnel: "static" });
    expect(link.runUntil(() => isUp(a) && isUp(b), 70_000)).toBe(true);
  });

  describe("with a peer that keeps strictly to RFC 3931 4.2", () => {
    function facingStrictPeer() {
      const link = new VirtualLink();
      const a = link.add(A, configuration(A, true));
      const peer = new ScriptedPeer(link, B, { address: A, port: 1701 });
      peer.ccid = 21;
      peer.remoteCcid = 11;
      link.start();
      expect(link.runUntil(() => isUp(a), 1_000)).toBe(true);
      return { link, a, peer };
    }

    test("I27 its HELLO is acknowledged, and ours after it", () => {
      const { link, a, peer } = facingStrictPeer();
      peer.send({ name: "HELLO" });
      link.run(1_000);
      expect(peer.heard.at(-1)).toMatchObject({ name: "ZLB", header: { nr: 1 } });
      link.run(10 * HELLO_MS);
      expect(isUp(a)).toBe(true);
    });

    test("I27 it restarts: its first HELLO is acknowledged with what it expects", () => {
      const { link, a, peer } = facingStrictPeer();
      for (let i = 0; i < 5; i++) {
        peer.send({ name: "HELLO" });
        link.run(2 * HELLO_MS);
      }
      peer.forget();
      [peer.ns, peer.nr] = [0, 0];
      peer.send({ name: "HELLO" });
      link.run(100);
      expect(peer.heard.map(({ header }) => header.nr)).toContain(1);
      const hello = peer.heard.find(({ name }) => name === "HELLO");
      expect(hello?.header.ns).toBe(0);
      link.run(10 * HELLO_MS);
      expect(isUp(a)).toBe(true);
    });

    test("I27 this end restarts: it takes over the numbers that the peer goes on with", () => {
      const { link, a, peer } = facingStrictPeer();
      for (let i = 0; i < 5; i++) {
        peer.send({ name: "HELLO" });
        link.run(2 * HELLO_MS);
      }
      expect(peer.nr).toBeGreaterThan(2);
      a.crash(configuration(A, true), 7);
      a.receive({ type: "start" });
      expect(link.runUntil(() => isUp(a), 500)).toBe(true);
      const { nr } = peer;
      link.run(5 * HELLO_MS);
      expect(peer.nr).toBeGreaterThan(nr);
      expect(isUp(a)).toBe(true);
    });

    test("I27 its StopCCN is acknowledged and takes the device down; when it answers again, up", () => {
      const { link, a, peer } = facingStrictPeer();
      peer.polite = false;
      peer.send({ name: "StopCCN", resultCode: { result: 6 }, assignedControlConnectionId: 21 });
      link.run(500);
      expect(peer.heard.some(({ name, header }) => name === "ZLB" && header.nr === 1)).toBe(true);
      expect(tunnelOf(a)).toMatchObject({ state: "idle", lastError: expect.stringMatching(/StopCCN/) });
      expect(a.raised.size).toBe(0);
      [peer.ns, peer.nr, peer.polite] = [0, 0, true];
      expect(link.runUntil(() => isUp(a), 10_000)).toBe(true);
    });

    test("I27 everything else is ignored, and not acknowledged", () => {
      const { link, a, peer } = facingStrictPeer();
      const heard = peer.heard.length;
      peer.send(peer.icrq());
      link.run(1_000);
      expect(peer.heard.length).toBe(heard);
      expect(a.log.filter(({ event }) => event === "message-ignored")).toHaveLength(1);
      expect(isUp(a)).toBe(true);
    });
  });
});
