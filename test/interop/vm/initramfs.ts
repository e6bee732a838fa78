import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readdir, realpath, rm, stat, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { type ArchiveEntry, appendCpio } from "./cpio.ts";
import { buildOnce, cacheFolder, findCommand, run } from "./host.ts";
import { indexModules, type Kernel, type KernelSuite } from "./kernel.ts";
import { requireCommand, unpackPackages } from "./packages.ts";

/** Raise it whenever what this file puts into the image changes. */
const RECIPE_VERSION = 1;

/** Commands of the host that the guest has too, with the libraries they need; busybox provides all others. */
const GUEST_COMMANDS = ["bash", "env", "ip", "bridge", "ss", "modprobe", "lsmod"];

const GUEST_MODULES = [
  ..."l2tp_core l2tp_netlink l2tp_eth l2tp_ip l2tp_ip6 l2tp_debugfs udp_tunnel ip6_udp_tunnel".split(" "),
  ..."xfrm_user esp4 esp6 authenc echainiv drbg jitterentropy_rng sha512_generic".split(" "),
  ..."gcm ctr seqiv ghash_generic wireguard".split(" "),
  ..."veth bridge stp llc 8021q dummy macvlan vrf tun sch_netem virtio_pci virtio_console".split(" "),
  ..."nfnetlink nf_tables nft_chain_nat nft_masq".split(" "),
];

/** Newer kernels have it built in, or not at all. */
const MAY_BE_ABSENT = new Set(["drbg", "jitterentropy_rng", "sha512_generic", "ghash_generic", "nfnetlink"]);

const UNUSED_IMAGE_LIFE_MS = 30 * 24 * 3600 * 1000;

/** The guest's system without the project: made once for a kernel, a Node binary and a recipe. */
export async function provideInitramfs(suite: KernelSuite, kernel: Kernel): Promise<string> {
  const inputs = await Promise.all(["bash", "ip", "modprobe"].map(locate).concat(process.execPath).map(fingerprint));
  const digest = createHash("sha256")
    .update(JSON.stringify([GUEST_COMMANDS, GUEST_MODULES, inputs]))
    .digest("hex")
    .slice(0, 12);
  const folder = join(cacheFolder(), "image");
  const image = join(folder, `${suite}-${kernel.release}-r${RECIPE_VERSION}-${digest}.cpio`);
  await buildOnce(image, async (target) => {
    await removeUnused(folder);
    await buildInitramfs(target, kernel);
  });
  await utimes(image, new Date(), new Date());
  return image;
}

async function fingerprint(path: string): Promise<string> {
  const { size, mtimeMs } = await stat(path);
  return `${path} ${size} ${mtimeMs}`;
}

async function removeUnused(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const usedAt = await stat(path).then(({ mtimeMs }) => mtimeMs, Date.now);
    if (Date.now() - usedAt > UNUSED_IMAGE_LIFE_MS) await rm(path, { recursive: true, force: true });
  }
}

