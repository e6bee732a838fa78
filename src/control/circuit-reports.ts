import { statusOf } from "./circuit-status.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { CircuitErrorCounts, Instant } from "./core.ts";
import { NO_ERRORS, type SessionState } from "./session-state.ts";
import type { Turn } from "./turn.ts";

/** A circuit that flaps is told of once in this time: what counts is how it is at the end of it. */
const SLI_INTERVAL_MS = 1_000;

/** RFC 3931 6.13: no more than one WEN in 60 seconds. */
const WEN_INTERVAL_MS = 60_000;

/** States in which the peer knows both ids and can take an SLI; before, the call messages tell the status. */
const TELLABLE = ["wait-connect", "wait-cs-answer", "established"];

/** Tells the peer how the attachment circuit is: SLI (RFC 3931 6.14) and WEN (6.13). */
export class CircuitReports {
  readonly #tunnel: string;
  readonly #session: SessionState;

  constructor(tunnel: string, session: SessionState) {
    this.#tunnel = tunnel;
    this.#session = session;
  }

  /** A new call: the peer knows nothing yet, and its error counters begin at 0. */
  begin(): void {
    const { circuit } = this.#session;
    Object.assign(circuit, { advertisedAt: undefined, errorsAtBegin: circuit.errors, warned: undefined });
  }

  /** The attachment circuit is another one: what is counted of it first is where the peer's counters stand. */
  beginWithOther(): void {
    Object.assign(this.#session.circuit, { errors: NO_ERRORS, errorsAtBegin: undefined, warned: undefined });
  }

  /** A call message tells it. */
  advertised(): void {
    this.#session.circuit.advertised = statusOf(this.#session.circuit.condition);
  }

  /** SLI, if the peer's knowledge is out of date and nothing else will mend that. */
  tellStatus(connection: ControlConnection, turn: Turn): void {
    const { circuit, state, localSessionId, remoteSessionId } = this.#session;
    const circuitStatus = statusOf(circuit.condition);
    if (circuitStatus === circuit.advertised || !TELLABLE.includes(state)) return;
    const due = (circuit.advertisedAt ?? -SLI_INTERVAL_MS) + SLI_INTERVAL_MS;
    if (turn.now < due) {
      this.#arm("status", due, turn);
      return;
    }
    circuit.advertised = circuitStatus;
    circuit.advertisedAt = turn.now;
    connection.sendLatest({ name: "SLI", localSessionId, remoteSessionId, circuitStatus }, turn);
  }

  /** WEN, if there are errors of this call that the peer has not been told. */
  tellErrors(connection: ControlConnection, turn: Turn): void {
    const { circuit, state, localSessionId, remoteSessionId } = this.#session;
    if (state !== "established") return;
    const errors = difference(circuit.errors, circuit.errorsAtBegin ?? circuit.errors);
    const told = circuit.warned?.errors ?? NO_ERRORS;
    if (KINDS.every((kind) => errors[kind] === told[kind])) return;
    const due = (circuit.warned?.at ?? -WEN_INTERVAL_MS) + WEN_INTERVAL_MS;
    if (turn.now < due) {
      this.#arm("errors", due, turn);
      return;
    }
    circuit.warned = { errors, at: turn.now };
    const { hardwareOverruns, bufferOverruns, timeouts: timeoutErrors, alignments: alignmentErrors } = errors;
    const circuitErrors = { hardwareOverruns, bufferOverruns, timeoutErrors, alignmentErrors };
    connection.sendLatest({ name: "WEN", localSessionId, remoteSessionId, circuitErrors }, turn);
  }

  /** The call is over. */
  stop(turn: Turn): void {
    turn.timers.stop(this.#key("status"));
    turn.timers.stop(this.#key("errors"));
  }

  #arm(kind: "status" | "errors", at: Instant, turn: Turn): void {
    const timer = { owner: "session", tunnel: this.#tunnel, name: this.#session.name, kind } as const;
    turn.timers.set(this.#key(kind), timer, at);
  }

  #key(kind: "status" | "errors"): string {
    return `${kind} ${this.#tunnel}/${this.#session.name}`;
  }
}

const KINDS = ["hardwareOverruns", "bufferOverruns", "timeouts", "alignments"] as const;

/** Counters are 32 bits wide and begin again at 0. */
function difference(now: CircuitErrorCounts, before: CircuitErrorCounts): CircuitErrorCounts {
  return {
    hardwareOverruns: (now.hardwareOverruns - before.hardwareOverruns) >>> 0,
    bufferOverruns: (now.bufferOverruns - before.bufferOverruns) >>> 0,
    timeouts: (now.timeouts - before.timeouts) >>> 0,
    alignments: (now.alignments - before.alignments) >>> 0,
  };
}
