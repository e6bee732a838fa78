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
import { judge, nameOnWire } from "../support/digest-by-hand.ts";
import { internalErrors, tunnelOf } from "../support/scripted-peer.ts";
import { A, B } from "../support/sites.ts";
import { LATENCY_MS } from "../support/virtual-link.ts";

const NOTHING = new Uint8Array(0);
const NONCE = 73;

const OFF = authentication({ secrets: [], digest: "none" });
const INTEGRITY = authentication({ secrets: [], digest: "md5" });
const INTEGRITY_SHA1 = authentication({ secrets: [], digest: "sha1" });
const EMPTY_SECRET = authentication({ secrets: [NOTHING], digest: "md5" });

/** What the messages of one end look like: digests with the empty secret, nonces, ZLB or ACK. */
function manner({ link }: Sites, address: string) {
  const own = judge(link.datagrams, [NOTHING]).filter(({ from }) => from.address === address);
  const nonces = own.filter(({ avps }) => avps.some(({ type }) => type === NONCE)).map(({ name }) => name);
  const acknowledgements = new Set(own.map(({ name }) => name).filter((name) => name === "ACK" || name === "ZLB"));
  const sequenced = own.filter(({ name }) => name !== "ZLB");
  return { digests: [...new Set(sequenced.map(({ digests }) => digests.join()))], nonces, acknowledgements };
}

describe("the three ways to do without a secret", () => {
  const OF_A = {
    off: { digests: [""], nonces: [], acknowledgements: new Set(["ZLB"]) },
    integrity: { digests: ["md5 0"], nonces: [], acknowledgements: new Set(["ACK"]) },
    "empty secret": { digests: ["md5 0"], nonces: ["SCCRQ"], acknowledgements: new Set(["ACK"]) },
  };

  test.each<readonly [string, keyof typeof OF_A, AuthenticationConfiguration, AuthenticationConfiguration]>([
    ["D15 A30 none: no digest, no nonce, ZLB", "off", OFF, OFF],
    ["D12 D15 digests of the empty secret, no nonces", "integrity", INTEGRITY, INTEGRITY],
    ["D12 only this end sends digests", "integrity", INTEGRITY, OFF],
    ["D12 only the other end sends digests", "off", OFF, INTEGRITY],
    ["D12 the other end sends another kind of digest", "integrity", INTEGRITY, INTEGRITY_SHA1],
    ["D15 the empty secret: digests and nonces", "empty secret", EMPTY_SECRET, EMPTY_SECRET],
  ])("%s", (_, kind, ofA, ofB) => {
    const world = sites(ofA, ofB, { helloIntervalMs: 5_000 });
    const { link, a, b } = world;
    link.start();
    expect(up(world)).toBe(true);
    link.run(20_000);
    a.receive({ type: "shutdown" });
    link.run(1_000);
    expect(manner(world, A)).toEqual(OF_A[kind]);
    expect([tunnelOf(b).state, forged(a), forged(b), a.core.idle()]).toEqual(["idle", 0, 0, true]);
  });

  test.each([
    ["D13 with digests", INTEGRITY],
    ["D13 without", OFF],
  ])("%s of its own, an end drops what was damaged on the way, and gets it again", (_, ofB) => {
    const world = sites(INTEGRITY, ofB);
    const { link, b } = world;
    // The last octet of every message's digest, or of a ZLB's Nr, the first time it passes.
    const damaged = new Set<string>();
    link.fate = ({ octets, from }) => {
      const name = nameOnWire(octets);
      if (from.address === A && !damaged.has(name)) octets[Math.min(octets.length - 1, 42)] = 0xa5;
      damaged.add(name);
      return [LATENCY_MS];
    };
    link.start();
    expect(up(world, 200_000)).toBe(true);
    expect(forged(b)).toBeGreaterThanOrEqual(4);
  });

  describe("D12 D13 with an integrity check, whoever has sent a right digest sends one always", () => {
    /** Established with a peer that signs with the empty secret. */
    function checked(role: "initiator" | "responder", ofOurs = INTEGRITY) {
      const world = facingSigned({ role, authentication: ofOurs });
      const { link, peer } = world;
      peer.secrets = [NOTHING];
      peer.nonce = NOTHING;
      const without = [NONCE];
      if (role === "responder") {
        peer.send(peer.sccrq({ controlMessageAuthenticationNonce: Uint8Array.of(1) }), { without });
        peer.expect("SCCRP");
        peer.send({ name: "SCCCN" });
      } else {
        peer.expect("SCCRQ");
        peer.send(peer.sccrp({ controlMessageAuthenticationNonce: Uint8Array.of(1) }), { without });
        peer.expect("SCCCN");
      }
      link.run(50);
      expect(tunnelOf(world.node).state).toBe("established");
      return world;
    }
    const stop = (ccid: number) =>
      ({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: ccid }) as const;

    test.each(["initiator", "responder"] as const)("a message without one is damaged: this end is the %s", (role) => {
      const { link, node, peer } = checked(role);
      peer.signing = false;
      const { ns } = peer;
      peer.send(stop(peer.ccid));
      link.run(100);
      expect([tunnelOf(node).state, forged(node)]).toEqual(["established", 1]);
      peer.signing = true;
      peer.send(stop(peer.ccid), { ns });
      link.run(100);
      expect([tunnelOf(node).state, forged(node)]).toEqual(["idle", 1]);
    });

    test("a ZLB has no room for one, and still acknowledges", () => {
      const { link, node, peer } = checked("responder");
      peer.polite = false;
      node.receive({ type: "close", tunnel: "to-peer" });
      peer.expect("StopCCN");
      peer.signing = false;
      peer.acknowledge();
      link.run(100);
      expect([forged(node), node.core.idle(), node.core.save().connections]).toEqual([0, true, []]);
    });

    test("an SCCRP without one, where the SCCRQ had one, is no matter: the peer has not sent any yet", () => {
      const { node, peer } = facingSigned({ role: "initiator", authentication: INTEGRITY });
      peer.signing = false;
      peer.expect("SCCRQ");
      peer.send(peer.sccrp(), { without: [NONCE] });
      peer.expect("SCCCN");
      expect([tunnelOf(node).state, forged(node)]).toEqual(["established", 0]);
    });

    test("an end that sends none itself does not insist", () => {
      const { link, node, peer } = checked("responder", OFF);
      peer.signing = false;
      peer.send(stop(peer.ccid));
      link.run(100);
      expect([tunnelOf(node).state, forged(node)]).toEqual(["idle", 0]);
    });
  });

  test("D13 a digest that was made with a secret we do not have is wrong", () => {
    const { link, node, peer } = facingSigned({ authentication: OFF });
    peer.send(peer.sccrq());
    link.run(60_000);
    expect([peer.heard, forged(node)]).toEqual([[], 1]);
  });
});

