import { chmod, lstat, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AdminReply, type AdminRequest, parseAdminRequest } from "../../../src/daemon/admin-protocol.ts";
import { type AdminSocket, openAdminSocket } from "../../../src/daemon/admin-socket.ts";

let directory: string;
let path: string;
const open: AdminSocket[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "admin-socket-"));
  path = join(directory, "run", "admin.sock");
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((socket) => socket.close()));
  await rm(directory, { recursive: true, force: true });
});

/** Answers with what it was asked. */
const echo = async (request: AdminRequest): Promise<AdminReply> => ({ ok: true, result: request });

async function serve(handle = echo, idleMs?: number): Promise<AdminSocket> {
  const socket = await openAdminSocket(path, handle, idleMs === undefined ? {} : { idleMs });
  open.push(socket);
  return socket;
}

/** Everything that the server says until it ends the connection. */
function converse(talk: (socket: Socket) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => talk(socket));
    let received = "";
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      received += text;
    });
    socket.on("end", () => {
      socket.destroy();
      resolve(received);
    });
    socket.on("error", reject);
  });
}

const replies = (text: string): unknown[] =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));

describe("requests and replies", () => {
  test("one line each way", async () => {
    await serve();
    const text = await converse((socket) => socket.end('{"command":"close","tunnel":"paris","session":"lan42"}\n'));
    expect(text).toBe('{"ok":true,"result":{"command":"close","tunnel":"paris","session":"lan42"}}\n');
  });

  test("several requests in one piece are answered in order, one at a time", async () => {
    let running = 0;
    let most = 0;
    await serve(async (request) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return { ok: true, result: request.command === "show" ? request.name : undefined };
    });
    const text = await converse((socket) =>
      socket.end(["a", "b", "c"].map((name) => `${JSON.stringify({ command: "show", name })}\n`).join("")),
    );
    expect(replies(text)).toEqual(["a", "b", "c"].map((result) => ({ ok: true, result })));
    expect(most).toBe(1);
  });

  test("a request in pieces, characters torn apart", async () => {
    await serve();
    const octets = Buffer.from('{"command":"show","name":"café"}\n');
    const text = await converse((socket) => {
      const send = (at: number): void => {
        if (at === octets.length) socket.end();
        else socket.write(octets.subarray(at, at + 1), () => setImmediate(() => send(at + 1)));
      };
      send(0);
    });
    expect(replies(text)).toEqual([{ ok: true, result: { command: "show", name: "café" } }]);
  });

  test("a handler that fails", async () => {
    await serve(async () => {
      throw new Error("the core is on fire");
    });
    const text = await converse((socket) => socket.end('{"command":"show"}\n'));
    expect(replies(text)).toEqual([{ ok: false, error: "the core is on fire" }]);
  });

  const MALFORMED: readonly (readonly [line: string, error: string])[] = [
    ["", "not a JSON object"],
    ["show", "not a JSON object"],
    ["[]", "not a JSON object"],
    ["null", "not a JSON object"],
    ["{}", "unknown command undefined"],
    ['{"command":"reboot"}', 'unknown command "reboot"'],
    ['{"command":"show","what":"all"}', 'show: unknown "what" "all"'],
    ['{"command":"show","name":5}', 'show: "name" has to be a string'],
    ['{"command":"open"}', 'open: "tunnel" has to be a name'],
    ['{"command":"close","tunnel":""}', 'close: "tunnel" has to be a name'],
    ['{"command":"trace","secrets":true}', 'trace: "tunnel" has to be a name'],
    ['{"command":"trace","tunnel":"a"}', 'trace: "secrets" has to be true or false'],
    ['{"command":"close","tunnel":"a","session":null}', 'close: "session" has to be a name'],
  ];
  test.each(MALFORMED)("malformed: %s", async (line, error) => {
    await serve();
    const text = await converse((socket) => socket.end(`${line}\n{"command":"show"}\n`));
    expect(replies(text)).toEqual([
      { ok: false, error },
      { ok: true, result: { command: "show" } },
    ]);
  });

  test("no text makes the parser fail, and what it passes survives another parsing", () => {
    const lines = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .record(
          {
            command: fc.constantFrom("show", "open", "close", "reload", "events", "trace", "x"),
            what: fc.constantFrom("tunnels", "x"),
            name: fc.string(),
            tunnel: fc.oneof(fc.string(), fc.integer()),
            session: fc.oneof(fc.string(), fc.constant(null)),
            secrets: fc.oneof(fc.boolean(), fc.constant(1)),
          },
          { requiredKeys: [] },
        )
        .map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(lines, (line) => {
        const request = parseAdminRequest(line);
        if ("error" in request) expect(request.error).not.toBe("");
        else expect(parseAdminRequest(JSON.stringify(request))).toEqual(request);
      }),
    );
  });
});

