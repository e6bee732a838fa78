import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseArguments } from "../../../src/cli/arguments.ts";
import { check } from "../../../src/cli/check.ts";
import { importInto } from "../../../src/cli/import.ts";
import { openOrClose } from "../../../src/cli/open-close.ts";
import { reload } from "../../../src/cli/reload.ts";
import { replay } from "../../../src/cli/replay.ts";
import { show } from "../../../src/cli/show.ts";
import type { Terminal } from "../../../src/cli/terminal.ts";
import type { AdminReply, AdminRequest } from "../../../src/daemon/admin-protocol.ts";
import { type AdminSocket, openAdminSocket } from "../../../src/daemon/admin-socket.ts";

const REPORT = { hostname: "site-a", router_id: 1, datapath: "none", version: "1.2.3", tunnels: [] };

let directory: string;
let socketPath: string;
let conf: string;
let daemon: AdminSocket | undefined;
const asked: AdminRequest[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "commands-"));
  socketPath = join(directory, "admin.sock");
  conf = join(directory, "site.toml");
  await writeFile(conf, `[lcce]\nadmin_socket = "${socketPath}"\n[tunnel.a]\npeer = "b"\n[tunnel.a.session.s]\n`);
  asked.length = 0;
});

afterEach(async () => {
  await daemon?.close();
  daemon = undefined;
  await rm(directory, { recursive: true, force: true });
});

async function startDaemon(reply: AdminReply): Promise<void> {
  daemon = await openAdminSocket(socketPath, async (request) => {
    asked.push(request);
    return reply;
  });
}

/** Runs a command line as main does, but for the daemon; FILE and PATH stand for this test's own. */
async function command(line: string): Promise<{ code: number; out: string; err: string }> {
  const written = { out: "", err: "" };
  const terminal: Terminal = {
    out: (text) => {
      written.out += text;
    },
    err: (text) => {
      written.err += text;
    },
  };
  const words = line.split(" ").map((word) => ({ FILE: conf, PATH: socketPath })[word] ?? word);
  const parsed = parseArguments(words);
  if (!("command" in parsed)) throw new Error(parsed.wrong);
  const run = async (): Promise<number> => {
    switch (parsed.command) {
      case "check":
        return check(parsed, terminal);
      case "show":
        return show(parsed, terminal, new Date(0));
      case "open":
      case "close":
        return openOrClose(parsed, terminal);
      case "replay":
        return replay(parsed, terminal);
      case "reload":
        return reload(parsed, terminal);
      case "import":
        return importInto(parsed, terminal);
      default:
        throw new Error("not in this test");
    }
  };
  return { code: await run(), ...written };
}

describe("check", () => {
  test("a good file", async () => {
    expect(await command("check --conf FILE")).toEqual({
      code: 0,
      out: `${conf}: good, 1 tunnel with 1 session\n`,
      err: "",
    });
  });

  test("a file with warnings is good", async () => {
    await writeFile(conf, "");
    expect(await command("check --conf FILE")).toEqual({
      code: 0,
      out: `${conf}: good, 0 tunnels with 0 sessions\n`,
      err: `warning: ${conf}: no [tunnel.NAME]: there is nothing to do\n`,
    });
  });

  test("a bad file: every problem in a line, exit code 2", async () => {
    await writeFile(conf, "[lcce]\nx = 1\ny = 2\n");
    expect(await command("check --conf FILE")).toEqual({
      code: 2,
      out: "",
      err: `${conf}:2: lcce.x: unknown key\n${conf}:3: lcce.y: unknown key\n`,
    });
  });

  test("a file that is not there", async () => {
    const { code, err } = await command("check --conf /nonexistent.toml");
    expect(code).toBe(2);
    expect(err).toMatch(/^\/nonexistent\.toml: cannot be read: .*\n$/);
  });
});

