// The Debian packages that the interop tests use, and their installation. The one place where they are listed.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "./prepare.mjs";

/** A package is missing when the command that is its own is. */
const PACKAGES = [
  { name: "iproute2", command: "ip", purpose: "network namespaces" },
  { name: "tshark", command: "tshark", purpose: "decoding what the daemons exchange" },
  {
    name: "qemu-system-x86",
    command: "qemu-system-x86_64",
    purpose: "the virtual machine with a kernel that has L2TP",
  },
  { name: "zsh", command: "zsh", purpose: "its completion of our commands" },
  { name: "groff", command: "groff", purpose: "checking the manual pages" },
  { name: "kmod", command: "modprobe", purpose: "its modules" },
  { name: "lz4", command: "lz4", purpose: "unpacking its kernel" },
  { name: "zstd", command: "zstd", purpose: "the same" },
  { name: "xz-utils", command: "xz", purpose: "the same" },
];

const APT = { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }, stdio: ["ignore", "ignore", "inherit"] };

/**
 * Installs what is missing, as root on a Debian-like system. Elsewhere, and with L2TPV3_LCC_NO_INSTALL=1, it does
 * nothing: a test that lacks something is skipped and says what it lacks.
 */
export async function installPackages() {
  const missing = PACKAGES.filter(({ command }) => !isInstalled(command));
  if (missing.length === 0) return;
  if (process.env.L2TPV3_LCC_NO_INSTALL === "1" || process.getuid?.() !== 0 || !isInstalled("apt-get")) return;
  const names = missing.map(({ name }) => name);
  const why = missing.map(({ name, purpose }) => `${name} (${purpose})`).join(", ");
  console.log(`test: installing Debian packages for the interop tests: ${why}; L2TPV3_LCC_NO_INSTALL=1 prevents it`);
  const install = ["install", "-qq", "-y", "-o", "DPkg::Lock::Timeout=300", "--no-install-recommends", ...names];
  // A list of packages that is still good is used; one that is missing or out of date makes the first attempt fail.
  if ((await run("apt-get", install, { ...APT, stdio: "ignore" })) === 0) return;
  await run("apt-get", ["update", "-qq"], APT);
  if ((await run("apt-get", install, APT)) !== 0) console.log("test: not everything could be installed");
}

function isInstalled(command) {
  // Debian keeps ip and modprobe in sbin, which is not in everyone's PATH.
  const directories = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return directories.some((directory) => existsSync(join(directory, command)));
}
