import { definitionOf } from "../cli/command-table.ts";
import { synopses } from "../cli/usage.ts";
import { HOOK_EVENTS } from "../config/site.ts";
import { bold, entry, heading, italic, type Page, paragraphs } from "./roff.ts";

/** A schema of JSON Schema, as far as docs/show.schema.json uses it. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

const COMMANDS = ["show", "watch", "events", "trace"] as const;

const SHOW_TEXTS = [
  "Without a subject a line for each tunnel, and below it one for each of its sessions; with tunnels, sessions or counters a table of those. NAME leaves out everything else: it is a tunnel, a session, or TUNNEL/SESSION. Below what has failed stands why, in a sentence.",
  "Tables fit the terminal, or the environment variable COLUMNS: what is too long is cut, columns that can be spared are left out, and numbers that are too long are scaled. Through a pipe tables are as wide as they need to be.",
  "show tunnel NAME and show session NAME tell one of them in full words: its state and since when; how it ended last, when, by whom and why; when it is tried again; the peer's identity and the dialect that is spoken with it, and what that was recognised by; timers, windows and congestion; what was negotiated, with what is configured where that is something else; what the datapath has counted, with packets discarded for their cookie or their sequence number.",
];

const STATES: readonly (readonly [state: string, text: string])[] = [
  ["idle", "Nothing is under way."],
  ["wait-ctl-reply", "Of a tunnel: the SCCRQ is sent, the peer has not answered."],
  ["wait-ctl-conn", "Of a tunnel: the peer's SCCRQ is answered, its SCCCN has not come."],
  ["wait-control-conn", "Of a session: it waits for its control connection."],
  ["wait-reply", "Of a session: the ICRQ or OCRQ is sent, the peer has not answered."],
  ["wait-connect", "Of a session: the peer's ICRQ is answered, or its OCRQ asked for; the last message has not come."],
  ["wait-cs-answer", "Of a session: an outgoing call waits for its circuit."],
  ["established", "Up."],
];

/** l2tpv3-lcc-show(8), from the table of commands and the schema of show --json. */
export function showPage(schema: JsonSchema): Page {
  return {
    name: "l2tpv3-lcc-show",
    section: 8,
    purpose: "what l2tpv3-lcc has up, and what happens",
    body: [
      heading("SYNOPSIS"),
      ...COMMANDS.flatMap((name) => synopses(name).flatMap((line) => [bold(line), ".br"])),
      heading("DESCRIPTION"),
      ...paragraphs("These commands ask the running daemon and change nothing."),
      ...entry(bold("show"), ...SHOW_TEXTS),
      ...COMMANDS.filter((name) => name !== "show").flatMap((name) => entry(bold(name), ...definitionOf(name).manual)),
      heading("STATES"),
      ...paragraphs("The state names are those of RFC 3931 7."),
      ...STATES.flatMap(([state, text]) => entry(bold(state), text)),
      heading("JSON OF EVENTS"),
      ...paragraphs(
        `Each line of events --json is an object with time (ISO 8601), level, event and message, and where they apply tunnel, session and details. Of what becomes of tunnels and sessions the events are ${HOOK_EVENTS.join(", ")}; the others are those of the log.`,
      ),
      heading("JSON OF SHOW"),
      ...paragraphs(
        "show --json prints an object with the keys below; [] stands for each element of a list. Identifiers are numbers, times are ISO 8601 in UTC.",
        text(schema["description"]),
      ),
      ...keysOf(schema, schema, "").flatMap(({ path, kind, words }) =>
        entry(`${bold(path)} ${italic(kind)}`, words === "" ? kind : words),
      ),
    ],
    seeAlso: ["l2tpv3-lcc(8)", "l2tpv3-lcc.toml(5)"],
  };
}

interface DescribedKey {
  readonly path: string;
  readonly kind: string;
  readonly words: string;
}

function keysOf(schema: JsonSchema, root: JsonSchema, prefix: string): readonly DescribedKey[] {
  const properties = (schema["properties"] ?? {}) as Readonly<Record<string, JsonSchema>>;
  return Object.entries(properties).flatMap(([name, written]) => {
    const own = resolved(written, root);
    const path = `${prefix}${name}`;
    const words = [written["description"] ?? own["description"], valuesOf(own)].map(text).filter((part) => part !== "");
    const inner = own["items"] === undefined ? own : resolved(own["items"] as JsonSchema, root);
    const below = keysOf(inner, root, `${path}${own["items"] === undefined ? "." : "[]."}`);
    return [{ path, kind: kindOf(written, own), words: words.join(" ") }, ...below];
  });
}

/** A reference's target; of alternatives the first, the others being null or a literal. */
function resolved(schema: JsonSchema, root: JsonSchema): JsonSchema {
  const { $ref, anyOf } = schema;
  if (Array.isArray(anyOf)) return resolved(anyOf[0], root);
  if (typeof $ref !== "string") return schema;
  const definitions = root["$defs"] as Readonly<Record<string, JsonSchema>>;
  return resolved(definitions[$ref.replace("#/$defs/", "")] ?? {}, root);
}

function kindOf(written: JsonSchema, own: JsonSchema): string {
  const literals = [written, own].flatMap(({ const: literal }) =>
    literal === undefined ? [] : [JSON.stringify(literal)],
  );
  const others = ((written["anyOf"] ?? []) as readonly JsonSchema[]).slice(1);
  const kinds = [own["type"] ?? literals[0] ?? []].flat().map(String);
  return [...kinds, ...others.map((each) => String(each["type"] ?? JSON.stringify(each["const"])))].join(" or ");
}

function valuesOf({ enum: literals }: JsonSchema): string {
  if (!Array.isArray(literals)) return "";
  const named = literals.filter((literal) => literal !== null).map((literal) => JSON.stringify(literal));
  return `One of ${named.join(", ")}.`;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
