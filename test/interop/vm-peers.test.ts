import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tsharkMissing } from "../support/tshark.ts";
import { BOOT_TIMEOUT_MS, type Checks, lastLines, readChecks } from "../support/vm-checks.ts";
import { CASES_OVER_IP, titleOf } from "./peers/cases.ts";
import { flaws, framesWithWrongDigests } from "./peers/judgement.ts";
import { runInVm, vmUnavailable } from "./vm/lab.ts";

const missing = vmUnavailable() ?? tsharkMissing();
const OURS = "127.77.0.1";
const ASPECTS = ["setup and end", "cookies in the kernel", "frames both ways"] as const;

const titled = CASES_OVER_IP.map(
  (each) => [each.peer.make, each.feature, `${each.opens} opens`, titleOf(each)] as const,
);

describe.skipIf(missing !== undefined)(
  `scripted peers over IP protocol 115, kernel datapath${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    let folder: string;
    let checks: Checks;
    let output: string;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "l2tpv3-lcc-peers-"));
      // Compiled with the rest: what the peers are is written once, for both encapsulations.
      const script = fileURLToPath(new URL("../../dist/test/interop/peers/over-ip.js", import.meta.url));
      ({ output } = await runInVm({ script, args: ["/out"], timeoutMs: BOOT_TIMEOUT_MS, outDir: folder }));
      checks = readChecks(output);
    }, BOOT_TIMEOUT_MS);
    afterAll(() => rm(folder, { recursive: true, force: true }));

    test("the machine comes to the end of it, and no check fails", () => {
      expect(checks.failed.join("\n\n")).toBe("");
      expect(checks.complete, lastLines(output)).toBe(true);
    });

    test.each(titled)("F01 F03 B134 A31 D06 %s: %s, %s", (_make, _feature, _who, title) => {
      const passed = ASPECTS.filter((aspect) => checks.passed.includes(`${title}: ${aspect}`));
      expect(passed).toEqual(ASPECTS);
    });

    test.each([true, false])("tshark finds nothing malformed, signed %s", async (signed) => {
      const name = signed ? "signed" : "unsigned";
      const messages = Number(new RegExp(`^# ${name}: (\\d+) messages`, "m").exec(output)?.[1]);
      expect(messages).toBeGreaterThan(10 * 10);
      expect(await flaws(join(folder, `${name}.pcap`), { messages, ours: OURS, signed })).toEqual([]);
    });

    test("D10 tshark finds every digest right, and with another secret every one wrong", async () => {
      const messages = Number(/^# signed: (\d+) messages/m.exec(output)?.[1]);
      const file = join(folder, "signed.pcap");
      expect(await framesWithWrongDigests(file, "right")).toBe(0);
      expect(await framesWithWrongDigests(file, "wrong")).toBe(messages);
    });
  },
);
