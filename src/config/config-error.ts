/** One thing wrong in a configuration file. */
export interface ConfigProblem {
  /** Absent: the file that was asked for, and not one that it includes. */
  readonly file?: string | undefined;
  /** Counted from 1; `undefined` where the text has no such key. */
  readonly line: number | undefined;
  /** Known for syntax errors alone. */
  readonly column: number | undefined;
  /** Dotted path of the key: "tunnel.paris.session.lan42.cookie_size". Empty for the file as a whole. */
  readonly key: string;
  /** What was found and what is allowed. */
  readonly text: string;
}

/** The configuration cannot be used. The message has one line per problem, each with file, line and key. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly file: string;
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[], options?: ErrorOptions) {
    super(problems.map((problem) => formatProblem(file, problem)).join("\n"), options);
    this.file = file;
    this.problems = problems;
  }
}

/** `site.toml:12: tunnel.paris.peer: found 5, allowed: …` */
export function formatProblem(file: string, problem: ConfigProblem): string {
  const place = [problem.file ?? file, problem.line, problem.column].filter((part) => part !== undefined).join(":");
  return [place, problem.key, problem.text].filter((part) => part !== "").join(": ");
}
