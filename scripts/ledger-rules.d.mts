export interface Requirement {
  readonly id: string;
  readonly clause: string;
  readonly what: string;
  /** Why no test names it. */
  readonly reason: string | undefined;
}

export interface Section<Row = Requirement> {
  readonly letter: string;
  readonly title: string;
  readonly rows: readonly Row[];
}

export interface TestTitle {
  /** From the root of the project. */
  readonly file: string;
  /** Titles of its describe blocks and its own. */
  readonly title: string;
}

export interface CollectedTest extends TestTitle {
  /** What keeps it from running, or lets it pass by failing; nothing for a test that is one. */
  readonly hindrances: readonly string[];
}

/** As much of Vitest's TestCase, and of the suites around it, as tells whether it runs. */
export interface VitestTask {
  readonly options?: { readonly mode?: string; readonly fails?: boolean | undefined };
  readonly parent?: VitestTask;
}

export interface TestedRequirement extends Requirement {
  readonly tests: readonly TestTitle[];
}

export interface Ledger<Row> {
  readonly sections: readonly Section<Row>[];
  /** One line each: what was expected, what was found. */
  readonly problems: readonly string[];
}

export function readRequirements(document: Readonly<Record<string, unknown>>): Ledger<Requirement>;
export function idsIn(title: string, known: ReadonlySet<string> | ReadonlyMap<string, unknown>): readonly string[];
export function skipsIn(source: string): readonly { readonly line: number; readonly found: string }[];
export function hindrancesOf(test: VitestTask): readonly string[];
export function auditModes(tests: readonly CollectedTest[]): readonly string[];
export function auditTests(requirements: Ledger<Requirement>, tests: readonly TestTitle[]): Ledger<TestedRequirement>;
export function auditSources(sources: readonly { readonly file: string; readonly source: string }[]): readonly string[];
export function auditPage(file: string, expected: string, found: string | undefined): readonly string[];
export function writePage(sections: readonly Section<TestedRequirement>[]): string;
