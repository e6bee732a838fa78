/** The line of each key in a TOML text. The text must have been parsed without an error before. */
export interface KeyLines {
  /** Counted from 1: the line of the key, or of the nearest table around it. `undefined` when there is none. */
  lineOf(path: readonly string[]): number | undefined;
  /** The file of that line, where there are several; `undefined`: the main one. */
  fileOf?(path: readonly string[]): string | undefined;
  /** Whether the text names it, as a table or as a key. */
  has(path: readonly string[]): boolean;
  /** Every [table] in its order. */
  readonly tables: readonly (readonly string[])[];
}

/** "tunnel.paris.peer", with quotes around what is no bare key. */
export function dotted(path: readonly string[]): string {
  return path.map((part) => (/^[A-Za-z0-9_-]+$/.test(part) ? part : JSON.stringify(part))).join(".");
}

/** Scans only as far as to tell keys from values: inline tables count as one value. */
export function findKeyLines(toml: string): KeyLines {
  const lines = new Map<string, number>();
  const tables: (readonly string[])[] = [];
  const scanner = new Scanner(toml);
  let table: readonly string[] = [];
  for (let found = scanner.next(); found !== undefined; found = scanner.next()) {
    if (found.header) {
      table = found.path;
      tables.push(found.path);
    }
    const path = found.header ? found.path : [...table, ...found.path];
    const name = dotted(path);
    if (!lines.has(name)) lines.set(name, found.line);
  }
  return {
    tables,
    has: (path) => lines.has(dotted(path)),
    lineOf(path) {
      for (let length = path.length; length > 0; length--) {
        const line = lines.get(dotted(path.slice(0, length)));
        if (line !== undefined) return line;
      }
      return undefined;
    },
  };
}

interface FoundKey {
  readonly header: boolean;
  readonly path: readonly string[];
  readonly line: number;
}

/** One string of any kind, or a comment. The multi-line kinds come first: their quotes begin like the others. */
const STRING = /"""(?:\\[\s\S]|[^\\])*?"{3,5}|'''[\s\S]*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'/y;
const COMMENT = /#[^\n]*/y;
const BLANK = /(?:\s|#[^\n]*)*/y;
const KEY = /[ \t]*(?:([A-Za-z0-9_-]+)|"((?:\\.|[^"\\\n])*)"|'([^'\n]*)')[ \t]*\.?/y;

class Scanner {
  readonly #text: string;
  #at = 0;
  #line = 1;
  #counted = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next table header or key; what follows a key is skipped. */
  next(): FoundKey | undefined {
    this.#take(BLANK);
    if (this.#at >= this.#text.length) return undefined;
    const line = this.#lineHere();
    const header = this.#text[this.#at] === "[";
    while (this.#text[this.#at] === "[") this.#at++;
    const path: string[] = [];
    for (let match = this.#take(KEY); match !== undefined; match = this.#take(KEY)) path.push(keyOf(match));
    this.#skipRest();
    return { header, path, line };
  }

  /** To the end of the line on which all brackets are closed again. */
  #skipRest(): void {
    let depth = 0;
    while (this.#at < this.#text.length) {
      if (this.#take(STRING) !== undefined || this.#take(COMMENT) !== undefined) continue;
      const character = this.#text[this.#at++] ?? "";
      // After a table header the closing brackets alone are left: less than nothing is open.
      if (character === "\n" && depth <= 0) return;
      if ("[{".includes(character)) depth++;
      if ("]}".includes(character)) depth--;
    }
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match;
  }

  #lineHere(): number {
    for (; this.#counted < this.#at; this.#counted++) {
      if (this.#text[this.#counted] === "\n") this.#line++;
    }
    return this.#line;
  }
}

function keyOf([, bare, quoted, literal]: RegExpExecArray): string {
  if (bare !== undefined) return bare;
  if (literal !== undefined) return literal;
  // Escapes that JSON does not know (\e, \U0001F600) stay as they are: the line is then that of the table.
  try {
    return String(JSON.parse(`"${quoted}"`));
  } catch {
    return quoted ?? "";
  }
}
