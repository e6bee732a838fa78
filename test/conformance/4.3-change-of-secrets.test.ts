import { describe, expect, test } from "vitest";
import type { AuthenticationConfiguration } from "../../src/control/configuration.ts";
import {
  agreed,
  authentication,
  facingSigned,
  forged,
  OTHER_SECRET,
  SECRET,
  type Sites,
  sites,
  up,
} from "../support/authenticated-sites.ts";
import { ascii, judge, nameOnWire } from "../support/digest-by-hand.ts";
import { internalErrors, tunnelOf } from "../support/scripted-peer.ts";
import { A, B } from "../support/sites.ts";
import { LATENCY_MS, type VirtualNode } from "../support/virtual-link.ts";

const OLD = SECRET;
const NEW = OTHER_SECRET;
const THIRD = ascii("tertium datur");
const ALL = [OLD, NEW, THIRD];
const secrets = (...all: readonly Uint8Array[]) => authentication({ secrets: all });

function change(node: VirtualNode, to: AuthenticationConfiguration): void {
  const tunnel = tunnelOf(node).name;
  node.receive({ type: "authentication-changed", tunnel, authentication: to });
}

/** Both ends know the old secret alone, and are up. HELLO every five seconds. */
function established(policy = secrets(OLD), more: Parameters<typeof sites>[2] = {}): Sites {
  const world = sites(policy, policy, { helloIntervalMs: 5_000, ...more });
  world.link.start();
  expect(up(world)).toBe(true);
  world.link.run(1_000);
  return world;
}

/** What is the same as long as nothing goes down. */
function identity({ a, b }: Sites): unknown {
  const ids = [a, b].map((node) => [tunnelOf(node).localControlConnectionId, tunnelOf(node).state, [...node.raised]]);
  return [ids, a.tunnels, b.tunnels];
}

/** The secrets, by their index in ALL, that made the digests of what an end said last. */
function lastDigests({ link }: Sites, address: string): readonly string[] {
  return judge(link.datagrams, ALL).findLast(({ from }) => from.address === address)?.digests ?? [];
}

/** What the log says last of a change. */
function lastWord({ a }: Sites): string | undefined {
  return a.log.findLast(({ event }) => event === "authentication-changed")?.message;
}

