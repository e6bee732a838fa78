// The tests as Vitest sees them, without running any.
import { relative } from "node:path";
import { createVitest } from "vitest/node";
import { hindrancesOf } from "./ledger-rules.mjs";

/**
 * Of test files below `root`: `{ file, title, hindrances }` for each test, those made from tables too, with the title
 * that Vitest gives it. `hindrances`: what keeps it from running, or lets it pass by failing.
 */
export async function collectTests(root, files) {
  // One worker for all files: what they share is loaded once, which takes a tenth of the time.
  const options = { root, watch: false, isolate: false, pool: "threads", maxWorkers: 1, reporters: [{}] };
  const vitest = await createVitest("test", options);
  try {
    const { testModules, unhandledErrors } = await vitest.collect(files);
    const errors = [...unhandledErrors, ...testModules.flatMap((module) => module.errors())];
    if (errors.length > 0 || testModules.length < files.length) {
      for (const error of errors) console.error(`ledger: ${error.message}`);
      throw new Error(`expected the tests of ${files.length} files; found ${testModules.length}, see above`);
    }
    const tests = testModules.flatMap((module) => {
      const file = relative(root, module.moduleId);
      return Array.from(module.children.allTests(), (test) => {
        return { file, title: titleOf(test.fullName), hindrances: hindrancesOf(test) };
      });
    });
    return tests.sort((a, b) => files.indexOf(a.file) - files.indexOf(b.file));
  } finally {
    await vitest.close();
  }
}

/** Interoperability tests say in their titles what this machine lacks, which is no part of the page. */
function titleOf(fullName) {
  return fullName.replace(/ \(skipped: [^)]*\)/, "");
}
