import { ConfigError, type ConfigProblem, formatProblem } from "./config-error.ts";
import { didYouMean } from "./did-you-mean.ts";
import type { Format } from "./format.ts";
import { dotted, type KeyLines } from "./key-lines.ts";

/** Collects everything that is wrong in a file and what it includes, so that the user sees it in one go. */
export class Problems {
  readonly #file: string;
  readonly #lines: KeyLines;
  /** By the line they make: what is wrong in a template is wrong once, however many tunnels use it. */
  readonly #errors = new Map<string, ConfigProblem>();
  readonly #warnings = new Set<string>();

  constructor(file: string, lines: KeyLines) {
    this.#file = file;
    this.#lines = lines;
  }

  error(path: readonly string[], text: string): void {
    const problem = this.#problem(path, text);
    this.#errors.set(formatProblem(this.#file, problem), problem);
  }

  warning(path: readonly string[], text: string): void {
    this.#warnings.add(formatProblem(this.#file, this.#problem(path, text)));
  }

  warnings(): readonly string[] {
    return [...this.#warnings];
  }

  throwIfAny(): void {
    if (this.#errors.size === 0) return;
    const inOrder = [...this.#errors.values()].toSorted(inOrderOfFiles);
    throw new ConfigError(this.#file, inOrder);
  }

  #problem(path: readonly string[], text: string): ConfigProblem {
    const file = this.#lines.fileOf?.(path);
    const line = this.#lines.lineOf(path);
    return { ...(file === undefined ? {} : { file }), line, column: undefined, key: dotted(path), text };
  }
}

function inOrderOfFiles(one: ConfigProblem, other: ConfigProblem): number {
  const [first, second] = [one.file ?? "", other.file ?? ""];
  return first === second ? (one.line ?? 0) - (other.line ?? 0) : first < second ? -1 : 1;
}

/** `found "ip", allowed: "udp" (known, but not supported in this version)` */
export function wrongValue(format: Format<unknown>, value: unknown): string {
  const found = format.culprit === undefined ? value : format.culprit(value);
  const shown = format.confidential === true ? describeKind(found) : describeValue(found);
  const sentence = `found ${shown}, allowed: ${format.allowed}`;
  const guess = format.guess?.(found);
  if (format.accepts(guess)) return `${sentence}, did you mean ${JSON.stringify(guess)}?`;
  return typeof found === "string" ? `${sentence}${didYouMean(found, format.choices ?? [])}` : sentence;
}

export function describeValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return describeKind(value);
}

/** Of a value that may be a secret, or beside its right place. */
export function describeKind(value: unknown): string {
  if (typeof value === "string") return value === "" ? "an empty string" : "a string";
  if (typeof value === "number") return "a number";
  if (typeof value === "boolean") return "a boolean";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  return value instanceof Date ? "a date" : "a table";
}
