import { describe, expect, test } from "vitest";
import type { CallEvent } from "../../src/fsm/call.ts";
import { stepIncomingCallSender } from "../../src/fsm/incoming-call-sender.ts";
import { effectNames, rowKey, type StateRow } from "../support/state-rows.ts";

type Row = StateRow<CallEvent>;

const call = { type: "local.open" } as const;
const connectionOpen = { type: "local.control-connection-open" } as const;
const close = { type: "local.close" } as const;
const icrp = { type: "rx.ICRP", verdict: "acceptable" } as const;
const badIcrp = { type: "rx.ICRP", verdict: "unacceptable" } as const;
const losingIcrq = { type: "rx.ICRQ", verdict: "tie-won" } as const;
const winningIcrq = { type: "rx.ICRQ", verdict: "tie-lost" } as const;
const repeatedIcrq = { type: "rx.ICRQ", verdict: "unacceptable" } as const;
const iccn = { type: "rx.ICCN", verdict: "unacceptable" } as const;
const cdn = { type: "rx.CDN" } as const;
const invalid = { type: "rx.invalid" } as const;

const STATES = ["idle", "wait-control-conn", "wait-reply", "established"];
const EVENTS: readonly CallEvent[] = [
  call,
  connectionOpen,
  close,
  icrp,
  badIcrp,
  losingIcrq,
  winningIcrq,
  repeatedIcrq,
  iccn,
  cdn,
  invalid,
];

/** RFC 3931 7.3.1, cell by cell. "establish" is what "established" means to the datapath. */
const RFC_ROWS: readonly Row[] = [
  ["E30", "idle", call, "open-control-connection", "wait-control-conn"],
  ["E30", "idle", iccn, "clean-up", "idle"],
  ["E30", "idle", icrp, "clean-up", "idle"],
  ["E30", "idle", badIcrp, "clean-up", "idle"],
  ["E30", "idle", cdn, "clean-up", "idle"],
  ["E31", "wait-control-conn", close, "clean-up", "idle"],
  ["E31", "wait-control-conn", connectionOpen, "ICRQ", "wait-reply"],
  ["E32", "wait-reply", icrp, "ICCN, establish", "established"],
  ["E32", "wait-reply", badIcrp, "CDN, clean-up", "idle"],
  // The winner's ICRQ is then processed by the recipient's machine (7.3.2).
  ["E32", "wait-reply", winningIcrq, "clean-up", "idle"],
  ["E32", "wait-reply", losingIcrq, "refuse-losing-request", "wait-reply"],
  ["E32", "wait-reply", cdn, "clean-up", "idle"],
  ["E32", "wait-reply", iccn, "clean-up", "idle"],
  ["E32", "wait-reply", close, "CDN, clean-up", "idle"],
  ["E33", "established", cdn, "clean-up", "idle"],
  ["E33", "established", losingIcrq, "CDN, clean-up", "idle"],
  ["E33", "established", winningIcrq, "CDN, clean-up", "idle"],
  ["E33", "established", repeatedIcrq, "CDN, clean-up", "idle"],
  ["E33", "established", icrp, "CDN, clean-up", "idle"],
  ["E33", "established", badIcrp, "CDN, clean-up", "idle"],
  ["E33", "established", iccn, "CDN, clean-up", "idle"],
  ["E33", "established", close, "CDN, clean-up", "idle"],
];

/** What the table leaves out: messages that cannot be processed (5.2, 7.1), and a session that has said nothing yet. */
const OTHER_ROWS: readonly Row[] = [
  ["7.1", "idle", losingIcrq, "clean-up", "idle"],
  ["7.1", "idle", winningIcrq, "clean-up", "idle"],
  ["7.1", "idle", repeatedIcrq, "clean-up", "idle"],
  ["7.1", "idle", invalid, "clean-up", "idle"],
  ["5.4.4", "wait-control-conn", cdn, "clean-up", "idle"],
  ["7.1", "wait-reply", repeatedIcrq, "CDN, clean-up", "idle"],
  ["7.1", "wait-reply", invalid, "CDN, clean-up", "idle"],
  ["7.1", "established", invalid, "CDN, clean-up", "idle"],
];

describe("states of the sender of an ICRQ", () => {
  test.each([...RFC_ROWS, ...OTHER_ROWS])("%s %s: %o -> %s -> %s", (_, from, event, effects, to) => {
    const after = stepIncomingCallSender(from, event);
    expect([effectNames(after.effects), after.state]).toEqual([effects, to]);
  });

  test("E30-E33 no other transition exists", () => {
    const rows = new Set([...RFC_ROWS, ...OTHER_ROWS].map(([, from, event]) => rowKey(from, event)));
    for (const state of STATES) {
      for (const event of EVENTS.filter((candidate) => !rows.has(rowKey(state, candidate)))) {
        expect(stepIncomingCallSender(state, event), rowKey(state, event)).toEqual({ state, effects: [] });
      }
    }
    expect(rows.size).toBe(RFC_ROWS.length + OTHER_ROWS.length);
  });
});
