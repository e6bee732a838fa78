import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadSite } from "../../../src/config/load.ts";
import type { Input } from "../../../src/control/core.ts";
import type { LogEntry } from "../../../src/daemon/log.ts";
import { Reloader, type ReloadReport } from "../../../src/daemon/reload.ts";

const NOTHING = { problems: [], warnings: [], applied: [], restart: [] };
const octets = (text: string) => new TextEncoder().encode(text);

let directory: string;
let conf: string;
let inputs: Input[];
let log: LogEntry[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "reload-"));
  conf = join(directory, "site.toml");
  inputs = [];
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
  return new Reloader(loadSite(conf), conf, (input) => inputs.push(input), record);
}

/** What becomes of it when the file changes. */
function changed(before: string, after: string): ReloadReport {
  const reloader = begun(before);
  write(after);
  return reloader.reload();
}

const TUNNEL = `[tunnel.paris]\npeer = "192.0.2.2"\n`;
const SESSION = `[tunnel.paris.session.lan42]\n`;

describe("what is applied", () => {
  const ROWS: readonly (readonly [before: string, after: string, applied: readonly string[]])[] = [
    ['secret = "a"', 'secret = "b"', ["tunnel.paris: secret"]],
    ['secret = "a"', 'secret = "b"\nsecret_previous = "a"', ["tunnel.paris: secret"]],
    ['secret = "a"', 'secret = "a"\ndigest = "sha1"\nhidden = true', ["tunnel.paris: digest, hidden"]],
    ["", 'chap_password = "a"', ["tunnel.paris: chap_password"]],
    ["", 'secret = "a"', ["tunnel.paris: secret, digest (from its next control connection on)"]],
    ['secret = "a"', "", ["tunnel.paris: secret, digest (from its next control connection on)"]],
    ["", 'digest = "md5"', ["tunnel.paris: digest (from its next control connection on)"]],
    ['digest = "md5"', 'digest = "sha1"', ["tunnel.paris: digest"]],
    ['secret = "a"', 'secret = "a"', []],
  ];
  test.each(ROWS)("%j, then %j", (before, after, applied) => {
    expect(changed(TUNNEL + before, TUNNEL + after)).toEqual({ ...NOTHING, applied });
    const authentication = loadSite(conf).tunnels[0]?.authentication;
    expect(inputs).toEqual(applied.map(() => ({ type: "authentication-changed", tunnel: "paris", authentication })));
  });

  test("the content of a secret file", () => {
    const secret = join(directory, "paris.secret");
    writeFileSync(secret, "before\n", { mode: 0o600 });
    const reloader = begun(`${TUNNEL}secret_file = "paris.secret"`);
    expect(reloader.reload()).toEqual(NOTHING);
    writeFileSync(secret, "after\n");
    expect(reloader.reload()).toEqual({ ...NOTHING, applied: ["tunnel.paris: secret"] });
    expect(inputs).toMatchObject([{ authentication: { secrets: [octets("after")] } }]);
  });

  test("only once, and only in the tunnels that it concerns", () => {
    const other = `[tunnel.lyon]\npeer = "192.0.2.3"\nsecret = "c"\n`;
    const reloader = begun(`${TUNNEL}secret = "a"\n${other}`);
    write(`${TUNNEL}secret = "b"\n${other}`);
    expect(reloader.reload().applied).toEqual(["tunnel.paris: secret"]);
    expect(reloader.reload()).toEqual(NOTHING);
    expect(inputs).toHaveLength(1);
  });
});

