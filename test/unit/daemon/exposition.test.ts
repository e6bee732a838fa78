import { describe, expect, test } from "vitest";
import {
  type ExpositionFormat,
  exposition,
  type Family,
  formatFor,
  type Sample,
} from "../../../src/daemon/exposition.ts";

const COUNTER = { name: "things_total", type: "counter", help: "Things, of\nall \\ kinds." } as const;
const SAMPLES = [
  { labels: {}, value: 1 },
  { labels: { a: 'x\\y"z\n', b: "ü" }, value: 0.25 },
];

function whole(family: Family, samples: readonly Sample[], format: ExpositionFormat): string {
  return [...exposition(family, samples, format)].join("");
}

describe("the text formats", () => {
  test("0.0.4: HELP, TYPE, and every label escaped", () => {
    expect(whole(COUNTER, SAMPLES, "prometheus")).toBe(
      [
        "# HELP things_total Things, of\\nall \\\\ kinds.",
        "# TYPE things_total counter",
        "things_total 1",
        'things_total{a="x\\\\y\\"z\\n",b="ü"} 0.25',
        "",
      ].join("\n"),
    );
  });

  test("OpenMetrics calls a counter's family by its name without _total, and its samples with it", () => {
    expect(whole(COUNTER, SAMPLES.slice(0, 1), "openmetrics")).toBe(
      "# HELP things Things, of\\nall \\\\ kinds.\n# TYPE things counter\nthings_total 1\n",
    );
  });

  test("a family without samples is left out", () => {
    expect(whole(COUNTER, [], "prometheus")).toBe("");
  });

  test.each([1, 249, 250, 251, 500, 1_000])("%i samples come in pieces of at most 250, under one heading", (count) => {
    const samples = Array.from({ length: count }, (_, n) => ({ labels: { n: String(n) }, value: n }));
    const pieces = [...exposition(COUNTER, samples, "prometheus")];
    expect(pieces).toHaveLength(Math.ceil(count / 250));
    const lines = pieces.join("").split("\n");
    expect(lines.filter((line) => line.startsWith("#"))).toHaveLength(2);
    expect(lines.slice(2, -1)).toEqual(samples.map(({ value }) => `things_total{n="${value}"} ${value}`));
  });

  test.each([
    [1e21, "1e+21"],
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "+Inf"],
    [Number.NEGATIVE_INFINITY, "-Inf"],
    [1_700_000_000.125, "1700000000.125"],
  ])("the value %o", (value, text) => {
    const gauge = { name: "x", type: "gauge", help: "X." } as const;
    expect(whole(gauge, [{ labels: {}, value }], "prometheus").split("\n")[2]).toBe(`x ${text}`);
  });
});

test.each([
  [undefined, "prometheus"],
  ["", "prometheus"],
  ["*/*", "prometheus"],
  ["text/html,*/*;q=0.8", "prometheus"],
  ["application/openmetrics-text", "openmetrics"],
  // Prometheus 2.50 and later.
  [
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    "openmetrics",
  ],
  ["application/openmetrics-text; version=1.0.0; charset=utf-8", "openmetrics"],
  ["application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5", "prometheus"],
  ["application/openmetrics-text;q=0.3,text/plain;q=0.5", "prometheus"],
  ["application/openmetrics-text;q=0", "prometheus"],
  ["application/openmetrics-text;q=much", "prometheus"],
])("Accept: %s → %s", (accept, format) => {
  expect(formatFor(accept)).toBe(format);
});
