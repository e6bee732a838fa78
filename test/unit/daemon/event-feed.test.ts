import { expect, test } from "vitest";
import { type DaemonEvent, EventFeed } from "../../../src/daemon/event-feed.ts";
import type { LogEntry } from "../../../src/daemon/log.ts";
import { Transitions } from "../../../src/daemon/transitions.ts";
import { A, B, lcce, session, tunnel } from "../../support/sites.ts";
import { VirtualLink } from "../../support/virtual-link.ts";

/** What is told from the log and from the core, as in the daemon. */
function fed() {
  const link = new VirtualLink();
  const sessions = [session("lan42", { circuit: "eth1" })];
  const node = link.add(A, lcce("site-a", tunnel("b", { peer: B, sessions })), 1);
  link.add(B, lcce("site-b", tunnel("a", { peer: A, role: "responder", sessions })), 2);
  const feed = new EventFeed(() => transitions.review());
  const transitions = new Transitions(
    (transition) => feed.tellTransition(transition),
    () => feed.wanted,
  );
  const { core } = node;
  const watched = transitions.watch({
    receive: core.receive.bind(core),
    expire: core.expire.bind(core),
    nextDeadline: core.nextDeadline.bind(core),
    idle: core.idle.bind(core),
    view: core.view.bind(core),
  });
  node.core = new Proxy(core, {
    get: (target, name) => {
      const of = name === "receive" || name === "expire" ? watched : target;
      return Reflect.get(of, name, of).bind(of);
    },
  });
  const written: LogEntry[] = [];
  const own = { tracing: false, setLevel: () => {}, write: (entry: LogEntry) => void written.push(entry) };
  const log = feed.tee(own);
  const told: DaemonEvent[] = [];
  const look = () => {
    transitions.look();
    return told.splice(0);
  };
  link.start();
  return { link, node, feed, log, written, told, look };
}

test("what becomes of tunnel, session and circuit, from when somebody listens on", () => {
  const { link, node, feed, told, look } = fed();
  link.run(5_000);
  expect(look()).toEqual([]);
  const stop = feed.subscribe((event) => told.push(event));
  expect(look()).toEqual([]);
  node.receive({ type: "circuit", interfaceName: "eth1", condition: "no-carrier" });
  link.run(1_000);
  expect(look()).toMatchObject([
    {
      event: "circuit-status",
      level: "info",
      tunnel: "b",
      session: "lan42",
      message: "circuits have changed on l2-lan42, circuit down at this end, up at the peer's",
      details: { local_circuit: "down", remote_circuit: "up", interface: "l2-lan42" },
    },
  ]);
  node.receive({ type: "close", tunnel: "b" });
  link.run(1_000);
  expect(look().map(({ level, event, message }) => [level, event, message])).toEqual([
    ["warn", "session-down", "session is down on l2-lan42: closed by the administrator"],
    ["warn", "tunnel-down", "tunnel is down: closed by the administrator"],
  ]);
  stop();
  node.receive({ type: "open", tunnel: "b" });
  link.run(5_000);
  expect(look()).toEqual([]);
  // Again: what has happened in between is no news.
  feed.subscribe((event) => told.push(event));
  node.receive({ type: "close", tunnel: "b", session: "lan42" });
  link.run(1_000);
  expect(look().map(({ event }) => event)).toEqual(["session-down"]);
});

test("the log from level info on, without secrets, and without what is told otherwise", () => {
  const { feed, log, written, told } = fed();
  const entry = (level: LogEntry["level"], event: string): LogEntry => ({ level, event, message: `${event}!` });
  log.write(entry("info", "before"));
  feed.subscribe((event) => told.push(event));
  log.write({
    ...entry("warn", "odd"),
    tunnel: "b",
    session: "lan42",
    details: { secret: "xyzzy", cookie: 1, peer: "x" },
  });
  for (const event of ["control-connection-established", "session-established"]) log.write(entry("info", event));
  for (const level of ["debug", "trace"] as const) log.write(entry(level, "detail"));
  log.write(entry("info", "reloaded"));
  expect(written).toHaveLength(7);
  expect(told).toEqual([
    {
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      level: "warn",
      event: "odd",
      message: "odd!",
      tunnel: "b",
      session: "lan42",
      details: { peer: "x" },
    },
    { time: expect.any(String), level: "info", event: "reloaded", message: "reloaded!" },
  ]);
});