describe("what needs a restart is named", () => {
  const ROWS: readonly (readonly [before: string, after: string, restart: readonly string[]])[] = [
    [TUNNEL, `${TUNNEL}hello_interval = "5s"`, ["tunnel.paris.hello_interval"]],
    [
      TUNNEL,
      `${TUNNEL}retransmit = { max = "9s", retries = 3 }`,
      ["retransmit.max", "retransmit.retries"].map(ofParis),
    ],
    [TUNNEL, `[lcce]\nlog_level = "debug"\n${TUNNEL}`, ["lcce.log_level"]],
    [TUNNEL, `[lcce]\nlisten = ["udp:0.0.0.0:1702"]\n${TUNNEL}`, ["lcce.listen"]],
    [TUNNEL, `${TUNNEL}${SESSION}`, ["session.lan42 (new)"].map(ofParis)],
    [`${TUNNEL}${SESSION}`, TUNNEL, ["session.lan42 (removed)"].map(ofParis)],
    [`${TUNNEL}${SESSION}`, `${TUNNEL}${SESSION}interface = "x"`, ["session.lan42.interface"].map(ofParis)],
    [`${TUNNEL}${SESSION}`, `${TUNNEL}${SESSION}remote_end_id = "x"`, ["session.lan42.remote_end_id"].map(ofParis)],
    [
      `${TUNNEL}${SESSION}`,
      `${TUNNEL}${SESSION}addresses = ["10.0.0.1/30"]\ncookie_size = 4`,
      ["session.lan42.cookie_size", "session.lan42.addresses"].map(ofParis),
    ],
    [TUNNEL, `${TUNNEL}[tunnel.lyon]\npeer = "192.0.2.3"\nsecret = "a"`, ["tunnel.lyon (new)"]],
    [TUNNEL, '[tunnel.lyon]\npeer = "192.0.2.3"', ["tunnel.paris (removed)", "tunnel.lyon (new)"]],
  ];
  test.each(ROWS)("%j, then %j", (before, after, restart) => {
    const report = changed(before, after);
    expect({ ...report, restart: [...report.restart].sort() }).toEqual({ ...NOTHING, restart: [...restart].sort() });
    expect(inputs).toEqual([]);
  });

  const TYPED = `${TUNNEL}mode = "static"\nlocal_tunnel_id = 1\nremote_tunnel_id = 2\n`;
  const TYPED_SESSION = `${SESSION}local_session_id = 1\nremote_session_id = 2\n`;
  const TYPED_KEYS = ["mode", "local_tunnel_id", "remote_tunnel_id"];
  const TYPED_SESSION_KEYS = ["session.lan42.local_session_id", "session.lan42.remote_session_id"];
  const OTHERS: readonly (readonly [before: string, after: string, keys: readonly string[]])[] = [
    [`${TUNNEL}secret = "a"`, TYPED, [...TYPED_KEYS, "secret"]],
    [TYPED, `${TUNNEL}secret = "a"`, [...TYPED_KEYS, "secret"]],
    [`${TUNNEL}${SESSION}`, `${TYPED}${TYPED_SESSION}`, [...TYPED_KEYS, ...TYPED_SESSION_KEYS]],
    [
      `${TUNNEL}${SESSION}end_id_format = "text"`,
      `${TYPED}${TYPED_SESSION}`,
      [...TYPED_KEYS, ...TYPED_SESSION_KEYS, "session.lan42.end_id_format"],
    ],
    [`${TUNNEL}role = "both"\nreceive_window = 5`, TYPED, [...TYPED_KEYS, "role", "receive_window"]],
    [TYPED, `${TYPED.replace("static", "hello-only")}digest = "md5"`, ["mode", "digest"]],
    [`${TUNNEL}secret = "a"`, `${TUNNEL.replace("192.0.2.2", "192.0.2.3")}secret = "b"`, ["peer", "secret"]],
    [`${TUNNEL}secret = "a"`, TUNNEL.replace("192.0.2.2", "2001:db8::2"), ["peer", "secret"]],
    [TUNNEL, `${TUNNEL}encapsulation = "ip"`, ["encapsulation"]],
    [TUNNEL, `${TUNNEL}netns = "blue"\nchap_password = "a"`, ["netns", "chap_password"]],
    [
      `${TUNNEL}${SESSION}end_id_format = "text"`,
      `${TUNNEL}${SESSION}end_id_format = "hex"\nremote_end_id = "0a"`,
      ["session.lan42.remote_end_id"],
    ],
    [
      `${TUNNEL}[tunnel.paris.session.12]\nend_id_format = "u32"`,
      `${TUNNEL}[tunnel.paris.session.12]\nend_id_format = "hex"`,
      ["session.12.end_id_format"],
    ],
  ];
  test.each(OTHERS)(
    "another mode or peer, with its authentication, and no default: %j, then %j",
    (before, after, keys) => {
      const report = changed(before, after);
      expect({ ...report, restart: [...report.restart].sort() }).toEqual({
        ...NOTHING,
        restart: keys.map(ofParis).sort(),
      });
      expect(inputs).toEqual([]);
    },
  );

  test("a key that a template gives", () => {
    const before = `[template.t]\nhello_interval = "5s"\n${TUNNEL}`;
    expect(changed(before, `${before}template = "t"`).restart).toEqual([ofParis("hello_interval")]);
  });

  test("every time, while secrets are applied all the same", () => {
    const reloader = begun(`${TUNNEL}secret = "a"`);
    write(`${TUNNEL}secret = "b"\nreceive_window = 5`);
    expect(reloader.reload()).toMatchObject({
      applied: ["tunnel.paris: secret"],
      restart: [ofParis("receive_window")],
    });
    expect(reloader.reload()).toMatchObject({ applied: [], restart: [ofParis("receive_window")] });
    write(`${TUNNEL}secret = "b"`);
    expect(reloader.reload()).toEqual(NOTHING);
  });

  function ofParis(key: string): string {
    return `tunnel.paris.${key}`;
  }
});

test("a broken file changes nothing, and all that is wrong is told", () => {
  const report = changed(`${TUNNEL}secret = "a"`, `${TUNNEL}secret = "xyzzy"\npear = 1\nhidden = 5`);
  expect(report).toMatchObject({ applied: [], restart: [], warnings: [] });
  expect(report.problems.map((line) => line.replace(`${directory}/`, ""))).toEqual([
    expect.stringMatching(/^site\.toml:4: tunnel\.paris\.pear: unknown key/),
    expect.stringMatching(/^site\.toml:5: tunnel\.paris\.hidden: found 5/),
  ]);
  expect(inputs).toEqual([]);
  expect(log.map(({ level }) => level)).toEqual(["error", "error"]);
});

test("a secret file that has become open to others is a broken file", () => {
  const secret = join(directory, "paris.secret");
  writeFileSync(secret, "xyzzy\n", { mode: 0o600 });
  const reloader = begun(`${TUNNEL}secret_file = "paris.secret"`);
  chmodSync(secret, 0o644);
  expect(reloader.reload().problems).toEqual([expect.stringContaining("is open to other users")]);
  expect(inputs).toEqual([]);
});

test("the log tells the same, and no secret", () => {
  const reloader = begun(`${TUNNEL}secret = "xyzzy-one"\nchap_password = "xyzzy-two"`);
  reloader.reload();
  write(`${TUNNEL}secret = "xyzzy-three"\nchap_password = "xyzzy-four"\nreceive_window = 4`);
  reloader.reload();
  expect(log.map(({ level, message }) => `${level} ${message}`)).toEqual([
    "info nothing has changed",
    "info applied: tunnel.paris: secret, chap_password",
    "warn needs a restart: tunnel.paris.receive_window",
  ]);
  expect(JSON.stringify(log)).not.toContain("xyzzy");
});
