import { describe, expect, test } from "vitest";
import type { TunnelConfiguration } from "../../src/control/configuration.ts";
import { nameOnWire } from "../support/digest-by-hand.ts";
import { identity, SESSIONS, toA, toB, World } from "../support/reconfigured-sites.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import type { VirtualNode } from "../support/virtual-link.ts";

function sessionId(node: VirtualNode, name: string): number | undefined {
  const sessions = node.core.view().tunnels.flatMap((each) => each.sessions);
  return sessions.find((each) => each.name === name)?.localSessionId;
}

describe("what is not touched", () => {
  test("the same configuration again: no message, no effect", () => {
    const world = new World();
    const before = identity(world.a);
    const effects = world.a.core.receive({ type: "configuration-changed", tunnels: [toB()] }, world.link.now);
    expect(effects).toEqual([]);
    expect(identity(world.a)).toEqual(before);
  });

  test("H01 HELLOs go on at their instants through ten reloads of something else", () => {
    const hellos = (reloads: boolean) => {
      const world = new World();
      const began = world.link.now;
      for (let i = 0; i < 10; i++) {
        const other = tunnel(`other${i}`, { peer: `198.51.100.${i + 1}`, role: "responder" });
        if (reloads) world.reload(world.a, other, toB());
        world.link.run(2_000);
      }
      return world.link.datagrams
        .filter(({ at, octets }) => at >= began && nameOnWire(octets) === "HELLO")
        .map(({ at, from }) => [at, from.address]);
    };
    expect(hellos(true)).toEqual(hellos(false));
    expect(hellos(true).length).toBeGreaterThan(3);
  });
});

describe("what is changed in place", () => {
  test("addresses, routes, bridge: the datapath hears of it, the peer does not", () => {
    const world = new World();
    const before = identity(world.a);
    const changed = session("lan42", {
      addresses: ["10.0.0.1/30"],
      routes: ["10.2.0.0/16"],
      bridge: "br0",
      isolated: true,
    });
    const said = world.said(() => {
      world.reload(world.a, toB({ sessions: [changed, session("lan43")] }));
      world.link.run(100);
    });
    expect(said).toEqual([]);
    expect(identity(world.a)).toEqual(before);
    expect(world.a.datapathSessions.get(sessionId(world.a, "lan42") ?? 0)).toMatchObject({
      addresses: ["10.0.0.1/30"],
      routes: ["10.2.0.0/16"],
      bridge: "br0",
      isolated: true,
    });
    expect(world.a.datapathSessions.get(sessionId(world.a, "lan43") ?? 0)).toMatchObject({ addresses: [] });
  });

  test("what the datapath cannot change so ends the session, which comes back when it can", () => {
    const world = new World();
    const before = sessionId(world.a, "lan43");
    const [willing] = [world.a.datapath];
    const refuseSession = ({ bridge }: { bridge: string | undefined }) =>
      bridge === undefined ? undefined : `bridge ${bridge} does not exist`;
    world.a.datapath = { ...willing, refuseSession };
    const changed = toB({ sessions: [session("lan42", { bridge: "br0" }), session("lan43")] });
    expect(world.saidWithin(100, world.a, changed)).toEqual(["a:CDN"]);
    expect(world.isUp).toBe(false);
    world.a.datapath = willing;
    expect(world.link.runUntil(() => world.isUp, 10_000)).toBe(true);
    expect(sessionId(world.a, "lan43")).toBe(before);
  });

  test("H01 a shorter hello_interval counts from the silence so far", () => {
    const world = new World([toB({ helloIntervalMs: 60_000 })], [toA({ helloIntervalMs: 0 })]);
    const since = world.link.now;
    world.link.run(8_000);
    const said = world.said(() => {
      world.reload(world.a, toB({ helloIntervalMs: 10_000 }));
      world.link.run(4_000);
    });
    expect(said).toEqual(["a:HELLO"]);
    expect(world.link.datagrams.find(({ octets }) => nameOnWire(octets) === "HELLO")?.at).toBeGreaterThan(
      since + 7_000,
    );
  });

  test("H01 hello_interval from none to some, and back to none", () => {
    const world = new World([toB({ helloIntervalMs: 0 })], [toA({ helloIntervalMs: 0 })]);
    world.reload(world.a, toB({ helloIntervalMs: 10_000 }));
    expect(world.said(() => world.link.run(25_000))).toEqual(["a:HELLO", "a:HELLO"]);
    world.reload(world.a, toB({ helloIntervalMs: 0 }));
    expect(world.said(() => world.link.run(60_000))).toEqual([]);
  });

  test("H04 other retransmission limits hold for what is sent from now on", () => {
    const world = new World();
    const retransmit = { initialMs: 100, maxMs: 100, retries: 2, sccrqRetries: 2 };
    world.reload(world.a, toB({ retransmit, reconnect: { minMs: 600_000, maxMs: 600_000 } }));
    world.link.fate = () => [];
    world.link.run(7_000);
    expect(world.a.core.view().tunnels[0]).toMatchObject({
      state: "idle",
      lastError: expect.stringContaining("no answer"),
    });
  });

  test("a pause under way is no longer than the new longest one", () => {
    const world = new World();
    world.link.fate = () => [];
    world.reload(world.a, toB({ reconnect: { minMs: 600_000, maxMs: 600_000 } }));
    expect(world.link.runUntil(() => world.a.core.view().tunnels[0]?.state === "idle")).toBe(true);
    world.link.fate = () => [10];
    world.reload(world.a, toB({ reconnect: { minMs: 1_000, maxMs: 2_000 } }));
    expect(world.link.runUntil(() => world.isUp, 40_000)).toBe(true);
  });

  test("D17 a changed secret goes the way of the rollover", () => {
    const secret = (...texts: readonly string[]) => ({
      secrets: texts.map((text) => new TextEncoder().encode(text)),
      digest: "md5" as const,
      hidden: false,
      chapPassword: undefined,
    });
    const world = new World([toB({ authentication: secret("old") })], [toA({ authentication: secret("old") })]);
    const before = [identity(world.a), identity(world.b)];
    world.reload(world.a, toB({ authentication: secret("new", "old") }));
    world.link.run(6_000);
    world.reload(world.b, toA({ authentication: secret("new", "old") }));
    world.link.run(30_000);
    expect([identity(world.a), identity(world.b)]).toEqual(before);
  });
});

