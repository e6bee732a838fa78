import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { exposition } from "../../../src/daemon/exposition.ts";
import type { MetricsSource } from "../../../src/daemon/metric-rows.ts";
import { METRICS } from "../../../src/daemon/metrics.ts";
import { metricsSource } from "../../support/metrics-source.ts";

/** Every sample, by its name and labels. */
function told(source: MetricsSource): ReadonlyMap<string, number> {
  const text = METRICS.flatMap((metric) => [...exposition(metric, metric.samples(source), "prometheus")]).join("");
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const pairs = samples.map((line) => /^(.*) (\S+)$/.exec(line) ?? []);
  return new Map(pairs.map(([, name = "", value]) => [name, Number(value)]));
}

describe("the table", () => {
  test("every name is there once, is one that Prometheus takes, and tells its type", () => {
    expect(new Set(METRICS.map(({ name }) => name)).size).toBe(METRICS.length);
    for (const { name, type, help } of METRICS) {
      expect(name).toMatch(/^(?:l2tpv3|process|nodejs)_[a-z0-9_]+$/);
      expect(name.endsWith("_total"), name).toBe(type === "counter");
      expect(help).toMatch(/^[A-Z1].*\.$/);
    }
  });

  test("no sample is told twice, all have numbers, and labels are of the configuration or of lists of ours", () => {
    for (const metric of METRICS) {
      const samples = [...metric.samples(metricsSource())];
      expect(samples.length, metric.name).toBeGreaterThan(0);
      expect(new Set(samples.map(({ labels }) => JSON.stringify(labels))).size).toBe(samples.length);
      for (const { labels, value } of samples) {
        expect(Number.isFinite(value), metric.name).toBe(true);
        const known = ["tunnel", "session", "state", "event", "kind", "version", "datapath", "node"];
        expect(Object.keys(labels).filter((label) => !known.includes(label))).toEqual([]);
      }
    }
  });

  test("nothing that the peer says is in it", () => {
    const source = metricsSource();
    expect(source.view.tunnels[0]?.peerHostname).toBe("site-b");
    expect([...told(source).keys()].join("\n")).not.toContain("site-b");
  });
});

describe("values", () => {
  test("of tunnels and sessions", () => {
    const source = metricsSource();
    const values = told(source);
    const messages = source.statistics[0]?.messages;
    expect(Object.fromEntries(values)).toMatchObject({
      [`l2tpv3_build_info{version="1.2.3",datapath="userspace",node="${process.version}"}`]: 1,
      'l2tpv3_tunnels{state="idle"}': 0,
      'l2tpv3_tunnels{state="established"}': 1,
      'l2tpv3_sessions{state="idle"}': 1,
      'l2tpv3_sessions{state="wait-connect"}': 0,
      'l2tpv3_sessions{state="established"}': 1,
      'l2tpv3_tunnel_up{tunnel="b"}': 1,
      'l2tpv3_tunnel_established_total{tunnel="b"}': 1,
      'l2tpv3_tunnel_failures_total{tunnel="b"}': 0,
      'l2tpv3_tunnel_wrong_digests_total{tunnel="b"}': 0,
      'l2tpv3_tunnel_control_messages_sent_total{tunnel="b"}': messages?.sent,
      'l2tpv3_tunnel_control_messages_received_total{tunnel="b"}': messages?.received,
      'l2tpv3_tunnel_peer_window_messages{tunnel="b"}': 16,
      'l2tpv3_session_up{tunnel="b",session="x"}': 1,
      'l2tpv3_session_up{tunnel="b",session="y"}': 0,
      'l2tpv3_session_established_total{tunnel="b",session="y"}': 1,
      'l2tpv3_session_local_circuit_up{tunnel="b",session="x"}': 1,
      'l2tpv3_session_remote_circuit_up{tunnel="b",session="y"}': 0,
      'l2tpv3_session_remote_circuit_errors{tunnel="b",session="x",kind="alignment"}': 0,
      'l2tpv3_hooks_run_total{event="tunnel-up"}': 3,
      'l2tpv3_hooks_failed_total{event="tunnel-up"}': 2,
      'l2tpv3_hooks_dropped_total{event="tunnel-up"}': 1,
      process_cpu_seconds_total: 2.5,
      nodejs_eventloop_lag_max_seconds: 0.02,
    });
    const since = values.get('l2tpv3_session_state_change_timestamp_seconds{tunnel="b",session="y"}') ?? 0;
    expect(since).toBeGreaterThanOrEqual(1_700_000_005);
    expect(since).toBeLessThan(1_700_000_006);
  });

  test("of traffic, each from its own counter", () => {
    const values = told(metricsSource());
    const of = (session: string) =>
      [
        "received_packets",
        "received_bytes",
        "receive_errors",
        "sequence_discards",
        "sent_packets",
        "sent_bytes",
        "send_errors",
      ].map((name) => values.get(`l2tpv3_session_${name}_total{tunnel="b",session="${session}"}`));
    expect(of("x")).toEqual([11, 12, 13, 14, 15, 16, 17]);
    expect(of("y")).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect(values.get("l2tpv3_datapath_answers")).toBe(1);
  });

  test("a datapath that does not answer leaves its counters out, rather than make zeros up", () => {
    const values = told(metricsSource({ counters: undefined }));
    expect([...values.keys()].filter((name) => name.includes("_bytes_total"))).toEqual([]);
    expect(values.get("l2tpv3_datapath_answers")).toBe(0);
    expect(values.get('l2tpv3_session_up{tunnel="b",session="x"}')).toBe(1);
  });
});

