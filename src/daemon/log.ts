import { fstatSync } from "node:fs";
import pino from "pino";
import type { SiteLogLevel } from "../config/site.ts";
import type { LogEffect } from "../control/core.ts";

/** What is worth a line: a constant name for machines, a sentence for people, and where it belongs. */
export type LogEntry = Omit<LogEffect, "type">;

export interface Log {
  write(entry: LogEntry): void;
  /** Whether single control messages are worth a line. */
  readonly tracing: boolean;
}

/** One whose threshold can be moved while it is in use. */
export interface OpenedLog extends Log {
  setLevel(level: SiteLogLevel): void;
}

/** Whatever is called so never leaves the process, wherever it stands in an entry. */
const SECRETS = ["secret", "cookie", "nonce"];

/** The same for whom else an entry is told. */
export function withoutSecrets(details: NonNullable<LogEntry["details"]>): NonNullable<LogEntry["details"]> {
  return Object.fromEntries(Object.entries(details).filter(([name]) => !SECRETS.includes(name)));
}

/** JSON lines on standard output; readable ones where that is a terminal. The only place that meets pino. */
export async function openLog(level: SiteLogLevel): Promise<OpenedLog> {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRETS, censor: "[secret]" },
    },
    process.stdout.isTTY ? await terminal() : lines(process.env),
  );
  return {
    get tracing() {
      return logger.isLevelEnabled("trace");
    },
    setLevel(level) {
      logger.level = level;
    },
    write({ level: entryLevel, event, message, tunnel, session, details }) {
      logger[entryLevel]({ event, tunnel, session, ...details }, message);
    },
  };
}

function lines(environment: NodeJS.ProcessEnv): pino.DestinationStream {
  const output = pino.destination({ dest: 1, sync: true });
  return isJournal(environment) ? withPriorities(output) : output;
}

/** Whether standard output leads to journald, and nobody has put it elsewhere meanwhile (systemd.exec(5)). */
function isJournal({ JOURNAL_STREAM: stream }: NodeJS.ProcessEnv): boolean {
  const { dev, ino } = fstatSync(1);
  return stream === `${dev}:${ino}`;
}

/** pino's levels, as numbers, and syslog's priorities: error, warning, informational. */
const PRIORITIES = [
  [50, 3],
  [40, 4],
  [30, 6],
] as const;
const FOR_DEBUGGING = 7;

/** journald takes a priority off the beginning of each line (sd-daemon(3)): `journalctl -p warning` finds what matters. */
export function withPriorities(output: pino.DestinationStream): pino.DestinationStream {
  const prefixing = {
    // pino tells the level of a line to whoever has this.
    [Symbol.for("pino.metadata")]: true,
    lastLevel: 0,
    write(line: string) {
      const priority = PRIORITIES.find(([level]) => this.lastLevel >= level)?.[1] ?? FOR_DEBUGGING;
      output.write(`<${priority}>${line}`);
    },
  };
  return prefixing;
}

async function terminal(): Promise<pino.DestinationStream> {
  // Only a terminal needs it: it takes longer to load than the rest of the log.
  const { PinoPretty } = await import("pino-pretty");
  return PinoPretty({ sync: true, ignore: "event", translateTime: "SYS:HH:MM:ss.l", singleLine: true });
}
