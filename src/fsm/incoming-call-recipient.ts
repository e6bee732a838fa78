import { setup } from "xstate";
import { stepper } from "./step.ts";

export type IncomingCallRecipientEvent =
  | { readonly type: "rx.ICRQ"; readonly verdict: "acceptable" | "unacceptable" }
  | { readonly type: "rx.ICCN"; readonly verdict: "acceptable" | "unacceptable" }
  | { readonly type: "rx.ICRP" }
  | { readonly type: "rx.CDN" }
  /** Unknown mandatory AVP, a required AVP missing (RFC 3931 5.2, 7.1). */
  | { readonly type: "rx.invalid" }
  | { readonly type: "local.close" };

export type IncomingCallRecipientEffect =
  | { readonly type: "send"; readonly message: "ICRP" | "CDN" }
  /** Frames may flow. */
  | { readonly type: "establish" }
  | { readonly type: "clean-up" };

const machineSetup = setup({
  types: { events: {} as IncomingCallRecipientEvent, emitted: {} as IncomingCallRecipientEffect },
  guards: { acceptable: ({ event }) => "verdict" in event && event.verdict === "acceptable" },
});

const sendIcrp = machineSetup.emit({ type: "send", message: "ICRP" });
const sendCdn = machineSetup.emit({ type: "send", message: "CDN" });
const establish = machineSetup.emit({ type: "establish" });
const cleanUp = machineSetup.emit({ type: "clean-up" });
const tearDown = { target: "#incoming-call-recipient.idle", actions: [sendCdn, cleanUp] } as const;
const vanish = { target: "#incoming-call-recipient.idle", actions: cleanUp } as const;

/** RFC 3931 7.3.2, States of the recipient of an ICRQ. "Acceptable" includes that the datapath could be made. */
const incomingCallRecipientMachine = machineSetup.createMachine({
  id: "incoming-call-recipient",
  initial: "idle",
  on: { "rx.CDN": vanish },
  states: {
    idle: {
      on: {
        "rx.ICRQ": [{ guard: "acceptable", target: "wait-connect", actions: sendIcrp }, tearDown],
        "rx.ICRP": tearDown,
        "rx.ICCN": vanish,
        "rx.invalid": tearDown,
      },
    },
    "wait-connect": {
      on: {
        "rx.ICCN": [{ guard: "acceptable", target: "established", actions: establish }, tearDown],
        "rx.CDN": vanish,
        "rx.*": tearDown,
        "local.close": tearDown,
      },
    },
    // A wildcard of the inner state comes before a name of the outer one: rx.CDN is said again.
    established: { on: { "rx.CDN": vanish, "rx.*": tearDown, "local.close": tearDown } },
  },
});

export const stepIncomingCallRecipient = stepper(incomingCallRecipientMachine);
