import { expect, test } from "vitest";
import type { TunnelConfiguration } from "../../src/control/configuration.ts";
import type { Endpoint } from "../../src/control/core.ts";
import { authentication, facingSigned } from "../support/authenticated-sites.ts";
import { nameOnWire } from "../support/digest-by-hand.ts";
import { internalErrors, tunnelOf } from "../support/scripted-peer.ts";
import { B, lcce, session, tunnel } from "../support/sites.ts";
import { LATENCY_MS, VirtualLink, type VirtualNode } from "../support/virtual-link.ts";

const INSIDE = "10.8.1.2";
const OUTSIDE = "198.51.100.1";

/** A gateway between the node at INSIDE and all others: what leaves has its address, and a port of its own. */
class TranslatingLink extends VirtualLink {
  /** How long a mapping is kept that nothing uses. */
  timeoutMs = Number.POSITIVE_INFINITY;
  outside = OUTSIDE;
  /** Messages that came for a mapping that is gone. */
  readonly unmapped: string[] = [];
  #port = 40_000;
  #inside: Endpoint | undefined;
  #usedAt = 0;

  /** What is in its memory is gone: the next mapping is another one. */
  forget(): void {
    this.#inside = undefined;
  }

  get mapping(): Endpoint {
    return { address: this.outside, port: this.#port };
  }

  override transmit(from: Endpoint, to: Endpoint, octets: Uint8Array): void {
    if (this.now - this.#usedAt > this.timeoutMs) this.forget();
    if (from.address === INSIDE) super.transmit(this.#translated(from), to, octets);
    // The node's own time is what counts for what comes back: it is not in the gateway's memory for ever.
    else if (to.address === this.outside && to.port === this.#port && this.#inside !== undefined) {
      this.#usedAt = this.now;
      super.transmit(from, this.#inside, octets);
    } else this.unmapped.push(nameOnWire(octets));
  }

  #translated(from: Endpoint): Endpoint {
    if (this.#inside?.port !== from.port) this.#port += 1;
    this.#inside = from;
    this.#usedAt = this.now;
    return this.mapping;
  }
}

interface World {
  readonly link: TranslatingLink;
  readonly initiator: VirtualNode;
  readonly responder: VirtualNode;
}

/** Up, and the responder knows its peer by the address that the gateway gives it. */
function behindNat(more: Partial<TunnelConfiguration> = {}): World {
  const link = new TranslatingLink();
  const common = { authentication: authentication(), sessions: [session("lan")], ...more };
  const initiator = link.add(INSIDE, lcce("branch", tunnel("hq", { role: "initiator", peer: B, ...common })));
  const responder = link.add(
    B,
    lcce("hq", tunnel("branch", { role: "responder", peerHostname: "branch", ...common })),
    1,
  );
  link.start();
  const world = { link, initiator, responder };
  expect(link.runUntil(() => isUp(world), 10_000)).toBe(true);
  link.run(1_000);
  return world;
}

function isUp({ link, initiator, responder }: World): boolean {
  const { address, port } = link.mapping;
  return initiator.raised.size === 1 && responder.raised.size === 1 && peerOf(responder) === `${address}:${port}`;
}

function peerOf(node: VirtualNode): string {
  return tunnelOf(node).peer;
}

/** How long it takes until the pseudowire is up again, by the gateway's new mapping. */
function msUntilUp(world: World): number {
  const { localControlConnectionId } = tunnelOf(world.initiator);
  const start = world.link.now;
  const isNew = () => tunnelOf(world.initiator).localControlConnectionId !== localControlConnectionId && isUp(world);
  expect(world.link.runUntil(isNew, 300_000)).toBe(true);
  expect([...internalErrors(world.initiator), ...internalErrors(world.responder)]).toEqual([]);
  return world.link.now - start;
}

/** A HELLO is said after `hello_interval`; two messages to the old port stay unanswered; the pause before the next attempt. */
const HELLO_MS = 20_000;
const QUICK_MS = HELLO_MS + 3_000 + 2_000 + 1_000;

test.each([
  ["another port", OUTSIDE],
  ["another address", "198.51.100.7"],
])("G13 H04 a NAT gives the initiator %s: with a secret it is back after one HELLO interval and 6 s", (_, outside) => {
  const world = behindNat({ helloIntervalMs: HELLO_MS });
  world.link.forget();
  world.link.outside = outside;
  expect(msUntilUp(world)).toBeLessThan(QUICK_MS);
  const words = /came from 198.51.100.1:40001, now they come from 198.51.100.\d:40002: hello_interval/;
  for (const node of [world.initiator, world.responder]) {
    expect(node.log.filter(({ message }) => words.test(message))).toHaveLength(1);
  }
  // Where it was it is asked, and nobody would hear a farewell there.
  expect(new Set(world.link.unmapped)).toEqual(new Set(["HELLO"]));
  // Nothing is left of the old connection.
  world.link.run(120_000);
  expect([world.responder.tunnels.size, world.responder.sockets.size]).toEqual([1, 1]);
});

test("G13 H04 the mapping goes while an acknowledgement is on its way: the message that comes again is believed too", () => {
  const world = behindNat({ helloIntervalMs: HELLO_MS });

  const { datagrams } = world.link;
  const sent = datagrams.length;
  // A HELLO of the initiator has arrived, and the acknowledgement has not.
  const isSaid = () =>
    datagrams.slice(sent).some(({ from, octets }) => from.address === OUTSIDE && nameOnWire(octets) === "HELLO");
  expect(world.link.runUntil(isSaid)).toBe(true);
  world.link.run(LATENCY_MS / 2);
  world.link.forget();
  expect(msUntilUp(world)).toBeLessThan(QUICK_MS - HELLO_MS);
});

test("G13 C19 the StopCCN that says so may be lost: it is sent again to where the peer is now", () => {
  const world = behindNat({ helloIntervalMs: HELLO_MS });
  world.link.forget();
  let lost = 0;
  world.link.fate = ({ from, to }) => (from.address === B && to.address === INSIDE && lost++ < 2 ? [] : [10]);
  expect(msUntilUp(world)).toBeLessThan(QUICK_MS + 4_000);
  expect(lost).toBeGreaterThan(2);
});

test("G13 C19 the StopCCN has as many chances as any message, whatever was spent on the way to where the peer was", () => {
  const retransmit = { initialMs: 1_000, maxMs: 8_000, retries: 3, sccrqRetries: 10 };
  const world = behindNat({ helloIntervalMs: HELLO_MS, retransmit });
  world.link.forget();
  let lost = 0;
  world.link.fate = ({ from, to }) => (from.address === B && to.address === INSIDE && lost++ < 4 ? [] : [10]);
  expect(msUntilUp(world)).toBeLessThan(QUICK_MS + 5_000);
  expect(lost).toBeGreaterThan(4);
});

test("G13 H04 without a secret nobody believes another port: it is back after a whole retransmission cycle", () => {
  const none = { authentication: { secrets: [], digest: "none", hidden: false, chapPassword: undefined } } as const;
  const world = behindNat({ helloIntervalMs: HELLO_MS, ...none });
  world.link.forget();
  const tookMs = msUntilUp(world);
  const cycleMs = 1_000 + 2_000 + 4_000 + 8 * 8_000;
  expect(tookMs).toBeGreaterThan(cycleMs);
  expect(tookMs).toBeLessThan(HELLO_MS + cycleMs + 2_000);
});

test("H01 a HELLO interval below the NAT's timeout keeps the mapping, one above it does not", () => {
  const connections = (helloIntervalMs: number) => {
    const world = behindNat({ helloIntervalMs });
    world.link.timeoutMs = 30_000;
    world.link.run(600_000);
    return world.initiator.log.filter(({ event }) => event === "control-connection-established").length;
  };
  expect(connections(25_000)).toBe(1);
  expect(connections(60_000)).toBeGreaterThan(4);
});

test("G13 a genuine message that somebody sends on from another port takes nothing away: the peer answers where it was", () => {
  const { link, node, peer } = facingSigned();
  peer.connect();
  peer.call();
  const before = tunnelOf(node);
  const older = peer.send({ name: "HELLO" });
  const hello = peer.compose({ name: "HELLO" });
  // Who reads along may be faster than the peer itself.
  peer.sendOctets(hello, { port: 5_000 });
  link.run(5_000);
  expect(peer.all("HELLO")).toHaveLength(1);
  peer.sendOctets(hello);
  link.run(120_000);
  // And what the peer has said long ago starts nothing.
  const sent = peer.all("HELLO").length;
  for (let count = 0; count < 100; count++) peer.sendOctets(older, { port: 5_000 });
  link.run(10_000);
  expect(peer.all("HELLO")).toHaveLength(sent);
  expect(tunnelOf(node)).toMatchObject({
    state: "established",
    localControlConnectionId: before.localControlConnectionId,
  });
  expect(link.datagrams.filter(({ from, to }) => from.address === B && to.port === 5_000)).toEqual([]);
});

test("G13 a connection that is not established yet stays where it began", () => {
  const { link, node, peer } = facingSigned();
  peer.send(peer.sccrq());
  peer.expect("SCCRP");
  peer.send({ name: "HELLO" }, { from: { port: 5_000 } });
  link.run(500);
  expect(peer.all("HELLO")).toEqual([]);
  link.run(20_000);
  expect(link.datagrams.filter(({ from, to }) => from.address === B && to.port === 5_000)).toEqual([]);
  expect(internalErrors(node)).toEqual([]);
});

test.each([
  ["no digest", false, "HELLO"],
  ["an ACK, which may have come before", true, "ACK"],
])("G13 %s from another port starts nothing", (_, signing, name) => {
  const { link, node, peer } = facingSigned();
  peer.connect();
  peer.call();
  peer.forget();
  link.run(1_000);
  peer.signing = signing;
  if (name === "ACK") peer.acknowledge({ from: { port: 5_000 } });
  else peer.send({ name: "HELLO" }, { from: { port: 5_000 } });
  link.run(5_000);
  expect(peer.heard.map(({ name }) => name)).toEqual([]);
  expect(tunnelOf(node).state).toBe("established");
});
