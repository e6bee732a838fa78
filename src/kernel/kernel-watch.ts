import type { DatapathNews } from "./datapath.ts";
import { DeletionWatch } from "./deletion-watch.ts";
import { DeviceKeeper } from "./device-keeper.ts";
import { DEVICE_GROUPS, decodeDeviceNews, ROUTE_GROUPS } from "./device-news.ts";
import { type EventMessage, EventSocket } from "./event-socket.ts";
import type { DeviceFollower, Inventory, MadeSession } from "./inventory.ts";
import type { KernelCalls } from "./kernel-operations.ts";
import { decodeL2tpNews, type L2tpFamily } from "./l2tp-genl.ts";
import { NETLINK_GENERIC, NETLINK_ROUTE } from "./netlink-messages.ts";

export interface KernelWatchPorts {
  readonly calls: KernelCalls;
  now(): number;
  tell(news: DatapathNews): void;
}

const RECONCILE_INTERVAL_MS = 60_000;

/**
 * What others do to tunnels, sessions and devices of ours. The kernel's announcements say so at once, except for a
 * tunnel whose socket was closed; once a minute, and when announcements were lost, the kernel itself is asked.
 */
export class KernelWatch implements DeviceFollower {
  readonly #ports: KernelWatchPorts;
  readonly #keeper: DeviceKeeper;
  readonly #links: EventSocket;
  #deletions: DeletionWatch | undefined;
  #l2tp: { readonly socket: EventSocket; readonly family: L2tpFamily } | undefined;
  #hearsRoutes = false;
  #reconcileAt: number;

  constructor(ports: KernelWatchPorts) {
    this.#ports = ports;
    this.#links = new EventSocket(NETLINK_ROUTE, DEVICE_GROUPS);
    this.#reconcileAt = ports.now() + RECONCILE_INTERVAL_MS;
    this.#keeper = new DeviceKeeper({
      links: (calls) => ports.calls.links(calls),
      now: () => ports.now(),
      lost: (localSessionId, reason) => this.#deviceLost(localSessionId, reason),
      port: (interfaceName, condition) => ports.tell({ type: "port", interfaceName, condition }),
      notice: (notice) => ports.tell({ type: "notice", notice }),
      listenToRoutes: () => this.#listenToRoutes(),
    });
  }

  /** Of what is ours. */
  watch(inventory: Inventory): void {
    this.#deletions = new DeletionWatch({
      inventory,
      calls: this.#ports.calls,
      now: () => this.#ports.now(),
      tell: (news) => {
        if (news.type === "session-lost") this.#keeper.removed(news.localSessionId);
        this.#ports.tell(news);
      },
    });
  }

  /** Only a kernel that has L2TP can tell of it. */
  listenTo(family: L2tpFamily): void {
    if (this.#l2tp !== undefined || family.eventGroup === undefined) return;
    this.#l2tp = { socket: new EventSocket(NETLINK_GENERIC, [family.eventGroup]), family };
  }

  /** Readable when there is something to `step` for. */
  descriptors(): readonly number[] {
    return this.#l2tp === undefined ? [this.#links.fd] : [this.#links.fd, this.#l2tp.socket.fd];
  }

  added(session: MadeSession): void {
    this.#keeper.added(session);
  }

  changed(session: MadeSession): void {
    this.#keeper.changed(session);
  }

  removed(localSessionId: number): void {
    this.#keeper.removed(localSessionId);
  }

  switched(localSessionId: number, up: boolean): void {
    this.#keeper.switched(localSessionId, up);
  }

  /** Takes what was announced and looks after it, for a while. Returns in how many milliseconds it wants to be called again. */
  step(): number {
    const l2tp = this.#l2tp?.socket.read((message) => this.#hear(message));
    // Before the device tells of the same.
    this.#deletions?.step();
    const links = this.#links.read((message) => {
      const news = decodeDeviceNews(message);
      if (news !== undefined) this.#keeper.take(news);
    });
    if (l2tp?.lost === true || links.lost || this.#ports.now() >= this.#reconcileAt) this.#reconcile();
    const wait = Math.min(this.#keeper.step(), this.#deletions?.step() ?? Number.POSITIVE_INFINITY);
    return l2tp?.more === true || links.more ? 0 : Math.min(wait, Math.max(0, this.#reconcileAt - this.#ports.now()));
  }

  close(): void {
    this.#links.close();
    this.#l2tp?.socket.close();
  }

  #listenToRoutes(): void {
    if (this.#hearsRoutes) return;
    this.#hearsRoutes = true;
    for (const group of ROUTE_GROUPS) this.#links.join(group);
  }

  #hear(message: EventMessage): void {
    const news = this.#l2tp === undefined ? undefined : decodeL2tpNews(this.#l2tp.family, message);
    if (news !== undefined) this.#deletions?.take(news);
  }

  #deviceLost(localSessionId: number, reason: string): void {
    const deletion = this.#deletions?.settle(localSessionId);
    this.#ports.tell({ type: "session-lost", localSessionId, reason: deletion ?? reason });
  }

  #reconcile(): void {
    this.#reconcileAt = this.#ports.now() + RECONCILE_INTERVAL_MS;
    this.#keeper.reconcile();
    this.#deletions?.reconcile();
  }
}
