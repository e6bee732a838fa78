/** A word, of pieces that are quoted in different ways, or what separates commands. */
export interface Token {
  /** "" for a word. */
  readonly operator: string;
  readonly pieces: readonly Piece[];
}

export interface Piece {
  /** As it is written. */
  readonly raw: string;
  readonly groups: Readonly<Record<string, string | undefined>>;
}

/** A line of a script, joined with those that continue it. */
export interface ShellLine {
  /** Where it begins, from 1. */
  readonly number: number;
  readonly tokens: readonly Token[];
  /** What is done with the here-document that follows it: another program's is left out, commands of `ip` are read. */
  readonly document: "none" | "left" | "read";
}

interface Begun {
  readonly number: number;
  readonly text: string;
  /** The one that is open at its end, or "". */
  readonly quote: string;
}

/** The input of a command that stands below it. */
interface HereDocument {
  readonly isEnd: (physical: string) => boolean;
  /** Commands of `ip`, which are read like others. */
  readonly isBatch: boolean;
}

/** In this order: comment, white space, here-documents, redirections, operators, and the pieces of a word. */
const PIECES =
  /(?<comment>(?<=^|[\s;&|()])#.*)|(?<space>\s+)|(?<here>\d?<<(?!<)-?\s*(?:'[^']*'|"[^"]*"|\\?[^\s;&|<>()]+))|(?<redirect>\d?(?:>>?|<)&?\s*(?:[^\s;&|]+|$))|(?<operator>&&|\|\||;;|(?<=^|[\s;&|()])[{}](?=[\s;]|$)|[;&|()])|(?<single>'[^']*')|(?<double>"(?:[^"\\]|\\.)*")|(?<substitution>`[^`]*`|\$\((?:[^()]|\([^()]*\))*\)|\$'(?:[^'\\]|\\.)*')|(?<variable>\$\{(?:[^{}]|\$\{[^{}]*\})*\}|\$(?:\w+|[@*#?$!-]))|(?<escaped>\\.)|(?<plain>.)/gsu;

const BATCH = /^\s*(?:sudo\s+)?(?:\S*\/)?ip\s+(?:-force\s+)?--?b(?:atch)?\s+-(?=[\s<]|$)/;

/** A backslash or a quote open at the end of a line takes the next one with it; here-documents are left out, but for those of `ip -batch -`. */
export function shellLines(text: string): readonly ShellLine[] {
  const lines: ShellLine[] = [];
  let open: Begun | undefined;
  let documents: readonly HereDocument[] = [];
  for (const [index, physical] of text.split(/\r?\n/).entries()) {
    const [document, ...later] = documents;
    if (document?.isEnd(physical)) {
      documents = later;
      continue;
    }
    if (document?.isBatch === false) continue;
    const { continues, ...joined } = join(open, index + 1, physical);
    open = continues ? joined : undefined;
    if (continues) continue;
    const line = tokenise(joined);
    lines.push(line);
    documents = [...documents, ...line.documents];
  }
  return [...lines, ...unclosed(open)];
}

/** What has not ended at the end of the script is no quote: its lines are taken one by one. */
function unclosed(open: Begun | undefined): readonly ShellLine[] {
  if (open === undefined) return [];
  return open.text.split("\n").map((text, index) => tokenise({ number: open.number + index, text }));
}

function join(open: Begun | undefined, number: number, physical: string): Begun & { readonly continues: boolean } {
  const isComment = open === undefined && /^\s*#/.test(physical);
  const isEscaped = !isComment && /(?<!\\)(?:\\\\)*\\$/.test(physical);
  const whole = (open?.text ?? "") + (isEscaped ? `${physical.slice(0, -1)} ` : physical);
  // A line without the quote that is open cannot end it: a long text is not looked through again for each of its lines.
  const isInside = open !== undefined && open.quote !== "" && !physical.includes(open.quote);
  const quote = isInside ? open.quote : openQuote(whole);
  const isQuoted = quote !== "" && !isEscaped;
  const text = isQuoted ? `${whole}\n` : whole;
  return { number: open?.number ?? number, text, quote, continues: isEscaped || isQuoted };
}

function openQuote(text: string): string {
  const plain = [...text.matchAll(PIECES)].map(({ groups = {} }) => groups["plain"] ?? "");
  return plain.find((piece) => /^["'`]$/.test(piece)) ?? "";
}

function tokenise({ number, text }: Omit<Begun, "quote">): ShellLine & { readonly documents: readonly HereDocument[] } {
  const tokens: Token[] = [];
  const documents: HereDocument[] = [];
  let word: Piece[] = [];
  const end = (): void => {
    if (word.length > 0) tokens.push({ operator: "", pieces: word });
    word = [];
  };
  for (const { 0: raw, groups = {} } of text.matchAll(PIECES)) {
    const { operator, here } = groups;
    if (isPartOfWord(groups)) word.push({ raw, groups });
    else end();
    if (operator !== undefined) tokens.push({ operator, pieces: [] });
    if (here !== undefined) documents.push(documentOf(here, BATCH.test(text)));
  }
  end();
  const [first] = documents;
  return { number, tokens, documents, document: first === undefined ? "none" : first.isBatch ? "read" : "left" };
}

function isPartOfWord(groups: Piece["groups"]): boolean {
  return ["comment", "space", "here", "redirect", "operator"].every((name) => groups[name] === undefined);
}

/** `<<WORD`, or `<<-WORD`, whose end may be behind tabs. */
function documentOf(here: string, isBatch: boolean): HereDocument {
  const [, dash, word = ""] = /<<(-?)\s*(.*)$/.exec(here) ?? [];
  const last = word.replaceAll(/['"\\]/g, "");
  return { isBatch, isEnd: (physical) => (dash === "-" ? physical.replace(/^\t+/, "") : physical) === last };
}

export function rawText({ pieces }: Token): string {
  return pieces.map(({ raw }) => raw).join("");
}
