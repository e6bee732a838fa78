import type { Site } from "../config/site.ts";

const NEW = " (new)";
const REMOVED = " (removed)";

/** Keys of the file that are not called what the part of the configuration is that they make. */
const KEYS: Readonly<Record<string, string>> = { interfaceName: "interface", secrets: "secret", watched: "mode" };

/** What of a configuration is not in the file, or by itself no reason for a restart. */
const NOT_KEYS: readonly string[] = ["name", "warnings", "given"];

/** Parts that are no table in the file: their keys stand beside the others. */
const FLAT: readonly string[] = ["static", "leftToDialect", "authentication", "commands"];

/** In the file each of them is a table of its own, by name. */
const TABLES: Readonly<Record<string, string>> = { tunnels: "tunnel", sessions: "session" };

/** What two sites differ in, where one of the files gives it: other defaults only follow from that. */
export function restartKeys(one: Site, other: Site): readonly string[] {
  const given = new Set([...one.given, ...other.given]);
  const found = differences(one, other).flatMap((found) => (isTable(found) ? found : (nameIn(given, found) ?? [])));
  return [...new Set(found)];
}

function isTable(found: string): boolean {
  return found.endsWith(NEW) || found.endsWith(REMOVED);
}

/** A secret may stand in a file of its own; a session's name is its remote_end_id, in that form. */
function nameIn(given: ReadonlySet<string>, key: string): string | undefined {
  if (given.has(key) || given.has(`${key}_file`)) return key;
  const form = key.replace(/\.remote_end_id$/, ".end_id_format");
  return given.has(form) ? form : undefined;
}

/**
 * The keys, as the configuration file has them, in which two parts of a configuration differ:
 * "tunnel.paris.session.lan42.cookie_size". Values are not in the answer: they may be secrets.
 */
export function differences(one: object, other: object, path = ""): readonly string[] {
  const [before, after] = [one, other].map((part) => new Map<string, unknown>(Object.entries(part)));
  const names = new Set([...(before?.keys() ?? []), ...(after?.keys() ?? [])]);
  const found = [...names]
    .filter((name) => !NOT_KEYS.includes(name))
    .flatMap((name) => differencesOf(name, before?.get(name), after?.get(name), path));
  // A key may change by its value and by being there.
  return [...new Set(found)];
}

function differencesOf(name: string, before: unknown, after: unknown, path: string): readonly string[] {
  const table = TABLES[name];
  if (table !== undefined) return differencesOfTables(named(before), named(after), `${path}${table}.`);
  const key = `${path}${KEYS[name] ?? keyOf(name)}`;
  if (FLAT.includes(name)) return differences(Object(before), Object(after), path);
  if (isGroup(before) && isGroup(after)) return differences(before, after, `${key}.`);
  return same(before, after) ? [] : [key];
}

type Named = { readonly name: string };

function differencesOfTables(before: readonly Named[], after: readonly Named[], path: string): readonly string[] {
  const removed = before.filter(({ name }) => !after.some((each) => each.name === name));
  return [
    ...removed.map(({ name }) => `${path}${name}${REMOVED}`),
    ...after.flatMap((each) => {
      const known = before.find(({ name }) => name === each.name);
      return known === undefined ? [`${path}${each.name}${NEW}`] : differences(known, each, `${path}${each.name}.`);
    }),
  ];
}

function named(tables: unknown): readonly Named[] {
  return Array.isArray(tables) ? tables : [];
}

function isGroup(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

function same(one: unknown, other: unknown): boolean {
  if (one instanceof Uint8Array && other instanceof Uint8Array) return Buffer.compare(one, other) === 0;
  if (!Array.isArray(one) || !Array.isArray(other)) return one === other;
  return one.length === other.length && one.every((each, index) => sameElement(each, other[index]));
}

function sameElement(one: unknown, other: unknown): boolean {
  if (isGroup(one) && isGroup(other)) return differences(one, other).length === 0;
  return same(one, other);
}

/** helloIntervalMs is hello_interval in the file. */
function keyOf(name: string): string {
  return name.replace(/Ms$/, "").replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
