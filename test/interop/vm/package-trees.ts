import { readdir, readlink, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import type { ArchiveEntry } from "./cpio.ts";
import { buildOnce, cacheFolder } from "./host.ts";
import { dependenciesOf, type PackageSource, unpackPackages } from "./packages.ts";

/** What this machine, and the guest, have of themselves. */
const PRESENT = new Set(["libc6", "libgcc-s1", "libpam0g", "libpam-runtime"]);
const WANTED = /^(?:lib|softether-|strongswan-)/;
const USELESS = /^usr\/share\/(?:doc|man|lintian|locale)\/|^(?:etc\/(?:apparmor\.d|init\.d)|usr\/lib\/systemd)\//;

const MACHINE: PackageSource = { options: [] };

/**
 * The folder below which Debian packages of this machine's release are unpacked, with the libraries that they depend on.
 * Nothing is installed: a package that brings a service would start it here. The folder is kept in the cache.
 */
export async function providePackages(names: readonly string[]): Promise<string> {
  const folder = join(cacheFolder(), "packages", [...names].sort().join("+"));
  await buildOnce(folder, async (target) => {
    await unpackPackages(MACHINE, await withDependencies(names), target);
    const archives = (await readdir(target)).filter((name) => name.endsWith(".deb"));
    await Promise.all(archives.map((name) => rm(join(target, name))));
  });
  return folder;
}

async function withDependencies(names: readonly string[]): Promise<readonly string[]> {
  const found = new Set(names);
  // What is added while the loop runs is visited too.
  for (const name of found) {
    for (const dependency of await dependenciesOf(MACHINE, name, WANTED)) {
      if (!PRESENT.has(dependency)) found.add(dependency);
    }
  }
  return [...found];
}

/** Where the shared libraries of unpacked packages are, as LD_LIBRARY_PATH has it. */
export function libraryPath(folder: string): string {
  return ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map((path) => join(folder, path)).join(":");
}

/** Unpacked packages as a part of the guest's system, in which /bin, /sbin and /lib are links. */
export async function addPackages(archive: Map<string, ArchiveEntry>, folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const from = join(entry.parentPath, entry.name);
    const path = relative(folder, from)
      .replace(/^(?=(?:bin|sbin|lib|lib64)\/)/, "usr/")
      .replace(/^usr\/sbin\//, "usr/bin/");
    if (USELESS.test(path)) continue;
    if (entry.isFile()) archive.set(path, { type: "copy", from, mode: 0o755 });
    if (entry.isSymbolicLink()) archive.set(path, { type: "link", to: await readlink(from) });
  }
}
