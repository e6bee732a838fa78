import { assignedName, type Expanded, expandValue, expandWords } from "./shell-expand.ts";
import { rawText, type ShellLine, shellLines, type Token } from "./shell-lines.ts";
import { Variables } from "./shell-variables.ts";
import type { Line, Source } from "./source.ts";

/** A simple command of a script. */
export interface ShellCommand {
  /** None: nothing is to be done, only something to be told. */
  readonly words: readonly string[];
  /** As it is written, without redirections, at the line where its own or a joined line began. */
  readonly line: Line;
  /** Variables and substitutions in it that the script gives no plain value. */
  readonly unknownVariables: readonly string[];
  /** What is to be told of it in any case. */
  readonly remarks: readonly string[];
}

/** A command as it is written, between two operators. */
interface RawCommand {
  readonly number: number;
  readonly before: string;
  readonly after: string;
  readonly tokens: readonly Token[];
  readonly hasDocument: boolean;
}

/** What may stand before a command without being one. */
const PREFIXES = ["sudo", "exec", "then", "do", "!", "command", "time"];
const DECLARATIONS = ["export", "local", "readonly", "declare"];
const LOOPS = ["for", "while", "until", "select"];
const CONDITIONS = ["&&", "||"];
const BLOCKS = ["if", "case", ...LOOPS];
const ENDS = ["fi", "esac", "done"];

/** The commands of a shell script, variables that it sets itself replaced. Conditions are not judged: all branches count. */
export function readCommands(source: Source): readonly ShellCommand[] {
  const commands = shellLines(source.text).flatMap(rawCommands);
  const walk = new Walk(source.name);
  return commands.flatMap((command, index) => walk.step(command, () => commands.slice(index + 1)));
}

function rawCommands({ number, tokens, document }: ShellLine): readonly RawCommand[] {
  const commands: { number: number; before: string; after: string; tokens: Token[]; hasDocument: boolean }[] = [];
  let current = { number, before: "", after: "", tokens: [] as Token[], hasDocument: document === "left" };
  for (const token of tokens) {
    if (token.operator === "") current.tokens.push(token);
    else {
      commands.push({ ...current, after: token.operator });
      current = { ...current, before: token.operator, tokens: [], hasDocument: false };
    }
  }
  // `ip -batch -` itself is not one of the commands that it reads.
  return [...commands, current].slice(document === "read" ? 1 : 0);
}

/** A block that has begun. */
interface OpenBlock {
  readonly word: string;
  /** Of a `case`: the next words are a pattern. */
  atPattern: boolean;
  /** Of a loop: `do` is still to come. */
  atHead: boolean;
}

/** Goes through a script from the first command to the last, and keeps what its variables hold. */
class Walk {
  readonly #source: string;
  readonly #variables = new Variables();
  readonly #open: OpenBlock[] = [];
  /** An operator at the end of a line, after which the command stands on the next one. */
  #carried = "";

  constructor(source: string) {
    this.#source = source;
  }

  step(written: RawCommand, later: () => readonly RawCommand[]): readonly ShellCommand[] {
    const command = { ...written, before: written.before || this.#carried };
    this.#carried = command.tokens.length === 0 && CONDITIONS.includes(command.before) ? command.before : "";
    const [first] = command.tokens;
    const block = this.#open.at(-1);
    if (block !== undefined && first !== undefined && rawText(first) === "do") block.atHead = false;
    const commands = this.#isPattern(command) ? [] : this.#perform(command, later);
    this.#operator(command);
    return commands;
  }

  /** What ends a command can begin or end a branch. */
  #operator({ before, after }: RawCommand): void {
    const block = this.#open.at(-1);
    if (after === "{") {
      this.#open.push({ word: "{", atPattern: false, atHead: false });
      this.#variables.begin();
      // The body of a function may be left out, as what depends on a condition.
      if (!CONDITIONS.includes(before) && before !== ")") this.#variables.complete();
      this.#carried = "";
    } else if (after === "}" && block?.word === "{") this.#end();
    else if (after === ";;" && block?.word === "case") {
      this.#variables.nextBranch();
      block.atPattern = true;
    }
  }

