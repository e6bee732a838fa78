import { fileURLToPath } from "node:url";
import { runInVm, vmUnavailable } from "../test/interop/vm/lab.ts";
import type { Measurement } from "./daemon.ts";

const GUEST_SCRIPT = fileURLToPath(new URL("../../test/interop/vm/guest/sessions.mjs", import.meta.url));
const SESSIONS = 500;
const ROUNDS = 2;
const TIMEOUT_MS = 400_000;
const GOAL_RATIO = 0.5;

/** What the guest's script prints at its end: sessions per second of each round. */
interface GuestResult {
  readonly daemon: readonly number[];
  readonly batch: readonly number[];
  readonly residentMb: number;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export async function run(): Promise<readonly Measurement[]> {
  const unavailable = vmUnavailable();
  if (unavailable !== undefined) {
    console.log(`sessions per second with the kernel datapath: skipped: ${unavailable}`);
    return [];
  }
  const args = [String(SESSIONS), String(ROUNDS)];
  const { exitCode, output } = await runInVm({ script: GUEST_SCRIPT, args, timeoutMs: TIMEOUT_MS });
  const line = output.split("\n").find((each) => each.startsWith("result "));
  if (exitCode !== 0 || line === undefined) throw new Error(`the guest's script ended with ${exitCode}:\n${output}`);
  const { daemon, batch, residentMb }: GuestResult = JSON.parse(line.slice("result ".length));
  const where = `in the VM, ${SESSIONS} sessions, mean of ${ROUNDS}`;
  return [
    {
      name: `set up between two daemons, kernel datapath (${where})`,
      value: mean(daemon),
      unit: "sessions/s",
      goal: undefined,
    },
    { name: `two concurrent runs of ip -batch (${where})`, value: mean(batch), unit: "sessions/s", goal: undefined },
    { name: "the daemons against ip -batch", value: mean(daemon) / mean(batch), unit: "ratio", goal: GOAL_RATIO },
    {
      name: `resident size of a daemon with ${SESSIONS} sessions, kernel datapath`,
      value: residentMb,
      unit: "MB",
      goal: undefined,
    },
  ];
}
