import { didYouMean } from "./did-you-mean.ts";
import { type Given, HOOK_KEYS, LCCE_KEYS, SESSION_KEYS, TUNNEL_KEYS } from "./keys.ts";
import { describeKind, describeValue, type Problems } from "./problems.ts";
import { defineSchema, type ExplainUnknown, isTable } from "./schema.ts";

export type GivenTunnel = Given<typeof TUNNEL_KEYS>;
export type GivenSession = Given<typeof SESSION_KEYS>;

/** Keys given in one place of the file, and that place. */
export interface Layer<G> {
  readonly path: readonly string[];
  readonly given: G;
}

/** A `[tunnel.NAME]` or `[tunnel.NAME.session.NAME]` table; layers from the most general to the most particular. */
export interface TunnelTable {
  readonly name: string;
  readonly path: readonly string[];
  readonly layers: readonly Layer<GivenTunnel>[];
  /** Keys that are there but wrong. */
  readonly wrong: ReadonlySet<string>;
  readonly sessions: readonly SessionTable[];
}

export interface SessionTable {
  readonly name: string;
  readonly path: readonly string[];
  readonly layers: readonly Layer<GivenSession>[];
  readonly wrong: ReadonlySet<string>;
}

interface Template {
  readonly tunnel: Layer<GivenTunnel>;
  readonly session: readonly Layer<GivenSession>[];
  readonly wrong: ReadonlySet<string>;
}

function explain(own: object, elsewhere: ReadonlyMap<string, string>): ExplainUnknown {
  return (key) => elsewhere.get(key) ?? `unknown key${didYouMean(key, [...Object.keys(own), ...elsewhere.keys()])}`;
}

function belongsTo(place: string, keys: readonly string[]): [string, string][] {
  return keys.map((key) => [key, `unknown key here: ${key} belongs into ${place}`]);
}

const SESSION_PLACE = "[tunnel.NAME.session.NAME]";
const TUNNEL_PLACE = "[tunnel.NAME]";

const LCCE = defineSchema(LCCE_KEYS, explain(LCCE_KEYS, new Map(belongsTo(TUNNEL_PLACE, Object.keys(TUNNEL_KEYS)))));
export const TUNNEL = defineSchema(
  TUNNEL_KEYS,
  explain({ ...TUNNEL_KEYS, template: 0, session: 0 }, new Map(belongsTo(SESSION_PLACE, Object.keys(SESSION_KEYS)))),
);
export const SESSION = defineSchema(
  SESSION_KEYS,
  explain(SESSION_KEYS, new Map(belongsTo(TUNNEL_PLACE, Object.keys(TUNNEL_KEYS)))),
);
const HOOKS = defineSchema(HOOK_KEYS);

const TOP = ["lcce", "hooks", "template", "tunnel"];

/** The whole file, table by table, every key checked by itself; what keys mean together is judged later. */
export function readTables(document: unknown, problems: Problems) {
  const top = isTable(document) ? document : {};
  for (const name of Object.keys(top)) {
    if (!TOP.includes(name)) problems.error([name], `unknown table or key${didYouMean(name, ["include", ...TOP])}`);
  }
  const lcce = LCCE.check(top["lcce"] ?? {}, ["lcce"], problems);
  const hooks = HOOKS.check(top["hooks"] ?? {}, ["hooks"], problems);
  const templates = new Map<string, Template>();
  for (const [name, table] of named(top["template"], ["template"], problems)) {
    templates.set(name, readTemplate(table, ["template", name], problems));
  }
  const tunnels = named(top["tunnel"], ["tunnel"], problems).map(([name, table]) =>
    readTunnel(name, table, templates, problems),
  );
  return {
    lcce: LCCE.complete(lcce.given),
    lcceGiven: lcce.given,
    lcceWrong: lcce.wrong,
    hooks: HOOKS.complete(hooks.given),
    tunnels,
  };
}

