import { describe, expect, test } from "vitest";
import type { CallEvent } from "../../src/fsm/call.ts";
import { stepOutgoingCallSender } from "../../src/fsm/outgoing-call-sender.ts";
import { effectNames, rowKey, type StateRow } from "../support/state-rows.ts";

type Row = StateRow<CallEvent>;

const call = { type: "local.open" } as const;
const connectionOpen = { type: "local.control-connection-open" } as const;
const close = { type: "local.close" } as const;
const ocrp = { type: "rx.OCRP", verdict: "acceptable" } as const;
const badOcrp = { type: "rx.OCRP", verdict: "unacceptable" } as const;
const occn = { type: "rx.OCCN", verdict: "acceptable" } as const;
const badOccn = { type: "rx.OCCN", verdict: "unacceptable" } as const;
const losingOcrq = { type: "rx.OCRQ", verdict: "tie-won" } as const;
const winningOcrq = { type: "rx.OCRQ", verdict: "tie-lost" } as const;
const repeatedOcrq = { type: "rx.OCRQ", verdict: "unacceptable" } as const;
const cdn = { type: "rx.CDN" } as const;
const invalid = { type: "rx.invalid" } as const;

const STATES = ["idle", "wait-control-conn", "wait-reply", "wait-connect", "established"];
const REQUESTS = [losingOcrq, winningOcrq, repeatedOcrq] as const;
const REPLIES = [ocrp, badOcrp] as const;
const CONFIRMATIONS = [occn, badOccn] as const;
const EVENTS: readonly CallEvent[] = [
  call,
  connectionOpen,
  close,
  ...REQUESTS,
  ...REPLIES,
  ...CONFIRMATIONS,
  cdn,
  invalid,
];

function tearsDown(id: string, state: string, ...events: readonly CallEvent[]): readonly Row[] {
  return events.map((event) => [id, state, event, "CDN, clean-up", "idle"]);
}

/** RFC 3931 7.4.1, cell by cell. "establish" is what "established" means to the datapath. */
const RFC_ROWS: readonly Row[] = [
  ["E50", "idle", call, "open-control-connection", "wait-control-conn"],
  ["E50", "idle", occn, "clean-up", "idle"],
  ["E50", "idle", badOccn, "clean-up", "idle"],
  ["E50", "idle", ocrp, "clean-up", "idle"],
  ["E50", "idle", badOcrp, "clean-up", "idle"],
  ["E50", "idle", cdn, "clean-up", "idle"],
  ["E51", "wait-control-conn", connectionOpen, "OCRQ", "wait-reply"],
  ["E51", "wait-control-conn", close, "clean-up", "idle"],
  ["E52", "wait-reply", ocrp, "", "wait-connect"],
  // The winner's OCRQ is then processed by the recipient's machine (7.4.2).
  ["E52", "wait-reply", winningOcrq, "clean-up", "idle"],
  ["E52", "wait-reply", losingOcrq, "refuse-losing-request", "wait-reply"],
  ["E52", "wait-reply", cdn, "clean-up", "idle"],
  ...tearsDown("E52", "wait-reply", badOcrp, ...CONFIRMATIONS, close),
  ["E53", "wait-connect", occn, "establish", "established"],
  ["E53", "wait-connect", cdn, "clean-up", "idle"],
  ...tearsDown("E53", "wait-connect", ...REQUESTS, ...REPLIES, badOccn, close),
  ["E54", "established", cdn, "clean-up", "idle"],
  ...tearsDown("E54", "established", ...REQUESTS, ...REPLIES, ...CONFIRMATIONS, close),
];

/** What the table leaves out: messages that cannot be processed (5.2, 7.1), and a session that has said nothing yet. */
const OTHER_ROWS: readonly Row[] = [
  ["7.1", "idle", losingOcrq, "clean-up", "idle"],
  ["7.1", "idle", winningOcrq, "clean-up", "idle"],
  ["7.1", "idle", repeatedOcrq, "clean-up", "idle"],
  ["7.1", "idle", invalid, "clean-up", "idle"],
  ["5.4.4", "wait-control-conn", cdn, "clean-up", "idle"],
  ...tearsDown("7.1", "wait-reply", repeatedOcrq, invalid),
  ...tearsDown("7.1", "wait-connect", invalid),
  ...tearsDown("7.1", "established", invalid),
];

describe("states of the sender of an OCRQ", () => {
  test.each([...RFC_ROWS, ...OTHER_ROWS])("%s %s: %o -> %s -> %s", (_, from, event, effects, to) => {
    const after = stepOutgoingCallSender(from, event);
    expect([effectNames(after.effects), after.state]).toEqual([effects, to]);
  });

  test("E50-E54 no other transition exists", () => {
    const rows = new Set([...RFC_ROWS, ...OTHER_ROWS].map(([, from, event]) => rowKey(from, event)));
    for (const state of STATES) {
      for (const event of EVENTS.filter((candidate) => !rows.has(rowKey(state, candidate)))) {
        expect(stepOutgoingCallSender(state, event), rowKey(state, event)).toEqual({ state, effects: [] });
      }
    }
    expect(rows.size).toBe(RFC_ROWS.length + OTHER_ROWS.length);
  });
});
