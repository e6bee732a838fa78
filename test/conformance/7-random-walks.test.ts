import fc from "fast-check";
import { describe, test } from "vitest";
import { walkPlan } from "../support/walks/plan.ts";
import { walk } from "../support/walks/walk.ts";

/** `npm run nightly` sets the first two; a failure prints seed and path, which repeat the smallest walk that fails. */
const { WALK_RUNS = "2000", WALK_SEED = "3931", WALK_PATH = "" } = process.env;

describe(`${WALK_RUNS} random walks of two LCCEs, seed ${WALK_SEED}`, () => {
  test("C07 E01 E05 over a bad link, with restarts and refusals, they end in agreement and leave nothing behind", () => {
    const property = fc.property(walkPlan, (plan) => {
      walk(plan);
    });
    fc.assert(property, { seed: Number(WALK_SEED), numRuns: Number(WALK_RUNS), path: WALK_PATH });
  });
});
