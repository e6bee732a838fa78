import { ConfigError } from "../config/config-error.ts";
import { loadSite } from "../config/load.ts";
import type { Site } from "../config/site.ts";
import type { Terminal } from "./terminal.ts";

/** The site, or `undefined` after every problem of the file has been written to the terminal. */
export function loadOrExplain(path: string, terminal: Terminal): Site | undefined {
  try {
    return loadSite(path);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    terminal.err(`${error.message}\n`);
    return undefined;
  }
}