  /** `start|stop)` of a `case`. */
  #isPattern({ tokens, after }: RawCommand): boolean {
    const block = this.#open.at(-1);
    if (block?.atPattern !== true || !["|", ")"].includes(after)) return false;
    this.#pattern(block, tokens, after);
    return true;
  }

  #pattern(block: OpenBlock, tokens: readonly Token[], after: string): void {
    const last = tokens.at(-1);
    if (last !== undefined && rawText(last) === "*") this.#variables.complete();
    block.atPattern = after !== ")";
  }

  #perform(command: RawCommand, later: () => readonly RawCommand[]): readonly ShellCommand[] {
    const { number, tokens, hasDocument } = command;
    const line = { source: this.#source, number, text: tokens.map(rawText).join(" ") };
    const { words, unknown, guessed } = this.#run(command, later);
    const remarks = [
      ...guessed.map((name) => `guessed: ${name} has its default, which the environment may change`),
      ...(hasDocument ? ["the here-document below it is not read"] : []),
    ];
    if (words.length === 0 && remarks.length === 0) return [];
    return [{ words, line, unknownVariables: unknown, remarks }];
  }

  #run(command: RawCommand, later: () => readonly RawCommand[]): Expanded {
    const tokens = withoutPrefixes(command.tokens);
    const [first, ...others] = tokens;
    const word = first === undefined ? "" : rawText(first);
    if (ENDS.includes(word)) return this.#end();
    if (word === "else" || word === "elif") {
      this.#variables.nextBranch();
      if (word === "elif") return this.#head(tokens, []);
      this.#variables.complete();
      return this.#run({ ...command, tokens: others }, later);
    }
    if (BLOCKS.includes(word)) return this.#begin(word, command, tokens, later);
    if (DECLARATIONS.includes(word)) return this.#assign(others.filter(isAssignment), command.before);
    const at = tokens.findIndex((token) => !isAssignment(token));
    if (at < 0) return this.#assign(tokens, command.before);
    this.#forget(assignedBy(tokens.slice(at)));
    return expandWords(tokens.slice(at), this.#variables);
  }

  #begin(word: string, { after }: RawCommand, tokens: readonly Token[], later: () => readonly RawCommand[]): Expanded {
    const block = { word, atPattern: word === "case", atHead: LOOPS.includes(word) };
    this.#open.push(block);
    this.#variables.begin();
    if (word === "case" && ["|", ")"].includes(after)) this.#pattern(block, tokens, after);
    // What a loop changes is not the same each time, nor known when it begins.
    return this.#head(tokens, block.atHead ? assignedInLoop(later()) : []);
  }

  #head(tokens: readonly Token[], assigned: readonly string[]): Expanded {
    this.#forget([...assignedBy(tokens), ...assigned]);
    return expandWords(tokens, this.#variables);
  }

  #end(): Expanded {
    const block = this.#open.pop();
    this.#variables.end(block?.atPattern !== true);
    return { words: [], unknown: [], guessed: [] };
  }

  #assign(tokens: readonly Token[], before: string): Expanded {
    const guessed = tokens.flatMap((token) => {
      const { name = "", operator = "" } = assignedName(token) ?? {};
      const { text, unknown, guessed: guesses } = expandValue(token, name.length + operator.length, this.#variables);
      const isUnknown = unknown.length > 0 || operator === "+=" || this.#open.at(-1)?.atHead === true;
      const value = isUnknown ? undefined : text;
      if (CONDITIONS.includes(before)) this.#variables.setPerhaps(name, value);
      else this.#variables.set(name, value);
      return guesses;
    });
    return { words: [], unknown: [], guessed: [...new Set(guessed)] };
  }

  #forget(names: readonly string[]): void {
    for (const name of names) this.#variables.set(name, undefined);
  }
}

function withoutPrefixes(tokens: readonly Token[]): readonly Token[] {
  const first = tokens.findIndex((token) => !PREFIXES.includes(rawText(token)));
  return first < 0 ? [] : tokens.slice(first);
}

function isAssignment(token: Token): boolean {
  return assignedName(token) !== undefined;
}

/** Variables that get a value which is not known, or not now: of `for`, of `read`, and in the words of a loop. */
function assignedBy(tokens: readonly Token[]): readonly string[] {
  const [word = "", ...others] = tokens.map(rawText);
  const read = [word, ...others].indexOf("read");
  return [
    ...(word === "for" || word === "select" ? others.slice(0, 1) : []),
    ...(read < 0 || read > 1 ? [] : others.slice(read)),
    ...(BLOCKS.includes(word) || word === "elif" ? tokens.flatMap((token) => assignedName(token)?.name ?? []) : []),
  ];
}

/** The variables that are set before the loop's own `done`. */
function assignedInLoop(later: readonly RawCommand[]): readonly string[] {
  const names: string[] = [];
  let depth = 1;
  for (const { tokens } of later) {
    const [first] = withoutPrefixes(tokens);
    const word = first === undefined ? "" : rawText(first);
    if (LOOPS.includes(word)) depth += 1;
    if (word === "done") depth -= 1;
    if (depth === 0) break;
    names.push(...assignedBy(withoutPrefixes(tokens)), ...tokens.flatMap((token) => assignedName(token)?.name ?? []));
  }
  return names;
}
