import type {
  LcceConfiguration,
  SessionConfiguration,
  TunnelConfiguration,
} from "../../../src/control/configuration.ts";
import { A, B, lcce, session, tunnel } from "../sites.ts";
import { LATENCY_MS, SeededEntropy, VirtualLink, type VirtualNode } from "../virtual-link.ts";
import {
  type Action,
  type OfBoth,
  RETRANSMIT,
  SECURITY,
  type SessionPlan,
  type Site,
  STRANGERS,
  type WalkPlan,
} from "./plan.ts";

/** Both sites call their only tunnel so. */
export const TUNNEL = "t";

const ADDRESSES: OfBoth<string> = [A, B];
const HOSTS: OfBoth<string> = ["site-a", "site-b"];
const DNS_NAMES: OfBoth<string> = ["a.example", "b.example"];

/** Where a loss may leave an end with a connection that only a keepalive can find to be dead, there is one. */
const SUBSTITUTE_HELLO_MS = 20_000;
const HARMLESS_LOSS_PERCENT = 3;

/** The administrator's will at one site. */
interface Will {
  tunnelOpen: boolean;
  readonly sessionOpen: boolean[];
}

/** Two cores, and what their administrators want of them. */
export class WalkWorld {
  readonly plan: WalkPlan;
  readonly link = new VirtualLink();
  readonly configurations: OfBoth<LcceConfiguration>;
  readonly nodes: OfBoth<VirtualNode>;
  /** Requests that no sane core makes of a datapath. */
  readonly complaints: string[] = [];
  readonly #started = [false, false];
  readonly #wills: OfBoth<Will>;
  readonly #chance: SeededEntropy;
  #cutUntil = 0;

  constructor(plan: WalkPlan) {
    this.plan = plan;
    this.#chance = new SeededEntropy(plan.seed);
    this.configurations = [configurationOf(plan, 0), configurationOf(plan, 1)];
    this.nodes = [this.#node(0), this.#node(1)];
    this.#wills = [willOf(plan), willOf(plan)];
    this.worsen();
  }

  #node(site: Site): VirtualNode {
    const node = this.link.add(ADDRESSES[site], this.configurations[site], this.plan.seed);
    for (const [index, name] of DNS_NAMES.entries()) node.names.set(name, ADDRESSES[index as Site]);
    return node;
  }

