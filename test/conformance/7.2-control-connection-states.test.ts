import { describe, expect, test } from "vitest";
import { type ControlConnectionEvent, stepControlConnection } from "../../src/fsm/control-connection.ts";
import { effectNames, rowKey, type StateRow } from "../support/state-rows.ts";

type Row = StateRow<ControlConnectionEvent>;

const open = { type: "local.open" } as const;
const close = { type: "local.close" } as const;
const peerDead = { type: "local.peer-dead" } as const;
const sccrq = { type: "rx.SCCRQ", verdict: "acceptable" } as const;
const badSccrq = { type: "rx.SCCRQ", verdict: "unacceptable" } as const;
const losingSccrq = { type: "rx.SCCRQ", verdict: "tie-won" } as const;
const winningSccrq = { type: "rx.SCCRQ", verdict: "tie-lost" } as const;
const sccrp = { type: "rx.SCCRP", verdict: "acceptable" } as const;
const badSccrp = { type: "rx.SCCRP", verdict: "unacceptable" } as const;
const scccn = { type: "rx.SCCCN", verdict: "acceptable" } as const;
const badScccn = { type: "rx.SCCCN", verdict: "unacceptable" } as const;
const stopCcn = { type: "rx.StopCCN" } as const;
const invalid = { type: "rx.invalid" } as const;

const STATES = ["idle", "wait-ctl-reply", "wait-ctl-conn", "established"];
const EVENTS: readonly ControlConnectionEvent[] = [
  open,
  close,
  peerDead,
  sccrq,
  badSccrq,
  losingSccrq,
  winningSccrq,
  sccrp,
  badSccrp,
  scccn,
  badScccn,
  stopCcn,
  invalid,
];

/** RFC 3931 7.2, cell by cell. */
const RFC_ROWS: readonly Row[] = [
  ["E20", "idle", open, "SCCRQ", "wait-ctl-reply"],
  ["E20", "idle", sccrq, "SCCRP", "wait-ctl-conn"],
  ["E20", "idle", badSccrq, "StopCCN, clean-up", "idle"],
  ["E20", "idle", sccrp, "StopCCN, clean-up", "idle"],
  ["E20", "idle", badSccrp, "StopCCN, clean-up", "idle"],
  ["E20", "idle", scccn, "StopCCN, clean-up", "idle"],
  ["E20", "idle", badScccn, "StopCCN, clean-up", "idle"],
  ["E21", "wait-ctl-reply", sccrp, "SCCCN, open-waiting-sessions", "established"],
  ["E21", "wait-ctl-reply", badSccrp, "StopCCN, clean-up", "idle"],
  // The winner's SCCRQ, good or bad, then meets a machine of its own in idle: the rows of E20 answer it.
  ["E21", "wait-ctl-reply", winningSccrq, "clean-up", "idle"],
  ["E21", "wait-ctl-reply", losingSccrq, "refuse-losing-sccrq", "wait-ctl-reply"],
  ["E21", "wait-ctl-reply", scccn, "StopCCN, clean-up", "idle"],
  ["E21", "wait-ctl-reply", badScccn, "StopCCN, clean-up", "idle"],
  ["E22", "wait-ctl-conn", scccn, "open-waiting-sessions", "established"],
  ["E22", "wait-ctl-conn", badScccn, "StopCCN, clean-up", "idle"],
  ["E22", "wait-ctl-conn", sccrq, "StopCCN, clean-up", "idle"],
  ["E22", "wait-ctl-conn", badSccrq, "StopCCN, clean-up", "idle"],
  ["E22", "wait-ctl-conn", sccrp, "StopCCN, clean-up", "idle"],
  ["E22", "wait-ctl-conn", badSccrp, "StopCCN, clean-up", "idle"],
  ["E23", "established", close, "StopCCN, clean-up", "idle"],
  ["E23", "established", sccrq, "StopCCN, clean-up", "idle"],
  ["E23", "established", badSccrq, "StopCCN, clean-up", "idle"],
  ["E23", "established", sccrp, "StopCCN, clean-up", "idle"],
  ["E23", "established", badSccrp, "StopCCN, clean-up", "idle"],
  ["E23", "established", scccn, "StopCCN, clean-up", "idle"],
  ["E23", "established", badScccn, "StopCCN, clean-up", "idle"],
  ["E24", "idle", stopCcn, "clean-up", "idle"],
  ["E24", "wait-ctl-reply", stopCcn, "clean-up", "idle"],
  ["E24", "wait-ctl-conn", stopCcn, "clean-up", "idle"],
  ["E24", "established", stopCcn, "clean-up", "idle"],
];

/** What the table leaves out: closing before the end of the handshake, dead peers (4.2), invalid messages (5.2, 7.1). */
const OTHER_ROWS: readonly Row[] = [
  ["7.2", "idle", close, "clean-up", "idle"],
  ["7.2", "wait-ctl-reply", close, "StopCCN, clean-up", "idle"],
  ["7.2", "wait-ctl-conn", close, "StopCCN, clean-up", "idle"],
  ["4.2", "idle", peerDead, "clean-up", "idle"],
  ["4.2", "wait-ctl-reply", peerDead, "clean-up", "idle"],
  ["4.2", "wait-ctl-conn", peerDead, "clean-up", "idle"],
  ["4.2", "established", peerDead, "clean-up", "idle"],
  ["7.1", "idle", invalid, "StopCCN, clean-up", "idle"],
  ["7.1", "wait-ctl-reply", invalid, "StopCCN, clean-up", "idle"],
  ["7.1", "wait-ctl-conn", invalid, "StopCCN, clean-up", "idle"],
  ["7.1", "established", invalid, "StopCCN, clean-up", "idle"],
  ["7.1", "wait-ctl-reply", badSccrq, "StopCCN, clean-up", "idle"],
  ["7.1", "wait-ctl-reply", sccrq, "StopCCN, clean-up", "idle"],
  // A tie needs an SCCRQ of our own that is outstanding; without one the verdict means no more than "unacceptable".
  ["7.1", "idle", losingSccrq, "StopCCN, clean-up", "idle"],
  ["7.1", "idle", winningSccrq, "StopCCN, clean-up", "idle"],
  ["7.1", "wait-ctl-conn", losingSccrq, "StopCCN, clean-up", "idle"],
  ["7.1", "wait-ctl-conn", winningSccrq, "StopCCN, clean-up", "idle"],
  ["7.1", "established", losingSccrq, "StopCCN, clean-up", "idle"],
  ["7.1", "established", winningSccrq, "StopCCN, clean-up", "idle"],
];

describe("control connection states", () => {
  test.each([...RFC_ROWS, ...OTHER_ROWS])("%s %s: %o -> %s -> %s", (_, from, event, effects, to) => {
    const after = stepControlConnection(from, event);
    expect([effectNames(after.effects), after.state]).toEqual([effects, to]);
  });

  test("E20-E24 no other transition exists", () => {
    const rows = new Set([...RFC_ROWS, ...OTHER_ROWS].map(([, from, event]) => rowKey(from, event)));
    for (const state of STATES) {
      for (const event of EVENTS.filter((candidate) => !rows.has(rowKey(state, candidate)))) {
        expect(stepControlConnection(state, event), rowKey(state, event)).toEqual({ state, effects: [] });
      }
    }
    expect(rows.size).toBe(RFC_ROWS.length + OTHER_ROWS.length);
  });
});
