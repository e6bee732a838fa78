import { setup } from "xstate";
import { stepper } from "./step.ts";

export type IncomingCallSenderEvent =
  /** A call is to be placed: the circuit is there, or the configuration says so. */
  | { readonly type: "local.open" }
  | { readonly type: "local.control-connection-open" }
  | { readonly type: "local.close" }
  | { readonly type: "rx.ICRP"; readonly verdict: "acceptable" | "unacceptable" }
  | { readonly type: "rx.ICRQ"; readonly verdict: "tie-won" | "tie-lost" | "unacceptable" }
  | { readonly type: "rx.ICCN" }
  | { readonly type: "rx.CDN" }
  /** Unknown mandatory AVP, a required AVP missing (RFC 3931 5.2, 7.1). */
  | { readonly type: "rx.invalid" };

export type IncomingCallSenderEffect =
  | { readonly type: "send"; readonly message: "ICRQ" | "ICCN" | "CDN" }
  /** Answer the ICRQ that lost the tie with a CDN, result 13 (RFC 3931 5.4.4). */
  | { readonly type: "refuse-losing-icrq" }
  | { readonly type: "open-control-connection" }
  /** Frames may flow. */
  | { readonly type: "establish" }
  | { readonly type: "clean-up" };

const machineSetup = setup({
  types: { events: {} as IncomingCallSenderEvent, emitted: {} as IncomingCallSenderEffect },
  guards: {
    acceptable: ({ event }) => "verdict" in event && event.verdict === "acceptable",
    tieWon: ({ event }) => "verdict" in event && event.verdict === "tie-won",
    tieLost: ({ event }) => "verdict" in event && event.verdict === "tie-lost",
  },
});

const sendIcrq = machineSetup.emit({ type: "send", message: "ICRQ" });
const sendIccn = machineSetup.emit({ type: "send", message: "ICCN" });
const sendCdn = machineSetup.emit({ type: "send", message: "CDN" });
const refuseLosingIcrq = machineSetup.emit({ type: "refuse-losing-icrq" });
const openControlConnection = machineSetup.emit({ type: "open-control-connection" });
const establish = machineSetup.emit({ type: "establish" });
const cleanUp = machineSetup.emit({ type: "clean-up" });
const tearDown = { target: "#incoming-call-sender.idle", actions: [sendCdn, cleanUp] } as const;
const vanish = { target: "#incoming-call-sender.idle", actions: cleanUp } as const;

/** RFC 3931 7.3.1, States of the sender of an ICRQ. "Acceptable" includes that the datapath could be made. */
const incomingCallSenderMachine = machineSetup.createMachine({
  id: "incoming-call-sender",
  initial: "idle",
  on: { "rx.CDN": vanish },
  states: {
    idle: {
      on: {
        "local.open": { target: "wait-control-conn", actions: openControlConnection },
        "rx.*": vanish,
      },
    },
    "wait-control-conn": {
      on: {
        "local.control-connection-open": { target: "wait-reply", actions: sendIcrq },
        "local.close": vanish,
      },
    },
    "wait-reply": {
      on: {
        "rx.ICRP": [{ guard: "acceptable", target: "established", actions: [sendIccn, establish] }, tearDown],
        "rx.ICRQ": [{ guard: "tieWon", actions: refuseLosingIcrq }, { guard: "tieLost", ...vanish }, tearDown],
        "rx.ICCN": vanish,
        "rx.invalid": tearDown,
        "local.close": tearDown,
      },
    },
    // A wildcard of the inner state comes before a name of the outer one: rx.CDN is said again.
    established: { on: { "rx.CDN": vanish, "rx.*": tearDown, "local.close": tearDown } },
  },
});

export const stepIncomingCallSender = stepper(incomingCallSenderMachine);
