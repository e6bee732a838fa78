import type { DaemonEvent } from "../daemon/event-feed.ts";
import type { ShowReport } from "../daemon/show-report.ts";
import { ask, socketPath } from "./admin-client.ts";
import type { WatchCommand } from "./arguments.ts";
import { eventLine } from "./event-line.ts";
import { concludeStream, follow } from "./follow.ts";
import type { Interruption } from "./interruption.ts";
import type { Screen } from "./screen.ts";
import { renderReport } from "./show-table.ts";
import { cut } from "./table.ts";
import { complain, EXIT, printable, type Terminal } from "./terminal.ts";

const REFRESH_MS = 1_000;
/** Events come in bursts: a thousand sessions come up with as many. */
const SOONEST_MS = 100;
const EVENTS_KEPT = 50;
/** Part of the screen that events get. */
const EVENT_SHARE = 1 / 3;

const CTRL_C = "\u0003";

export interface Watcher {
  /** The terminal, where there is one: asked for when the daemon has answered. */
  readonly openScreen: () => Screen | undefined;
  readonly interruption: Interruption & { readonly interrupt: () => void };
}

/** `watch`: the table and the last events, drawn anew; through a pipe the table once, and then a line for each event. */
export async function watch({ daemon }: WatchCommand, terminal: Terminal, watcher: Watcher): Promise<number> {
  const path = await socketPath(daemon, terminal);
  if (path === undefined) return EXIT.wrongUsage;
  const first = await ask(path, { command: "show" });
  if (!first.ok) {
    complain(terminal, printable(first.error));
    return EXIT.failed;
  }
  const screen = watcher.openScreen();
  const view = new LiveView(first.result as ShowReport);
  if (screen === undefined) terminal.out(view.table(terminal.width?.()));
  const tell =
    screen === undefined
      ? (event: DaemonEvent) => terminal.out(`${eventLine(event)}\n`)
      : view.follow(path, screen, watcher);
  const outcome = await follow(path, { command: "events" }, (item) => tell(item as DaemonEvent), watcher.interruption);
  view.stop();
  screen?.close();
  return concludeStream(outcome, terminal);
}

/** What is on the screen. */
class LiveView {
  #report: ShowReport;
  readonly #events: DaemonEvent[] = [];
  #timer: NodeJS.Timeout | undefined;
  #due = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(report: ShowReport) {
    this.#report = report;
  }

  table(width: number | undefined): string {
    return renderReport(this.#report, undefined, new Date(), width);
  }

  /** Draws from now on. Returns who has to be told of events. */
  follow(path: string, screen: Screen, { interruption }: Watcher): (event: DaemonEvent) => void {
    const draw = () => screen.draw(this.#lines(screen));
    const refresh = async () => {
      const reply = await ask(path, { command: "show" });
      // That it has gone says the end of the stream.
      if (reply.ok) this.#report = reply.result as ShowReport;
      if (this.#stopped) return;
      draw();
      this.#schedule(REFRESH_MS, refresh);
    };
    screen.on("resize", draw);
    screen.on("key", (key) => {
      if (key === "q" || key === CTRL_C) interruption.interrupt();
    });
    draw();
    this.#schedule(REFRESH_MS, refresh);
    return (event) => {
      this.#events.push(event);
      if (this.#events.length > EVENTS_KEPT) this.#events.shift();
      this.#schedule(SOONEST_MS, refresh);
    };
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Once, at the earliest of the times that were asked for. */
  #schedule(delayMs: number, act: () => Promise<void>): void {
    const due = performance.now() + delayMs;
    if (due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => {
      this.#due = Number.POSITIVE_INFINITY;
      void act();
    }, delayMs);
  }

  #lines({ columns, rows }: Screen): readonly string[] {
    const table = this.table(columns).trimEnd().split("\n");
    const room = rows - 2;
    const forEvents = Math.max(Math.floor(room * EVENT_SHARE), room - table.length - 1);
    const events = forEvents < 1 ? [] : this.#events.slice(-forEvents).map((event) => cut(eventLine(event), columns));
    const forTable = room - (events.length === 0 ? 0 : events.length + 1);
    const shown =
      table.length <= forTable
        ? table
        : [...table.slice(0, forTable - 1), `… ${table.length - forTable + 1} more lines`];
    const now = new Date().toLocaleTimeString("en-GB");
    return [
      ...shown.map((line) => cut(line, columns)),
      ...(events.length === 0 ? [] : ["", ...events]),
      "",
      cut(`${now}  q: quit`, columns),
    ];
  }
}
