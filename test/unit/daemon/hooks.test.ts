import { describe, expect, test } from "vitest";
import type { HookEvent } from "../../../src/config/site.ts";
import type { HookEnd, HookRequest } from "../../../src/daemon/hook-process.ts";
import { Hooks } from "../../../src/daemon/hooks.ts";
import type { LogEntry } from "../../../src/daemon/log.ts";
import type { Transition } from "../../../src/daemon/transitions.ts";
import { metricsSource } from "../../support/metrics-source.ts";

const [TUNNEL] = metricsSource().view.tunnels;

function transition(event: HookEvent, tunnelName: string, sessionName?: string): Transition {
  if (TUNNEL === undefined) throw new Error("no tunnel");
  const [session] = TUNNEL.sessions;
  const named =
    session === undefined || sessionName === undefined ? {} : { session: { ...session, name: sessionName } };
  return { event, tunnel: { ...TUNNEL, name: tunnelName }, ...named, reason: "" };
}

/** Hooks whose processes end when the test says so. */
function withFakes(timeoutMs = 60_000) {
  const begun: { readonly request: HookRequest; readonly end: (end: HookEnd) => void }[] = [];
  const killed: string[] = [];
  const log: LogEntry[] = [];
  const commands = { "tunnel-up": ["/up", "now"], "tunnel-down": ["/down"], "session-up": ["/session"] };
  const hooks = new Hooks({ commands, timeoutMs }, { write: (entry) => void log.push(entry) }, (request) => {
    let end: (end: HookEnd) => void = () => undefined;
    const ended = new Promise<HookEnd>((resolve) => {
      end = resolve;
    });
    begun.push({ request, end });
    const kill = () => {
      killed.push(nameOf(request));
      end({ ok: false, words: "killed by SIGKILL" });
    };
    return { ended, kill };
  });
  const started = () => begun.map(({ request }) => nameOf(request));
  /** When everything that can begin has begun. */
  const settle = async () => {
    for (let round = 0; round < 100; round++) await new Promise((resolve) => setImmediate(resolve));
  };
  return { hooks, begun, killed, log, started, settle };
}

function nameOf({ environment }: HookRequest): string {
  return [environment["L2TP_EVENT"], environment["L2TP_TUNNEL"], environment["L2TP_SESSION"]].filter(Boolean).join(" ");
}

const GOOD: HookEnd = { ok: true, words: "exit code 0" };

