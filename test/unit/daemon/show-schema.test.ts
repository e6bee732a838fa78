import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { MESSAGES } from "../../../src/avp/messages.ts";
import { DIALECT_NAMES } from "../../../src/control/dialects.ts";
import { buildShowReport, SCHEMA_VERSION, type ShowReport } from "../../../src/daemon/show-report.ts";
import { flawsOf, objectSchemas, type Schema } from "../../support/json-schema.ts";
import { facing } from "../../support/scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "../../support/sites.ts";
import { VirtualLink, type VirtualNode } from "../../support/virtual-link.ts";

const schema: Schema = JSON.parse(readFileSync(new URL("../../../docs/show.schema.json", import.meta.url), "utf8"));

/** What a program that reads `show --json` gets of this LCCE. */
function shown({ core }: VirtualNode): ShowReport {
  const view = core.view();
  const counters = view.tunnels.flatMap(({ localControlConnectionId, sessions }) =>
    sessions.map(({ localSessionId }) => ({
      localControlConnectionId,
      localSessionId,
      receivedPackets: 1,
      receivedOctets: 2,
      receiveErrors: 3,
      sequenceDiscards: 1,
      cookieDiscards: 1,
      sentPackets: 4,
      sentOctets: 5,
      sendErrors: 6,
    })),
  );
  const report = buildShowReport({
    view,
    details: core.details(),
    counters,
    datapath: "kernel",
    version: "1.2.3",
    toDate: (instant) => new Date(Date.UTC(2026, 0, 1) + instant),
  });
  return JSON.parse(JSON.stringify(report));
}

const OFF = { secrets: [], digest: "none", hidden: false, chapPassword: undefined } as const;
const SECRET = { secrets: [Uint8Array.of(1, 2, 3)], digest: "sha1", hidden: true, chapPassword: undefined } as const;

/** Two LCCEs; what is configured at A has every kind of value that a report can have. */
function twoSites(): { readonly link: VirtualLink; readonly a: VirtualNode } {
  const link = new VirtualLink();
  const sessions = [
    session("lan42", { bridge: "br0", circuit: "eth1", mtu: 1_400, call: "both" }),
    session("lan43", { pseudowire: "vlan", vlan: 43, remoteEndId: Uint8Array.of(0, 1), bridge: undefined }),
  ];
  const a = link.add(
    A,
    lcce(
      "site-a",
      tunnel("b", { peer: B, sessions, authentication: SECRET }),
      tunnel("nobody", { role: "responder", peerHostname: "x", netns: "blue", encapsulation: "ip" }),
      tunnel("typed-in", {
        peer: "192.0.2.9",
        static: { localTunnelId: 5, remoteTunnelId: 6, watched: true },
        sessions: [
          session("s", {
            static: {
              localSessionId: 7,
              remoteSessionId: 8,
              localCookie: new Uint8Array(4),
              remoteCookie: new Uint8Array(0),
            },
          }),
        ],
      }),
    ),
    1,
  );
  link.add(B, lcce("site-b", tunnel("a", { role: "responder", peer: A, sessions, authentication: SECRET })), 2);
  link.start();
  return { link, a };
}

