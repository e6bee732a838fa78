import type { LogEffect } from "../control/core.ts";
import type { LogEntry, OpenedLog } from "./log.ts";
import { withoutSecrets } from "./log.ts";
import type { Transition } from "./transitions.ts";

/** Something that has happened, for programs and people that follow the daemon (`l2tpv3-lcc events --json`). */
export interface DaemonEvent {
  /** ISO 8601. */
  readonly time: string;
  readonly level: LogEffect["level"];
  /** A constant name: "tunnel-up", "session-down", "circuit-status", or that of a log line. */
  readonly event: string;
  /** One sentence. */
  readonly message: string;
  readonly tunnel?: string;
  readonly session?: string;
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

type Listener = (event: DaemonEvent) => void;

/** Log lines for whom something of more importance is told: tunnel-up and session-up. */
const TOLD_OTHERWISE = new Set(["control-connection-established", "session-established"]);

const LESS_IMPORTANT: readonly LogEntry["level"][] = ["debug", "trace"];

/** Tells whoever listens what happens: what becomes of tunnels and sessions, and the log from level info on. */
export class EventFeed {
  readonly #listeners = new Set<Listener>();
  readonly #changed: () => void;

  /** `changed` is called when somebody listens, or somebody no longer does. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Somebody listens. */
  get wanted(): boolean {
    return this.#listeners.size > 0;
  }

  /** Returns what ends it. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.#changed();
    return () => {
      this.#listeners.delete(listener);
      this.#changed();
    };
  }

  /** The log to be used in the place of the one that is listened to. */
  tee(log: OpenedLog): OpenedLog {
    return {
      get tracing() {
        return log.tracing;
      },
      setLevel: (level) => log.setLevel(level),
      write: (entry) => {
        log.write(entry);
        if (this.wanted) this.#tellLogged(entry);
      },
    };
  }

  #tellLogged({ level, event, message, tunnel, session, details }: LogEntry): void {
    if (TOLD_OTHERWISE.has(event) || LESS_IMPORTANT.includes(level)) return;
    this.#tell({
      time: new Date().toISOString(),
      level,
      event,
      message,
      ...(tunnel === undefined ? {} : { tunnel }),
      ...(session === undefined ? {} : { session }),
      ...(details === undefined ? {} : { details: withoutSecrets(details) }),
    });
  }

  tellTransition(transition: Transition): void {
    if (this.wanted) this.#tell(eventOf(transition, new Date()));
  }

  #tell(event: DaemonEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function eventOf(transition: Transition, now: Date): DaemonEvent {
  const { event, tunnel, session, reason } = transition;
  const isBad = event === "tunnel-down" || event === "session-down";
  const about = session === undefined ? ofTunnel(transition) : ofSession(transition, session);
  return {
    time: now.toISOString(),
    level: isBad ? "warn" : "info",
    event,
    message: isBad && reason !== "" ? `${about.message}: ${reason}` : about.message,
    tunnel: tunnel.name,
    ...(session === undefined ? {} : { session: session.name }),
    details: { ...about.details, ...(reason === "" ? {} : { reason }) },
  };
}

type About = Required<Pick<DaemonEvent, "message" | "details">>;

function ofTunnel({ event, tunnel }: Transition): About {
  const peer = tunnel.peerHostname === "" ? tunnel.peer : `${tunnel.peerHostname} (${tunnel.peer})`;
  return {
    message: event === "tunnel-up" ? `tunnel is up with ${peer}` : "tunnel is down",
    details: {
      peer: tunnel.peer,
      peer_hostname: tunnel.peerHostname,
      encapsulation: tunnel.encapsulation,
      local_ccid: tunnel.localControlConnectionId,
      remote_ccid: tunnel.remoteControlConnectionId,
    },
  };
}

const SESSION_WORDS: Readonly<Record<string, string>> = {
  "session-up": "session is up",
  "session-down": "session is down",
  "circuit-status": "circuits have changed",
};

function ofSession({ event }: Transition, session: NonNullable<Transition["session"]>): About {
  const [local, remote] = [session.localCircuitActive, session.remoteCircuitActive].map((up) => (up ? "up" : "down"));
  const circuits = event === "session-down" ? "" : `, circuit ${local} at this end, ${remote} at the peer's`;
  return {
    message: `${SESSION_WORDS[event]} on ${session.interfaceName}${circuits}`,
    details: {
      interface: session.interfaceName,
      local_session_id: session.localSessionId,
      remote_session_id: session.remoteSessionId,
      local_circuit: local ?? "",
      remote_circuit: remote ?? "",
    },
  };
}
