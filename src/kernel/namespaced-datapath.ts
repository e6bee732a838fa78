import { makeAgain } from "./adoption.ts";
import type {
  AdoptedSession,
  Datapath,
  DatapathEvents,
  DeviceNotice,
  DeviceSettings,
  SessionCounters,
  SessionRequest,
  TunnelRequest,
} from "./datapath.ts";

/** Makes the datapath of one network namespace; `undefined`: the daemon's own. */
export type OpenDatapath = (netns: string | undefined, events: DatapathEvents) => Datapath;

interface Member {
  readonly netns: string | undefined;
  readonly datapath: Datapath;
  /** Local Control Connection IDs, and the local Session IDs within. */
  readonly tunnels: Map<number, Set<number>>;
}

/**
 * One datapath for each network namespace that there are tunnels in, with a thread of its own that lives there: all that
 * it makes and hears of is of that namespace. Requests are carried out in their order within each.
 */
export class NamespacedDatapath implements Datapath {
  readonly name: Datapath["name"];
  readonly readsSocket: boolean;
  readonly #open: OpenDatapath;
  readonly #events: DatapathEvents;
  readonly #own: Member;
  /** By namespace. */
  readonly #members = new Map<string | undefined, Member>();
  readonly #bySession = new Map<number, Member>();
  /** Left, with devices on their way out. */
  readonly #leaving = new Set<Promise<void>>();

  constructor(events: DatapathEvents, open: OpenDatapath) {
    this.#events = events;
    this.#open = open;
    this.#own = this.#begin(undefined);
    this.name = this.#own.datapath.name;
    this.readsSocket = this.#own.datapath.readsSocket;
  }

  prepare(): void {
    for (const { datapath } of this.#members.values()) datapath.prepare();
  }

  createTunnel(tunnel: TunnelRequest): Promise<void> {
    return this.#memberFor(tunnel).datapath.createTunnel(tunnel);
  }

  adoptTunnel(tunnel: TunnelRequest, sessions: readonly AdoptedSession[]): Promise<ReadonlyMap<number, string>> {
    const member = this.#memberFor(tunnel);
    for (const { session } of sessions) this.#assign(session, member);
    const { datapath } = member;
    return datapath.adoptTunnel?.(tunnel, sessions) ?? makeAgain(datapath, tunnel, sessions);
  }

  #memberFor({ netns, localControlConnectionId }: TunnelRequest): Member {
    const member = this.#members.get(netns) ?? this.#begin(netns);
    if (!member.tunnels.has(localControlConnectionId)) member.tunnels.set(localControlConnectionId, new Set());
    return member;
  }

  #assign({ localControlConnectionId, localSessionId }: SessionRequest, member: Member): void {
    member.tunnels.get(localControlConnectionId)?.add(localSessionId);
    this.#bySession.set(localSessionId, member);
  }

  deleteTunnel(localControlConnectionId: number): Promise<void> {
    const member = this.#withTunnel(localControlConnectionId);
    for (const id of member.tunnels.get(localControlConnectionId) ?? []) this.#bySession.delete(id);
    member.tunnels.delete(localControlConnectionId);
    return member.datapath.deleteTunnel(localControlConnectionId);
  }

  createSession(session: SessionRequest): Promise<void> {
    const member = this.#withTunnel(session.localControlConnectionId);
    this.#assign(session, member);
    return member.datapath.createSession(session);
  }

  raiseSession(localSessionId: number): Promise<void> {
    return this.#withSession(localSessionId).datapath.raiseSession(localSessionId);
  }

  lowerSession(localSessionId: number): Promise<void> {
    return this.#withSession(localSessionId).datapath.lowerSession(localSessionId);
  }

  changeSession(localSessionId: number, settings: DeviceSettings): Promise<void> {
    return this.#withSession(localSessionId).datapath.changeSession(localSessionId, settings);
  }

  deleteSession(localSessionId: number): Promise<void> {
    const member = this.#withSession(localSessionId);
    this.#bySession.delete(localSessionId);
    for (const sessions of member.tunnels.values()) sessions.delete(localSessionId);
    return member.datapath.deleteSession(localSessionId);
  }

  async counters(localControlConnectionId?: number): Promise<readonly SessionCounters[]> {
    const asked =
      localControlConnectionId === undefined
        ? [...this.#members.values()]
        : [this.#withTunnel(localControlConnectionId)];
    return (await Promise.all(asked.map(({ datapath }) => datapath.counters(localControlConnectionId)))).flat();
  }

  /** The namespace is gone, or to be let go: nothing of it is held when this resolves. Tunnels come into a new one. */
  async leave(netns: string): Promise<void> {
    const member = this.#members.get(netns);
    if (member === undefined) return;
    this.#members.delete(netns);
    for (const ids of member.tunnels.values()) for (const id of ids) this.#bySession.delete(id);
    const left = member.datapath.close();
    this.#leaving.add(left);
    await left;
    this.#leaving.delete(left);
  }

  responds(): boolean {
    // Each of them is asked, whatever the others say.
    return [...this.#members.values()].map(({ datapath }) => datapath.responds()).every(Boolean);
  }

  async close(): Promise<void> {
    const members = [...this.#members.values()];
    await Promise.all([...members.map(({ datapath }) => datapath.close()), ...this.#leaving]);
  }

  #begin(netns: string | undefined): Member {
    const events = netns === undefined ? this.#events : within(netns, this.#events);
    const member: Member = { netns, datapath: this.#open(netns, events), tunnels: new Map() };
    this.#members.set(netns, member);
    return member;
  }

  /** What nobody has is refused, or no error, as the daemon's own datapath has it. */
  #withTunnel(localControlConnectionId: number): Member {
    for (const member of this.#members.values()) if (member.tunnels.has(localControlConnectionId)) return member;
    return this.#own;
  }

  #withSession(localSessionId: number): Member {
    return this.#bySession.get(localSessionId) ?? this.#own;
  }
}

function within(netns: string, events: DatapathEvents): DatapathEvents {
  return {
    sessionLost: (localSessionId, reason) => events.sessionLost(localSessionId, reason),
    tunnelLost: (localControlConnectionId, reason) => events.tunnelLost(localControlConnectionId, reason),
    portChanged: (interfaceName, condition) => events.portChanged(interfaceName, condition, netns),
    noticed: (notice: DeviceNotice) => events.noticed({ ...notice, netns }),
  };
}
