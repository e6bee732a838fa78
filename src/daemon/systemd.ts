import type { LcceView } from "../control/view.ts";
import type { Log } from "./log.ts";
import { NotifySocket } from "./notify-socket.ts";
import { keepWatchdogQuiet, watchdogPeriod } from "./watchdog.ts";

/** How often STATUS= may change. */
const STATUS_MS = 1_000;

const WRONG_FILE = "; the configuration file is wrong now, what it said before is in force (the log says why)";

/** What there is to tell of a daemon that runs. */
export interface Served {
  view(): LcceView;
  /** Whether core and datapath get on with their work. */
  alive(): boolean;
}

/**
 * The service manager that started the daemon (systemd), and what it is told: sd_notify(3). Without one nothing is told,
 * and nothing else is different.
 */
export class ServiceManager {
  readonly #socket: NotifySocket | undefined;
  readonly #periodMs: number | undefined;
  #served: Served | undefined;
  #stopping = false;
  #fileIsWrong = false;
  /** What was told last, and when the next may be. */
  #status = "";
  #statusTimer: NodeJS.Timeout | undefined;
  #stopWatchdog = () => {};

  constructor(environment: NodeJS.ProcessEnv, log: Pick<Log, "write">) {
    this.#socket = NotifySocket.open(environment["NOTIFY_SOCKET"], log);
    this.#periodMs = watchdogPeriod(environment, process.pid);
  }

  /** What keeps sockets; `undefined`: there is no manager. */
  get notifySocket(): NotifySocket | undefined {
    return this.#socket;
  }

  /** A log whose lines are signs that there may be something else to tell: no tunnel changes without one. */
  following(log: Log): Log {
    if (this.#socket === undefined) return log;
    return {
      get tracing() {
        return log.tracing;
      },
      write: (entry) => {
        log.write(entry);
        if (entry.tunnel !== undefined) this.#changed();
      },
    };
  }

  /** Peers and requests are answered from now on. */
  ready(served: Served): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#served = served;
    this.#tell({ READY: "1" });
    if (this.#periodMs === undefined) return;
    this.#stopWatchdog = keepWatchdogQuiet(this.#periodMs, served.alive, () => socket.send({ WATCHDOG: "1" }));
  }

  /** Lets the manager know when `reload` begins and ends, and whether there is something wrong. */
  reloading<Report extends { readonly problems: readonly string[] }>(reload: () => Report): Report {
    // CLOCK_MONOTONIC: a manager that asked for it tells by this whether it is its request that is being answered.
    this.#socket?.send({ RELOADING: "1", MONOTONIC_USEC: String(process.hrtime.bigint() / 1000n) });
    const report = reload();
    this.#fileIsWrong = report.problems.length > 0;
    this.#tell({ READY: "1" });
    return report;
  }

  stopping(): void {
    this.#stopping = true;
    this.#tell({ STOPPING: "1" });
  }

  /** It could not be started, or has ended of an error. */
  failed(message: string): void {
    this.#socket?.send({ STATUS: message });
  }

  close(): void {
    clearTimeout(this.#statusTimer);
    this.#served = undefined;
    this.#stopWatchdog();
    this.#stopWatchdog = () => {};
  }

  #changed(): void {
    if (this.#statusTimer !== undefined || this.#served === undefined) return;
    this.#statusTimer = setTimeout(() => {
      this.#statusTimer = undefined;
      this.#tell({});
    }, STATUS_MS).unref();
  }

  /** `assignments`, and the status where it is another one. */
  #tell(assignments: Readonly<Record<string, string>>): void {
    if (this.#socket === undefined) return;
    const status = this.#words();
    const news = { ...assignments, ...(status === this.#status ? {} : { STATUS: status }) };
    this.#status = status;
    if (Object.keys(news).length > 0) this.#socket.send(news);
  }

  #words(): string {
    const state = this.#served === undefined ? "" : stateInWords(this.#served.view());
    if (this.#stopping) return `closing: ${state}`;
    return this.#fileIsWrong ? `${state}${WRONG_FILE}` : state;
  }
}

/** "1 of 2 tunnels and 3 of 4 sessions are up". */
export function stateInWords({ tunnels }: Pick<LcceView, "tunnels">): string {
  const sessions = tunnels.flatMap((tunnel) => tunnel.sessions);
  return `${upOf(tunnels, "tunnel")} and ${upOf(sessions, "session")} are up`;
}

function upOf(all: readonly { readonly state: string }[], noun: string): string {
  const up = all.filter(({ state }) => state === "established").length;
  return `${up} of ${all.length} ${noun}${all.length === 1 ? "" : "s"}`;
}