describe("a change of the secret under a running connection", () => {
  test("D17 the log tells whether the connection goes on with it, or keeps the old one", () => {
    const world = established();
    change(world.a, secrets(NEW, OLD));
    expect(lastWord(world)).toBe("the authentication was changed");
    change(world.a, authentication({ secrets: [], digest: "none" }));
    expect(lastWord(world)).toMatch(
      /; the established control connection keeps the old one \(l2tpv3-lcc close to-b, then open, for the new one\)$/,
    );
  });

  test("D17 where there was none, the log does not speak of an old one", () => {
    const world = established(authentication({ secrets: [], digest: "none" }));
    change(world.a, secrets(NEW));
    expect(lastWord(world)).toMatch(
      /; the established control connection goes on without \(l2tpv3-lcc close to-b, then open, for the new one\)$/,
    );
  });

  const STEPS = {
    "one end after the other, both known in between": [
      ["a", secrets(NEW, OLD)],
      ["b", secrets(NEW, OLD)],
      ["a", secrets(NEW)],
      ["b", secrets(NEW)],
    ],
    "the other end first": [
      ["b", secrets(NEW, OLD)],
      ["a", secrets(NEW)],
      ["b", secrets(NEW)],
    ],
    "twice over": [
      ["a", secrets(NEW, OLD)],
      ["b", secrets(NEW)],
      ["a", secrets(NEW)],
      ["a", secrets(THIRD, NEW)],
      ["b", secrets(THIRD)],
      ["a", secrets(THIRD)],
    ],
    "the digest with it": [
      ["a", authentication({ secrets: [NEW, OLD], digest: "sha1" })],
      ["b", authentication({ secrets: [NEW], digest: "sha1", hidden: true })],
    ],
  } as const;

  test.each(Object.entries(STEPS))("D17 %s: nothing goes down, and HELLOs go on", (_, steps) => {
    for (const hidden of [false, true]) {
      const world = established(authentication({ hidden }));
      const before = identity(world);
      for (const [end, to] of steps) {
        change(world[end], { ...to, hidden: hidden || to.hidden });
        const from = world.link.datagrams.length;
        world.link.run(30_000);
        const said = judge(world.link.datagrams, ALL).slice(from);
        expect(said.filter(({ name }) => name === "HELLO").length).toBeGreaterThan(3);
        expect(said.flatMap(({ digests }) => digests).filter((each) => each.endsWith("wrong"))).toEqual([]);
        expect(identity(world)).toEqual(before);
      }
      // A call, with its hidden AVPs, in the new manner.
      const { a, b, link } = world;
      a.receive({ type: "close", tunnel: "to-b", session: "x" });
      link.run(1_000);
      expect(a.raised.size).toBe(1);
      a.receive({ type: "open", tunnel: "to-b", session: "x" });
      expect(up(world)).toBe(true);
      expect([internalErrors(a), internalErrors(b)]).toEqual([[], []]);
    }
  });

  test("D17 the first end says no word with a secret that the other does not know", () => {
    const world = established();
    change(world.a, secrets(NEW, OLD));
    world.link.run(20_000);
    expect([lastDigests(world, A), forged(world.b)]).toEqual([["md5 0"], 0]);
  });

  test("D17 the second end's new secret is followed at once: it shows that it has it", () => {
    const world = established();
    change(world.a, secrets(NEW, OLD));
    world.link.run(1_000);
    change(world.b, secrets(NEW));
    world.link.run(100);
    expect([lastDigests(world, A), lastDigests(world, B)]).toEqual([["md5 1"], ["md5 1"]]);
    expect([forged(world.a), forged(world.b)]).toEqual([0, 0]);
  });

  test("D17 two secrets of which the peer has shown neither: two digests, until it has", () => {
    const { link, node, peer } = facingSigned({ helloIntervalMs: 5_000 });
    peer.connect();
    const from = link.datagrams.length;
    node.receive({ type: "authentication-changed", tunnel: "to-peer", authentication: secrets(NEW, THIRD) });
    peer.secrets = [THIRD];
    link.run(100);
    const hello = judge(link.datagrams, ALL)
      .slice(from)
      .find(({ name }) => name === "HELLO");
    expect(hello?.digests).toEqual(["md5 1", "md5 2"]);
    peer.send({ name: "HELLO" });
    link.run(100);
    expect(judge(link.datagrams, ALL).findLast((each) => each.from.address === B)?.digests).toEqual(["md5 2"]);
    expect(tunnelOf(node).state).toBe("established");
  });

  test("D17 both ends one after the other without a secret in common: what is under way gets through in the end", () => {
    const world = established();
    const before = identity(world);
    change(world.a, secrets(NEW));
    world.link.run(10_000);
    expect(forged(world.b)).toBeGreaterThan(0);
    change(world.b, secrets(NEW));
    world.link.run(20_000);
    expect(identity(world)).toEqual(before);
    expect([lastDigests(world, A), lastDigests(world, B)]).toEqual([["md5 1"], ["md5 1"]]);
  });

  test("D17 it stands: an end that is alone with its new secret loses its peer", () => {
    const world = established();
    change(world.a, secrets(NEW));
    world.link.run(200_000);
    expect([tunnelOf(world.a).state, tunnelOf(world.b).state]).not.toContain("established");
  });

  test("D17 what comes under a secret that is no longer one is dropped, on the connection and as an SCCRQ", () => {
    const { link, node, peer } = facingSigned();
    peer.connect();
    node.receive({ type: "authentication-changed", tunnel: "to-peer", authentication: secrets(NEW) });
    link.run(100);
    peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid });
    link.run(100);
    const dropped = forged(node);
    expect([tunnelOf(node).state, dropped > 0]).toEqual(["established", true]);
    peer.restart();
    peer.send(peer.sccrq());
    link.run(100);
    expect(forged(node)).toBe(dropped + 1);
    peer.secrets = [NEW];
    peer.restart();
    peer.connect();
    expect(tunnelOf(node).remoteControlConnectionId).toBe(peer.ccid);
  });
});

