import type { Core, Effect, Input, Instant } from "../control/core.ts";
import type { LcceView } from "../control/view.ts";

/** `input` is `undefined` for a turn of the clock alone. */
type Around = (now: Instant, input: Input | undefined, turn: () => readonly Effect[]) => readonly Effect[];

/** A core with something done around each of its turns; to be used in its place. */
export class WrappedCore implements Core {
  readonly #core: Core;
  readonly #around: Around;

  constructor(core: Core, around: Around) {
    this.#core = core;
    this.#around = around;
  }

  receive(input: Input, now: Instant): readonly Effect[] {
    return this.#around(now, input, () => this.#core.receive(input, now));
  }

  expire(now: Instant): readonly Effect[] {
    return this.#around(now, undefined, () => this.#core.expire(now));
  }

  nextDeadline(): Instant | undefined {
    return this.#core.nextDeadline();
  }

  idle(): boolean {
    return this.#core.idle();
  }

  view(tunnel?: string): LcceView {
    return this.#core.view(tunnel);
  }
}

/** `heard` gets what each turn was about, and what came of it. */
export function watchedCore(
  core: Core,
  heard: (input: Input | undefined, effects: readonly Effect[]) => void,
): WrappedCore {
  return new WrappedCore(core, (_, input, turn) => {
    const effects = turn();
    heard(input, effects);
    return effects;
  });
}
