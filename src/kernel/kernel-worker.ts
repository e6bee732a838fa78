import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import type { DatapathNews } from "./datapath.ts";
import { Pulse } from "./heartbeat.ts";
import type { KernelCalls } from "./kernel-operations.ts";
import type { KernelThreadMessage, KernelThreadSetup } from "./kernel-thread.ts";
import { KernelWatch } from "./kernel-watch.ts";
import { callL2tp, L2TP_FAMILY_NAME, type L2tpFamily, resolveFamily } from "./l2tp-genl.ts";
import { removeLeftovers } from "./leftovers.ts";
import { close, POLLIN, poll, read } from "./libc.ts";
import { callLinks, decodeLink, linkDump } from "./links.ts";
import { NETLINK_GENERIC, NETLINK_ROUTE, type NetlinkRequest } from "./netlink-messages.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import { enterNamespace } from "./netns.ts";
import { OperationQueue } from "./operation-queue.ts";
import type { Completion, Job } from "./operations.ts";

/** The thread that talks to the kernel: jobs come in as messages, completions go out, and calls may block in between. */
const port = parentPort;
if (port === null) throw new Error("kernel-worker runs as a worker thread only");

/** struct pollfd. */
const POLL_OCTETS = 8;
const setup: KernelThreadSetup = workerData;
const pulse = new Pulse(setup.heartbeat);
const wakeUps = Buffer.alloc(8);
// Before any socket is made.
enterNamespace(setup.netns);
const generic = new NetlinkSocket(NETLINK_GENERIC);
const route = new NetlinkSocket(NETLINK_ROUTE);
const exchange = (requests: readonly NetlinkRequest[]) => generic.exchange(requests);
let family: L2tpFamily | undefined;

const calls: KernelCalls = {
  l2tp(l2tpCalls) {
    family ??= resolveFamily(exchange, L2TP_FAMILY_NAME);
    if (family === undefined) return l2tpCalls.map(() => ({ errno: "ENOSYS", extendedAck: "", found: [] }));
    watch.listenTo(family);
    return callL2tp(exchange, family.id, l2tpCalls);
  },
  links: (linkCalls) => callLinks((requests) => route.exchange(requests), linkCalls),
};

let completions: Completion[] = [];
let news: DatapathNews[] = [];
const now = () => performance.now();
const watch = new KernelWatch({ calls, now, tell: (each) => news.push(each) });
const queue = new OperationQueue({
  calls,
  now,
  complete: (completion) => completions.push(completion),
  closeDescriptor: close,
  devices: watch,
});
watch.watch(queue.inventory);

function takeJobs(): void {
  read(setup.eventFd, wakeUps, wakeUps.length);
  for (;;) {
    const next: { message: readonly Job[] } | undefined = receiveMessageOnPort(port as NonNullable<typeof port>);
    if (next === undefined) return;
    queue.push(next.message);
  }
}

/** Waits for jobs, for announcements, or for the time to come. */
function wait(delayMs: number): void {
  const descriptors = [setup.eventFd, ...watch.descriptors()];
  const polled = Buffer.alloc(descriptors.length * POLL_OCTETS);
  for (const [i, fd] of descriptors.entries()) {
    polled.writeInt32LE(fd, i * POLL_OCTETS);
    polled.writeInt16LE(POLLIN, i * POLL_OCTETS + 4);
  }
  poll(polled, descriptors.length, Math.ceil(delayMs));
}

/** What a process of ours left behind when it was killed. */
function sweep(): void {
  const [links] = route.exchange([linkDump()]);
  for (const name of removeLeftovers(calls, (links?.messages ?? []).map(decodeLink), setup.adopted))
    queue.inventory.markLeftover(name);
}

function run(): void {
  sweep();
  while (!queue.closed && pulse.beat()) {
    takeJobs();
    const delayMs = queue.step() ?? Number.POSITIVE_INFINITY;
    const watchDelayMs = watch.step();
    const message: KernelThreadMessage = { completions, news };
    if (completions.length + news.length > 0) port?.postMessage(message);
    completions = [];
    news = [];
    if (!queue.closed) wait(Math.min(delayMs, watchDelayMs));
  }
}

try {
  run();
} finally {
  watch.close();
  generic.close();
  route.close();
}
