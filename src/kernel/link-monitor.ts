import { closeSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { KernelError } from "./kernel-error.ts";
import * as libc from "./libc.ts";
import type { LinkCondition, LinkErrors } from "./link-news.ts";
import type { LinkWatchEvents } from "./link-watch.ts";
import { NETLINK_ROUTE } from "./netlink-messages.ts";
import { inNamespace } from "./netns.ts";
import { SURROUNDINGS_GROUPS, type SurroundingsSetup } from "./surroundings-watch.ts";
import { NETLINK_XFRM } from "./xfrm-layout.ts";

export interface LinkMonitorEvents extends Pick<LinkWatchEvents, "condition" | "errors"> {
  /** An address, a route or an awaited interface has come or gone; told only where they are watched. */
  surroundings?(): void;
  /** An IPsec policy has come or gone; told only where they are watched. */
  policies?(): void;
  /** Nothing more will be told. */
  failed(reason: string): void;
}

export interface LinkMonitorSetup {
  readonly names: readonly string[];
  /** A netlink socket that hears of all interfaces. */
  readonly socket: number;
  /** One that hears of IPsec policies. */
  readonly policySocket: number | undefined;
  readonly eventFd: number;
  readonly surroundings: SurroundingsSetup | undefined;
}

export type LinkMonitorMessage =
  | { readonly type: "condition"; readonly name: string; readonly condition: LinkCondition }
  | { readonly type: "errors"; readonly name: string; readonly errors: LinkErrors }
  | { readonly type: "surroundings" }
  | { readonly type: "policies" }
  | { readonly type: "ready" };

const RTMGRP_LINK = 1;
/** XFRMNLGRP_POLICY, the fourth group, as a bit. */
const XFRMGRP_POLICY = 8;
/** struct sockaddr_nl. */
const NETLINK_ADDRESS_OCTETS = 12;
/** News of a few hundred interfaces at once; what does not fit is asked for. */
const RECEIVE_BUFFER_OCTETS = 1024 * 1024;
/** The eight octets of a one, whatever the order of octets. */
const WAKE_UP = new Uint8Array(BigUint64Array.of(1n).buffer);

/**
 * Follows network interfaces by their names: whether they are up and have a carrier, and what errors they count. A thread
 * waits for the kernel's news, because Node itself cannot wait for a netlink socket. They are those of the network
 * namespace that the socket was made in.
 */
export class LinkMonitor {
  readonly #sockets: readonly number[];
  readonly #eventFd = libc.eventfd(0, libc.SOCK_NONBLOCK);
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #ready: Promise<void>;
  #closing = false;
  #hasEnded = false;

  /** Throws a `KernelError` where rtnetlink cannot be had. It runs from the built package only. */
  constructor(names: readonly string[], events: LinkMonitorEvents, surroundings?: SurroundingsSetup, netns?: string) {
    const groups = surroundings === undefined ? RTMGRP_LINK : RTMGRP_LINK | SURROUNDINGS_GROUPS;
    const socket = inNamespace(netns, () => openSocket(NETLINK_ROUTE, groups));
    const policySocket = surroundings?.policies ? inNamespace(netns, openPolicySocket) : undefined;
    this.#sockets = [socket, policySocket].filter((fd) => fd !== undefined);
    const workerData: LinkMonitorSetup = { names, socket, policySocket, eventFd: this.#eventFd, surroundings };
    this.#worker = new Worker(new URL("./link-monitor-worker.js", import.meta.url), {
      name: "links",
      workerData,
      resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 },
    });
    let failure: string | undefined;
    const fail = (reason: string) => {
      if (failure !== undefined || this.#closing) return;
      failure = `the thread that follows interfaces failed: ${reason}`;
      events.failed(failure);
    };
    this.#worker.on("error", (error) => fail(error.message));
    this.#ready = new Promise((resolve) => {
      this.#worker.on("message", (message: LinkMonitorMessage) => {
        if (message.type === "ready") resolve();
        else if (!this.#closing) tell(events, message);
      });
    });
    this.#ended = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        process.off("exit", this.#interrupt);
        this.#hasEnded = true;
        for (const fd of [...this.#sockets, this.#eventFd]) closeSync(fd);
        fail("it has ended");
        resolve();
      });
    });
    // Without this `process.exit` would wait until the thread's poll returns.
    process.on("exit", this.#interrupt);
  }

  /** Resolves when everything that differs from "up" at the start has been told, or when the thread has failed. */
  ready(): Promise<void> {
    return Promise.race([this.#ready, this.#ended]);
  }

  /** Resolves when the thread is gone. Nothing is told meanwhile. */
  async close(): Promise<void> {
    // Its descriptors are closed when it ends, and their numbers maybe somebody else's.
    if (!this.#closing && !this.#hasEnded) this.#interrupt();
    this.#closing = true;
    await this.#ended;
  }

  readonly #interrupt = (): void => {
    writeSync(this.#eventFd, WAKE_UP);
  };
}

function tell(events: LinkMonitorEvents, message: Exclude<LinkMonitorMessage, { readonly type: "ready" }>): void {
  if (message.type === "surroundings") events.surroundings?.();
  else if (message.type === "policies") events.policies?.();
  else if (message.type === "condition") events.condition(message.name, message.condition);
  else events.errors(message.name, message.errors);
}

/** `undefined`: the kernel has no IPsec, or does not tell us; asking it then fails as well, and says so. */
function openPolicySocket(): number | undefined {
  try {
    return openSocket(NETLINK_XFRM, XFRMGRP_POLICY);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

function openSocket(protocol: number, groups: number): number {
  const fd = libc.socket(libc.AF_NETLINK, libc.SOCK_RAW | libc.SOCK_NONBLOCK, protocol);
  try {
    const address = Buffer.alloc(NETLINK_ADDRESS_OCTETS);
    address.writeUInt16LE(libc.AF_NETLINK, 0);
    address.writeUInt32LE(groups, 8);
    libc.bind(fd, address);
    setReceiveBuffer(fd);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function setReceiveBuffer(fd: number): void {
  try {
    libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_RCVBUFFORCE, RECEIVE_BUFFER_OCTETS);
  } catch {
    // Needs CAP_NET_ADMIN. With less room, more often everything is asked for anew.
  }
}
