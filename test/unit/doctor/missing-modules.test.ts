import { describe, expect, test } from "vitest";
import { checkKernel, type KernelFacts } from "../../../src/doctor/kernel.ts";
import { moduleCondition } from "../../../src/kernel/module-condition.ts";
import type { ModuleSystem } from "../../../src/kernel/modules.ts";
import { plan, verdicts } from "./plans.ts";

const NO_MODULES: ModuleSystem = {
  release: "6.18.44",
  hasL2tpFamily: () => false,
  readFile: () => undefined,
  list: () => [],
  modprobe: async () => ({ succeeded: false, output: "there is no modprobe" }),
};

describe("a kernel none of whose modules are installed", () => {
  const system = (
    files: Readonly<Record<string, string>>,
    folders: Readonly<Record<string, readonly string[]>> = {},
  ) => ({
    ...NO_MODULES,
    readFile: (path: string) => files[path],
    list: (path: string) => folders[path] ?? [],
  });

  test.each([
    ["bridge", "ffffffff82152fb0 T br_dev_setup\n"],
    ["8021q", "0000000000000000 T register_vlan_dev\n"],
    ["8021q", "0000000000000000 T register_vlan_dev\t[8021q]\n"],
  ])("%s that is built in is found among the kernel's symbols", async (name, symbols) => {
    expect(await moduleCondition(system({ "/proc/kallsyms": symbols }), name)).toMatchObject({ state: "loaded" });
  });

  test("what stands nowhere is missing: a kernel that has it is what helps", async () => {
    const symbols = "ffffffff82152fb0 T br_dev_setup_not\nffffffff82152fb0 T xbr_dev_setup\n";
    expect(await moduleCondition(system({ "/proc/kallsyms": symbols }), "bridge")).toEqual({
      state: "missing",
      detail: "the running kernel 6.18.44 has no bridge, and no modules of it are installed",
      remedy: "start a kernel that has it: kernel 6.18.44 needs CONFIG_BRIDGE",
    });
    expect((await moduleCondition(system({}), "8021q")).remedy).toContain("CONFIG_VLAN_8021Q");
    expect((await moduleCondition(system({}), "l2tp_eth")).remedy).toContain("CONFIG_L2TP_ETH");
  });

  test("others' modules: a restart", async () => {
    const { remedy } = await moduleCondition(system({}, { "/lib/modules": ["6.19.0"] }), "bridge");
    expect(remedy).toBe("restart into a kernel whose modules are installed: 6.19.0");
  });

  test("modules without the program that loads them", async () => {
    const { remedy } = await moduleCondition(system({}, { "/lib/modules": ["6.18.44"] }), "bridge");
    expect(remedy).toBe("install kmod, which has modprobe");
  });

  test.each([
    ["ubuntu", "bridge", "install linux-modules-6.18.44"],
    ["ubuntu", "l2tp_eth", "install linux-modules-extra-6.18.44"],
    ["fedora", "8021q", "install kernel-modules-6.18.44"],
    ["debian", "bridge", "install the complete kernel package, linux-image-6.18.44 or linux-image-amd64"],
  ])("%s: the package with %s", async (id, name, remedy) => {
    const output = `modprobe: FATAL: Module ${name} not found in directory /lib/modules/6.18.44`;
    const installed = {
      ...system({ "/etc/os-release": `ID=${id}\n` }, { "/lib/modules": ["6.18.44"] }),
      modprobe: async () => ({ succeeded: false, output }),
    };
    expect(await moduleCondition(installed, name)).toEqual({
      state: "missing",
      detail: `the kernel module ${name} is missing`,
      remedy,
    });
  });
});

describe("what missing modules are worth", () => {
  const MISSING = { state: "missing", detail: "missing", remedy: "do this" } as const;
  const without = (names: readonly string[], more: Partial<KernelFacts> = {}): KernelFacts => ({
    release: "6.12.1",
    hasL2tp: false,
    modules: new Map(names.map((name) => [name, MISSING])),
    userspaceFlaw: undefined,
    capabilities: ~0n,
    bridgeSeen: false,
    ...more,
  });
  const L2TP = ["l2tp_core", "l2tp_netlink", "l2tp_eth"];
  const of = (facts: KernelFacts, extra: Parameters<typeof plan>[0] = {}, name = "bridge") =>
    checkKernel(facts, plan(extra)).find(({ check }) => check === `module ${name}`);

  test("a bridge that is there needs no module", () => {
    expect(of(without(["bridge"], { bridgeSeen: true }))).toMatchObject({ status: "ok" });
  });

  test("no other datapath makes up for bridges, and none but the kernel's has L2TP over IP", () => {
    expect(of(without(["bridge"]))).toMatchObject({ status: "error", advice: "do this" });
    expect(of(without(["l2tp_ip"]), {}, "l2tp_ip")?.advice).toBe('do this, or take encapsulation = "udp"');
    expect(of(without(["8021q"]), { lcce: 'datapath = "kernel"' }, "8021q")).toMatchObject({
      status: "error",
      advice: 'do this, or take datapath = "userspace"',
    });
  });

  test("no L2TP in the kernel, and user space that works in its place: one warning, which says so", () => {
    const found = checkKernel(without([...L2TP, "8021q"]), plan());
    expect(verdicts(found).filter((each) => each.startsWith("warning"))).toEqual(["warning kernel L2TP"]);
    expect(found.find(({ check }) => check === "kernel L2TP")).toMatchObject({
      found: 'the kernel has no generic netlink family "l2tp" now: frames go through user space, which costs more CPU',
      advice: "nothing has to be done; for the kernel's datapath see the modules below",
    });
    expect(verdicts(found)).toContain("note module l2tp_eth");
    expect(verdicts(found)).toContain("note module 8021q");
  });

  test("each of them is a warning where user space cannot take their place, or where it is one module that lacks", () => {
    const broken = checkKernel(without(L2TP, { userspaceFlaw: "no tun" }), plan());
    expect(verdicts(broken)).toContain("warning module l2tp_eth");
    const overIp = checkKernel(without([...L2TP, "l2tp_ip"]), plan({ tunnel: 'encapsulation = "ip"' }));
    expect(verdicts(overIp)).toContain("warning module l2tp_ip");
    const half = checkKernel(without(["l2tp_eth"], { hasL2tp: true }), plan());
    expect(verdicts(half)).toContain("warning module l2tp_eth");
  });
});
