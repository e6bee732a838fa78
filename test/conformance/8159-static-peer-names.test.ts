import { describe, expect, test } from "vitest";
import { tunnelOf } from "../support/scripted-peer.ts";
import { A, B } from "../support/sites.ts";
import { CYCLE_MS, configuration, expectNothingLeft, HELLO_MS, isUp } from "../support/static-sites.ts";
import { LATENCY_MS, VirtualLink, type VirtualNode } from "../support/virtual-link.ts";

const NAME = "b.example";
const C = "192.0.2.3";
const D = "192.0.2.4";

function namedPeer(watched: boolean, addresses?: string) {
  const link = new VirtualLink();
  const a = link.add(A, configuration(A, watched, { peer: NAME }));
  if (addresses !== undefined) a.names.set(NAME, addresses);
  link.start();
  return { link, a };
}

/** Whom its socket reaches. */
function peerOf(node: VirtualNode): string | undefined {
  return node.sockets.get(11)?.remote?.address;
}

function events(node: VirtualNode, event: string): readonly string[] {
  return node.log.filter((each) => each.event === event).map(({ message }) => message);
}

describe("a static tunnel", () => {
  test("I27 a name is looked up, and again until it is found", () => {
    const { link, a } = namedPeer(false);
    link.run(100);
    expect(tunnelOf(a).lastError).toMatch(/name cannot be resolved: b.example not found/);
    a.names.set(NAME, B);
    expect(link.runUntil(() => isUp(a), 5_000)).toBe(true);
    expect(peerOf(a)).toBe(B);
  });

  test("I27 its peer's name is looked up every three minutes, and the tunnel made anew when the peer has moved", () => {
    const { link, a } = namedPeer(false, B);
    expect(link.runUntil(() => isUp(a), 1_000)).toBe(true);
    link.run(1_000_000);
    expect(events(a, "session-closed")).toEqual([]);
    a.names.set(NAME, C);
    expect(link.runUntil(() => peerOf(a) === C && isUp(a), 200_000)).toBe(true);
    expect([a.tunnels.size, a.datapathSessions.size, a.sockets.size]).toEqual([1, 1, 1]);
    expect(events(a, "peer-address-changed")).toEqual(["the peer's name stands for 192.0.2.3 now, it was 192.0.2.2"]);
    expect(tunnelOf(a)).toMatchObject({ lastError: "", peer: `${C}:1701` });
    a.receive({ type: "shutdown" });
    expectNothingLeft(a);
  });

  test("I27 a name that is not found any more, or has its old address among others, changes nothing", () => {
    const { link, a } = namedPeer(false, B);
    expect(link.runUntil(() => isUp(a), 1_000)).toBe(true);
    const { since } = tunnelOf(a);
    a.names.delete(NAME);
    link.run(1_000_000);
    a.names.set(NAME, `${C} ${B}`);
    link.run(1_000_000);
    expect(tunnelOf(a)).toMatchObject({ state: "established", since, lastError: "" });
    expect(peerOf(a)).toBe(B);
    // It has been looked up all the time.
    a.names.set(NAME, C);
    expect(link.runUntil(() => peerOf(a) === C && isUp(a), 200_000)).toBe(true);
  });

  test("I27 an address of its peer's name that the machine refuses is followed by the next one", () => {
    const { link, a } = namedPeer(false, `${B} ${C}`);
    expect(link.runUntil(() => peerOf(a) === B, 1_000)).toBe(true);
    a.receive({ type: "socket-failed", localControlConnectionId: 11, reason: "no route to 192.0.2.2" });
    expect(link.runUntil(() => peerOf(a) === C && isUp(a), 5_000)).toBe(true);
  });
});

