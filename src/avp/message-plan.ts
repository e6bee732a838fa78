import type { AvpDefinition } from "./definition.ts";
import { avpsOf, MESSAGE_NAMES, MESSAGES, type MessageName } from "./messages.ts";
import { AVPS, type AvpName, avpKey } from "./registry.ts";

/** An AVP at its place in a message. */
export interface Slot {
  readonly name: AvpName;
  /** Its place in the order of sending: the required AVPs come first. */
  readonly order: number;
  readonly definition: AvpDefinition;
}

/** A message's row of MESSAGES, prepared once for the interpreters. */
export interface MessagePlan {
  readonly name: MessageName;
  readonly type: number;
  readonly mandatory: boolean;
  readonly requires: readonly AvpName[];
  readonly slotByName: ReadonlyMap<string, Slot>;
  readonly slotByKey: ReadonlyMap<number, Slot>;
}

function planOf(name: MessageName): MessagePlan {
  const { type, mandatory, requires } = MESSAGES[name];
  const slots = avpsOf(name).map((avpName, order) => ({ name: avpName, order, definition: AVPS[avpName] }));
  const slotByName = new Map(slots.map((slot) => [slot.name, slot]));
  const slotByKey = new Map(slots.map((slot) => [avpKey(slot.definition.vendorId, slot.definition.type), slot]));
  return { name, type, mandatory, requires, slotByName, slotByKey };
}

const PLANS = MESSAGE_NAMES.map(planOf);

export const PLAN_BY_NAME: ReadonlyMap<string, MessagePlan> = new Map(PLANS.map((plan) => [plan.name, plan]));
/** By Message Type of vendor 0. */
export const PLAN_BY_TYPE: ReadonlyMap<number, MessagePlan> = new Map(PLANS.map((plan) => [plan.type, plan]));
