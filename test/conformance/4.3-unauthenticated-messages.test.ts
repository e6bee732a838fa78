import { describe, expect, test } from "vitest";
import type { AuthenticationConfiguration } from "../../src/control/configuration.ts";
import {
  authentication,
  facingSigned,
  forged,
  OTHER_SECRET,
  SECRET,
  SigningPeer,
  sites,
  up,
} from "../support/authenticated-sites.ts";
import { nameOnWire } from "../support/digest-by-hand.ts";
import { facing, ScriptedPeer, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, tunnel } from "../support/sites.ts";
import { LATENCY_MS, VirtualLink, type VirtualNode } from "../support/virtual-link.ts";

const NONCE = 73;

/** Everything that a message could have changed; how often one was dropped is the exception. */
function stateOf(node: VirtualNode): unknown {
  const { tunnels, ...others } = structuredClone(node.core.save());
  return { ...others, tunnels: tunnels.map(({ state: { forged: _, ...state }, sessions }) => ({ state, sessions })) };
}

describe("without the secret nobody gets an answer", () => {
  test.each<readonly [string, string, (peer: SigningPeer) => void]>([
    ["D07", "another secret", (peer) => (peer.secrets = [OTHER_SECRET])],
    ["D11", "no digest and no nonce", (peer) => (peer.signing = false)],
    ["D11", "a nonce and no digest", (peer) => (peer.signing = false)],
    ["D11", "a right digest and no nonce", () => undefined],
    ["D19", "a digest of an unknown type", (peer) => (peer.digestType = 7)],
  ])("%s to an SCCRQ with %s: no answer, no state, counted", (_, how, spoil) => {
    const { link, node, peer } = facingSigned();
    const before = stateOf(node);
    spoil(peer);
    peer.send(peer.sccrq(), how.endsWith("no nonce") ? { without: [NONCE] } : {});
    link.run(100_000);
    expect(peer.heard).toEqual([]);
    expect(stateOf(node)).toEqual(before);
    expect([forged(node), node.core.idle(), node.core.nextDeadline()]).toEqual([1, true, undefined]);
  });

  test.each<readonly [string, string, (peer: SigningPeer) => void]>([
    ["D07", "another secret", (peer) => (peer.secrets = [OTHER_SECRET])],
    ["D11", "neither digest nor nonce", (peer) => (peer.signing = false)],
    ["D09 D11", "a nonce and no digest", (peer) => (peer.signing = false)],
    ["D11", "a right digest and no nonce", () => undefined],
  ])("%s an SCCRP with %s is as if it had never come", (_, how, spoil) => {
    const { link, node, peer } = facingSigned({ role: "initiator" });
    peer.polite = false;
    const sccrq = peer.expect("SCCRQ");
    const before = stateOf(node);
    spoil(peer);
    peer.send(peer.sccrp(), / nor? nonce$/.test(how) ? { ns: 0, without: [NONCE] } : { ns: 0 });
    link.run(LATENCY_MS);
    expect([stateOf(node), forged(node)]).toEqual([before, 1]);
    expect(peer.expect("SCCRQ", 1_100).octets).toEqual(sccrq.octets);
    peer.secrets = [SECRET];
    peer.signing = true;
    peer.answer();
    expect(tunnelOf(node).state).toBe("established");
  });

  test.each([
    ["without a digest", false],
    ["with another secret", true],
  ])("D07 D16 a StopCCN %s does not end an attempt", (_, signing) => {
    const { link, node, peer } = facingSigned({ role: "initiator" });
    peer.polite = false;
    const sccrq = peer.expect("SCCRQ");
    const before = stateOf(node);
    Object.assign(peer, { signing, secrets: [OTHER_SECRET] });
    peer.send({ name: "StopCCN", resultCode: { result: 4 } }, { ns: 0 });
    link.run(LATENCY_MS);
    expect([stateOf(node), forged(node)]).toEqual([before, 1]);
    expect(peer.expect("SCCRQ", 1_100).octets).toEqual(sccrq.octets);
  });

  test("D07 D11 two LCCEs with different secrets, or one without any, never come up and never answer", () => {
    const off = authentication({ secrets: [], digest: "none" });
    for (const [ofA, ofB] of [
      [authentication(), authentication({ secrets: [OTHER_SECRET] })],
      [authentication(), off],
      [off, authentication()],
      [authentication(), authentication({ secrets: [], digest: "md5" })],
      [authentication({ secrets: [], digest: "md5" }), authentication()],
    ] as const) {
      const world = sites(ofA, ofB);
      world.link.start();
      world.link.run(200_000);
      const { link, a, b } = world;
      expect([tunnelOf(b).state, b.tunnels.size, a.raised.size]).toEqual(["idle", 0, 0]);
      expect(link.datagrams.filter(({ from }) => from.address === B)).toEqual([]);
      expect(forged(b)).toBe(link.datagrams.length);
      expect(tunnelOf(a).lastError).toContain("no answer");
    }
  });

  test("D07 it is logged once a minute, with the number so far, the tunnel and who sent it", () => {
    const { link, node, peer } = facingSigned();
    peer.signing = false;
    for (let count = 0; count < 150; count++) {
      peer.sendOctets(peer.compose(peer.sccrq(), { ccid: 0, ns: 0 }));
      link.run(1_000);
    }
    const lines = node.log.filter(({ event }) => event === "digest-wrong");
    expect(lines).toMatchObject([
      {
        level: "warn",
        tunnel: "to-peer",
        details: { peer: `${A}:1701` },
        message: expect.stringMatching(/\b1 so far/),
      },
      { level: "warn", message: expect.stringMatching(/\b61 so far/) },
      { level: "warn", message: expect.stringMatching(/\b121 so far/) },
    ]);
    expect(forged(node)).toBe(150);
  });

  test.each([
    ["host name", { peerHostname: "x" }, { peerHostname: "y" }, { hostName: "x" }, { hostName: "y" }],
    ["Router ID", { peerRouterId: 1 }, { peerRouterId: 2 }, { routerId: 1 }, { routerId: 2 }],
  ])("D20 of two peers at one address each has its own secret, by its %s", (_, one, other, asOne, asOther) => {
    const link = new VirtualLink();
    const first = tunnel("one", { role: "responder", ...one, authentication: authentication() });
    const secrets = [OTHER_SECRET];
    const second = tunnel("other", { role: "responder", ...other, authentication: authentication({ secrets }) });
    const node = link.add(B, lcce("site-b", first, second), 3);
    const peer = new SigningPeer(link, A, { address: B, port: 1701 });
    link.start();
    const outcome = (secret: Uint8Array, hints: object) => {
      peer.restart();
      peer.forget();
      peer.secrets = [secret];
      peer.send(peer.sccrq(hints));
      link.run(100);
      return [peer.heard.map(({ name }) => name).filter((name) => name !== "ACK"), forged(node, 0), forged(node, 1)];
    };
    expect(outcome(SECRET, asOne)).toEqual([["SCCRP"], 0, 0]);
    expect(outcome(SECRET, asOther)).toEqual([[], 0, 1]);
    expect(outcome(OTHER_SECRET, asOne)).toEqual([[], 1, 1]);
    expect(outcome(OTHER_SECRET, asOther)).toEqual([["SCCRP"], 1, 1]);
  });

  test("D20 a peer that no tunnel names hears as little as one with a wrong secret", () => {
    const listen = (...tunnels: Parameters<typeof tunnel>[1][]) => {
      const link = new VirtualLink();
      const all = tunnels.map((more, index) => tunnel(`t${index}`, { role: "responder", ...more }));
      const node = link.add(B, lcce("site-b", ...all));
      const stranger = new ScriptedPeer(link, "203.0.113.9", { address: B, port: 1701 });
      link.start();
      stranger.send(stranger.sccrq());
      link.run(10_000);
      return { heard: stranger.heard.map(({ name }) => name), connections: node.core.save().connections.length };
    };
    const secret = { peer: A, authentication: authentication() };
    expect(listen({ peer: A })).toEqual({ heard: ["StopCCN"], connections: 0 });
    expect(listen(secret)).toEqual({ heard: [], connections: 0 });
    expect(listen({ peer: "192.0.2.99" }, secret)).toEqual({ heard: [], connections: 0 });
    expect(listen({ peer: "203.0.113.9", authentication: authentication() })).toEqual({ heard: [], connections: 0 });
  });
});

