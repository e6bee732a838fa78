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

/** RFC 3931 7.3.1, States of the sender of an ICRQ. "Acceptable" includes that the datapath could be made. */
const incomingCallSenderMachine = callSetup.createMachine({
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
        "local.control-connection-open": { target: "wait-reply", actions: say("ICRQ") },
        "local.close": vanish,
      },
    },
    "wait-reply": {
      on: {
        "rx.ICRP": [{ guard: "acceptable", target: "established", actions: [say("ICCN"), establish] }, tearDown],
        "rx.ICRQ": [{ guard: "tieWon", actions: refuseLosingRequest }, { guard: "tieLost", ...vanish }, tearDown],
        "rx.ICCN": vanish,
        "rx.CDN": vanish,
        "rx.*": tearDown,
        "local.close": tearDown,
      },
    },
    established,
  },
});

export const stepIncomingCallSender = stepper(incomingCallSenderMachine);
