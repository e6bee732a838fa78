import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadSite } from "../../../src/config/load.ts";
import type { Site } from "../../../src/config/site.ts";
import type { LogEntry } from "../../../src/daemon/log.ts";
import { Reloader, type ReloadReport } from "../../../src/daemon/reload.ts";

const NOTHING = { dryRun: false, problems: [], warnings: [], changes: [] };
const octets = (text: string) => new TextEncoder().encode(text);

let directory: string;
let conf: string;
/** What the daemon was made to follow. */
let followed: Site[];
let log: LogEntry[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "reload-"));
  conf = join(directory, "site.toml");
  followed = [];
  log = [];
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function write(toml: string): void {
  writeFileSync(conf, toml, { mode: 0o600 });
}

/** A daemon that began with this file. */
function begun(toml: string): Reloader {
  write(toml);
  const record = { write: (entry: LogEntry) => void log.push(entry), tracing: false };
  return new Reloader(loadSite(conf), conf, (_, site) => followed.push(site), record);
}

/** What becomes of it when the file changes. */
function changed(before: string, after: string): ReloadReport {
  const reloader = begun(before);
  write(after);
  return reloader.reload();
}

const TUNNEL = `[tunnel.paris]\npeer = "192.0.2.2"\n`;
const SESSION = `[tunnel.paris.session.lan42]\n`;

const PARIS = "tunnel.paris";
const LAN = "tunnel.paris.session.lan42";
const CALLED_ANEW = "ended and called anew";
const OPENED_ANEW = "closed and opened anew";
const NEXT = "from its next control connection on (l2tpv3-lcc close paris, then open)";
const ABRUPTLY =
  "applied at once; what a peer says that has not got it yet is dropped (secret_previous keeps the one before meanwhile)";
const QUIETLY = "applied without re-signalling";

