/** What a script in the guest found out: every check by its name, and what it has to say about those that failed. */
export interface Checks {
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  /** False where the script ended before its last line. */
  readonly complete: boolean;
}

export function readChecks(output: string): Checks {
  // A check's lines: its name, and "# …" for what it has to say.
  const blocks = output.split(/^(?=(?:not )?ok )/m);
  const named = (prefix: string) => blocks.filter((block) => block.startsWith(prefix));
  return {
    passed: named("ok ").map((block) => block.slice("ok ".length).split("\n", 1)[0] ?? ""),
    failed: named("not ok ").map((block) => block.trimEnd()),
    complete: /^# end: /m.test(output),
  };
}

export function lastLines(output: string): string {
  return output.trimEnd().split("\n").slice(-30).join("\n");
}
