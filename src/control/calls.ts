import type { DecodedMessage } from "../avp/decode.ts";
import type { AvpValues, MessageName } from "../avp/messages.ts";
import { avpsOf, compareTieBreakers, formFlaw, framingOf, mtuFlaw, typeFlaw } from "./admission.ts";
import type { ControlConnection } from "./control-connection.ts";
import { because, CDN, describeResult, ERROR, generalError, type Result } from "./result-codes.ts";
import type { Session } from "./session.ts";
import type { SessionTable } from "./session-table.ts";
import type { Turn } from "./turn.ts";

/** More would keep everybody else waiting; the peer's window lets fewer through at once anyway. */
const CALLS_PER_TURN = 128;

/** What the calls need of a tunnel. */
interface Sessions {
  readonly sessions: SessionTable;
}

/** The control-conn-open event (RFC 3931 7.2): every call that this end places. */
export function callWaitingSessions({ sessions }: Sessions, connection: ControlConnection, turn: Turn): void {
  let calls = 0;
  for (const session of sessions.values()) {
    if (!session.callsOn(connection)) continue;
    if (calls < CALLS_PER_TURN) session.call(connection, turn);
    else session.callSoon(turn);
    calls += 1;
  }
}

/** A session message that is due in order on an established connection. */
export function receiveSessionMessage(
  tunnel: Sessions,
  connection: ControlConnection,
  name: MessageName,
  decoded: DecodedMessage,
  turn: Turn,
): void {
  const avps = avpsOf(decoded);
  const flaw = formFlaw(decoded, name === "ICRP" ? connection.dialect.icrpLacks : []);
  if (name === "ICRQ" || name === "OCRQ") receiveRequest(tunnel, connection, name, avps, flaw, turn);
  else {
    const session = findSession(tunnel, connection, avps, turn);
    if (session === undefined) receiveForNobody(name, connection, avps, flaw, turn);
    else deliver(session, name, avps, flaw, connection, turn);
  }
}

/**
 * A message for a session that is gone, or never was, ends no connection. A reply to a request gets a CDN, so that the
 * peer does not take the call for placed (RFC 3931 7.3.2, 7.4.2: ICRP or OCRP in state idle).
 */
function receiveForNobody(
  name: MessageName,
  connection: ControlConnection,
  avps: AvpValues,
  flaw: Result | undefined,
  turn: Turn,
): void {
  turn.log("debug", "unknown-session", `${name} for an unknown session`, connection.context);
  if (connection.overloaded) return;
  if ((name !== "ICRP" && name !== "OCRP") || (avps.localSessionId ?? 0) === 0) return;
  const unknown = generalError(ERROR.invalidSessionId, `${name} for a session that does not exist`);
  refuseCall(connection, avps, flaw ?? unknown, turn);
}

function deliver(
  session: Session,
  name: MessageName,
  avps: AvpValues,
  flaw: Result | undefined,
  connection: ControlConnection,
  turn: Turn,
): void {
  switch (name) {
    case "CDN":
      session.receiveCdn(avps.resultCode, connection, turn);
      return;
    case "ICRP":
    case "ICCN":
    case "OCRP":
    case "OCCN":
      session.receive(name, avps, flaw, connection, turn);
      return;
    default:
      if (flaw !== undefined) session.receiveInvalid(flaw, connection, turn);
      else if (name === "SLI") session.receiveSli(avps, turn);
      else if (name === "WEN") session.receiveWen(avps, turn);
      else turn.log("debug", "message-ignored", `${name} received`, connection.context);
  }
}

/** By our id, or before the peer knows it by the peer's (RFC 3931 5.4.4); only sessions of this connection count. */
function findSession(
  tunnel: Sessions,
  connection: ControlConnection,
  avps: AvpValues,
  turn: Turn,
): Session | undefined {
  const local = avps.remoteSessionId ?? 0;
  const session = local === 0 ? tunnel.sessions.withRemoteId(avps.localSessionId ?? 0) : turn.sessions.get(local);
  return session?.state.localControlConnectionId === connection.id ? session : undefined;
}

type Request = "ICRQ" | "OCRQ";

