import { describe, expect, test } from "vitest";
import type { LcceConfiguration, TunnelConfiguration } from "../../../src/control/configuration.ts";
import type { Core, Effect, Input, Instant } from "../../../src/control/core.ts";
import { Lcce } from "../../../src/control/lcce.ts";
import { hookEnvironment } from "../../../src/daemon/hook-environment.ts";
import { type Transition, Transitions } from "../../../src/daemon/transitions.ts";
import { A, B, lcce, session, tunnel } from "../../support/sites.ts";
import { SeededEntropy, VirtualLink } from "../../support/virtual-link.ts";

/** An LCCE that is watched as the daemon watches it. */
class WatchedLcce extends Lcce {
  readonly #watched: Core;

  constructor(configuration: LcceConfiguration, transitions: Transitions) {
    super(configuration, new SeededEntropy(99), 0);
    this.#watched = transitions.watch({
      receive: (input, now) => super.receive(input, now),
      expire: (now) => super.expire(now),
      nextDeadline: () => super.nextDeadline(),
      idle: () => super.idle(),
      view: (name) => super.view(name),
    });
  }

  override receive(input: Input, now: Instant): readonly Effect[] {
    return this.#watched.receive(input, now);
  }

  override expire(now: Instant): readonly Effect[] {
    return this.#watched.expire(now);
  }
}

const SESSIONS = [session("x", { circuit: "eth1" }), session("y")];

/** Site a is watched. `news`: what has happened since it was asked last, in the order in which it is told. */
function sites(ofA: Partial<TunnelConfiguration> = {}) {
  const link = new VirtualLink();
  const told: Transition[] = [];
  const wanted = { now: true };
  const transitions = new Transitions(
    (transition) => told.push(transition),
    () => wanted.now,
  );
  const configuration = lcce("site-a", tunnel("b", { role: "initiator", peer: B, sessions: SESSIONS, ...ofA }));
  const a = link.add(A, configuration);
  a.core = new WatchedLcce(configuration, transitions);
  const b = link.add(B, lcce("site-b", tunnel("a", { role: "responder", peer: A, sessions: SESSIONS })));
  link.start();
  const look = () => {
    transitions.look();
    return told.splice(0);
  };
  const news = () => look().map(({ event, session: of }) => (of === undefined ? event : `${event} ${of.name}`));
  const want = (now: boolean) => {
    wanted.now = now;
    transitions.review();
  };
  return { link, a, b, look, news, want };
}

const UP = ["tunnel-up", "session-up x", "session-up y"];
const DOWN = ["session-down x", "session-down y", "tunnel-down"];

describe("another configuration", () => {
  const named = (more: Partial<TunnelConfiguration> = {}) =>
    tunnel("b", { role: "initiator", peer: B, sessions: SESSIONS, ...more });

  test("what is not configured any more has ended, and what is made anew ends and comes", () => {
    const { link, a, news } = sites();
    link.run(1_000);
    expect(news()).toEqual(UP);
    a.receive({ type: "configuration-changed", tunnels: [named({ sessions: SESSIONS.slice(0, 1) })] });
    expect(news()).toEqual(["session-down y"]);
    a.receive({ type: "configuration-changed", tunnels: [named({ tos: 184, sessions: SESSIONS.slice(0, 1) })] });
    link.run(1_000);
    expect(news()).toEqual(["session-down x", "tunnel-down", "tunnel-up", "session-up x"]);
    a.receive({ type: "configuration-changed", tunnels: [] });
    expect(news()).toEqual(["session-down x", "tunnel-down"]);
  });

  test("whoever wants to be told from now on is not told of what is up already", () => {
    const { link, a, news, want } = sites();
    want(false);
    link.run(1_000);
    expect(news()).toEqual([]);
    want(true);
    a.receive({ type: "close", tunnel: "b", session: "x" });
    expect(news()).toEqual(["session-down x"]);
  });
});