describe("hooks", () => {
  test("are run with command, environment and timeout; output and end are logged, and counted", async () => {
    const { hooks, begun, log, settle } = withFakes();
    hooks.tell(transition("tunnel-up", "t"));
    expect(begun).toEqual([]);
    await settle();
    expect(begun[0]?.request).toMatchObject({ command: ["/up", "now"], timeoutMs: 60_000 });
    begun[0]?.request.onLine("a word");
    begun[0]?.end(GOOD);
    await settle();
    const place = { tunnel: "t", details: { hook: "tunnel-up" } };
    expect(log).toEqual([
      { level: "info", event: "hook-output", message: "a word", ...place },
      {
        level: "info",
        event: "hook-ended",
        message: expect.stringMatching(/^hook tunnel-up, \/up: exit code 0 \(\d+ ms\)$/),
        ...place,
      },
    ]);
    expect(hooks.counts.get("tunnel-up")).toEqual({ run: 1, failed: 0, dropped: 0 });
  });

  test("that fail are warned of", async () => {
    const { hooks, begun, log, settle } = withFakes();
    hooks.tell(transition("session-up", "t", "s"));
    await settle();
    begun[0]?.end({ ok: false, words: "exit code 7" });
    await settle();
    expect(log).toMatchObject([{ level: "warn", event: "hook-failed", tunnel: "t", session: "s" }]);
    expect(hooks.counts.get("session-up")).toEqual({ run: 1, failed: 1, dropped: 0 });
  });

  test("for which there is no command are none", async () => {
    const { hooks, started, settle } = withFakes();
    hooks.tell(transition("circuit-status", "t", "s"));
    await settle();
    expect(started()).toEqual([]);
    expect([hooks.wanted, new Hooks({ commands: {}, timeoutMs: 1 }, { write: () => undefined }).wanted]).toEqual([
      true,
      false,
    ]);
  });

  test("of one tunnel, and of one session, wait for each other, in order; those of others do not", async () => {
    const { hooks, begun, started, settle } = withFakes();
    hooks.tell(transition("tunnel-up", "t"));
    hooks.tell(transition("tunnel-down", "t"));
    hooks.tell(transition("session-up", "t", "s"));
    hooks.tell(transition("tunnel-up", "u"));
    await settle();
    expect(started()).toEqual(["tunnel-up t", "session-up t s", "tunnel-up u"]);
    begun[0]?.end(GOOD);
    await settle();
    expect(started().at(-1)).toBe("tunnel-down t");
  });

  test("are eight at a time, and everybody has a turn before anybody has a second one", async () => {
    const { hooks, begun, started, settle } = withFakes();
    for (const event of ["tunnel-up", "tunnel-down"] as const) {
      for (let n = 0; n < 10; n++) hooks.tell(transition(event, `t${n}`));
    }
    await settle();
    expect(started()).toHaveLength(8);
    for (let n = 0; n < 20; n++) {
      begun[n]?.end(GOOD);
      await settle();
    }
    expect(started().slice(0, 10)).toEqual(Array.from({ length: 10 }, (_, n) => `tunnel-up t${n}`));
    expect(started()).toHaveLength(20);
    for (let n = 0; n < 10; n++) {
      expect(started().filter((name) => name.endsWith(` t${n}`))).toEqual([`tunnel-up t${n}`, `tunnel-down t${n}`]);
    }
  });

  test("that nobody gets round to are dropped, the oldest first: the last one tells how things are", async () => {
    const { hooks, begun, log, started, settle } = withFakes();
    hooks.tell(transition("tunnel-up", "t"));
    await settle();
    for (let n = 0; n < 10; n++) {
      hooks.tell(transition("tunnel-down", "t"));
      hooks.tell(transition("tunnel-up", "t"));
    }
    expect(log).toHaveLength(4);
    expect(log[0]).toMatchObject({ level: "warn", event: "hook-dropped", tunnel: "t" });
    for (let n = 0; n < 20; n++) {
      begun[n]?.end(GOOD);
      await settle();
    }
    expect(started()).toHaveLength(17);
    expect(started().at(-1)).toBe("tunnel-up t");
    expect(hooks.counts.get("tunnel-down")).toEqual({ run: 8, failed: 0, dropped: 2 });
  });
});

describe("the end of the daemon", () => {
  test("waits until all have run, and no longer", async () => {
    const { hooks, begun, killed, started, settle } = withFakes();
    hooks.tell(transition("tunnel-up", "t"));
    hooks.tell(transition("tunnel-down", "t"));
    let over = false;
    const finished = hooks.finish().then(() => {
      over = true;
    });
    await settle();
    begun[0]?.end(GOOD);
    await settle();
    expect([over, started()]).toEqual([false, ["tunnel-up t", "tunnel-down t"]]);
    begun[1]?.end(GOOD);
    await finished;
    expect(killed).toEqual([]);
  });

  test("comes at once where none is under way", async () => {
    await withFakes().hooks.finish();
  });

  test("takes those with it that hang, and says which ones were not run", async () => {
    const { hooks, killed, log, started, settle } = withFakes(100);
    hooks.tell(transition("tunnel-up", "t"));
    hooks.tell(transition("tunnel-down", "t"));
    const began = performance.now();
    await hooks.finish();
    // The timeout, and the grace between SIGTERM and SIGKILL.
    expect(performance.now() - began).toBeGreaterThan(2_000);
    await settle();
    expect([killed, started()]).toEqual([["tunnel-up t"], ["tunnel-up t"]]);
    expect(log.map(({ event, message }) => [event, message.split(":")[0]])).toEqual([
      ["hook-dropped", "hook tunnel-down is not run"],
      ["hook-failed", "hook tunnel-up, /up"],
    ]);
    hooks.tell(transition("tunnel-up", "t"));
    await settle();
    expect(started()).toHaveLength(1);
  });
});

test("with another configuration its commands are run, and nothing for an event that it has not", async () => {
  const { hooks, begun, settle } = withFakes();
  hooks.follow({ commands: { "session-down": ["/gone"] }, timeoutMs: 5 });
  expect(hooks.wanted).toBe(true);
  hooks.tell(transition("tunnel-up", "a"));
  hooks.tell(transition("session-down", "a", "x"));
  await settle();
  expect(begun.map(({ request }) => [request.command, request.timeoutMs])).toEqual([[["/gone"], 5]]);
  expect([...hooks.counts.keys()]).toEqual(["tunnel-up", "tunnel-down", "session-up", "session-down"]);
  hooks.follow({ commands: {}, timeoutMs: 5 });
  expect(hooks.wanted).toBe(false);
});
