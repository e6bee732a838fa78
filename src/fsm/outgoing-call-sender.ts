import {
  callSetup,
  cleanUp,
  establish,
  established,
  openControlConnection,
  refuseLosingRequest,
  say,
  tearDown,
  vanish,
} from "./call.ts";
import { stepper } from "./step.ts";

/** RFC 3931 7.4.1, States of the sender of an OCRQ. An "acceptable" OCCN includes that the datapath could be made. */
const outgoingCallSenderMachine = callSetup.createMachine({
  id: "call",
  initial: "idle",
  on: { "rx.CDN": vanish },
  states: {
    idle: {
      on: {
        "local.open": { target: "wait-control-conn", actions: openControlConnection },
        "rx.*": { actions: cleanUp },
      },
    },
    "wait-control-conn": {
      on: {
        "local.control-connection-open": { target: "wait-reply", actions: say("OCRQ") },
        "local.close": vanish,
      },
    },
    "wait-reply": {
      on: {
        "rx.OCRP": [{ guard: "acceptable", target: "wait-connect" }, tearDown],
        "rx.OCRQ": [{ guard: "tieWon", actions: refuseLosingRequest }, { guard: "tieLost", ...vanish }, tearDown],
        "rx.CDN": vanish,
        "rx.*": tearDown,
        "local.close": tearDown,
      },
    },
    "wait-connect": {
      on: {
        "rx.OCCN": [{ guard: "acceptable", target: "established", actions: establish }, tearDown],
        "rx.CDN": vanish,
        "rx.*": tearDown,
        "local.close": tearDown,
      },
    },
    established,
  },
});

export const stepOutgoingCallSender = stepper(outgoingCallSenderMachine);
