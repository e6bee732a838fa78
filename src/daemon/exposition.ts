/** Prometheus' text exposition format 0.0.4, and that of OpenMetrics 1.0.0, which differs in little. */
export type ExpositionFormat = "prometheus" | "openmetrics";

export const CONTENT_TYPES: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** What ends an exposition. */
export const ENDS: Readonly<Record<ExpositionFormat, string>> = { prometheus: "", openmetrics: "# EOF\n" };

export interface Family {
  /** With the "_total" of a counter. */
  readonly name: string;
  readonly type: "counter" | "gauge";
  /** A sentence. */
  readonly help: string;
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Samples in one piece: to write more takes longer than others should wait. */
const SAMPLES_PER_PIECE = 250;

/** In pieces. Without samples nothing: a family of nobody says nothing. */
export function* exposition(
  family: Family,
  samples: Iterable<Sample>,
  format: ExpositionFormat,
): Generator<string, void, undefined> {
  let [text, count] = ["", 0];
  for (const { labels, value } of samples) {
    if (count === 0) text = heading(family, format);
    text += `${family.name}${labelsText(labels)} ${valueText(value)}\n`;
    count += 1;
    if (count % SAMPLES_PER_PIECE !== 0) continue;
    yield text;
    text = "";
  }
  if (text !== "") yield text;
}

function heading({ name, type, help }: Family, format: ExpositionFormat): string {
  // OpenMetrics calls the family of a counter by its name without the suffix.
  const family = format === "openmetrics" ? name.replace(/_total$/, "") : name;
  return `# HELP ${family} ${escaped(help)}\n# TYPE ${family} ${type}\n`;
}

/** What the client would rather have (RFC 9110 12.5.1); where it has no preference, 0.0.4. */
export function formatFor(accept: string | undefined): ExpositionFormat {
  const ranges = (accept ?? "").toLowerCase().split(",").map(mediaRange);
  const best = (...types: readonly string[]) =>
    Math.max(0, ...ranges.filter(({ type }) => types.includes(type)).map(({ quality }) => quality));
  const openmetrics = best("application/openmetrics-text", "application/openmetrics-text;version=1.0.0");
  return openmetrics > best("text/plain", "text/plain;version=0.0.4", "text/*", "*/*") ? "openmetrics" : "prometheus";
}

/** Of its parameters the version alone matters. */
function mediaRange(text: string): { readonly type: string; readonly quality: number } {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim());
  const parameter = (name: string) => parameters.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
  const version = parameter("version");
  const quality = Number(parameter("q") ?? 1);
  return {
    type: version === undefined ? type : `${type};version=${version}`,
    quality: Number.isNaN(quality) ? 0 : quality,
  };
}

function labelsText(labels: Sample["labels"]): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(text: string): string {
  return !/[\\\n]/.test(text) ? text : text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function valueText(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
  return value > 0 ? "+Inf" : "-Inf";
}
