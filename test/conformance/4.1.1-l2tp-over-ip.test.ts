import { describe, expect, test } from "vitest";
import { digestKey, verifyMessage } from "../../src/avp/digest.ts";
import { parseSite } from "../../src/config/load.ts";
import type { TunnelConfiguration } from "../../src/control/configuration.ts";
import { Lcce } from "../../src/control/lcce.ts";
import { forged } from "../support/authenticated-sites.ts";
import { facing, facingOverIp, internalErrors, tunnelOf } from "../support/scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import { SeededEntropy, VirtualLink } from "../support/virtual-link.ts";

const V6_A = "2001:db8::a";
const V6_B = "2001:db8::b";

/** Two of ours that open to each other's address. */
function bothEnds(encapsulation: "udp" | "ip", a: string, b: string, more: Partial<TunnelConfiguration> = {}) {
  const link = new VirtualLink();
  const ends = [
    link.add(a, lcce("site-a", tunnel("to-b", { peer: b, encapsulation, role: "initiator", ...more }))),
    link.add(b, lcce("site-b", tunnel("to-a", { peer: a, encapsulation, role: "responder", ...more }))),
  ] as const;
  link.start();
  return { link, ends };
}

describe("F01 encapsulations", () => {
  test.each([
    ["udp", A, B],
    ["udp", V6_A, V6_B],
    ["ip", A, B],
    ["ip", V6_A, V6_B],
    ["udp", "fe80::a%wan", "fe80::b%wan"],
    ["ip", "fe80::a%wan", "fe80::b%wan"],
  ] as const)("F01 over %s between %s and %s a session comes up and goes down", (encapsulation, a, b) => {
    const { link, ends } = bothEnds(encapsulation, a, b);
    const isUp = () => ends.every((node) => node.raised.size === 1);
    expect(link.runUntil(isUp)).toBe(true);
    const port = encapsulation === "ip" ? 0 : 1701;
    expect(new Set(link.datagrams.flatMap(({ from, to }) => [from.port, to.port]))).toEqual(new Set([port]));
    expect(ends.map((node) => tunnelOf(node).encapsulation)).toEqual([encapsulation, encapsulation]);
    ends[0].receive({ type: "shutdown" });
    link.run(120_000);
    expect(ends.map((node) => [node.tunnels.size, node.datapathSessions.size, node.sockets.size])).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect(ends.flatMap(internalErrors)).toEqual([]);
  });

  test.each([
    ["ip", A, A],
    ["ip", V6_A, V6_A],
    ["udp", A, `${A}:1701`],
    ["udp", V6_A, `[${V6_A}]:1701`],
  ] as const)("over %s the peer %s is shown as %s", (encapsulation, address, shown) => {
    const { link, ends } = bothEnds(encapsulation, address, address === A ? B : V6_B);
    link.run(1_000);
    expect(tunnelOf(ends[1]).peer).toBe(shown);
  });
});

describe("a responder over IP", () => {
  test("F01 has a socket for its own Control Connection ID before it answers", () => {
    const { link, node, peer } = facingOverIp();
    peer.send(peer.sccrq());
    const sccrp = peer.expect("SCCRP");
    const id = sccrp.avps.assignedControlConnectionId ?? 0;
    expect([...node.sockets]).toMatchObject([[id, { encapsulation: "ip", remote: { address: A, port: 0 } }]]);
    peer.send({ name: "SCCCN" });
    link.run(25);
    expect(tunnelOf(node).state).toBe("established");
    expect([...node.sockets.keys()]).toEqual([id]);
    expect(node.tunnels).toEqual(new Set([id]));
  });

  test("over UDP it still answers from the listener", () => {
    const { node, peer } = facing();
    peer.send(peer.sccrq());
    peer.expect("SCCRP");
    expect(node.sockets.size).toBe(0);
  });

  test("closes the sockets of handshakes that are not finished", () => {
    const { link, node, peer } = facingOverIp();
    peer.polite = false;
    for (let i = 0; i < 5; i++) {
      peer.restart();
      peer.send(peer.sccrq());
      peer.expect("SCCRP");
    }
    expect(node.sockets.size).toBe(5);
    link.run(300_000);
    expect(node.sockets.size).toBe(0);
  });

  test("says why, from the listener, where it cannot have a socket", () => {
    const { node, peer } = facingOverIp();
    peer.send(peer.sccrq());
    const id = peer.expect("SCCRP").avps.assignedControlConnectionId ?? 0;
    node.sockets.delete(id);
    node.receive({ type: "socket-failed", localControlConnectionId: id, reason: "out of descriptors" });
    expect(peer.expect("StopCCN").avps.resultCode).toMatchObject({ message: expect.stringContaining("descriptors") });
  });

  test("F01 takes no SCCRQ for a tunnel over UDP, and over UDP none for a tunnel over IP", () => {
    const overIp = facingOverIp({ encapsulation: "udp" });
    overIp.peer.send(overIp.peer.sccrq());
    expect(overIp.peer.expect("StopCCN").avps.resultCode?.result).toBe(4);
    const overUdp = facing({ encapsulation: "ip" });
    overUdp.peer.send(overUdp.peer.sccrq());
    expect(overUdp.peer.expect("StopCCN").avps.resultCode?.result).toBe(4);
  });

  test("a message over UDP is none for a connection over IP", () => {
    const { link, node, peer } = facingOverIp();
    peer.connect();
    node.receive({
      type: "datagram",
      from: { address: A, port: 1701 },
      to: { address: "0.0.0.0", port: 1701 },
      octets: peer.compose({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid }),
    });
    link.run(100);
    expect(tunnelOf(node).state).toBe("established");
  });
});

