import type { ControlMessage } from "../avp/messages.ts";
import type { CallMessage } from "../fsm/call.ts";
import { type L2Sublayer, PSEUDOWIRE_TYPES, SEQUENCING_LEVELS } from "./admission.ts";
import { CIRCUIT, statusOf } from "./circuit-status.ts";
import type { SessionConfiguration } from "./configuration.ts";
import type { Dialect } from "./dialects.ts";
import { endIdIn } from "./end-id-forms.ts";
import { offeredSublayer, type SessionState } from "./session-state.ts";
import type { Turn } from "./turn.ts";

const SUBLAYER_VALUE: Readonly<Record<L2Sublayer, number>> = { none: 0, default: 1 };

/** The messages that set a session up (RFC 3931 6.6 to 6.11), from what the session is and is configured to be. */
export function callMessage(
  name: CallMessage,
  session: SessionState,
  configuration: SessionConfiguration,
  dialect: Dialect,
  turn: Turn,
): ControlMessage<CallMessage> {
  switch (name) {
    case "ICRQ":
      return { name, ...request(session, configuration, dialect, turn), ...attachment(configuration) };
    case "OCRQ":
      return { name, ...request(session, configuration, dialect, turn) };
    case "ICRP":
      return { name, ...offer(session, dialect), ...interfaceMtu(configuration) };
    case "OCRP":
      return { name, ...offer(session, dialect) };
    case "ICCN":
    case "OCCN":
      return { name, ...confirmation(session, configuration, dialect) };
  }
}

function idsOf({ localSessionId, remoteSessionId }: SessionState) {
  return { localSessionId, remoteSessionId };
}

function sublayerOf({ l2Sublayer }: SessionState) {
  return { l2SpecificSublayer: SUBLAYER_VALUE[l2Sublayer] };
}

function sequencingOf({ sequencing }: SessionState) {
  return { dataSequencing: SEQUENCING_LEVELS.indexOf(sequencing) };
}

/** What each end says of itself. */
function offer(session: SessionState, { namesLayering }: Dialect) {
  const { localCookie, l2Sublayer, sequencing, circuit } = session;
  return {
    ...idsOf(session),
    ...(localCookie.length > 0 ? { assignedCookie: localCookie } : {}),
    ...(l2Sublayer === "none" && !namesLayering ? {} : sublayerOf(session)),
    ...(sequencing === "none" && !namesLayering ? {} : sequencingOf(session)),
    circuitStatus: statusOf(circuit.condition) | CIRCUIT.new,
  };
}

function request(session: SessionState, configuration: SessionConfiguration, dialect: Dialect, turn: Turn) {
  return {
    ...offer(session, dialect),
    serialNumber: turn.nextSerialNumber(),
    pseudowireType: PSEUDOWIRE_TYPES[configuration.pseudowire],
    remoteEndId: remoteEndIdIn(dialect, configuration),
    ...(session.tieBreaker === undefined ? {} : { tieBreaker: session.tieBreaker }),
  };
}

/** What cannot be written in the dialect's format goes as it stands in the file. */
function remoteEndIdIn({ endIdFormat }: Dialect, { remoteEndId, leftToDialect }: SessionConfiguration): Uint8Array {
  if (leftToDialect?.endIdFormat !== true) return remoteEndId;
  return endIdIn(endIdFormat, remoteEndId) ?? remoteEndId;
}

/** The last message of the exchange says again what has changed since, and nothing else (RFC 3931 5.4.4, 5.4.5). */
function confirmation(session: SessionState, configuration: SessionConfiguration, dialect: Dialect) {
  const circuitStatus = statusOf(session.circuit.condition);
  return {
    ...idsOf(session),
    ...(session.l2Sublayer === offeredSublayer(configuration, dialect) ? {} : sublayerOf(session)),
    ...(session.sequencing === configuration.sequencing ? {} : sequencingOf(session)),
    ...(circuitStatus === session.circuit.advertised ? {} : { circuitStatus }),
  };
}

/** RFC 4667 4.3: what the peer is to attach the pseudowire to, where that takes more than the Remote End ID. */
function attachment(configuration: SessionConfiguration) {
  const { attachmentGroup, localEndId } = configuration;
  return {
    ...interfaceMtu(configuration),
    ...(attachmentGroup.length > 0 ? { attachmentGroupIdentifier: attachmentGroup } : {}),
    ...(localEndId === undefined ? {} : { localEndId }),
  };
}

/** RFC 4667 4.3; an "auto" MTU is the datapath's secret. */
function interfaceMtu({ mtu }: SessionConfiguration) {
  return mtu === "auto" ? {} : { interfaceMtu: mtu };
}