describe("each change is told in a line", () => {
  const ROWS: readonly (readonly [before: string, after: string, lines: readonly string[]])[] = [
    [TUNNEL, TUNNEL, []],
    // Secrets.
    [`${TUNNEL}secret = "a"`, `${TUNNEL}secret = "b"`, [`${PARIS}: secret changed: ${ABRUPTLY}`]],
    [
      `${TUNNEL}secret = "a"`,
      `${TUNNEL}secret = "b"\nsecret_previous = "a"`,
      [`${PARIS}: secret changed: applied at once`],
    ],
    [
      `${TUNNEL}secret = "a"`,
      `${TUNNEL}secret = "a"\ndigest = "sha1"\nhidden = true`,
      [`${PARIS}: digest, hidden changed: applied at once`],
    ],
    [TUNNEL, `${TUNNEL}chap_password = "a"`, [`${PARIS}: chap_password changed: applied at once`]],
    [TUNNEL, `${TUNNEL}secret = "a"`, [`${PARIS}: secret changed: ${NEXT}`]],
    [`${TUNNEL}digest = "md5"`, TUNNEL, [`${PARIS}: digest changed: ${NEXT}`]],
    // Timers and limits.
    [TUNNEL, `${TUNNEL}hello_interval = "5s"`, [`${PARIS}: hello_interval changed: applied at once`]],
    [
      TUNNEL,
      `${TUNNEL}retransmit = { max = "9s", retries = 3 }\nreceive_window = 5`,
      [
        `${PARIS}: retransmit.max, retransmit.retries changed: applied at once`,
        `${PARIS}: receive_window changed: ${NEXT}`,
      ],
    ],
    [
      TUNNEL,
      `[template.t]\nhello_interval = "5s"\n${TUNNEL}template = "t"`,
      [`${PARIS}: hello_interval changed: applied at once`],
    ],
    // Tunnels.
    [TUNNEL, `${TUNNEL}[tunnel.lyon]\npeer = "192.0.2.3"`, ["tunnel.lyon: new: opened"]],
    [TUNNEL, `${TUNNEL}[tunnel.lyon]\npeer_hostname = "lyon"`, ["tunnel.lyon: new: waits for its peer"]],
    [TUNNEL, '[tunnel.lyon]\npeer = "192.0.2.3"', ["tunnel.lyon: new: opened", `${PARIS}: removed: closed`]],
    [TUNNEL, TUNNEL.replace("192.0.2.2", "192.0.2.3"), [`${PARIS}.peer: ${OPENED_ANEW}`]],
    [
      TUNNEL,
      `${TUNNEL}local_port = 0\ntos = 184`,
      [`${PARIS}.local_port: ${OPENED_ANEW}`, `${PARIS}.tos: ${OPENED_ANEW}`],
    ],
    [TUNNEL, `${TUNNEL}encapsulation = "ip"`, [`${PARIS}.encapsulation: ${OPENED_ANEW}`]],
    [
      `${TUNNEL}secret = "a"`,
      `${TUNNEL}netns = "blue"\nsecret = "b"\nhello_interval = "5s"`,
      [`${PARIS}.netns: ${OPENED_ANEW}`, `${PARIS}: secret, hello_interval changed: ${OPENED_ANEW}`],
    ],
    [
      `${TUNNEL}${SESSION}`,
      `${TUNNEL}dialect = "cisco"\n${SESSION}addresses = ["10.0.0.1/30"]\n[tunnel.paris.session.b]`,
      [
        `${PARIS}.dialect: ${OPENED_ANEW}`,
        `${LAN}: addresses changed: comes with its tunnel`,
        "tunnel.paris.session.b: new: comes with its tunnel",
      ],
    ],
    // Sessions.
    [TUNNEL, `${TUNNEL}${SESSION}`, [`${LAN}: new: called`]],
    [TUNNEL, `${TUNNEL}${SESSION}call = "responder"`, [`${LAN}: new: waits for a call`]],
    [`${TUNNEL}${SESSION}`, TUNNEL, [`${LAN}: removed: ended`]],
    [
      `${TUNNEL}${SESSION}`,
      `${TUNNEL}${SESSION}addresses = ["10.0.0.1/30"]\nroutes = ["10.2.0.0/16"]\ncircuit = "eth1"`,
      [`${LAN}: circuit, addresses, routes changed: ${QUIETLY}`],
    ],
    [
      `${TUNNEL}${SESSION}bridge = "br1"`,
      `${TUNNEL}${SESSION}bridge = "br0"\nisolated = true`,
      [`${LAN}: bridge, isolated changed: ${QUIETLY}`],
    ],
    [`${TUNNEL}${SESSION}`, `${TUNNEL}${SESSION}interface = "x"`, [`${LAN}: interface changed: ${CALLED_ANEW}`]],
    [
      `${TUNNEL}${SESSION}`,
      `${TUNNEL}${SESSION}remote_end_id = "x"`,
      [`${LAN}: remote_end_id changed: ${CALLED_ANEW}`],
    ],
    [
      `${TUNNEL}[tunnel.paris.session.12]\nend_id_format = "u32"`,
      `${TUNNEL}[tunnel.paris.session.12]\nend_id_format = "hex"`,
      [`tunnel.paris.session.12: end_id_format changed: ${CALLED_ANEW}`],
    ],
    [
      `${TUNNEL}${SESSION}`,
      `${TUNNEL}${SESSION}addresses = ["10.0.0.1/30"]\ncookie_size = 4\nmtu = 1400`,
      [`${LAN}: cookie_size, mtu, addresses changed: ${CALLED_ANEW}`],
    ],
    // [lcce] and [hooks].
    [TUNNEL, `[lcce]\nlog_level = "debug"\n${TUNNEL}`, ["lcce.log_level: applied at once"]],
    [TUNNEL, `[lcce]\nlisten = ["udp:0.0.0.0:1702"]\n${TUNNEL}`, ["lcce.listen: applied at once"]],
    [
      TUNNEL,
      `[lcce]\nrouter_id = 7\nmetrics = "127.0.0.1:9101"\n${TUNNEL}`,
      ["lcce.router_id: needs a restart", "lcce.metrics: needs a restart"],
    ],
    [TUNNEL, `[hooks]\ntunnel-up = ["/bin/true"]\n${TUNNEL}`, ["hooks.tunnel-up: applied at once"]],
    // Without a listener it can only open.
    [TUNNEL, `[lcce]\nlisten = []\n${TUNNEL}`, ["lcce.listen: applied at once", `${PARIS}.role: ${OPENED_ANEW}`]],
  ];
  test.each(ROWS)("%j, then %j", (before, after, lines) => {
    const reloader = begun(before);
    write(after);
    const plan = reloader.plan();
    expect([followed, log]).toEqual([[], []]);
    expect(plan.changes.map(({ text }) => text)).toEqual(lines);
    expect(reloader.reload()).toEqual({ ...plan, dryRun: false });
    expect(followed).toHaveLength(1);
    expect(followed[0]?.tunnels).toEqual(loadSite(conf).tunnels);
    const unchanged = lines.length === 0 ? ["nothing has changed"] : lines;
    expect(log.map(({ message }) => message)).toEqual(unchanged);
    // The second time only what needs a restart is still to be done.
    expect(reloader.reload().changes.map(({ text }) => text)).toEqual(lines.filter((line) => line.endsWith("restart")));
  });

  const TYPED = `${TUNNEL}mode = "static"\nlocal_tunnel_id = 1\nremote_tunnel_id = 2\n`;
  const TYPED_SESSION = `${SESSION}local_session_id = 1\nremote_session_id = 2\n`;
  const STATIC: readonly (readonly [before: string, after: string, lines: readonly string[]])[] = [
    [TYPED, TYPED.replace("static", "hello-only"), [`${PARIS}.mode: ${OPENED_ANEW}`]],
    [TYPED, `${TYPED}${TYPED_SESSION}`, [`${LAN}: new: made`]],
    [
      `${TYPED}${TYPED_SESSION}`,
      `${TYPED}${TYPED_SESSION}local_cookie = "deadbeef"`,
      [`${LAN}: local_cookie changed: made anew`],
    ],
    [
      `${TYPED}${TYPED_SESSION}mtu = 1400`,
      `${TYPED}${TYPED_SESSION}mtu = 1500`,
      [`${LAN}: mtu changed: applied without re-signalling`],
    ],
    [`${TYPED}${TYPED_SESSION}`, `${TYPED}${TYPED_SESSION}mtu = 1500`, [`${LAN}: mtu changed: made anew`]],
  ];
  test.each(STATIC)("typed in: %j, then %j", (before, after, lines) => {
    expect(changed(before, after).changes.map(({ text }) => text)).toEqual(lines);
  });

  test("from negotiated to typed in: all that is different", () => {
    const { changes } = changed(`${TUNNEL}secret = "a"`, TYPED);
    expect(changes.flatMap(({ keys }) => keys).toSorted()).toEqual([
      "local_tunnel_id",
      "mode",
      "remote_tunnel_id",
      "secret",
    ]);
  });

  test("for programs: path, keys and action", () => {
    const { changes } = changed(TUNNEL, `${TUNNEL}hello_interval = "5s"\n${SESSION}`);
    expect(changes).toEqual([
      {
        path: PARIS,
        tunnel: "paris",
        keys: ["hello_interval"],
        action: "in-place",
        text: `${PARIS}: hello_interval changed: applied at once`,
      },
      { path: LAN, tunnel: "paris", session: "lan42", keys: [], action: "add", text: `${LAN}: new: called` },
    ]);
  });

  test("the content of a secret file", () => {
    const secret = join(directory, "paris.secret");
    writeFileSync(secret, "before\n", { mode: 0o600 });
    const reloader = begun(`${TUNNEL}secret_file = "paris.secret"`);
    expect(reloader.reload()).toEqual(NOTHING);
    writeFileSync(secret, "after\n");
    expect(reloader.reload().changes).toMatchObject([{ text: `${PARIS}: secret changed: ${ABRUPTLY}` }]);
    expect(followed.at(-1)?.tunnels).toMatchObject([{ authentication: { secrets: [octets("after")] } }]);
  });

  test("what needs a restart is not in force, and is told until it is put back", () => {
    const reloader = begun(`[lcce]\nrouter_id = 1\n${TUNNEL}`);
    for (const toml of [`[lcce]\nrouter_id = 2\n${TUNNEL}`, TUNNEL]) {
      write(toml);
      expect(reloader.reload().changes.map(({ text }) => text)).toEqual(["lcce.router_id: needs a restart"]);
      expect(reloader.site.lcce.routerId).toBe(1);
    }
    write(`[lcce]\nrouter_id = 1\n${TUNNEL}`);
    expect(reloader.reload()).toEqual(NOTHING);
  });
});

