import { type FileHandle, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";

/** One file of an initramfs archive; folders above it are made by the writer. */
export type ArchiveEntry =
  | { readonly type: "copy"; readonly from: string; readonly mode: number }
  | { readonly type: "text"; readonly text: string; readonly mode: number }
  | { readonly type: "link"; readonly to: string }
  | { readonly type: "folder" }
  | { readonly type: "character-device"; readonly major: number; readonly minor: number };

/** Guest path without a leading slash → what is there. */
export type Archive = ReadonlyMap<string, ArchiveEntry>;

interface Member {
  readonly mode: number;
  readonly data: Uint8Array;
  readonly device?: readonly [major: number, minor: number];
}

const NOTHING = new Uint8Array();
const TRAILER = "TRAILER!!!";

/**
 * Appends `archive` to `target` in cpio's "newc" form (the kernel's buffer-format.rst). Everything is padded to four
 * octets: the kernel silently ignores a second archive that starts elsewhere.
 */
export async function appendCpio(target: string, archive: Archive): Promise<void> {
  const output = await open(target, "a");
  try {
    let inode = 1;
    for (const [path, entry] of withFolders(archive)) {
      await append(output, path, inode++, await memberOf(entry));
    }
    await append(output, TRAILER, 0, { mode: 0, data: NOTHING });
  } finally {
    await output.close();
  }
}

function withFolders(archive: Archive): Map<string, ArchiveEntry> {
  const complete = new Map<string, ArchiveEntry>();
  for (const [path, entry] of archive) {
    const missing: string[] = [];
    for (let above = dirname(path); above !== "."; above = dirname(above)) {
      if (!complete.has(above)) missing.unshift(above);
    }
    for (const folder of missing) complete.set(folder, { type: "folder" });
    complete.set(path, entry);
  }
  return complete;
}

async function memberOf(entry: ArchiveEntry): Promise<Member> {
  switch (entry.type) {
    case "copy":
      return { mode: 0o100000 | entry.mode, data: await readFile(entry.from) };
    case "text":
      return { mode: 0o100000 | entry.mode, data: Buffer.from(entry.text) };
    case "link":
      return { mode: 0o120777, data: Buffer.from(entry.to) };
    case "folder":
      return { mode: 0o40755, data: NOTHING };
    case "character-device":
      return { mode: 0o20600, data: NOTHING, device: [entry.major, entry.minor] };
  }
}

async function append(output: FileHandle, path: string, inode: number, member: Member): Promise<void> {
  const name = Buffer.from(`${path}\0`);
  const [major, minor] = member.device ?? [0, 0];
  const fields = [inode, member.mode, 0, 0, 1, 0, member.data.length, 0, 0, major, minor, name.length, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
  await output.appendFile(padded([header, name]));
  await output.appendFile(padded([member.data]));
}

function padded(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([...parts, new Uint8Array(-length & 3)]);
}
