import { decodeMessage } from "../../src/avp/decode.ts";
import { describeMessage } from "../../src/avp/describe.ts";
import { hidingKey } from "../../src/avp/hiding.ts";
import type { LcceConfiguration } from "../../src/control/configuration.ts";
import type { Core, Effect, Input, Instant } from "../../src/control/core.ts";
import { Lcce } from "../../src/control/lcce.ts";
import { Recorder } from "../../src/daemon/recorder.ts";
import { SeededEntropy } from "./virtual-link.ts";

/** A step that was recorded, as it really was. */
export interface RecordedStep {
  readonly at: Instant;
  readonly input: Input | undefined;
  readonly effects: readonly Effect[];
}

class WatchedEntropy extends SeededEntropy {
  /** Every nonce, cookie and challenge that was drawn. */
  readonly secrets: Uint8Array[] = [];

  override secretOctets(length: number): Uint8Array {
    const octets = super.secretOctets(length);
    this.secrets.push(octets);
    return octets;
  }
}

/** An LCCE for a virtual link whose inputs are recorded the way the daemon does. */
export class RecordedLcce extends Lcce {
  /** The recording. */
  readonly lines: string[];
  readonly steps: RecordedStep[] = [];
  readonly secretsDrawn: readonly Uint8Array[];
  readonly #core: Core;

  private constructor(
    configuration: LcceConfiguration,
    now: Instant,
    recorder: Recorder,
    source: WatchedEntropy,
    lines: string[],
  ) {
    super(configuration, recorder.entropy(source), now);
    this.lines = lines;
    this.secretsDrawn = source.secrets;
    this.#core = recorder.core({
      receive: (input, at) => this.#note(at, input, super.receive(input, at)),
      expire: (at) => this.#note(at, undefined, super.expire(at)),
      nextDeadline: () => super.nextDeadline(),
      idle: () => super.idle(),
      view: (tunnel) => super.view(tunnel),
      witnesses: (datagram) => super.witnesses(datagram),
    });
  }

  static record(configuration: LcceConfiguration, seed: number, now: Instant): RecordedLcce {
    const lines: string[] = [];
    const fail = (error: unknown) => {
      throw error;
    };
    const recorder = new Recorder(
      { open: true, append: (line) => lines.push(line), fail },
      "1.2.3",
      configuration,
      now,
    );
    return new RecordedLcce(configuration, now, recorder, new WatchedEntropy(seed), lines);
  }

  override receive(input: Input, now: Instant): readonly Effect[] {
    return this.#core.receive(input, now);
  }

  override expire(now: Instant): readonly Effect[] {
    return this.#core.expire(now);
  }

  #note(at: Instant, input: Input | undefined, effects: readonly Effect[]): readonly Effect[] {
    this.steps.push({ at, input, effects });
    return effects;
  }
}

/** An input or effects with everything that is the same in a replay: of secret octets that is how many there are. */
export function courseOf(what: unknown, secrets: readonly Uint8Array[]): unknown {
  if (Array.isArray(what)) return what.map((each) => courseOf(each, secrets));
  if (typeof what !== "object" || what === null || what instanceof Uint8Array) return what;
  return Object.fromEntries(
    Object.entries(what).map(([key, value]) => {
      if (!(value instanceof Uint8Array)) return [key, courseOf(value, secrets)];
      if (key === "octets") return [key, messageOf(value, secrets)];
      return [key, SECRET_FIELDS.includes(key) ? `${value.length} octets` : Buffer.from(value).toString("hex")];
    }),
  );
}

const SECRET_FIELDS = [
  "localCookie",
  "remoteCookie",
  "assignedCookie",
  "controlMessageAuthenticationNonce",
  "challenge",
  "challengeResponse",
];

/** What a message says, hidden or not, to whoever has one of the secrets. */
function messageOf(octets: Uint8Array, secrets: readonly Uint8Array[]): unknown {
  try {
    const readings = [undefined, ...secrets.map(hidingKey)].map((key) => decodeMessage(octets, key));
    const values = readings.map((decoded) => (decoded.kind === "message" ? decoded.message : undefined));
    const best = values.find((message) => message !== undefined);
    const { header } = decodeMessage(octets);
    const [plain] = readings.map(describeMessage);
    return { length: octets.length, header, plain, message: courseOf(best ?? {}, secrets) };
  } catch (error) {
    return { length: octets.length, error: String(error) };
  }
}
