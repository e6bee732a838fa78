import { ProtocolError } from "../avp/protocol-error.ts";
import { sanitiseMessage, type Witness } from "../avp/sanitise.ts";
import type { LcceConfiguration } from "../control/configuration.ts";
import type { Core, Effect, Entropy, Input, Instant } from "../control/core.ts";
import type { Lines } from "./recording-file.ts";
import { type Draw, FORMAT, hexOf, type RecordingEntry, writeEntry, writeHeader } from "./recording-format.ts";
import { RecordingStandIns, tunnelsWithoutCookies } from "./stand-ins.ts";
import { WrappedCore } from "./wrapped-core.ts";

type DatagramInput = Extract<Input, { readonly type: "datagram" }>;

/** What has to be asked before a datagram can be recorded without secrets. */
export interface RecordableCore extends Core {
  /** What can tell whether a datagram is genuine. Throws ProtocolError where nobody could even read it. */
  witnesses(datagram: DatagramInput): readonly Witness[];
}

/** Octets of a datagram that can be told apart although it is no control message: those of a control header. */
const KEPT_OF_NOISE = 12;

/** Writes down everything that a core is given, without its secrets: so that a replay takes the same course. */
export class Recorder {
  readonly #lines: Lines;
  readonly #standIns = new RecordingStandIns();
  /** The header, until there is something to follow it. */
  #header: string;
  #drawn: Draw[] = [];

  /** `now`: the instant that the core is made with. */
  constructor(lines: Lines, version: string, configuration: LcceConfiguration, now: Instant) {
    this.#lines = lines;
    const recorded = new Date().toISOString();
    const tunnels = tunnelsWithoutCookies(configuration.tunnels, this.#standIns);
    this.#header = writeHeader(
      { format: FORMAT, version, recorded, now, configuration: { ...configuration, tunnels } },
      this.#standIns.secret,
    );
  }

  /** The entropy that the core has to draw from. */
  entropy(source: Entropy): Entropy {
    return {
      uint32: () => this.#draw(source.uint32(), (number) => number),
      octets: (length) => this.#draw(source.octets(length), hexOf),
      secretOctets: (length) =>
        this.#draw(source.secretOctets(length), (octets) => ({ secret: hexOf(this.#standIns.octets(octets)) })),
    };
  }

  /** The core to be used in the place of the one that is recorded. */
  core(recorded: RecordableCore): Core {
    return new WrappedCore(recorded, (now, input, turn) => this.record(now, input, recorded, turn));
  }

  /** An input, or `undefined` for expire, and what the core does with it: that it throws is no reason to lose it. */
  record(at: Instant, input: Input | undefined, core: RecordableCore, act: () => readonly Effect[]): readonly Effect[] {
    if (!this.#lines.open) return act();
    // Before it acts: whom the datagram comes from, the core may have forgotten afterwards.
    const sanitised = this.#guard(() => this.#withoutSecrets(input, core));
    try {
      return act();
    } finally {
      // What could not be sanitised has ended the recording.
      if (this.#lines.open) this.#guard(() => this.#append({ at, input: sanitised, drawn: this.#drawn }));
      this.#drawn = [];
    }
  }

  /** Whatever stands below `authentication` is replaced when it is written. */
  #withoutSecrets(input: Input | undefined, core: RecordableCore): Input | undefined {
    if (input?.type === "datagram") return this.#sanitise(input, core);
    if (input?.type !== "configuration-changed") return input;
    return { ...input, tunnels: tunnelsWithoutCookies(input.tunnels, this.#standIns) };
  }

  #append(entry: RecordingEntry): void {
    if (this.#header !== "") this.#lines.append(this.#header);
    this.#header = "";
    this.#lines.append(writeEntry(entry, this.#standIns.secret));
  }

  /** A wall: what goes wrong here ends the recording, not the daemon, and nothing unsanitised is written. */
  #guard<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      this.#lines.fail(error);
      return undefined;
    }
  }

  #draw<T>(value: T, draw: (value: T) => Draw): T {
    if (this.#lines.open) this.#drawn.push(draw(value));
    return value;
  }

  #sanitise(input: DatagramInput, core: RecordableCore): DatagramInput {
    const { octets } = input;
    try {
      return { ...input, octets: sanitiseMessage(octets, witnessesOf(input, core), this.#standIns) };
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const rest = this.#standIns.octets(octets.subarray(KEPT_OF_NOISE));
      return { ...input, octets: Uint8Array.from([...octets.subarray(0, KEPT_OF_NOISE), ...rest]) };
    }
  }
}

function witnessesOf(input: DatagramInput, core: RecordableCore): readonly Witness[] {
  try {
    return core.witnesses(input);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return [];
  }
}
