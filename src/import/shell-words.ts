import type { Line, Source } from "./source.ts";

/** A simple command of a script. */
export interface ShellCommand {
  readonly words: readonly string[];
  /** As it is written, without redirections, at the line where its own or a joined line began. */
  readonly line: Line;
  /** Variables in it that the script gives no plain value. */
  readonly unknownVariables: readonly string[];
}

interface LogicalLine {
  readonly number: number;
  readonly text: string;
}

/** A word, of pieces that are quoted in different ways, or an operator that ends a command. */
interface Token {
  readonly operator: boolean;
  readonly pieces: readonly Piece[];
}

interface Piece {
  /** As it is written. */
  readonly raw: string;
  readonly groups: Readonly<Record<string, string | undefined>>;
}

interface Expanded {
  readonly text: string;
  readonly unknown: readonly string[];
}

/** In this order: comment, white space, operators, and the pieces of a word. */
const PIECES =
  /(?<comment>(?<=^|[\s;&|()])#.*)|(?<space>\s+)|(?<redirect>\d?(?:>>?|<)&?\s*(?:[^\s;&|]+|$))|(?<operator>&&|\|\||[;&|(){}](?=\s|$)|[;&|()])|(?<single>'[^']*')|(?<double>"(?:[^"\\]|\\.)*")|(?<substitution>`[^`]*`|\$\((?:[^()]|\([^()]*\))*\))|(?<variable>\$\{\w+\}|\$\w+)|(?<escaped>\\.)|(?<plain>.)/gsu;

/** What may stand before a command without being one. */
const PREFIXES = new Set(["sudo", "exec", "then", "do", "else", "!", "command", "time"]);

/** The commands of a shell script, variables that it sets itself replaced. Control structures are not followed. */
export function readCommands(source: Source): readonly ShellCommand[] {
  const variables = new Map<string, string>();
  return logicalLines(source.text).flatMap(({ number, text }) =>
    commandsOf(tokensOf(text)).flatMap((tokens) => {
      // One after the other: what a command sets holds for the next one on the same line.
      const command = withoutPrefixes(tokens).map((token) => expandToken(token, variables));
      if (assigns(command, variables)) return [];
      const words = command.map((word) => word.text);
      const line = { source: source.name, number, text: tokens.map(rawText).join(" ") };
      return words.length === 0 ? [] : [{ words, line, unknownVariables: command.flatMap(({ unknown }) => unknown) }];
    }),
  );
}

/** A backslash at the end of a line takes the next one with it. */
function logicalLines(text: string): readonly LogicalLine[] {
  const lines: LogicalLine[] = [];
  let open: LogicalLine | undefined;
  for (const [index, physical] of text.split(/\r?\n/).entries()) {
    const begun: LogicalLine = open ?? { number: index + 1, text: "" };
    const isComment = open === undefined && /^\s*#/.test(physical);
    const continues = !isComment && /(?<!\\)(?:\\\\)*\\$/.test(physical);
    const joined = { number: begun.number, text: begun.text + (continues ? `${physical.slice(0, -1)} ` : physical) };
    if (continues) open = joined;
    else {
      lines.push(joined);
      open = undefined;
    }
  }
  return open === undefined ? lines : [...lines, open];
}

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let word: Piece[] = [];
  const end = (): void => {
    if (word.length > 0) tokens.push({ operator: false, pieces: word });
    word = [];
  };
  for (const { 0: raw, groups = {} } of text.matchAll(PIECES)) {
    if (groups["operator"] !== undefined) {
      end();
      tokens.push({ operator: true, pieces: [] });
    } else if (groups["comment"] ?? groups["space"] ?? groups["redirect"]) end();
    else word.push({ raw, groups });
  }
  end();
  return tokens;
}

function rawText({ pieces }: Token): string {
  return pieces.map(({ raw }) => raw).join("");
}

function expandToken({ pieces }: Token, variables: ReadonlyMap<string, string>): Expanded {
  const expanded = pieces.map(({ groups }) => expand(groups, variables));
  return { text: expanded.map(({ text }) => text).join(""), unknown: expanded.flatMap(({ unknown }) => unknown) };
}

function expand(
  groups: Readonly<Record<string, string | undefined>>,
  variables: ReadonlyMap<string, string>,
): Expanded {
  const { single, double, substitution, variable, escaped, plain = "" } = groups;
  if (substitution !== undefined) return { text: substitution, unknown: [substitution] };
  if (single !== undefined) return { text: single.slice(1, -1), unknown: [] };
  if (double !== undefined) return withVariables(double.slice(1, -1).replaceAll(/\\(.)/gs, "$1"), variables);
  if (variable !== undefined) return withVariables(variable, variables);
  return { text: escaped?.slice(1) ?? plain, unknown: [] };
}

function withVariables(text: string, variables: ReadonlyMap<string, string>): Expanded {
  const unknown: string[] = [];
  const expanded = text.replaceAll(/\$(?:\{(\w+)\}|(\w+)|[({].*)/g, (found, braced?: string, bare?: string) => {
    const value = variables.get(braced ?? bare ?? "");
    if (value === undefined) unknown.push(found);
    return value ?? found;
  });
  return { text: expanded, unknown };
}

function commandsOf(tokens: readonly Token[]): readonly (readonly Token[])[] {
  const commands: Token[][] = [[]];
  for (const token of tokens) {
    if (token.operator) commands.push([]);
    else commands.at(-1)?.push(token);
  }
  return commands.filter((command) => command.length > 0);
}

function withoutPrefixes(tokens: readonly Token[]): readonly Token[] {
  const first = tokens.findIndex((token) => !PREFIXES.has(rawText(token)));
  return first < 0 ? [] : tokens.slice(first);
}

/** `NAME=value` alone, or after export, local or readonly. What is not plain makes the variable unknown. */
function assigns(tokens: readonly Expanded[], variables: Map<string, string>): boolean {
  const words = ["export", "local", "readonly"].includes(tokens[0]?.text ?? "") ? tokens.slice(1) : tokens;
  const assignments = words.map(({ text, unknown }) => ({ match: /^(\w+)=(.*)$/s.exec(text), unknown }));
  if (assignments.length === 0 || assignments.some(({ match }) => match === null)) return false;
  for (const { match, unknown } of assignments) {
    const [, name = "", value = ""] = match ?? [];
    if (unknown.length > 0 || /[$`]/.test(value)) variables.delete(name);
    else variables.set(name, value);
  }
  return true;
}
