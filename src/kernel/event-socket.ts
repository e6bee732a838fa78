import { constants } from "node:os";
import { errnoName, KernelError } from "./kernel-error.ts";
import * as libc from "./libc.ts";
import { type NetlinkReply, parseReplies } from "./netlink-messages.ts";
import { setIfPossible } from "./sockets.ts";

const { EAGAIN, EINTR, ENOBUFS } = constants.errno;
const NETLINK_ADD_MEMBERSHIP = 1;
/** struct sockaddr_nl. */
const NETLINK_ADDRESS_OCTETS = 12;
/** What some thousand devices have to tell when they go at once. */
const RECEIVE_BUFFER_OCTETS = 8 * 1024 * 1024;
/** A message about one interface: under 4 kB, but for those with many virtual functions. */
const RECEIVE_OCTETS = 256 * 1024;
/** Datagrams: then others have their turn. */
const LONGEST_TURN = 256;

export type EventMessage = Extract<NetlinkReply, { readonly kind: "message" }>;

/** A netlink socket that only listens: what the kernel announces to multicast groups. */
export class EventSocket {
  readonly fd: number;
  readonly #received = Buffer.allocUnsafeSlow(RECEIVE_OCTETS);

  /** `protocol`: NETLINK_GENERIC or NETLINK_ROUTE. Errors: KernelError. */
  constructor(protocol: number, groups: readonly number[]) {
    this.fd = libc.socket(libc.AF_NETLINK, libc.SOCK_RAW | libc.SOCK_NONBLOCK, protocol);
    setIfPossible(this.fd, libc.SOL_SOCKET, libc.SO_RCVBUFFORCE, RECEIVE_BUFFER_OCTETS);
    // What the kernel announces by itself is from port 0, and never heard by a socket that has no number yet.
    const address = Buffer.alloc(NETLINK_ADDRESS_OCTETS);
    address.writeUInt16LE(libc.AF_NETLINK, 0);
    libc.bind(this.fd, address);
    for (const group of groups) this.join(group);
  }

  join(group: number): void {
    libc.setsockopt(this.fd, libc.SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
  }

  /**
   * Gives what has been announced, in order, for a while. "lost": the buffer overran, so that anything may have happened
   * unheard; "more": there is more to read.
   */
  read(take: (message: EventMessage) => void): { readonly more: boolean; readonly lost: boolean } {
    let lost = false;
    for (let turn = 0; turn < LONGEST_TURN; turn++) {
      const length = libc.recv(this.fd, this.#received, RECEIVE_OCTETS, libc.MSG_DONTWAIT | libc.MSG_TRUNC);
      if (length === -EAGAIN) return { more: false, lost };
      if (length === -ENOBUFS || length > RECEIVE_OCTETS) lost = true;
      else if (length !== -EINTR) this.#parse(length, take);
    }
    return { more: true, lost };
  }

  #parse(length: number, take: (message: EventMessage) => void): void {
    if (length < 0) {
      const errno = errnoName(-length);
      throw new KernelError(`the kernel's events cannot be read: ${errno}`, { errno, command: "recv" });
    }
    for (const reply of parseReplies(this.#received.subarray(0, length))) if (reply.kind === "message") take(reply);
  }

  close(): void {
    libc.close(this.fd);
  }
}
