import { describe, expect, test } from "vitest";
import { placesOfDigests } from "../../src/avp/digest.ts";
import { ProtocolError } from "../../src/avp/protocol-error.ts";
import type { AuthenticationConfiguration } from "../../src/control/configuration.ts";
import type { ControlConnectionState } from "../../src/control/control-connection-state.ts";
import type { Endpoint } from "../../src/control/core.ts";
import { agreed, authentication, type Sites, sites, up } from "../support/authenticated-sites.ts";
import { heapInUse } from "../support/heap.ts";
import { connectionOf, corpusFor, peerOf } from "../support/mutation-corpus.ts";
import { assembled, Mutator } from "../support/mutations.ts";
import { internalErrors } from "../support/scripted-peer.ts";
import { A } from "../support/sites.ts";
import { SeededEntropy } from "../support/virtual-link.ts";

/** In all; each of the four tests has its part. */
const DATAGRAMS = Number(process.env["MUTATED_DATAGRAMS"] ?? 1_000_000);
const FROM_OTHERS = 0.45 * DATAGRAMS;
const AUTHENTICATED = 0.4 * DATAGRAMS;
const FROM_THE_PEER = 0.075 * DATAGRAMS;

const OFF: AuthenticationConfiguration = { secrets: [], digest: "none", hidden: false, chapPassword: undefined };
/** No keepalive: whatever the connection does, a datagram has made it do. */
const QUIET = { helloIntervalMs: 0 };
const WINDOW = 16;
/** Half-open connections are limited to 64; one per tunnel counts, and some linger. */
const MOST_CONNECTIONS = 200;
const HEAP_MARGIN = 4_000_000;

const TO_B: Endpoint = { address: "0.0.0.0", port: 1701 };

/** Two honest sites with their sessions up; what is mutated goes to site B. */
class Target {
  readonly world: Sites;
  readonly policy: AuthenticationConfiguration;
  readonly chance: SeededEntropy;
  mutator: Mutator;
  /** Signed as the peer would. */
  readonly #genuine: ReadonlySet<string>;
  #heapEarly = 0;

  constructor(policy: AuthenticationConfiguration, seed: number) {
    this.policy = policy;
    this.chance = new SeededEntropy(seed);
    this.world = sites(policy, policy, QUIET);
    this.world.link.start();
    expect(up(this.world)).toBe(true);
    this.world.link.run(60_000);
    const drafts = corpusFor(this.world.b, policy);
    this.#genuine = new Set(drafts.map((draft) => textOf(assembled(draft))));
    const controlConnectionIds = [0, connectionOf(this.world.b).localControlConnectionId];
    this.mutator = new Mutator(this.chance, { controlConnectionIds, window: WINDOW, drafts });
  }

  /** From now on for another connection and its sessions; nothing is signed again. */
  aim(connection: ControlConnectionState): void {
    const sessions = this.world.b.core.save().tunnels[0]?.sessions ?? [];
    this.mutator = this.mutator.aimedAt(connection.localControlConnectionId, sessions);
  }

  get peer(): Endpoint {
    return connectionOf(this.world.b).remote;
  }

  /** As the peer would, if there is a place for a digest. */
  signed(octets: Uint8Array, connection: ControlConnectionState): Uint8Array {
    if (placesFor(octets)) peerOf(connection, this.policy).sign(octets);
    return octets;
  }