function receiveRequest(
  tunnel: Sessions,
  connection: ControlConnection,
  name: Request,
  avps: AvpValues,
  flaw: Result | undefined,
  turn: Turn,
): void {
  // It has arrived, and the peer's own timer ends the call: answers that nobody acknowledges would pile up without end,
  // and to hear nothing at all would leave two ends that both have much to say deaf to each other.
  if (connection.overloaded) {
    turn.log(
      "debug",
      "request-not-answered",
      `${name} is not answered: too much waits for the peer`,
      connection.context,
    );
    return;
  }
  const existing = findSession(tunnel, connection, avps, turn);
  if (existing !== undefined) {
    existing.receive(name, avps, flaw, connection, turn);
    return;
  }
  const session = flaw === undefined ? sessionFor(name, tunnel, connection, avps) : { flaw };
  if ("flaw" in session) refuseCall(connection, avps, session.flaw, turn);
  else if (winOrLoseTie(name, session, connection, avps, turn)) session.answer(name, avps, connection, turn);
  if (flaw === undefined && avps.serialNumber === undefined) {
    turn.log("info", "no-serial-number", `${name} without Serial Number`, connection.context);
  }
}

/** The session that a call is for, or why it is not to be. */
function sessionFor(
  name: Request,
  { sessions }: Sessions,
  { dialect }: ControlConnection,
  avps: AvpValues,
): Session | { readonly flaw: Result } {
  const session = sessions.attachedTo(avps, dialect);
  if ("flaw" in session) return session;
  const flaw = callFlaw(name, session, avps);
  if (flaw === undefined) return session;
  if (!session.busy) session.state.lastError = `call refused: ${describeResult("CDN", flaw)}`;
  return { flaw };
}

function callFlaw(name: Request, { configuration, state }: Session, avps: AvpValues): Result | undefined {
  const mismatch = typeFlaw(avps, configuration);
  if (mismatch !== undefined) return mismatch;
  if (state.closed) return because(CDN.administrative, "closed by the administrator");
  if (name !== REQUESTS[configuration.callType]) return WRONG_CALL_TYPE[name];
  const framing = framingOf(avps, configuration);
  return "flaw" in framing ? framing.flaw : mtuFlaw(configuration, avps);
}

const REQUESTS = { incoming: "ICRQ", outgoing: "OCRQ" } as const;

const WRONG_CALL_TYPE: Readonly<Record<Request, Result>> = {
  OCRQ: because(CDN.noFacilities, "this pseudowire is set up by an incoming call (RFC 4719 2.2)"),
  ICRQ: because(CDN.noFacilities, "this pseudowire is set up by an outgoing call (OCRQ)"),
};

/** RFC 3931 5.4.4: both ends placed the same call. Returns whether the peer's is to be answered. */
function winOrLoseTie(
  name: Request,
  session: Session,
  connection: ControlConnection,
  avps: AvpValues,
  turn: Turn,
): boolean {
  if (!session.busy) return true;
  if (!session.waitsForReply) {
    const message = `session ${session.configuration.name} is in use`;
    refuseCall(connection, avps, because(CDN.noFacilitiesNow, message), turn);
    return false;
  }
  const outcome = compareTieBreakers(session.state.tieBreaker, avps.tieBreaker);
  if (outcome === "lost") {
    session.loseTie(name, connection, turn);
    return true;
  }
  if (outcome === "won") session.winTie(name, connection, turn);
  refuseCall(connection, avps, { result: CDN.lostTie }, turn);
  // Equal, or none at all: both calls end and are placed again later (RFC 3931 5.4.4).
  if (outcome !== "won")
    session.close({ result: CDN.lostTie }, "both ends called at once without a winner", connection, turn);
  return false;
}

/** A CDN for a call that never got a session: it names an id that is drawn for it alone. */
function refuseCall(connection: ControlConnection, avps: AvpValues, cause: Result, turn: Turn): void {
  const localSessionId = turn.sessions.draw(turn.entropy, turn.now);
  turn.sessions.release(localSessionId, turn.now);
  turn.log("warn", "call-refused", `call refused: ${describeResult("CDN", cause)}`, connection.context);
  connection.send({ name: "CDN", resultCode: cause, localSessionId, remoteSessionId: avps.localSessionId ?? 0 }, turn);
}
