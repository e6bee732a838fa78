import { constants } from "node:os";
import { addressOf, MSG_DONTWAIT, recvmmsg, sendmmsg } from "./libc.ts";

/**
 * Many datagrams of one connected UDP socket per system call: recvmmsg and sendmmsg over structures that are built once,
 * with the kernel's own coalescing where it has it: UDP_GRO hands over equally long datagrams in one piece, UDP_SEGMENT
 * takes them so. On the wire each is a datagram of its own. Nothing is allocated per datagram.
 *
 * Layouts are those of 64-bit Linux; word offsets count 4 octets.
 */
const MMSGHDR_WORDS = 16;
const IOVEC_POINTER = 4;
const IOVEC_COUNT = 6;
const CONTROL_POINTER = 8;
const CONTROL_LENGTH = 10;
const MESSAGE_LENGTH = 14;
const IOVEC_WORDS = 4;
/** struct cmsghdr with one small value: size_t length, int level, int type, the value, padding. */
const CMSG_WORDS = 6;
const CMSG_OCTETS = CMSG_WORDS * 4;
export const SOL_UDP = 17;
const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

const WORD = 2 ** 32;
const LARGEST_DATAGRAM = 65_536;
/** The kernel refuses more segments (UDP_MAX_SEGMENTS before Linux 6.9) or more than an IPv4 datagram holds. */
const MOST_SEGMENTS = 64;
const LARGEST_RUN = 65_000;

function putPointer(words: Uint32Array, index: number, address: number): void {
  words[index] = address % WORD;
  words[index + 1] = Math.floor(address / WORD);
}

/** The address as a number: user space ends below 2^47. */
function numericAddress(octets: Uint8Array): number {
  return Number(addressOf(octets));
}

/** The headers of `count` messages, each with one iovec and room for one control value. */
class MessageTable {
  readonly words: Uint32Array;
  readonly iovecs: Uint32Array;
  readonly controls: Uint32Array;
  readonly octets: Uint8Array;

  constructor(count: number) {
    this.words = new Uint32Array(count * MMSGHDR_WORDS);
    this.iovecs = new Uint32Array(count * IOVEC_WORDS);
    this.controls = new Uint32Array(count * CMSG_WORDS);
    this.octets = new Uint8Array(this.words.buffer);
    const iovecs = numericAddress(new Uint8Array(this.iovecs.buffer));
    const controls = numericAddress(new Uint8Array(this.controls.buffer));
    for (let index = 0; index < count; index++) {
      const header = index * MMSGHDR_WORDS;
      putPointer(this.words, header + IOVEC_POINTER, iovecs + index * IOVEC_WORDS * 4);
      this.words[header + IOVEC_COUNT] = 1;
      putPointer(this.words, header + CONTROL_POINTER, controls + index * CMSG_OCTETS);
    }
  }

  setControlLength(index: number, octets: number): void {
    this.words[index * MMSGHDR_WORDS + CONTROL_LENGTH] = octets;
  }

  setPayload(index: number, address: number, length: number): void {
    putPointer(this.iovecs, index * IOVEC_WORDS, address);
    this.iovecs[index * IOVEC_WORDS + 2] = length;
  }
}

/** Datagrams as they come in. What was received stays valid until the next `receive`. */
export class ReceiveBatch {
  /** A stride that is no power of two: the slots' first octets would all compete for the same cache lines. */
  static readonly #STRIDE = LARGEST_DATAGRAM + 640;
  readonly octets: Uint8Array;
  readonly address: number;
  readonly #table: MessageTable;
  readonly #size: number;
  #used: number;

