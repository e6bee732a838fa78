import { describe, expect, test } from "vitest";
import type { CircuitErrorCounts } from "../../src/control/core.ts";
import { facing, sessionOf } from "../support/scripted-peer.ts";
import { session } from "../support/sites.ts";
import type { VirtualNode } from "../support/virtual-link.ts";

const NONE: CircuitErrorCounts = { hardwareOverruns: 0, bufferOverruns: 0, timeouts: 0, alignments: 0 };

function established(before: Partial<CircuitErrorCounts> = {}) {
  const world = facing({ sessions: [session("lan42", { circuit: "eth1" })] });
  errors(world.node, before);
  world.peer.connect();
  return { ...world, icrp: world.peer.call() };
}

function errors(node: VirtualNode, more: Partial<CircuitErrorCounts>): void {
  node.receive({ type: "circuit-errors", interfaceName: "eth1", errors: { ...NONE, ...more } });
}

describe("WAN-Error-Notify (RFC 3931 6.13)", () => {
  test("A13 A25 errors of the circuit are told, counted from the beginning of the call", () => {
    const before = { hardwareOverruns: 2 ** 32 - 1, bufferOverruns: 2 ** 31, timeouts: 2 ** 32 - 2, alignments: 5 };
    const { node, peer, icrp } = established(before);
    // Of 32 bits each: three of them have begun again at 0.
    errors(node, { hardwareOverruns: 2, bufferOverruns: 2 ** 31 + 4, timeouts: 0, alignments: 2 });
    expect(peer.expect("WEN").avps).toEqual({
      name: "WEN",
      localSessionId: icrp.avps.localSessionId,
      remoteSessionId: icrp.avps.remoteSessionId,
      circuitErrors: { hardwareOverruns: 3, bufferOverruns: 4, timeoutErrors: 2, alignmentErrors: 2 ** 32 - 3 },
    });
  });

  test("A25 no error, no WEN; errors from before the call are none", () => {
    const { link, node, peer } = established({ alignments: 5 });
    errors(node, { alignments: 5 });
    link.run(200_000);
    expect(peer.all("WEN")).toEqual([]);
  });

  test("A25 at most one in 60 seconds, with the latest counts", () => {
    const { link, node, peer } = established();
    for (let count = 1; count <= 100; count++) {
      errors(node, { bufferOverruns: count });
      link.run(1_000);
    }
    link.run(100_000);
    const told = peer.all("WEN");
    expect(told.map(({ avps }) => avps.circuitErrors?.bufferOverruns)).toEqual([1, 60, 100]);
    const gaps = told.slice(1).map(({ at }, index) => at - (told[index]?.at ?? 0));
    for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(60_000);
  });

  test("A25 the counters of the next call begin at 0", () => {
    const { link, node, peer, icrp } = established();
    errors(node, { alignments: 5 });
    peer.expect("WEN");
    const ids = { localSessionId: icrp.avps.remoteSessionId ?? 0, remoteSessionId: icrp.avps.localSessionId ?? 0 };
    peer.send({ name: "CDN", resultCode: { result: 3 }, ...ids });
    link.run(100);
    peer.sessionId += 1;
    peer.call();
    errors(node, { alignments: 10 });
    // At once, and although as many were told in the call before.
    link.run(1_000);
    const counts = peer.all("WEN").map(({ avps }) => avps.circuitErrors?.alignmentErrors);
    expect(counts).toEqual([5, 5]);
  });

  test("A25 errors before the call is up are told when it is", () => {
    const { link, node, peer } = facing({ sessions: [session("lan42", { circuit: "eth1" })] });
    peer.connect();
    peer.send(peer.icrq());
    const icrp = peer.expect("ICRP");
    errors(node, { hardwareOverruns: 7 });
    link.run(100);
    expect(peer.all("WEN")).toEqual([]);
    peer.send(peer.iccn(icrp));
    expect(peer.expect("WEN").avps.circuitErrors).toMatchObject({ hardwareOverruns: 7 });
  });

  test("A13 a WEN from the peer ends nothing, and show tells of it", () => {
    const { link, node, peer, icrp } = established();
    const ids = { localSessionId: icrp.avps.remoteSessionId ?? 0, remoteSessionId: icrp.avps.localSessionId ?? 0 };
    const circuitErrors = { hardwareOverruns: 1, bufferOverruns: 2, timeoutErrors: 3, alignmentErrors: 4 };
    peer.send({ name: "WEN", ...ids, circuitErrors });
    link.run(100);
    expect(sessionOf(node)).toMatchObject({
      state: "established",
      remoteErrors: { hardwareOverruns: 1, bufferOverruns: 2, timeouts: 3, alignments: 4 },
    });
    expect(node.log.filter(({ event }) => event === "circuit-errors")).toHaveLength(1);
    peer.send({ name: "CDN", resultCode: { result: 3 }, ...ids });
    link.run(100);
    expect(sessionOf(node)).toMatchObject({ state: "idle", remoteErrors: NONE });
  });
});
