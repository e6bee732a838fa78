export interface MatrixCell {
  readonly peer: string;
  readonly feature: string;
  /** From the root of the project. */
  readonly file: string;
  /** A part of the title. */
  readonly title: string;
}

/** matrix.toml, parsed. */
export interface Matrix {
  readonly features: readonly string[];
  readonly peer: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export function fileOf(short: string): string;
export function readCells(matrix: Matrix): { readonly cells: MatrixCell[]; readonly problems: string[] };
export function namedTests(
  cells: readonly MatrixCell[],
  tests: readonly { readonly file: string; readonly title: string }[],
): string[];
export function titlesIn(markdown: string): { readonly file: string; readonly title: string }[];
export function writeMatrix(matrix: Matrix): string;
