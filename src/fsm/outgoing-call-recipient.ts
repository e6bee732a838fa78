import { callSetup, cleanUp, establish, established, placeCall, say, tearDown, vanish } from "./call.ts";
import { stepper } from "./step.ts";

/** RFC 3931 7.4.2, States of the recipient of an OCRQ: the LAC that places the call. */
const outgoingCallRecipientMachine = callSetup.createMachine({
  id: "call",
  initial: "idle",
  states: {
    idle: {
      on: {
        "rx.OCRQ": [{ guard: "acceptable", target: "wait-cs-answer", actions: [say("OCRP"), placeCall] }, tearDown],
        "rx.OCCN": { actions: cleanUp },
        "rx.CDN": { actions: cleanUp },
        "rx.*": tearDown,
      },
    },
    "wait-cs-answer": {
      on: {
        "local.circuit-open": { target: "established", actions: [say("OCCN"), establish] },
        "local.circuit-failed": tearDown,
        "rx.CDN": vanish,
        "rx.*": tearDown,
        "local.close": tearDown,
      },
    },
    established: { on: { ...established.on, "local.circuit-failed": tearDown } },
  },
});

export const stepOutgoingCallRecipient = stepper(outgoingCallRecipientMachine);
