import { callSetup, cleanUp, establish, established, say, tearDown, vanish } from "./call.ts";
import { stepper } from "./step.ts";

/** RFC 3931 7.3.2, States of the recipient of an ICRQ. "Acceptable" includes that the datapath could be made. */
const incomingCallRecipientMachine = callSetup.createMachine({
  id: "call",
  initial: "idle",
  states: {
    idle: {
      on: {
        "rx.ICRQ": [{ guard: "acceptable", target: "wait-connect", actions: say("ICRP") }, tearDown],
        "rx.ICCN": { actions: cleanUp },
        "rx.CDN": { actions: cleanUp },
        "rx.*": tearDown,
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
    established,
  },
});

export const stepIncomingCallRecipient = stepper(incomingCallRecipientMachine);
