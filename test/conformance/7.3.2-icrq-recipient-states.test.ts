import { describe, expect, test } from "vitest";
import type { CallEvent } from "../../src/fsm/call.ts";
import { stepIncomingCallRecipient } from "../../src/fsm/incoming-call-recipient.ts";
import { effectNames, rowKey, type StateRow } from "../support/state-rows.ts";

type Row = StateRow<CallEvent>;

const icrq = { type: "rx.ICRQ", verdict: "acceptable" } as const;
const badIcrq = { type: "rx.ICRQ", verdict: "unacceptable" } as const;
const iccn = { type: "rx.ICCN", verdict: "acceptable" } as const;
const badIccn = { type: "rx.ICCN", verdict: "unacceptable" } as const;
const icrp = { type: "rx.ICRP", verdict: "unacceptable" } as const;
const cdn = { type: "rx.CDN" } as const;
const invalid = { type: "rx.invalid" } as const;
const close = { type: "local.close" } as const;

const STATES = ["idle", "wait-connect", "established"];
const EVENTS: readonly CallEvent[] = [icrq, badIcrq, iccn, badIccn, icrp, cdn, invalid, close];

/** RFC 3931 7.3.2, cell by cell. */
const RFC_ROWS: readonly Row[] = [
  ["E40", "idle", icrq, "ICRP", "wait-connect"],
  ["E40", "idle", badIcrq, "CDN, clean-up", "idle"],
  ["E40", "idle", icrp, "CDN, clean-up", "idle"],
  ["E40", "idle", iccn, "clean-up", "idle"],
  ["E40", "idle", badIccn, "clean-up", "idle"],
  ["E41", "wait-connect", iccn, "establish", "established"],
  ["E41", "wait-connect", badIccn, "CDN, clean-up", "idle"],
  ["E41", "wait-connect", icrq, "CDN, clean-up", "idle"],
  ["E41", "wait-connect", badIcrq, "CDN, clean-up", "idle"],
  ["E41", "wait-connect", icrp, "CDN, clean-up", "idle"],
  ["E41", "wait-connect", close, "CDN, clean-up", "idle"],
  ["E42", "established", icrq, "CDN, clean-up", "idle"],
  ["E42", "established", badIcrq, "CDN, clean-up", "idle"],
  ["E42", "established", icrp, "CDN, clean-up", "idle"],
  ["E42", "established", iccn, "CDN, clean-up", "idle"],
  ["E42", "established", badIccn, "CDN, clean-up", "idle"],
  ["E42", "established", close, "CDN, clean-up", "idle"],
  ["E42", "idle", cdn, "clean-up", "idle"],
  ["E42", "wait-connect", cdn, "clean-up", "idle"],
  ["E42", "established", cdn, "clean-up", "idle"],
];

/** What the table leaves out: messages that cannot be processed (5.2, 7.1). */
const OTHER_ROWS: readonly Row[] = [
  ["7.1", "idle", invalid, "CDN, clean-up", "idle"],
  ["7.1", "wait-connect", invalid, "CDN, clean-up", "idle"],
  ["7.1", "established", invalid, "CDN, clean-up", "idle"],
];

describe("states of the recipient of an ICRQ", () => {
  test.each([...RFC_ROWS, ...OTHER_ROWS])("%s %s: %o -> %s -> %s", (_, from, event, effects, to) => {
    const after = stepIncomingCallRecipient(from, event);
    expect([effectNames(after.effects), after.state]).toEqual([effects, to]);
  });

  test("E40-E42 no other transition exists", () => {
    const rows = new Set([...RFC_ROWS, ...OTHER_ROWS].map(([, from, event]) => rowKey(from, event)));
    for (const state of STATES) {
      for (const event of EVENTS.filter((candidate) => !rows.has(rowKey(state, candidate)))) {
        expect(stepIncomingCallRecipient(state, event), rowKey(state, event)).toEqual({ state, effects: [] });
      }
    }
    expect(rows.size).toBe(RFC_ROWS.length + OTHER_ROWS.length);
  });
});
