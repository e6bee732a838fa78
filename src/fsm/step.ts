import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type EmittedFrom,
  type EventFromLogic,
  type SnapshotFrom,
  transition,
} from "xstate";

/** What a machine makes of one event. */
export interface Step<Effect> {
  /** The state after it: our machines are flat, as the RFC's tables are. */
  readonly state: string;
  readonly effects: readonly Effect[];
}

/** A pure reducer: same state and event, same step. */
export type Stepper<Machine extends AnyStateMachine> = (
  state: string,
  event: EventFromLogic<Machine>,
) => Step<EmittedFrom<Machine>>;

interface PlainEvent {
  readonly type: string;
  readonly verdict?: string;
}

interface ExecutableAction {
  readonly type: string;
  readonly params?: { readonly event?: unknown };
}

/**
 * Turns an XState machine into a pure reducer. The only place that uses XState's runtime.
 *
 * Our machines have no context, and their events are a type and a verdict out of small closed sets. So each
 * (state, event) has one answer for ever: XState is asked once, and the answer is kept. That takes the 28 µs which
 * `transition` costs (it builds an actor scope on every call) off the way of every message but the first.
 */
export function stepper<Machine extends AnyStateMachine>(machine: Machine): Stepper<Machine> {
  const known = new Map<string, Step<EmittedFrom<Machine>>>();
  return (state, event) => {
    const { type, verdict } = event as PlainEvent;
    const key = `${state}|${type}|${verdict ?? ""}`;
    let step = known.get(key);
    if (step === undefined) {
      step = ask(machine, state, event);
      known.set(key, step);
    }
    return step;
  };
}

function ask<Machine extends AnyStateMachine>(
  machine: Machine,
  state: string,
  event: EventFromLogic<Machine>,
): Step<EmittedFrom<Machine>> {
  const before: AnyMachineSnapshot = machine.resolveState({ value: state, context: {} });
  // XState's public types do not connect a generic machine with its snapshot and actions: the casts stay here.
  const [next, actions] = transition(machine, before as SnapshotFrom<Machine>, event);
  const after = next as AnyMachineSnapshot;
  const effects = (actions as readonly ExecutableAction[]).map((action) =>
    effectOf<EmittedFrom<Machine>>(machine.id, action),
  );
  return { state: after.value as string, effects };
}

/** Effects are emits. Any other action would run outside the core's control: it fails the first test that meets it. */
function effectOf<Effect>(machineId: string, action: ExecutableAction): Effect {
  if (action.type !== "xstate.emit") throw new Error(`machine ${machineId} uses a forbidden action: ${action.type}`);
  return action.params?.event as Effect;
}
