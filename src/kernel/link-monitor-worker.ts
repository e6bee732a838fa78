import { constants } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { errnoName } from "./kernel-error.ts";
import * as libc from "./libc.ts";
import type { LinkMonitorMessage, LinkMonitorSetup } from "./link-monitor.ts";
import { LinkWatch } from "./link-watch.ts";
import { encodeRequests, type NetlinkReply, parseReplies } from "./netlink-messages.ts";
import { NewsThrottle } from "./news-throttle.ts";
import { SurroundingsWatch } from "./surroundings-watch.ts";

/** The thread of link-monitor.ts: it waits for the kernel's news of interfaces until the event descriptor ends it. */
const { EAGAIN, EINTR, ENOBUFS } = constants.errno;
/** A message about one interface: under 4 kB, but for those with many virtual functions. */
const RECEIVE_OCTETS = 256 * 1024;
/** Errors are not announced. A WEN is sent no more often than that (RFC 3931 6.13). */
const REFRESH_INTERVAL_MS = 60_000;
/** Datagrams: then it is looked whether to end. */
const LONGEST_TURN = 256;
/** struct pollfd. */
const POLL_OCTETS = 8;

const port = parentPort;
if (port === null) throw new Error("link-monitor-worker runs as a worker thread only");
const { names, socket, policySocket, eventFd, surroundings: setup }: LinkMonitorSetup = workerData;
const post = (message: LinkMonitorMessage) => port.postMessage(message);
const received = Buffer.allocUnsafeSlow(RECEIVE_OCTETS);
/** nl_pid of struct sockaddr_nl, which the kernel chose. */
const ownPort = libc.getsockname(socket).readUInt32LE(4);

const watch = new LinkWatch(names, {
  events: {
    condition: (name, condition) => post({ type: "condition", name, condition }),
    errors: (name, errors) => post({ type: "errors", name, errors }),
    ready: () => post({ type: "ready" }),
  },
  send(requests, sequence) {
    const datagram = encodeRequests(requests, sequence);
    const sent = libc.send(socket, datagram, datagram.length, 0);
    if (sent < 0) throw new Error(`RTM_GETLINK cannot be sent: ${errnoName(-sent)}`);
  },
});

const policies = new NewsThrottle(() => post({ type: "policies" }));
const surroundings = setup && new SurroundingsWatch(setup, () => post({ type: "surroundings" }));

/** The buffer was too small: news was lost, and everything is to be asked for once there is no more to read. */
let isLost = false;

/** Takes what there is, for a while. False: there is more. */
function takeNews(): boolean {
  for (let turn = 0; turn < LONGEST_TURN; turn++) {
    const length = libc.recv(socket, received, RECEIVE_OCTETS, libc.MSG_DONTWAIT | libc.MSG_TRUNC);
    if (length === -EAGAIN) return true;
    if (length === -EINTR) continue;
    if (length === -ENOBUFS || length > RECEIVE_OCTETS) isLost = true;
    else if (length < 0) throw new Error(`rtnetlink cannot be read: ${errnoName(-length)}`);
    else take(parseReplies(received.subarray(0, length)));
  }
  return false;
}

function take(replies: readonly NetlinkReply[]): void {
  watch.take(replies, ownPort);
  surroundings?.take(replies);
}

/** What it is does not matter: everything is looked at anew. Lost or broken, it is news too. */
function takePolicyNews(fd: number): void {
  for (;;) {
    const length = libc.recv(fd, received, RECEIVE_OCTETS, libc.MSG_DONTWAIT);
    if (length === -EAGAIN) return;
    policies.news();
    if (length < 0 && length !== -EINTR && length !== -ENOBUFS) {
      throw new Error(`news of IPsec policies cannot be read: ${errnoName(-length)}`);
    }
  }
}

function descriptors(fds: readonly number[]): Buffer {
  const polled = Buffer.alloc(fds.length * POLL_OCTETS);
  for (const [i, fd] of fds.entries()) {
    polled.writeInt32LE(fd, i * POLL_OCTETS);
    polled.writeInt16LE(libc.POLLIN, i * POLL_OCTETS + 4);
  }
  return polled;
}

function refresh(): void {
  if (isLost) surroundings?.lost();
  isLost = false;
  watch.refresh();
}

function run(): void {
  const polled = descriptors([eventFd, socket, ...(policySocket === undefined ? [] : [policySocket])]);
  const isEnded = () => polled.readInt16LE(6) !== 0;
  let refreshAt = performance.now();
  do {
    const isDrained = takeNews();
    if (policySocket !== undefined) takePolicyNews(policySocket);
    if (performance.now() >= refreshAt || (isLost && isDrained)) {
      refresh();
      refreshAt = performance.now() + REFRESH_INTERVAL_MS;
    }
    const now = performance.now();
    const settleAt = now + Math.min(policies.settle(now), surroundings?.settle(now) ?? Number.POSITIVE_INFINITY);
    const patience = isDrained ? Math.max(0, Math.ceil(Math.min(refreshAt, settleAt) - now)) : 0;
    polled.writeInt16LE(0, 6);
    libc.poll(polled, polled.length / POLL_OCTETS, patience);
  } while (!isEnded());
}

run();
