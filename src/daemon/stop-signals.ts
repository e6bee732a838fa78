const SIGNALS = ["SIGTERM", "SIGINT"] as const;

export interface StopSignals {
  /** The first one: time to say goodbye. */
  readonly first: Promise<NodeJS.Signals>;
  /** Another one: at once. */
  readonly second: Promise<NodeJS.Signals>;
  /** SIGUSR2: another process is about to go on in the place of this one (RestartKillSignal= of systemd). */
  readonly successor: Promise<NodeJS.Signals>;
  /** From now on it is called for every SIGHUP that is not one of these. Before, they are ignored. */
  onHangUp(act: () => void): void;
}

/**
 * Listens from now on, so that a signal during the start ends the daemon as properly as a later one. A terminal that
 * goes away (SIGHUP) ends it like the others; without a terminal SIGHUP asks to read the configuration again.
 */
export function listenForStopSignals(): StopSignals {
  const heard: ((signal: NodeJS.Signals) => void)[] = [];
  const next = () => new Promise<NodeJS.Signals>((resolve) => heard.push(resolve));
  let hangUp = () => {};
  const stop = (signal: NodeJS.Signals) => heard.shift()?.(signal);
  const signals: StopSignals = {
    first: next(),
    second: next(),
    successor: new Promise((resolve) => process.on("SIGUSR2", resolve)),
    onHangUp: (act) => {
      hangUp = act;
    },
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  process.on("SIGHUP", process.stdout.isTTY ? stop : () => hangUp());
  return signals;
}
