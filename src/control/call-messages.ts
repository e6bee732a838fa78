import type { ControlMessage } from "../avp/messages.ts";
import { CIRCUIT_ACTIVE, CIRCUIT_NEW, ETHERNET_PSEUDOWIRE, type L2Sublayer } from "./admission.ts";
import type { SessionConfiguration } from "./configuration.ts";
import type { SessionState } from "./session.ts";
import type { Turn } from "./turn.ts";

const SUBLAYER_VALUE: Readonly<Record<L2Sublayer, number>> = { none: 0, default: 1 };

/** The messages that set a session up (RFC 3931 6.6 to 6.8), from what the session is and is configured to be. */
export function callMessage(
  name: "ICRQ" | "ICRP" | "ICCN",
  session: SessionState,
  configuration: SessionConfiguration,
  turn: Turn,
): ControlMessage<"ICRQ" | "ICRP" | "ICCN"> {
  const { localSessionId, remoteSessionId, localCookie, l2Sublayer, tieBreaker } = session;
  const ids = { localSessionId, remoteSessionId };
  const sublayer = { l2SpecificSublayer: SUBLAYER_VALUE[l2Sublayer] };
  if (name === "ICCN") {
    // A sublayer that the ICRP changed is said back; what is unchanged need not be repeated (RFC 3931 5.4.4).
    return { name, ...ids, ...(l2Sublayer === configuration.l2Sublayer ? {} : sublayer) };
  }
  const common = {
    ...ids,
    ...(localCookie.length > 0 ? { assignedCookie: localCookie } : {}),
    ...(l2Sublayer === "none" ? {} : sublayer),
    circuitStatus: CIRCUIT_ACTIVE | CIRCUIT_NEW,
  };
  if (name === "ICRP") return { name, ...common };
  return {
    name,
    ...common,
    serialNumber: turn.nextSerialNumber(),
    pseudowireType: ETHERNET_PSEUDOWIRE,
    remoteEndId: configuration.remoteEndId,
    ...(tieBreaker === undefined ? {} : { tieBreaker }),
  };
}
