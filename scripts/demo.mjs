// npm run demo: two sites and a pseudowire between them, from a fresh clone.
import { join } from "node:path";
import { prepare, root, run } from "./prepare.mjs";

await prepare();
process.exitCode = await run(process.execPath, [join(root, "dist/demo/demo.js")]);
