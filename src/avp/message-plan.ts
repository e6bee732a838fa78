import { CISCO_AVPS } from "./cisco-avps.ts";
import type { AvpDefinition } from "./definition.ts";
import { avpsOf, MESSAGE_NAMES, MESSAGES, type MessageName } from "./messages.ts";
import { AVPS, type AvpName, avpKey, findAvp } from "./registry.ts";

/** An AVP at its place in a message. */
export interface Slot {
  readonly name: AvpName;
  /** Its place in the order of sending: the required AVPs come first. */
  readonly order: number;
  readonly definition: AvpDefinition;
  /** Whether it is of RFC 2661: one that cannot be used is kept and not judged, as everywhere. */
  readonly legacy: boolean;
}

/** A message's row of MESSAGES, prepared once for the interpreters. */
export interface MessagePlan {
  readonly name: MessageName;
  readonly type: number;
  readonly mandatory: boolean;
  readonly requires: readonly AvpName[];
  readonly slotByName: ReadonlyMap<string, Slot>;
  readonly slotByKey: ReadonlyMap<number, Slot>;
  /** What Cisco sends beside an AVP of this message, or in its place: at that AVP's place, with a definition of its own. */
  readonly twinByName: ReadonlyMap<string, Slot>;
  readonly twinByKey: ReadonlyMap<number, Slot>;
}

function planOf(name: MessageName): MessagePlan {
  const { type, mandatory, requires } = MESSAGES[name];
  const slots = avpsOf(name).map((avpName, order) => slotOf(avpName, order));
  const slotByName = new Map(slots.map((slot) => [slot.name, slot]));
  const slotByKey = new Map(slots.map((slot) => [avpKey(slot.definition.vendorId, slot.definition.type), slot]));
  const twins = twinsOf(name, slots);
  const twinByName = new Map(twins.map((slot) => [slot.name, slot]));
  const twinByKey = new Map(twins.map((slot) => [avpKey(slot.definition.vendorId, slot.definition.type), slot]));
  return { name, type, mandatory, requires, slotByName, slotByKey, twinByName, twinByKey };
}

function twinsOf(message: MessageName, slots: readonly Slot[]): readonly Slot[] {
  return Object.values(CISCO_AVPS).flatMap((definition) => {
    const slot = slots.find(({ name }) => name === definition.twin);
    return slot === undefined || isNoTwin(message, slot.name) ? [] : [{ ...slot, definition }];
  });
}

/**
 * Cisco's tie breaker is a session's alone. A nonce is looked for before anything is believed of the message, and so in
 * one place only.
 */
function isNoTwin(message: MessageName, name: AvpName): boolean {
  return name === "controlMessageAuthenticationNonce" || (name === "tieBreaker" && message === "SCCRQ");
}

function slotOf(name: AvpName, order: number): Slot {
  const definition = AVPS[name];
  return { name, order, definition, legacy: findAvp(definition.vendorId, definition.type)?.origin === "rfc2661" };
}

const PLANS = MESSAGE_NAMES.map(planOf);

export const PLAN_BY_NAME: ReadonlyMap<string, MessagePlan> = new Map(PLANS.map((plan) => [plan.name, plan]));
/** By Message Type of vendor 0. */
export const PLAN_BY_TYPE: ReadonlyMap<number, MessagePlan> = new Map(PLANS.map((plan) => [plan.type, plan]));
