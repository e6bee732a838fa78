import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { lastLines, readChecks } from "../support/vm-checks.ts";
import { runInVm, vmUnavailable } from "./vm/lab.ts";

const unavailable = vmUnavailable();
/** Four times what it takes on two cores without KVM that have nothing else to do. */
const TIMEOUT_MS = 480_000;

/** Each boots a machine, runs the files guest/daemon-NAME.mjs and has at least so many checks. */
const BOOTS: readonly (readonly [title: string, names: readonly string[], checks: number])[] = [
  ["sessions, their keepalive and what the kernel refuses", ["session", "keepalive", "refusals"], 140],
  ["cookies, sublayer and sequencing, and static tunnels", ["static", "sequencing"], 175],
  [
    "F01, F03, F09, F10 UDP and IP, IPv4 and IPv6, link-local peers, two tunnels between the same addresses",
    ["encapsulations"],
    95,
  ],
  ["missing modules, conf/site.toml and 500 sessions", ["modules", "many"], 39],
  ["what others do to tunnels, sessions and devices", ["faults"], 35],
  ["I01, I05 VLAN pseudowires: tags rewritten at both ends, none without module 8021q", ["vlan"], 44],
  ["network namespaces with the same addresses, and a peer that comes by a VRF", ["netns"], 42],
];

describe.skipIf(unavailable !== undefined)(
  `two daemons, kernel datapath${unavailable === undefined ? "" : ` (${unavailable})`}`,
  () => {
    test.each(BOOTS)("%s", { timeout: TIMEOUT_MS }, async (_title, names, checks) => {
      const { exitCode, output } = await runInVm({
        script: fileURLToPath(new URL("vm/guest/daemons.mjs", import.meta.url)),
        args: names,
        timeoutMs: TIMEOUT_MS,
      });
      const { passed, failed, complete } = readChecks(output);
      expect(failed.join("\n\n")).toBe("");
      expect(complete, `the script ended early:\n${lastLines(output)}`).toBe(true);
      expect(exitCode, lastLines(output)).toBe(0);
      expect(new Set(passed).size).toBeGreaterThanOrEqual(checks);
    });

    test("the datapath alone: every request and refusal, 2,000 sessions at full speed", {
      timeout: TIMEOUT_MS,
    }, async () => {
      const script = fileURLToPath(new URL("vm/guest/kernel-datapath.mjs", import.meta.url));
      const { exitCode, output } = await runInVm({ script, timeoutMs: TIMEOUT_MS });
      const { passed, failed } = readChecks(output);
      expect(failed.join("\n\n")).toBe("");
      expect(exitCode, lastLines(output)).toBe(0);
      expect(passed.length).toBeGreaterThanOrEqual(50);
      expect(passed.join("\n")).toMatch(/2,?000 sessions/);
    });

    test("the demonstration", { timeout: TIMEOUT_MS }, async () => {
      const script = fileURLToPath(new URL("../../dist/demo/demo.js", import.meta.url));
      const { exitCode, output } = await runInVm({ script, timeoutMs: TIMEOUT_MS });
      expect(exitCode, output).toBe(0);
      expect(output).toMatch(/Everything was seen/);
      expect(output.match(/uses the kernel datapath/g)).toHaveLength(2);
    });
  },
);