async function buildInitramfs(target: string, kernel: Kernel): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "l2tpv3-lcc-image-"));
  try {
    const archive = skeleton();
    const busybox = await unpackBusybox(scratch);
    await addBusybox(archive, busybox);
    for (const command of GUEST_COMMANDS) await addCommand(archive, command, locate(command));
    await addCommand(archive, "node", process.execPath);
    archive.set("usr/bin/sh", { type: "link", to: "bash" });
    await addModules(archive, kernel, join(scratch, "modules"));
    await appendCpio(target, archive);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function skeleton(): Map<string, ArchiveEntry> {
  const folders = ["dev", "proc", "sys", "run", "tmp", "root", "etc", "out", "usr/bin", "usr/lib", "usr/lib64"];
  const links = { bin: "usr/bin", sbin: "usr/bin", lib: "usr/lib", lib64: "usr/lib64", "usr/sbin": "bin" };
  const mounts = ["proc /proc proc", "sys /sys sysfs", "dev /dev devtmpfs"].map((line) => `${line} defaults 0 0\n`);
  return new Map<string, ArchiveEntry>([
    ...folders.map((path) => [path, { type: "folder" }] as const),
    ...Object.entries(links).map(([path, to]) => [path, { type: "link", to }] as const),
    // The kernel opens it for init before anything is mounted.
    ["dev/console", { type: "character-device", major: 5, minor: 1 }],
    ["etc/fstab", { type: "text", text: mounts.join(""), mode: 0o644 }],
    ["etc/passwd", { type: "text", text: "root:x:0:0:root:/root:/bin/bash\n", mode: 0o644 }],
    ["etc/group", { type: "text", text: "root:x:0:\n", mode: 0o644 }],
    ["etc/hosts", { type: "text", text: "127.0.0.1 localhost\n::1 localhost\n", mode: 0o644 }],
    ["var/run", { type: "link", to: "/run" }],
  ]);
}

/** Unpacked only: to install busybox-static would remove a machine's own busybox. */
async function unpackBusybox(scratch: string): Promise<string> {
  const folder = join(scratch, "busybox");
  await unpackPackages({ options: [] }, ["busybox-static"], folder);
  const found = ["bin/busybox", "usr/bin/busybox"].map((path) => join(folder, path));
  const existing = await Promise.all(found.map((path) => stat(path).catch(() => undefined)));
  const path = found.find((_, index) => existing[index] !== undefined);
  if (path === undefined) throw new Error("package busybox-static has no busybox");
  return path;
}

async function addBusybox(archive: Map<string, ArchiveEntry>, busybox: string): Promise<void> {
  archive.set("usr/bin/busybox", { type: "copy", from: busybox, mode: 0o755 });
  const applets = (await run(busybox, ["--list"])).split("\n").filter((name) => name && name !== "busybox");
  for (const applet of applets) archive.set(`usr/bin/${applet}`, { type: "link", to: "busybox" });
}

function locate(command: string): string {
  const path = findCommand(command);
  if (path === undefined) throw new Error(`command ${command} not found`);
  return path;
}

/** The command under its real name and a link for its other one (modprobe is kmod), with its shared libraries. */
async function addCommand(archive: Map<string, ArchiveEntry>, name: string, path: string): Promise<void> {
  const real = await realpath(path);
  const realName = name === "node" ? name : basename(real);
  archive.set(`usr/bin/${realName}`, { type: "copy", from: real, mode: 0o755 });
  if (realName !== name) archive.set(`usr/bin/${name}`, { type: "link", to: realName });
  for (const library of sharedLibraries(await run("ldd", [real]))) {
    const inGuest = library.replace(/^\/(?:usr\/)?/, "usr/");
    archive.set(inGuest, { type: "copy", from: library, mode: 0o755 });
  }
}

function sharedLibraries(lddOutput: string): readonly string[] {
  return [...lddOutput.matchAll(/(?:=>|^)\s+(\/\S+) \(0x/gm)].map((match) => match[1] ?? "");
}

async function addModules(archive: Map<string, ArchiveEntry>, kernel: Kernel, stage: string): Promise<void> {
  const modprobe = await requireCommand("modprobe", "kmod");
  const folder = join("lib", "modules", kernel.release);
  const wanted = new Set(
    ["modules.builtin", "modules.builtin.modinfo", "modules.order"].map((name) => join(folder, name)),
  );
  for (const name of GUEST_MODULES) {
    const showing = run(modprobe, ["-d", kernel.root, "-S", kernel.release, "--show-depends", name]);
    const shown = await (MAY_BE_ABSENT.has(name) ? showing.catch(() => "") : showing);
    for (const [, path] of shown.matchAll(/^insmod (\S+)/gm)) {
      if (path !== undefined) wanted.add(relative(kernel.root, await realpath(path)));
    }
  }
  for (const path of wanted) {
    await mkdir(dirname(join(stage, path)), { recursive: true });
    await copyFile(join(kernel.root, path), join(stage, path));
  }
  await indexModules(stage, kernel.release);
  for (const path of await readdir(join(stage, folder), { recursive: true })) {
    const from = join(stage, folder, path);
    const file = await stat(from);
    if (file.isFile()) archive.set(`usr/${join(folder, path)}`, { type: "copy", from, mode: 0o644 });
  }
}
