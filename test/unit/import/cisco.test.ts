import { describe, expect, test } from "vitest";
import { decodeType7 } from "../../../src/import/cisco-password.ts";
import { importFixtures, importText, octets } from "./imported.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe("type 7 passwords", () => {
  test.each([
    ["0822455D0A16", "cisco"],
    ["060506324F41", "cisco"],
    ["121A0C041104", "cisco"],
    ["08204E", "ab"],
    ["1513090F", "abc"],
    ["104F0B1A011214", "abcdef"],
  ])("%s is %s", (encoded, expected) => {
    expect(decodeType7(encoded)).toBe(expected);
  });

  test.each(["", "08", "0822455", "zz22455D", "0822455D0A16!", "0064"])("%j is none", (encoded) => {
    expect(decodeType7(encoded)).toBeUndefined();
  });
});

describe("a running configuration", () => {
  const { site, warnings, toml, holdsSecrets } = importFixtures("pe2.cfg");

  test("xconnects of one l2tp-class are sessions of one tunnel, seen from the other end", () => {
    expect(site.tunnels[0]).toMatchObject({
      name: "pe2",
      dialect: "cisco",
      role: "both",
      peer: "192.0.2.2",
      peerHostname: "pe2",
      local: "192.0.2.1",
      encapsulation: "ip",
      authentication: { secrets: [text("cisco"), text("older-secret")], digest: "sha1", hidden: true },
      helloIntervalMs: 30_000,
      retransmit: { initialMs: 2_000, retries: 15, sccrqRetries: 2 },
      receiveWindow: 64,
      df: true,
      tos: 184,
      ttl: 64,
      sessions: [
        { name: "vc100", remoteEndId: text("100"), cookieSize: 8, pseudowire: "ethernet" },
        { name: "vc42", remoteEndId: text("42"), cookieSize: 8, pseudowire: "vlan", vlan: 42 },
      ],
    });
    expect(site.lcce.listen).toEqual([{ address: "192.0.2.1", port: 0 }]);
  });

  test("protocol l2tpv3ietf, challenges in place of digests, sequencing", () => {
    expect(site.tunnels[1]).toMatchObject({
      dialect: "cisco-ietf",
      authentication: { secrets: [], digest: "none", chapPassword: text("challenge-me") },
      sessions: [{ cookieSize: 0, l2Sublayer: "default", sequencing: "all" }],
    });
  });

  test("ids and cookies of a manual xconnect are exchanged", () => {
    expect(site.tunnels[2]).toMatchObject({
      peer: "192.0.2.2",
      local: "192.0.2.1",
      encapsulation: "ip",
      static: { watched: false },
      sessions: [
        {
          static: {
            localSessionId: 111,
            remoteSessionId: 222,
            localCookie: octets("0123456789abcdef"),
            remoteCookie: octets("0000d431"),
          },
        },
      ],
    });
  });

  test("what is left is named with its line, and no secret of it shown", () => {
    expect(warnings.map((warning) => Number(/pe2\.cfg:(\d+)/.exec(warning)?.[1]))).toEqual([
      6, 10, 23, 43, 74, 82, 85, 87, 91,
    ]);
    for (const warning of warnings) expect(toml).toContain(warning.replace("not taken over: ", ""));
    for (const secret of ["mERr", "s3cr3t", "0822455D0A16"]) expect(toml).not.toContain(secret);
    expect(warnings.join()).not.toMatch(/cisco\b|older-secret|challenge-me/);
    expect(toml).toContain("with 2 below it");
    expect(holdsSecrets).toBe(true);
  });

  test("one that lost its indentation, with a secret that cannot be read and an address that is not there", () => {
    const { site: flat, toml: file, warnings: requests } = importFixtures("flat.cfg");
    expect(flat.tunnels).toMatchObject([
      {
        peer: expect.stringMatching(/\.invalid$/),
        dialect: "cisco-ietf",
        authentication: { secrets: [], digest: "md5", hidden: false, chapPassword: undefined },
        sessions: [{ remoteEndId: text("7") }],
      },
      {
        static: {},
        sessions: [{ static: { localSessionId: 2, remoteSessionId: 1, remoteCookie: octets("00000063") } }],
      },
    ]);
    expect(file).toMatch(/^# secret +=/m);
    expect(file).toMatch(/^# hidden +=/m);
    expect(file).toMatch(/^# chap_password +=/m);
    expect(file).not.toContain("dYYf");
    const words = ["the secret in", "does not have", "peer has to be the address", "peer has to be the address"];
    expect(requests.map((request) => words.find((word) => request.includes(word)))).toEqual(
      expect.arrayContaining(words),
    );
    for (const request of requests) expect(file).toContain(request);
  });

  test("IOS-XE: IPv6, a service instance, sequencing on the xconnect", () => {
    const { site: xe, toml: file, warnings: left } = importFixtures("xe.cfg");
    expect(xe.tunnels).toMatchObject([
      {
        name: "xe1",
        peer: "2001:db8::3",
        local: "2001:db8::1",
        sessions: [{ name: "vc10", pseudowire: "ethernet", l2Sublayer: "default", sequencing: "none" }],
      },
    ]);
    expect(xe.lcce.listen).toEqual([{ address: "2001:db8::1", port: 0 }]);
    expect(left.map((warning) => Number(/xe\.cfg:(\d+)/.exec(warning)?.[1]))).toEqual([10, 11, 19]);
    expect(file).toContain("service instance 10 ethernet of the router");
  });
});

/** A configuration with one xconnect of the given class lines, pseudowire lines and words. */
function config({ control = [""], pseudowire = [""], xconnect = "192.0.2.1 1 pw-class p" }): string {
  return [
    "hostname R1",
    "l2tp-class c",
    ...control.map((line) => ` ${line}`),
    "pseudowire-class p",
    " encapsulation l2tpv3",
    " protocol l2tpv3 c",
    " ip local interface Loopback0",
    ...pseudowire.map((line) => ` ${line}`),
    "interface Loopback0",
    " ip address 192.0.2.2 255.255.255.255",
    "interface Ethernet0",
    ` xconnect ${xconnect}`,
  ].join("\n");
}

describe("words of an l2tp-class", () => {
  test.each([
    ["hello 0", { helloIntervalMs: 0 }],
    ["digest", { authentication: { secrets: [], digest: "md5" } }],
    ["digest hash SHA", { authentication: { secrets: [], digest: "sha1" } }],
    ["digest secret plain", { authentication: { secrets: [text("plain")], digest: "md5" } }],
    ["digest secret 7 1513090F hash md5", { authentication: { secrets: [text("abc")], digest: "md5" } }],
    ["hostname elsewhere", { name: "elsewhere", peerHostname: "elsewhere" }],
    ["retransmit timeout max 16", { retransmit: { maxMs: 16_000 } }],
    ["congestion-control", {}],
  ])("%s", (line, expected) => {
    const { site, warnings } = importText(config({ control: [line] }));
    expect(site.tunnels).toMatchObject([expected]);
    expect(warnings).toEqual([]);
  });

  test.each(["retransmit retries 1000", "security crypto-profile x", "timeout setup 60", "colour blue"])(
    "reported: %s",
    (line) => {
      expect(importText(config({ control: [line] })).warnings).toEqual([expect.stringContaining(line)]);
    },
  );
});

describe("words of a pseudowire-class and an xconnect", () => {
  test.each(["ip tos value 3", "ip tos reflect", "ip protocol uti", "interworking ip", "colour blue"])(
    "reported: %s",
    (line) => {
      expect(importText(config({ pseudowire: [line] })).warnings).toEqual([expect.stringContaining(line)]);
    },
  );

  test.each([
    ["192.0.2.1 1", "its encapsulation is not said"],
    ["192.0.2.1 1 encapsulation mpls", "its encapsulation is mpls"],
    ["192.0.2.1 1 pw-class q", "there is no pseudowire-class q"],
    ["192.0.2.1 1 encapsulation l2tpv3 manual pw-class p", "manual needs l2tp id"],
    ["224.0.0.1 1 pw-class p", "no address of this machine"],
  ])("refused: xconnect %s", (xconnect, reason) => {
    expect(() => importText(config({ xconnect }))).toThrow(reason);
  });

  test("an address that is not known: the router opens, known by its name", () => {
    const unknown = config({}).replace(" ip address 192.0.2.2 255.255.255.255", " ip unnumbered Ethernet1");
    const { site, warnings } = importText(unknown);
    expect(site.tunnels).toMatchObject([{ role: "responder", peer: undefined, peerHostname: "R1" }]);
    expect(warnings).toEqual([expect.stringContaining("name the address of the router's Loopback0 as peer")]);
  });

  test("a second control connection with the same router is opened at this end", () => {
    const more = [
      "pseudowire-class q",
      " encapsulation l2tpv3",
      " ip local interface Loopback0",
      "interface Ethernet1",
      " xconnect 192.0.2.1 2 pw-class q",
    ];
    const { site } = importText([config({}), ...more].join("\n"));
    expect(site.tunnels).toMatchObject([{ role: "both" }, { role: "initiator" }]);
  });
});