describe("show --json is what docs/show.schema.json says", () => {
  test("before, while and after a connection is up", () => {
    const { link, a } = twoSites();
    expect(flawsOf(shown(a), schema)).toEqual([]);
    link.run(5_000);
    const up = shown(a);
    expect(up.tunnels[0]?.sessions.map(({ state }) => state)).toEqual(["established", "established"]);
    expect(flawsOf(up, schema)).toEqual([]);
    a.receive({ type: "close", tunnel: "b", session: "lan42" });
    link.run(1_000);
    expect(flawsOf(shown(a), schema)).toEqual([]);
    a.receive({ type: "close", tunnel: "b" });
    link.run(60_000);
    const down = shown(a);
    expect(down.tunnels[0]?.last_end).toMatchObject({ by: "local", reason: "closed by the administrator" });
    expect(down.tunnels[2]?.last_error).toMatch(/no answer to HELLO/);
    expect(flawsOf(down, schema)).toEqual([]);
  });

  test("its version is the daemon's", () => {
    expect(schema).toMatchObject({ properties: { schema_version: { const: SCHEMA_VERSION } } });
  });

  test("whatever it describes is always there, and has words", () => {
    const objects = objectSchemas(schema);
    expect(objects.length).toBeGreaterThan(10);
    for (const [path, { properties, required }] of objects) {
      expect(required, path).toEqual(Object.keys(properties as object));
      for (const [name, each] of Object.entries(properties as Record<string, Schema>)) {
        expect("description" in each || "$ref" in each, `${path}.${name}`).toBe(true);
      }
    }
  });

  test("the dialects are those that there are", () => {
    const { $defs } = schema as { readonly $defs: { readonly tunnel: Schema } };
    const { dialect } = $defs.tunnel["properties"] as { readonly dialect: { readonly enum: readonly string[] } };
    expect(dialect.enum).toEqual(["", ...DIALECT_NAMES]);
  });

  test("a key that the schema has not, one that is missing and a wrong value are found", () => {
    const { link, a } = twoSites();
    link.run(5_000);
    const report = shown(a);
    const [first] = report.tunnels;
    expect(flawsOf({ ...report, more: 1 }, schema)).toEqual(["$.more is not in the schema"]);
    const { since: _, ...without } = first ?? { since: "" };
    expect(flawsOf({ ...report, tunnels: [without] }, schema)).toEqual(["$.tunnels[0].since is missing"]);
    const wrong = { ...first, state: "up", local_ccid: -1 };
    expect(flawsOf({ ...report, tunnels: [wrong] }, schema)).toEqual([
      '$.tunnels[0].state is "up"',
      "$.tunnels[0].local_ccid is too small",
    ]);
  });
});

test("the authentication that is told is that of the connection, and not what the next one will have", () => {
  const { link, a } = twoSites();
  const told = () => {
    const [tunnel] = shown(a).tunnels;
    return { inForce: tunnel?.authentication_in_force, configured: tunnel?.configured.authentication };
  };
  a.receive({ type: "authentication-changed", tunnel: "b", authentication: OFF });
  link.run(30_000);
  a.receive({ type: "close", tunnel: "b" });
  link.run(30_000);
  expect(told()).toEqual({ inForce: null, configured: "none" });

  const other = twoSites();
  other.link.run(5_000);
  const secret = { authentication: "secret", digest: "sha1", hidden: true, chap: false };
  expect(shown(other.a).tunnels[0]?.authentication_in_force).toEqual(secret);
  other.a.receive({ type: "authentication-changed", tunnel: "b", authentication: OFF });
  const [tunnel] = shown(other.a).tunnels;
  expect(tunnel?.state).toBe("established");
  expect(tunnel?.authentication_in_force).toEqual(secret);
  expect(tunnel?.configured).toMatchObject({ authentication: "none", digest: "none" });
});

test("CHAP is in force where the connection began with it", () => {
  const { link, a } = twoSites();
  link.run(5_000);
  const chapPassword = Uint8Array.of(7);
  a.receive({ type: "authentication-changed", tunnel: "b", authentication: { ...SECRET, chapPassword } });
  const [tunnel] = shown(a).tunnels;
  expect([tunnel?.authentication_in_force?.chap, tunnel?.configured.chap]).toEqual([false, true]);
});

describe("who ended it", () => {
  const endOf = (node: VirtualNode) => shown(node).tunnels[0]?.last_end;

  test("the peer, with a StopCCN and with a CDN", () => {
    const { link, node, peer } = facing();
    peer.connect();
    const icrp = peer.call();
    peer.send({
      name: "CDN",
      resultCode: { result: 3 },
      localSessionId: peer.sessionId,
      remoteSessionId: icrp.avps.localSessionId ?? 0,
    });
    link.run(100);
    expect(shown(node).tunnels[0]?.sessions[0]?.last_end).toMatchObject({
      by: "peer",
      reason: expect.stringContaining("the peer closed the session (CDN)"),
    });
    peer.send({ name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId: peer.ccid });
    link.run(100);
    expect(endOf(node)).toMatchObject({ by: "peer", reason: expect.stringContaining("StopCCN") });
    expect(MESSAGES.StopCCN.type).toBe(4);
  });

  test("nobody: the peer was silent; and a session ends with its connection", () => {
    const { link, a } = twoSites();
    link.run(5_000);
    link.fate = () => [];
    link.run(400_000);
    expect(endOf(a)).toMatchObject({ by: "silence", reason: expect.stringContaining("no answer from") });
    expect(shown(a).tunnels[0]?.sessions[0]?.last_end).toMatchObject({ by: "control-connection" });
  });
});
