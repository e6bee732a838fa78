import { describe, expect, test } from "vitest";
import { ConfigError } from "../../../src/config/config-error.ts";
import { parseSite } from "../../../src/config/load.ts";

const read = (toml: string) => parseSite(toml, "site.toml");

interface Parts {
  readonly mode?: string;
  readonly tunnel?: string;
  readonly session?: string;
  readonly rest?: string;
}

const IDS = "local_tunnel_id = 1000\nremote_tunnel_id = 2000";
const SESSION_IDS = "local_session_id = 10\nremote_session_id = 20";

function site({ mode = "static", tunnel = IDS, session = SESSION_IDS, rest = "" }: Parts = {}): string {
  return `[tunnel.t]\nmode = "${mode}"\npeer = "192.0.2.2"\n${tunnel}\n[tunnel.t.session.s]\n${session}\n${rest}`;
}

/** What is wrong, without file and line. */
function complaints(toml: string): readonly string[] {
  try {
    read(toml);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split("\n").map((line) => line.replace(/^site\.toml:\d+: /, ""));
  }
}

describe("I27 a static tunnel", () => {
  test("needs no more than ids and a peer", () => {
    const [tunnel] = read(site()).tunnels;
    expect(tunnel).toMatchObject({
      peer: "192.0.2.2",
      localPort: 1701,
      static: { localTunnelId: 1000, remoteTunnelId: 2000, watched: false },
      authentication: { secrets: [], digest: "none" },
    });
    expect(tunnel?.sessions[0]?.static).toEqual({
      localSessionId: 10,
      remoteSessionId: 20,
      localCookie: new Uint8Array(),
      remoteCookie: new Uint8Array(),
    });
  });

  test("hello-only is the same and watched, and may have an integrity digest", () => {
    const tunnel = `${IDS}\ndigest = "sha1"\nhello_interval = "5s"\nretransmit = { retries = 4 }`;
    expect(read(site({ mode: "hello-only", tunnel })).tunnels[0]).toMatchObject({
      static: { localTunnelId: 1000, remoteTunnelId: 2000, watched: true },
      authentication: { secrets: [], digest: "sha1" },
      helloIntervalMs: 5_000,
    });
  });

  test("cookies of 0, 4 and 8 octets, each end its own", () => {
    const session = `${SESSION_IDS}\nlocal_cookie = "0123456789abcdef"\nremote_cookie = "DEADBEEF"`;
    const { static: numbers } = read(site({ session })).tunnels[0]?.sessions[0] ?? {};
    expect(numbers?.localCookie).toEqual(Uint8Array.of(0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef));
    expect(numbers?.remoteCookie).toEqual(Uint8Array.of(0xde, 0xad, 0xbe, 0xef));
    expect(complaints(site({ session: `${SESSION_IDS}\nlocal_cookie = ""` }))).toEqual([]);
  });

  test("several sessions need no remote_end_id to tell them apart", () => {
    const rest = "[tunnel.t.session.two]\nlocal_session_id = 11\nremote_session_id = 20";
    expect(read(site({ rest })).tunnels[0]?.sessions).toHaveLength(2);
  });

  test("mode and ids may come from a template", () => {
    const toml = `[template.x]\nmode = "static"\nlocal_cookie = "00000001"\n[tunnel.t]\ntemplate = "x"\npeer = "192.0.2.2"\n${IDS}\n[tunnel.t.session.s]\n${SESSION_IDS}`;
    const [tunnel] = read(toml).tunnels;
    expect(tunnel?.sessions[0]?.static?.localCookie).toEqual(Uint8Array.of(0, 0, 0, 1));
  });
});

const RANGE = "an integer from 1 to 4294967295";
const COOKIE = 'a string of 8 or 16 hexadecimal digits (4 or 8 octets), or "" for none';
const NONCES = "a secret needs the nonces of a handshake (RFC 3931 4.3)";
const NO_MESSAGES = 'there are no control messages; mode = "hello-only" has them';
const BY_IDS = "the session is known by local_session_id and remote_session_id";

