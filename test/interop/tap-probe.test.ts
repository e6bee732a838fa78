import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { probeUserspace } from "../../src/kernel/tap.ts";
import { execute } from "../support/namespaces.ts";

const TAP_MODULE = new URL("../../dist/src/kernel/tap.js", import.meta.url);

function missing(): string | undefined {
  const probe = probeUserspace();
  if (!probe.available) return probe.reason;
  return existsSync(fileURLToPath(TAP_MODULE)) ? undefined : "needs npm run build";
}

const reason = missing();

describe.skipIf(reason !== undefined)(`TAP devices${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  test.each([
    [
      "/dev/net/tun",
      "modprobe tun",
      ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /dev/net && exec "$@"', "-"],
    ],
    ["CAP_NET_ADMIN", "run as root", ["setpriv", "--bounding-set=-net_admin"]],
  ])("without %s the probe and the refusal name it and what helps: %s", async (what, help, [command = "", ...args]) => {
    const script = `const { probeUserspace, openTap } = await import("${TAP_MODULE.href}");
        const probe = probeUserspace();
        try { openTap("pw0") } catch (error) { console.log(JSON.stringify([probe.available, probe.reason, error.message])) }`;
    const node = [process.execPath, "--input-type=module", "-e", script];
    const { stdout } = await execute(command, [...args, ...node]);
    const [available, ...sentences] = JSON.parse(stdout);
    expect(available).toBe(false);
    for (const sentence of sentences) {
      expect(sentence).toContain(what);
      expect(sentence).toContain(help);
    }
  });
});