describe("what was under way when it came", () => {
  test.each([
    ["md5", "md5"],
    ["md5", "sha1"],
    ["sha1", "md5"],
  ] as const)(
    "D17 D27 hidden AVPs are sent again in the form that the secret of now calls for: %s, %s",
    (one, other) => {
      const policy = authentication({ hidden: true, digest: one });
      const world = sites(policy, policy);
      const { link, a, b } = world;
      link.fate = ({ octets }) => (nameOnWire(octets) === "ICRQ" ? [] : [LATENCY_MS]);
      link.start();
      link.run(2_500);
      expect([tunnelOf(a).state, tunnelOf(b).state, agreed(world)]).toEqual(["established", "established", false]);
      for (const node of [a, b]) change(node, { ...policy, secrets: [NEW], digest: other });
      link.fate = () => [LATENCY_MS];
      expect(up(world)).toBe(true);
      expect([internalErrors(a), internalErrors(b)]).toEqual([[], []]);
    },
  );

  test("D17 D27 and when the peer takes to the other of two secrets by itself", () => {
    const world = sites(authentication({ secrets: [NEW, OLD], hidden: true }), authentication({ hidden: true }));
    const { link, a, b } = world;
    link.fate = ({ octets }) => (nameOnWire(octets) === "ICRQ" ? [] : [LATENCY_MS]);
    link.start();
    link.run(2_500);
    expect([tunnelOf(a).state, agreed(world)]).toEqual(["established", false]);
    change(b, authentication({ secrets: [NEW], hidden: true }));
    link.run(100);
    link.fate = () => [LATENCY_MS];
    expect(up(world)).toBe(true);
    for (const node of [a, b]) expect(node.log.filter(({ message }) => message.includes("StopCCN"))).toEqual([]);
  });

  test("D17 a handshake that is under way goes on with the new secret", () => {
    const world = sites(secrets(OLD), secrets(NEW));
    const { link, a } = world;
    link.start();
    link.run(3_500);
    change(a, secrets(NEW));
    const { localControlConnectionId } = tunnelOf(a);
    expect(up(world)).toBe(true);
    expect(tunnelOf(a).localControlConnectionId).toBe(localControlConnectionId);
  });
});

describe("a change of manner", () => {
  const OFF = authentication({ secrets: [], digest: "none" });
  const INTEGRITY = authentication({ secrets: [], digest: "md5" });
  const MANNERS = { off: OFF, integrity: INTEGRITY, secret: secrets(OLD) };
  const PAIRS = Object.entries(MANNERS).flatMap(([from, before]) =>
    Object.entries(MANNERS).flatMap(([to, after]) => (from === to ? [] : [{ from, to, before, after }])),
  );

  test.each(PAIRS)("D15 D17 from $from to $to: for new connections only", ({ before, after }) => {
    const world = established(before);
    const { link, a, b, configurationOfA } = world;
    const known = identity(world);
    for (const node of [a, b]) change(node, after);
    expect(a.log.at(-1)?.message).toMatch(/the established control connection (keeps the old one|goes on without) \(/);
    const from = link.datagrams.length;
    link.run(30_000);
    expect(identity(world)).toEqual(known);
    const digests = (start: number) =>
      new Set(
        judge(link.datagrams, [OLD, new Uint8Array()])
          .slice(start)
          .filter(({ name }) => name !== "ZLB")
          .map((each) => each.digests.join()),
      );
    expect(digests(from)).toEqual(new Set([of(before)]));
    // Both ends begin anew.
    const tunnels = configurationOfA.tunnels.map((each) => ({ ...each, authentication: after }));
    a.crash({ ...configurationOfA, tunnels }, 77);
    const again = link.datagrams.length;
    a.receive({ type: "start" });
    expect(up(world)).toBe(true);
    link.run(1_000);
    expect(digests(again).has(of(after))).toBe(true);
  });

  function of({ secrets: all, digest }: AuthenticationConfiguration): string {
    if (digest === "none") return "";
    return all.length > 0 ? "md5 0" : "md5 1";
  }
});

test("D17 no secret is logged", () => {
  const world = established();
  change(world.a, secrets(NEW, THIRD));
  world.link.run(60_000);
  change(world.b, secrets(THIRD));
  world.link.run(60_000);
  expect(JSON.stringify([world.a.log, world.b.log])).not.toMatch(/horse|staple|tertium/);
});
