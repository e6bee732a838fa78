/** For how long the daemon's main thread does nothing but one thing, while many sessions are set up and deleted. */
import { NetworkNamespace, namespacesMissing } from "../test/support/namespaces.ts";
import { BenchDaemon, INITIATOR, LOOP_PROBE, type Measurement, RESPONDER, scratchDirectory } from "./daemon.ts";

const SESSIONS = 1_000;
const GOAL_MS = 20;
const IDLE_MS = 2_000;
const WINDOW = 64;
const PORT = 21_791;

const directory = scratchDirectory();

type Ends = readonly [initiator: BenchDaemon, responder: BenchDaemon];

/** The longest block of either end since the last call. */
async function longest(ends: Ends) {
  const blocks = await Promise.all(ends.map((daemon) => daemon.longestBlock()));
  return {
    clockMs: Math.max(...blocks.map(({ clockMs }) => clockMs)),
    ownMs: Math.max(...blocks.map(({ ownMs }) => ownMs)),
  };
}

async function measure(datapath: "none" | "userspace", namespace: NetworkNamespace | undefined) {
  const site = {
    sessions: SESSIONS,
    receiveWindow: WINDOW,
    port: PORT,
    ...(namespace === undefined ? {} : { namespace }),
  };
  // One machine has each interface once: the other end makes none.
  const responder = new BenchDaemon(directory, RESPONDER, site, LOOP_PROBE);
  await responder.untilLogged("ready");
  const initiator = new BenchDaemon(directory, INITIATOR, { ...site, datapath }, LOOP_PROBE);
  const ends = [initiator, responder] as const;
  await initiator.untilLogged("ready");
  // What reading a configuration of 1,000 sessions takes is another matter.
  await longest(ends);
  const steps: [name: string, blocks: Awaited<ReturnType<typeof longest>>][] = [];
  const untilBoth = async (events: readonly [string, string], act: () => Promise<unknown>, what: string) => {
    const from = ends.map((daemon) => daemon.readLog().length);
    await act();
    await Promise.all(ends.map((daemon, end) => daemon.untilLogged(events[end] ?? "", SESSIONS, from[end])));
    steps.push([what, await longest(ends)]);
  };
  await Promise.all(ends.map((daemon) => daemon.untilLogged("session-established", SESSIONS)));
  steps.push([`${SESSIONS} sessions set up after the start`, await longest(ends)]);
  await untilBoth(
    ["session-closed", "session-closed"],
    () => initiator.command("close"),
    `${SESSIONS} sessions deleted with their tunnel`,
  );
  await untilBoth(
    ["session-established", "session-established"],
    () => initiator.command("open"),
    `${SESSIONS} sessions set up again`,
  );
  const closeEach = async () => {
    for (let session = 1; session <= SESSIONS; session++) await initiator.command("close", `s${session}`);
  };
  await untilBoth(["session-closed", "session-failed"], closeEach, `${SESSIONS} sessions deleted one by one`);
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  await longest(ends);
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  steps.push([`nothing for ${IDLE_MS / 1_000} s`, await longest(ends)]);
  await Promise.all(ends.map((daemon) => daemon.stop()));
  return steps.flatMap(([what, { clockMs, ownMs }]): Measurement[] => [
    {
      name: `longest block of the main thread, datapath ${datapath}: ${what}`,
      value: ownMs,
      unit: "ms",
      goal: GOAL_MS,
    },
    { name: "  and with what it waited for one of the processors", value: clockMs, unit: "ms", goal: undefined },
  ]);
}

export async function run(): Promise<readonly Measurement[]> {
  const results = [...(await measure("none", undefined))];
  const missing = namespacesMissing();
  if (missing !== undefined) {
    console.log(`longest block with the userspace datapath: skipped: ${missing}`);
    return results;
  }
  const namespace = new NetworkNamespace();
  results.push(...(await measure("userspace", namespace)));
  namespace.remove();
  return results;
}