test("a broken file changes nothing, and all that is wrong is told", () => {
  const report = changed(`${TUNNEL}secret = "a"`, `${TUNNEL}secret = "xyzzy"\npear = 1\nhidden = 5`);
  expect(report).toMatchObject({ changes: [], warnings: [] });
  expect(report.problems.map((line) => line.replace(`${directory}/`, ""))).toEqual([
    expect.stringMatching(/^site\.toml:4: tunnel\.paris\.pear: unknown key/),
    expect.stringMatching(/^site\.toml:5: tunnel\.paris\.hidden: found 5/),
  ]);
  expect(followed).toEqual([]);
  expect(log.map(({ level }) => level)).toEqual(["error", "error"]);
});

test("a secret file that has become open to others is a broken file", () => {
  const secret = join(directory, "paris.secret");
  writeFileSync(secret, "xyzzy\n", { mode: 0o600 });
  const reloader = begun(`${TUNNEL}secret_file = "paris.secret"`);
  chmodSync(secret, 0o644);
  expect(reloader.reload().problems).toEqual([expect.stringContaining("is open to other users")]);
  expect(followed).toEqual([]);
});

test("the log tells the same, and no secret", () => {
  const reloader = begun(`${TUNNEL}secret = "xyzzy-one"\nchap_password = "xyzzy-two"`);
  reloader.reload();
  const lcce = `[lcce]\nmetrics = "127.0.0.1:9101"\n`;
  write(`${lcce}${TUNNEL}secret = "xyzzy-three"\nchap_password = "xyzzy-four"\nreceive_window = 4`);
  reloader.reload();
  expect(log.map(({ level, message }) => `${level} ${message}`)).toEqual([
    "info nothing has changed",
    "warn lcce.metrics: needs a restart",
    `info ${PARIS}: secret, chap_password changed: ${ABRUPTLY}`,
    "info tunnel.paris: receive_window changed: from its next control connection on (l2tpv3-lcc close paris, then open)",
  ]);
  expect(JSON.stringify(log)).not.toContain("xyzzy");
});
