import { afterEach, describe, expect, test, vi } from "vitest";
import { parseSite } from "../../../src/config/load.ts";
import { chooseDatapath } from "../../../src/daemon/choose-datapath.ts";
import type { DatapathEvents } from "../../../src/kernel/datapath.ts";

const machine = vi.hoisted(() => ({ tunFlaw: undefined as string | undefined }));
vi.mock("../../../src/kernel/modules.ts", () => ({
  probeKernelL2tp: async () => ({ available: false, reason: "there is no l2tp_netlink" }),
}));
vi.mock("../../../src/kernel/tap.ts", () => ({
  probeUserspace: () =>
    machine.tunFlaw === undefined ? { available: true } : { available: false, reason: machine.tunFlaw },
}));

const EVENTS: DatapathEvents = {
  sessionLost: () => undefined,
  tunnelLost: () => undefined,
  portChanged: () => undefined,
  noticed: () => undefined,
};
const LOG = { write: () => undefined, tracing: false };

function refusal(tunnel = ""): Promise<unknown> {
  const site = parseSite(`[lcce]\ndatapath = "kernel"\n[tunnel.paris]\npeer = "192.0.2.9"\n${tunnel}`, "/site.toml");
  return chooseDatapath(site, LOG, EVENTS).catch((error: Error) => error.message);
}

describe("a kernel without L2TP where the configuration demands it", () => {
  afterEach(() => {
    machine.tunFlaw = undefined;
  });

  test("the refusal names what works in its place", async () => {
    expect(await refusal()).toBe(
      'datapath "kernel" cannot be used: there is no l2tp_netlink; datapath = "auto" falls back to user space',
    );
  });

  test("and nothing that would not", async () => {
    expect(await refusal('encapsulation = "ip"')).toMatch(/there is no l2tp_netlink$/);
    machine.tunFlaw = "there is no /dev/net/tun";
    expect(await refusal()).toMatch(/there is no l2tp_netlink$/);
  });
});