describe("limits", () => {
  test("a line without an end is refused and the connection closed", async () => {
    await serve();
    const text = await converse((socket) => socket.write("x".repeat(20_000)));
    expect(replies(text)).toEqual([{ ok: false, error: "request longer than 16384 octets" }]);
  });

  test("a client that says nothing is dropped, one that waits for an answer is not", async () => {
    const idleMs = 50;
    await serve(async () => {
      await new Promise((resolve) => setTimeout(resolve, 4 * idleMs));
      return { ok: true, result: "late" };
    }, idleMs);
    const silent = converse(() => undefined);
    const patient = converse((socket) => socket.write('{"command":"show"}\n'));
    expect(await silent).toBe("");
    expect(replies(await patient)).toEqual([{ ok: true, result: "late" }]);
  });

  test("a client that leaves before its answer harms nobody", async () => {
    let left: (() => void) | undefined;
    await serve(async () => {
      await new Promise<void>((resolve) => {
        left = resolve;
        client.destroy();
      });
      return { ok: true, result: "nobody hears this" };
    });
    const client = connect(path, () => client.write('{"command":"show"}\n'));
    await new Promise((resolve) => client.on("close", resolve));
    left?.();
    const text = await converse((socket) => socket.end("[]\n"));
    expect(replies(text)).toEqual([{ ok: false, error: "not a JSON object" }]);
  });
});

describe("the socket in the file system", () => {
  test.each([0o000, 0o022, 0o077])(
    "is for owner and group alone, in a directory that all may enter (umask %o)",
    async (umask) => {
      const before = process.umask(umask);
      try {
        await serve();
        expect(process.umask()).toBe(umask);
      } finally {
        process.umask(before);
      }
      expect((await lstat(path)).mode & 0o777).toBe(0o660);
      expect((await lstat(join(directory, "run"))).mode & 0o777).toBe(0o755);
    },
  );

  test("a directory that is there keeps its rights", async () => {
    await mkdir(join(directory, "run"));
    await chmod(join(directory, "run"), 0o700);
    await serve();
    expect((await lstat(join(directory, "run"))).mode & 0o777).toBe(0o700);
  });

  test("is gone at the end, and with it every client", async () => {
    const server = await serve();
    const client = converse(() => undefined);
    const text = await converse((socket) => socket.end('{"command":"show"}\n'));
    expect(text).not.toBe("");
    open.splice(0);
    await server.close();
    expect(await client).toBe("");
    await expect(lstat(path)).rejects.toThrow("ENOENT");
  });

  test("a living one is left alone", async () => {
    await serve();
    await expect(openAdminSocket(path, echo)).rejects.toThrow(`admin socket ${path}: another daemon is using it`);
    const text = await converse((socket) => socket.end('{"command":"show"}\n'));
    expect(replies(text)).toEqual([{ ok: true, result: { command: "show" } }]);
  });

  test("a stale one is replaced", async () => {
    await mkdir(join(directory, "run"));
    await leaveStaleSocket(path);
    expect((await lstat(path)).isSocket()).toBe(true);
    await serve();
    const text = await converse((socket) => socket.end('{"command":"show"}\n'));
    expect(replies(text)).toEqual([{ ok: true, result: { command: "show" } }]);
  });

  test("a file of that name is left alone", async () => {
    await mkdir(join(directory, "run"));
    await writeFile(path, "precious");
    await expect(openAdminSocket(path, echo)).rejects.toThrow(
      `admin socket ${path}: there is something else of that name`,
    );
    expect((await lstat(path)).size).toBe(8);
  });

  test("a place where none can be made", async () => {
    await writeFile(join(directory, "run"), "a file, not a directory");
    await expect(openAdminSocket(path, echo)).rejects.toThrow(/^admin socket: .*ENOTDIR|^admin socket: .*EEXIST/);
  });
});

/** A socket as a killed daemon leaves it: Node removes the name it bound, not the one it was moved to. */
async function leaveStaleSocket(at: string): Promise<void> {
  const { rename } = await import("node:fs/promises");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${at}.old`, resolve));
  await rename(`${at}.old`, at);
  await new Promise((resolve) => server.close(resolve));
}
