import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AdminSocket, openAdminSocket } from "../../../src/daemon/admin-socket.ts";
import { until } from "../../support/daemon-process.ts";

const LIMIT_MS = 10_000;

let directory: string;
let path: string;
let server: AdminSocket;
/** Whoever follows now. */
const followers = new Set<(item: unknown) => void>();
const tellAll = (item: unknown) => {
  for (const tell of followers) tell(item);
};

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "admin-stream-"));
  path = join(directory, "admin.sock");
  followers.clear();
  server = await openAdminSocket(
    path,
    async (request) => {
      if (request.command !== "events") return { ok: true, result: request.command };
      return {
        stream: (tell) => {
          followers.add(tell);
          return () => followers.delete(tell);
        },
      };
    },
    { idleMs: 100 },
  );
});

afterEach(async () => {
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

interface Client {
  readonly socket: Socket;
  readonly lines: unknown[];
  readonly closed: Promise<unknown>;
}

function client(request = '{"command":"events"}\n'): Client {
  const socket = connect(path);
  if (request !== "") socket.write(request);
  socket.on("error", () => undefined);
  const lines: unknown[] = [];
  createInterface({ input: socket }).on("line", (line) => lines.push(JSON.parse(line)));
  return { socket, lines, closed: new Promise((resolve) => socket.on("close", resolve)) };
}

const followed = (count: number) => until(`${count} follow`, LIMIT_MS, () => followers.size === count);

describe("a stream of the admin socket", () => {
  test("each item is a line, for as long as the client stays, however silent it is", async () => {
    const one = client();
    await followed(1);
    // Longer than a client may be idle that has asked for nothing.
    await new Promise((resolve) => setTimeout(resolve, 300));
    tellAll({ event: "a" });
    tellAll({ event: "b" });
    await until("two lines", LIMIT_MS, () => one.lines.length === 3);
    expect(one.lines).toEqual([{ ok: true, result: null }, { event: "a" }, { event: "b" }]);
    one.socket.end();
    await followed(0);
    await one.closed;
  });

  test("a client that is killed is forgotten", async () => {
    const one = client();
    await followed(1);
    one.socket.destroy();
    await followed(0);
  });

  test("who ends its half with the request wants no stream", async () => {
    const one = client("");
    one.socket.end('{"command":"events"}\n');
    await one.closed;
    expect(followers.size).toBe(0);
  });

  test("the daemon's end is told", async () => {
    const one = client();
    await followed(1);
    tellAll({ event: "last" });
    await server.close();
    await one.closed;
    expect(one.lines).toEqual([{ ok: true, result: null }, { event: "last" }, { end: "the daemon has stopped" }]);
    expect(followers.size).toBe(0);
  });

  test("who does not read is cut off, and keeps nobody waiting", async () => {
    const slow = client("");
    slow.socket.pause();
    slow.socket.write('{"command":"events"}\n');
    await followed(1);
    const item = { text: "x".repeat(10_000) };
    const quick = client();
    await followed(2);
    for (let count = 0; count < 1_000; count++) {
      tellAll(item);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until("all of it", LIMIT_MS, () => quick.lines.length === 1_001);
    expect(followers.size).toBe(1);
    slow.socket.resume();
    await slow.closed;
    // What it had got by then, and what waited for it in the kernel.
    expect(slow.lines.length).toBeLessThan(300);
    quick.socket.end();
    await followed(0);
  });

  test("what waits for a reader is bounded, even if all happens at once", async () => {
    const one = client();
    await followed(1);
    for (let count = 0; count < 1_000; count++) tellAll({ text: "x".repeat(10_000) });
    await one.closed;
    expect(one.lines.length).toBeLessThan(300);
    expect(one.lines.at(-1)).not.toHaveProperty("end");
  });

  test("a client that does not read does not hold up the end", async () => {
    const slow = client("");
    slow.socket.pause();
    slow.socket.write('{"command":"events"}\n');
    await followed(1);
    for (let count = 0; count < 80; count++) tellAll({ text: "x".repeat(10_000) });
    const began = performance.now();
    await server.close();
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  test("only so many may follow, and others are served all the same", async () => {
    const clients = Array.from({ length: 16 }, () => client());
    await followed(16);
    const late = client();
    await late.closed;
    expect(late.lines).toEqual([{ ok: false, error: "more than 16 follow already" }]);
    const other = client("");
    other.socket.end('{"command":"reload"}\n');
    await other.closed;
    expect(other.lines).toEqual([{ ok: true, result: "reload" }]);
    for (const { socket } of clients) socket.destroy();
    await followed(0);
  });
});
