/**
 * The Result Code AVP in words (RFC 3931 5.4.2 and the IANA registry "L2TP Result Code values"). What is sent and what
 * is shown both come from here.
 */

export interface Result {
  readonly result: number;
  readonly error?: number;
  readonly message?: string;
}

export const GENERAL_ERROR = 2;

/** Result codes of a StopCCN. */
export const STOPCCN = {
  generalClear: 1,
  alreadyExists: 3,
  notAuthorized: 4,
  versionNotSupported: 5,
  shuttingDown: 6,
  stateMachineError: 7,
} as const;

/** Result codes of a CDN. */
export const CDN = {
  circuitLost: 1,
  administrative: 3,
  noFacilitiesNow: 4,
  noFacilities: 5,
  notEstablishedInTime: 10,
  lostTie: 13,
  pseudowireTypeNotSupported: 14,
  sequencingWithoutSublayer: 15,
  stateMachineError: 16,
  mtuMismatch: 23,
  forwarderUnknown: 24,
  forwarderUnauthorized: 25,
  sequencingNotSupported: 31,
} as const;

/** Error codes: they say more about result 2 of either message. */
export const ERROR = {
  wrongLength: 2,
  valueOutOfRange: 3,
  noResources: 4,
  invalidSessionId: 5,
  unknownMandatoryAvp: 8,
  tryAnotherDirected: 9,
} as const;

/** A text for people in an AVP that holds at most 1017 octets: longer ones are cut. */
const MAX_TEXT_LENGTH = 250;

/** A result with a text; the text stands behind an error code, 0 where there is none (RFC 3931 5.4.2). */
export function because(result: number, message: string): Result {
  return { result, error: 0, message: message.slice(0, MAX_TEXT_LENGTH) };
}

/** Of a StopCCN: a message that the connection's state does not allow (RFC 3931 7.1). */
export function outOfTurn(message: string, state: string): Result {
  return because(STOPCCN.stateMachineError, `${message} in state ${state}`);
}

/** Result 2, which is the same in StopCCN and CDN, with an error code that says more. */
export function generalError(error: number, message: string): Result {
  return { result: GENERAL_ERROR, error, message: message.slice(0, MAX_TEXT_LENGTH) };
}

const STOPCCN_TEXTS: Readonly<Record<number, string>> = {
  0: "reserved result code",
  1: "general request to clear the control connection",
  2: "general error",
  3: "a control connection exists already",
  4: "the requester is not authorised",
  5: "the protocol version is not supported",
  6: "the peer is being shut down",
  7: "state machine error or timeout",
  8: "the control connection's differentiated services code point is not acceptable",
};

const CDN_TEXTS: Readonly<Record<number, string>> = {
  0: "reserved result code",
  1: "carrier lost or circuit disconnected",
  2: "general error",
  3: "administrative reasons",
  4: "facilities are temporarily not available",
  5: "facilities are permanently not available",
  6: "invalid destination",
  7: "no carrier",
  8: "busy",
  9: "no dial tone",
  10: "not established within the time allotted",
  11: "no framing detected",
  12: "the session's differentiated services code point is not acceptable",
  13: "the session lost a tie",
  14: "the pseudowire type is not supported",
  15: "sequencing without an L2-Specific Sublayer",
  16: "state machine error or timeout",
  17: "the frame relay circuit was deleted",
  18: "the frame relay circuit was inactive too long",
  19: "the frame relay header lengths differ",
  20: "the HDLC link was deleted",
  21: "the HDLC link was inactive too long",
  22: "OAM emulation is not supported",
  23: "the MTUs of the interfaces differ",
  24: "the forwarder does not exist",
  25: "the forwarder is not authorised",
  26: "a loop was detected",
  27: "the attachment circuit is bound to another LCCE",
  28: "the attachment circuit is bound to another circuit",
  30: "the TDM parameters are not acceptable",
  31: "sequencing is not supported",
};

const ERROR_TEXTS: Readonly<Record<number, string>> = {
  1: "there is no control connection for this pair yet",
  2: "a length is wrong",
  3: "a value is missing or out of range",
  4: "not enough resources now",
  5: "the session ID is invalid",
  6: "a vendor-specific error",
  7: "try another LCCE",
  8: "an unknown AVP had its M bit set",
  9: "try another LCCE, as directed",
  10: "a tunnel switching error",
  11: "a tunnel switching error",
  12: "a tunnel switching error",
};

/** A peer's text without what would steer a terminal or break a line. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
}

/** RFC 3931 5.4.2: an error code says more about result 2; with StopCCN result 5 it is the highest version known. */
function errorMeaning(message: "StopCCN" | "CDN", result: number, error: number | undefined): string | undefined {
  if (error === undefined) return undefined;
  if (result === GENERAL_ERROR) return ERROR_TEXTS[error];
  if (message === "StopCCN" && result === STOPCCN.versionNotSupported) {
    return `${STOPCCN_TEXTS[result]}, ${error} is the highest that the peer speaks`;
  }
  return undefined;
}

/** One sentence part: `"an unknown AVP had its M bit set (result 2, error 8): vendor 0 attribute 77"`. */
export function describeResult(message: "StopCCN" | "CDN", result: Result | undefined): string {
  if (result === undefined) return "no result code given";
  const texts = message === "StopCCN" ? STOPCCN_TEXTS : CDN_TEXTS;
  const error = result.error === undefined || result.error === 0 ? undefined : result.error;
  const meaning = errorMeaning(message, result.result, error) ?? texts[result.result] ?? "unknown result code";
  const numbers = error === undefined ? `result ${result.result}` : `result ${result.result}, error ${error}`;
  // Peers written in C end or fill it with zeros.
  const words = printable((result.message ?? "").replace(/\0+$/, ""));
  if (words === "") return `${meaning} (${numbers})`;
  // Its meaning is none: what the peer says is all that there is to know.
  if (message === "StopCCN" && result.result === STOPCCN.generalClear) return `${words} (${numbers}: ${meaning})`;
  return `${meaning} (${numbers}): ${words}`;
}
