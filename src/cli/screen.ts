/** A terminal that is drawn anew again and again. */
export interface Screen {
  readonly columns: number;
  readonly rows: number;
  /** Takes the whole screen, at most `rows` lines; what was there comes back with `close`. */
  draw(lines: readonly string[]): void;
  /** Keys, and changes of size. */
  on(news: "key" | "resize", act: (key: string) => void): void;
  close(): void;
}

const ESCAPE = "\u001b[";
const ENTER = `${ESCAPE}?1049h${ESCAPE}?25l`;
const LEAVE = `${ESCAPE}?25h${ESCAPE}?1049l`;
const HOME = `${ESCAPE}H`;
const REST_OF_LINE = `${ESCAPE}K`;
const REST_OF_SCREEN = `${ESCAPE}J`;

const USUAL = { columns: 80, rows: 24 };

/** The terminal at standard output; `undefined`: there is none. */
export function openScreen(): Screen | undefined {
  const { stdin, stdout } = process;
  if (!stdout.isTTY) return undefined;
  stdout.write(ENTER);
  if (stdin.isTTY) stdin.setRawMode(true);
  return {
    // A terminal may not know its size.
    get columns() {
      return stdout.columns || USUAL.columns;
    },
    get rows() {
      return stdout.rows || USUAL.rows;
    },
    draw(lines) {
      const text = lines.map((line) => `${line}${REST_OF_LINE}`).join("\r\n");
      stdout.write(`${HOME}${text}${REST_OF_SCREEN}`);
    },
    on(news, act) {
      if (news === "resize") stdout.on("resize", () => act(""));
      else stdin.on("data", (octets) => act(octets.toString()));
    },
    close() {
      if (stdin.isTTY) stdin.setRawMode(false);
      stdin.destroy();
      stdout.write(LEAVE);
    },
  };
}
