import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/** avp ← fsm ← control ← daemon → kernel, and who may use what from outside. */
type Row = readonly [path: string, code: string];

const FORBIDDEN_IMPORTS: readonly Row[] = [
  ["src/avp/one.ts", 'import { step } from "../fsm/step.ts";'],
  ["src/avp/one.ts", 'import type { Core } from "../control/core.ts";'],
  ["src/avp/one.ts", 'import { createSocket } from "node:dgram";'],
  ["src/avp/one.ts", 'import { randomBytes } from "node:crypto";'],
  ["src/avp/one.ts", 'import { setup } from "xstate";'],
  ["src/fsm/one.ts", 'import { createSocket } from "node:dgram";'],
  ["src/fsm/one.ts", 'import type { Core } from "../control/core.ts";'],
  ["src/fsm/one.ts", 'import { createActor } from "xstate";'],
  ["src/fsm/step.ts", 'import { MESSAGES } from "../avp/messages.ts";'],
  ["src/control/one.ts", 'import { setup } from "xstate";'],
  ["src/control/one.ts", 'import { openListener } from "../kernel/sockets.ts";'],
  ["src/control/one.ts", 'import { run } from "../daemon/run.ts";'],
  ["src/control/one.ts", 'import { readFileSync } from "node:fs";'],
  ["src/control/one.ts", 'import { randomInt } from "node:crypto";'],
  ["src/control/one.ts", 'import { pino } from "pino";'],
  ["src/kernel/one.ts", 'import type { Core } from "../control/core.ts";'],
  ["src/kernel/one.ts", 'import { run } from "../daemon/run.ts";'],
  ["src/kernel/one.ts", 'import koffi from "koffi";'],
  ["src/kernel/one.ts", 'import { createRtNetlink } from "netlink";'],
  ["src/kernel/libc.ts", 'import { createRtNetlink } from "netlink";'],
  ["src/kernel/netlink-messages.ts", 'import koffi from "koffi";'],
  ["src/config/one.ts", 'import type { Core } from "../control/core.ts";'],
  ["src/config/one.ts", 'import koffi from "koffi";'],
  ["src/daemon/one.ts", 'import { main } from "../main.ts";'],
  ["src/daemon/one.ts", 'import { show } from "../cli/show.ts";'],
  ["src/daemon/one.ts", 'import koffi from "koffi";'],
  ["src/daemon/one.ts", 'import { pino } from "pino";'],
  ["src/daemon/one.ts", 'import convict from "convict";'],
  ["src/daemon/one.ts", 'import { collect } from "../doctor/collect.ts";'],
  ["src/doctor/one.ts", 'import { run } from "../daemon/run.ts";'],
  ["src/doctor/one.ts", 'import { Lcce } from "../control/lcce.ts";'],
  ["src/doctor/one.ts", 'import { EXIT } from "../cli/terminal.ts";'],
  ["src/doctor/one.ts", 'import koffi from "koffi";'],
  ["src/import/one.ts", 'import { run } from "../daemon/run.ts";'],
  ["src/import/one.ts", 'import { openListener } from "../kernel/sockets.ts";'],
  ["src/import/one.ts", 'import { DIALECTS } from "../control/dialects.ts";'],
  ["src/import/one.ts", 'import { EXIT } from "../cli/terminal.ts";'],
  ["src/import/one.ts", 'import { readFileSync } from "node:fs";'],
  ["src/import/one.ts", 'import { parse } from "smol-toml";'],
  ["src/config/one.ts", 'import { importSite } from "../import/import.ts";'],
  ["src/cli/one.ts", 'import koffi from "koffi";'],
  ["src/main.ts", 'import { setup } from "xstate";'],
];

const ALLOWED_IMPORTS: readonly Row[] = [
  ["src/avp/one.ts", 'import { createHmac } from "node:crypto";'],
  ["src/fsm/one.ts", 'import type { ControlMessage } from "../avp/messages.ts";'],
  ["src/fsm/one.ts", 'import { setup } from "xstate";'],
  ["src/fsm/step.ts", 'import { transition } from "xstate";'],
  ["src/control/one.ts", 'import { MESSAGES } from "../avp/messages.ts";'],
  ["src/control/one.ts", 'import { step } from "../fsm/step.ts";'],
  ["src/kernel/libc.ts", 'import koffi from "koffi";'],
  ["src/kernel/netlink-messages.ts", 'import { createRtNetlink } from "netlink";'],
  ["src/config/one.ts", 'import type { LcceConfiguration } from "../control/configuration.ts";'],
  ["src/daemon/one.ts", 'import { openListener } from "../kernel/sockets.ts";'],
  ["src/daemon/log.ts", 'import { pino } from "pino";'],
  ["src/cli/one.ts", 'import { run } from "../daemon/run.ts";'],
  ["src/cli/one.ts", 'import { collect } from "../doctor/collect.ts";'],
  ["src/import/one.ts", 'import { isCidr } from "../config/format.ts";'],
  ["src/cli/one.ts", 'import { importSite } from "../import/import.ts";'],
  ["src/doctor/one.ts", 'import { loadSite } from "../config/load.ts";'],
  ["src/doctor/one.ts", 'import { pathMtu } from "../kernel/sockets.ts";'],
];

