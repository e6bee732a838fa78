const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

export interface StopSignals {
  /** The first one: time to say goodbye. */
  readonly first: Promise<NodeJS.Signals>;
  /** Another one: at once. */
  readonly second: Promise<NodeJS.Signals>;
}

/**
 * Listens from now on, so that a signal during the start ends the daemon as properly as a later one. A terminal that
 * goes away (SIGHUP) ends it like the others.
 */
export function listenForStopSignals(): StopSignals {
  const heard: ((signal: NodeJS.Signals) => void)[] = [];
  const next = () => new Promise<NodeJS.Signals>((resolve) => heard.push(resolve));
  const signals = { first: next(), second: next() };
  for (const signal of SIGNALS) process.on(signal, () => heard.shift()?.(signal));
  return signals;
}
