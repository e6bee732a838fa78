import { type Piece, rawText, type Token } from "./shell-lines.ts";
import type { Variables } from "./shell-variables.ts";

/** What words have become. What cannot be told is named without its text, which may be a secret. */
export interface Expanded {
  readonly words: readonly string[];
  /** Variables and substitutions that have no value that the script tells. */
  readonly unknown: readonly string[];
  /** Variables that have their default, as the script does not set them itself. */
  readonly guessed: readonly string[];
}

interface Part extends Omit<Expanded, "words"> {
  readonly text: string;
}

const SUBSTITUTION = "$(…)";
const NOTHING = { unknown: [], guessed: [] } as const;

/** Within double quotes: escapes, substitutions and variables. */
const QUOTED = /\\([$`"\\])|`[^`]*`|\$\((?:[^()]|\([^()]*\))*\)|\$\{(?:[^{}]|\$\{[^{}]*\})*\}|\$(?:\w+|[@*#?$!-])/g;

/** `${NAME}`, and the forms with what holds where NAME is not set, or is empty. */
const BRACED = /^\$\{(?<name>\w+)(?:(?<form>:?[-=?])(?<other>.*))?\}$/s;

/** Variables replaced, and what stands in them outside quotes split into words. */
export function expandWords(tokens: readonly Token[], variables: Variables): Expanded {
  const expanded = tokens.map((token) => {
    const parts = token.pieces.map((piece) => ({ ...partOf(piece, variables), splits: splits(piece) }));
    return { parts, words: wordsOf(parts) };
  });
  const parts = expanded.flatMap((each) => each.parts);
  return { words: expanded.flatMap(({ words }) => words), ...remarksOf(parts) };
}

/** The value of `NAME=VALUE`, in which nothing is split. `name` with its `=` is as long as `start`. */
export function expandValue(token: Token, start: number, variables: Variables): Part {
  const parts = token.pieces.map((piece) => partOf(piece, variables));
  return {
    text: parts
      .map(({ text }) => text)
      .join("")
      .slice(start),
    ...remarksOf(parts),
  };
}

/** `NAME=` or `NAME+=` before a word's value. */
export function assignedName(token: Token): { readonly name: string; readonly operator: string } | undefined {
  const [, name, operator = ""] = /^([A-Za-z_]\w*)(\+?=)/.exec(rawText(token)) ?? [];
  return name === undefined ? undefined : { name, operator };
}

function splits({ groups }: Piece): boolean {
  return groups["variable"] !== undefined;
}

/** No script can hold it. */
const SEPARATOR = "\0";

function wordsOf(parts: readonly { readonly text: string; readonly splits: boolean }[]): readonly string[] {
  const whole = parts.map((part) => (part.splits ? part.text.replaceAll(/[ \t\n]+/g, SEPARATOR) : part.text)).join("");
  const words = whole.split(SEPARATOR).filter((word) => word !== "");
  // A variable that is empty makes no word, a pair of quotes does.
  return words.length === 0 && parts.some((part) => !part.splits) ? [""] : words;
}

function partOf({ groups }: Piece, variables: Variables): Part {
  const { single, double, substitution, variable, escaped, plain = "" } = groups;
  if (substitution !== undefined) return unknownPart(SUBSTITUTION);
  if (single !== undefined) return { text: single.slice(1, -1), ...NOTHING };
  if (double !== undefined) return expandQuoted(double.slice(1, -1), variables);
  if (variable !== undefined) return expandVariable(variable, variables);
  return { text: escaped?.slice(1) ?? plain, ...NOTHING };
}

function expandQuoted(text: string, variables: Variables): Part {
  const parts: Part[] = [];
  const expanded = text.replaceAll(QUOTED, (found: string, escaped?: string) => {
    if (escaped !== undefined) return escaped;
    const isVariable = /^\$[^(]/.test(found);
    const part = isVariable ? expandVariable(found, variables) : unknownPart(SUBSTITUTION);
    parts.push(part);
    return part.text;
  });
  return { text: expanded, ...remarksOf(parts) };
}

function expandVariable(raw: string, variables: Variables): Part {
  const { name = /^\$(\w+)$/.exec(raw)?.[1], form, other = "" } = BRACED.exec(raw)?.groups ?? {};
  if (name === undefined) return unknownPart(/^\$\{[#!]?\w+/.test(raw) ? `${/^\$\{[#!]?\w+/.exec(raw)?.[0]}…}` : raw);
  const shown = form === undefined ? raw : `\${${name}…}`;
  const value = variables.get(name);
  const isEmpty = value === "" && form?.startsWith(":") === true;
  if (value !== undefined && !isEmpty) return { text: value, ...NOTHING };
  if (form === undefined || form.endsWith("?") || (value === undefined && variables.isSet(name))) {
    return unknownPart(shown);
  }
  return defaultOf(name, form, other, shown, variables);
}

/** `${NAME:-DEFAULT}`, or with `=`, which sets NAME too. */
function defaultOf(name: string, form: string, written: string, shown: string, variables: Variables): Part {
  const plain = written.replace(/^(["'])(.*)\1$/s, "$2");
  if (/["'`\\]/.test(plain)) return unknownPart(shown);
  const part = expandQuoted(plain, variables);
  const isGuess = !variables.isSet(name);
  if (form.endsWith("=")) variables.set(name, part.unknown.length > 0 ? undefined : part.text);
  return { ...part, guessed: isGuess ? [...part.guessed, name] : part.guessed };
}

function unknownPart(shown: string): Part {
  return { text: shown, unknown: [shown], guessed: [] };
}

function remarksOf(parts: readonly Omit<Part, "text">[]): Omit<Part, "text"> {
  return {
    unknown: [...new Set(parts.flatMap(({ unknown }) => unknown))],
    guessed: [...new Set(parts.flatMap(({ guessed }) => guessed))],
  };
}
