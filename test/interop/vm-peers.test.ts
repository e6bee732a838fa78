import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tsharkMissing } from "../support/tshark.ts";
import { BOOT_TIMEOUT_MS, type Checks, lastLines, readChecks } from "../support/vm-checks.ts";
import { CASES_OVER_IP, type Case, titleOf } from "./peers/cases.ts";
import { flaws, framesWithWrongDigests } from "./peers/judgement.ts";
import { runInVm, vmUnavailable } from "./vm/lab.ts";

const missing = vmUnavailable() ?? tsharkMissing();
const OURS = "127.77.0.1";

const titled = CASES_OVER_IP.map((each) => [each.peer.make, each.feature, `${each.opens} opens`, each] as const);

/** The checks that over-ip.ts makes of a case. */
function checksOf(each: Case): readonly string[] {
  const cookies = each.cookie > 0 ? ["cookies in the kernel"] : [];
  return ["setup and end", ...cookies, "frames both ways"].map((aspect) => `${titleOf(each)}: ${aspect}`);
}

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

    test.each(titled)("F01 F03 B134 A31 D06 %s: %s, %s", (_make, _feature, _who, each) => {
      expect(checks.passed).toEqual(expect.arrayContaining([...checksOf(each)]));
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
