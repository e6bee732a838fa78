import { setup } from "xstate";

/** What a session is in: RFC 3931 7.3.1, 7.3.2, 7.4.1 and 7.4.2, each with a state table of its own. */
export type CallRole = "icrq-sender" | "icrq-recipient" | "ocrq-sender" | "ocrq-recipient";

/** The messages that set a session up. */
export type CallMessage = "ICRQ" | "ICRP" | "ICCN" | "OCRQ" | "OCRP" | "OCCN";

/** `control` has looked at the message. The verdicts on a tie exist for the requests alone (RFC 3931 5.4.4). */
export type CallVerdict = "acceptable" | "unacceptable" | "tie-won" | "tie-lost";

/** What can happen to a session. SLI and WEN are no events: no state of RFC 3931 7.3 and 7.4 reacts. */
export type CallEvent =
  /** A call is to be placed: the circuit is there, or the configuration says so. */
  | { readonly type: "local.open" }
  | { readonly type: "local.control-connection-open" }
  | { readonly type: "local.close" }
  /** The call that an OCRQ asked for is through: the circuit and the datapath are there. */
  | { readonly type: "local.circuit-open" }
  /** It cannot be placed, not in time, or its circuit is lost. */
  | { readonly type: "local.circuit-failed" }
  | { readonly type: `rx.${CallMessage}`; readonly verdict: CallVerdict }
  | { readonly type: "rx.CDN" }
  /** Unknown mandatory AVP, a required AVP missing (RFC 3931 5.2, 7.1). */
  | { readonly type: "rx.invalid" };

export type CallEffect =
  | { readonly type: "send"; readonly message: CallMessage | "CDN" }
  /** Answer the request that lost the tie with a CDN, result 13 (RFC 3931 5.4.4). */
  | { readonly type: "refuse-losing-request" }
  | { readonly type: "open-control-connection" }
  /** Make what the OCRQ asks for; `local.circuit-open` or `local.circuit-failed` tells how it went. */
  | { readonly type: "place-call" }
  /** Frames may flow. */
  | { readonly type: "establish" }
  | { readonly type: "clean-up" };

/** What the four machines have in common: their events, effects and guards. */
export const callSetup = setup({
  types: { events: {} as CallEvent, emitted: {} as CallEffect },
  guards: {
    acceptable: ({ event }) => "verdict" in event && event.verdict === "acceptable",
    tieWon: ({ event }) => "verdict" in event && event.verdict === "tie-won",
    tieLost: ({ event }) => "verdict" in event && event.verdict === "tie-lost",
  },
});

export function say(message: CallMessage | "CDN") {
  return callSetup.emit({ type: "send", message });
}

export const refuseLosingRequest = callSetup.emit({ type: "refuse-losing-request" });
export const openControlConnection = callSetup.emit({ type: "open-control-connection" });
export const placeCall = callSetup.emit({ type: "place-call" });
export const establish = callSetup.emit({ type: "establish" });
export const cleanUp = callSetup.emit({ type: "clean-up" });

/** CDN, clean up, idle: how most rows of the tables end. */
export const tearDown = { target: "#call.idle", actions: [say("CDN"), cleanUp] } as const;

/** Clean up, idle, without a word to the peer. */
export const vanish = { target: "#call.idle", actions: cleanUp } as const;

/**
 * The state established, the same in all four tables. A wildcard of an inner state comes before a name of the outer
 * one: rx.CDN is said again.
 */
export const established = {
  on: { "rx.CDN": vanish, "rx.*": tearDown, "local.close": tearDown },
} as const;