describe("change of a secret", () => {
  const ENDS = [[SECRET], [OTHER_SECRET], [SECRET, OTHER_SECRET], [OTHER_SECRET, SECRET]] as const;
  const pairs = ENDS.flatMap((ofA) => ENDS.map((ofB) => ({ ofA, ofB })));
  const say = (secrets: readonly Uint8Array[]) =>
    secrets.map((each) => (each === SECRET ? "old" : "new")).join(" and ");

  test.each(pairs.map(({ ofA, ofB }) => ({ ofA, ofB, words: `${say(ofA)} here, ${say(ofB)} there` })))(
    "D17 $words",
    ({ ofA, ofB }) => {
      const world = sites(authentication({ secrets: ofA, digest: "sha1" }), authentication({ secrets: ofB }));
      const { link, a, b } = world;
      link.start();
      const common = ofA.some((each) => (ofB as readonly Uint8Array[]).includes(each));
      expect(up(world)).toBe(common);
      expect([internalErrors(a), internalErrors(b)]).toEqual([[], []]);
      if (!common) {
        expect([tunnelOf(b).state, link.datagrams.filter(({ from }) => from.address === B)]).toEqual(["idle", []]);
        return;
      }
      link.run(5_000);
      // Two digests only in what is said before the peer has shown which of the secrets it has.
      for (const { name, digests, number } of judge(link.datagrams, [SECRET, OTHER_SECRET])) {
        expect(digests, `${number} ${name}`).toHaveLength(name === "SCCRQ" ? ofA.length : 1);
        expect(digests.join(), `${number} ${name}`).not.toContain("wrong");
      }
      expect([forged(a), forged(b)]).toEqual([0, 0]);
    },
  );

  test("D17 a lossy start: retransmissions of what had two digests keep two right ones", () => {
    const world = sites(
      authentication({ secrets: [SECRET, OTHER_SECRET] }),
      authentication({ secrets: [OTHER_SECRET] }),
    );
    const { link } = world;
    link.fate = ({ number }) => (number < 6 ? [] : [LATENCY_MS]);
    link.start();
    expect(up(world)).toBe(true);
    const sccrqs = judge(link.datagrams, [SECRET, OTHER_SECRET]).filter(({ name }) => name === "SCCRQ");
    expect(sccrqs.length).toBeGreaterThan(2);
    for (const { digests } of sccrqs) expect(digests).toEqual(["md5 0", "md5 1"]);
  });

  test("D17 an SCCRQ that is sent again after the peer has shown its secret", () => {
    const secrets = [OTHER_SECRET, SECRET];
    const { link, node, peer } = facingSigned({ role: "initiator", authentication: authentication({ secrets }) });
    peer.polite = false;
    peer.expect("SCCRQ");
    // A right digest, and an Nr that acknowledges nothing.
    peer.send(peer.sccrp(), { nr: 0 });
    link.run(30_000);
    expect(internalErrors(node)).toEqual([]);
    const again = judge(link.datagrams, secrets).filter(({ name, at }) => name === "SCCRQ" && at > 500);
    expect(again.length).toBeGreaterThan(0);
    for (const { digests } of again) expect(digests).toContain("md5 1");
  });
});

