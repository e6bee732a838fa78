import { expect, test } from "vitest";
import { type ModuleSystem, probeKernelL2tp, probeL2tpOverIp } from "../../../src/kernel/modules.ts";

interface Machine {
  capabilities?: string;
  family?: boolean;
  loaded?: readonly string[];
  /** Text of /etc/os-release. */
  os?: string;
  files?: Readonly<Record<string, string>>;
  installed?: readonly string[];
  /** What modprobe says of a module that it cannot load. */
  refuses?: Readonly<Record<string, string>>;
  dryRun?: string;
}

const RELEASE = "6.1.0-30-amd64";
const asked: string[] = [];

function machine(about: Machine): ModuleSystem {
  const loaded = new Set(about.loaded);
  asked.length = 0;
  return {
    release: RELEASE,
    hasL2tpFamily: () => about.family === true || loaded.has("l2tp_netlink"),
    readFile(path) {
      if (path === "/proc/self/status") return `Name:\tnode\nCapEff:\t${about.capabilities ?? "000001ffffffffff"}\n`;
      if (path === "/etc/os-release") return about.os;
      return about.files?.[path];
    },
    list(path) {
      if (path === "/sys/module") return [...loaded];
      if (path === "/lib/modules") return about.installed ?? [RELEASE];
      return Object.keys(about.files ?? {}).flatMap((file) =>
        file.startsWith(`${path}/`) ? [file.slice(path.length + 1)] : [],
      );
    },
    async modprobe(words) {
      asked.push(words.join(" "));
      const name = words.at(-1) ?? "";
      if (words.length > 1) return { succeeded: true, output: about.dryRun ?? "" };
      const output = about.refuses?.[name];
      if (output === undefined) loaded.add(name);
      return { succeeded: output === undefined, output: output ?? "" };
    },
  };
}

async function reasonOf(about: Machine): Promise<string> {
  const probe = await probeKernelL2tp(machine(about));
  return probe.available ? "available" : probe.reason;
}

const NOT_FOUND = `modprobe: FATAL: Module l2tp_netlink not found in directory /lib/modules/${RELEASE}\n`;

test("modules that are loaded cost no process", async () => {
  expect(await reasonOf({ loaded: ["l2tp_netlink", "l2tp_eth"] })).toBe("available");
  expect(asked).toEqual([]);
});

test("modules that are built in count as loaded", async () => {
  const files = { [`/lib/modules/${RELEASE}/modules.builtin`]: "kernel/net/l2tp/l2tp_eth.ko\n" };
  expect(await reasonOf({ family: true, files })).toBe("available");
  expect(asked).toEqual([]);
});

test("modules are loaded on demand", async () => {
  expect(await reasonOf({})).toBe("available");
  expect(asked).toEqual(["l2tp_netlink", "l2tp_eth"]);
  expect(await reasonOf({ family: true })).toBe("available");
  expect(asked).toEqual(["l2tp_eth"]);
});

test("without CAP_NET_ADMIN nothing is tried", async () => {
  expect(await reasonOf({ capabilities: "0000000000000000" })).toContain("CAP_NET_ADMIN");
  expect(await reasonOf({ capabilities: "0000000000001000", family: true, loaded: ["l2tp_eth"] })).toBe("available");
});

const PACKAGES: readonly (readonly [string, string])[] = [
  ["ID=ubuntu\nID_LIKE=debian\n", `linux-modules-extra-${RELEASE}`],
  ["ID=debian\n", `linux-image-${RELEASE}`],
  ["ID=raspbian\nID_LIKE=debian\n", `linux-image-${RELEASE}`],
  ["ID=fedora\n", `kernel-modules-extra-${RELEASE}`],
  ['ID="rocky"\nID_LIKE="rhel centos fedora"\n', `kernel-modules-extra-${RELEASE}`],
  ["ID=gentoo\n", "CONFIG_L2TP_ETH"],
];

test.each(PACKAGES)("a missing module is named with its package: %j", async (os, hint) => {
  const reason = await reasonOf({ os, refuses: { l2tp_netlink: NOT_FOUND } });
  expect(reason).toContain("the kernel module l2tp_netlink is missing");
  expect(reason).toContain(hint);
});

test("a module that is disabled is named with the file that does it", async () => {
  const reason = await reasonOf({
    family: true,
    refuses: { l2tp_eth: "modprobe: ERROR: Error running install command" },
    dryRun: "install /bin/false\n",
    files: {
      "/etc/modprobe.d/a.conf": "blacklist l2tp_eth\n",
      "/etc/modprobe.d/b.conf": "install l2tp-eth /bin/false\n",
    },
  });
  expect(reason).toBe('the kernel module l2tp_eth is disabled: remove its "install" line from /etc/modprobe.d/b.conf');
});

test("a kernel whose modules are gone asks for a restart", async () => {
  const refuses = { l2tp_netlink: NOT_FOUND };
  expect(await reasonOf({ refuses, installed: ["6.1.0-31-amd64"] })).toMatch(
    /restart into a kernel whose modules are installed: 6.1.0-31-amd64$/,
  );
  expect(await reasonOf({ refuses, installed: [] })).toMatch(
    /no modules of it are installed: start a kernel that has it: kernel \S+ needs CONFIG_L2TP_V3/,
  );
});

test("no right to load modules", async () => {
  const refuses = { l2tp_netlink: "modprobe: ERROR: could not insert 'l2tp_netlink': Operation not permitted\n" };
  expect(await reasonOf({ refuses })).toContain("CAP_SYS_MODULE");
  const files = { "/proc/sys/kernel/modules_disabled": "1\n" };
  expect(await reasonOf({ refuses, files })).toContain("kernel.modules_disabled");
});

test("any other failure is passed on in modprobe's words", async () => {
  const refuses = { l2tp_netlink: "modprobe: ERROR: could not insert 'l2tp_netlink': Key was rejected by service\n" };
  expect(await reasonOf({ refuses })).toContain("Key was rejected by service");
});

test("L2TP over IP has a module for each IP version, loaded when it is needed", async () => {
  const system = machine({ loaded: ["l2tp_ip"] });
  expect(await probeL2tpOverIp(4, system)).toEqual({ available: true });
  expect(asked).toEqual([]);
  expect(await probeL2tpOverIp(6, system)).toEqual({ available: true });
  expect(asked).toEqual(["l2tp_ip6"]);
  const refuses = { l2tp_ip: "modprobe: FATAL: Module l2tp_ip not found in directory x" };
  expect(await probeL2tpOverIp(4, machine({ refuses }))).toMatchObject({
    available: false,
    reason: expect.stringContaining("the kernel module l2tp_ip is missing"),
  });
});
