import type { ControlConnection } from "./control-connection.ts";
import type { Effect, Entropy, Instant, LogEffect } from "./core.ts";
import type { Registry } from "./registry.ts";
import type { Session } from "./session.ts";
import type { MessageCounts } from "./statistics.ts";
import type { TimerTable } from "./timer-table.ts";

/** What a deadline is for; `id` is the local id of the connection or session, or the tunnel's name. */
export type Timer =
  | { readonly owner: "connection"; readonly id: number; readonly kind: ConnectionTimer }
  | { readonly owner: "tunnel"; readonly name: string; readonly kind: "attempt" | "resolve" }
  | { readonly owner: "session"; readonly tunnel: string; readonly name: string; readonly kind: SessionTimer };

/**
 * call: place the call again. setup: not established in time. status, errors: the peer was told of the circuit a moment
 * ago, and there is more to tell.
 */
export type SessionTimer = "call" | "setup" | "status" | "errors";

/**
 * retransmit: the oldest message is unacknowledged. acknowledge: no message came to carry the Nr. hello: silence.
 * activity: the datapath was asked for its counters. setup: not established in time. linger: all retransmissions of a
 * closed connection's peer are over.
 */
export type ConnectionTimer = "retransmit" | "acknowledge" | "hello" | "activity" | "setup" | "linger";

/** What the parts of an LCCE share while they deal with one input at one instant. */
export interface Turn {
  readonly now: Instant;
  readonly entropy: Entropy;
  readonly timers: TimerTable<Timer>;
  readonly connections: Registry<ControlConnection>;
  readonly sessions: Registry<Session>;
  /** Connections with something to send or to acknowledge when the turn is over. */
  readonly touched: Set<ControlConnection>;
  readonly hostname: string;
  readonly routerId: number;
  emit(effect: Effect): void;
  log(level: LogEffect["level"], event: string, message: string, context: LogContext): void;
  /** Serial Number AVP of the next call: increases from call to call (RFC 3931 5.4.4). */
  nextSerialNumber(): number;
  /** One more control message of this tunnel's connections. */
  count(tunnel: string, what: keyof MessageCounts): void;
  /** Whether one more SCCRQ may be refused aloud this second: nobody's flood is to be reflected, or to fill the log. */
  mayRefuse(): boolean;
}

export interface LogContext {
  readonly tunnel?: string;
  readonly session?: string;
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

/** Octets of a tie breaker; each attempt draws a new one (RFC 3931 5.4.3). */
export const TIE_BREAKER_LENGTH = 8;

/** `ms` plus up to a tenth of it, so that what failed together does not come back together. */
export function withJitter(ms: number, entropy: Entropy): number {
  return ms + Math.floor((ms * (entropy.uint32() / 2 ** 32)) / 10);
}

/** The pause after `failures` failed attempts in a row: doubling from min to max, with jitter. */
export function backOffMs(
  policy: { readonly minMs: number; readonly maxMs: number },
  failures: number,
  entropy: Entropy,
): number {
  return withJitter(Math.min(policy.maxMs, policy.minMs * 2 ** Math.min(failures - 1, 30)), entropy);
}

/** `ms` less up to a tenth of it, so that many do not beat as one. */
export function lessATenth(ms: number, entropy: Entropy): number {
  return ms - Math.floor(((ms / 10) * entropy.uint32()) / 2 ** 32);
}
