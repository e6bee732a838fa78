import { describe, test } from "vitest";
import { BOOT_TIMEOUT_MS, passSystemdBoot } from "../support/vm-checks.ts";
import { vmUnavailable } from "./vm/lab.ts";

const unavailable = vmUnavailable();
const BOOT = { script: "take-over.sh", versions: ["0.1.0", "0.1.1"], checks: 42, timeoutMs: BOOT_TIMEOUT_MS };

describe.skipIf(unavailable !== undefined)(
  `one process of the service after the other in the VM${unavailable === undefined ? "" : ` (${unavailable})`}`,
  () => {
    test.each([
      ["Debian 12: systemd 252, Linux 6.1", "bookworm"],
      ["Debian 13: systemd 257, Linux 6.12", "trixie"],
    ] as const)("%s: restart, kill -9 and upgrade during traffic", { timeout: BOOT_TIMEOUT_MS }, (_title, release) =>
      passSystemdBoot({ ...BOOT, release }),
    );
  },
);
