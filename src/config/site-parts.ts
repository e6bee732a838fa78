import { dirname } from "node:path";
import { parse, TomlError } from "smol-toml";
import { ConfigError, type ConfigProblem } from "./config-error.ts";
import { filesOf } from "./include.ts";
import { dotted, findKeyLines, type KeyLines } from "./key-lines.ts";
import { describeKind } from "./problems.ts";
import { quotesHint } from "./quotes-hint.ts";
import { isTable } from "./schema.ts";
import { readSiteFile, type SiteFile } from "./site-file.ts";

type Table = Readonly<Record<string, unknown>>;

/** One file of a configuration, as it stands on the disk. */
export interface SitePart {
  readonly file: string;
  /** Permission bits. */
  readonly mode: number;
  readonly document: Table;
  readonly lines: KeyLines;
}

/** A configuration file with all that it includes. */
export interface SiteParts {
  /** The main file first. */
  readonly parts: readonly SitePart[];
  /** The tables of all, without `include`. */
  readonly document: Table;
  readonly lines: KeyLines;
}

/** Reads what `text`, of the file `file`, includes. Throws a `ConfigError` that tells what is wrong with any of the files. */
export function readParts(text: string, file: string, mode: number): SiteParts {
  const main = partOf({ text, mode }, file);
  const problems: ConfigProblem[] = [];
  const parts = [main];
  for (const path of includedBy(main, problems)) {
    try {
      parts.push(fragmentOf(path, problems));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems.map((problem) => ({ ...problem, file: path })));
    }
  }
  const lines = linesOf(parts);
  const doubled = reportTables(parts, problems);
  const merging = { parts, problems, doubled };
  const document = parts.reduce<Table>((whole, part) => merged(whole, part.document, [], merging), {});
  if (problems.length > 0) throw new ConfigError(file, problems);
  const { include: _, ...tables } = document;
  return { parts, document: tables, lines };
}

function partOf({ text, mode }: SiteFile, file: string): SitePart {
  const toml = text.replace(/^\ufeff/, "");
  return { file, mode, document: parseToml(toml, file), lines: findKeyLines(toml) };
}

function parseToml(text: string, file: string): Table {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    // Only the first line, and not the error itself: the rest quotes the file, secrets included.
    const reason = cause.message.split("\n")[0]?.replace(/^Invalid TOML document: /, "") ?? "";
    const { line, column } = cause;
    const words = `no valid TOML: ${reason}${quotesHint(text, line, column, reason)}`;
    const problem = { line, column, key: "", text: words };
    throw new ConfigError(file, [problem]);
  }
}

function fragmentOf(path: string, problems: ConfigProblem[]): SitePart {
  const part = partOf(readSiteFile(path), path);
  const { include, ...document } = part.document;
  if (include !== undefined) {
    const text = "only the main file may include others";
    problems.push({ file: path, line: part.lines.lineOf(["include"]), column: undefined, key: "include", text });
  }
  return { ...part, document };
}

/** Absolute paths, each once. */
function includedBy({ file, document: { include }, lines }: SitePart, problems: ConfigProblem[]): readonly string[] {
  const complain = (text: string) =>
    problems.push({ line: lines.lineOf(["include"]), column: undefined, key: "include", text });
  if (include === undefined) return [];
  if (!Array.isArray(include) || !include.every((each) => typeof each === "string" && each !== "")) {
    complain(`found ${describeKind(include)}, allowed: a list of files, such as ["conf.d/*.toml"]`);
    return [];
  }
  const found = include.flatMap((pattern: string) => {
    const { files, flaw } = filesOf(pattern, dirname(file));
    if (flaw !== undefined) complain(`${JSON.stringify(pattern)}: ${flaw}`);
    return files;
  });
  return [...new Set(found)];
}

interface Merging {
  readonly parts: readonly SitePart[];
  readonly problems: ConfigProblem[];
  /** Tables that are there twice, which has been told: not key by key. */
  readonly doubled: ReadonlySet<string>;
}

/** What both have is only together if it is a table. */
function merged(one: Table, other: Table, path: readonly string[], merging: Merging): Table {
  const whole: Record<string, unknown> = { ...one };
  for (const [key, value] of Object.entries(other)) {
    const place = [...path, key];
    const known = Object.hasOwn(whole, key) ? whole[key] : undefined;
    if (known === undefined) whole[key] = value;
    else if (isTable(known) && isTable(value)) whole[key] = merged(known, value, place, merging);
    else reportTwice(place, merging);
  }
  return whole;
}

function reportTwice(path: readonly string[], { parts, problems, doubled }: Merging): void {
  if (path.some((_, length) => doubled.has(dotted(path.slice(0, length))))) return;
  const [first, second] = parts.filter(({ document }) => hasPath(document, path));
  if (first !== undefined && second !== undefined) problems.push(twice(path, first, second));
}

function hasPath(document: unknown, [key = "", ...rest]: readonly string[]): boolean {
  if (!isTable(document) || !Object.hasOwn(document, key)) return false;
  return rest.length === 0 || hasPath(document[key], rest);
}

/** In one file TOML itself refuses a second [tunnel.paris]. Returns the names of those that two files have. */
function reportTables(parts: readonly SitePart[], problems: ConfigProblem[]): ReadonlySet<string> {
  const owners = new Map<string, SitePart>();
  const doubled = new Set<string>();
  for (const part of parts) {
    for (const path of part.lines.tables) {
      const name = dotted(path);
      const first = owners.get(name) ?? part;
      owners.set(name, first);
      if (first === part) continue;
      doubled.add(name);
      problems.push(twice(path, first, part));
    }
  }
  return doubled;
}

function twice(path: readonly string[], first: SitePart, second: SitePart): ConfigProblem {
  const where = [first.file, first.lines.lineOf(path)].filter((each) => each !== undefined).join(":");
  const text = `defined twice, first in ${where}`;
  return { file: second.file, line: second.lines.lineOf(path), column: undefined, key: dotted(path), text };
}

/** Each key in the file that gives it; of what no file gives, the nearest table around it. */
function linesOf(parts: readonly SitePart[]): KeyLines {
  const nearest = (path: readonly string[]) => {
    for (let length = path.length; length > 0; length--) {
      const place = path.slice(0, length);
      const part =
        parts.find(({ lines }) => lines.has(place)) ?? parts.find(({ document }) => hasPath(document, place));
      if (part !== undefined) return part;
    }
    return undefined;
  };
  return {
    lineOf: (path) => nearest(path)?.lines.lineOf(path),
    fileOf: (path) => {
      const part = nearest(path);
      return part === parts[0] ? undefined : part?.file;
    },
    has: (path) => parts.some(({ lines }) => lines.has(path)),
    tables: parts.flatMap(({ lines }) => lines.tables),
  };
}
