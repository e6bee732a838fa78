import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { RecordingError, toJson } from "../daemon/recording-format.ts";
import { Replay, ReplayDeparture, type ReplayStep } from "../daemon/replay.ts";
import { packageVersion } from "../daemon/version.ts";
import type { ReplayCommand } from "./arguments.ts";
import { renderHeader, renderStep } from "./replay-text.ts";
import { complain, EXIT, printable, type Terminal } from "./terminal.ts";

/**
 * `replay FILE`: what the core does with each entry of a recording, in words or with --json as an object in a line each.
 * Exit code 1 where it could not go to the end.
 */
export async function replay({ file, json }: ReplayCommand, terminal: Terminal): Promise<number> {
  let number = 0;
  let recorded: Replay | undefined;
  try {
    for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
      number += 1;
      if (recorded !== undefined) tell(recorded.step(line), recorded, json, terminal);
      else {
        recorded = new Replay(line);
        if (!json) terminal.out(`${printable(renderHeader(recorded.header))}\n`);
      }
    }
  } catch (error) {
    complain(terminal, printable(explain(error, `${file}:${number}`, recorded)));
    return EXIT.failed;
  }
  if (recorded !== undefined) return EXIT.done;
  complain(terminal, `${file}: nothing is recorded in it`);
  return EXIT.failed;
}

function tell(step: ReplayStep, recorded: Replay, json: boolean, terminal: Terminal): void {
  // Octets as they are: whatever was a secret is a stand-in already.
  if (json) terminal.out(`${JSON.stringify(toJson(step, (octets) => octets))}\n`);
  else for (const line of renderStep(step, recorded)) terminal.out(`${printable(line)}\n`);
}

function explain(error: unknown, place: string, recorded: Replay | undefined): string {
  if (error instanceof RecordingError) return `${place}: ${error.message}`;
  if (error instanceof ReplayDeparture) {
    const writer = recorded?.header.version ?? "";
    const versions = `recorded by l2tpv3-lcc ${writer}, replayed by ${packageVersion()}`;
    return `${place}: the replay departs from the recording here: ${error.message} (${versions})`;
  }
  const { code, message } = error as NodeJS.ErrnoException;
  // An error of the file system names the file itself.
  if (code !== undefined) return message;
  throw error;
}
