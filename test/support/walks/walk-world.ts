import type {
  AuthenticationConfiguration,
  LcceConfiguration,
  SessionConfiguration,
  TunnelConfiguration,
} from "../../../src/control/configuration.ts";
import type { CircuitCondition, CircuitErrorCounts } from "../../../src/control/core.ts";
import { NO_ERRORS } from "../../../src/control/session-state.ts";
import { ascii } from "../digest-by-hand.ts";
import { A, B, lcce, session, tunnel } from "../sites.ts";
import { LATENCY_MS, SeededEntropy, VirtualLink, type VirtualNode } from "../virtual-link.ts";
import {
  type Action,
  authenticationOf,
  canRotate,
  type OfBoth,
  RETRANSMIT,
  type ReloadKind,
  type SessionPlan,
  type Site,
  STRANGERS,
  type WalkPlan,
} from "./plan.ts";

/** Both sites call their only tunnel so. */
export const TUNNEL = "t";

const SITES = [0, 1] as const;
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

/** An attachment circuit as its machine has it. */
interface Circuit {
  condition: CircuitCondition;
  errors: CircuitErrorCounts;
}

/** Close to where 32 bits begin again at 0. */
const COUNTED_BEFORE: CircuitErrorCounts = {
  hardwareOverruns: 0xffff_fff0,
  bufferOverruns: 7,
  timeouts: 0,
  alignments: 1,
};

/**
 * What becomes of a session in the end. vain: it is placed again and again, and the circuit that it takes never comes up.
 */
export type Outlook = "up" | "down" | "vain";

/** Two cores, and what their administrators want of them. */
export class WalkWorld {
  readonly plan: WalkPlan;
  readonly link = new VirtualLink();
  readonly nodes: OfBoth<VirtualNode>;
  /** Requests that no sane core makes of a datapath. */
  readonly complaints: string[] = [];
  readonly #started = [false, false];
  readonly #wills: OfBoth<Will>;
  readonly #circuits: OfBoth<readonly Circuit[]>;
  readonly #rotations = [0, 0];
  readonly #variations: OfBoth<Variation> = [variation(), variation()];
  readonly #chance: SeededEntropy;
  #cutUntil = 0;

