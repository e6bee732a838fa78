import { spawn } from "node:child_process";
import { createWriteStream, existsSync } from "node:fs";
import { mkdir, open, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { buildOnce, cacheFolder, exists, run } from "./host.ts";
import { dependenciesOf, packageSource, requireCommand, unpackPackages } from "./packages.ts";

/** Debian releases whose kernel the guest can run. */
export const KERNEL_SUITES = ["bookworm", "trixie", "forky"] as const;
export type KernelSuite = (typeof KERNEL_SUITES)[number];

export interface Kernel {
  /** As `uname -r` says it in the guest. */
  readonly release: string;
  /** An uncompressed ELF image: it boots sooner than the package's own under emulation. */
  readonly vmlinux: string;
  /** The folder that holds lib/modules. */
  readonly root: string;
}

/** Whether the guest's kernel is here already, so that no mirror is needed. */
export function hasKernel(suite: KernelSuite): boolean {
  return existsSync(join(cacheFolder(), "kernel", suite, "current"));
}

/** Kernel packages that were unpacked are kept; the mirror is asked for a newer one only with `refresh`. */
export async function provideKernel(suite: KernelSuite, refresh: boolean): Promise<Kernel> {
  const folder = join(cacheFolder(), "kernel", suite);
  const pointer = join(folder, "current");
  const known = refresh ? undefined : await readFile(pointer, "utf8").catch(() => undefined);
  if (known !== undefined && (await exists(join(folder, known)))) return kernelAt(folder, known);

  await mkdir(folder, { recursive: true });
  const source = await packageSource(suite, join(folder, "apt"));
  const [name] = await dependenciesOf(source, "linux-image-cloud-amd64", /^linux-image-[0-9]/);
  if (name === undefined) throw new Error(`linux-image-cloud-amd64 of ${suite} depends on no kernel image`);
  const release = name.slice("linux-image-".length);
  await buildOnce(join(folder, release), async (target) => {
    const unpacked = `${target}.package`;
    // From forky on the image package is an empty one that depends on others.
    const parts = await dependenciesOf(source, name, /^linux-(?:base|binary|modules)-[0-9]/);
    await unpackPackages(source, [name, ...parts], unpacked);
    await mkdir(join(target, "lib"), { recursive: true });
    const image = await firstOf(unpacked, [`boot/vmlinuz-${release}`, `usr/lib/modules/${release}/vmlinuz`]);
    await extractVmlinux(image, join(target, "vmlinux"));
    const modules = await firstOf(unpacked, [`lib/modules/${release}/kernel`, `usr/lib/modules/${release}/kernel`]);
    await rename(dirname(dirname(modules)), join(target, "lib", "modules"));
    await indexModules(target, release);
  });
  await writeFile(`${pointer}.${process.pid}`, release);
  await rename(`${pointer}.${process.pid}`, pointer);
  await rm(join(folder, "apt"), { recursive: true, force: true });
  return kernelAt(folder, release);
}

function kernelAt(folder: string, release: string): Kernel {
  const root = join(folder, release);
  return { release, root, vmlinux: join(root, "vmlinux") };
}

/** Newer Debian packages have everything below usr/lib/modules. */
async function firstOf(folder: string, candidates: readonly string[]): Promise<string> {
  for (const path of candidates) {
    if (await exists(join(folder, path))) return join(folder, path);
  }
  throw new Error(`the kernel package has none of ${candidates.join(", ")}`);
}

/** Packages leave modules.dep to the machine they are installed on. */
export async function indexModules(root: string, release: string): Promise<void> {
  // Some versions of kmod look below usr/lib/modules.
  await symlink(".", join(root, "usr"));
  await run(await requireCommand("depmod", "kmod"), ["-b", root, release]);
}

interface Decompressor {
  readonly magic: readonly number[];
  readonly command: string;
  readonly args: readonly string[];
  readonly package: string;
}

const GZIP_MAGIC = [0x1f, 0x8b];
const DECOMPRESSORS: readonly Decompressor[] = [
  { magic: [0x02, 0x21, 0x4c, 0x18], command: "lz4", args: ["-dc"], package: "lz4" },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], command: "zstd", args: ["-dc"], package: "zstd" },
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], command: "xz", args: ["-dc"], package: "xz-utils" },
];

/** Takes the kernel proper out of a bzImage, by the fields of its setup header (Linux boot protocol 2.08 and later). */
async function extractVmlinux(vmlinuz: string, target: string): Promise<void> {
  const image = await readFile(vmlinuz);
  if (image.toString("latin1", 0x202, 0x206) !== "HdrS") throw new Error(`${vmlinuz} is not a bzImage`);
  const setupSectors = image.readUInt8(0x1f1) || 4;
  const start = (setupSectors + 1) * 512 + image.readUInt32LE(0x248);
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c));
  await decompress(payload, target);
  if (!(await isElf(target))) throw new Error(`what ${vmlinuz} contains is not an ELF image`);
}

async function decompress(payload: Buffer, target: string): Promise<void> {
  const output = createWriteStream(target);
  if (startsWith(payload, GZIP_MAGIC)) return pipeline(Readable.from([payload]), createGunzip(), output);
  const format = DECOMPRESSORS.find(({ magic }) => startsWith(payload, magic));
  if (format === undefined) throw new Error(`unknown kernel compression ${payload.toString("hex", 0, 6)}`);
  const command = await requireCommand(format.command, format.package);
  const child = spawn(command, format.args, { stdio: ["pipe", "pipe", "inherit"] });
  // All formats but gzip are followed by the size of the result in four octets.
  const compressed = Readable.from([payload.subarray(0, -4)]);
  await Promise.all([pipeline(compressed, child.stdin), pipeline(child.stdout, output)]);
}

function startsWith(octets: Buffer, magic: readonly number[]): boolean {
  return magic.every((octet, index) => octets[index] === octet);
}

async function isElf(path: string): Promise<boolean> {
  const handle = await open(path);
  const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0).finally(() => handle.close());
  return startsWith(buffer, [0x7f, 0x45, 0x4c, 0x46]);
}
