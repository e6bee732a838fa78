import { CONFIGURATION_PAGE } from "./configuration-page.ts";
import { PROGRAM_PAGE } from "./program-page.ts";
import { renderPage } from "./roff.ts";
import { type JsonSchema, showPage } from "./show-page.ts";

/** Every page of the manual by its file's name. `schema`: what docs/show.schema.json holds. */
export function manualPages(version: string, schema: JsonSchema): ReadonlyMap<string, string> {
  const pages = [PROGRAM_PAGE, CONFIGURATION_PAGE, showPage(schema)];
  return new Map(pages.map((page) => [`${page.name}.${page.section}`, renderPage(page, version)]));
}