describe("sessions that come, go and come anew", () => {
  test("a new one is called on the running connection, once both ends know it", () => {
    const world = new World();
    const sessions = [...SESSIONS, session("lan44")];
    world.reload(world.b, toA({ sessions }));
    const said = world.said(() => {
      world.reload(world.a, toB({ sessions }));
      world.link.run(1_000);
    });
    expect(said).toEqual(["a:ICRQ", "b:ICRP", "a:ICCN"]);
    expect(world.isUp).toBe(true);
  });

  test("A12 one that is removed ends with a CDN, result 3, and the others do not notice", () => {
    const world = new World();
    const kept = [sessionId(world.a, "lan43"), sessionId(world.b, "lan43")];
    const [id] = [sessionId(world.a, "lan42") ?? 0];
    expect(world.saidWithin(200, world.a, toB({ sessions: [session("lan43")] }))).toEqual(["a:CDN"]);
    expect(world.a.datapathSessions.has(id)).toBe(false);
    expect(world.a.core.view().tunnels[0]?.sessions.map(({ name }) => name)).toEqual(["lan43"]);
    const ended = world.b.core.view().tunnels[0]?.sessions.find(({ name }) => name === "lan42");
    expect(ended).toMatchObject({ state: "idle", lastError: expect.stringContaining("administrative") });
    expect([sessionId(world.a, "lan43"), sessionId(world.b, "lan43")]).toEqual(kept);
  });

  test("one with another cookie size, sublayer or interface is called anew at once", () => {
    for (const more of [
      { cookieSize: 4 as const },
      { interfaceName: "l2-other" },
      { l2Sublayer: "default" as const },
    ]) {
      const world = new World();
      const kept = sessionId(world.a, "lan43");
      const before = sessionId(world.a, "lan42");
      const said = world.said(() => {
        world.reload(world.a, toB({ sessions: [session("lan42", more), session("lan43")] }));
        world.link.run(200);
      });
      expect(said).toEqual(["a:CDN", "a:ICRQ", "b:ICRP", "a:ICCN"]);
      expect(world.isUp).toBe(true);
      expect(sessionId(world.a, "lan43")).toBe(kept);
      expect(sessionId(world.a, "lan42")).not.toBe(before);
    }
  });

  test("where the peer calls, it calls again", () => {
    const world = new World();
    const sessions = [session("lan42", { cookieSize: 0 }), session("lan43")];
    expect(world.saidWithin(200, world.b, toA({ sessions }))).toEqual(["b:CDN"]);
    expect(world.link.runUntil(() => world.isUp, 5_000)).toBe(true);
    expect(world.b.core.view().tunnels[0]?.sessions[0]).toMatchObject({ localCookieSize: 0 });
  });

  test("one that an administrator has closed stays closed", () => {
    const world = new World();
    world.a.receive({ type: "close", tunnel: "to-b", session: "lan42" });
    world.reload(world.a, toB({ sessions: [session("lan42", { cookieSize: 4 }), session("lan43")] }));
    world.link.run(20_000);
    expect(sessionId(world.a, "lan42")).toBe(0);
    world.a.receive({ type: "open", tunnel: "to-b", session: "lan42" });
    world.link.run(1_000);
    expect(world.isUp).toBe(true);
  });

  test("another circuit has the condition that is known of it, and counts its errors from now on", () => {
    const circuits = [session("lan42", { circuit: "eth1" }), session("lan43", { circuit: "eth2" })];
    const world = new World([toB({ sessions: circuits })]);
    const errors = { hardwareOverruns: 9, bufferOverruns: 0, timeouts: 0, alignments: 0 };
    world.a.receive({ type: "circuit", interfaceName: "eth2", condition: "down" });
    world.a.receive({ type: "circuit-errors", interfaceName: "eth3", errors });
    world.link.run(2_000);
    const said = world.said(() => {
      world.reload(
        world.a,
        toB({ sessions: [session("lan42", { circuit: "eth2" }), session("lan43", { circuit: "eth3" })] }),
      );
      world.link.run(2_000);
    });
    expect(said).toEqual(["a:SLI", "a:SLI"]);
    expect(world.b.core.view().tunnels[0]?.sessions.map((each) => each.remoteCircuitActive)).toEqual([false, true]);
    world.a.receive({ type: "circuit-errors", interfaceName: "eth3", errors });
    expect(world.said(() => world.link.run(1_000))).toEqual([]);
    world.a.receive({ type: "circuit-errors", interfaceName: "eth3", errors: { ...errors, hardwareOverruns: 12 } });
    world.link.run(1_000);
    expect(world.b.core.view().tunnels[0]?.sessions[1]?.remoteErrors).toMatchObject({ hardwareOverruns: 3 });
  });
});