  constructor(size: number) {
    this.octets = new Uint8Array(new ArrayBuffer(size * ReceiveBatch.#STRIDE));
    this.address = numericAddress(this.octets);
    this.#table = new MessageTable(size);
    this.#size = size;
    this.#used = size;
    for (let index = 0; index < size; index++) {
      this.#table.setPayload(index, this.address + index * ReceiveBatch.#STRIDE, LARGEST_DATAGRAM);
    }
  }

  /** How many pieces came without waiting, or the negative error number. */
  receive(fd: number): number {
    // The kernel wrote over the lengths of those it used the last time.
    for (let index = 0; index < this.#used; index++) this.#table.setControlLength(index, CMSG_OCTETS);
    const count = recvmmsg(fd, this.#table.octets, this.#size, MSG_DONTWAIT);
    this.#used = Math.max(count, 1);
    return count;
  }

  /** Where the piece begins in `octets`. */
  start(index: number): number {
    return index * ReceiveBatch.#STRIDE;
  }

  length(index: number): number {
    return this.#table.words[index * MMSGHDR_WORDS + MESSAGE_LENGTH] as number;
  }

  /** The length of each datagram of the piece; the last may be shorter. */
  segmentLength(index: number): number {
    if ((this.#table.words[index * MMSGHDR_WORDS + CONTROL_LENGTH] as number) < CMSG_OCTETS) return this.length(index);
    const control = index * CMSG_WORDS;
    const { controls } = this.#table;
    if (controls[control + 2] !== SOL_UDP || controls[control + 3] !== UDP_GRO) return this.length(index);
    return Math.max(controls[control + 4] as number, 1);
  }
}

/** A connected socket, and the longest datagram that it takes in runs: lowered for good when the kernel refuses one. */
export interface SendTarget {
  readonly fd: number;
  longestSegment: number;
}

const { EINVAL, EMSGSIZE, EIO, EOPNOTSUPP, ENOPROTOOPT, EAGAIN, EINTR } = constants.errno;
/** Answers to UDP_SEGMENT where the route or the device cannot: the datagrams go one by one. */
const SEGMENTATION_REFUSALS: ReadonlySet<number> = new Set([EINVAL, EMSGSIZE, EIO, EOPNOTSUPP, ENOPROTOOPT]);

/** Datagrams on their way out, packed one behind the other. */
export class SendBatch {
  readonly octets: Uint8Array;
  readonly address: number;
  /** Where the next datagram begins. */
  position = 0;
  /** How many were appended. */
  datagrams = 0;
  /** Of the last flush: what the socket did not take. */
  failedDatagrams = 0;
  failedOctets = 0;
  readonly #table: MessageTable;
  readonly #segments: Uint16Array;
  readonly #segmentLengths: Uint16Array;
  readonly #starts: Uint32Array;
  #count = 0;
  #runOpen = false;
  #target: SendTarget | undefined;

  constructor(datagrams: number, octets: number) {
    this.octets = new Uint8Array(new ArrayBuffer(octets));
    this.address = numericAddress(this.octets);
    this.#table = new MessageTable(datagrams);
    this.#segments = new Uint16Array(datagrams);
    this.#segmentLengths = new Uint16Array(datagrams);
    this.#starts = new Uint32Array(datagrams);
    const { controls } = this.#table;
    for (let index = 0; index < datagrams; index++) {
      const control = index * CMSG_WORDS;
      controls[control] = 16 + 2;
      controls[control + 2] = SOL_UDP;
      controls[control + 3] = UDP_SEGMENT;
    }
  }

  begin(target: SendTarget): void {
    this.#target = target;
    this.#count = 0;
    this.#runOpen = false;
    this.position = 0;
    this.datagrams = 0;
  }

  /** Makes the next `length` octets, already written at `position`, a datagram. */
  append(length: number): void {
    this.datagrams++;
    if (this.#runOpen && this.#extendRun(length)) return;
    const index = this.#count++;
    this.#starts[index] = this.position;
    this.#segments[index] = 1;
    this.#segmentLengths[index] = length;
    this.#table.setPayload(index, this.address + this.position, length);
    this.#table.setControlLength(index, 0);
    this.#runOpen = length <= (this.#target as SendTarget).longestSegment;
    this.position += length;
  }

  #extendRun(length: number): boolean {
    const index = this.#count - 1;
    const segmentLength = this.#segmentLengths[index] as number;
    const total = this.position - (this.#starts[index] as number) + length;
    if (length > segmentLength || total > LARGEST_RUN) return false;
    const segments = (this.#segments[index] as number) + 1;
    this.#segments[index] = segments;
    this.#table.iovecs[index * IOVEC_WORDS + 2] = total;
    this.#table.setControlLength(index, CMSG_OCTETS);
    this.#table.controls[index * CMSG_WORDS + 4] = segmentLength;
    // A run ends with its only short datagram.
    this.#runOpen = length === segmentLength && segments < MOST_SEGMENTS;
    this.position += length;
    return true;
  }

  /** Sends all of it without waiting; `failedDatagrams` and `failedOctets` tell what was not taken. */
  flush(): void {
    this.failedDatagrams = 0;
    this.failedOctets = 0;
    const target = this.#target as SendTarget;
    let index = 0;
    let retries = 2;
    while (index < this.#count) {
      const result = this.#send(target.fd, index, this.#count - index);
      if (result > 0) {
        index += result;
      } else if (this.#worthRetrying(-result) && retries > 0) {
        retries--;
      } else {
        this.#settle(index, -result, target);
        index++;
      }
    }
  }

  /** ICMP answers to earlier datagrams are reported instead of sending this one, once each. */
  #worthRetrying(errno: number): boolean {
    return errno !== EAGAIN && !SEGMENTATION_REFUSALS.has(errno);
  }

  #settle(index: number, errno: number, target: SendTarget): void {
    const segments = this.#segments[index] as number;
    const start = this.#starts[index] as number;
    const total = this.#table.iovecs[index * IOVEC_WORDS + 2] as number;
    if (segments === 1 || !SEGMENTATION_REFUSALS.has(errno)) {
      this.failedDatagrams += segments;
      this.failedOctets += total;
      return;
    }
    const segmentLength = this.#segmentLengths[index] as number;
    target.longestSegment = errno === EINVAL || errno === EMSGSIZE ? segmentLength - 1 : 0;
    this.#table.setControlLength(index, 0);
    for (let offset = 0; offset < total; offset += segmentLength) {
      const length = Math.min(segmentLength, total - offset);
      this.#table.setPayload(index, this.address + start + offset, length);
      if (this.#send(target.fd, index, 1) > 0) continue;
      this.failedDatagrams++;
      this.failedOctets += length;
    }
  }

  #send(fd: number, index: number, count: number): number {
    const { octets } = this.#table;
    const headers = index === 0 ? octets : octets.subarray(index * MMSGHDR_WORDS * 4);
    const result = sendmmsg(fd, headers, count, MSG_DONTWAIT);
    return result === -EINTR ? this.#send(fd, index, count) : result;
  }
}
