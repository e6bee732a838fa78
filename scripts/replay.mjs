// npm run replay FILE: steps the core through a recording and prints what happens. `npm run replay FILE -- --json` too.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { prepare, root, run } from "./prepare.mjs";

await prepare();
// npm runs scripts in the top directory; files are named from where it was called.
const here = process.env.INIT_CWD ?? process.cwd();
const args = process.argv.slice(2).map((word) => (existsSync(resolve(here, word)) ? resolve(here, word) : word));
process.exitCode = await run(process.execPath, [
  "--enable-source-maps",
  join(root, "dist/src/main.js"),
  "replay",
  ...args,
]);
