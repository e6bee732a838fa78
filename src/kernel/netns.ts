import { closeSync, fstatSync, openSync, statSync, writeSync } from "node:fs";
import { KernelError } from "./kernel-error.ts";
import * as libc from "./libc.ts";

/**
 * Network namespaces. A socket belongs to the one that its thread was in when it was made, for ever; a device made through
 * a netlink socket belongs to that of the socket. Only the calling thread changes its namespace, and no thread may be begun
 * meanwhile: it would stay there.
 */

const CLONE_NEWNET = 0x4000_0000;
/** ioctl_ns(2): of which kind a namespace is. */
const NS_GET_NSTYPE = 0xb703;
/** Where `ip netns` keeps them. */
const NAMED = "/run/netns";
const OWN = "/proc/thread-self/ns/net";

/** The file that stands for it. `netns`: a name as of `ip netns`, or an absolute path. */
export function netnsPath(netns: string): string {
  return netns.startsWith("/") ? netns : `${NAMED}/${netns}`;
}

/** How the kernel is asked; stands in for it in tests. */
export interface NamespaceCalls {
  /** A descriptor of a network namespace. Throws where there is none, or something else. */
  open(path: string): number;
  enter(fd: number): void;
  close(fd: number): void;
  /** Does not return: nothing may be done in the wrong namespace. */
  giveUp(reason: string): never;
}

const system: NamespaceCalls = {
  open: openNamespace,
  enter: (fd) => libc.setns(fd, CLONE_NEWNET),
  close: closeSync,
  giveUp(reason) {
    writeSync(2, `l2tpv3-lcc: ${reason}\n`);
    // In a thread other than the main one it ends that alone, which is as good: who had it begins another.
    process.exit(1);
  },
};

/**
 * Does `act`, which must not wait for anything nor begin a thread, in that network namespace; `undefined`: where the thread
 * is already. Throws a `KernelError` where it cannot be entered: ENOENT, EINVAL or EPERM.
 */
export function inNamespace<T>(netns: string | undefined, act: () => T, calls: NamespaceCalls = system): T {
  if (netns === undefined) return act();
  const before = calls.open(OWN);
  try {
    enter(netns, calls);
    try {
      return act();
    } finally {
      goBack(before, calls);
    }
  } finally {
    calls.close(before);
  }
}

/** The calling thread stays there until it ends. Throws like `inNamespace`. */
export function enterNamespace(netns: string | undefined): void {
  if (netns !== undefined) enter(netns, system);
}

function enter(netns: string, calls: NamespaceCalls): void {
  const fd = attempt(netns, () => calls.open(netnsPath(netns)));
  try {
    attempt(netns, () => calls.enter(fd));
  } finally {
    calls.close(fd);
  }
}

function goBack(fd: number, calls: NamespaceCalls): void {
  try {
    calls.enter(fd);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    calls.giveUp(`cannot return to the daemon's own network namespace: ${reason}`);
  }
}

/** A namespace that is held open: as long as it is, no other one has its number. */
export class HeldNamespace {
  readonly #netns: string;
  readonly #fd: number;
  readonly #identity: string;

  /** Throws a `KernelError` that says why it cannot be had. */
  constructor(netns: string) {
    this.#netns = netns;
    this.#fd = attempt(netns, () => openNamespace(netnsPath(netns)));
    this.#identity = identityOf(fstatSync(this.#fd));
  }

  /** Why the name no longer stands for it; `undefined`: it does. */
  flaw(): string | undefined {
    try {
      const now = identityOf(statSync(netnsPath(this.#netns)));
      return now === this.#identity ? undefined : `network namespace ${this.#netns} is another one now`;
    } catch {
      return `network namespace ${this.#netns} was deleted; it is waited for`;
    }
  }

  release(): void {
    closeSync(this.#fd);
  }
}

function identityOf({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev} ${ino}`;
}

/** `ip netns add` makes an empty file first, and the namespace takes its place. */
function openNamespace(path: string): number {
  const fd = openSync(path, "r");
  try {
    if (libc.ioctl(fd, NS_GET_NSTYPE, Buffer.alloc(8)) === CLONE_NEWNET) return fd;
    throw new KernelError("another kind of namespace", { errno: "EINVAL", command: "ioctl" });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function attempt<T>(netns: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    const errno = errnoOf(cause);
    throw new KernelError(describe(netns, errno), { errno, command: "setns", cause });
  }
}

function describe(netns: string, errno: string): string {
  const path = netnsPath(netns);
  switch (errno) {
    case "ENOENT":
    case "ESRCH":
      return `network namespace ${netns} does not exist (${path}); it is waited for`;
    case "ENOTTY":
    case "EINVAL":
      return `${path} is no network namespace (yet); it is waited for`;
    case "EPERM":
    case "EACCES":
      return `cannot enter network namespace ${netns}: not permitted, it needs CAP_SYS_ADMIN (${errno})`;
    default:
      return `cannot enter network namespace ${netns}: ${errno}`;
  }
}

function errnoOf(error: unknown): string {
  if (error instanceof KernelError) return error.errno;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "EIO";
}
