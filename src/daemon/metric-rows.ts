import type { HookEvent } from "../config/site.ts";
import type { Instant } from "../control/core.ts";
import type { TunnelStatistics } from "../control/statistics.ts";
import type { LcceView, SessionView, TunnelView } from "../control/view.ts";
import type { SessionCounters } from "../kernel/datapath.ts";
import type { Family, Sample } from "./exposition.ts";
import type { HookCounts } from "./hooks.ts";
import type { ProcessFacts } from "./process-facts.ts";

/** Everything that is told, as it is at one instant. */
export interface MetricsSource {
  readonly version: string;
  readonly datapath: string;
  readonly view: LcceView;
  readonly statistics: readonly TunnelStatistics[];
  /** `undefined`: the datapath did not answer. */
  readonly counters: readonly SessionCounters[] | undefined;
  readonly process: ProcessFacts;
  readonly hooks: ReadonlyMap<HookEvent, Readonly<HookCounts>>;
  /** Seconds of the epoch. */
  readonly toSeconds: (instant: Instant) => number;
}

/** One row of the table. No label has a value that a peer could choose: each new one would be a new time series. */
export interface Metric extends Family {
  readonly samples: (source: MetricsSource) => Iterable<Sample>;
}

type Type = Family["type"];
type Value = number | undefined;

export function one(
  name: string,
  type: Type,
  help: string,
  value: (source: MetricsSource) => number,
  labels: (source: MetricsSource) => Sample["labels"] = () => ({}),
): Metric {
  return { name, type, help, samples: (source) => [{ labels: labels(source), value: value(source) }] };
}

export function ofProcess(name: string, type: Type, help: string, value: (facts: ProcessFacts) => number): Metric {
  return one(name, type, help, (source) => value(source.process));
}

type InState = { readonly state: string };

export function byState(
  name: string,
  help: string,
  states: readonly string[],
  all: (view: LcceView) => readonly InState[],
) {
  function* samples({ view }: MetricsSource): Generator<Sample> {
    const found = all(view);
    for (const state of states) yield { labels: { state }, value: found.filter((each) => each.state === state).length };
  }
  return { name, type: "gauge", help, samples } satisfies Metric;
}

export function ofTunnel(
  name: string,
  type: Type,
  help: string,
  value: (tunnel: TunnelView, source: MetricsSource) => number,
): Metric {
  const samples = (source: MetricsSource) =>
    source.view.tunnels.map((tunnel) => ({ labels: { tunnel: tunnel.name }, value: value(tunnel, source) }));
  return { name, type, help, samples };
}

export function ofStatistics(
  name: string,
  help: string,
  value: (tunnel: TunnelStatistics) => Value,
  type: Type = "counter",
): Metric {
  const samples = ({ statistics }: MetricsSource) =>
    statistics.flatMap((tunnel) => sampleOf({ tunnel: tunnel.name }, value(tunnel)));
  return { name, type, help, samples };
}

export function ofSession(
  name: string,
  type: Type,
  help: string,
  value: (session: SessionView, source: MetricsSource) => number,
): Metric {
  const samples = (source: MetricsSource) =>
    source.view.tunnels.flatMap((tunnel) =>
      tunnel.sessions.map((session) => ({ labels: labelsOf(tunnel, session), value: value(session, source) })),
    );
  return { name, type, help, samples };
}

type SessionStatistics = TunnelStatistics["sessions"][number];

export function ofOutcomes(name: string, help: string, value: (session: SessionStatistics) => number): Metric {
  const samples = ({ statistics }: MetricsSource) =>
    statistics.flatMap((tunnel) =>
      tunnel.sessions.map((session) => ({ labels: labelsOf(tunnel, session), value: value(session) })),
    );
  return { name, type: "counter", help, samples };
}

/** They begin at 0 with each call, which Prometheus takes for a restart. Where nobody knows them, no 0 is made up. */
export function ofTraffic(name: string, help: string, value: (counters: SessionCounters) => number): Metric {
  function* samples({ view, counters }: MetricsSource): Generator<Sample> {
    if (counters === undefined) return;
    const known = new Map(counters.map((each) => [each.localSessionId, each]));
    for (const tunnel of view.tunnels) {
      for (const session of tunnel.sessions) {
        const found = known.get(session.localSessionId);
        yield { labels: labelsOf(tunnel, session), value: found === undefined ? 0 : value(found) };
      }
    }
  }
  return { name, type: "counter", help, samples };
}

export function ofHooks(name: string, help: string, value: (counts: Readonly<HookCounts>) => number): Metric {
  const samples = ({ hooks }: MetricsSource) =>
    Array.from(hooks, ([event, counts]) => ({ labels: { event }, value: value(counts) }));
  return { name, type: "counter", help, samples };
}

export function circuitErrors(tunnel: TunnelView, session: SessionView): readonly Sample[] {
  const { hardwareOverruns, bufferOverruns, timeouts, alignments } = session.remoteErrors;
  const kinds = {
    hardware_overrun: hardwareOverruns,
    buffer_overrun: bufferOverruns,
    timeout: timeouts,
    alignment: alignments,
  };
  return Object.entries(kinds).map(([kind, value]) => ({ labels: { ...labelsOf(tunnel, session), kind }, value }));
}

function labelsOf(tunnel: { readonly name: string }, session: { readonly name: string }): Sample["labels"] {
  return { tunnel: tunnel.name, session: session.name };
}

function sampleOf(labels: Sample["labels"], value: Value): readonly Sample[] {
  return value === undefined ? [] : [{ labels, value }];
}

export function isUp({ state }: InState): boolean {
  return state === "established";
}

export function bit(is: boolean): number {
  return is ? 1 : 0;
}
