import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { BOOT_TIMEOUT_MS, lastLines, readChecks } from "../support/vm-checks.ts";
import { runInVm, vmUnavailable } from "./vm/lab.ts";

const unavailable = vmUnavailable();
const root = fileURLToPath(new URL("../..", import.meta.url));
const script = fileURLToPath(new URL("vm/guest/take-over.sh", import.meta.url));

/** systemd and what dpkg needs. */
const PACKAGES = ["systemd", "dpkg", "tar", "libc-bin", "libc6", "libpam0g", "zlib1g"];
const CHECKS = 34;

describe.skipIf(unavailable !== undefined)(
  `one process of the service after the other in the VM${unavailable === undefined ? "" : ` (${unavailable})`}`,
  () => {
    test.each([
      ["Debian 12: systemd 252, Linux 6.1", "bookworm"],
      ["Debian 13: systemd 257, Linux 6.12", "trixie"],
    ] as const)("%s: restart and kill -9 during traffic", { timeout: BOOT_TIMEOUT_MS }, async (_title, release) => {
      rmSync(`${root}dist/deb`, { recursive: true, force: true });
      execFileSync(process.execPath, [`${root}scripts/deb.mjs`, "--version", "0.1.0"], { cwd: root });
      const timeoutMs = BOOT_TIMEOUT_MS - 60_000;
      const guest = { kernel: release, packages: PACKAGES, packagesFrom: release, memoryMib: 1536 };
      const { exitCode, output } = await runInVm({ script, ...guest, timeoutMs });
      const { passed, failed, complete } = readChecks(output);
      expect(failed.join("\n\n")).toBe("");
      expect(complete, `the script ended early:\n${lastLines(output)}`).toBe(true);
      expect(exitCode, lastLines(output)).toBe(0);
      expect(new Set(passed).size).toBeGreaterThanOrEqual(CHECKS);
    });
  },
);
