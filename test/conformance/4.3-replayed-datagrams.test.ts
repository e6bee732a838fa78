import { describe, expect, test } from "vitest";

import { agreed, authentication, facingSigned, forged, sites, up } from "../support/authenticated-sites.ts";
import { ascii } from "../support/digest-by-hand.ts";
import { facing, sessionOf, tunnelOf } from "../support/scripted-peer.ts";
import { A, B } from "../support/sites.ts";
import { type Datagram, LATENCY_MS } from "../support/virtual-link.ts";

const [SCCRQ, SCCRP] = [1, 2] as const;
const NONCE = 73;

function isType(type: number): (datagram: Datagram) => boolean {
  return ({ octets }) => octets.length > 19 && octets[19] === type && octets[18] === 0;
}

describe("what was said before says nothing now", () => {
  test("D07 D08 an SCCRP to somebody who repeats our SCCRQ does not change the nonce of the connection", () => {
    const world = sites(authentication(), authentication(), { helloIntervalMs: 20_000 });
    const { link, a, b } = world;
    link.start();
    expect(up(world)).toBe(true);
    const sccrq = link.datagrams.find(isType(SCCRQ)) as Datagram;
    const seen = link.datagrams.length;
    link.transmit({ address: A, port: 5_555 }, sccrq.to, sccrq.octets);
    link.run(100);
    const sccrp = link.datagrams.slice(seen).find(isType(SCCRP)) as Datagram;
    expect(sccrp.to).toEqual({ address: A, port: 5_555 });
    link.transmit({ address: B, port: 1_701 }, sccrq.from, sccrp.octets);
    link.run(200_000);
    expect([agreed(world), forged(a), forged(b)]).toEqual([true, 1, 0]);
  });

  test("D17 D27 an old message, signed with the secret that was, does not bring that back", () => {
    const [one, two] = [ascii("secret one"), ascii("secret two")];
    const knowing = (...secrets: Uint8Array[]) => authentication({ secrets });
    const world = sites(knowing(one), knowing(one), { helloIntervalMs: 20_000 });
    const { link, a, b } = world;
    const change = (node: typeof a, tunnel: string, ...secrets: Uint8Array[]) => {
      node.receive({ type: "authentication-changed", tunnel, authentication: knowing(...secrets) });
      link.run(60_000);
    };
    link.start();
    expect(up(world)).toBe(true);
    link.run(100_000);
    const old = link.datagrams.findLast(({ from, octets }) => from.address === B && octets.length > 12) as Datagram;
    change(b, "to-a", two, one);
    change(a, "to-b", two, one);
    change(b, "to-a", two);
    for (let i = 0; i < 600; i++) {
      link.transmit(old.from, old.to, old.octets);
      link.run(100);
    }
    expect([agreed(world), forged(a), forged(b)]).toEqual([true, 0, 0]);
  });

  test("H01 a message that is repeated for ever does not keep a dead peer alive", () => {
    const { link, node, peer } = facingSigned({ helloIntervalMs: 10_000 });
    peer.connect();
    const hello = peer.send({ name: "HELLO" });
    link.run(1_000);
    peer.polite = false;
    for (let i = 0; i < 100; i++) {
      peer.sendOctets(hello);
      link.run(1_000);
    }
    expect(tunnelOf(node).state).toBe("idle");
  });

  test("C21 H01 H04 a peer that begins anew with the same SCCRQ, octet by octet, is let in when the old connection is dead", () => {
    const { link, node, peer } = facing({ helloIntervalMs: 60_000 });
    const sccrq = peer.compose(peer.sccrq());
    peer.sendOctets(sccrq);
    peer.expect("SCCRP");
    peer.send({ name: "SCCCN" });
    peer.call();
    link.run(1_000);
    expect(sessionOf(node).state).toBe("established");
    peer.polite = false;
    peer.forget();
    const isAnswered = () => peer.all("SCCRP").length > 0;
    for (let seconds = 0; seconds < 120 && !isAnswered(); seconds += 2) {
      peer.sendOctets(sccrq);
      link.run(2_000);
    }
    expect(isAnswered()).toBe(true);
    expect([tunnelOf(node).state, sessionOf(node).state]).toEqual(["wait-ctl-conn", "idle"]);
  });

  test("C24 one SCCRQ that is repeated without end is answered fifty times in a second at most", () => {
    const { link, peer } = facingSigned();
    peer.polite = false;
    const sccrq = peer.signed(peer.compose(peer.sccrq()));
    for (let i = 0; i < 1_000; i++) peer.sendOctets(sccrq);
    link.run(LATENCY_MS * 4);
    expect(peer.heard.length).toBe(50);
  });
});

describe("authentication works in both directions or not at all", () => {
  test.each(["none", "md5"] as const)(
    "D09 D11 an end without a secret, digest %s, has no answer to an SCCRQ with a nonce and no digest",
    (digest) => {
      const { link, node, peer } = facing({ authentication: authentication({ secrets: [], digest }) });
      peer.send(peer.sccrq({ controlMessageAuthenticationNonce: ascii("a nonce by hand.") }));
      link.run(60_000);
      expect([peer.heard, forged(node)]).toEqual([[], 1]);
      peer.restart();
      peer.send(peer.sccrq(), { without: [NONCE] });
      peer.expect("SCCRP");
    },
  );

  test("D09 D11 nor does an SCCRP with a nonce and no digest open the connection", () => {
    const { link, node, peer } = facing({ role: "initiator" });
    peer.expect("SCCRQ");
    peer.send(peer.sccrp({ controlMessageAuthenticationNonce: ascii("a nonce by hand.") }));
    link.run(2_000);
    expect([tunnelOf(node).state, forged(node), peer.all("SCCCN")]).toEqual(["wait-ctl-reply", 1, []]);
  });
});
