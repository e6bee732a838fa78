import koffi from "koffi";
import { errnoName, KernelError } from "./kernel-error.ts";

/**
 * The C library: the only foreign-function calls of the project. Nothing here knows L2TP.
 *
 * Calls that carry data return what the C function returns, or the negative error number (`-EAGAIN`): on those ways an
 * error is an everyday answer. All others throw a `KernelError` whose `command` is the function's name.
 * Structures are laid out by the caller for a little-endian machine, the only kind the `netlink` package is built for.
 */
const libc = koffi.load(null);

const functions = {
  socket: libc.func("int socket(int domain, int type, int protocol)"),
  bind: libc.func("int bind(int fd, void *address, uint length)"),
  connect: libc.func("int connect(int fd, void *address, uint length)"),
  getsockname: libc.func("int getsockname(int fd, void *address, void *length)"),
  setsockopt: libc.func("int setsockopt(int fd, int level, int name, void *value, uint length)"),
  getsockopt: libc.func("int getsockopt(int fd, int level, int name, void *value, void *length)"),
  ioctl: libc.func("int ioctl(int fd, ulong request, void *argument)"),
  fcntl: libc.func("int fcntl(int fd, int command, long argument)"),
  close: libc.func("int close(int fd)"),
  inet_ntop: libc.func("const char *inet_ntop(int family, void *address, void *text, uint size)"),
  if_nametoindex: libc.func("uint if_nametoindex(const char *name)"),
  if_indextoname: libc.func("const char *if_indextoname(uint index, void *name)"),
  inet_pton: libc.func("int inet_pton(int family, const char *text, void *address)"),
  eventfd: libc.func("int eventfd(uint initial, int flags)"),
  epoll_create1: libc.func("int epoll_create1(int flags)"),
  epoll_ctl: libc.func("int epoll_ctl(int fd, int operation, int target, void *event)"),
  epoll_wait: libc.func("int epoll_wait(int fd, void *events, int count, int timeout)"),
  poll: libc.func("int poll(void *fds, ulong count, int timeout)"),
  read: libc.func("long read(int fd, void *octets, size_t length)"),
  write: libc.func("long write(int fd, void *octets, size_t length)"),
  readAt: libc.func("read", "long", ["int", "intptr_t", "size_t"]),
  writeAt: libc.func("write", "long", ["int", "intptr_t", "size_t"]),
  send: libc.func("long send(int fd, void *octets, size_t length, int flags)"),
  recv: libc.func("long recv(int fd, void *octets, size_t length, int flags)"),
  recvfrom: libc.func(
    "long recvfrom(int fd, void *octets, size_t length, int flags, void *address, void *addressLength)",
  ),
  sendto: libc.func("long sendto(int fd, void *octets, size_t length, int flags, void *address, uint addressLength)"),
  recvmmsg: libc.func("int recvmmsg(int fd, void *messages, uint count, int flags, void *timeout)"),
  sendmmsg: libc.func("int sendmmsg(int fd, void *messages, uint count, int flags)"),
  setns: libc.func("int setns(int fd, int kind)"),
  pipe2: libc.func("int pipe2(void *fds, int flags)"),
};

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SOL_NETLINK = 270;
export const IPPROTO_IP = 0;
export const IP_MTU_DISCOVER = 10;
export const IP_PMTUDISC_DONT = 0;
export const IP_MTU = 14;
export const IPPROTO_UDP = 17;
export const IPPROTO_IPV6 = 41;
export const IPV6_MTU = 24;
export const IPV6_V6ONLY = 26;
/** L2TP over IP (RFC 3931 4.1.1). */
export const IPPROTO_L2TP = 115;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_TRUNC = 0x20;
export const POLLIN = 0x01;
export const EPOLLIN = 0x01;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
const F_DUPFD_CLOEXEC = 1030;

function checked(command: keyof typeof functions, result: number): number {
  if (result >= 0) return result;
  const errno = errnoName(koffi.errno());
  throw new KernelError(`${command} failed: ${errno}`, { errno, command });
}

/** For the ways of data: the result, or the negative error number. */
function counted(result: number): number {
  return result >= 0 ? result : -koffi.errno();
}

/** The address of a buffer's first octet, for structures that point to others. Keep the buffer alive meanwhile. */
export function addressOf(buffer: Uint8Array): bigint {
  return koffi.address(buffer);
}

/** A descriptor that no child process inherits. `type` may carry SOCK_NONBLOCK. */
export function socket(domain: number, type: number, protocol: number): number {
  return checked("socket", functions.socket(domain, type | SOCK_CLOEXEC, protocol));
}

export function bind(fd: number, address: Uint8Array): void {
  checked("bind", functions.bind(fd, address, address.length));
}

export function connect(fd: number, address: Uint8Array): void {
  checked("connect", functions.connect(fd, address, address.length));
}

/** The raw socket address, as long as the kernel made it. */
export function getsockname(fd: number): Buffer {
  const address = Buffer.alloc(128);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(address.length);
  checked("getsockname", functions.getsockname(fd, address, length));
  return address.subarray(0, length.readUInt32LE());
}

