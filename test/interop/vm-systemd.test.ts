import { describe, test } from "vitest";
import { BOOT_TIMEOUT_MS, passSystemdBoot } from "../support/vm-checks.ts";
import { vmUnavailable } from "./vm/lab.ts";

const unavailable = vmUnavailable();
/** Twice that of other machines: three times the watchdog is waited for, and systemd takes its time where there is no KVM. */
const TIMEOUT_MS = 2 * BOOT_TIMEOUT_MS;
const BOOT = { script: "systemd.sh", versions: ["0.1.0", "0.1.1"], checks: 87, timeoutMs: TIMEOUT_MS };

describe.skipIf(unavailable !== undefined)(
  `the service under systemd in the VM${unavailable === undefined ? "" : ` (${unavailable})`}`,
  () => {
    test.each([
      ["Debian 12: systemd 252, which knows no notify-reload", "bookworm"],
      ["Debian 13: systemd 257", "trixie"],
    ] as const)("%s: from boot to the purge of its package", { timeout: TIMEOUT_MS }, (_title, release) =>
      passSystemdBoot({ ...BOOT, release }),
    );
  },
);
