import {
  COMMANDS,
  type CommandName,
  definitionOf,
  OPTION_NAMES,
  type OptionName,
  optionDefinition,
} from "./command-table.ts";
import { wrap } from "./table.ts";

const WIDTH = 80;
const COMMAND_COLUMN = 36;
const OPTION_COLUMN = 22;

/** What `--help` prints, made from the table of commands. */
export function usage(): string {
  const commands = (Object.keys(COMMANDS) as CommandName[]).flatMap(commandLines);
  const options = OPTION_NAMES.flatMap(optionLines);
  return [
    "Usage:",
    ...commands,
    "",
    "Options:",
    ...options,
    "",
    "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.",
    "",
  ].join("\n");
}

/** "l2tpv3-lcc show [NAME]", one for each form of the command. */
export function synopses(name: CommandName): readonly string[] {
  return definitionOf(name).forms.map((form) =>
    ["l2tpv3-lcc", name === "run" ? "" : name, form].filter((word) => word !== "").join(" "),
  );
}

/** "-c, --conf FILE". */
export function optionSynopsis(name: OptionName): string {
  const { short, value } = optionDefinition(name);
  return `${short === undefined ? "" : `-${short}, `}--${name}${value === undefined ? "" : ` ${value.word}`}`;
}

function commandLines(name: CommandName): readonly string[] {
  const lines = synopses(name).map((synopsis) => `  ${synopsis}`);
  return beside(lines, definitionOf(name).summary, COMMAND_COLUMN);
}

function optionLines(name: OptionName): readonly string[] {
  const synopsis = optionSynopsis(name);
  const line = synopsis.startsWith("--") ? `      ${synopsis}` : `  ${synopsis}`;
  return beside([line], optionDefinition(name).summary, OPTION_COLUMN);
}

/** The text begins in the last of the lines, where there is room for it, and is indented to `column`. */
function beside(lines: readonly string[], text: string, column: number): readonly string[] {
  const wrapped = wrap(text, WIDTH - column).map((line) => `${" ".repeat(column)}${line}`);
  const last = lines.at(-1) ?? "";
  if (last.length >= column) return [...lines, ...wrapped];
  return [...lines.slice(0, -1), `${last.padEnd(column)}${(wrapped[0] ?? "").trimStart()}`, ...wrapped.slice(1)];
}
