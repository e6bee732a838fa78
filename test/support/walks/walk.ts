import { retransmissionCycleMs } from "../../../src/control/reliable-channel.ts";
import { internalErrors } from "../scripted-peer.ts";
import { disagreements, impossible, leftovers } from "./agreement.ts";
import { RETRANSMIT, type WalkPlan } from "./plan.ts";
import { WalkWorld } from "./walk-world.ts";

/** More than a dead peer, the longest pause between attempts and a few unlucky attempts take together. */
const TIME_TO_AGREE_MS = 1_200_000;
/** More than a closed connection lingers. */
const STAY_MS = 180_000;
const MINIMUM_LINGER_MS = 31_000;
const TICK_MS = 500;

/** Takes the walk; throws where an invariant does not hold. */
export function walk(plan: WalkPlan): void {
  const world = new WalkWorld(plan);
  if (plan.warmUpMs !== undefined) world.start();
  world.link.run(plan.warmUpMs ?? 0);
  for (const { afterMs, site, action } of plan.steps) {
    world.link.run(afterMs);
    world.perform(site, action);
    checkSanity(world);
  }
  world.heal();
  // What a datapath has refused to change is not known yet.
  world.link.run(TICK_MS);
  settle(world, TIME_TO_AGREE_MS, "after the walk");
  const before = upAtA(world);
  for (const { afterMs, site } of plan.rotations) {
    world.link.run(afterMs);
    world.perform(site, { do: "rotate" });
  }
  // In agreement means that nothing happens any more, and that no old connection is left behind.
  world.link.run(STAY_MS);
  settle(world, TIME_TO_AGREE_MS, "when it had agreed before");
  if (upAtA(world) !== before) throw new Error(`it did not stay as it was: ${before}, then ${upAtA(world)}`);
  end(world);
}

function settle(world: WalkWorld, limitMs: number, when: string): void {
  const limit = world.link.now + limitMs;
  let found = disagreements(world);
  while (found.length > 0 && world.link.now < limit) {
    world.link.run(TICK_MS);
    found = disagreements(world);
  }
  if (found.length > 0) throw new Error(`no agreement ${when}:\n${found.join("\n")}`);
  checkSanity(world);
}

/** Ids of what is up. */
function upAtA(world: WalkWorld): string {
  const [tunnel] = world.nodes[0].core.save().tunnels;
  const live = world.tunnelWanted ? tunnel?.state.live : 0;
  const established = tunnel?.sessions.map(({ state, localSessionId }) =>
    state === "established" ? localSessionId : 0,
  );
  return JSON.stringify([live, established]);
}

function end(world: WalkWorld): void {
  const { ending, retransmit } = world.plan;
  const cycleMs = retransmissionCycleMs(RETRANSMIT[retransmit]);
  if (ending.badLink) world.worsen();
  const first = world.nodes[ending.first];
  const second = world.nodes[ending.first === 0 ? 1 : 0];
  first.receive({ type: "shutdown" });
  world.link.run(ending.gapMs);
  second.receive({ type: "shutdown" });
  world.link.run(cycleMs);
  if (!first.core.idle() || !second.core.idle()) throw new Error("not idle a retransmission cycle after the shutdown");
  world.link.run(Math.max(cycleMs, MINIMUM_LINGER_MS) + cycleMs);
  checkSanity(world);
  const left = world.nodes.flatMap((node) => leftovers(node).map((what) => `${node.address} ${what}`));
  if (left.length > 0) throw new Error(`left over after the shutdown:\n${left.join("\n")}`);
}

function checkSanity(world: WalkWorld): void {
  const found = world.nodes.flatMap((node) => [...impossible(node), ...internalErrors(node)]);
  found.push(...world.complaints);
  if (found.length > 0) throw new Error(`at ${world.link.now} ms:\n${found.join("\n")}`);
}
