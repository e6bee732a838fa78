import { defineConfig } from "vitest/config";

/** Each of their machines is a world of its own. */
const VM_TESTS = "test/interop/vm*.test.ts";

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 60_000 } },
      // Walks and mutated datagrams are a lot of work: a busy machine may take its time.
      { test: { name: "conformance", include: ["test/conformance/**/*.test.ts"], testTimeout: 600_000 } },
      {
        test: {
          name: "interop",
          include: ["test/interop/**/*.test.ts"],
          exclude: [VM_TESTS],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          // Names, ports and what the kernel counts are shared: one file at a time.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "vm",
          include: [VM_TESTS],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          // An emulated machine keeps two processors busy, and some of what it shows has to come in time.
          fileParallelism: false,
        },
      },
    ],
  },
});
