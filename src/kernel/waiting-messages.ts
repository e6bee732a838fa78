import { constants } from "node:os";
import { controlLength, datagramKind } from "./data-header.ts";
import { ReceiveBatch, SOL_UDP, UDP_GRO } from "./datagram-batch.ts";
import { setIfPossible } from "./sockets.ts";

const PIECES_PER_CALL = 4;
const batch = new ReceiveBatch(PIECES_PER_CALL);

/**
 * Takes the control messages that wait in a connected socket, at most `most` pieces, for a reader that expects one
 * datagram at a time; data is dropped. Where the socket has or had UDP_GRO a piece may hold several datagrams. That is
 * switched off here, but only after the reading, because while it is on the kernel tells their length; a piece that slips
 * in between is cut by the length that control messages carry (RFC 3931 3.2.1).
 */
export function waitingControlMessages(fd: number, most: number): Uint8Array[] {
  const messages: Uint8Array[] = [];
  setIfPossible(fd, SOL_UDP, UDP_GRO, 1);
  const left = receiveAll(fd, most, messages, false);
  setIfPossible(fd, SOL_UDP, UDP_GRO, 0);
  receiveAll(fd, left, messages, true);
  return messages;
}

/** Returns how many pieces more may be received. */
function receiveAll(fd: number, most: number, messages: Uint8Array[], cut: boolean): number {
  let left = most;
  while (left > 0) {
    const count = batch.receive(fd);
    if (count === -constants.errno.EAGAIN) return left;
    // Other errors are ICMP answers to what was sent, gone by having been read.
    left -= Math.max(count, 1);
    for (let index = 0; index < count; index++) {
      const start = batch.start(index);
      takeMessages(start, start + batch.length(index), cut ? 0 : batch.segmentLength(index), messages);
    }
  }
  return left;
}

/** `segmentLength` 0: as long as each message says. */
function takeMessages(start: number, end: number, segmentLength: number, messages: Uint8Array[]): void {
  const { octets } = batch;
  for (let at = start; at < end; ) {
    const isControl = datagramKind(octets, at, end) === "control";
    const length = segmentLength > 0 ? segmentLength : isControl ? controlLength(octets, at, end) : end - at;
    const next = Math.min(at + length, end);
    if (datagramKind(octets, at, next) === "control") messages.push(octets.slice(at, next));
    at = next;
  }
}
