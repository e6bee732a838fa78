import { LCCE_KEYS, SESSION_KEYS, TUNNEL_KEYS } from "./keys.ts";

/** What the parser says of a value that is no string, number or truth; of other faults quotes are not the cure. */
const REASONS =
  /^(?:invalid value|illegal character in numeric literal|illegal leading zero|each key-value declaration)/;
/** As of names, addresses, paths and durations; with a letter, a dot or a colon it is no slip in a number. */
const WORD = /^(?=\S*[A-Za-z.:])[\w.:/%@+-]+/;
const END_OF_VALUE = /^[ \t\r]*(?:$|[#,\]}])/;

/** What may be said aloud. A word after any other name, misspelled or not, may be a secret. */
const HARMLESS: ReadonlySet<string> = new Set(
  [LCCE_KEYS, TUNNEL_KEYS, SESSION_KEYS].flatMap((keys) =>
    Object.keys(keys).filter((name) => !/secret|password|cookie/.test(name)),
  ),
);

/**
 * `, a string needs quotes: "br0"` where a word stands in the place of a value, else nothing. `line` and `column`, from 1,
 * are where the parser gave up for `reason`.
 */
export function quotesHint(toml: string, line: number, column: number, reason: string): string {
  if (!REASONS.test(reason)) return "";
  const text = toml.split("\n")[line - 1] ?? "";
  // Of what begins like a number the parser reads the digits first.
  const begin = text.slice(0, column - 1).replace(/[\w.:/%@+-]*$/, "");
  const word = WORD.exec(text.slice(begin.length))?.[0];
  if (word === undefined || !/[=[,][ \t]*$/.test(begin)) return "";
  if (!END_OF_VALUE.test(text.slice(begin.length + word.length))) return "";
  const key = /^[ \t]*([\w-]+)[ \t]*=[ \t]*$/.exec(begin)?.[1];
  return `, a string needs quotes${key !== undefined && HARMLESS.has(key) ? `: "${word}"` : ""}`;
}
