import { setup } from "xstate";
import { stepper } from "./step.ts";

/**
 * What can happen to a control connection. `control` has looked at the message and puts its verdict into the event.
 * HELLO, acknowledgements and messages of a type that may be ignored are no events: the reliable channel deals with
 * them, and no state of RFC 3931 7.2 reacts.
 */
export type ControlConnectionEvent =
  | { readonly type: "local.open" }
  /** An administrator, a shutdown, a timer or a kernel that refuses: whatever wants the connection closed properly. */
  | { readonly type: "local.close" }
  /** The peer no longer acknowledges (RFC 3931 4.2): there is nobody to say StopCCN to. */
  | { readonly type: "local.peer-dead" }
  | { readonly type: "rx.SCCRQ"; readonly verdict: "acceptable" | "unacceptable" | "tie-won" | "tie-lost" }
  | { readonly type: "rx.SCCRP"; readonly verdict: "acceptable" | "unacceptable" }
  | { readonly type: "rx.SCCCN"; readonly verdict: "acceptable" | "unacceptable" }
  | { readonly type: "rx.StopCCN" }
  /** Unknown mandatory AVP or message type, a required AVP missing (RFC 3931 5.2, 7.1). */
  | { readonly type: "rx.invalid" };

export type ControlConnectionEffect =
  | { readonly type: "send"; readonly message: "SCCRQ" | "SCCRP" | "SCCCN" | "StopCCN" }
  /** Answer the SCCRQ that lost the tie with a StopCCN (RFC 3931 5.4.3). */
  | { readonly type: "refuse-losing-sccrq" }
  /** The control-conn-open event to sessions that wait for it (RFC 3931 7.2). */
  | { readonly type: "open-waiting-sessions" }
  | { readonly type: "clean-up" };

const machineSetup = setup({
  types: { events: {} as ControlConnectionEvent, emitted: {} as ControlConnectionEffect },
  guards: {
    acceptable: ({ event }) => "verdict" in event && event.verdict === "acceptable",
    tieWon: ({ event }) => "verdict" in event && event.verdict === "tie-won",
    tieLost: ({ event }) => "verdict" in event && event.verdict === "tie-lost",
  },
});

const sendSccrq = machineSetup.emit({ type: "send", message: "SCCRQ" });
const sendSccrp = machineSetup.emit({ type: "send", message: "SCCRP" });
const sendScccn = machineSetup.emit({ type: "send", message: "SCCCN" });
const sendStopCcn = machineSetup.emit({ type: "send", message: "StopCCN" });
const refuseLosingSccrq = machineSetup.emit({ type: "refuse-losing-sccrq" });
const openWaitingSessions = machineSetup.emit({ type: "open-waiting-sessions" });
const cleanUp = machineSetup.emit({ type: "clean-up" });
const tearDown = { target: "#control-connection.idle", actions: [sendStopCcn, cleanUp] } as const;
const vanish = { target: "#control-connection.idle", actions: cleanUp } as const;

/**
 * RFC 3931 7.2, Control Connection States; state names are the RFC's own.
 *
 * One departure in form: the RFC's row "SCCRQ, lose tie, acceptable -> SCCRP, clean up the losing connection ->
 * wait-ctl-conn" takes place in two machines here, because the two connections have ids, sequence numbers and lives of
 * their own. The loser goes `tie-lost` -> clean-up -> idle; the winner starts in idle with its SCCRQ.
 */
const controlConnectionMachine = machineSetup.createMachine({
  id: "control-connection",
  initial: "idle",
  on: { "rx.StopCCN": vanish, "local.peer-dead": vanish, "local.close": tearDown, "rx.*": tearDown },
  states: {
    idle: {
      on: {
        "local.open": { target: "wait-ctl-reply", actions: sendSccrq },
        "local.close": { actions: cleanUp },
        "rx.SCCRQ": [{ guard: "acceptable", target: "wait-ctl-conn", actions: sendSccrp }, tearDown],
      },
    },
    "wait-ctl-reply": {
      on: {
        "rx.SCCRP": [
          { guard: "acceptable", target: "established", actions: [sendScccn, openWaitingSessions] },
          tearDown,
        ],
        "rx.SCCRQ": [{ guard: "tieWon", actions: refuseLosingSccrq }, { guard: "tieLost", ...vanish }, tearDown],
      },
    },
    "wait-ctl-conn": {
      on: {
        "rx.SCCCN": [{ guard: "acceptable", target: "established", actions: openWaitingSessions }, tearDown],
      },
    },
    established: {},
  },
});

export const stepControlConnection = stepper(controlConnectionMachine);