describe("before both nonces are known", () => {
  test.each(["md5", "sha1"] as const)("D16 a StopCCN that refuses an SCCRQ is understood: %s", (digest) => {
    const world = sites(authentication({ digest }), authentication({ digest }));
    const { link, a, b } = world;
    b.receive({ type: "close", tunnel: "to-a" });
    link.start();
    link.run(100);
    expect(link.datagrams.map(({ octets }) => nameOnWire(octets)).slice(0, 2)).toEqual(["SCCRQ", "StopCCN"]);
    expect(tunnelOf(a)).toMatchObject({
      state: "idle",
      lastError: expect.stringContaining("closed by the administrator"),
    });
    b.receive({ type: "open", tunnel: "to-a" });
    expect(up(world)).toBe(true);
    expect([forged(a), forged(b)]).toEqual([0, 0]);
  });

  test("D16 a StopCCN that gives up our own SCCRQ ends what it has begun at the other end", () => {
    const world = sites(authentication(), authentication());
    const { link, a, b } = world;
    link.fate = ({ octets }) => (nameOnWire(octets) === "SCCRP" ? [] : [LATENCY_MS]);
    link.start();
    link.run(500);
    expect(tunnelOf(b).state).toBe("wait-ctl-conn");
    a.receive({ type: "close", tunnel: "to-b" });
    link.run(100);
    expect(link.datagrams.map(({ octets }) => nameOnWire(octets)).slice(0, 3)).toEqual(["SCCRQ", "SCCRP", "StopCCN"]);
    expect([tunnelOf(b).state, forged(b)]).toEqual(["idle", 0]);
  });

  test.each([
    ["the SCCRQ's nonce", true],
    ["no nonce", false],
  ])("D16 a peer may sign such a StopCCN with %s", (_, known) => {
    const refused = facingSigned({ role: "initiator" });
    refused.peer.polite = false;
    refused.peer.expect("SCCRQ");
    const stop = { name: "StopCCN", resultCode: { result: 4, error: 0, message: "go away" } } as const;
    const refusal = refused.peer.signed(
      refused.peer.compose(stop, { ns: 0, nr: 1 }),
      known ? refused.peer.remoteNonce : NOTHING,
    );
    refused.peer.signing = false;
    refused.peer.sendOctets(refusal);
    refused.link.run(100);
    expect(tunnelOf(refused.node)).toMatchObject({ state: "idle", lastError: expect.stringContaining("go away") });

    const given = facingSigned();
    given.peer.polite = false;
    given.peer.send(given.peer.sccrq());
    const farewell = given.peer.compose(
      { ...stop, assignedControlConnectionId: given.peer.ccid },
      { ccid: 0, ns: 1, nr: 0 },
    );
    given.peer.sendOctets = () => undefined;
    given.link.transmit(
      { address: A, port: 1701 },
      { address: B, port: 1701 },
      given.peer.signed(farewell, known ? given.peer.nonce : NOTHING),
    );
    given.link.run(100);
    expect([tunnelOf(given.node).state, forged(given.node)]).toEqual(["idle", 0]);
  });

  test("D16 no nonce is no way around the nonces once they are known", () => {
    const { link, node, peer } = facingSigned();
    peer.connect();
    const stop = { name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid } as const;
    const octets = peer.compose(stop);
    peer.signing = false;
    for (const prefix of [NOTHING, peer.nonce, peer.remoteNonce]) peer.sendOctets(peer.signed(octets, prefix));
    link.run(100);
    expect([tunnelOf(node).state, forged(node)]).toEqual(["established", 3]);
  });

  test("D16 a repeated SCCRQ is answered by the SCCRP: an ACK could not be verified without its nonce", () => {
    const world = sites(authentication(), authentication());
    const { link, a, b } = world;
    let lost = 0;
    link.fate = ({ octets }) => (nameOnWire(octets) === "SCCRP" && lost++ === 0 ? [] : [LATENCY_MS, LATENCY_MS + 1]);
    link.start();
    expect(up(world)).toBe(true);
    const names = link.datagrams.map(({ octets }) => nameOnWire(octets));
    expect(names.filter((name) => name === "SCCRP").length).toBeGreaterThan(1);
    expect(names.slice(0, names.indexOf("SCCCN"))).not.toContain("ACK");
    expect([agreed(world), forged(a), forged(b)]).toEqual([true, 0, 0]);
    expect(a.log.filter(({ event }) => event === "digest-wrong")).toEqual([]);
  });
});
