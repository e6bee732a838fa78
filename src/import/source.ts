/** One input: a file, or standard input under the name "-". */
export interface Source {
  readonly name: string;
  readonly text: string;
}

/** Where something stands in the input. */
export interface Line {
  readonly source: string;
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

export function linesOf({ name, text }: Source): readonly Line[] {
  return text.split(/\r?\n/).map((line, index) => ({ source: name, number: index + 1, text: line }));
}