test("A25 a call, or a tunnel, that is made anew counts errors of its circuit from then on", () => {
  const errors = { hardwareOverruns: 9, bufferOverruns: 0, timeouts: 0, alignments: 0 };
  for (const more of [{ cookieSize: 4 as const }, {}]) {
    const sessions = (own: object) => [session("lan42", { circuit: "eth1", ...own }), session("lan43")];
    const world = new World([toB({ sessions: sessions({}) })]);
    world.a.receive({ type: "circuit-errors", interfaceName: "eth1", errors });
    world.link.run(1_000);
    world.reload(world.a, toB({ sessions: sessions(more), tos: "cookieSize" in more ? 0 : 184 }));
    world.link.run(5_000);
    expect(world.isUp).toBe(true);
    world.a.receive({ type: "circuit-errors", interfaceName: "eth1", errors: { ...errors, hardwareOverruns: 12 } });
    world.link.run(120_000);
    expect(world.b.core.view().tunnels[0]?.sessions[0]?.remoteErrors).toMatchObject({ hardwareOverruns: 3 });
  }
});

describe("tunnels that come, go and come anew", () => {
  const C = "192.0.2.3";

  test("C19 a new one is opened; a removed one says StopCCN, and is forgotten when that is acknowledged", () => {
    const world = new World();
    const c = world.link.add(C, lcce("site-c", tunnel("to-a", { peer: A, role: "responder" })));
    const other = tunnel("to-c", { peer: C, role: "initiator" });
    const before = identity(world.a);
    const said = world.saidWithin(200, world.a, other, toB());
    expect(said.filter((each) => each.startsWith("a:"))).toEqual(["a:SCCRQ", "a:SCCCN", "a:ICRQ", "a:ICCN"]);
    expect(world.a.core.view().tunnels.map(({ name, state }) => [name, state])).toEqual([
      ["to-c", "established"],
      ["to-b", "established"],
    ]);
    expect(world.saidWithin(200, world.a, toB())).toEqual(["a:StopCCN"]);
    expect(identity(world.a)).toEqual(before);
    expect(c.core.view().tunnels[0]).toMatchObject({
      state: "idle",
      lastError: expect.stringContaining("removed from the configuration"),
    });
    expect([...world.a.sockets]).toHaveLength(1);
    expect(world.a.core.save().connections).toHaveLength(1);
  });

  test("C19 a removed one whose peer is dead is forgotten after a full retransmission cycle", () => {
    const world = new World();
    world.link.fate = () => [];
    world.reload(world.a);
    expect(world.a.core.view().tunnels).toEqual([]);
    expect(world.a.core.idle()).toBe(false);
    expect(world.link.runUntil(() => world.a.core.idle(), 120_000)).toBe(true);
    expect([world.a.sockets.size, world.a.tunnels.size, world.a.datapathSessions.size]).toEqual([0, 0, 0]);
    expect(world.a.core.save()).toMatchObject({ connections: [], timers: [] });
  });

  test.each<[string, Partial<TunnelConfiguration>]>([
    ["role", { role: "both" }],
    ["local_port", { localPort: 1702 }],
    ["dialect", { dialect: "ietf" }],
    ["tos", { tos: 184 }],
    ["peer_hostname", { peerHostname: "site-b" }],
  ])("A04 with another %s it is closed and opened anew", (_, more) => {
    const world = new World();
    const said = world.saidWithin(300, world.a, toB(more));
    expect(said.filter((each) => each.startsWith("a:"))).toEqual([
      "a:StopCCN",
      "a:SCCRQ",
      "a:SCCCN",
      "a:ICRQ",
      "a:ICRQ",
      "a:ICCN",
      "a:ICCN",
    ]);
    expect(world.isUp).toBe(true);
    expect([world.a.sockets.size, world.a.tunnels.size, world.b.tunnels.size]).toEqual([1, 1, 1]);
  });

  test("with another peer it goes there, and the old one is not waited for", () => {
    const world = new World();
    const c = world.link.add(C, lcce("site-c", tunnel("to-a", { peer: A, role: "responder", sessions: SESSIONS })));
    world.link.fate = ({ to }) => (to.address === B ? [] : [10]);
    world.reload(world.a, toB({ peer: C }));
    expect(world.link.runUntil(() => c.core.view().tunnels[0]?.state === "established", 1_000)).toBe(true);
    expect(world.a.core.view().tunnels[0]).toMatchObject({ peer: `${C}:1701`, lastError: "" });
  });

  test("what an old name stood for is not taken for the new one's address", () => {
    const world = new World();
    const named = (peer: string) => tunnel("to-b", { peer, role: "initiator", sessions: SESSIONS });
    for (const name of ["old.example", "new.example"]) {
      world.a.perform(
        world.a.core
          .receive({ type: "configuration-changed", tunnels: [named(name)] }, world.link.now)
          .filter(({ type }) => type !== "resolve-peer"),
      );
    }
    const late = { type: "peer-resolved", tunnel: "to-b", host: "old.example", address: C } as const;
    expect(world.a.core.receive(late, world.link.now)).toEqual([]);
    world.a.receive({ type: "peer-resolved", tunnel: "to-b", host: "new.example", address: B });
    expect(world.link.runUntil(() => world.isUp, 5_000)).toBe(true);
  });

  test("one that an administrator has closed stays closed", () => {
    const world = new World();
    world.a.receive({ type: "close", tunnel: "to-b" });
    world.reload(world.a, toB({ tos: 184 }));
    world.link.run(60_000);
    expect(world.a.core.view().tunnels[0]).toMatchObject({ state: "idle" });
  });

  test("nothing is opened any more when the daemon ends", () => {
    const world = new World();
    world.a.receive({ type: "shutdown" });
    world.reload(world.a, toB({ tos: 184 }));
    world.link.run(60_000);
    expect(world.a.core.idle()).toBe(true);
  });
});