describe("I27 what is wrong is named with what would be right", () => {
  test.each<readonly [string, Parts, string]>([
    [
      "an unknown mode",
      { mode: "statik" },
      'tunnel.t.mode: found "statik", allowed: "dynamic", "static" or "hello-only", did you mean "static"?',
    ],
    [
      "no local_tunnel_id",
      { tunnel: "remote_tunnel_id = 1" },
      'tunnel.t: local_tunnel_id is missing, needed with mode = "static": 1 to 4294967295, the other end\'s remote_tunnel_id (peer_tunnel_id of ip l2tp)',
    ],
    [
      "no remote_tunnel_id",
      { tunnel: "local_tunnel_id = 1" },
      'tunnel.t: remote_tunnel_id is missing, needed with mode = "static": 1 to 4294967295, the other end\'s local_tunnel_id (tunnel_id of ip l2tp)',
    ],
    [
      "no local_session_id",
      { session: "remote_session_id = 1" },
      'tunnel.t.session.s: local_session_id is missing, needed with mode = "static": 1 to 4294967295, the other end\'s remote_session_id (peer_session_id of ip l2tp)',
    ],
    [
      "no remote_session_id",
      { session: "local_session_id = 1" },
      'tunnel.t.session.s: remote_session_id is missing, needed with mode = "static": 1 to 4294967295, the other end\'s local_session_id (session_id of ip l2tp)',
    ],
    [
      "tunnel id 0",
      { tunnel: "local_tunnel_id = 0\nremote_tunnel_id = 1" },
      `tunnel.t.local_tunnel_id: found 0, allowed: ${RANGE}`,
    ],
    [
      "a tunnel id too large",
      { tunnel: "local_tunnel_id = 1\nremote_tunnel_id = 4294967296" },
      `tunnel.t.remote_tunnel_id: found 4294967296, allowed: ${RANGE}`,
    ],
    [
      "session id 0",
      { session: "local_session_id = 1\nremote_session_id = 0" },
      `tunnel.t.session.s.remote_session_id: found 0, allowed: ${RANGE}`,
    ],
    [
      "a cookie of 5 octets, which is not shown",
      { session: `${SESSION_IDS}\nlocal_cookie = "0011223344"` },
      `tunnel.t.session.s.local_cookie: found a string, allowed: ${COOKIE}`,
    ],
    [
      "a cookie of no digits",
      { session: `${SESSION_IDS}\nremote_cookie = "0x112233"` },
      `tunnel.t.session.s.remote_cookie: found a string, allowed: ${COOKIE}`,
    ],
    [
      "a role",
      { tunnel: `${IDS}\nrole = "both"` },
      'tunnel.t.role: not with mode = "static": both ends have everything typed in, and neither opens',
    ],
    [
      "a peer's host name",
      { tunnel: `${IDS}\npeer_hostname = "x"` },
      'tunnel.t.peer_hostname: not with mode = "static": nobody tells a host name: name peer',
    ],
    ["a secret", { tunnel: `${IDS}\nsecret = "x"` }, `tunnel.t.secret: not with mode = "static": ${NONCES}`],
    [
      "a secret with HELLO",
      { mode: "hello-only", tunnel: `${IDS}\nsecret = "x"` },
      `tunnel.t.secret: not with mode = "hello-only": ${NONCES}`,
    ],
    ["a digest", { tunnel: `${IDS}\ndigest = "md5"` }, `tunnel.t.digest: not with mode = "static": ${NO_MESSAGES}`],
    [
      "a hello_interval",
      { tunnel: `${IDS}\nhello_interval = "5s"` },
      `tunnel.t.hello_interval: not with mode = "static": ${NO_MESSAGES}`,
    ],
    [
      "no hello_interval with HELLO",
      { mode: "hello-only", tunnel: `${IDS}\nhello_interval = "0s"` },
      'tunnel.t.hello_interval: found "0s", allowed with mode = "hello-only": 100 ms to 24 h, or mode = "static"',
    ],
    [
      "local_port 0",
      { tunnel: `${IDS}\nlocal_port = 0` },
      'tunnel.t.local_port: found 0, allowed with mode = "static": the port that the other end has typed in, 1 to 65535',
    ],
    [
      "a remote_end_id",
      { session: `${SESSION_IDS}\nremote_end_id = "x"` },
      `tunnel.t.session.s.remote_end_id: not with mode = "static": ${BY_IDS}`,
    ],
    [
      "a cookie_size",
      { session: `${SESSION_IDS}\ncookie_size = 4` },
      'tunnel.t.session.s.cookie_size: not with mode = "static": the cookies are given as local_cookie and remote_cookie',
    ],
    [
      "a call",
      { session: `${SESSION_IDS}\ncall = "both"` },
      'tunnel.t.session.s.call: not with mode = "static": nobody places a call',
    ],
    [
      "a circuit",
      { session: `${SESSION_IDS}\ncircuit = "eth1"` },
      'tunnel.t.session.s.circuit: not with mode = "static": nobody could be told of its condition',
    ],
    [
      "a tunnel id twice",
      { rest: `[tunnel.u]\nmode = "static"\npeer = "192.0.2.3"\n${IDS}` },
      'tunnel.u.local_tunnel_id: 1000 is already that of tunnel "t"',
    ],
    [
      "a session id twice",
      { rest: "[tunnel.t.session.u]\nlocal_session_id = 10\nremote_session_id = 21" },
      'tunnel.t.session.u.local_session_id: 10 is already that of session "t/s"',
    ],
  ])("%s", (_, parts, complaint) => {
    expect(complaints(site(parts))).toEqual([complaint]);
  });

  describe("two tunnels over UDP between the same addresses and ports, of which one would carry nothing", () => {
    const flow = (name: string, ids: number, more = "") =>
      `[tunnel.${name}]\npeer = "192.0.2.2"\nlocal_tunnel_id = ${ids}\nremote_tunnel_id = ${ids}\n${more}\n`;
    const STATIC = 'mode = "static"';
    const WATCHED = 'mode = "hello-only"';
    const CLASH =
      'tunnel.b: same addresses and ports as tunnel "a" (peer "192.0.2.2" port 1701, local "auto" port 1701), where only one of the two can carry anything: put the sessions into one tunnel, or give another local_port or peer_port';

    test.each([
      ["static", flow("a", 1, STATIC) + flow("b", 2, STATIC)],
      ["hello-only", flow("a", 1, WATCHED) + flow("b", 2, WATCHED)],
      ["one of each", flow("a", 1, STATIC) + flow("b", 2, WATCHED)],
      ["static after negotiated", `[tunnel.a]\npeer = "192.0.2.2"\nrole = "initiator"\n${flow("b", 2, STATIC)}`],
      ["negotiated after static", `${flow("a", 1, STATIC)}[tunnel.b]\npeer = "192.0.2.2"\nrole = "initiator"`],
    ])("%s: refused", (_, toml) => {
      expect(complaints(toml)).toEqual([CLASH]);
    });

    test("an address is the same in another spelling", () => {
      const toml = flow("a", 1, STATIC) + flow("b", 2, STATIC);
      const [one, other] = ["2001:db8::2", "2001:DB8:0::2"];
      const spelt = toml.replace("192.0.2.2", one).replace("192.0.2.2", other);
      expect(complaints(spelt)).toEqual([expect.stringMatching(/^tunnel\.b: same addresses and ports as tunnel "a"/)]);
    });

    test.each([
      "local_port = 1702",
      "peer_port = 1702",
      'local = "192.0.2.9"',
      'peer = "192.0.2.3"',
      'netns = "blue"',
      'bind_device = "eth1"',
      'encapsulation = "ip"',
    ])("with %s there is nothing to refuse", (key) => {
      const second = key.startsWith("peer =") ? flow("b", 2, STATIC).replace("192.0.2.2", "192.0.2.3") : undefined;
      const toml = flow("a", 1, STATIC) + (second ?? flow("b", 2, `${STATIC}\n${key}`));
      expect(complaints(toml)).toEqual([]);
      expect(read(toml).warnings).toEqual([]);
    });

    test("a port that is wrong by itself is not compared", () => {
      const toml = flow("a", 1, STATIC) + flow("b", 2, `${STATIC}\nlocal_port = 70000`);
      expect(complaints(toml)).toEqual([expect.stringMatching(/^tunnel\.b\.local_port: found 70000/)]);
    });
  });

  test("no peer", () => {
    const toml = `[tunnel.t]\nmode = "static"\n${IDS}`;
    expect(complaints(toml)).toEqual([
      'tunnel.t: peer is missing, needed with mode = "static": the address or DNS name of the other end',
    ]);
  });

  test("ids and cookies where everything is negotiated", () => {
    const advice = 'only for mode = "static" or "hello-only": here the ends agree on it themselves';
    expect(complaints(site({ mode: "dynamic", session: `${SESSION_IDS}\nlocal_cookie = "00000001"` }))).toEqual([
      `tunnel.t.local_tunnel_id: ${advice}`,
      `tunnel.t.remote_tunnel_id: ${advice}`,
      `tunnel.t.session.s.local_session_id: ${advice}`,
      `tunnel.t.session.s.remote_session_id: ${advice}`,
      `tunnel.t.session.s.local_cookie: ${advice}`,
    ]);
  });
});
