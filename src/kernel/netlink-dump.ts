import { constants } from "node:os";
import { errnoName, KernelError } from "./kernel-error.ts";
import * as libc from "./libc.ts";
import { encodeRequests, type NetlinkReply, parseReplies } from "./netlink-messages.ts";

const NLM_F_DUMP = 0x300;
const NLMSG_DONE = 3;
const RECEIVE_OCTETS = 64 * 1024;

export type DumpedMessage = Extract<NetlinkReply, { readonly kind: "message" }>;

/**
 * Everything of a kind that the kernel has, over a socket for this question alone. `protocol`: of netlink; `payload`: what
 * follows the netlink header. Throws a `KernelError`.
 */
export function dump(protocol: number, type: number, payload: Uint8Array): DumpedMessage[] {
  const fd = libc.socket(libc.AF_NETLINK, libc.SOCK_RAW, protocol);
  try {
    const datagram = encodeRequests([{ type, flags: NLM_F_DUMP, payload: [payload] }], 1);
    counted("send", libc.send(fd, datagram, datagram.length, 0));
    return receiveAll(fd);
  } finally {
    libc.close(fd);
  }
}

function receiveAll(fd: number): DumpedMessage[] {
  const messages: DumpedMessage[] = [];
  const received = Buffer.allocUnsafe(RECEIVE_OCTETS);
  for (let isOver = false; !isOver; ) {
    const length = libc.recv(fd, received, received.length, 0);
    if (length === -constants.errno.EINTR) continue;
    counted("recv", length);
    isOver = take(parseReplies(received.subarray(0, length)), messages);
  }
  return messages;
}

/** True: that was the last of them. */
function take(replies: readonly NetlinkReply[], messages: DumpedMessage[]): boolean {
  for (const reply of replies) {
    if (reply.kind === "end") counted("dump", -reply.errno);
    if (reply.kind === "end" || reply.type === NLMSG_DONE) return true;
    messages.push(reply);
  }
  return false;
}

function counted(command: string, result: number): void {
  if (result >= 0) return;
  const errno = errnoName(-result);
  throw new KernelError(`the kernel's list cannot be read: ${errno}`, { errno, command });
}
