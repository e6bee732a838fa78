/** Where a command writes. Each text ends with its line break. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Characters of a line, where something limits them: a terminal's width, or COLUMNS. */
  width?(): number | undefined;
}

/** Exit codes of every command. */
export const EXIT = { done: 0, failed: 1, wrongUsage: 2 } as const;

/** One line of complaint, the way commands make them. */
export function complain(terminal: Terminal, text: string): void {
  terminal.err(`l2tpv3-lcc: ${text}\n`);
}

/** What peers and files say may hold control characters that would steer the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, "?");
}
