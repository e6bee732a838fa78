import type { Core } from "../control/core.ts";
import type { Lcce } from "../control/lcce.ts";
import type { Datapath, SessionCounters } from "../kernel/datapath.ts";
import type { Hooks } from "./hooks.ts";
import type { Log } from "./log.ts";
import type { MetricsSource } from "./metric-rows.ts";
import { openMetricsServer } from "./metrics-server.ts";
import { ProcessWatch } from "./process-facts.ts";
import { monotonicNow } from "./shell.ts";

/** A datapath that is busy for longer has to do without being asked: the rest is told. */
const COUNTERS_MS = 2_000;

interface Told {
  readonly lcce: Pick<Lcce, "statistics"> & Pick<Core, "view">;
  readonly datapath: Pick<Datapath, "name" | "counters">;
  readonly hooks: Pick<Hooks, "counts">;
  readonly version: string;
}

export interface Telemetry {
  close(): Promise<void>;
}

/** Tells Prometheus at `address` how everything is. Rejects with an `Error` that names the address. */
export async function openTelemetry(address: string, told: Told, log: Pick<Log, "write">): Promise<Telemetry> {
  const watch = new ProcessWatch();
  const server = await openMetricsServer(address, () => gather(told, watch)).catch((error: unknown) => {
    watch.close();
    throw error;
  });
  log.write({ level: "info", event: "metrics", message: `metrics are at http://${address}/metrics` });
  return {
    close: async () => {
      watch.close();
      await server.close();
    },
  };
}

async function gather({ lcce, datapath, hooks, version }: Told, watch: ProcessWatch): Promise<MetricsSource> {
  const counters = await inTime(datapath.counters());
  const startedAt = Date.now() - monotonicNow();
  return {
    version,
    datapath: datapath.name,
    view: lcce.view(),
    statistics: lcce.statistics(),
    counters,
    process: watch.facts(),
    hooks: hooks.counts,
    toSeconds: (instant) => (startedAt + instant) / 1000,
  };
}

async function inTime(asked: Promise<readonly SessionCounters[]>): Promise<readonly SessionCounters[] | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), COUNTERS_MS);
  });
  try {
    return await Promise.race([asked.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}