describe("an initiator over IP", () => {
  test("an SCCRP over UDP is none for an SCCRQ over IP", () => {
    const { link, node, peer } = facingOverIp({ role: "initiator" });
    peer.expect("SCCRQ");
    peer.polite = false;
    const octets = peer.compose(peer.sccrp());
    const udp = { address: A, port: 1701 };
    node.receive({ type: "datagram", from: udp, to: { address: "0.0.0.0", port: 1701 }, octets });
    link.run(100);
    expect(tunnelOf(node).state).toBe("wait-ctl-reply");
  });

  test("G09 never falls back to UDP, nor to version 2, when nobody answers", () => {
    const { link, node, peer } = facingOverIp({ role: "initiator" });
    peer.polite = false;
    link.run(600_000);
    expect(peer.all("SCCRQ").length).toBeGreaterThan(20);
    expect(peer.heard.every(({ from, to }) => from.port === 0 && to.port === 0)).toBe(true);
    expect(peer.heard.every(({ octets }) => ((octets[1] ?? 0) & 0x0f) === 3)).toBe(true);
    expect(tunnelOf(node).lastError).toContain(`no answer from ${A}: the peer is dead`);
  });
});

test("F01, F12 over IP several tunnels stand between the same addresses, one opened by either end", () => {
  const link = new VirtualLink();
  const at = (own: string, peer: string, roles: readonly ("initiator" | "responder")[]) =>
    lcce(
      own,
      ...roles.map((role, i) => tunnel(`t${i}`, { peer, role, encapsulation: "ip", sessions: [session(`s${i}`)] })),
    );
  const a = link.add(A, at("site-a", B, ["initiator", "responder"]));
  const b = link.add(B, at("site-b", A, ["responder", "initiator"]));
  link.start();
  expect(link.runUntil(() => [a, b].every((node) => node.raised.size === 2))).toBe(true);
  for (const node of [a, b]) expect([...node.sockets.keys()].sort()).toEqual([...node.tunnels].sort());
  const ids = () => [a, b].flatMap((node) => node.core.view().tunnels.map((each) => each.localControlConnectionId));
  const before = ids();
  a.receive({ type: "close", tunnel: "t1" });
  link.run(60_000);
  expect(tunnelOf(b, 1).state).toBe("idle");
  a.receive({ type: "open", tunnel: "t1" });
  expect(link.runUntil(() => [a, b].every((node) => node.raised.size === 2))).toBe(true);
  expect(ids().map((id, i) => id === before[i])).toEqual([true, false, true, false]);
});

describe("a peer by name", () => {
  test.each([
    ["udp", `${V6_B} ${B}`],
    ["ip", `${V6_B} ${B}`],
    ["udp", `192.0.2.77 ${V6_B} ${B}`],
  ] as const)("over %s each of its addresses, %s, is tried until one answers", (encapsulation, addresses) => {
    const link = new VirtualLink();
    const a = link.add(A, lcce("site-a", tunnel("to-b", { peer: "pe.example", encapsulation, role: "initiator" })));
    a.names.set("pe.example", addresses);
    const b = link.add(B, lcce("site-b", tunnel("to-a", { peer: A, encapsulation, role: "responder" })));
    link.start();
    expect(link.runUntil(() => a.raised.size === 1 && b.raised.size === 1)).toBe(true);
    const families = new Map(link.datagrams.map(({ to }) => [to.address, to.port]));
    expect([...families.keys()]).toEqual([...addresses.split(" "), A]);
  });

  test("the address of the configuration says which of its addresses are meant", () => {
    const effects = [undefined, "2001:db8::1", "192.0.2.1", "@eth0"].map((local) => {
      const more = local === undefined ? {} : { local };
      const core = new Lcce(lcce("site", tunnel("t", { peer: "pe.example", ...more })), new SeededEntropy(1), 0);
      return core.receive({ type: "start" }, 0).find(({ type }) => type === "resolve-peer");
    });
    expect(effects).toMatchObject([{ family: undefined }, { family: 6 }, { family: 4 }, { family: undefined }]);
  });
});

describe("D14 digests over IP", () => {
  const site = (more: string) => parseSite(`[tunnel.t]\npeer = "192.0.2.2"\n${more}`, "site.toml").tunnels[0];

  test("D14 IP has no checksum: the integrity digest is on by default", () => {
    expect(site('encapsulation = "ip"')?.authentication).toMatchObject({ digest: "md5", secrets: [] });
    expect(site("")?.authentication.digest).toBe("none");
    expect(site('encapsulation = "ip"\ndigest = "none"')?.authentication.digest).toBe("none");
    expect(site('encapsulation = "ip"\nsecret = "s"\ndigest = "sha1"')?.authentication.digest).toBe("sha1");
  });

  test("D14 every message over IP then carries one, and one with a broken octet is dropped", () => {
    const authentication = { secrets: [], digest: "md5", hidden: false, chapPassword: undefined } as const;
    const { link, ends } = bothEnds("ip", A, B, { authentication });
    link.runUntil(() => ends.every((node) => node.raised.size === 1));
    link.run(1_000);
    const nothing = new Uint8Array(0);
    const verdicts = link.datagrams.map(({ octets }) => verifyMessage(octets, [digestKey(nothing)], nothing));
    expect(verdicts.length).toBeGreaterThanOrEqual(7);
    expect(verdicts.filter((verdict) => verdict === "wrong" || verdict === "missing")).toEqual([]);
    const [sccrq] = link.datagrams;
    const broken = Uint8Array.from(sccrq?.octets ?? []);
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
    const before = forged(ends[1]);
    link.transmit({ address: A, port: 0 }, { address: B, port: 0 }, broken);
    link.run(1_000);
    expect(forged(ends[1])).toBe(before + 1);
  });
});