/** What PromQL knows beside the names of metrics. */
const FUNCTIONS = ["sum", "min", "max", "rate", "increase", "time", "label_values"];
const OPERATORS = ["and", "or", "unless", "on", "by", "group_left"];
/** Made by Prometheus itself. */
const BUILT_IN = ["up"];

/** Every name in an expression that has to be a metric's. Labels stand in braces, and behind by, on and label_values. */
function metricsIn(expression: string): readonly string[] {
  const bare = expression
    .replaceAll(/"[^"]*"/g, "")
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]|\b(?:by|on) \([^)]*\)/g, " ")
    .replaceAll(/, *\w+\)/g, ")");
  const words = bare.match(/[a-z_][a-z0-9_]*/gi) ?? [];
  return words.filter((word) => ![...FUNCTIONS, ...OPERATORS, ...BUILT_IN].includes(word));
}

const conf = (file: string) => readFileSync(new URL(`../../../conf/${file}`, import.meta.url), "utf8");

/** The values of all properties of this name, however deep. */
function valuesOf(value: unknown, name: string): readonly unknown[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => [...(key === name ? [each] : []), ...valuesOf(each, name)]);
}

describe("what is delivered for Prometheus and Grafana", () => {
  const names = METRICS.map(({ name }) => name);
  const dashboard: unknown = JSON.parse(conf("grafana/l2tpv3-lcc.json"));
  const queries = [...valuesOf(dashboard, "expr"), ...valuesOf(dashboard, "definition")].map(String);
  const alerts = [...conf("prometheus/alerts.yml").matchAll(/^ +expr: (.+)$/gm)].map(
    ([, expression = ""]) => expression,
  );

  test("there are queries and alerts, one expression for each alert", () => {
    expect(queries.length).toBeGreaterThan(30);
    expect(alerts).toHaveLength(conf("prometheus/alerts.yml").match(/- alert: /g)?.length ?? 0);
    expect(metricsIn('sum by (tunnel) (rate(no_such_total{a="b"}[5m])) and on (job) up')).toEqual(["no_such_total"]);
  });

  test.each([...queries, ...alerts])("%s asks for what there is", (expression) => {
    const asked = metricsIn(expression);
    expect(asked.filter((name) => !names.includes(name))).toEqual([]);
    expect(asked.length + Number(/\bup\{/.test(expression))).toBeGreaterThan(0);
    expect((expression.match(/[([{]/g) ?? []).length).toBe((expression.match(/[)\]}]/g) ?? []).length);
  });

  test("the dashboard has every panel once, and shows or warns of every metric of tunnels and sessions", () => {
    const ids = valuesOf(dashboard, "id").filter((id) => typeof id === "number");
    expect(new Set(ids).size).toBe(ids.length);
    const asked = new Set([...queries, ...alerts].flatMap(metricsIn));
    const ofTraffic = names.filter((name) => /^l2tpv3_(?:tunnel|session)_.*_total$|_up$/.test(name));
    expect(ofTraffic.filter((name) => !asked.has(name))).toEqual([]);
  });
});