  constructor(plan: WalkPlan) {
    this.plan = plan;
    this.#chance = new SeededEntropy(plan.seed);
    this.nodes = [this.#node(0), this.#node(1)];
    this.#wills = [willOf(plan), willOf(plan)];
    this.#circuits = [circuitsOf(plan), circuitsOf(plan)];
    for (const site of SITES) this.#lookAtCircuits(site);
    this.worsen();
  }

  #node(site: Site): VirtualNode {
    const node = this.link.add(ADDRESSES[site], this.#configuration(site), this.plan.seed);
    for (const [index, name] of DNS_NAMES.entries()) node.names.set(name, ADDRESSES[index as Site]);
    return node;
  }

  /** As the site's file has it now. */
  #configuration(site: Site): LcceConfiguration {
    const configuration = configurationOf(
      this.plan,
      site,
      authenticationOf(this.plan, site, this.#rotations[site] ?? 0),
    );
    return { ...configuration, tunnels: configuration.tunnels.map((each) => varied(each, this.#variations[site])) };
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
        refuseChange: () => (this.#happens(refuseSessionPercent) ? "no such bridge" : undefined),
        refuseTunnel: () => (this.#happens(refuseTunnelPercent) ? "no tunnel today" : undefined),
      };
    }
  }

  /** From now on everything works, and both processes run. */
  heal(): void {
    this.link.fate = () => [LATENCY_MS];
    for (const node of this.nodes) {
      const willing = () => undefined;
      node.datapath = {
        ...node.datapath,
        refuseSession: willing,
        refuseChange: willing,
        refuseTunnel: () => undefined,
      };
    }
    this.start();
    for (let index = 0; index < this.plan.sessions.length; index++) this.#mend(index);
  }

  /** Where either end may place an outgoing call, chance says whether it needs the circuit that is up. */
  #mend(index: number): void {
    const eitherCalls = SITES.some((initiator) => SITES.every((site) => this.calls(index, site, initiator)));
    const up = SITES.filter((site) => this.condition(site, index) === "up");
    if (!this.#outgoing(index) || !eitherCalls || up.length !== 1) return;
    for (const site of SITES) this.perform(site, { do: "circuit", session: index, condition: "up" });
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
        node.crash(this.#configuration(site), this.#chance.uint32());
        Object.assign(this.#wills[site], willOf(this.plan));
        this.#lookAtCircuits(site);
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
      case "circuit":
        this.#circuit(site, action.session).condition = action.condition;
        this.#tellCondition(site, action.session);
        return;
      case "errors": {
        const circuit = this.#circuit(site, action.session);
        circuit.errors = sum(circuit.errors, action.more);
        this.#tellErrors(site, action.session);
        return;
      }
      case "rotate":
        this.#rotate(site);
        return;
      case "reload":
        this.#reload(site, action.what, action.session);
        return;
      case "traffic":
        node.receivedPackets += 1;
        return;
      case "cut":
        this.#cutUntil = Math.max(this.#cutUntil, this.link.now + action.forMs);
        return;
    }
  }

  /** What a daemon does first of all. */
  #lookAtCircuits(site: Site): void {
    for (let index = 0; index < this.plan.sessions.length; index++) {
      this.#tellCondition(site, index);
      this.#tellErrors(site, index);
    }
  }

  #circuit(site: Site, index: number): Circuit {
    const circuit = this.#circuits[site][index % this.plan.sessions.length];
    if (circuit === undefined) throw new Error(`no circuit ${index}`);
    return circuit;
  }

  #tellCondition(site: Site, index: number): void {
    const { condition } = this.#circuit(site, index);
    this.nodes[site].receive({ type: "circuit", interfaceName: this.#circuitName(index), condition });
  }

  #tellErrors(site: Site, index: number): void {
    const { errors } = this.#circuit(site, index);
    this.nodes[site].receive({ type: "circuit-errors", interfaceName: this.#circuitName(index), errors });
  }

  #circuitName(index: number): string {
    return circuitName(index % this.plan.sessions.length);
  }

  #rotate(site: Site): void {
    const [own = 0, others = 0] = [this.#rotations[site], this.#rotations[1 - site]];
    if (!canRotate(this.plan) || own > others) return;
    this.#rotations[site] = own + 1;
    const authentication = authenticationOf(this.plan, site, own + 1);
    this.nodes[site].receive({ type: "authentication-changed", tunnel: TUNNEL, authentication });
  }

  #reload(site: Site, what: ReloadKind, session: number): void {
    if (!this.#started[site]) return;
    const varied = this.#variations[site];
    if (what === "call") varied.calls[session % this.plan.sessions.length] = 1 + (varied.calls[session] ?? 0);
    else if (what !== "nothing") varied[what] += 1;
    this.nodes[site].receive({ type: "configuration-changed", tunnels: this.#configuration(site).tunnels });
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

  /** What becomes of a session on a control connection that `initiator` has opened. */
  outlook(index: number, initiator: Site): Outlook {
    const { callType, group } = this.#session(index);
    const outgoing = this.#outgoing(index);
    const wanted = this.#wills.every(({ sessionOpen }) => sessionOpen[index]);
    const callers = SITES.filter((site) => this.calls(index, site, initiator));
    const fits = callType[0] === callType[1] && (outgoing || group[0] === group[1]);
    if (!wanted || !fits || callers.length === 0) return "down";
    // Whom an OCRQ asks has to have the circuit (RFC 3931 7.4.2).
    const placed = !outgoing || callers.every((site) => this.condition(site === 0 ? 1 : 0, index) === "up");
    return placed ? "up" : "vain";
  }

  #session(index: number): SessionPlan {
    const session = this.plan.sessions[index];
    if (session === undefined) throw new Error(`no session ${index}`);
    return session;
  }

  #outgoing(index: number): boolean {
    return this.#session(index).callType.every((type) => type === "outgoing");
  }

  /** Of the attachment circuit; a session without one counts as up. */
  condition(site: Site, index: number): CircuitCondition {
    return this.#session(index).circuit[site] ? this.#circuit(site, index).condition : "up";
  }

  /** Errors of the attachment circuit that the core has been told. */
  errors(site: Site, index: number): CircuitErrorCounts {
    return this.#session(index).circuit[site] ? this.#circuit(site, index).errors : NO_ERRORS;
  }

  calls(index: number, site: Site, initiator: Site): boolean {
    const call = this.plan.sessions[index]?.call[site];
    return call === undefined ? site === initiator : call !== "responder";
  }
}

/** How often what of a site's configuration has been changed. */
interface Variation {
  devices: number;
  timer: number;
  connection: number;
  readonly calls: number[];
}

function variation(): Variation {
  return { devices: 0, timer: 0, connection: 0, calls: [] };
}

function varied(tunnel: TunnelConfiguration, { devices, timer, connection, calls }: Variation): TunnelConfiguration {
  const addresses = devices === 0 ? [] : [`10.0.${devices % 256}.1/24`];
  const sessions = tunnel.sessions.map((session, index) => ({
    ...session,
    addresses,
    // Of no consequence to anybody, but what a call has to have.
    resyncAfter: session.resyncAfter + (calls[index] ?? 0),
  }));
  const reconnect = { ...tunnel.reconnect, minMs: tunnel.reconnect.minMs + timer };
  return { ...tunnel, sessions, reconnect, tos: 4 * (connection % 64) };
}

function willOf({ sessions }: WalkPlan): Will {
  return { tunnelOpen: true, sessionOpen: sessions.map(() => true) };
}

function circuitsOf({ sessions }: WalkPlan): readonly Circuit[] {
  return sessions.map(() => ({ condition: "up", errors: COUNTED_BEFORE }));
}

function circuitName(index: number): string {
  return `c${index}`;
}

function sum(one: CircuitErrorCounts, other: CircuitErrorCounts): CircuitErrorCounts {
  return {
    hardwareOverruns: (one.hardwareOverruns + other.hardwareOverruns) >>> 0,
    bufferOverruns: (one.bufferOverruns + other.bufferOverruns) >>> 0,
    timeouts: (one.timeouts + other.timeouts) >>> 0,
    alignments: (one.alignments + other.alignments) >>> 0,
  };
}

function configurationOf(plan: WalkPlan, site: Site, authentication: AuthenticationConfiguration): LcceConfiguration {
  const sessions = plan.sessions.map((sessionPlan, index) => sessionOf(sessionPlan, index, site));
  const more: Partial<TunnelConfiguration> = {
    role: plan.roles[site],
    ...peerOf(plan, site),
    localPort: plan.localPorts[site],
    authentication,
    helloIntervalMs: helloMs(plan, site),
    retransmit: RETRANSMIT[plan.retransmit],
    receiveWindow: plan.windows[site],
    reconnect: { minMs: 1_000, maxMs: plan.reconnectMaxMs },
    sessions,
  };
  return lcce(HOSTS[site], tunnel(TUNNEL, more));
}

function sessionOf(plan: SessionPlan, index: number, site: Site): SessionConfiguration {
  const { call, callType, group, circuit, cookieSize, l2Sublayer } = plan;
  const attachmentGroup = ascii(callType.includes("outgoing") ? "" : group[site]);
  return session(`s${index}`, {
    call: call[site],
    callType: callType[site],
    attachmentGroup,
    circuit: circuit[site] ? circuitName(index) : undefined,
    cookieSize: cookieSize[site],
    l2Sublayer: l2Sublayer[site],
  });
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