  /** A mutant that is none, as chance will have it, is not sent. */
  receive(from: Endpoint, octets: Uint8Array = this.mutator.next()): void {
    if (!this.#isGenuine(octets)) this.world.b.receive({ type: "datagram", from, to: TO_B, octets });
  }

  #isGenuine(octets: Uint8Array): boolean {
    if (this.#genuine.size === 0 || octets.length < 4) return false;
    return this.#genuine.has(textOf(octets.subarray(0, ((octets[2] ?? 0) << 8) | (octets[3] ?? 0))));
  }

  /** Lets time pass, looks for errors of ours, and forgets what the harness has noted. Done too often for `expect`. */
  rest(ms: number): void {
    const { link, a, b } = this.world;
    link.run(ms);
    const errors = [...internalErrors(a), ...internalErrors(b)];
    if (errors.length > 0) throw new Error(errors.join("\n"));
    const { connections, timers } = b.core.save();
    if (connections.length > MOST_CONNECTIONS) throw new Error(`${connections.length} connections`);
    if (timers.length > 3 * MOST_CONNECTIONS) throw new Error(`${timers.length} timers`);
    for (const node of [a, b]) node.log.length = 0;
    link.datagrams.length = 0;
  }

  /** After a tenth of the way: from now on the heap must not grow. */
  noteHeap(): void {
    this.#heapEarly = heapInUse();
  }

  checkHeap(): void {
    expect(heapInUse() - this.#heapEarly).toBeLessThan(HEAP_MARGIN);
  }

  /** Everything about the established connection, its sessions and what they hold. */
  snapshot(): unknown {
    const { b } = this.world;
    const sessions = b.core.save().tunnels.map((saved) => saved.sessions);
    const held = [[...b.tunnels], [...b.datapathSessions], [...b.raised]];
    // That they are counted is all that may change.
    const tunnels = b.core.view().tunnels.map((tunnel) => ({ ...tunnel, wrongDigests: 0 }));
    return structuredClone({ connection: connectionOf(b), sessions, held, tunnels });
  }

  /** The honest peer notices nothing, and both ends go on as ever. */
  stillWorks(): void {
    const { link, a, b } = this.world;
    expect(agreed(this.world)).toBe(true);
    for (const node of [a, b]) {
      const session = node === a ? "x" : "y";
      const name = node === a ? "to-b" : "to-a";
      node.receive({ type: "close", tunnel: name, session });
      link.run(1_000);
      expect([a.raised.size, b.raised.size]).toEqual([1, 1]);
      node.receive({ type: "open", tunnel: name, session });
      expect(up(this.world)).toBe(true);
    }
  }
}

function textOf(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString("latin1");
}

/** Exactly one digest, of a known type, and where it belongs. */
function placesFor(octets: Uint8Array): boolean {
  try {
    const places = placesOfDigests(octets);
    return places.length === 1 && places !== "misplaced" && places[0]?.kind !== undefined;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

const CHUNKS = 100;

/** Mutants from the peer itself, if the sessions survive them, before it begins anew. */
const MOST_BETWEEN = 60;

/** `chunk` is done so often that the heap can be seen in between. */
function inChunks(target: Target, chunk: () => void): void {
  for (let count = 0; count < CHUNKS; count++) {
    chunk();
    if (count === CHUNKS / 10) target.noteHeap();
  }
  target.checkHeap();
}

describe(`${DATAGRAMS} mutated datagrams`, () => {
  test("G06 G11 G13 from others, without authentication: the connection and its sessions do not notice", () => {
    const target = new Target(OFF, 1);
    const before = target.snapshot();
    inChunks(target, () => {
      for (let count = 0; count < FROM_OTHERS / CHUNKS; count++) {
        const number = target.chance.uint32();
        // Every eighth is from the peer's address, and another port than the peer's.
        const address = number % 8 === 0 ? A : `203.0.113.${1 + (number % 200)}`;
        target.receive({ address, port: 2_000 + (number % 60_000) });
      }
      target.rest(1_000);
      expect(target.snapshot()).toEqual(before);
    });
    target.rest(300_000);
    expect([target.world.b.core.save().connections.length, target.world.b.sockets.size]).toEqual([1, 1]);
    target.stillWorks();
  });

  test("D07 D09 from anyone, with authentication: the connection and its sessions do not notice", () => {
    const target = new Target(authentication({ hidden: true }), 2);
    const before = target.snapshot() as { view: unknown };
    const { peer } = target;
    inChunks(target, () => {
      for (let count = 0; count < AUTHENTICATED / CHUNKS; count++) {
        target.receive(count % 8 === 0 ? { address: "203.0.113.9", port: count % 60_000 } : peer);
      }
      target.rest(1_000);
      expect(target.snapshot()).toEqual(before);
    });
    expect(target.world.b.core.save().connections.length).toBe(1);
    target.stillWorks();
  });

  test.each([
    ["without authentication", OFF],
    ["that signs what it has mutated, and hides AVPs", authentication({ hidden: true })],
  ])("G05 G06 from the peer itself, %s: no error of ours, and it can always begin anew", (_, policy) => {
    const target = new Target(policy, 3);
    const { world } = target;
    // Each time with other ids than ever before.
    let rounds = 1_000;
    let connection = connectionOf(world.b);
    let left = 0;
    const beginAnew = () => {
      target.rest(100);
      world.a.crash(world.configurationOfA, ++rounds);
      world.a.receive({ type: "start" });
      if (!up(world)) throw new Error(`not up again, round ${rounds}`);
      target.rest(2_000);
      connection = connectionOf(world.b);
      target.aim(connection);
      left = MOST_BETWEEN;
    };
    inChunks(target, () => {
      for (let count = 0; count < FROM_THE_PEER / CHUNKS; count++) {
        if (left-- === 0 || world.b.raised.size === 0) beginAnew();
        target.receive(connection.remote, target.signed(target.mutator.next(connection.channel), connection));
      }
    });
    expect(rounds).toBeGreaterThan(1_000 + FROM_THE_PEER / MOST_BETWEEN);
    world.a.receive({ type: "shutdown" });
    world.b.receive({ type: "shutdown" });
    world.link.run(200_000);
    for (const node of [world.a, world.b]) {
      const sizes = [node.tunnels.size, node.datapathSessions.size, node.raised.size, node.sockets.size];
      expect([node.core.save().connections, node.core.save().timers, sizes]).toEqual([[], [], [0, 0, 0, 0]]);
    }
  });
});
