export interface MatrixCell {
  readonly peer: string;
  /** What the titles of its scripted tests begin with; "" for a peer that has none. */
  readonly make: string;
  readonly feature: string;
  readonly kind: "real" | "scripted";
  /** From the root of the project. */
  readonly file: string;
  /** A part of the title. */
  readonly title: string;
}

interface TestOutcome {
  readonly file: string;
  readonly title: string;
  readonly status: "passed" | "failed" | "skipped";
}

interface JudgedCell extends MatrixCell {
  readonly status: "passed" | "failed" | "skipped" | "missing";
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
export function judgeCells(cells: readonly MatrixCell[], outcomes: readonly TestOutcome[]): JudgedCell[];
export function titlesIn(markdown: string): { readonly file: string; readonly title: string }[];
export function writeMatrix(matrix: Matrix): string;
export function writeResults(matrix: Matrix, judged: readonly JudgedCell[]): string;