  /** The link and the datapaths are as bad as the plan has them. */
  worsen(): void {
    const { link, datapath } = this.plan;
    const { lossPercent, duplicatePercent, jitterMs } = link;
    const delay = () => 1 + (this.#chance.uint32() % (jitterMs + 1));
    this.link.fate = () => {
      if (this.link.now < this.#cutUntil || this.#happens(lossPercent)) return [];
      return this.#happens(duplicatePercent) ? [delay(), delay()] : [delay()];
    };
    for (const [index, node] of this.nodes.entries()) {
      const { delayMs, refuseSessionPercent, refuseTunnelPercent } = datapath[index as Site];
      node.datapath = {
        delayMs,
        refuseSession: (asked) => {
          for (const { interfaceName, localSessionId } of node.datapathSessions.values()) {
            if (interfaceName !== asked.interfaceName) continue;
            this.complaints.push(`${interfaceName} asked for ${asked.localSessionId}, and ${localSessionId} has it`);
          }
          return this.#happens(refuseSessionPercent) ? "no room" : undefined;
        },
        refuseTunnel: () => (this.#happens(refuseTunnelPercent) ? "no tunnel today" : undefined),
      };
    }
  }

  /** From now on everything works, and both processes run. */
  heal(): void {
    this.link.fate = () => [LATENCY_MS];
    for (const node of this.nodes) {
      node.datapath = { ...node.datapath, refuseSession: () => undefined, refuseTunnel: () => undefined };
    }
    this.start();
  }

  /** Whoever has not been started yet. */
  start(): void {
    this.perform(0, { do: "start" });
    this.perform(1, { do: "start" });
  }

  #happens(percent: number): boolean {
    return percent > 0 && this.#chance.uint32() % 100 < percent;
  }

  perform(site: Site, action: Action): void {
    const node = this.nodes[site];
    switch (action.do) {
      case "start":
        if (!this.#started[site]) node.receive({ type: "start" });
        this.#started[site] = true;
        return;
      case "crash":
        node.crash(this.configurations[site], this.#chance.uint32());
        Object.assign(this.#wills[site], willOf(this.plan));
        // Whoever was started is started again.
        if (this.#started[site]) node.receive({ type: "start" });
        return;
      case "open":
      case "close":
        this.#administer(site, action.do, action.session);
        return;
      case "lose-session":
        this.#loseSession(node, action.session);
        return;
      case "lose-tunnel":
        this.#loseTunnel(node);
        return;
      case "traffic":
        node.receivedPackets += 1;
        return;
      case "cut":
        this.#cutUntil = Math.max(this.#cutUntil, this.link.now + action.forMs);
        return;
    }
  }

  #administer(site: Site, type: "open" | "close", index: number | undefined): void {
    const will = this.#wills[site];
    const name = index === undefined ? undefined : this.sessionName(index);
    if (name === undefined) will.tunnelOpen = type === "open";
    else will.sessionOpen[(index ?? 0) % this.plan.sessions.length] = type === "open";
    this.nodes[site].receive({ type, tunnel: TUNNEL, ...(name === undefined ? {} : { session: name }) });
  }

  sessionName(index: number): string {
    return `s${index % this.plan.sessions.length}`;
  }

  #loseSession(node: VirtualNode, index: number): void {
    const interfaceName = `l2-${this.sessionName(index)}`;
    for (const [localSessionId, held] of node.datapathSessions) {
      if (held.interfaceName !== interfaceName) continue;
      node.datapathSessions.delete(localSessionId);
      node.raised.delete(localSessionId);
      node.receive({ type: "session-refused", localSessionId, reason: `${interfaceName} was removed` });
      return;
    }
  }

  #loseTunnel(node: VirtualNode): void {
    const [localControlConnectionId] = node.tunnels;
    if (localControlConnectionId === undefined) return;
    node.receive({ type: "tunnel-refused", localControlConnectionId, reason: "the tunnel is gone" });
  }

  /** Whether a control connection can come up at all, and both administrators want it. */
  get tunnelWanted(): boolean {
    const { roles, security } = this.plan;
    const open = this.#wills.every(({ tunnelOpen }) => tunnelOpen);
    const opens = roles.some((role) => role !== "responder");
    return open && opens && !STRANGERS.includes(security);
  }

  /** Whether this site's own administrator wants it: then it tries again and again. */
  tunnelOpen(site: Site): boolean {
    return this.#wills[site].tunnelOpen;
  }

  /** The same of a session, on a control connection that `initiator` has opened. */
  sessionWanted(index: number, initiator: Site): boolean {
    const open = this.#wills.every(({ sessionOpen }) => sessionOpen[index]);
    return open && (this.calls(index, 0, initiator) || this.calls(index, 1, initiator));
  }

  calls(index: number, site: Site, initiator: Site): boolean {
    const call = this.plan.sessions[index]?.call[site];
    return call === undefined ? site === initiator : call !== "responder";
  }
}

function willOf({ sessions }: WalkPlan): Will {
  return { tunnelOpen: true, sessionOpen: sessions.map(() => true) };
}

function configurationOf(plan: WalkPlan, site: Site): LcceConfiguration {
  const sessions = plan.sessions.map((sessionPlan, index) => sessionOf(sessionPlan, index, site));
  const more: Partial<TunnelConfiguration> = {
    role: plan.roles[site],
    ...peerOf(plan, site),
    localPort: plan.localPorts[site],
    authentication: SECURITY[plan.security][site],
    helloIntervalMs: helloMs(plan, site),
    retransmit: RETRANSMIT[plan.retransmit],
    receiveWindow: plan.windows[site],
    reconnect: { minMs: 1_000, maxMs: plan.reconnectMaxMs },
    sessions,
  };
  return lcce(HOSTS[site], tunnel(TUNNEL, more));
}

function sessionOf({ call, cookieSize, l2Sublayer }: SessionPlan, index: number, site: Site): SessionConfiguration {
  const more = { call: call[site], cookieSize: cookieSize[site], l2Sublayer: l2Sublayer[site] };
  return session(`s${index}`, more);
}

/** Whoever opens has to know where the peer is. */
function peerOf({ roles, peers }: WalkPlan, site: Site): Partial<TunnelConfiguration> {
  const other = site === 0 ? 1 : 0;
  const kind = peers[site];
  if (kind === "name") return { peer: DNS_NAMES[other] };
  if (kind === "address" || roles[site] !== "responder") return { peer: ADDRESSES[other] };
  if (kind === "hostname") return { peerHostname: HOSTS[other] };
  return { peerRouterId: lcce(HOSTS[other]).routerId };
}

function helloMs(plan: WalkPlan, site: Site): number {
  const { link, steps } = plan;
  const rough = steps.some(({ action }) => ["crash", "cut", "lose-tunnel"].includes(action.do));
  const loses = rough || link.lossPercent > HARMLESS_LOSS_PERCENT;
  return plan.helloMs[site] === 0 && loses ? SUBSTITUTE_HELLO_MS : plan.helloMs[site];
}
