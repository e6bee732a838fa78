import { loadSite } from "../config/load.ts";
import type { Hooks } from "./hooks.ts";
import type { Log } from "./log.ts";
import type { Shell } from "./shell.ts";
import type { StopSignals } from "./stop-signals.ts";
import type { Succession } from "./succession.ts";
import type { ServiceManager } from "./systemd.ts";

/** Exit code of a process that another one is to follow (EX_TEMPFAIL of sysexits.h): RestartForceExitStatus= of the unit. */
const HANDED_OVER = 75;
/** So long hooks have to come to their end: the peers are not answered meanwhile by the next process. */
const HOOKS_MS = 500;

interface Leaving {
  readonly shell: Pick<Shell, "release">;
  readonly succession: Succession | undefined;
  readonly hooks: Pick<Hooks, "finish">;
  readonly log: Log;
  readonly manager: Pick<ServiceManager, "stopping">;
  /** What the next process is going to read. */
  readonly configPath: string;
}

/**
 * Resolves to the signal on which everything is to be closed. On SIGUSR2 the process ends in here and leaves everything as it
 * is, if another one can go on from that.
 */
export async function untilStopped(signals: StopSignals, leaving: Leaving): Promise<NodeJS.Signals> {
  const signal = await Promise.race([signals.first, signals.successor]);
  if (signal !== "SIGUSR2") return signal;
  const { shell, succession, hooks, log, manager } = leaving;
  const flaw = flawOf(leaving);
  if (flaw !== undefined || succession === undefined) {
    const message = `no other process can go on from here, so the peers are told: ${flaw}`;
    log.write({ level: "warn", event: "not-handed-over", message });
    return signal;
  }
  log.write({ level: "info", event: "handing-over", message: `${signal}: another process goes on from here` });
  manager.stopping();
  await Promise.race([hooks.finish(), new Promise((resolve) => setTimeout(resolve, HOOKS_MS))]);
  shell.release();
  await succession.handOver();
  process.exit(HANDED_OVER);
}

/**
 * After a start that failed: what was taken over is not this process's to close, for the next one may be able to start. The
 * process ends when why it failed has been told, although its threads and sockets are as they were.
 */
export async function bequeath(succession: Succession, shell: Pick<Shell, "release">): Promise<void> {
  shell.release();
  await succession.handOver();
  setImmediate(() => process.exit(1));
}

function flawOf({ succession, configPath }: Leaving): string | undefined {
  if (succession === undefined) return "nobody keeps its sockets, or it records";
  if (!succession.isUsable) return "its state could not be written down";
  try {
    loadSite(configPath);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
