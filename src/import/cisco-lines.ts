import { type Line, linesOf, type Source } from "./source.ts";

/** A line of a configuration and those that are indented below it. */
export interface Block {
  readonly line: Line;
  /** Single spaces between words. */
  readonly text: string;
  readonly below: readonly Block[];
}

interface Growing extends Block {
  readonly depth: number;
  readonly below: Growing[];
}

/** What says nothing: separators, ends of sections, and what `show running-config` prints before. */
const SILENT =
  /^(?:!.*|end|exit|exit-\S+|Building configuration\.\.\.|Current configuration ?:.*|version \S+|\S+[#>] ?(?:show .*)?)?$/;

/** Where a configuration lost its indentation: what begins a section, and what stands below an xconnect. */
const SECTION = /^(?:l2tp-class|pseudowire-class|interface) /;
const BELOW_XCONNECT = /^(?:l2tp |backup |no l2tp )/;

export function readBlocks(source: Source): readonly Block[] {
  const lines = linesOf(source).map((line) => ({ ...line, text: line.text.replaceAll("\t", " ").trimEnd() }));
  const isIndented = lines.some(({ text }) => /^ +[^ !]/.test(text));
  const depthOf = isIndented ? indentation : guesser();
  const top: Growing[] = [];
  const open: Growing[] = [];
  for (const line of lines) {
    const depth = depthOf(line.text);
    const text = line.text.trim().replaceAll(/ +/g, " ");
    if (SILENT.test(text)) continue;
    while (open.length > 0 && (open.at(-1)?.depth ?? 0) >= depth) open.pop();
    const block: Growing = { line, text, depth, below: [] };
    (open.at(-1)?.below ?? top).push(block);
    open.push(block);
  }
  return top;
}

function indentation(text: string): number {
  return /^ */.exec(text)?.[0].length ?? 0;
}

function guesser(): (text: string) => number {
  let inSection = false;
  return (text) => {
    if (SECTION.test(text)) inSection = true;
    else if (text.startsWith("!")) inSection = false;
    else if (inSection) return BELOW_XCONNECT.test(text) ? 2 : 1;
    return 0;
  };
}

/** How a kind of section is understood: the first row whose pattern fits a line says what it means. */
export interface Row<F> {
  readonly pattern: RegExp;
  /** `undefined`: a value that cannot be taken over. */
  readonly take?: (groups: Readonly<Record<string, string | undefined>>, facts: F) => Partial<F> | undefined;
  /** Why it is not taken over. */
  readonly left?: string;
  /** Why nothing has to be done about it. */
  readonly needless?: string;
}
