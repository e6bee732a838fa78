import { describe, expect, test } from "vitest";
import { parseSite } from "../../../src/config/load.ts";
import { complaint } from "./complaint.ts";

const PEER = `[tunnel.t]\npeer = "192.0.2.2"\n`;
const SESSION = `${PEER}[tunnel.t.session.s]\n`;
const LISTEN =
  "allowed: a list, each element udp:ADDRESS:PORT with a port from 1 to 65535, or ip:ADDRESS, with an IPv4 address or an IPv6 address in brackets";

type Row = readonly [toml: string, message: string];

describe("contradictions", () => {
  const tunnel = (name: string, keys: string) => `[tunnel.${name}]\n${keys}\n`;
  const MATCH = "they need different peer, peer_hostname or peer_router_id";
  const ROWS: readonly Row[] = [
    [
      tunnel("a", 'role = "initiator"'),
      'site.toml:2: tunnel.a.role: role "initiator" opens the control connection and needs peer, an address or a DNS name',
    ],
    [
      tunnel("a", 'role = "both"\npeer_hostname = "b"'),
      'site.toml:2: tunnel.a.role: role "both" opens the control connection and needs peer, an address or a DNS name',
    ],
    [
      `[template.x]\nrole = "both"\n${tunnel("a", 'template = "x"')}`,
      'site.toml:2: template.x.role: role "both" opens the control connection and needs peer, an address or a DNS name',
    ],
    [
      tunnel("a", ""),
      "site.toml:1: tunnel.a: a responder needs peer, peer_hostname or peer_router_id to know its peer by",
    ],
    [
      `[lcce]\nlisten = []\n${tunnel("a", 'role = "responder"\npeer = "192.0.2.2"')}`,
      'site.toml:4: tunnel.a.role: role "responder" waits for the peer, but lcce.listen is empty: nobody can reach it',
    ],
    [
      tunnel("a", 'peer = "PE.example"') + tunnel("b", 'peer = "pe.example"\nlocal_port = 0'),
      `site.toml:3: tunnel.b: the same peer would match tunnel "a": ${MATCH}`,
    ],
    [
      tunnel("a", 'peer = "192.0.2.2"\nlocal = "192.0.2.1"') + tunnel("b", 'peer = "192.0.2.2"\nlocal = "192.0.2.9"'),
      `site.toml:4: tunnel.b: the same peer would match tunnel "a": ${MATCH}`,
    ],
    [
      tunnel("a", 'peer_router_id = "0.0.1.2"') + tunnel("b", "peer_router_id = 258"),
      `site.toml:3: tunnel.b: the same peer would match tunnel "a": ${MATCH}`,
    ],
    [
      `${SESSION}interface = "x"\n${tunnel("u", 'peer = "192.0.2.3"')}[tunnel.u.session.s]\ninterface = "x"`,
      'site.toml:8: tunnel.u.session.s.interface: interface "x" is already that of t/s',
    ],
    [
      `${SESSION}remote_end_id = "42"\n[tunnel.t.session.r]\nremote_end_id = "3432"\nend_id_format = "hex"`,
      'site.toml:6: tunnel.t.session.r.remote_end_id: session "s" of this tunnel has the same remote_end_id',
    ],
    [
      `${SESSION}[tunnel.t.session.r]\nremote_end_id = "s"`,
      'site.toml:5: tunnel.t.session.r.remote_end_id: session "s" of this tunnel has the same remote_end_id',
    ],
    [
      `${SESSION}local_end_id = "42"\n[tunnel.t.session.r]\nlocal_end_id = "42"`,
      'site.toml:6: tunnel.t.session.r.local_end_id: session "s" of this tunnel has the same local_end_id',
    ],
    [
      `${SESSION}remote_end_id = "42"\n[tunnel.t.session.r]\nlocal_end_id = "42"`,
      'site.toml:6: tunnel.t.session.r.local_end_id: session "s" of this tunnel has the same remote_end_id, which is its local_end_id too',
    ],
    [
      `${SESSION}local_end_id = "r"\n[tunnel.t.session.r]`,
      'site.toml:5: tunnel.t.session.r: session "s" of this tunnel has the same local_end_id',
    ],
    [
      `${SESSION}call_type = "outgoing"\nlocal_end_id = "g"`,
      'site.toml:5: tunnel.t.session.s.local_end_id: only incoming calls carry it; call_type is "outgoing"',
    ],
    [
      `${SESSION}call_type = "outgoing"\nattachment_group = "g"`,
      'site.toml:5: tunnel.t.session.s.attachment_group: only incoming calls carry it; call_type is "outgoing"',
    ],
    [
      `[template.x]\nattachment_group = "g"\n${PEER}template = "x"\n[tunnel.t.session.s]\nremote_end_id = "1"\n[tunnel.t.session.r]\nremote_end_id = "1"`,
      'site.toml:9: tunnel.t.session.r.remote_end_id: session "s" of this tunnel has the same remote_end_id in the same attachment_group',
    ],
    [
      `${SESSION}pseudowire = "vlan"`,
      'site.toml:4: tunnel.t.session.s.pseudowire: vlan is missing, needed with pseudowire = "vlan": the tag of its frames on the wire, 1 to 4094',
    ],
    [
      `${SESSION}vlan = 42`,
      'site.toml:4: tunnel.t.session.s.vlan: only for pseudowire = "vlan": pseudowire "ethernet" passes frames with whatever tags they have',
    ],
    [
      `[template.x]\nvlan = 42\n${PEER}template = "x"\n[tunnel.t.session.s]\npseudowire = "ethernet"`,
      'site.toml:2: template.x.vlan: only for pseudowire = "vlan": pseudowire "ethernet" passes frames with whatever tags they have',
    ],
    [
      `${SESSION}circuit = "l2-u-s"\n${tunnel("u", 'peer = "192.0.2.3"')}[tunnel.u.session.s]`,
      'site.toml:4: tunnel.t.session.s.circuit: found "l2-u-s", which is the interface of session u/s, allowed: an interface that this daemon does not make, such as "eth1"',
    ],
  ];
  test.each(ROWS)("%j", (toml, message) => {
    expect(complaint(toml)).toBe(message);
  });

  const FINE = [
    [
      "the same peer for initiators",
      tunnel("a", 'role = "initiator"\npeer = "192.0.2.2"') + tunnel("b", 'peer = "192.0.2.2"'),
    ],
    [
      "one peer, two host names",
      tunnel("a", 'peer = "192.0.2.2"\npeer_hostname = "x"') + tunnel("b", 'peer = "192.0.2.2"\npeer_hostname = "y"'),
    ],
    [
      "one peer, two local addresses that are listened on",
      `[lcce]\nlisten = ["udp:192.0.2.1:1701", "udp:192.0.2.9:1701"]\n${tunnel("a", 'peer = "192.0.2.2"\nlocal = "192.0.2.1"')}${tunnel("b", 'peer = "192.0.2.2"\nlocal = "192.0.2.9"')}`,
    ],
    ["both, with nothing to listen on", `[lcce]\nlisten = []\n${PEER}`],
    [
      "the same remote_end_id with two local ones",
      `${SESSION}remote_end_id = "1"\nlocal_end_id = "2"\n[tunnel.t.session.r]\nremote_end_id = "1"\nlocal_end_id = "3"`,
    ],
    [
      "the same end id in two groups, one of them the default",
      `${SESSION}remote_end_id = "1"\n[tunnel.t.session.r]\nremote_end_id = "1"\nattachment_group = "g"`,
    ],
    [
      "one circuit for two sessions, and a circuit in a bridge",
      `${SESSION}circuit = "eth1"\nbridge = "br0"\n[tunnel.t.session.r]\ncircuit = "eth1"`,
    ],
    [
      "one VLAN for two sessions",
      `${SESSION}pseudowire = "vlan"\nvlan = 42\n[tunnel.t.session.r]\npseudowire = "vlan"\nvlan = 42`,
    ],
    ["the same end id in two tunnels", `${SESSION}\n${tunnel("u", 'peer = "192.0.2.3"')}[tunnel.u.session.s]`],
  ] as const;
  test.each(FINE)("%s is none", (_, toml) => {
    expect(() => parseSite(toml, "site.toml")).not.toThrow();
  });

  describe("D23 hidden AVPs hold two octets less", () => {
    const hidden = (keys: string) =>
      `${PEER}secret = "s"\nhidden = true\n[tunnel.t.session.s]\nremote_end_id = "r"\n${keys}`;
    const place = "site.toml:7: tunnel.t.session.s.";
    const says = (octets: number) => `found ${octets} octets, allowed with hidden = true: 1 to 1015`;

    test.each(["local_end_id", "attachment_group"])("%s", (key) => {
      expect(complaint(hidden(`${key} = "${"x".repeat(1016)}"`))).toBe(`${place}${key}: ${says(1016)}`);
      expect(complaint(hidden(`end_id_format = "hex"\n${key} = "${"00".repeat(1017)}"`))).toContain(says(1017));
      expect(() => parseSite(hidden(`${key} = "${"x".repeat(1015)}"`), "site.toml")).not.toThrow();
      const clear = hidden(`${key} = "${"x".repeat(1017)}"`).replace("hidden = true", "hidden = false");
      expect(() => parseSite(clear, "site.toml")).not.toThrow();
    });

    test("remote_end_id", () => {
      const own = `remote_end_id = "${"é".repeat(508)}"`;
      const toml = hidden("").replace('remote_end_id = "r"', own);
      expect(complaint(toml)).toBe(`site.toml:6: tunnel.t.session.s.remote_end_id: ${says(1016)}`);
    });
  });

  test("IPsec for one of two tunnels over IP between the same addresses", () => {
    const tunnels = (...more: readonly string[]) =>
      more.map((each, i) => `[tunnel.t${i}]\npeer = "192.0.2.2"\nrole = "initiator"\n${each}`).join("\n");
    const [required, not] = ['encapsulation = "ip"\nrequire_ipsec = true', 'encapsulation = "ip"'];
    expect(complaint(tunnels(required, not))).toBe(
      'site.toml:5: tunnel.t0.require_ipsec: tunnel "t1" goes over IP between the same addresses and needs the same require_ipsec',
    );
    const fine = [
      tunnels(required, required),
      tunnels(not, not),
      tunnels(required, "local_port = 0"),
      tunnels(required, `${not}\nlocal = "192.0.2.3"`),
      tunnels(required, `${not}\nnetns = "blue"`),
    ];
    for (const toml of fine) expect(() => parseSite(toml, "site.toml"), toml).not.toThrow();
  });

  test("what depends on a wrong key is not judged", () => {
    expect(complaint(`[lcce]\nlisten = 1\n[tunnel.a]\npeer = 5\nrole = "both"\n[tunnel.b]\ntemplate = "x"`)).toBe(
      [
        `site.toml:2: lcce.listen: found 1, ${LISTEN}`,
        'site.toml:4: tunnel.a.peer: found 5, allowed: an IPv4 or IPv6 address (link-local: with this end\'s interface, "fe80::2%eth0") or a DNS name',
        'site.toml:7: tunnel.b.template: found "x", allowed: the name of a template (there is no [template.NAME])',
      ].join("\n"),
    );
  });
});
