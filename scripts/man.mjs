// `npm run man`: writes the manual pages in man/, from the schema of the configuration, the table of commands and the schema
// of show --json. A test fails where they are not up to date.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { prepare, root } from "./prepare.mjs";

await prepare();
const { manualPages } = await import(join(root, "dist/src/manual/pages.js"));
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const schema = JSON.parse(readFileSync(join(root, "docs/show.schema.json"), "utf8"));
mkdirSync(join(root, "man"), { recursive: true });
for (const [name, text] of manualPages(version, schema)) writeFileSync(join(root, "man", name), text);
