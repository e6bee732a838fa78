import type { TunnelConfiguration } from "./configuration.ts";
import type { Instant } from "./core.ts";
import type { Ending } from "./ending.ts";
import { canonicalAddress } from "./endpoint.ts";
import type { Result } from "./result-codes.ts";
import type { SessionState } from "./session-state.ts";
import type { MessageCounts, Outcomes } from "./statistics.ts";

/** Plain data: what a tunnel remembers from one control connection to the next. */
export interface TunnelState {
  readonly name: string;
  /** The peer's address: as configured, or as DNS gave it last. */
  address: string | undefined;
  /** Of DNS: every address that the name stood for. */
  resolved: readonly string[];
  /** To be tried next, each once: other addresses of the peer's name, or LCCEs that it named (RFC 3931 5.4.2, error 9). */
  alternatives: string[];
  /** Local id of the connection that counts: the established one, else the attempt under way; 0 without any. */
  live: number;
  /** Of a static tunnel: the datapath has made it. */
  made: boolean;
  /** Failed attempts in a row. */
  failures: number;
  /** When the last attempt succeeded, until what came of it has failed. */
  heldSince: Instant | undefined;
  /** Why it is closed and stays so until an administrator opens it: peers are told. */
  closed: Result | undefined;
  since: Instant;
  lastError: string;
  /** How its last control connection or attempt ended; `undefined`: none has. */
  ended: Ending | undefined;
  /** Messages dropped because their digest was missing or wrong; `lately`: since a genuine one, or the last attempt's begin. */
  readonly forged: { count: number; lately: number; loggedAt: Instant };
  /** SCCRQs that were not answered because no IPsec policy protects the answer. */
  readonly unprotected: { count: number; loggedAt: Instant };
  readonly messages: MessageCounts;
  /** Connections that were established, attempts and connections that failed: since the daemon began. */
  readonly outcomes: Outcomes;
  /** SCCRQs taken in one second of the clock. */
  readonly answers: { second: number; count: number };
}

/** Of a tunnel that begins anew under its name, with another configuration: what people counted and did stays. */
export function succeedTunnel(before: TunnelState, configuration: TunnelConfiguration, now: Instant): TunnelState {
  const { closed, forged, messages, outcomes } = before;
  return { ...initialState(configuration, now), closed, forged: { ...forged, lately: 0 }, messages, outcomes };
}

/** A tunnel's and its sessions' states, by name: what a restarted daemon goes on with. */
export interface SavedTunnel {
  readonly state: TunnelState;
  readonly sessions: readonly SessionState[];
}

export function countMessage(state: TunnelState | undefined, what: keyof MessageCounts): void {
  if (state === undefined) return;
  state.messages[what] += 1;
  // Only genuine ones are counted.
  if (what === "received") state.forged.lately = 0;
}

export function initialState({ name, peer }: TunnelConfiguration, now: Instant): TunnelState {
  const address = peer === undefined ? undefined : canonicalAddress(peer);
  return {
    name,
    address,
    resolved: [],
    alternatives: [],
    live: 0,
    made: false,
    failures: 0,
    heldSince: undefined,
    closed: undefined,
    since: now,
    lastError: "",
    ended: undefined,
    forged: { count: 0, lately: 0, loggedAt: 0 },
    unprotected: { count: 0, loggedAt: 0 },
    messages: { sent: 0, received: 0, retransmitted: 0 },
    outcomes: { established: 0, failed: 0 },
    answers: { second: 0, count: 0 },
  };
}