const CORE_GLOBALS = ["Date", "setTimeout", "setInterval", "Promise", "process", "Buffer", "console", "performance"];
const CORE_LAYERS = ["avp", "fsm", "control"];
const FORBIDDEN_GLOBALS: readonly Row[] = CORE_LAYERS.flatMap((layer) =>
  CORE_GLOBALS.map((name): Row => [`src/${layer}/one.ts`, `export const found = ${name};`]),
);

const ALLOWED_GLOBALS: readonly Row[] = ["kernel", "daemon", "cli"].map((layer) => [
  `src/${layer}/one.ts`,
  "export const found = [Date, setTimeout, process, Buffer];",
]);

const top = fileURLToPath(new URL("../..", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-layers-"));
const broken = new Map<Row, readonly string[]>();

afterAll(() => rmSync(directory, { recursive: true }));

beforeAll(() => {
  const rows = [...FORBIDDEN_IMPORTS, ...ALLOWED_IMPORTS, ...FORBIDDEN_GLOBALS, ...ALLOWED_GLOBALS];
  // Rows share paths; so they are laid out in trees of their own, one linter run for each.
  for (const tree of trees(rows)) {
    for (const [row, rules] of lint(tree)) broken.set(row, rules);
  }
}, 120_000);

describe("a forbidden import fails the check", () => {
  test.each(FORBIDDEN_IMPORTS.map((row) => [...row, row] as const))("%s: %s", (_path, _code, row) => {
    expect(broken.get(row)).toContain("lint/style/noRestrictedImports");
  });
});

describe("a permitted import passes it", () => {
  test.each(ALLOWED_IMPORTS.map((row) => [...row, row] as const))("%s: %s", (_path, _code, row) => {
    expect(broken.get(row)).not.toContain("lint/style/noRestrictedImports");
  });
});

describe("the core has no clock, chance, promise or process", () => {
  test.each(FORBIDDEN_GLOBALS.map((row) => [...row, row] as const))("%s: %s", (_path, _code, row) => {
    expect(broken.get(row)).toContain("lint/style/noRestrictedGlobals");
  });
  test.each(ALLOWED_GLOBALS.map((row) => [...row, row] as const))("%s has them: %s", (_path, _code, row) => {
    expect(broken.get(row)).not.toContain("lint/style/noRestrictedGlobals");
  });
});

/** As few groups as possible in which every path occurs once. */
function trees(rows: readonly Row[]): readonly (readonly Row[])[] {
  const groups: Row[][] = [];
  for (const row of rows) {
    const free = groups.find((group) => group.every(([path]) => path !== row[0]));
    if (free === undefined) groups.push([row]);
    else free.push(row);
  }
  return groups;
}

/** The rules that each row breaks, by the project's own lint configuration. */
function lint(rows: readonly Row[]): ReadonlyMap<Row, readonly string[]> {
  const tree = mkdtempSync(join(directory, "tree-"));
  for (const file of ["biome.json", ".gitignore"]) copyFileSync(join(top, file), join(tree, file));
  for (const [path, code] of rows) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), `${code}\n`);
  }
  const { diagnostics } = report(tree);
  return new Map(
    rows.map((row) => {
      const ours = diagnostics.filter(({ location }) => location.path.endsWith(row[0]));
      return [row, ours.filter(({ severity }) => severity === "error").map(({ category }) => category)];
    }),
  );
}

interface Report {
  readonly diagnostics: readonly {
    readonly category: string;
    readonly severity: string;
    readonly location: { readonly path: string };
  }[];
}

function report(tree: string): Report {
  const biome = join(top, "node_modules/@biomejs/biome/bin/biome");
  const args = [biome, "lint", "--reporter=json", "--max-diagnostics=none", "src"];
  try {
    return JSON.parse(execFileSync(process.execPath, args, { cwd: tree, encoding: "utf8", stdio: "pipe" }));
  } catch (error) {
    // Exit code 1 is what is asked for: there are errors, and the report is on standard output.
    if (error instanceof Error && "stdout" in error && typeof error.stdout === "string" && error.stdout !== "") {
      return JSON.parse(error.stdout);
    }
    throw error;
  }
}
