import type { HookEvent } from "../config/site.ts";
import type { Core, Effect, Input } from "../control/core.ts";
import type { SessionView, TunnelView } from "../control/view.ts";
import { watchedCore } from "./wrapped-core.ts";

/** Something that people outside want to hear of. */
export interface Transition {
  readonly event: HookEvent;
  /** As it is now; of what has ended, as it was. */
  readonly tunnel: TunnelView;
  /** Of a session's event. */
  readonly session?: SessionView;
  /** Why it has ended, a sentence; "" where nobody knows, and for what has not ended. */
  readonly reason: string;
}

/**
 * Finds out what became of tunnels and sessions by comparing how they are with how they were. A log line of a turn says
 * whose turn it was, so that only those few are looked at; how often, is bounded by the rounds of the event loop.
 */
export class Transitions {
  readonly #tell: (transition: Transition) => void;
  readonly #isWanted: () => boolean;
  #wanted: boolean;
  readonly #known = new Map<string, TunnelView>();
  readonly #touched = new Set<string>();
  #core: Core | undefined;
  #scheduled = false;

  /** `isWanted`: whether there is somebody to tell; where that may be otherwise than before, `review` has to be called. */
  constructor(tell: (transition: Transition) => void, isWanted: () => boolean = () => true) {
    this.#tell = tell;
    this.#isWanted = isWanted;
    this.#wanted = isWanted();
  }

  /** There is somebody to tell from now on, or nobody any more; what is up already is no news. */
  review(): void {
    const wanted = this.#isWanted();
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.#begin();
  }

  #begin(): void {
    this.#known.clear();
    this.#touched.clear();
    if (this.#wanted) for (const tunnel of this.#core?.view().tunnels ?? []) this.#known.set(tunnel.name, tunnel);
  }

  /** The core to be used in the place of the one that is watched. What an earlier process has brought up is no news. */
  watch(core: Core): Core {
    this.#core = core;
    this.#begin();
    return watchedCore(core, (input, effects) => this.#turn(input, effects));
  }

  #turn(input: Input | undefined, effects: readonly Effect[]): void {
    if (!this.#wanted) return;
    for (const effect of effects) {
      if (effect.type === "log" && effect.tunnel !== undefined) this.#touched.add(effect.tunnel);
    }
    // A circuit of ours is not worth a line of the log.
    if (input?.type === "circuit") for (const name of this.#known.keys()) this.#touched.add(name);
    if (this.#touched.size === 0 || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.look();
    });
  }

  /** Tells what has happened since the last time. */
  look(): void {
    for (const name of this.#touched) {
      const now = this.#core?.view(name).tunnels[0];
      const before = this.#known.get(name);
      if (now === undefined) this.#known.delete(name);
      else this.#known.set(name, now);
      for (const transition of transitionsBetween(before, now)) this.#tell(transition);
    }
    this.#touched.clear();
  }
}

/** `undefined`: it is not configured. Sessions end before their tunnel does, and begin after it. */
function transitionsBetween(before: TunnelView | undefined, now: TunnelView | undefined): readonly Transition[] {
  const [was, is] = [before && isUp(before), now && isUp(now)];
  const another = before?.localControlConnectionId !== now?.localControlConnectionId;
  const found: Transition[] = before === undefined ? [] : [...endedSessions(before, now)];
  if (before !== undefined && was === true && (is !== true || another)) {
    found.push({ event: "tunnel-down", tunnel: before, reason: now?.lastError ?? "" });
  }
  if (now === undefined) return found;
  if (is === true && (was !== true || another)) found.push({ event: "tunnel-up", tunnel: now, reason: "" });
  return [...found, ...newsOfSessions(before, now)];
}

function* endedSessions(before: TunnelView, now: TunnelView | undefined): Generator<Transition> {
  const sessions = byName(now);
  for (const session of before.sessions) {
    const present = sessions.get(session.name);
    if (!isUp(session) || (present !== undefined && isSame(session, present))) continue;
    yield { event: "session-down", tunnel: before, session, reason: present?.lastError ?? "" };
  }
}

function* newsOfSessions(before: TunnelView | undefined, tunnel: TunnelView): Generator<Transition> {
  const sessions = byName(before);
  for (const session of tunnel.sessions) {
    const former = sessions.get(session.name);
    if (!isUp(session)) continue;
    if (former === undefined || !isSame(session, former)) yield { event: "session-up", tunnel, session, reason: "" };
    else if (!sameCircuits(session, former)) yield { event: "circuit-status", tunnel, session, reason: "" };
  }
}

function byName(tunnel: TunnelView | undefined): ReadonlyMap<string, SessionView> {
  return new Map(tunnel?.sessions.map((session) => [session.name, session]));
}

function isUp({ state }: { readonly state: string }): boolean {
  return state === "established";
}

/** The other one is up too, and the same call. */
function isSame({ localSessionId }: SessionView, other: SessionView): boolean {
  return isUp(other) && other.localSessionId === localSessionId;
}

function sameCircuits(one: SessionView, other: SessionView): boolean {
  return one.localCircuitActive === other.localCircuitActive && one.remoteCircuitActive === other.remoteCircuitActive;
}