/** A number is passed as a C int. */
export function setsockopt(fd: number, level: number, name: number, value: number | Uint8Array): void {
  let octets = value;
  if (typeof octets === "number") {
    const int = Buffer.alloc(4);
    int.writeInt32LE(octets);
    octets = int;
  }
  checked("setsockopt", functions.setsockopt(fd, level, name, octets, octets.length));
}

/** An option whose value is a C int. */
export function getsockopt(fd: number, level: number, name: number): number {
  const value = Buffer.alloc(4);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length);
  checked("getsockopt", functions.getsockopt(fd, level, name, value, length));
  return value.readInt32LE();
}

/** 4 or 16 octets in network order. Errors: EINVAL where `text` is no address of that family. */
export function inetPton(family: number, text: string): Buffer {
  const address = Buffer.alloc(family === AF_INET ? 4 : 16);
  if (checked("inet_pton", functions.inet_pton(family, text, address)) === 0) {
    throw new KernelError(`"${text}" is not an address`, { errno: "EINVAL", command: "inet_pton" });
  }
  return address;
}

/** The inverse of `inetPton`; IPv6 as RFC 5952 has it. */
export function inetNtop(family: number, address: Uint8Array): string {
  return functions.inet_ntop(family, address, Buffer.alloc(46), 46) ?? "";
}

/** The number of a network device; 0: there is none of this name. */
export function interfaceIndex(name: string): number {
  return functions.if_nametoindex(name);
}

/** The name of a network device; `undefined`: there is none with this number. */
export function interfaceName(index: number): string | undefined {
  return functions.if_indextoname(index, Buffer.alloc(16)) ?? undefined;
}

export function ioctl(fd: number, request: number, argument: Uint8Array): number {
  return checked("ioctl", functions.ioctl(fd, request, argument));
}

export function close(fd: number): void {
  checked("close", functions.close(fd));
}

/** A second descriptor of the same open file, not inherited by child processes either. */
export function dup(fd: number): number {
  return checked("fcntl", functions.fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

export function eventfd(initial: number, flags: number): number {
  return checked("eventfd", functions.eventfd(initial, flags | SOCK_CLOEXEC));
}

/** `fds`: an array of struct pollfd (int fd, short events, short revents). Blocks up to `timeoutMs`, -1 for ever. */
export function poll(fds: Uint8Array, count: number, timeoutMs: number): number {
  return counted(functions.poll(fds, count, timeoutMs));
}

export function epollCreate(): number {
  return checked("epoll_create1", functions.epoll_create1(SOCK_CLOEXEC));
}

/** `event`: a struct epoll_event, whose layout depends on the machine; ignored by EPOLL_CTL_DEL. */
export function epollControl(fd: number, operation: number, target: number, event: Uint8Array): void {
  checked("epoll_ctl", functions.epoll_ctl(fd, operation, target, event));
}

/** `events`: room for `count` times struct epoll_event. Blocks up to `timeoutMs`, -1 for ever. */
export function epollWait(fd: number, events: Uint8Array, count: number, timeoutMs: number): number {
  return counted(functions.epoll_wait(fd, events, count, timeoutMs));
}

export function read(fd: number, octets: Uint8Array, length: number): number {
  return counted(functions.read(fd, octets, length));
}

/** As `read`, into memory given by its address: a place inside a buffer costs no view of its own. */
export function readAt(fd: number, address: number, length: number): number {
  return counted(functions.readAt(fd, address, length));
}

/** As `write`, from memory given by its address. */
export function writeAt(fd: number, address: number, length: number): number {
  return counted(functions.writeAt(fd, address, length));
}

export function send(fd: number, octets: Uint8Array, length: number, flags: number): number {
  return counted(functions.send(fd, octets, length, flags));
}

export function recv(fd: number, octets: Uint8Array, length: number, flags: number): number {
  return counted(functions.recv(fd, octets, length, flags));
}

/** `address` receives the sender's raw socket address. */
export function recvfrom(fd: number, octets: Uint8Array, length: number, flags: number, address: Uint8Array): number {
  const addressLength = Buffer.alloc(4);
  addressLength.writeUInt32LE(address.length);
  return counted(functions.recvfrom(fd, octets, length, flags, address, addressLength));
}

export function sendto(fd: number, octets: Uint8Array, length: number, flags: number, address: Uint8Array): number {
  return counted(functions.sendto(fd, octets, length, flags, address, address.length));
}

/** `messages`: an array of struct mmsghdr. Returns how many were received. */
export function recvmmsg(fd: number, messages: Uint8Array, count: number, flags: number): number {
  return counted(functions.recvmmsg(fd, messages, count, flags, null));
}

/** `messages`: an array of struct mmsghdr. Returns how many were sent. */
export function sendmmsg(fd: number, messages: Uint8Array, count: number, flags: number): number {
  return counted(functions.sendmmsg(fd, messages, count, flags));
}

/** Two descriptors, to read from and to write to, that no child process inherits. */
export function pipe(): { readonly reading: number; readonly writing: number } {
  const fds = Buffer.alloc(8);
  checked("pipe2", functions.pipe2(fds, SOCK_CLOEXEC));
  return { reading: fds.readInt32LE(0), writing: fds.readInt32LE(4) };
}

/** Moves the calling thread into a namespace. */
export function setns(fd: number, kind: number): void {
  checked("setns", functions.setns(fd, kind));
}
