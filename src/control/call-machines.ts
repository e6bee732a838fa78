import type { CallMessage, CallRole } from "../fsm/call.ts";
import { stepIncomingCallRecipient } from "../fsm/incoming-call-recipient.ts";
import { stepIncomingCallSender } from "../fsm/incoming-call-sender.ts";
import { stepOutgoingCallRecipient } from "../fsm/outgoing-call-recipient.ts";
import { stepOutgoingCallSender } from "../fsm/outgoing-call-sender.ts";

/** The machine of each role (RFC 3931 7.3, 7.4). */
export const STEPPERS = {
  "icrq-sender": stepIncomingCallSender,
  "icrq-recipient": stepIncomingCallRecipient,
  "ocrq-sender": stepOutgoingCallSender,
  "ocrq-recipient": stepOutgoingCallRecipient,
} as const satisfies Record<CallRole, unknown>;

/** The message that each state waits for; any other is out of turn. */
export const AWAITED: Readonly<Record<CallRole, Readonly<Record<string, CallMessage>>>> = {
  "icrq-sender": { "wait-reply": "ICRP" },
  "icrq-recipient": { "wait-connect": "ICCN" },
  "ocrq-sender": { "wait-reply": "OCRP", "wait-connect": "OCCN" },
  "ocrq-recipient": {},
};
