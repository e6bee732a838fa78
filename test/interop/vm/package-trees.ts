import { readdir, readlink, rm, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import type { ArchiveEntry } from "./cpio.ts";
import { buildOnce, cacheFolder } from "./host.ts";
import { dependenciesOf, type PackageSource, packageSource, unpackPackages } from "./packages.ts";

/** What this machine, and a guest of the same release, have of themselves. */
const PRESENT = new Set(["libc6", "libgcc-s1", "libpam0g", "libpam-runtime"]);
const WANTED = /^(?:lib|softether-|strongswan-)/;
const USELESS =
  /^usr\/share\/(?:doc|man|lintian|locale|bash-completion|zsh)\/|^(?:etc\/(?:apparmor\.d|init\.d)|usr\/lib\/systemd\/catalog)\//;

const MACHINE: PackageSource = { options: [] };

/**
 * The folder below which Debian packages of this machine's release, or of `suite`, are unpacked, with the libraries that they
 * depend on; those of another release with its own C library. Nothing is installed: a package that brings a service would
 * start it here. The folder is kept in the cache.
 */
export async function providePackages(names: readonly string[], suite?: string): Promise<string> {
  const name = [...(suite === undefined ? [] : [suite]), ...[...names].sort()].join("+");
  const folder = join(cacheFolder(), "packages", name);
  await buildOnce(folder, async (target) => {
    const source =
      suite === undefined ? MACHINE : await packageSource(suite, join(cacheFolder(), "packages", "apt", suite));
    await unpackPackages(source, await withDependencies(names, source), target);
    const archives = (await readdir(target)).filter((name) => name.endsWith(".deb"));
    await Promise.all(archives.map((name) => rm(join(target, name))));
  });
  return folder;
}

async function withDependencies(names: readonly string[], source: PackageSource): Promise<readonly string[]> {
  const found = new Set(names);
  // What is added while the loop runs is visited too.
  for (const name of found) {
    for (const dependency of await dependenciesOf(source, name, WANTED)) {
      if (source !== MACHINE || !PRESENT.has(dependency)) found.add(dependency);
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
    if (entry.isFile()) archive.set(path, { type: "copy", from, mode: (await stat(from)).mode & 0o777 });
    if (entry.isSymbolicLink()) archive.set(path, { type: "link", to: await readlink(from) });
  }
}
