/** What was not alive is looked at again sooner, so that what came back late does not cost the daemon its life. */
const SOONER = 5;
/** systemd's least is far above it. */
const LEAST_USEC = 1_000;

/**
 * How often the service manager wants a sign of life, in milliseconds (sd_watchdog_enabled(3)); `undefined`: it does not, or
 * not of the process `pid`.
 */
export function watchdogPeriod(environment: NodeJS.ProcessEnv, pid: number): number | undefined {
  const { WATCHDOG_USEC: microseconds = "", WATCHDOG_PID: wanted } = environment;
  if (!/^\d{1,15}$/.test(microseconds) || Number(microseconds) < LEAST_USEC) return undefined;
  if (wanted !== undefined && wanted !== String(pid)) return undefined;
  return Number(microseconds) / 1000;
}

/**
 * Gives a sign of life at every half of `periodMs`, from the event loop, as long as `isAlive` says so: a loop that does
 * not turn gives none either. Returns what ends it.
 */
export function keepWatchdogQuiet(periodMs: number, isAlive: () => boolean, ping: () => void): () => void {
  const half = periodMs / 2;
  let timer: NodeJS.Timeout;
  const look = () => {
    const alive = isAlive();
    if (alive) ping();
    timer = setTimeout(look, alive ? half : half / SOONER).unref();
  };
  look();
  return () => clearTimeout(timer);
}
