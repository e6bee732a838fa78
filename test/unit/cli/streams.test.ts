import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventLine } from "../../../src/cli/event-line.ts";
import { events } from "../../../src/cli/events.ts";
import type { Screen } from "../../../src/cli/screen.ts";
import { watch } from "../../../src/cli/watch.ts";
import type { AdminRequest } from "../../../src/daemon/admin-protocol.ts";
import { type AdminSocket, openAdminSocket } from "../../../src/daemon/admin-socket.ts";
import type { DaemonEvent } from "../../../src/daemon/event-feed.ts";
import { buildShowReport } from "../../../src/daemon/show-report.ts";
import { until } from "../../support/daemon-process.ts";
import { detailsFor, sessionView, tunnelView } from "../../support/show-views.ts";

const LIMIT_MS = 10_000;

let directory: string;
let path: string;
let server: AdminSocket | undefined;
let tell: ((item: unknown) => void) | undefined;
let state = "established";

const event = (more: Partial<DaemonEvent> = {}): DaemonEvent => ({
  time: new Date(2026, 0, 2, 3, 4, 5, 6).toISOString(),
  level: "warn",
  event: "session-down",
  message: "session is down on l2-paris42: \u001b[2J",
  tunnel: "paris",
  session: "lan42",
  ...more,
});

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "streams-"));
  path = join(directory, "admin.sock");
  tell = undefined;
  state = "established";
});

afterEach(async () => {
  await server?.close();
  server = undefined;
  await rm(directory, { recursive: true, force: true });
});

async function serve(): Promise<void> {
  server = await openAdminSocket(path, async (request: AdminRequest) => {
    if (request.command === "show") return { ok: true, result: report() };
    return {
      stream: (listener) => {
        tell = listener;
        return () => {
          tell = undefined;
        };
      },
    };
  });
}

function report() {
  const view = tunnelView({ state, sessions: Array.from({ length: 40 }, () => sessionView({ state })) });
  return buildShowReport({
    view: { hostname: "site-a", routerId: 1, tunnels: [view] },
    details: [detailsFor(view)],
    counters: [],
    datapath: "none",
    version: "1.2.3",
    toDate: (instant) => new Date(instant),
  });
}

/** A user at a terminal that remembers everything. */
function user() {
  const written = { out: "", err: "" };
  const acts: (() => void)[] = [];
  const interrupt = () => {
    for (const act of acts.splice(0)) act();
  };
  return {
    written,
    interrupt,
    terminal: {
      out: (text: string) => {
        written.out += text;
      },
      err: (text: string) => {
        written.err += text;
      },
    },
    interruption: { interrupt, on: (act: () => void) => acts.push(act) },
  };
}

const command = (json = false) => ({ command: "events", json, daemon: { conf: undefined, socket: path } }) as const;
const followed = () => until("it follows", LIMIT_MS, () => tell);

describe("events", () => {
  test("a line each, until Ctrl-C: done", async () => {
    await serve();
    const { terminal, written, interruption, interrupt } = user();
    const code = events(command(), terminal, interruption);
    (await followed())(event());
    await until("a line", LIMIT_MS, () => written.out.includes("\n"));
    interrupt();
    expect(await code).toBe(0);
    expect(written).toEqual({
      out: "03:04:05.006  warn   session-down  paris/lan42: session is down on l2-paris42: ?[2J\n",
      err: "",
    });
    await until("the daemon knows", LIMIT_MS, () => tell === undefined);
  });

  test("--json: as they came", async () => {
    await serve();
    const { terminal, written, interruption, interrupt } = user();
    const code = events(command(true), terminal, interruption);
    (await followed())(event());
    await until("a line", LIMIT_MS, () => written.out.includes("\n"));
    interrupt();
    expect(await code).toBe(0);
    expect(JSON.parse(written.out)).toEqual(event());
  });

  test("the daemon's end: said, and failed", async () => {
    await serve();
    const { terminal, written, interruption } = user();
    const code = events(command(), terminal, interruption);
    await followed();
    await server?.close();
    expect(await code).toBe(1);
    expect(written.err).toBe("l2tpv3-lcc: the daemon has stopped\n");
  });

  test("what cannot be written is said, and the end", async () => {
    await serve();
    const { terminal, written, interruption } = user();
    const full = () => {
      throw new Error("ENOSPC: no space left on device, write");
    };
    const code = events(command(), { ...terminal, out: full }, interruption);
    (await followed())(event());
    expect(await code).toBe(1);
    expect(written.err).toBe("l2tpv3-lcc: ENOSPC: no space left on device, write\n");
    await until("the daemon knows", LIMIT_MS, () => tell === undefined);
  });

  test("no daemon", async () => {
    const { terminal, written, interruption } = user();
    expect(await events(command(), terminal, interruption)).toBe(1);
    expect(written.err).toBe(`l2tpv3-lcc: no daemon at ${path}: there is no such socket\n`);
  });

  test("of the daemon itself, and without a session", () => {
    const { tunnel: _, session: __, ...own } = event({ level: "info", message: "m", event: "e" });
    expect(eventLine(own)).toBe("03:04:05.006  info   e  m");
    expect(eventLine({ ...own, tunnel: "paris" })).toBe("03:04:05.006  info   e  paris: m");
  });
});