describe("static tunnels", () => {
  const numbers = (id: number) => ({
    localSessionId: id,
    remoteSessionId: id,
    localCookie: new Uint8Array(0),
    remoteCookie: new Uint8Array(0),
  });
  const wire = (name: string, id: number, more = {}) => session(name, { static: numbers(id), ...more });
  const typedIn = (peer: string, sessions: TunnelConfiguration["sessions"], more: Partial<TunnelConfiguration> = {}) =>
    tunnel("typed", {
      static: { localTunnelId: 7, remoteTunnelId: 7, watched: false },
      role: "initiator",
      peer,
      sessions,
      ...more,
    });
  const watched = { static: { localTunnelId: 7, remoteTunnelId: 7, watched: true }, helloIntervalMs: 5_000 };

  test.each([{}, watched])("I27 sessions come, go and change while the others are not touched: %j", (more) => {
    const both = [wire("one", 11), wire("two", 12)];
    const world = new World([typedIn(B, both, more)], [typedIn(A, both, more)]);
    const said = world.said(() => {
      const sessions = [wire("two", 12, { addresses: ["10.0.0.1/30"], mtu: 1400 }), wire("three", 13)];
      world.reload(world.a, typedIn(B, sessions, more));
      world.link.run(100);
    });
    expect(said).toEqual([]);
    expect([...world.a.datapathSessions.keys()]).toEqual([12, 13]);
    expect([...world.a.raised]).toEqual([12, 13]);
    expect(world.a.datapathSessions.get(12)).toMatchObject({ addresses: ["10.0.0.1/30"] });
    const events = world.a.log.filter(({ session: name }) => name === "two").map(({ event }) => event);
    // An MTU that was found out by the datapath cannot be told from another one: the session is made anew.
    expect(events).toEqual(["session-established", "session-closed", "session-established"]);
  });

  test("I27 H01 a peer that is not watched is asked nothing, whatever hello_interval says", () => {
    const world = new World([typedIn(B, [wire("one", 11)])], [typedIn(A, [wire("one", 11)])]);
    world.reload(world.a, typedIn(B, [wire("one", 11)], { helloIntervalMs: 5_000 }));
    expect(world.said(() => world.link.run(60_000))).toEqual([]);
    expect([...world.a.raised]).toEqual([11]);
  });

  test("I27 an MTU is changed in place", () => {
    const world = new World([typedIn(B, [wire("one", 11, { mtu: 1400 })])], [typedIn(A, [wire("one", 11)])]);
    world.reload(world.a, typedIn(B, [wire("one", 11, { mtu: 1500 })]));
    expect(world.a.datapathSessions.get(11)).toMatchObject({ mtu: 1500 });
    expect(world.a.log.filter(({ event }) => event === "session-closed")).toEqual([]);
  });

  test("I27 with other ids it is made anew; from static to dynamic and back", () => {
    const world = new World([], [toA({ sessions: [] })].slice(1));
    world.reload(world.b, toA());
    world.reload(world.a, typedIn(B, [wire("one", 11)]));
    world.reload(
      world.a,
      typedIn(B, [wire("one", 11)], { static: { localTunnelId: 8, remoteTunnelId: 9, watched: false } }),
    );
    expect([...world.a.tunnels]).toEqual([8]);
    world.reload(world.a, { ...toB(), name: "typed" });
    expect(world.link.runUntil(() => world.isUp, 5_000)).toBe(true);
    world.reload(world.a, typedIn(B, [wire("one", 11)]));
    world.link.run(60_000);
    expect([...world.a.tunnels]).toEqual([7]);
    expect([...world.a.raised]).toEqual([11]);
    expect(world.a.core.save().connections).toHaveLength(1);
  });
});
