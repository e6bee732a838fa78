import { same } from "../control/same.ts";

/** Keys of the file that are not called what the part of the configuration is that they make. */
const KEYS: Readonly<Record<string, string>> = { interfaceName: "interface", secrets: "secret", watched: "mode" };

/** What of a configuration is not in the file, or by itself no reason for a restart. */
const NOT_KEYS: readonly string[] = ["name", "warnings", "given"];

/** Parts that are no table in the file: their keys stand beside the others. */
const FLAT: readonly string[] = ["static", "leftToDialect", "authentication", "commands"];

/**
 * The key that the file gives for this one; `undefined`: it only follows from others. A secret may stand in a file of its own; a
 * session's name is its remote_end_id, in that form.
 */
export function nameIn(given: ReadonlySet<string>, key: string): string | undefined {
  if (given.has(key) || given.has(`${key}_file`)) return key;
  const form = key.replace(/\.remote_end_id$/, ".end_id_format");
  return given.has(form) ? form : undefined;
}

/**
 * The keys, as the configuration file has them, in which two parts of a configuration differ:
 * "cookie_size", "retransmit.max". Values are not in the answer: they may be secrets.
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
  const key = `${path}${KEYS[name] ?? keyOf(name)}`;
  if (FLAT.includes(name)) return differences(Object(before), Object(after), path);
  if (isGroup(before) && isGroup(after)) return differences(before, after, `${key}.`);
  return same(before, after) ? [] : [key];
}

function isGroup(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

/** helloIntervalMs is hello_interval in the file. */
function keyOf(name: string): string {
  return name.replace(/Ms$/, "").replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
