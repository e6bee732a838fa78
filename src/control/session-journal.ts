import { type EndedBy, noteEnding } from "./ending.ts";
import { CDN, describeResult, type Result } from "./result-codes.ts";
import type { SessionState } from "./session-state.ts";
import type { LogContext, Turn } from "./turn.ts";

/** A message that its state does not allow (RFC 3931 7). */
export const OUT_OF_TURN: Result = { result: CDN.stateMachineError };

/** What is said of a session to people: the log, and the last error that `show` tells. */
export class SessionJournal {
  readonly #tunnel: string;
  readonly #session: SessionState;

  constructor(tunnel: string, session: SessionState) {
    this.#tunnel = tunnel;
    this.#session = session;
  }

  get context(): LogContext {
    const { name, localSessionId, remoteSessionId } = this.#session;
    const details = { local_session_id: localSessionId, remote_session_id: remoteSessionId };
    return { tunnel: this.#tunnel, session: name, details };
  }

  note(event: string, message: string, turn: Turn): void {
    turn.log("info", event, message, this.context);
  }

  /** It is up. */
  established(interfaceName: string, turn: Turn): void {
    this.#session.outcomes.established += 1;
    this.note("session-established", `session is up on ${interfaceName}`, turn);
  }

  fail(reason: string, turn: Turn, by: EndedBy = "local"): void {
    this.ended(by, reason, turn);
    this.#session.outcomes.failed += 1;
    turn.log("warn", "session-failed", reason, this.context);
  }

  /** It ends because somebody here wants it to. */
  closed(reason: string, turn: Turn): void {
    this.ended("local", reason, turn);
    this.note("session-closed", reason, turn);
  }

  /** Remembered, and no line in the log. */
  ended(by: EndedBy, reason: string, turn: Turn): void {
    noteEnding(this.#session, by, reason, turn.now);
  }

  /** What is wrong with the peer's message, and so the reason of the CDN that follows. */
  blame(cause: Result, turn: Turn): void {
    if (cause === OUT_OF_TURN) this.fail("the peer sent a message that does not fit the session's state", turn);
    else this.fail(`CDN sent: ${describeResult("CDN", cause)}`, turn);
  }
}
