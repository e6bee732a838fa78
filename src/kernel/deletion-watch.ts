import type { DatapathNews } from "./datapath.ts";
import type { Inventory } from "./inventory.ts";
import type { KernelCalls } from "./kernel-operations.ts";
import type { L2tpNews } from "./l2tp-genl.ts";

export interface DeletionWatchPorts {
  /** Of what is ours. */
  readonly inventory: Inventory;
  readonly calls: Pick<KernelCalls, "l2tp">;
  /** Milliseconds, monotonic. */
  now(): number;
  tell(news: DatapathNews): void;
}

type TunnelNews = Extract<L2tpNews, { readonly type: "tunnel-deleted" }>;
type SessionNews = Extract<L2tpNews, { readonly type: "session-deleted" }>;

/** A session whose deletion was announced, ours or another's that looks the same. */
interface Suspicion {
  readonly connectionId: number;
  askAt: number;
  asked: number;
}

/** Linux 6.1 answers when it has deleted; from 6.12 on it deletes in the background, a moment later. */
const PAUSES_MS = [20, 100, 500] as const;

/**
 * Tunnels and sessions of ours that others delete. Every network namespace is told of those of all: what is ours has the
 * ids of both ends. Those may be typed in, the same in two namespaces; so a session is lost when the kernel has it no more.
 */
export class DeletionWatch {
  readonly #ports: DeletionWatchPorts;
  /** By local Session ID. */
  readonly #suspicions = new Map<number, Suspicion>();

  constructor(ports: DeletionWatchPorts) {
    this.#ports = ports;
  }

  take(news: L2tpNews): void {
    if (news.type === "tunnel-deleted") this.#tunnelDeleted(news);
    else this.#sessionDeleted(news);
  }

  /** The session is lost for another reason, maybe only by the look of it. Returns the reason if it was its deletion. */
  settle(localSessionId: number): string | undefined {
    return this.#suspicions.delete(localSessionId) ? reasonOf(localSessionId) : undefined;
  }

  /** Asks for sessions whose deletion was announced. Returns in how many milliseconds it wants to be called again. */
  step(): number {
    const now = this.#ports.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [id, suspicion] of this.#suspicions) {
      if (suspicion.askAt <= now) this.#ask(id, suspicion);
      if (this.#suspicions.has(id)) next = Math.min(next, suspicion.askAt);
    }
    return Math.max(0, next - now);
  }

  /** Asks for all tunnels. */
  reconcile(): void {
    for (const connectionId of this.#ports.inventory.tunnels()) {
      if (this.#isTunnelGone(connectionId)) this.#loseTunnel(connectionId);
    }
  }

  #tunnelDeleted({ connectionId, peerConnectionId }: TunnelNews): void {
    if (this.#ports.inventory.remoteIdOf(connectionId) !== peerConnectionId) return;
    // The kernel has not taken it away yet, and may need long for that.
    if (connectionId !== peerConnectionId || this.#isTunnelGone(connectionId)) this.#loseTunnel(connectionId);
  }

  #sessionDeleted({ connectionId, peerConnectionId, sessionId, peerSessionId }: SessionNews): void {
    const session = this.#ports.inventory.session(sessionId);
    if (session?.localControlConnectionId !== connectionId || session.remoteSessionId !== peerSessionId) return;
    if (this.#ports.inventory.remoteIdOf(connectionId) !== peerConnectionId) return;
    this.#suspicions.set(sessionId, { connectionId, askAt: this.#ports.now(), asked: 0 });
  }

  #ask(sessionId: number, suspicion: Suspicion): void {
    const { connectionId, asked } = suspicion;
    const session = this.#ports.inventory.session(sessionId);
    const isOurs = session?.localControlConnectionId === connectionId;
    if (isOurs && this.#isSessionGone(connectionId, sessionId)) {
      this.#suspicions.delete(sessionId);
      this.#ports.tell({ type: "session-lost", localSessionId: sessionId, reason: reasonOf(sessionId) });
      return;
    }
    const pause = PAUSES_MS[asked];
    // Should it be on its way out all the same its device will tell.
    if (!isOurs || pause === undefined) this.#suspicions.delete(sessionId);
    else Object.assign(suspicion, { asked: asked + 1, askAt: this.#ports.now() + pause });
  }

  #isSessionGone(connectionId: number, sessionId: number): boolean {
    const attributes = { connectionId, sessionId };
    return this.#ports.calls.l2tp([{ command: "L2TP_CMD_SESSION_GET", attributes }])[0]?.errno === "ENODEV";
  }

  #isTunnelGone(connectionId: number): boolean {
    const attributes = { connectionId };
    return this.#ports.calls.l2tp([{ command: "L2TP_CMD_TUNNEL_GET", attributes }])[0]?.errno === "ENODEV";
  }

  #loseTunnel(localControlConnectionId: number): void {
    this.#ports.inventory.removeTunnel(localControlConnectionId);
    const reason = `someone deleted tunnel ${localControlConnectionId} in the kernel`;
    this.#ports.tell({ type: "tunnel-lost", localControlConnectionId, reason });
  }
}

function reasonOf(sessionId: number): string {
  return `someone deleted session ${sessionId} in the kernel`;
}