describe.each<readonly [string, Partial<AuthenticationConfiguration>, readonly number[]]>([
  ["D07 D08 with a secret", {}, []],
  // Vendor and type of the digest: without them there is none, and without a secret there need not be one.
  ["D12 D13 without a secret, but with digests", { secrets: [] }, [22, 23, 24, 25]],
])("%s a damaged message is as if it were lost", (_, more, spared) => {
  /** Who says what when, on a link that does `harm` to message number `victim`. */
  function course(victim: number, harm: (octets: Uint8Array) => boolean) {
    const world = sites(authentication(more), authentication(more));
    const { link } = world;
    link.fate = ({ number, octets }) => (number === victim && harm(octets) ? [] : [LATENCY_MS]);
    link.start();
    expect(up(world), `message ${victim}`).toBe(true);
    link.run(5_000);
    return link.datagrams.map(({ at, from, octets }) => `${at} ${from.address} ${nameOnWire(octets)}`);
  }

  const lost = () => true;
  const undamaged = course(-1, lost).map((line) => line.split(" ")[2]);

  test("the handshake and both calls", () => {
    expect(new Set(undamaged)).toEqual(new Set(["SCCRQ", "SCCRP", "SCCCN", "ICRQ", "ICRP", "ICCN", "ACK"]));
  });

  test.each(undamaged.map((name, number) => ({ name, number })))(
    "message $number, $name: any octet of it",
    ({ number }) => {
      const expected = course(number, lost).filter((_line, position) => position !== number);
      let length = Number.POSITIVE_INFINITY;
      for (let index = 0; index < length; index++) {
        if (spared.includes(index)) continue;
        const damaged = course(number, (octets) => {
          length = octets.length;
          octets[index] = (octets[index] ?? 0) ^ (1 << (index % 8));
          return false;
        });
        expect(
          damaged.filter((_line, position) => position !== number),
          `octet ${index}`,
        ).toEqual(expected);
      }
    },
  );
});

