import { printable } from "./terminal.ts";

/** Columns of a table; numbers stand at the right. A row may have a remark below it. */
export interface Table {
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
}

export interface Column {
  readonly title: string;
  /** Never cut: half a number is wrong, half a name is not. */
  readonly numeric?: boolean;
  /** What it is not cut below, in characters. */
  readonly least?: number;
  /** Left out where the others cannot be made to fit; the highest first. */
  readonly spare?: number;
}

export interface Row {
  readonly cells: readonly string[];
  readonly remark?: string;
}

/** What a cell is cut down to at most, and what sentences are wrapped to where nothing limits them. */
const LEAST_WIDTH = 8;
const WIDEST_REMARK = 100;

const GAP = 2;

/** Lines of at most `width` characters, as far as that goes; `undefined`: as wide as need be. */
export function renderTable(table: Table, width: number | undefined): readonly string[] {
  const { columns, rows } = fitted(printableTable(table), width);
  const widths = shrunk(columns, naturalWidths({ columns, rows }), width);
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, index) => place(cell, widths[index] ?? 0, columns[index]))
      .join(" ".repeat(GAP))
      .trimEnd();
  return [
    line(columns.map(({ title }) => title)),
    ...rows.flatMap(({ cells, remark = "" }) => [line(cells), ...(remark === "" ? [] : wrapRemark(remark, width))]),
  ];
}

function printableTable({ columns, rows }: Table): Table {
  return {
    columns,
    rows: rows.map(({ cells, remark = "" }) => ({ cells: cells.map(printable), remark: printable(remark) })),
  };
}

/** Without those columns that there is no room for, however narrow the others are made. */
function fitted(table: Table, width: number | undefined): Table {
  const natural = naturalWidths(table);
  const least = table.columns.map((column, index) => leastWidth(column, natural[index] ?? 0));
  const spares = table.columns.filter(({ spare }) => spare !== undefined);
  if (width === undefined || total(least) <= width || spares.length === 0) return table;
  const last = Math.max(...spares.map(({ spare = 0 }) => spare));
  const dropped = table.columns.findIndex(({ spare }) => spare === last);
  const kept = <T>(list: readonly T[]) => list.filter((_, index) => index !== dropped);
  const rows = table.rows.map((row) => ({ ...row, cells: kept(row.cells) }));
  return fitted({ columns: kept(table.columns), rows }, width);
}

function naturalWidths({ columns, rows }: Table): readonly number[] {
  return columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map(({ cells }) => cells[index]?.length ?? 0)),
  );
}

function leastWidth({ title, numeric, least = LEAST_WIDTH }: Column, natural: number): number {
  return numeric === true ? natural : Math.min(natural, Math.max(title.length, least));
}

/** Takes from the widest column that can be cut, one character at a time, so that none is cut more than others. */
function shrunk(columns: readonly Column[], natural: readonly number[], width: number | undefined): readonly number[] {
  const widths = [...natural];
  const least = columns.map((column, index) => leastWidth(column, natural[index] ?? 0));
  while (width !== undefined && total(widths) > width) {
    const spared = widths.map((own, index) => (own > (least[index] ?? 0) ? own : 0));
    const widest = Math.max(...spared);
    if (widest === 0) break;
    widths[spared.indexOf(widest)] = widest - 1;
  }
  return widths;
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, each) => sum + each, 0) + GAP * (widths.length - 1);
}

function place(cell: string, width: number, column: Column | undefined): string {
  if (column?.numeric === true) return cell.padStart(width);
  return cut(cell, width).padEnd(width);
}

/** At most `width` characters, the last one "…" where there were more. */
export function cut(text: string, width: number | undefined): string {
  return width === undefined || text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

/** A sentence below its line, behind an exclamation mark. */
function wrapRemark(sentence: string, width = WIDEST_REMARK): readonly string[] {
  return wrap(sentence, Math.min(width, WIDEST_REMARK) - 6).map(
    (line, index) => `${index === 0 ? "    ! " : "      "}${line}`,
  );
}

/** Broken between words; a word that is longer than a line has one of its own. */
export function wrap(sentence: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of sentence.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
