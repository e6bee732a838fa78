import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { BOOT_TIMEOUT_MS, lastLines, readChecks } from "../support/vm-checks.ts";
import { runInVm, vmUnavailable } from "./vm/lab.ts";

const unavailable = vmUnavailable();
const root = fileURLToPath(new URL("../..", import.meta.url));
const script = fileURLToPath(new URL("vm/guest/systemd.sh", import.meta.url));

/** systemd and what dpkg needs. */
const PACKAGES = ["systemd", "dpkg", "tar", "libc-bin", "libc6", "libpam0g", "zlib1g"];
const CHECKS = 87;

/** Twice that of other machines: three times the watchdog is waited for, and systemd takes its time where there is no KVM. */
const TIMEOUT_MS = 2 * BOOT_TIMEOUT_MS;

describe.skipIf(unavailable !== undefined)(
  `the service under systemd in the VM${unavailable === undefined ? "" : ` (${unavailable})`}`,
  () => {
    test.each([
      ["Debian 12: systemd 252, which knows no notify-reload", "bookworm"],
      ["Debian 13: systemd 257", "trixie"],
    ] as const)("%s: from boot to the purge of its package", { timeout: TIMEOUT_MS }, async (_title, release) => {
      rmSync(`${root}dist/deb`, { recursive: true, force: true });
      for (const version of ["0.1.0", "0.1.1"]) {
        execFileSync(process.execPath, [`${root}scripts/deb.mjs`, "--version", version], { cwd: root });
      }
      const timeoutMs = TIMEOUT_MS - 60_000;
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
