// The program as it is shipped: dist/bin/main.js and its threads, with everything that they are made of but native packages.
// A start reads a few dozen files instead of several hundred, which halves the time that it takes.
import { chmodSync, readdirSync, rmSync } from "node:fs";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { rolldown } from "rolldown";
import { NATIVE_PACKAGES } from "./native-packages.mjs";
import { root } from "./prepare.mjs";

const COMPILED = join(root, "dist/src");
const OUT = join(root, "dist/bin");

/** `new Worker(new URL("./NAME.js", import.meta.url))`: they stand beside whatever starts them. */
const threads = readdirSync(join(COMPILED, "kernel")).filter((file) => file.endsWith("-worker.js"));

rmSync(OUT, { recursive: true, force: true });
const bundle = await rolldown({
  input: [join(COMPILED, "main.js"), ...threads.map((file) => join(COMPILED, "kernel", file))],
  platform: "node",
  external: [...NATIVE_PACKAGES, ...builtinModules, /^node:/],
  onwarn(warning) {
    throw new Error(`bundle: ${warning.message}`);
  },
});
await bundle.write({
  dir: OUT,
  format: "esm",
  entryFileNames: "[name].js",
  chunkFileNames: "[name]-[hash].js",
});
chmodSync(join(OUT, "main.js"), 0o755);
