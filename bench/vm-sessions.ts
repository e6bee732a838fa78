import { fileURLToPath } from "node:url";
import { runInVm, vmUnavailable } from "../test/interop/vm/lab.ts";
import type { LongestBlock, Measurement } from "./daemon.ts";

const GUEST_SCRIPT = fileURLToPath(new URL("../../test/interop/vm/guest/sessions.mjs", import.meta.url));
const SESSIONS = 500;
const ROUNDS = 2;
const TIMEOUT_MS = 400_000;
const GOAL_RATIO = 0.5;

interface Blocks {
  readonly setUp: LongestBlock;
  readonly deleted: LongestBlock;
  readonly idle: LongestBlock;
}

/** What the guest's script prints at its end: sessions per second of each round. */
interface GuestResult {
  readonly daemon: readonly number[];
  readonly batch: readonly number[];
  readonly residentMb: number;
  readonly blocks: { readonly kernel: Blocks; readonly none: Blocks };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** How fast the machine is stands in the second row: bench/blocking.ts measures the same outside of it. */
function blockRows(what: string, of: (blocks: Blocks) => LongestBlock, blocks: GuestResult["blocks"]): Measurement[] {
  return (["kernel", "none"] as const).map((datapath) => ({
    name: `longest block of the main thread in the VM, datapath ${datapath}: ${what}`,
    value: of(blocks[datapath]).ownMs,
    unit: "ms",
    goal: undefined,
  }));
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
  const { daemon, batch, residentMb, blocks }: GuestResult = JSON.parse(line.slice("result ".length));
  const where = `in the VM, ${SESSIONS} sessions, mean of ${ROUNDS}`;
  return [
    ...blockRows(`${SESSIONS} sessions set up`, ({ setUp }) => setUp, blocks),
    ...blockRows(`${SESSIONS} sessions deleted with their tunnel`, ({ deleted }) => deleted, blocks),
    ...blockRows("the same time without anything to do", ({ idle }) => idle, blocks),
    {
      name: "the block of deletions, kernel datapath against none",
      value: blocks.kernel.deleted.ownMs / blocks.none.deleted.ownMs,
      unit: "ratio",
      goal: undefined,
    },
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
