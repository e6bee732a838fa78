import { readFileSync } from "node:fs";
import { parseSite } from "../../../src/config/load.ts";
import type { Site } from "../../../src/config/site.ts";
import { importSite } from "../../../src/import/import.ts";
import type { ImportKind } from "../../../src/import/kinds.ts";
import type { Source } from "../../../src/import/source.ts";

interface Result {
  readonly toml: string;
  readonly warnings: readonly string[];
  readonly holdsSecrets: boolean;
  /** What the project's own loader makes of the file. */
  readonly site: Site;
}

/** Imports a text, and loads what comes of it: an error of the loader fails the test. */
export function importText(text: string, kind?: ImportKind): Result {
  return importSources([{ name: "input", text }], kind);
}

export function importFixtures(...names: readonly string[]): Result {
  const sources = names.map((name) => ({
    name,
    text: readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8"),
  }));
  return importSources(sources);
}

export function importSources(sources: readonly Source[], kind?: ImportKind): Result {
  const imported = importSite(sources, kind);
  return { ...imported, site: parseSite(imported.toml, "site.toml") };
}

export function octets(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}
