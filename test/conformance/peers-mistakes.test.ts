import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { hide } from "../../src/avp/hiding.ts";
import { facingSigned, forged, SECRET } from "../support/authenticated-sites.ts";
import { signedByHand } from "../support/digest-by-hand.ts";
import { facing, internalErrors, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { session } from "../support/sites.ts";
import { avp, hexOf, octetsOfHex } from "../support/wire.ts";

/*
 * What other implementations got wrong, each made by the peer here: our end lives through it, says what it can say, and
 * comes up as soon as the peer does better. That our end makes none of them itself is in docs/interop/mistakes.md.
 */

const NOTHING = new Uint8Array(0);

describe("1: a peer that drops what has CCID 0", () => {
  test("and never answers: it is said in words, and the first answer brings the connection up", () => {
    const { link, node, peer } = facing({ role: "initiator" });
    peer.polite = false;
    // 11 transmissions of the first attempt.
    link.runUntil(() => tunnelOf(node).state === "idle", 200_000);
    expect(tunnelOf(node).lastError).toContain("no answer from");
    peer.forget();
    peer.expect("SCCRQ");
    peer.nr = 1;
    peer.send(peer.sccrp());
    peer.expect("SCCCN");
    expect(tunnelOf(node).state).toBe("established");
  });
});

describe("2: a peer that always opens, without a tie breaker", () => {
  test("and never answers our SCCRQ: its own is answered, and that connection counts", () => {
    const { link, node, peer } = facing({ role: "initiator" });
    const ours = peer.expect("SCCRQ");
    // The lower id wins; the peer does not care and says its own again and again.
    peer.ccid = (ours.avps.assignedControlConnectionId ?? 0) - 1;
    for (let times = 0; times < 3; times++) {
      peer.send(peer.sccrq(), { ns: 0, ccid: 0 });
      link.run(100);
    }
    peer.ns = 1;
    peer.expect("SCCRP");
    peer.send({ name: "SCCCN" });
    link.run(50);
    expect(tunnelOf(node)).toMatchObject({ state: "established", remoteControlConnectionId: peer.ccid });
  });
});

describe("3: a peer whose digests are wrong", () => {
  test("key without derivation, digest behind the other AVPs, none on the ACK: dropped, counted, and no obstacle", () => {
    const { link, node, peer } = facingSigned();
    peer.signing = false;
    const sccrq = peer.compose(peer.sccrq(), { ns: 0, ccid: 0 });
    const right = signedByHand(sccrq, 0, [SECRET], NOTHING);
    const rawKey = Buffer.from(right);
    rawKey.fill(0, 27, 43);
    rawKey.set(createHmac("md5", SECRET).update(rawKey).digest(), 27);
    const digest = right.slice(20, 43);
    const appended = Uint8Array.from([...right.slice(0, 20), ...right.slice(43), ...digest]);
    for (const wrong of [rawKey, appended, sccrq]) peer.sendOctets(Uint8Array.from(wrong));
    link.run(1_000);
    expect([peer.heard.length, forged(node)]).toEqual([0, 3]);
    peer.signing = true;
    peer.connect();
    expect(tunnelOf(node).state).toBe("established");
    peer.signing = false;
    peer.acknowledge();
    link.run(50);
    expect([tunnelOf(node).state, forged(node)]).toEqual(["established", 4]);
  });
});

describe("4: a peer that hides with the secret itself as key", () => {
  test("what it hides cannot be read: CDN, and the connection lives on", () => {
    const { link, node, peer } = facingSigned();
    peer.connect();
    const vector = octetsOfHex("00112233445566778899aabbccddeeff");
    const wrong = hexOf(hide(65, SECRET, vector, octetsOfHex("c0ffee01")));
    peer.send(peer.icrq(), { more: avp(36, hexOf(vector)) + avp(65, wrong, { hidden: true }) });
    expect(peer.expect("CDN").avps.resultCode).toMatchObject({ result: 2 });
    peer.call({ assignedCookie: octetsOfHex("c0ffee01") });
    link.run(50);
    expect([tunnelOf(node).state, sessionOf(node).state]).toEqual(["established", "established"]);
  });
});

describe("5: a peer without nonces, with a constant tie breaker, without Serial Number, that counts ACKs", () => {
  test("no nonce where we have a secret: dropped without an answer", () => {
    const { link, node, peer } = facingSigned();
    peer.send(peer.sccrq(), { without: [73] });
    link.run(1_000);
    expect([peer.heard, forged(node)]).toEqual([[], 1]);
  });

  test("the same tie breaker in every SCCRQ and ICRQ, and no Serial Number", () => {
    const tieBreaker = octetsOfHex("0000000000000001");
    const { link, node, peer } = facing({ role: "both", sessions: [session("lan42", { call: "both" })] });
    for (let times = 0; times < 3; times++) {
      peer.expect("SCCRQ");
      peer.remoteCcid = 0;
      peer.nr = 0;
      peer.send(peer.sccrq({ tieBreaker }));
      peer.expect("SCCRP");
      peer.send({ name: "SCCCN" });
      peer.expect("ICRQ");
      peer.send(peer.icrq({ tieBreaker }), { without: [15] });
      peer.send(peer.iccn(peer.expect("ICRP")));
      link.run(50);
      expect([tunnelOf(node).state, sessionOf(node).state]).toEqual(["established", "established"]);
      peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid });
      link.run(50);
      peer.restart();
    }
    expect(internalErrors(node)).toEqual([]);
  });

  test("its Nr counts our ACKs: an Nr beyond what was sent changes nothing", () => {
    const { link, node, peer } = facingSigned();
    peer.connect();
    for (let times = 1; times < 5; times++) {
      peer.send({ name: "HELLO" }, { nr: peer.nr + times });
      link.run(50);
    }
    peer.call();
    expect([tunnelOf(node).state, sessionOf(node).state]).toEqual(["established", "established"]);
  });
});