/** What someone can say who knows the peer's address, port, ids and sequence numbers. */
const ATTACKS: readonly (readonly [string, (peer: ScriptedPeer, session: number) => void])[] = [
  [
    "StopCCN",
    (peer) => peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid }),
  ],
  [
    "StopCCN without our id",
    (peer) =>
      peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid }, { ccid: 0 }),
  ],
  [
    "CDN",
    (peer, session) =>
      peer.send({
        name: "CDN",
        resultCode: { result: 3 },
        localSessionId: peer.sessionId,
        remoteSessionId: session,
      }),
  ],
  ["HELLO, which takes an Ns", (peer) => peer.send({ name: "HELLO" })],
  ["a message of an unknown type with its M bit set", (peer) => peer.sendAvps("8008 0000 0000 0063")],
  [
    "SCCRQ, as if the peer had begun anew",
    (peer) => peer.send(peer.sccrq({ assignedControlConnectionId: 77 }), { ccid: 0, ns: 0 }),
  ],
  ["ICRQ", (peer) => peer.send(peer.icrq({ localSessionId: 99 }))],
];

describe("an attacker off the path that knows all but the secret", () => {
  function attacked(attack: (peer: SigningPeer, session: number) => void) {
    const { link, node, peer } = facingSigned();
    peer.connect();
    const session = peer.call().avps.localSessionId ?? 0;
    link.run(1_000);
    const [before, { ns, nr, ccid }] = [stateOf(node), peer];
    peer.forget();
    attack(peer, session);
    link.run(1_000);
    const after = stateOf(node);
    Object.assign(peer, { ns, nr, ccid, signing: true, secrets: [SECRET] });
    return { link, node, peer, before, after };
  }

  test.each(ATTACKS)("G14 D07 %s: nothing changes, nothing is said, and the peer goes on", (_, attack) => {
    for (const signing of [false, true]) {
      const { link, node, peer, before, after } = attacked((attacker, session) => {
        attacker.signing = signing;
        attacker.secrets = [OTHER_SECRET];
        attack(attacker, session);
      });
      expect(after).toEqual(before);
      expect([peer.heard, forged(node)]).toEqual([[], 1]);
      peer.send({ name: "HELLO" });
      link.run(100);
      expect([peer.expect("ACK", 0).header.nr, node.raised.size]).toEqual([peer.ns, 1]);
    }
  });

  test("G14 a message of the connection before, with the same ids and numbers: its nonces were others", () => {
    const { link, node, peer } = facingSigned();
    peer.connect();
    const before = Uint8Array.from([...peer.nonce, ...peer.remoteNonce]);
    peer.restart();
    peer.connect();
    const now = Uint8Array.from([...peer.nonce, ...peer.remoteNonce]);
    const stop = { name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid } as const;
    const octets = peer.compose(stop);
    const [asItWas, asItIs] = [peer.signed(octets, before), peer.signed(octets, now)];
    const state = stateOf(node);
    peer.signing = false;
    peer.sendOctets(asItWas);
    link.run(LATENCY_MS);
    expect([stateOf(node), forged(node)]).toEqual([state, 1]);
    peer.sendOctets(asItIs);
    link.run(LATENCY_MS);
    expect([tunnelOf(node).state, forged(node)]).toEqual(["idle", 1]);
  });

  test("G14 the SCCRQ of the connection before: an SCCRP at most, and the live connection stays as it is", () => {
    const { link, node, peer } = facingSigned({ helloIntervalMs: 0 });
    const old = peer.signed(peer.compose(peer.sccrq(), { ns: 0 }));
    peer.restart();
    peer.connect();
    peer.call();
    link.run(1_000);
    const before = node.core.view();
    peer.forget();
    Object.assign(peer, { signing: false, polite: false });
    for (let count = 0; count < 10; count++) peer.sendOctets(old);
    link.run(200_000);
    expect(new Set(peer.heard.map(({ name }) => name))).toEqual(new Set(["SCCRP"]));
    expect([node.core.view(), forged(node), node.core.nextDeadline()]).toEqual([before, 0, undefined]);
  });

  test("D02 our own messages thrown back at us: the nonces stand in the other order", () => {
    const { link, node, peer } = facingSigned({ role: "initiator", helloIntervalMs: 10_000 });
    // An acknowledgement before the SCCRP would carry a nonce that our end does not know.
    peer.polite = false;
    const { assignedControlConnectionId = 0 } = peer.expect("SCCRQ").avps;
    // The worst case: both ends have the same id, and then only the nonces tell the directions apart.
    peer.ccid = assignedControlConnectionId;
    peer.send(peer.sccrp());
    peer.polite = true;
    peer.expect("SCCCN");
    link.run(1_000);
    const hello = peer.expect("HELLO");
    link.run(1_000);
    const before = stateOf(node);
    peer.signing = false;
    peer.sendOctets(hello.octets);
    link.run(LATENCY_MS);
    expect([stateOf(node), forged(node)]).toEqual([before, 1]);
  });

  test("G14 without authentication a StopCCN from there ends the connection, and a CDN the session", () => {
    for (const [name, attack] of ATTACKS.filter(([each]) => each === "StopCCN" || each === "CDN")) {
      const { link, node, peer } = facing();
      peer.connect();
      const session = peer.call().avps.localSessionId ?? 0;
      link.run(1_000);
      attack(peer, session);
      link.run(100);
      const left = [tunnelOf(node).state, node.raised.size];
      expect(left, name).toEqual([name === "CDN" ? "established" : "idle", 0]);
    }
  });
});