describe("show", () => {
  test("a table, the daemon found through its file", async () => {
    await startDaemon({ ok: true, result: REPORT });
    expect(await command("show --conf FILE")).toEqual({
      code: 0,
      out: "site-a  router id 0.0.0.1  datapath none  l2tpv3-lcc 1.2.3\n\nno tunnels\n",
      err: "",
    });
    expect(asked).toEqual([{ command: "show" }]);
  });

  test("JSON, the daemon found through its socket", async () => {
    await startDaemon({ ok: true, result: REPORT });
    const { code, out } = await command("show sessions a/s --json --socket PATH");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual(REPORT);
    expect(asked).toEqual([{ command: "show", what: "sessions", name: "a/s" }]);
  });

  test("a report of many megabytes", async () => {
    const result = { ...REPORT, padding: "é".repeat(3_000_000) };
    await startDaemon({ ok: true, result });
    const { out } = await command("show --json --socket PATH");
    expect(JSON.parse(out).padding.length).toBe(3_000_000);
  });

  test("what the daemon refuses is one line and exit code 1", async () => {
    await startDaemon({ ok: false, error: 'there is no tunnel or session "x"\u001b[2J' });
    expect(await command("show x --socket PATH")).toEqual({
      code: 1,
      out: "",
      err: 'l2tpv3-lcc: there is no tunnel or session "x"?[2J\n',
    });
  });
});

describe("open and close", () => {
  const SAID = {
    open: {
      a: "a is being opened; l2tpv3-lcc show tunnel a tells how far it is\n",
      "a/s": "a/s is being opened; l2tpv3-lcc show session a/s tells how far it is\n",
    },
    close: {
      a: "a is closed; it stays so until l2tpv3-lcc open a\n",
      "a/s": "a/s is closed; it stays so until l2tpv3-lcc open a/s\n",
    },
  } as const;

  test.each(["open", "close"] as const)("%s: a line that says what is done", async (verb) => {
    await startDaemon({ ok: true, result: null });
    expect(await command(`${verb} a --socket PATH`)).toEqual({ code: 0, out: SAID[verb].a, err: "" });
    expect(await command(`--conf FILE ${verb} a/s`)).toEqual({ code: 0, out: SAID[verb]["a/s"], err: "" });
    expect(asked).toEqual([
      { command: verb, tunnel: "a" },
      { command: verb, tunnel: "a", session: "s" },
    ]);
  });
});

describe("reload", () => {
  const NOTHING = { dryRun: false, problems: [], warnings: [], changes: [] };
  const change = (text: string, action = "in-place") => ({ path: "tunnel.a", keys: [], action, text });
  const ROWS: readonly (readonly [name: string, result: object, code: number, out: string, err: string])[] = [
    ["nothing new", {}, 0, "nothing has changed\n", ""],
    [
      "a secret",
      { changes: [change("tunnel.a: secret changed: applied at once")] },
      0,
      "tunnel.a: secret changed: applied at once\n",
      "",
    ],
    [
      "more than can be applied",
      {
        changes: [change("tunnel.a: new: opened", "add"), change("lcce.x: needs a restart", "restart")],
        warnings: ["w"],
      },
      1,
      "tunnel.a: new: opened\nlcce.x: needs a restart\n",
      "warning: w\n",
    ],
    ["a broken file", { problems: ["site.toml:1: x", "site.toml:2: y"] }, 1, "", "site.toml:1: x\nsite.toml:2: y\n"],
  ];
  test.each(ROWS)("%s", async (_, result, code, out, err) => {
    await startDaemon({ ok: true, result: { ...NOTHING, ...result } });
    expect(await command("reload --socket PATH")).toEqual({ code, out, err });
    expect(await command("--conf FILE reload")).toEqual({ code, out, err });
    expect(asked).toEqual([{ command: "reload" }, { command: "reload" }]);
  });

  test("--dry-run: what it would do; that something would need a restart is no failure", async () => {
    const report = { ...NOTHING, dryRun: true, changes: [change("lcce.x: needs a restart", "restart")] };
    await startDaemon({ ok: true, result: report });
    expect(await command("reload --dry-run --socket PATH")).toEqual({
      code: 0,
      out: "lcce.x: needs a restart\n",
      err: "",
    });
    const { code, out } = await command("reload --dry-run --json --socket PATH");
    const { dryRun: dry_run, ...rest } = report;
    expect([code, JSON.parse(out)]).toEqual([0, { dry_run, ...rest }]);
    expect(asked).toEqual([1, 2].map(() => ({ command: "reload", dryRun: true })));
  });

  test("--dry-run without a difference, and of a broken file", async () => {
    await startDaemon({ ok: true, result: { ...NOTHING, dryRun: true } });
    expect(await command("reload --dry-run --socket PATH")).toEqual({
      code: 0,
      out: "nothing would change\n",
      err: "",
    });
  });

  test("a broken file is told before the daemon is asked", async () => {
    await startDaemon({ ok: true, result: NOTHING });
    await writeFile(conf, "x = 1\n");
    expect(await command("reload --conf FILE")).toEqual({
      code: 1,
      out: "",
      err: `${conf}:1: x: unknown table or key\n`,
    });
    expect(asked).toEqual([]);
  });
});

