import { constants } from "node:os";
import { errnoName } from "./kernel-error.ts";
import * as libc from "./libc.ts";
import {
  encodeRequests,
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  type NetlinkReply,
  type NetlinkRequest,
  NLM_F_ACK,
  parseReplies,
} from "./netlink-messages.ts";

/** What became of one request. */
export interface NetlinkAnswer {
  /** "": done; else "EEXIST". */
  readonly errno: string;
  /** The kernel's own words, where it has some. */
  readonly extendedAck: string;
  /** The bodies of all messages that came back. */
  readonly messages: readonly Buffer[];
  /** The socket failed before the answer came: the request may have been carried out or not. */
  readonly isUnknown?: true;
}

/** Requests are sent this many at a time: their answers fit any receive buffer many times over. */
export const MAX_IN_FLIGHT = 64;
/** Far above what the kernel says about one link or session. */
const RECEIVE_OCTETS = 32 * 1024;
const RECEIVE_BUFFER_OCTETS = 1024 * 1024;
const ANSWER_TIMEOUT_MS = 10_000;
/** Sequence numbers have 32 bits; a batch never wraps. */
const MAX_SEQUENCE = 0xffff_0000;

interface Exchange {
  errno: string;
  extendedAck: string;
  readonly messages: Buffer[];
  isAnswered: boolean;
}

interface Batch {
  readonly exchanges: readonly Exchange[];
  readonly firstSequence: number;
}

/** A synchronous netlink socket: the kernel works on a request inside `send`, so its answer is there when it returns. */
export class NetlinkSocket {
  readonly #fd: number;
  readonly #received = Buffer.allocUnsafeSlow(RECEIVE_OCTETS);
  readonly #recv: typeof libc.recv;
  #sequence = 1;

  /** `protocol`: NETLINK_GENERIC or NETLINK_ROUTE. Errors: KernelError. */
  constructor(protocol: number, recv: typeof libc.recv = libc.recv) {
    this.#recv = recv;
    this.#fd = libc.socket(libc.AF_NETLINK, libc.SOCK_RAW, protocol);
    libc.setsockopt(this.#fd, libc.SOL_NETLINK, NETLINK_CAP_ACK, 1);
    libc.setsockopt(this.#fd, libc.SOL_NETLINK, NETLINK_EXT_ACK, 1);
    try {
      libc.setsockopt(this.#fd, libc.SOL_SOCKET, libc.SO_RCVBUFFORCE, RECEIVE_BUFFER_OCTETS);
    } catch {
      // Needs CAP_NET_ADMIN. The default of 208 kB holds the answers to MAX_IN_FLIGHT requests too.
    }
  }

  /**
   * Sends all requests, in their order, many in one system call, and returns an answer to each, in the same order. Where
   * the socket itself fails, its error is the answer to what was not answered yet.
   */
  exchange(requests: readonly NetlinkRequest[]): NetlinkAnswer[] {
    const answers: NetlinkAnswer[] = [];
    for (let first = 0; first < requests.length; first += MAX_IN_FLIGHT) {
      answers.push(...this.#exchangeBatch(requests.slice(first, first + MAX_IN_FLIGHT)));
    }
    return answers;
  }

  close(): void {
    libc.close(this.#fd);
  }

  #exchangeBatch(requests: readonly NetlinkRequest[]): NetlinkAnswer[] {
    const exchanges = requests.map((): Exchange => ({ errno: "", extendedAck: "", messages: [], isAnswered: false }));
    // Each is acknowledged, so that should receiving fail it is known which were carried out.
    const datagram = encodeRequests(
      requests.map((request) => ({ ...request, flags: request.flags | NLM_F_ACK })),
      this.#sequence,
    );
    const batch = { exchanges, firstSequence: this.#sequence };
    this.#sequence = (this.#sequence + requests.length) % MAX_SEQUENCE;
    const sent = libc.send(this.#fd, datagram, datagram.length, 0);
    if (sent < 0) return exchanges.map(({ messages }) => ({ errno: errnoName(-sent), extendedAck: "", messages }));
    let result = 0;
    // The kernel works in order: the last answer is that to the last request.
    while (result >= 0 && exchanges.at(-1)?.isAnswered === false) result = this.#receive(batch);
    return exchanges.map(({ isAnswered, errno, extendedAck, messages }) =>
      isAnswered
        ? { errno, extendedAck, messages }
        : { errno: errnoName(-result), extendedAck: "", messages, isUnknown: true },
    );
  }

  /** 0, or a negative error number. */
  #receive(batch: Batch): number {
    const length = this.#recv(this.#fd, this.#received, RECEIVE_OCTETS, libc.MSG_DONTWAIT | libc.MSG_TRUNC);
    if (length === -constants.errno.EINTR) return 0;
    if (length === -constants.errno.EAGAIN) return this.#awaitAnswer();
    if (length < 0) return length;
    if (length > RECEIVE_OCTETS) return -constants.errno.EMSGSIZE;
    for (const reply of parseReplies(this.#received.subarray(0, length))) take(batch, reply);
    return 0;
  }

  #awaitAnswer(): number {
    const descriptor = Buffer.alloc(8);
    descriptor.writeInt32LE(this.#fd, 0);
    descriptor.writeInt16LE(libc.POLLIN, 4);
    const ready = libc.poll(descriptor, 1, ANSWER_TIMEOUT_MS);
    if (ready === 0) return -constants.errno.ETIMEDOUT;
    return ready > 0 || ready === -constants.errno.EINTR ? 0 : ready;
  }
}

/** What belongs to no request of this batch is a remnant of one that failed half-way. */
function take(batch: Batch, reply: NetlinkReply): void {
  const exchange = batch.exchanges[reply.sequence - batch.firstSequence];
  if (exchange === undefined) return;
  if (reply.kind === "message") {
    exchange.messages.push(reply.octets);
    return;
  }
  exchange.errno = reply.errno === 0 ? "" : errnoName(reply.errno);
  exchange.extendedAck = reply.extendedAck;
  exchange.isAnswered = true;
}