describe("6: a peer that ignores our window, out of order at that", () => {
  test("a hundred HELLOs at once, backwards: those that fit are taken in order, the rest when it says them again", () => {
    const { link, node, peer } = facing({ receiveWindow: 4 });
    peer.connect();
    const first = peer.ns;
    const all = Array.from({ length: 100 }, () => peer.compose({ name: "HELLO" }));
    for (const octets of all.toReversed()) peer.sendOctets(octets);
    link.run(50);
    // The window holds four: those that came before their turn were kept, the others were not.
    expect(peer.heard.at(-1)?.header.nr).toBe(first + 4);
    for (const octets of all) peer.sendOctets(octets);
    link.run(50);
    expect(peer.heard.at(-1)?.header.nr).toBe(peer.ns);
    peer.call();
    expect(sessionOf(node).state).toBe("established");
  });
});

describe("7: a peer that ignores unknown mandatory AVPs, sets reserved bits, and pads what it sends", () => {
  test("reserved bits everywhere and octets after Length", () => {
    const { link, node, peer } = facing();
    const padded = (octets: Uint8Array) => {
      const copy = Uint8Array.from([...octets, 1, 2, 3, 4, 5]);
      copy[0] = (copy[0] ?? 0) | 0x34;
      copy[1] = (copy[1] ?? 0) | 0xf0;
      for (let offset = 12; offset < octets.length; ) {
        const length = (((octets[offset] ?? 0) & 3) << 8) | (octets[offset + 1] ?? 0);
        copy[offset] = (copy[offset] ?? 0) | 0x3c;
        offset += length;
      }
      return copy;
    };
    peer.sendOctets(padded(peer.compose(peer.sccrq())));
    peer.expect("SCCRP");
    peer.sendOctets(padded(peer.compose({ name: "SCCCN" })));
    peer.sendOctets(padded(peer.compose(peer.icrq())));
    peer.sendOctets(padded(peer.compose(peer.iccn(peer.expect("ICRP")))));
    link.run(50);
    expect([tunnelOf(node).state, sessionOf(node).state]).toEqual(["established", "established"]);
  });
});

describe("8: a peer that does not come back, or from elsewhere", () => {
  test("it never opens again: our end does, and takes the answer only from its address", () => {
    const { link, node, peer } = facing({ role: "both" });
    peer.answer();
    peer.polite = false;
    link.run(200_000);
    expect(tunnelOf(node).state).not.toBe("established");
    peer.restart();
    peer.forget();
    peer.expect("SCCRQ");
    peer.nr = 1;
    peer.polite = true;
    peer.send(peer.sccrp(), { from: { address: "192.0.2.99" }, ns: 0 });
    link.run(100);
    expect(tunnelOf(node).state).toBe("wait-ctl-reply");
    peer.send(peer.sccrp());
    peer.expect("SCCCN");
    expect(tunnelOf(node).state).toBe("established");
  });
});

