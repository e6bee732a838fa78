import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { BOOT_TIMEOUT_MS, type Boot, lastLines, passBoot, readChecks } from "../support/vm-checks.ts";
import { runInVm, vmUnavailable } from "./vm/lab.ts";

const unavailable = vmUnavailable();
const BOOTS: readonly (readonly [title: string, boot: Boot])[] = [
  [
    "sessions, their keepalive and what the kernel refuses",
    { names: ["session", "keepalive", "refusals"], checks: 140 },
  ],
  ["cookies, sublayer and sequencing, and static tunnels", { names: ["static", "sequencing"], checks: 181 }],
  ["missing modules, conf/site.toml and 500 sessions", { names: ["modules", "many"], checks: 39 }],
];

describe.skipIf(unavailable !== undefined)(
  `two daemons, kernel datapath${unavailable === undefined ? "" : ` (${unavailable})`}`,
  () => {
    test.each(BOOTS)("%s", { timeout: BOOT_TIMEOUT_MS }, (_title, boot) => passBoot(boot));

    test("the datapath alone: every request and refusal, 2,000 sessions at full speed", {
      timeout: BOOT_TIMEOUT_MS,
    }, async () => {
      const script = fileURLToPath(new URL("vm/guest/kernel-datapath.mjs", import.meta.url));
      const { exitCode, output } = await runInVm({ script, timeoutMs: BOOT_TIMEOUT_MS });
      const { passed, failed } = readChecks(output);
      expect(failed.join("\n\n")).toBe("");
      expect(exitCode, lastLines(output)).toBe(0);
      expect(passed.length).toBeGreaterThanOrEqual(50);
      expect(passed.join("\n")).toMatch(/2,?000 sessions/);
    });

    test("the demonstration", { timeout: BOOT_TIMEOUT_MS }, async () => {
      const script = fileURLToPath(new URL("../../dist/demo/demo.js", import.meta.url));
      const { exitCode, output } = await runInVm({ script, timeoutMs: BOOT_TIMEOUT_MS });
      expect(exitCode, output).toBe(0);
      expect(output).toMatch(/Everything was seen/);
      expect(output.match(/uses the kernel datapath/g)).toHaveLength(2);
    });
  },
);
