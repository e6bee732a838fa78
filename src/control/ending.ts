import type { Instant } from "./core.ts";

/**
 * Who brought it about. "peer": it sent StopCCN or CDN, or began anew. "local": this end, its administrator or its machine.
 * "silence": the peer did not answer. "control-connection": of a session, that its control connection ended.
 */
export type EndedBy = "peer" | "local" | "silence" | "control-connection";

/** How a control connection or a call, or an attempt at one, ended. Plain data. */
export interface Ending {
  readonly by: EndedBy;
  /** A sentence. */
  readonly reason: string;
  readonly at: Instant;
}

/** What `show` tells of it from now on. */
export function noteEnding(
  state: { lastError: string; ended: Ending | undefined },
  by: EndedBy,
  reason: string,
  at: Instant,
): void {
  state.lastError = reason;
  state.ended = { by, reason, at };
}
