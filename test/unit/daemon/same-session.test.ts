import { expect, test } from "vitest";
import { initialSessionState, type SessionState } from "../../../src/control/session-state.ts";
import { copyOfSession, isSameSession } from "../../../src/daemon/same-session.ts";
import { session } from "../../support/sites.ts";

const STATE = initialSessionState(session("lan42"), 5);
const SOMETHING_ELSE = { something: "else" };
const PARTS = ["circuit", "outcomes"] as const;

/** Every field that there is, today and tomorrow. */
const FIELDS: readonly (readonly [string, (state: SessionState) => object])[] = [
  ...Object.keys(STATE)
    .filter((key) => !PARTS.some((part) => part === key))
    .map((key) => [key, (state: SessionState) => Object.assign(state, { [key]: SOMETHING_ELSE })] as const),
  ...PARTS.flatMap((part) =>
    Object.keys(STATE[part]).map(
      (key) =>
        [`${part}.${key}`, (state: SessionState) => Object.assign(state[part], { [key]: SOMETHING_ELSE })] as const,
    ),
  ),
];

test("a session is as its copy, and is not touched by what becomes of it", () => {
  const state = copyOfSession(STATE);
  expect(isSameSession(state, copyOfSession(state))).toBe(true);
  expect(state).toEqual(STATE);
  expect(FIELDS.length).toBeGreaterThan(25);
});

test.each(FIELDS)("another %s makes it another one", (_, change) => {
  const state = copyOfSession(STATE);
  const copy = copyOfSession(state);
  change(state);
  expect(isSameSession(state, copy)).toBe(false);
});
