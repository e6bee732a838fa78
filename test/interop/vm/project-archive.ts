import { readdir, readFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type ArchiveEntry, appendCpio } from "./cpio.ts";
import { exists } from "./host.ts";
import { addPackages } from "./package-trees.ts";

/** Where the project is in the guest. */
const GUEST_PROJECT = "app";
const GUEST_SCRIPTS = "test/interop/vm/guest";

export interface Job {
  readonly script: string;
  readonly args: readonly string[];
  /** Distinguishes the lab's own marker lines from anything a script prints. */
  readonly nonce: string;
  readonly collectFiles: boolean;
  /** The folder of unpacked packages that the guest gets. */
  readonly packages: string | undefined;
  /** They have a systemd, which shall be the first process. */
  readonly systemd: boolean;
}

/** Appends what changes from run to run: the project as built, init and the script. */
export async function appendProject(initramfs: string, job: Job): Promise<void> {
  const root = await projectRoot();
  const archive = new Map<string, ArchiveEntry>();
  if (job.packages !== undefined) await addPackages(archive, job.packages);
  for (const part of ["package.json", "conf", "dist", GUEST_SCRIPTS])
    await addTree(archive, root, part, wantedOfProject);
  for (const folder of await productionPackages(root)) await addTree(archive, root, folder, wantedOfPackage);
  const inGuest = guestPathOf(root, job.script);
  archive.set(inGuest, { type: "copy", from: job.script, mode: 0o755 });
  archive.set("usr/bin/l2tpv3-lcc", { type: "link", to: `/${GUEST_PROJECT}/dist/bin/main.js` });
  archive.set("init", { type: "copy", from: join(root, GUEST_SCRIPTS, "init.sh"), mode: 0o755 });
  archive.set("etc/vm-job", { type: "text", text: jobText(job, `/${inGuest}`), mode: 0o644 });
  await appendCpio(initramfs, archive);
}

/** The lab runs from its sources and from dist; package.json tells where the project begins. */
async function projectRoot(): Promise<string> {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; folder !== dirname(folder); folder = dirname(folder)) {
    if (await exists(join(folder, "package-lock.json"))) return folder;
  }
  throw new Error(`no package-lock.json above ${start}`);
}

function guestPathOf(root: string, script: string): string {
  const path = relative(root, resolve(script));
  return path.startsWith("..") ? join("run/vm", path.split("/").pop() ?? "script") : join(GUEST_PROJECT, path);
}

function jobText(job: Job, script: string): string {
  const interpreter = /\.[cm]?js$/.test(script) ? "node" : "bash";
  const words = [interpreter, script, ...job.args].map(shellWord);
  return [
    `VM_NONCE=${job.nonce}`,
    `VM_COLLECT=${job.collectFiles ? "yes" : ""}`,
    `VM_SYSTEMD=${job.systemd ? "yes" : ""}`,
    `VM_COMMAND=(${words.join(" ")})`,
    `export LAB=/${GUEST_PROJECT}/${GUEST_SCRIPTS}`,
    "",
  ].join("\n");
}

function shellWord(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** The folders of the packages that an installation without development dependencies has, on this platform. */
async function productionPackages(root: string): Promise<readonly string[]> {
  const lock: unknown = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8"));
  const packages = (lock as { packages: Record<string, { dev?: boolean }> }).packages;
  const folders = Object.entries(packages).filter(([path, entry]) => path !== "" && !entry.dev);
  const names = folders.map(([path]) => path).filter((path) => !path.includes("node_modules/@types/"));
  const installed = await Promise.all(names.map((path) => exists(join(root, path))));
  return names.filter((_, index) => installed[index]);
}

type Wanted = (path: string) => boolean;

const wantedOfProject: Wanted = (path) => !path.endsWith(".map");

/** Sources, documentation and other platforms' binaries are no use in the guest. */
const wantedOfPackage: Wanted = (path) =>
  !/\.(?:map|md|ts|cts|mts|h|hh|cc|cpp|c|S|asm|html|png|svg)$/.test(path) &&
  (!path.includes("/prebuilds/") || path.includes("/prebuilds/linux-x64/"));

async function addTree(archive: Map<string, ArchiveEntry>, root: string, part: string, wanted: Wanted): Promise<void> {
  const path = join(root, part);
  if (!(await exists(path))) return;
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => undefined);
  const files = entries?.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)) ?? [path];
  for (const file of files) {
    const name = relative(root, file);
    if (wanted(name)) archive.set(join(GUEST_PROJECT, name), { type: "copy", from: file, mode: 0o755 });
  }
}
