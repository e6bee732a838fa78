import { probeUserspace } from "../src/kernel/tap.ts";
import { NetworkNamespace, namespacesMissing } from "../test/support/namespaces.ts";
import {
  BenchDaemon,
  HEAP_PROBE,
  INITIATOR,
  type Measurement,
  RESPONDER,
  type SiteOptions,
  scratchDirectory,
} from "./daemon.ts";

const FEW = 1;
const MANY = 1_001;
const HEAP_GOAL_KB = 6;
const RESIDENT_GOAL_MB = 80;
const WINDOW = 16;
/** What start-up leaves behind is collected, or not, by then. */
const IDLE_MS = 3_000;

const directory = scratchDirectory();
let nextPort = 22_701;

interface Pair<T> {
  readonly initiator: T;
  readonly responder: T;
}

async function startBoth(
  options: Omit<SiteOptions, "port" | "receiveWindow">,
  nodeArguments?: readonly string[],
): Promise<Pair<BenchDaemon>> {
  const site = { ...options, port: nextPort++, receiveWindow: WINDOW };
  const responder = new BenchDaemon(directory, RESPONDER, site, nodeArguments);
  await responder.untilLogged("ready");
  const initiator = new BenchDaemon(directory, INITIATOR, site, nodeArguments);
  await Promise.all([initiator, responder].map((each) => each.untilLogged("session-established", site.sessions)));
  return { initiator, responder };
}

async function stopBoth({ initiator, responder }: Pair<BenchDaemon>): Promise<void> {
  await Promise.all([initiator.stop(), responder.stop()]);
}

/** Octets in use of the whole heap of each end, with that many established sessions. */
async function heapsUsed(sessions: number): Promise<Pair<number>> {
  const daemons = await startBoth({ sessions }, HEAP_PROBE);
  const heaps = { initiator: await daemons.initiator.heapUsed(), responder: await daemons.responder.heapUsed() };
  await stopBoth(daemons);
  return heaps;
}

/** Megabytes that the initiator of one established session occupies. */
async function idleResidentMb(
  datapath: "none" | "userspace",
  where: { readonly namespace?: NetworkNamespace } = {},
): Promise<number> {
  // The two ends' devices have the same names and one machine: only one end makes them.
  const site = { ...where, port: nextPort++, receiveWindow: WINDOW, sessions: 1 };
  const responder = new BenchDaemon(directory, RESPONDER, site);
  await responder.untilLogged("ready");
  const initiator = new BenchDaemon(directory, INITIATOR, { ...site, datapath });
  await initiator.untilLogged("session-established");
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const resident = (initiator.residentKib() * 1_024) / 1e6;
  await stopBoth({ initiator, responder });
  return resident;
}

function resident(datapath: string, value: number): Measurement {
  const name = `resident size of an idle daemon with one session, datapath "${datapath}"`;
  return { name, value, unit: "MB", goal: RESIDENT_GOAL_MB };
}

/** In a namespace, because it makes a device. */
async function residentWithUserspaceDatapath(): Promise<readonly Measurement[]> {
  const probe = probeUserspace();
  const reason = namespacesMissing() ?? (probe.available ? undefined : probe.reason);
  if (reason !== undefined) {
    console.log(`resident size with the userspace datapath: skipped: ${reason}`);
    return [];
  }
  const namespace = new NetworkNamespace();
  try {
    return [resident("userspace", await idleResidentMb("userspace", { namespace }))];
  } finally {
    namespace.remove();
  }
}

export async function run(): Promise<readonly Measurement[]> {
  const [few, many] = [await heapsUsed(FEW), await heapsUsed(MANY)];
  const perSession = (end: keyof Pair<number>) => (many[end] - few[end]) / (MANY - FEW) / 1_000;
  const results: Measurement[] = (["initiator", "responder"] as const).map((end) => ({
    name: `heap of the daemon per established session, its configuration included (${MANY - FEW} sessions, ${end})`,
    value: perSession(end),
    unit: "kB",
    goal: HEAP_GOAL_KB,
  }));
  return [...results, resident("none", await idleResidentMb("none")), ...(await residentWithUserspaceDatapath())];
}
