import { KernelError } from "./kernel-error.ts";
import * as libc from "./libc.ts";
import { inNamespace } from "./netns.ts";

/** Where on the machine a socket has its place. */
export interface Placement {
  /** Network namespace, as `netnsPath` takes it; absent: the daemon's own. */
  readonly netns?: string | undefined;
  /** Bound even while the machine has not the address. */
  readonly freebind: boolean;
  /** Interface or VRF that it sends and receives by, and no other. */
  readonly bindDevice: string | undefined;
}

export const ANYWHERE: Placement = { freebind: false, bindDevice: undefined };

const IP_FREEBIND = 15;
const SO_BINDTODEVICE = 25;

let current: Placement = ANYWHERE;

/** Every socket that `act` opens, which must not wait for anything, is placed so. */
export function placed<T>(placement: Placement, act: () => T): T {
  const outer = current;
  current = placement;
  try {
    return act();
  } finally {
    current = outer;
  }
}

/** For who opens sockets: around `socket`. Throws a `KernelError` where the namespace cannot be entered. */
export function atPlace<T>(openSocket: () => T): T {
  return inNamespace(current.netns, openSocket);
}

/** Whether what is opened now is bound to a device. */
export function isAtDevice(): boolean {
  return current.bindDevice !== undefined;
}

/** For who opens sockets: after `socket`, before `bind`. Throws a `KernelError`. */
export function applyPlacement(fd: number): void {
  // An IPv6 socket takes this level too, and IPV6_FREEBIND is the same flag.
  if (current.freebind) libc.setsockopt(fd, libc.IPPROTO_IP, IP_FREEBIND, 1);
  if (current.bindDevice === undefined) return;
  try {
    libc.setsockopt(fd, libc.SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${current.bindDevice}\0`));
  } catch (error) {
    throw refusal(current.bindDevice, error);
  }
}

const HINTS: Readonly<Record<string, string>> = {
  ENODEV: "this machine has no such interface",
  EPERM: "not permitted; before Linux 5.7 it needs CAP_NET_RAW",
};

function refusal(device: string, cause: unknown): unknown {
  if (!(cause instanceof KernelError)) return cause;
  const { errno } = cause;
  const message = `cannot bind to interface ${device}: ${HINTS[errno] ?? errno} (${errno})`;
  return new KernelError(message, { errno, command: "setsockopt", cause });
}
