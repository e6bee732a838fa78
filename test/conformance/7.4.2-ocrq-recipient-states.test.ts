import { describe, expect, test } from "vitest";
import type { CallEvent } from "../../src/fsm/call.ts";
import { stepOutgoingCallRecipient } from "../../src/fsm/outgoing-call-recipient.ts";
import { effectNames, rowKey, type StateRow } from "../support/state-rows.ts";

type Row = StateRow<CallEvent>;

const ocrq = { type: "rx.OCRQ", verdict: "acceptable" } as const;
const badOcrq = { type: "rx.OCRQ", verdict: "unacceptable" } as const;
const ocrp = { type: "rx.OCRP", verdict: "unacceptable" } as const;
const occn = { type: "rx.OCCN", verdict: "unacceptable" } as const;
const circuitOpen = { type: "local.circuit-open" } as const;
const circuitFailed = { type: "local.circuit-failed" } as const;
const close = { type: "local.close" } as const;
const cdn = { type: "rx.CDN" } as const;
const invalid = { type: "rx.invalid" } as const;

const STATES = ["idle", "wait-cs-answer", "established"];
const EVENTS: readonly CallEvent[] = [ocrq, badOcrq, ocrp, occn, circuitOpen, circuitFailed, close, cdn, invalid];

function tearsDown(id: string, state: string, ...events: readonly CallEvent[]): readonly Row[] {
  return events.map((event) => [id, state, event, "CDN, clean-up", "idle"]);
}

/** RFC 3931 7.4.2, cell by cell; "circuit" is the bearer of the RFC's table. */
const RFC_ROWS: readonly Row[] = [
  ["E60", "idle", ocrq, "OCRP, place-call", "wait-cs-answer"],
  ...tearsDown("E60", "idle", badOcrq, ocrp),
  ["E60", "idle", occn, "clean-up", "idle"],
  ["E60", "idle", cdn, "clean-up", "idle"],
  ["E61", "wait-cs-answer", circuitOpen, "OCCN, establish", "established"],
  ...tearsDown("E61", "wait-cs-answer", circuitFailed, ocrq, badOcrq, ocrp, occn, close),
  ["E61", "wait-cs-answer", cdn, "clean-up", "idle"],
  ...tearsDown("E62", "established", circuitFailed, ocrq, badOcrq, ocrp, occn, close),
  ["E62", "established", cdn, "clean-up", "idle"],
];

/** What the table leaves out: messages that cannot be processed (5.2, 7.1). */
const OTHER_ROWS: readonly Row[] = [
  ...tearsDown("7.1", "idle", invalid),
  ...tearsDown("7.1", "wait-cs-answer", invalid),
  ...tearsDown("7.1", "established", invalid),
];

describe("states of the recipient of an OCRQ", () => {
  test.each([...RFC_ROWS, ...OTHER_ROWS])("%s %s: %o -> %s -> %s", (_, from, event, effects, to) => {
    const after = stepOutgoingCallRecipient(from, event);
    expect([effectNames(after.effects), after.state]).toEqual([effects, to]);
  });

  test("E60-E62 no other transition exists", () => {
    const rows = new Set([...RFC_ROWS, ...OTHER_ROWS].map(([, from, event]) => rowKey(from, event)));
    for (const state of STATES) {
      for (const event of EVENTS.filter((candidate) => !rows.has(rowKey(state, candidate)))) {
        expect(stepOutgoingCallRecipient(state, event), rowKey(state, event)).toEqual({ state, effects: [] });
      }
    }
    expect(rows.size).toBe(RFC_ROWS.length + OTHER_ROWS.length);
  });
});
