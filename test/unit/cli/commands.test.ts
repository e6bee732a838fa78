import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseArguments } from "../../../src/cli/arguments.ts";
import { check } from "../../../src/cli/check.ts";
import { openOrClose } from "../../../src/cli/open-close.ts";
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
      case "run":
      case "help":
      case "version":
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
  test.each(["open", "close"] as const)("%s", async (verb) => {
    await startDaemon({ ok: true, result: null });
    expect(await command(`${verb} a --socket PATH`)).toEqual({ code: 0, out: "", err: "" });
    expect(await command(`--conf FILE ${verb} a/s`)).toEqual({ code: 0, out: "", err: "" });
    expect(asked).toEqual([
      { command: verb, tunnel: "a" },
      { command: verb, tunnel: "a", session: "s" },
    ]);
  });
});

describe("without a daemon", () => {
  test.each(["show", "open a", "close a/s"])("%s: one line and exit code 1", async (line) => {
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
