import type { Effect, Entropy, Input, Instant } from "../control/core.ts";
import { Lcce } from "../control/lcce.ts";
import type { LcceView } from "../control/view.ts";
import {
  type Draw,
  octetsOf,
  RecordingError,
  type RecordingHeader,
  readEntry,
  readHeader,
} from "./recording-format.ts";

/** A tunnel or session in another state than before; "removed": it is configured no more. */
export interface StateChange {
  readonly tunnel: string;
  /** Absent: the tunnel itself. */
  readonly session?: string;
  readonly from: string;
  readonly to: string;
}

/** One entry of a recording, and what the core made of it. */
export interface ReplayStep {
  readonly at: Instant;
  /** `undefined`: it was told to perform what is due. */
  readonly input: Input | undefined;
  readonly effects: readonly Effect[];
  readonly changes: readonly StateChange[];
  /** With what error the core ended; the daemon would have logged it and gone on. */
  readonly failure: string | undefined;
}

/** The core behaves otherwise than when it was recorded, and so cannot go on. One sentence. */
export class ReplayDeparture extends Error {}

/** A core that goes through a recording: same configuration, same instants, same inputs, same chance. */
export class Replay {
  readonly header: RecordingHeader;
  /** The stand-ins for shared secrets met so far; with them hidden AVPs can be read. */
  readonly secrets: readonly Uint8Array[];
  readonly #secrets: Uint8Array[] = [];
  readonly #entropy = new RecordedEntropy();
  readonly #core: Lcce;
  #states: ReadonlyMap<string, State>;

  /** `line`: the first of the recording. Throws RecordingError. */
  constructor(line: string) {
    this.secrets = this.#secrets;
    this.header = readHeader(line, this.#secrets);
    const { configuration, now, version } = this.header;
    try {
      this.#core = new Lcce(configuration, this.#entropy, now);
      this.#states = statesOf(this.#core.view());
    } catch (error) {
      throw new RecordingError(`the configuration, of l2tpv3-lcc ${version}, means nothing to this one: ${error}`);
    }
  }

  /** What `show` would tell now. */
  view(): LcceView {
    return this.#core.view();
  }

  /**
   * Takes the next line of the recording. Throws RecordingError where it cannot be read, and ReplayDeparture where the
   * core asks for other chance than was recorded: nothing that followed would mean anything.
   */
  step(line: string): ReplayStep {
    const { at, input, drawn } = readEntry(line, this.#secrets);
    this.#entropy.load(drawn);
    let effects: readonly Effect[] = [];
    let failure: string | undefined;
    try {
      effects = input === undefined ? this.#core.expire(at) : this.#core.receive(input, at);
    } catch (error) {
      failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
    // The core has walls of its own, which an error of the entropy does not get through.
    this.#entropy.check();
    const before = this.#states;
    this.#states = statesOf(this.#core.view());
    return { at, input, effects, changes: changesBetween(before, this.#states), failure };
  }
}

/** What was drawn in one entry, once more. */
class RecordedEntropy implements Entropy {
  #draws: readonly Draw[] = [];
  #next = 0;
  #departure: string | undefined;

  load(draws: readonly Draw[]): void {
    this.#draws = draws;
    this.#next = 0;
    this.#departure = undefined;
  }

  uint32(): number {
    const draw = this.#take("a number");
    return typeof draw === "number" ? draw : this.#depart("a number");
  }

  octets(length: number): Uint8Array {
    const draw = this.#take(`${length} octets`);
    const octets = typeof draw === "string" ? octetsOf(draw) : undefined;
    return octets?.length === length ? octets : this.#depart(`${length} octets`);
  }

  secretOctets(length: number): Uint8Array {
    const draw = this.#take(`${length} secret octets`);
    const octets = typeof draw === "object" ? octetsOf(draw.secret) : undefined;
    return octets?.length === length ? octets : this.#depart(`${length} secret octets`);
  }

  /** Throws ReplayDeparture unless exactly what was recorded has been asked for. */
  check(): void {
    const rest = this.#draws.length - this.#next;
    if (this.#departure === undefined && rest > 0) {
      this.#departure = `${rest} of the ${this.#draws.length} values that the core drew are not asked for`;
    }
    if (this.#departure !== undefined) throw new ReplayDeparture(this.#departure);
  }

  #take(what: string): Draw {
    const draw = this.#draws[this.#next++];
    return draw ?? this.#depart(what);
  }

  #depart(what: string): never {
    this.#departure ??= `the core draws ${what} as number ${this.#next}, which the recording has not`;
    throw new ReplayDeparture(this.#departure);
  }
}

interface State {
  readonly tunnel: string;
  readonly session?: string;
  readonly state: string;
}

function statesOf({ tunnels }: LcceView): ReadonlyMap<string, State> {
  const states = new Map<string, State>();
  for (const { name: tunnel, state, sessions } of tunnels) {
    states.set(tunnel, { tunnel, state });
    for (const { name: session, state: ofSession } of sessions) {
      states.set(`${tunnel}/${session}`, { tunnel, session, state: ofSession });
    }
  }
  return states;
}

function changesBetween(before: ReadonlyMap<string, State>, after: ReadonlyMap<string, State>): readonly StateChange[] {
  const changes: StateChange[] = [];
  for (const [key, { state: to, ...where }] of after) {
    const from = before.get(key)?.state ?? "idle";
    if (from !== to) changes.push({ ...where, from, to });
  }
  for (const [key, { state: from, ...where }] of before) {
    if (!after.has(key)) changes.push({ ...where, from, to: "removed" });
  }
  return changes;
}