/** Session keys may stand in the template itself, or in its session table, which goes before. */
function readTemplate(table: Table, path: readonly string[], problems: Problems): Template {
  const { session, template, ...keys } = table;
  if (template !== undefined) problems.error([...path, "template"], "a template cannot use another template");
  const isSessionKey = ([key]: [string, unknown]) => Object.hasOwn(SESSION_KEYS, key);
  const entries = Object.entries(keys);
  const tunnel = TUNNEL.check(Object.fromEntries(entries.filter((entry) => !isSessionKey(entry))), path, problems);
  const general = SESSION.check(Object.fromEntries(entries.filter(isSessionKey)), path, problems);
  const sessionPath = [...path, "session"];
  const particular = SESSION.check(session ?? {}, sessionPath, problems);
  return {
    tunnel: { path, given: tunnel.given },
    session: [
      { path, given: general.given },
      { path: sessionPath, given: particular.given },
    ],
    wrong: new Set([...tunnel.wrong, ...general.wrong, ...particular.wrong]),
  };
}

function readTunnel(name: string, table: Table, templates: ReadonlyMap<string, Template>, problems: Problems) {
  const path = ["tunnel", name];
  const { session, template: templateName, ...keys } = table;
  const template = findTemplate(templateName, [...path, "template"], templates, problems);
  const own = TUNNEL.check(keys, path, problems);
  const sessions = named(session, [...path, "session"], problems).map(([sessionName, sessionTable]): SessionTable => {
    const sessionPath = [...path, "session", sessionName];
    const checked = SESSION.check(sessionTable, sessionPath, problems);
    return {
      name: sessionName,
      path: sessionPath,
      layers: [...(template?.session ?? []), { path: sessionPath, given: checked.given }],
      wrong: new Set([...checked.wrong, ...(template?.wrong ?? [])]),
    };
  });
  const layers = [...(template === undefined ? [] : [template.tunnel]), { path, given: own.given }];
  // Whatever a missing template would have said cannot be judged.
  const wrong =
    templateName !== undefined && template === undefined ? Object.keys(TUNNEL_KEYS) : (template?.wrong ?? []);
  return { name, path, layers, wrong: new Set([...own.wrong, ...wrong]), sessions } satisfies TunnelTable;
}

function findTemplate(
  name: unknown,
  path: readonly string[],
  templates: ReadonlyMap<string, Template>,
  problems: Problems,
): Template | undefined {
  if (name === undefined) return undefined;
  const template = typeof name === "string" ? templates.get(name) : undefined;
  if (template === undefined) {
    const known = [...templates.keys()];
    const allowed = known.length === 0 ? "there is no [template.NAME]" : known.map((each) => `"${each}"`).join(", ");
    const hint = typeof name === "string" ? didYouMean(name, known) : "";
    problems.error(path, `found ${describeValue(name)}, allowed: the name of a template (${allowed})${hint}`);
  }
  return template;
}

type Table = Readonly<Record<string, unknown>>;

/** The tables within a table of tables, by name. */
function named(tables: unknown, path: readonly string[], problems: Problems): readonly (readonly [string, Table])[] {
  if (tables === undefined) return [];
  if (!isTable(tables)) {
    problems.error(path, `found ${describeValue(tables)}, allowed: tables, [${path.join(".")}.NAME]`);
    return [];
  }
  const found: (readonly [string, Table])[] = [];
  for (const [name, table] of Object.entries(tables)) {
    if (!isTable(table)) {
      // Not the value: it may be a secret that stands in the wrong table.
      problems.error([...path, name], `found ${describeKind(table)}, allowed: a table, [${path.join(".")}.NAME]`);
    } else if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/.test(name)) {
      const allowed = "1 to 64 letters, digits, hyphens, underscores and dots, not beginning with a hyphen or dot";
      problems.error([...path, name], `wrong name, allowed: ${allowed}`);
    } else {
      found.push([name, table]);
    }
  }
  return found;
}
