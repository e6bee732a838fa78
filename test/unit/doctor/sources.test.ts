import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { listSecretFiles } from "../../../src/config/secret-paths.ts";
import { parseProtocols, parseSocketTable } from "../../../src/doctor/proc-sockets.ts";
import { moduleCondition } from "../../../src/kernel/module-condition.ts";
import type { ModuleSystem } from "../../../src/kernel/modules.ts";

describe("/proc/net", () => {
  const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
  const row = (local: string) =>
    ` 5: ${local} 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 4711 2 0 0\n`;

  test("udp", () => {
    expect(parseSocketTable("udp", `${HEAD}${row("0100007F:06A5")}`)).toEqual([
      { protocol: "udp", address: "127.0.0.1", port: 1701, inode: "4711" },
    ]);
  });

  test("udp6", () => {
    const [any, one] = parseSocketTable(
      "udp6",
      HEAD + row("00000000000000000000000000000000:06A5") + row("B80D0120000000000000000001000000:06A5"),
    );
    expect(any).toMatchObject({ address: "::", port: 1701 });
    expect(one).toMatchObject({ address: "2001:db8::1" });
  });

  test("raw6", () => {
    expect(parseSocketTable("raw6", HEAD + row("00000000000000000000000000000000:0073"))).toEqual([
      { protocol: "ip", address: "::", port: 0, inode: "4711" },
    ]);
  });

  test("protocols: sockets of L2TP over IP, of which there is no table", () => {
    const text = [
      "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re sp bi br ha uh gp em",
      "L2TP/IPv6 1240      1      -1   NI       0   no   l2tp_ip6     y y y n y n n y y y y n n y n y y n n",
      "L2TP/IP   1000     12      -1   NI       0   no   l2tp_ip      y y y n y n n y y y y n n y n y y n n",
      "UDP       1216      3       1   NI       0   yes  kernel      y y y n y y n y y y y y n n y y y y n",
    ].join("\n");
    expect(parseProtocols(text)).toEqual({ 4: 12, 6: 1 });
    expect(parseProtocols("")).toEqual({ 4: 0, 6: 0 });
  });

  test("raw: protocol 115 alone", () => {
    expect(parseSocketTable("raw", HEAD + row("00000000:0073") + row("00000000:0001"))).toEqual([
      { protocol: "ip", address: "0.0.0.0", port: 0, inode: "4711" },
    ]);
  });
});

describe("one kernel module", () => {
  const system = (change: Partial<ModuleSystem> = {}): ModuleSystem => ({
    release: "6.1.0",
    hasL2tpFamily: () => false,
    readFile: () => undefined,
    list: (path) => (path === "/lib/modules" ? ["6.1.0"] : []),
    modprobe: async () => ({ succeeded: true, output: "" }),
    ...change,
  });
  const files = (path: string, text: string): Partial<ModuleSystem> => ({
    list: (folder) => (folder === "/etc/modprobe.d" ? ["x.conf"] : folder === "/lib/modules" ? ["6.1.0"] : []),
    readFile: (file) => (file === path ? text : undefined),
  });

  test("loaded", async () => {
    const list = (path: string) => (path === "/sys/module" ? ["l2tp_eth"] : []);
    expect(await moduleCondition(system({ list }), "l2tp_eth")).toMatchObject({ state: "loaded" });
  });

  test("loadable, and nothing is loaded by asking", async () => {
    const asked: (readonly string[])[] = [];
    const modprobe = async (words: readonly string[]) => {
      asked.push(words);
      return { succeeded: true, output: "" };
    };
    expect(await moduleCondition(system({ modprobe }), "l2tp_eth")).toMatchObject({ state: "loadable" });
    expect(asked.every((words) => words.includes("--dry-run"))).toBe(true);
  });

  test("blacklisted, however its name is written", async () => {
    const found = await moduleCondition(
      system(files("/etc/modprobe.d/x.conf", "# x\nblacklist l2tp-eth\n")),
      "l2tp_eth",
    );
    expect(found).toEqual({
      state: "blacklisted",
      detail: "not loaded, and /etc/modprobe.d/x.conf keeps the kernel from loading it by itself",
    });
  });

  test("disabled", async () => {
    const modprobe = async () => ({ succeeded: true, output: "install /bin/false \n" });
    const text = "install l2tp_eth /bin/false\n";
    const found = await moduleCondition(system({ ...files("/etc/modprobe.d/x.conf", text), modprobe }), "l2tp_eth");
    expect(found.state).toBe("disabled");
    expect(found.detail).toContain("/etc/modprobe.d/x.conf");
  });

  test("missing, with what to install", async () => {
    const modprobe = async () => ({ succeeded: false, output: "modprobe: FATAL: Module l2tp_eth not found" });
    const readFile = (path: string) => (path === "/etc/os-release" ? "ID=ubuntu\n" : undefined);
    expect(await moduleCondition(system({ modprobe, readFile }), "l2tp_eth")).toEqual({
      state: "missing",
      detail: "the kernel module l2tp_eth is missing",
      remedy: "install linux-modules-extra-6.1.0",
    });
  });

  test("not loaded, and this kernel loads none any more", async () => {
    const readFile = (path: string) => (path === "/proc/sys/kernel/modules_disabled" ? "1\n" : undefined);
    expect(await moduleCondition(system({ readFile }), "l2tp_eth")).toMatchObject({ state: "forbidden" });
  });
});

test("the files with secrets that a configuration names", () => {
  const directory = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-doctor-"));
  try {
    const path = join(directory, "site.toml");
    writeFileSync(
      path,
      '[template.t]\nsecret_file = "a"\n[tunnel.p]\nsecret_file = "/b"\nsecret_previous_file = "a"\n',
    );
    expect(listSecretFiles(path)).toEqual([join(directory, "a"), "/b"]);
    writeFileSync(path, "no toml");
    expect(listSecretFiles(path)).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
