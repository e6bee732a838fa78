import { readFileSync } from "node:fs";
import { ConfigError } from "../config/config-error.ts";
import { parseSite } from "../config/load.ts";
import { importSite, UnknownKind } from "../import/import.ts";
import { ImportError } from "../import/import-error.ts";
import type { Source } from "../import/source.ts";
import type { ImportCommand } from "./arguments.ts";
import { complain, EXIT, printable, type Terminal } from "./terminal.ts";

const STANDARD_INPUT = 0;

/** `import FILE…`: prints a site.toml, and on standard error what is not in it. "-" is standard input. */
export function importInto({ files, from }: ImportCommand, terminal: Terminal): number {
  try {
    const { toml, warnings, holdsSecrets } = importSite(files.map(read), from);
    terminal.out(toml);
    for (const warning of warnings) terminal.err(`warning: ${printable(warning)}\n`);
    if (holdsSecrets) terminal.err("the file holds secrets: chmod 600 before it is used\n");
    return judge(toml, terminal);
  } catch (error) {
    if (error instanceof UnknownKind) {
      complain(terminal, printable(error.message));
      return EXIT.wrongUsage;
    }
    if (!(error instanceof ImportError)) throw error;
    for (const line of error.message.split("\n")) complain(terminal, printable(line));
    return EXIT.failed;
  }
}

/** What the input said may be something that no configuration can have: an mtu of 99, two sessions with one id. */
function judge(toml: string, terminal: Terminal): number {
  try {
    for (const warning of parseSite(toml, "site.toml").warnings) terminal.err(`warning: ${printable(warning)}\n`);
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    terminal.err(`the file needs work before it is good:\n${error.message}\n`);
    return EXIT.failed;
  }
}

function read(file: string): Source {
  try {
    const text = readFileSync(file === "-" ? STANDARD_INPUT : file, "utf8");
    return { name: file === "-" ? "standard input" : file, text: text.replace(/^\ufeff/, "") };
  } catch (error) {
    throw new ImportError(error instanceof Error ? error.message : String(error));
  }
}
