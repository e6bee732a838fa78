import type { DecodedMessage } from "../avp/decode.ts";
import type { AvpValues, MessageName } from "../avp/messages.ts";
import { avpsOf, compareTieBreakers, ETHERNET_PSEUDOWIRE, formFlaw, framingOf } from "./admission.ts";
import type { ControlConnection } from "./control-connection.ts";
import { because, CDN, describeResult, type Result } from "./result-codes.ts";
import type { Session } from "./session.ts";
import type { SessionTable } from "./session-table.ts";
import type { Turn } from "./turn.ts";

/** What the calls need of a tunnel. */
interface Sessions {
  readonly sessions: SessionTable;
}

/** The control-conn-open event (RFC 3931 7.2): every call that this end places. */
export function callWaitingSessions({ sessions }: Sessions, connection: ControlConnection, turn: Turn): void {
  for (const session of sessions.values()) {
    if (session.callsOn(connection)) session.call(connection, turn);
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
  const flaw = formFlaw(decoded);
  if (name === "ICRQ") receiveIcrq(tunnel, connection, avps, flaw, turn);
  else if (name === "OCRQ") refuseCall(connection, avps, flaw ?? NO_OUTGOING_CALLS, turn);
  else {
    const session = findSession(tunnel, connection, avps, turn);
    // A message for a session that is gone, or never was, ends nothing.
    if (session === undefined)
      turn.log("debug", "unknown-session", `${name} for an unknown session`, connection.context);
    else deliver(session, name, avps, flaw, connection, turn);
  }
}

function deliver(
  session: Session,
  name: MessageName,
  avps: AvpValues,
  flaw: Result | undefined,
  connection: ControlConnection,
  turn: Turn,
): void {
  if (name === "CDN") session.receiveCdn(avps.resultCode, connection, turn);
  else if (name === "ICRP") session.receiveIcrp(avps, flaw, connection, turn);
  else if (name === "ICCN") session.receiveIccn(avps, flaw, connection, turn);
  else if (flaw !== undefined) session.receiveInvalid(flaw, connection, turn);
  else if (name === "SLI") session.receiveSli(avps, turn);
  else turn.log("debug", "message-ignored", `${name} received`, connection.context);
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

function receiveIcrq(
  tunnel: Sessions,
  connection: ControlConnection,
  avps: AvpValues,
  flaw: Result | undefined,
  turn: Turn,
): void {
  const existing = findSession(tunnel, connection, avps, turn);
  if (existing !== undefined) existing.receiveRepeatedIcrq(connection, turn);
  else if (flaw !== undefined) refuseCall(connection, avps, flaw, turn);
  else {
    if (avps.serialNumber === undefined) {
      turn.log("info", "no-serial-number", "ICRQ without Serial Number accepted", connection.context);
    }
    const session = tunnel.sessions.withEndId(avps.remoteEndId);
    const problem = session === undefined ? unknownEndId(avps.remoteEndId) : callFlaw(session, avps);
    if (session === undefined || problem !== undefined) refuseCall(connection, avps, problem as Result, turn);
    else if (winOrLoseTie(session, connection, avps, turn)) session.answer(avps, connection, turn);
  }
}

function callFlaw(session: Session, avps: AvpValues): Result | undefined {
  if (avps.pseudowireType !== ETHERNET_PSEUDOWIRE) {
    return because(CDN.pseudowireTypeNotSupported, `pseudowire type ${avps.pseudowireType}`);
  }
  if (session.state.closed) return because(CDN.administrative, "closed by the administrator");
  const framing = framingOf(avps);
  return "flaw" in framing ? framing.flaw : undefined;
}

/** RFC 3931 5.4.4: both ends placed the same call. Returns whether the peer's is to be answered. */
function winOrLoseTie(session: Session, connection: ControlConnection, avps: AvpValues, turn: Turn): boolean {
  if (!session.busy) return true;
  const { role, state, preparing, tieBreaker } = session.state;
  if (role !== "sender" || state !== "wait-reply" || preparing !== undefined) {
    const message = `session ${session.configuration.name} is in use`;
    refuseCall(connection, avps, because(CDN.noFacilitiesNow, message), turn);
    return false;
  }
  const outcome = compareTieBreakers(tieBreaker, avps.tieBreaker);
  if (outcome === "lost") {
    session.loseTie(connection, turn);
    return true;
  }
  if (outcome === "won") session.winTie(connection, turn);
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

function unknownEndId(remoteEndId: Uint8Array | undefined): Result {
  const message = `no session has the Remote End ID ${printable(remoteEndId ?? new Uint8Array(0))}`;
  return because(CDN.forwarderUnknown, message);
}

const NO_OUTGOING_CALLS = because(CDN.noFacilities, "pseudowires are set up by incoming calls (RFC 4719 2.2)");

function printable(octets: Uint8Array): string {
  const ascii = octets.every((octet) => octet >= 0x20 && octet < 0x7f);
  if (ascii) return `"${String.fromCharCode(...octets)}"`;
  return `0x${Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("")}`;
}
