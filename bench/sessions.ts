import { createSocket } from "node:dgram";
import { encodeMessage } from "../src/avp/encode.ts";
import { BenchDaemon, INITIATOR, type Measurement, RESPONDER, type SiteOptions, scratchDirectory } from "./daemon.ts";

const SESSIONS = 3_000;
const SESSIONS_GOAL = 3_000;
const SET_UP_GOAL_MS = 5;
const READY_GOAL_MS = 500;
const DEFAULT_WINDOW = 16;
const WIDE_WINDOW = 64;
/** Of start-up; the median counts. */
const STARTS = 5;
const REOPENINGS = 20;
/** What becomes of an attempt while the machine does something else, the other ones tell. */
const ROUNDS = 3;
const PROBE_MS = 2;

const directory = scratchDirectory();
/** Each pair of daemons has a port of its own. */
let nextPort = 21_701;

/** Both ends running, with the initiator not before the responder listens. */
async function startBoth(options: Omit<SiteOptions, "port">): Promise<readonly [BenchDaemon, BenchDaemon]> {
  const site = { ...options, port: nextPort++ };
  const responder = new BenchDaemon(directory, RESPONDER, site);
  await responder.untilLogged("ready");
  return [new BenchDaemon(directory, INITIATOR, site), responder];
}

/** Sessions per second, from the established control connection to the last session up at the later end. */
async function sessionsPerSecond(receiveWindow: number): Promise<number> {
  const ends = await startBoth({ sessions: SESSIONS, receiveWindow });
  const up = await Promise.all(ends.map((daemon) => daemon.untilLogged("session-established", SESSIONS)));
  const began = Math.min(...ends.flatMap((daemon) => daemon.times("control-connection-established")));
  const seconds = (Math.max(...up.flat()) - began) / 1_000;
  await Promise.all(ends.map((daemon) => daemon.stop()));
  return SESSIONS / seconds;
}

/** Milliseconds from the first SCCRQ of two daemons just started until the session is up at both ends. */
async function firstSetUpMs(): Promise<number> {
  const ends = await startBoth({ sessions: 1, receiveWindow: DEFAULT_WINDOW, logLevel: "trace" });
  const up = await Promise.all(ends.map((daemon) => daemon.untilLogged("session-established")));
  const sent = ends[0].readLog().find(({ msg }) => msg === "sent SCCRQ");
  await Promise.all(ends.map((daemon) => daemon.stop()));
  if (sent === undefined) throw new Error("no SCCRQ in the log");
  return Math.max(...up.flat()) - sent.at;
}

/** The same, for daemons that run for a while: from SCCRQ after `open` until the session is up at both ends. */
async function laterSetUpMs(): Promise<number> {
  const ends = await startBoth({ sessions: 1, receiveWindow: DEFAULT_WINDOW, logLevel: "trace" });
  const [initiator] = ends;
  await Promise.all(ends.map((daemon) => daemon.untilLogged("session-established")));
  let totalMs = 0;
  for (let round = 0; round < REOPENINGS; round++) {
    await initiator.command("close");
    const from = ends.map((daemon) => daemon.readLog().length);
    await initiator.command("open");
    const wait = ends.map((daemon, end) => daemon.untilLogged("session-established", 1, from[end]));
    const up = (await Promise.all(wait)).flat();
    const sent = initiator.lines.slice(from[0]).find(({ msg }) => msg === "sent SCCRQ");
    if (sent === undefined) throw new Error("no SCCRQ in the log");
    totalMs += Math.max(...up) - sent.at;
  }
  await Promise.all(ends.map((daemon) => daemon.stop()));
  return totalMs / REOPENINGS;
}

/** Milliseconds from the start of the process until an SCCRQ is answered. */
async function startUpMs(): Promise<number> {
  const port = nextPort++;
  const probe = createSocket("udp4");
  await new Promise<void>((resolve) => probe.bind(0, RESPONDER.peer, resolve));
  const sccrq = encodeMessage(0, 0, 0, {
    name: "SCCRQ",
    hostName: "probe",
    routerId: 1,
    assignedControlConnectionId: 1,
    pseudowireCapabilitiesList: [5],
  });
  const answered = new Promise<number>((resolve) => probe.once("message", () => resolve(performance.now())));
  const began = performance.now();
  const daemon = new BenchDaemon(directory, RESPONDER, { port, sessions: 1, receiveWindow: DEFAULT_WINDOW });
  const asking = setInterval(() => probe.send(sccrq, port, RESPONDER.address), PROBE_MS);
  const elapsedMs = (await answered) - began;
  clearInterval(asking);
  probe.close();
  await daemon.stop();
  return elapsedMs;
}

async function times(count: number, measure: () => Promise<number>): Promise<readonly number[]> {
  const values: number[] = [];
  for (let round = 0; round < count; round++) values.push(await measure());
  return values.sort((a, b) => a - b);
}

async function median(count: number, measure: () => Promise<number>): Promise<number> {
  const values = await times(count, measure);
  return values[values.length >> 1] ?? Number.NaN;
}

export async function run(): Promise<readonly Measurement[]> {
  const results: Measurement[] = [];
  for (const window of [DEFAULT_WINDOW, WIDE_WINDOW]) {
    results.push({
      name: `set up between two daemons, ${SESSIONS} in one tunnel, receive_window ${window} (median of ${ROUNDS})`,
      value: await median(ROUNDS, () => sessionsPerSecond(window)),
      unit: "sessions/s",
      goal: SESSIONS_GOAL,
    });
  }
  results.push({
    name: `control connection and session, SCCRQ to established at both ends: first of two new daemons (median of ${STARTS})`,
    value: await median(STARTS, firstSetUpMs),
    unit: "ms",
    goal: SET_UP_GOAL_MS,
  });
  results.push({
    name: `the same again later (mean of ${REOPENINGS})`,
    value: await laterSetUpMs(),
    unit: "ms",
    goal: SET_UP_GOAL_MS,
  });
  results.push({
    name: `start of the process to the answer to an SCCRQ (median of ${STARTS})`,
    value: await median(STARTS, startUpMs),
    unit: "ms",
    goal: READY_GOAL_MS,
  });
  return results;
}
