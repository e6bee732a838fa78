import { execFileSync } from "node:child_process";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findCommand, run } from "./host.ts";

/** The commands of the host that the lab uses, and the Debian package of each. */
const HOST_COMMANDS: Readonly<Record<string, string>> = {
  "qemu-system-x86_64": "qemu-system-x86",
  ip: "iproute2",
  bridge: "iproute2",
  ss: "iproute2",
  bash: "bash",
  modprobe: "kmod",
  depmod: "kmod",
  lsmod: "kmod",
  tar: "tar",
  timeout: "coreutils",
};

const QUIET_ENVIRONMENT = { DEBIAN_FRONTEND: "noninteractive" };
const COMMON_OPTIONS = ["-q", "-o", "DPkg::Lock::Timeout=300", "-o", "APT::Sandbox::User=root"];

/** The commands that are missing here, each with its package. */
export function missingCommands(): ReadonlyMap<string, string> {
  return new Map(Object.entries(HOST_COMMANDS).filter(([command]) => findCommand(command) === undefined));
}

/** Installs what the lab needs on the host and does not find. Needs root only when something is missing. */
export async function installMissingCommands(): Promise<void> {
  await installPackages([...new Set(missingCommands().values())]);
}

/** The path of a host command, its package installed where it is missing. */
export async function requireCommand(command: string, packageName: string): Promise<string> {
  if (findCommand(command) === undefined) await installPackages([packageName]);
  const path = findCommand(command);
  if (path === undefined) throw new Error(`package ${packageName} is installed but has no command ${command}`);
  return path;
}

async function installPackages(names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  if (process.getuid?.() !== 0) throw new Error(`these packages are missing and only root can install them: ${names}`);
  const machine: PackageSource = { options: [] };
  await withFreshLists(machine, () => apt(machine, ["install", "-y", "--no-install-recommends", ...names]));
}

/** Where packages come from: the machine's own apt configuration, or a private one for another release. */
export interface PackageSource {
  readonly options: readonly string[];
}

/** Debian's releases in this machine's apt sources, each with its mirror. Works before any list has been fetched. */
export function knownSuites(): ReadonlyMap<string, string> {
  const targets = ["indextargets", "--no-release-info", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"];
  const lines = execFileSync(findCommand("apt-get") ?? "apt-get", targets, { encoding: "utf8" });
  const debian = lines.matchAll(/^(\S+) (\S+\/debian\/?)$/gm);
  return new Map([...debian].map(([, suite = "", mirror = ""]) => [suite, mirror]));
}

/** Debian `suite` as the machine knows it, or else a private apt state below `folder` that leaves the machine's alone. */
export async function packageSource(suite: string, folder: string): Promise<PackageSource> {
  const known = knownSuites();
  if (known.has(suite)) return { options: [] };
  const [mirror] = known.values();
  if (mirror === undefined) throw new Error(`no Debian mirror in this machine's apt sources to take ${suite} from`);
  return privateSource(suite, mirror, folder);
}

async function privateSource(suite: string, mirror: string, folder: string): Promise<PackageSource> {
  await mkdir(join(folder, "lists", "partial"), { recursive: true });
  await mkdir(join(folder, "cache", "archives", "partial"), { recursive: true });
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  await writeFile(join(folder, "sources.list"), `deb [arch=amd64 signed-by=${keyring}] ${mirror} ${suite} main\n`);
  const settings = {
    "Dir::Etc::sourcelist": join(folder, "sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::State::Lists": join(folder, "lists"),
    "Dir::Cache": join(folder, "cache"),
    "Dir::State::Status": "/dev/null",
  };
  return { options: Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]) };
}

/** The packages whose names match `wanted` among those that `name` depends on directly. */
export async function dependenciesOf(source: PackageSource, name: string, wanted: RegExp): Promise<readonly string[]> {
  const depends = await withFreshLists(source, () => run("apt-cache", [...source.options, "depends", name]));
  const found = [...depends.matchAll(/Depends: ([^\s<>]+)$/gm)].map((match) => match[1] ?? "");
  return found.filter((dependency) => wanted.test(dependency));
}

/** Downloads packages and unpacks them into the new folder `folder`, without installing them. */
export async function unpackPackages(source: PackageSource, names: readonly string[], folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await withFreshLists(source, () => apt(source, ["download", ...names], folder));
  const files = (await readdir(folder)).filter((entry) => entry.endsWith(".deb"));
  for (const file of files) await run("dpkg", ["-x", join(folder, file), folder]);
}

/** Package lists may be absent or older than the mirror: on failure they are fetched again, once. */
async function withFreshLists<T>(source: PackageSource, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch {
    await apt(source, ["update"]);
    return work();
  }
}

async function apt(source: PackageSource, args: readonly string[], cwd?: string): Promise<void> {
  const options = { env: QUIET_ENVIRONMENT, ...(cwd === undefined ? {} : { cwd }) };
  await run("apt-get", [...COMMON_OPTIONS, ...source.options, ...args], options);
}
