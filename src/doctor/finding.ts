/** ok: as it should be. note: worth knowing. warning: works, or may not. error: this keeps something from working. */
export type Status = "ok" | "note" | "warning" | "error";

/** One line of the doctor's. Never a secret, and nothing out of a file that may hold one. */
export interface Finding {
  /** Which question was asked: "kernel", "port udp 0.0.0.0:1701". */
  readonly check: string;
  readonly status: Status;
  /** What was found, or what could not be looked at. */
  readonly found: string;
  /** What to do about it. */
  readonly advice: string;
}

const NOTHING_TO_DO = "nothing to do";

export function ok(check: string, found: string): Finding {
  return { check, status: "ok", found, advice: NOTHING_TO_DO };
}

export function finding(check: string, status: Exclude<Status, "ok">, found: string, advice: string): Finding {
  return { check, status, found, advice };
}

/** What only root may look at. */
export function hidden(check: string, what: string): Finding {
  return finding(check, "note", `${what} could not be looked at without root`, "run l2tpv3-lcc doctor as root");
}
