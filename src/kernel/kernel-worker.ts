import { parentPort } from "node:worker_threads";
import type { KernelCalls } from "./kernel-operations.ts";
import { callL2tp, L2TP_FAMILY_NAME, resolveFamily } from "./l2tp-genl.ts";
import { close } from "./libc.ts";
import { callLinks } from "./links.ts";
import { NETLINK_GENERIC, NETLINK_ROUTE, type NetlinkRequest } from "./netlink-messages.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import { OperationQueue } from "./operation-queue.ts";
import type { Completion, Job } from "./operations.ts";

/** The thread that talks to the kernel: jobs come in as messages, completions go out, and calls may block in between. */
const port = parentPort;
if (port === null) throw new Error("kernel-worker runs as a worker thread only");

const generic = new NetlinkSocket(NETLINK_GENERIC);
const route = new NetlinkSocket(NETLINK_ROUTE);
const exchange = (requests: readonly NetlinkRequest[]) => generic.exchange(requests);
let family: number | undefined;

const calls: KernelCalls = {
  l2tp(l2tpCalls) {
    family ??= resolveFamily(exchange, L2TP_FAMILY_NAME);
    if (family !== undefined) return callL2tp(exchange, family, l2tpCalls);
    return l2tpCalls.map(() => ({ errno: "ENOSYS", extendedAck: "", found: [] }));
  },
  links: (linkCalls) => callLinks((requests) => route.exchange(requests), linkCalls),
};

let completions: Completion[] = [];
let isDue = false;
let timer: NodeJS.Timeout | undefined;
const queue = new OperationQueue({
  calls,
  now: () => performance.now(),
  complete: (completion) => completions.push(completion),
  closeDescriptor: close,
});

function work(): void {
  isDue = false;
  clearTimeout(timer);
  const delayMs = queue.step();
  if (completions.length > 0) port?.postMessage(completions);
  completions = [];
  if (queue.closed) end();
  else if (delayMs === 0) workSoon();
  else if (delayMs !== undefined) timer = setTimeout(work, delayMs);
}

function workSoon(): void {
  if (!isDue) setImmediate(work);
  isDue = true;
}

/** The thread ends by itself when nothing is left to wait for. */
function end(): void {
  generic.close();
  route.close();
  port?.close();
}

port.on("message", (jobs: readonly Job[]) => {
  queue.push(jobs);
  workSoon();
});