describe("without a daemon", () => {
  test.each(["show", "open a", "close a/s", "reload"])("%s: one line and exit code 1", async (line) => {
    expect(await command(`${line} --conf FILE`)).toEqual({
      code: 1,
      out: "",
      err: `l2tpv3-lcc: no daemon at ${socketPath}: there is no such socket\n`,
    });
  });

  test("a configuration that is wrong: exit code 2", async () => {
    await writeFile(conf, "x = 1\n");
    expect(await command("show --conf FILE")).toEqual({
      code: 2,
      out: "",
      err: `${conf}:1: x: unknown table or key\n`,
    });
  });

  test("something else that hangs up", async () => {
    const server = createServer((socket) => socket.resume().end("hello\n"));
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    expect(await command("show --socket PATH")).toEqual({
      code: 1,
      out: "",
      err: `l2tpv3-lcc: no daemon at ${socketPath}: it ended the connection without an answer\n`,
    });
    await new Promise((resolve) => server.close(resolve));
  });
});

describe("replay", () => {
  const HEADER = { format: 1, version: "9.9.9", recorded: "2030-01-01T00:00:00.000Z", now: 5 };
  const SITE = { hostname: "site-a", routerId: 1, tunnels: [] };
  const header = JSON.stringify({ ...HEADER, configuration: SITE });

  test("what happens, in words and as JSON", async () => {
    await writeFile(conf, `${header}\n{"at":1005,"input":{"type":"start"}}\n{"at":2005,"expire":true}\n`);
    expect(await command("replay FILE")).toEqual({
      code: 0,
      out:
        "site-a, tunnels: none; recorded by l2tpv3-lcc 9.9.9, 2030-01-01T00:00:00.000Z\n" +
        "+1.000 start\n+2.000 timer\n",
      err: "",
    });
    const { code, out } = await command("replay FILE --json");
    expect(code).toBe(0);
    expect(
      out
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { at: 1005, input: { type: "start" }, effects: [], changes: [] },
      { at: 2005, effects: [], changes: [] },
    ]);
  });

  const input = '"input":{"type":"start"}';
  test.each([
    ["an empty file", "", "FILE: nothing is recorded in it"],
    ["no recording", '{"tunnels":[]}\n', "FILE:1: this is no recording of l2tpv3-lcc"],
    ["another format", '{"format":2,"version":"7.0","configuration":{}}\n', "FILE:1: the recording has format 2"],
    ["half a header", '{"format":1,"configuration":{"tunnels":[]}}\n', "FILE:1: the header of the recording"],
    ["a cut line", `${header}\n{"at":1,${input}}\n{"at":2,"inp`, "FILE:3: broken or cut off: this is not JSON"],
    ["an empty line", `${header}\n\n`, "FILE:2: broken or cut off: this is not JSON"],
    ["no instant", `${header}\n{${input}}\n`, 'FILE:2: "at" has to be a number'],
    ["no input", `${header}\n{"at":1}\n`, 'FILE:2: there is neither an "input" nor "expire"'],
    ["strange chance", `${header}\n{"at":1,${input},"drawn":["xyz"]}\n`, 'FILE:2: "drawn" has to be a list'],
    [
      "chance that is not asked for",
      `${header}\n{"at":1,${input},"drawn":[7]}\n`,
      "FILE:2: the replay departs from the recording here: 1 of the 1 values that the core drew are not asked for",
    ],
  ])("%s", async (_, text, message) => {
    await writeFile(conf, text);
    const { code, err } = await command("replay FILE");
    expect(code).toBe(1);
    expect(err).toContain(`l2tpv3-lcc: ${message.replace("FILE", conf)}`);
    expect(err.split("\n").length).toBe(2);
  });

  test("a file that is not there", async () => {
    const { code, err } = await command("replay /nonexistent");
    expect(code).toBe(1);
    expect(err).toMatch(/^l2tpv3-lcc: ENOENT: .*nonexistent'\n$/);
  });
});