class FakeScreen implements Screen {
  readonly columns = 80;
  rows = 24;
  readonly drawn: (readonly string[])[] = [];
  closed = false;
  readonly #acts = new Map<string, (key: string) => void>();

  draw(lines: readonly string[]): void {
    this.drawn.push(lines);
  }

  on(news: "key" | "resize", act: (key: string) => void): void {
    this.#acts.set(news, act);
  }

  happens(news: "key" | "resize", key = ""): void {
    this.#acts.get(news)?.(key);
  }

  close(): void {
    this.closed = true;
  }
}

const watchCommand = { command: "watch", daemon: { conf: undefined, socket: "" } } as const;

describe("watch", () => {
  const run = (who: ReturnType<typeof user>, screen?: FakeScreen) =>
    watch({ ...watchCommand, daemon: { conf: undefined, socket: path } }, who.terminal, {
      openScreen: () => screen,
      interruption: who.interruption,
    });

  test("draws what fits, again when something happens, and leaves with q", async () => {
    await serve();
    const who = user();
    const screen = new FakeScreen();
    const code = run(who, screen);
    const push = await followed();
    const last = () => (screen.drawn.at(-1) ?? []).join("\n");
    expect(last()).toContain("paris");
    expect(last()).toMatch(/… \d+ more lines/);
    state = "idle";
    push(event());
    await until("drawn anew", LIMIT_MS, () => last().includes("session-down") && last().includes("idle"));
    for (let count = 0; count < 100; count++) push(event({ event: `e${count}` }));
    await until("the last one", LIMIT_MS, () => last().includes("e99"));
    screen.rows = 10;
    screen.happens("resize");
    for (const lines of screen.drawn) {
      expect(lines.length).toBeLessThanOrEqual(24);
      expect(lines.filter(({ length }) => length > 80)).toEqual([]);
    }
    expect(screen.drawn.at(-1)?.length).toBeLessThanOrEqual(10);
    expect(last()).toContain("q: quit");
    screen.happens("key", "q");
    expect(await code).toBe(0);
    expect(screen.closed).toBe(true);
    expect(who.written).toEqual({ out: "", err: "" });
  });

  test("the screen is given back before it says that the daemon has ended", async () => {
    await serve();
    const who = user();
    const screen = new FakeScreen();
    const code = run(who, screen);
    await followed();
    await server?.close();
    expect(await code).toBe(1);
    expect([screen.closed, who.written.err]).toEqual([true, "l2tpv3-lcc: the daemon has stopped\n"]);
  });

  test("through a pipe: the table once, then a line for each event", async () => {
    await serve();
    const who = user();
    const code = run(who);
    (await followed())(event());
    await until("a line", LIMIT_MS, () => who.written.out.includes("session-down"));
    who.interrupt();
    expect(await code).toBe(0);
    expect(who.written.out.match(/TUNNEL \/ SESSION/g)).toHaveLength(1);
    expect(who.written.out).not.toContain("\u001b");
  });

  test("no daemon: no screen is taken", async () => {
    const who = user();
    const screen = new FakeScreen();
    expect(await run(who, screen)).toBe(1);
    expect([screen.drawn, who.written.err]).toEqual([
      [],
      `l2tpv3-lcc: no daemon at ${path}: there is no such socket\n`,
    ]);
  });
});