describe("hello-only", () => {
  function movesTo(link: VirtualLink, address: string): VirtualNode {
    const node = link.add(address, configuration(B, true));
    node.receive({ type: "start" });
    link.fate = ({ from, to }) => ([from.address, to.address].includes(B) ? [] : [LATENCY_MS]);
    return node;
  }

  test.each([
    ["with its name", 0],
    ["long before its name does", 500_000],
  ])("I27 the peer moves %s: it is found where the name points", (_, laterMs) => {
    const { link, a } = namedPeer(true, B);
    link.add(B, configuration(B, true)).receive({ type: "start" });
    expect(link.runUntil(() => isUp(a), 5_000)).toBe(true);
    link.run(100_000);
    const moved = movesTo(link, C);
    link.run(laterMs);
    expect(peerOf(a)).toBe(B);
    a.names.set(NAME, C);
    expect(link.runUntil(() => isUp(a) && peerOf(a) === C && isUp(moved), 70_000)).toBe(true);
    expect(tunnelOf(a).lastError).toBe("");
    link.run(10 * HELLO_MS);
    expect(isUp(a) && isUp(moved)).toBe(true);
    expect([a.tunnels.size, a.datapathSessions.size, a.sockets.size]).toEqual([1, 1, 1]);
    a.receive({ type: "shutdown" });
    expectNothingLeft(a);
  });

  test("I27 the peer was never there, and comes elsewhere", () => {
    const { link, a } = namedPeer(true, B);
    link.run(600_000);
    expect(tunnelOf(a)).toMatchObject({ state: "idle", lastError: expect.stringMatching(/no answer to HELLO from/) });
    const moved = movesTo(link, C);
    a.names.set(NAME, C);
    expect(link.runUntil(() => isUp(a) && isUp(moved), 70_000)).toBe(true);
  });

  test("I27 a peer that answers stays where it is, whatever its name stands for by now", () => {
    const { link, a } = namedPeer(true, B);
    link.add(B, configuration(B, true)).receive({ type: "start" });
    expect(link.runUntil(() => isUp(a), 5_000)).toBe(true);
    const { since } = tunnelOf(a);
    a.names.set(NAME, C);
    link.run(1_000_000);
    expect(tunnelOf(a)).toMatchObject({ state: "established", since });
    expect(peerOf(a)).toBe(B);
    expect(events(a, "peer-address-changed")).toEqual(["the peer's name stands for 192.0.2.3 now, it was 192.0.2.2"]);
    const moved = movesTo(link, C);
    // Known to have moved, it is left in the middle of the cycle: at the second unanswered HELLO.
    expect(link.runUntil(() => isUp(a) && isUp(moved), HELLO_MS + CYCLE_MS)).toBe(true);
    expect(a.log).toContainEqual(
      expect.objectContaining({
        level: "warn",
        message: "no answer from 192.0.2.2: the peer's name stands for 192.0.2.3 now",
      }),
    );
  });

  test("I27 its addresses are tried in turn until one answers, and no other one then", () => {
    const { link, a } = namedPeer(true, `${C} ${D} ${B}`);
    const tried = new Set<string | undefined>();
    const isSilent = () => {
      tried.add(peerOf(a));
      return tried.has(B);
    };
    expect(link.runUntil(isSilent, 200_000)).toBe(true);
    link.run(300_000);
    expect([...tried].filter(Boolean)).toEqual([C, D, B]);
    link.add(B, configuration(B, true)).receive({ type: "start" });
    expect(link.runUntil(() => isUp(a) && peerOf(a) === B, 300_000)).toBe(true);
    const { since } = tunnelOf(a);
    link.run(1_000_000);
    expect(tunnelOf(a)).toMatchObject({ state: "established", since });
  });

  test("I27 while nobody can say where the peer is, its last address is asked for", () => {
    const { link, a } = namedPeer(true, B);
    link.run(100_000);
    a.names.delete(NAME);
    link.run(600_000);
    expect(tunnelOf(a).lastError).toMatch(/no answer to HELLO from/);
    const b = link.add(B, configuration(B, true));
    b.receive({ type: "start" });
    expect(link.runUntil(() => isUp(a) && isUp(b), 70_000)).toBe(true);
  });
});