describe("10: a peer that does not answer an ICRQ which matches nothing of its own", () => {
  test("it acknowledges and says nothing: the call is given up in words and placed again", () => {
    const { node, peer } = facing({ role: "initiator" });
    peer.answer();
    peer.expect("ICRQ");
    expect(peer.expect("CDN", 120_000).avps.resultCode).toMatchObject({ result: 10 });
    expect(sessionOf(node).lastError).toContain("no answer from the peer");
    const icrq = peer.expect("ICRQ");
    peer.send(peer.icrp(icrq));
    peer.expect("ICCN");
    expect(sessionOf(node).state).toBe("established");
  });
});

describe("11: a peer that asks for sequencing and does none, or for a VLAN pseudowire as if it were Ethernet", () => {
  test("its wish for sequence numbers reaches the datapath, whatever it does itself", () => {
    const { node, peer } = facing({ sessions: [session("lan42", { l2Sublayer: "default" })] });
    peer.connect();
    peer.call({ l2SpecificSublayer: 1, dataSequencing: 2 });
    expect([...node.datapathSessions.values()]).toMatchObject([{ l2Sublayer: "default", sendSequencing: true }]);
  });

  test("pseudowire type 4 is refused in words, and type 5 taken", () => {
    const { node, peer } = facing();
    peer.connect();
    peer.send(peer.icrq({ pseudowireType: 4 }));
    expect(peer.expect("CDN").avps.resultCode).toMatchObject({ result: 14 });
    peer.call();
    expect(sessionOf(node).state).toBe("established");
  });
});

describe("13: a peer that says HELLO all the time", () => {
  test.each([
    ["data", 50],
    ["no data", 0],
  ])("every second for ten minutes, with %s: each is acknowledged, and we say none", (_, packets) => {
    const { link, node, peer } = facing();
    peer.connect();
    peer.call();
    peer.forget();
    for (let times = 0; times < 600; times++) {
      node.receivedPackets += packets;
      peer.send({ name: "HELLO" });
      link.run(1_000);
    }
    expect(peer.heard.every(({ name }) => name === "ZLB")).toBe(true);
    expect(peer.heard).toHaveLength(600);
    expect(tunnelOf(node).state).toBe("established");
  });

  test("a Yamaha's keepalive, 10 s and six misses: who falls silent is dead after a minute", () => {
    const retransmit = { initialMs: 10_000, maxMs: 10_000, retries: 5, sccrqRetries: 5 };
    const { link, node, peer } = facing({ dialect: "yamaha", helloIntervalMs: 10_000, retransmit });
    peer.connect();
    for (let times = 0; times < 12; times++) {
      peer.send({ name: "HELLO" });
      link.run(9_000);
    }
    expect(tunnelOf(node).state).toBe("established");
    peer.polite = false;
    const silentSince = link.now;
    link.runUntil(() => tunnelOf(node).state === "idle", 200_000);
    expect(link.now - silentSince).toBeGreaterThan(50_000);
    expect(link.now - silentSince).toBeLessThan(75_000);
  });
});

describe("14: a peer whose datapath has failed without a CDN", () => {
  test("its late CDN ends the session that it had said was up, and it comes again", () => {
    const { link, node, peer } = facing({ role: "initiator" });
    peer.answer();
    const icrq = peer.expect("ICRQ");
    peer.send(peer.icrp(icrq));
    peer.expect("ICCN");
    expect(sessionOf(node).state).toBe("established");
    const ids = { localSessionId: peer.sessionId, remoteSessionId: icrq.avps.localSessionId ?? 0 };
    peer.send({ name: "CDN", resultCode: { result: 2, error: 4 }, ...ids });
    link.run(50);
    expect(sessionOf(node)).toMatchObject({ state: "idle" });
    expect(sessionOf(node).lastError).toContain("the peer closed the session (CDN)");
    expect(node.raised.size).toBe(0);
    peer.expect("ICRQ");
  });
});

describe("15: a peer that ends in silence", () => {
  test("it stops answering and later begins with the id and numbers that it had", () => {
    const { link, node, peer } = facing();
    peer.connect();
    peer.call();
    peer.polite = false;
    const { ccid } = peer;
    link.runUntil(() => tunnelOf(node).state !== "established", 300_000);
    expect(tunnelOf(node).lastError).toContain("no answer from");
    peer.restart();
    peer.ccid = ccid;
    peer.polite = true;
    peer.connect();
    peer.call();
    expect([tunnelOf(node).state, sessionOf(node).state]).toEqual(["established", "established"]);
  });
});
