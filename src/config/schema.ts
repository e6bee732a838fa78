import convict from "convict";
import { didYouMean } from "./did-you-mean.ts";
import type { Format } from "./format.ts";
import type { Complete, Given, KeyDefinition, KeyGroup } from "./keys.ts";
import { type Problems, wrongValue } from "./problems.ts";

/**
 * The only file that knows convict. Convict coerces strings ("16" passes for 16), swallows tables in place of scalars
 * and reports in one long string; so formats are registered under names of our own (which are never coerced), unknown
 * keys and misplaced tables are sorted out first, and of its report only the names of the keys are used.
 */
export interface Schema<K> {
  /** Reports what is wrong in a table of the file and returns the rest. */
  check(table: unknown, path: readonly string[], problems: Problems): Checked<K>;
  /** The values of `given`, later ones before earlier ones, and the defaults. */
  complete(...given: readonly Given<K>[]): Complete<K>;
}

export interface Checked<K> {
  readonly given: Given<K>;
  /** Dotted names of the keys that are there but wrong: what depends on them cannot be judged. */
  readonly wrong: ReadonlySet<string>;
}

/** What is said of a key that the schema has not. `undefined`: nothing more than "unknown key". */
export type ExplainUnknown = (key: string) => string | undefined;

type Definitions = Readonly<Record<string, KeyDefinition | KeyGroup>>;
type Table = Readonly<Record<string, unknown>>;

export function defineSchema<K extends object>(keys: K, explainUnknown: ExplainUnknown = () => undefined): Schema<K> {
  const definitions = keys as unknown as Definitions;
  const checker = convict<Record<string, unknown>>(convictSchema(definitions), { args: [], env: {} });
  const defaults: Table = checker.getProperties();
  return {
    check(table, path, problems) {
      const wrong = new Set<string>();
      const shaped = shape(
        definitions,
        table,
        path,
        (key, text) => {
          problems.error([...path, ...key], text);
          wrong.add(key.join("."));
        },
        explainUnknown,
      );
      checker.load(merge(defaults, shaped));
      for (const name of failures(checker)) {
        const key = name.split(".");
        problems.error([...path, ...key], wrongValue(formatOf(definitions, key), valueAt(shaped, key)));
        wrong.add(name);
      }
      return { given: without(shaped, wrong) as Given<K>, wrong };
    },
    complete: (...given) => given.reduce<Table>((whole, part) => merge(whole, part), defaults) as Complete<K>,
  };
}

export function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function isGroup(definition: KeyDefinition | KeyGroup): definition is KeyGroup {
  return "keys" in definition;
}

function convictSchema(definitions: Definitions): convict.Schema<Record<string, unknown>> {
  const schema: Record<string, convict.SchemaObj> = {};
  for (const [name, definition] of Object.entries(definitions)) {
    schema[name] = isGroup(definition)
      ? (convictSchema(definition.keys) as unknown as convict.SchemaObj)
      : {
          doc: definition.doc,
          format: registered(definition.format),
          default: definition.default,
          nullable: definition.default === null,
        };
  }
  return schema;
}

/** Convict's register of formats is global: the prefix keeps ours apart from its own and from their coercions. */
function registered(format: Format<unknown>): string {
  const name = `l2tpv3-lcc-${format.name}`;
  convict.addFormat({
    name,
    validate(value: unknown) {
      if (!format.accepts(value)) throw new Error(`allowed: ${format.allowed}`);
    },
  });
  return name;
}

/** Names of the keys whose values convict refuses. */
function failures(checker: convict.Config<Record<string, unknown>>): readonly string[] {
  try {
    checker.validate({ allowed: "strict" });
    return [];
  } catch (error) {
    // One line per key, "name: message: value was …", the value as JSON: no other line breaks can occur.
    const report = error instanceof Error ? error.message : String(error);
    return report.split("\n").map((line) => line.slice(0, line.indexOf(": ")));
  }
}

type Report = (key: readonly string[], text: string) => void;

/** Drops what is no key here and what has the wrong shape: tables for values, values for tables. */
function shape(
  definitions: Definitions,
  table: unknown,
  path: readonly string[],
  report: Report,
  explainUnknown: ExplainUnknown,
): Table {
  if (!isTable(table)) {
    report([], "has to be a table");
    return {};
  }
  const shaped: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(table)) {
    const definition = Object.hasOwn(definitions, name) ? definitions[name] : undefined;
    if (definition === undefined) {
      report([name], explainUnknown(name) ?? `unknown key${didYouMean(name, Object.keys(definitions))}`);
    } else if (isGroup(definition)) {
      const within: Report = (key, text) => report([name, ...key], text);
      shaped[name] = shape(definition.keys, value, [...path, name], within, () => undefined);
    } else if (isTable(value)) {
      report([name], wrongValue(definition.format, value));
    } else {
      shaped[name] = value;
    }
  }
  return shaped;
}

function merge(below: Table, above: Table): Table {
  const merged: Record<string, unknown> = { ...below };
  for (const [name, value] of Object.entries(above)) {
    const under = merged[name];
    merged[name] = isTable(value) && isTable(under) ? merge(under, value) : value;
  }
  return merged;
}

function without(table: Table, wrong: ReadonlySet<string>, prefix = ""): Table {
  const kept = Object.entries(table).filter(([name]) => !wrong.has(prefix + name));
  return Object.fromEntries(
    kept.map(([name, value]) => [name, isTable(value) ? without(value, wrong, `${prefix}${name}.`) : value]),
  );
}

function formatOf(definitions: Definitions, [name = "", ...rest]: readonly string[]): Format<unknown> {
  const definition = definitions[name];
  if (definition === undefined) throw new Error(`convict names an unknown key: ${name}`);
  return isGroup(definition) ? formatOf(definition.keys, rest) : definition.format;
}

function valueAt(table: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, name) => (isTable(value) ? value[name] : undefined), table);
}
