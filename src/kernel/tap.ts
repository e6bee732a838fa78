import { closeSync, constants, openSync, readFileSync } from "node:fs";
import { KernelError } from "./kernel-error.ts";
import { close, ioctl } from "./libc.ts";

const TUN_DEVICE = "/dev/net/tun";
const TUNSETIFF = 0x400454ca;
const IFREQ_OCTETS = 40;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
/** Never attach to a device that is there already: somebody else's persistent TAP. */
const IFF_TUN_EXCL = 0x8000;
const IFNAMSIZ = 16;
const CAP_NET_ADMIN = 12n;
/** The structures of `datagram-batch.ts` are those of these. */
const ARCHITECTURES: readonly string[] = ["x64", "arm64", "riscv64", "loong64"];

const HELP: Readonly<Record<string, string>> = {
  ENOENT: `${TUN_DEVICE} does not exist: load the module with "modprobe tun" (in a container, pass the device in)`,
  ENODEV: `the kernel has no TUN/TAP: load the module with "modprobe tun"`,
  ENXIO: `the kernel has no TUN/TAP: load the module with "modprobe tun"`,
  EACCES: `${TUN_DEVICE} may not be opened: run as root or be given read and write access to it`,
  EPERM: "CAP_NET_ADMIN is missing: run as root or be given the capability",
};

function errnoOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "EIO";
}

function openTunDevice(): number {
  try {
    // Node adds O_CLOEXEC.
    return openSync(TUN_DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (cause) {
    const errno = errnoOf(cause);
    const help = HELP[errno] ?? `${TUN_DEVICE} cannot be opened: ${errno}`;
    throw new KernelError(`no TAP device can be made: ${help}`, { errno, command: "open", cause });
  }
}

/**
 * Makes a TAP device named exactly so, in the calling thread's network namespace, and returns its non-blocking
 * descriptor. The device lives as long as the descriptor. Reads and writes are whole Ethernet frames.
 */
export function openTap(interfaceName: string): number {
  const name = Buffer.from(interfaceName);
  if (name.length === 0 || name.length >= IFNAMSIZ || name.includes("%")) {
    throw new KernelError(`"${interfaceName}" cannot name an interface`, { errno: "EINVAL", command: "TUNSETIFF" });
  }
  const fd = openTunDevice();
  const request = Buffer.alloc(IFREQ_OCTETS);
  name.copy(request);
  request.writeUInt16LE(IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL, IFNAMSIZ);
  try {
    ioctl(fd, TUNSETIFF, request);
    return fd;
  } catch (cause) {
    close(fd);
    throw refusal(interfaceName, cause instanceof KernelError ? cause.errno : "EIO", cause);
  }
}

function refusal(interfaceName: string, errno: string, cause: unknown): KernelError {
  // IFF_TUN_EXCL answers EBUSY whatever the device of that name is.
  if (errno === "EBUSY") {
    const message = `interface ${interfaceName} exists already: remove it or configure another name`;
    return new KernelError(message, { errno: "EEXIST", command: "TUNSETIFF", cause });
  }
  const message = `TAP device ${interfaceName} cannot be made: ${HELP[errno] ?? errno}`;
  return new KernelError(message, { errno, command: "TUNSETIFF", cause });
}

export type UserspaceProbe = { readonly available: true } | { readonly available: false; readonly reason: string };

/** Whether TAP devices can be made here; the reason names what is missing and how to get it. Makes no device. */
export function probeUserspace(): UserspaceProbe {
  if (!ARCHITECTURES.includes(process.arch)) {
    return { available: false, reason: `the userspace datapath does not support ${process.arch} machines` };
  }
  try {
    closeSync(openTunDevice());
  } catch (error) {
    return { available: false, reason: error instanceof Error ? error.message : String(error) };
  }
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  const capable = ((BigInt(`0x${effective}`) >> CAP_NET_ADMIN) & 1n) === 1n;
  return capable ? { available: true } : { available: false, reason: `no TAP device can be made: ${HELP["EPERM"]}` };
}
