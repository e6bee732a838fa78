import { describe, expect, test } from "vitest";
import type { Core, Effect, Input } from "../../../src/control/core.ts";
import type { Log } from "../../../src/daemon/log.ts";
import { monotonicNow, Shell } from "../../../src/daemon/shell.ts";
import { NoneDatapath } from "../../../src/kernel/none-datapath.ts";

/** What an effect costs here, and how many there are: together many times what a round of the event loop may take. */
const EFFECT_MS = 0.1;
const EFFECTS = 1_000;
/** A slice is 4 ms, and one step longer; the machine may be busy with something else. */
const MOST_AT_ONCE = 300;

function busy(milliseconds: number): void {
  for (const end = monotonicNow() + milliseconds; monotonicNow() < end; );
}

/** A core that answers each input with log lines that name it, and has nothing else to do. */
class LoggingCore implements Core {
  readonly turns: string[] = [];
  /** Deadlines that have been reached, to be worked off one by one. */
  due = 0;

  readonly written: string[];

  constructor(written: string[]) {
    this.written = written;
  }

  receive(input: Input): readonly Effect[] {
    const name = input.type;
    this.turns.push(`${name} after ${this.written.length}`);
    return Array.from({ length: EFFECTS }, (_, index): Effect => {
      return { type: "log", level: "info", event: "test", message: `${name} ${index}` };
    });
  }

  expire(): readonly Effect[] {
    this.due -= 1;
    busy(EFFECT_MS);
    return [];
  }

  nextDeadline() {
    return this.due > 0 ? 0 : undefined;
  }

  idle() {
    return true;
  }

  view() {
    return { hostname: "", routerId: 0, tunnels: [] };
  }
}

function start() {
  const written: string[] = [];
  const core = new LoggingCore(written);
  const log: Log = {
    tracing: false,
    write({ message }) {
      busy(EFFECT_MS);
      written.push(message);
    },
  };
  return { core, written, shell: new Shell(core, new NoneDatapath(), log, []) };
}

/** How much was done each time the event loop came round, until `done`. */
async function rounds(measure: () => number, end: number): Promise<readonly number[]> {
  const seen = [measure()];
  while ((seen.at(-1) ?? 0) < end) {
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(measure());
  }
  return seen.map((value, index) => value - (seen[index - 1] ?? 0));
}

describe("a turn with thousands of effects", () => {
  test("lets the event loop run in between, and keeps the order", async () => {
    const { core, written, shell } = start();
    shell.accept({ type: "start" });
    // Comes in the midst of it: its turn is after the last effect of the one before.
    shell.accept({ type: "surroundings-changed" });
    const steps = await rounds(() => written.length, 2 * EFFECTS);
    expect(Math.max(...steps)).toBeLessThanOrEqual(MOST_AT_ONCE);
    const expected = ["start", "surroundings-changed"].flatMap((name) =>
      Array.from({ length: EFFECTS }, (_, index) => `${name} ${index}`),
    );
    expect(written).toEqual(expected);
    expect(core.turns).toEqual(["start after 0", `surroundings-changed after ${EFFECTS}`]);
    shell.close();
  });

  test("has ended before anybody is told that nothing is left to do", async () => {
    const { written, shell } = start();
    shell.accept({ type: "shutdown" });
    expect(written.length).toBeLessThan(EFFECTS);
    await shell.idle();
    expect(written).toHaveLength(EFFECTS);
    await shell.idle();
    shell.close();
  });

  test("so does a thousand timers that are due at once", async () => {
    const { core, written, shell } = start();
    core.due = EFFECTS;
    shell.accept({ type: "start" });
    const steps = await rounds(() => written.length + EFFECTS - core.due, 2 * EFFECTS);
    expect(Math.max(...steps)).toBeLessThanOrEqual(MOST_AT_ONCE);
    shell.close();
  });

  test("nothing is performed when everything has been closed", async () => {
    const { written, shell } = start();
    shell.accept({ type: "start" });
    shell.close();
    const { length } = written;
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(written).toHaveLength(length);
  });
});
