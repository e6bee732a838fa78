/** That the user has had enough. */
export interface Interruption {
  /** `act` is called once, at once where it has happened already. */
  on(act: () => void): void;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Ctrl-C and its kin; or that nobody reads standard output any more, as in `events | head`. */
export function listenForInterruption(): Interruption & { readonly interrupt: () => void } {
  const waiting: (() => void)[] = [];
  let interrupted = false;
  const interrupt = () => {
    interrupted = true;
    for (const act of waiting.splice(0)) act();
  };
  for (const signal of SIGNALS) process.once(signal, interrupt);
  process.stdout.once("error", interrupt);
  return {
    interrupt,
    on(act) {
      if (interrupted) act();
      else waiting.push(act);
    },
  };
}