describe("what happens to tunnels and sessions is told once, in order", () => {
  test("they come, however often it is looked, and go with the daemon's end", () => {
    const { link, a, news } = sites();
    link.run(1_000);
    expect(news()).toEqual(UP);
    link.run(300_000);
    expect(news()).toEqual([]);
    a.receive({ type: "shutdown" });
    expect(news()).toEqual(DOWN);
  });

  test("step by step where it is looked at each step", () => {
    const { link, news } = sites();
    const found: string[] = [];
    for (let ms = 0; ms < 500; ms++) {
      link.run(1);
      found.push(...news());
    }
    expect(found).toEqual(UP);
  });

  test("a peer that is dead, with the reason", () => {
    const { link, look } = sites();
    link.run(1_000);
    const up = look();
    link.fate = () => [];
    link.run(200_000);
    const down = look();
    expect(down.map(({ event }) => event)).toEqual(["session-down", "session-down", "tunnel-down"]);
    expect(down.map(({ reason }) => reason)).toEqual(Array(3).fill(expect.stringContaining("no answer from")));
    // As it was: nobody could tell which one has ended otherwise.
    expect(down[2]?.tunnel).toMatchObject({ localControlConnectionId: up[0]?.tunnel.localControlConnectionId });
    expect(down[0]?.session).toMatchObject({ localSessionId: up[1]?.session?.localSessionId, name: "x" });
  });

  test("a peer that has begun anew in between: what was up has been down, although nobody looked", () => {
    const { link, b, news } = sites();
    link.run(1_000);
    expect(news()).toEqual(UP);
    b.crash(lcce("site-b", tunnel("a", { role: "initiator", peer: A, sessions: SESSIONS })), 5);
    b.receive({ type: "start" });
    link.run(5_000);
    expect(news()).toEqual([...DOWN, ...UP]);
  });

  test("one session of several, by an administrator", () => {
    const { link, a, look, news } = sites();
    link.run(1_000);
    news();
    a.receive({ type: "close", tunnel: "b", session: "y" });
    link.run(1_000);
    expect(look()).toMatchObject([
      { event: "session-down", session: { name: "y" }, reason: "closed by the administrator" },
    ]);
    a.receive({ type: "open", tunnel: "b", session: "y" });
    link.run(1_000);
    expect(news()).toEqual(["session-up y"]);
  });

  test("circuits of either end, while the session is up", () => {
    const { link, a, b, look, news } = sites();
    link.run(1_000);
    news();
    const circuits = () =>
      look().map(({ event, session: of }) => [event, of?.name, of?.localCircuitActive, of?.remoteCircuitActive]);
    b.receive({ type: "circuit", interfaceName: "eth1", condition: "no-carrier" });
    link.run(2_000);
    expect(circuits()).toEqual([["circuit-status", "x", true, false]]);
    a.receive({ type: "circuit", interfaceName: "eth1", condition: "down" });
    expect(circuits()).toEqual([["circuit-status", "x", false, false]]);
    for (const node of [a, b]) node.receive({ type: "circuit", interfaceName: "eth1", condition: "up" });
    link.run(2_000);
    expect(circuits()).toEqual([["circuit-status", "x", true, true]]);
    a.receive({ type: "circuit", interfaceName: "eth7", condition: "down" });
    expect(circuits()).toEqual([]);
  });

  test("a static tunnel has no peer to be asked, and comes and goes as well", () => {
    const numbers = {
      localSessionId: 1,
      remoteSessionId: 2,
      localCookie: new Uint8Array(),
      remoteCookie: new Uint8Array(),
    };
    const { link, a, news } = sites({
      static: { localTunnelId: 1, remoteTunnelId: 2, watched: false },
      sessions: [session("x", { static: numbers })],
    });
    link.run(1_000);
    expect(news()).toEqual(["tunnel-up", "session-up x"]);
    a.receive({ type: "close", tunnel: "b" });
    expect(news()).toEqual(["session-down x", "tunnel-down"]);
  });
});

describe("the environment of a hook", () => {
  const UP_ENVIRONMENT = {
    PATH: expect.stringContaining("/usr/bin"),
    LANG: "C.UTF-8",
    L2TP_EVENT: "session-up",
    L2TP_TUNNEL: "b",
    L2TP_NETNS: "",
    L2TP_PEER: "192.0.2.2:1701",
    L2TP_PEER_HOSTNAME: "site-b",
    L2TP_PEER_ROUTER_ID: "0.0.0.98",
    L2TP_ENCAPSULATION: "udp",
    L2TP_LOCAL_CCID: expect.stringMatching(/^[1-9]\d*$/),
    L2TP_REMOTE_CCID: expect.stringMatching(/^[1-9]\d*$/),
    L2TP_SESSION: "x",
    L2TP_INTERFACE: "l2-x",
    L2TP_PSEUDOWIRE: "ethernet",
    L2TP_VLAN: "",
    L2TP_LOCAL_SESSION_ID: expect.stringMatching(/^[1-9]\d*$/),
    L2TP_REMOTE_SESSION_ID: expect.stringMatching(/^[1-9]\d*$/),
    L2TP_LOCAL_CIRCUIT: "up",
    L2TP_REMOTE_CIRCUIT: "up",
    L2TP_REASON: "",
  };

  function sessionUp(): Transition {
    const { link, look } = sites();
    link.run(1_000);
    const found = look()[1];
    if (found === undefined) throw new Error("no session came up");
    return found;
  }

  test("has what is documented, and nothing of the daemon's", () => {
    process.env["LCCE_TEST_SECRET"] = "never";
    expect(hookEnvironment(sessionUp())).toEqual(UP_ENVIRONMENT);
    delete process.env["LCCE_TEST_SECRET"];
  });

  test("what peers say is one line of bounded length without anything that acts on a terminal", () => {
    const up = sessionUp();
    const peerHostname = `evil\u001b[2J\nL2TP_EVENT=x\0\u2028\u202e${"a".repeat(500)}`;
    const { L2TP_PEER_HOSTNAME, L2TP_REASON } = hookEnvironment({
      ...up,
      tunnel: { ...up.tunnel, peerHostname },
      reason: "said \u009b1m",
    });
    expect(L2TP_PEER_HOSTNAME).toMatch(/^evil\?\[2J\?L2TP_EVENT=x\?\?\?a+…$/);
    expect(L2TP_PEER_HOSTNAME).toHaveLength(255);
    expect(L2TP_REASON).toBe("said ?1m");
  });
});
