/** What the demonstration writes to the terminal. Colour on a terminal only, and not if NO_COLOR is set. */
const coloured = process.stdout.isTTY === true && !process.env["NO_COLOR"];
const WIDTH = 100;

export type Colour = "red" | "green" | "yellow" | "blue" | "magenta" | "cyan" | "dim" | "bold";

const CODES: Readonly<Record<Colour, number>> = {
  bold: 1,
  dim: 2,
  red: 31,
  green: 32,
  yellow: 33,
  blue: 34,
  magenta: 35,
  cyan: 36,
};

export function paint(colour: Colour, text: string): string {
  return coloured ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;
}

export function section(title: string): void {
  console.log(`\n${paint("bold", `── ${title} ${"─".repeat(Math.max(0, WIDTH - title.length - 4))}`)}`);
}

/** Some lines that belong to the step that comes next. */
export function lines(text: string): void {
  for (const line of text.trimEnd().split("\n")) console.log(`          ${line}`.trimEnd());
}

let steps = 0;

/** A step that has already said on the terminal why it failed. */
export class StepFailed extends Error {}

/**
 * Performs one step of the demonstration and prints it as a numbered line: ok with what `action` returns, or FAILED
 * with why. Throws `StepFailed`.
 */
export async function step(title: string, action: () => Promise<string> | string): Promise<void> {
  steps += 1;
  const number = String(steps).padStart(3);
  try {
    const found = await action();
    console.log(`${number}. ${paint("green", "ok")}  ${title}${found === "" ? "" : `: ${found}`}`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.log(`${number}. ${paint("red", "FAILED")}  ${title}: ${reason}`);
    throw new StepFailed(reason, { cause: error });
  }
}

/** Throws if the condition, a sentence, does not hold. */
export function must(condition: boolean, sentence: string): void {
  if (!condition) throw new Error(sentence);
}
