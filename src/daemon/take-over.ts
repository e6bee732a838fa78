import { stat } from "node:fs/promises";
import type { TunnelConfiguration } from "../control/configuration.ts";
import type { ControlConnectionState } from "../control/control-connection-state.ts";
import type { Endpoint, Input, LocalEndpoint } from "../control/core.ts";
import { anyAddress, encapsulationOf, familyOf } from "../control/endpoint.ts";
import type { LcceState } from "../control/lcce.ts";
import { type SessionState, sessionParameters } from "../control/session-state.ts";
import type { AdoptedSession, TunnelRequest } from "../kernel/datapath.ts";
import { KernelError } from "../kernel/kernel-error.ts";
import type { Adopted } from "../kernel/leftovers.ts";
import type { Protection } from "./protection.ts";
import type { SocketRequest } from "./transport.ts";

/** What is taken over by, of the daemon. */
export interface Successor {
  readonly transport: {
    adopt(localControlConnectionId: number, request: SocketRequest): boolean;
    descriptor(localControlConnectionId: number): number | undefined;
    handOver(localControlConnectionId: number): number | undefined;
    receiverFor(localControlConnectionId: number): (octets: Uint8Array) => void;
    leaveDataBare(localControlConnectionId: number, family: 4 | 6): void;
    boundTo(localControlConnectionId: number): LocalEndpoint | undefined;
  };
  readonly protection: Pick<Protection, "begin" | "guard" | "changed">;
  readonly datapath: {
    readonly readsSocket: boolean;
    adoptTunnel(tunnel: TunnelRequest, sessions: readonly AdoptedSession[]): Promise<ReadonlyMap<number, string>>;
    deleteTunnel(localControlConnectionId: number): Promise<void>;
  };
  accept(input: Input): void;
}

/** What of a state the datapath has: the sessions of each tunnel. */
export function adoptedOf({ connections, tunnels }: LcceState): Adopted {
  const sessions = tunnels.flatMap((tunnel) => tunnel.sessions).filter(isInDatapath);
  return new Map(
    connections.filter(isInUse).map(({ localControlConnectionId: id }) => {
      const own = sessions.filter((session) => session.localControlConnectionId === id);
      return [id, new Set(own.map(({ localSessionId }) => localSessionId))];
    }),
  );
}

/**
 * Goes on with the sockets and tunnels of an earlier process, whose state the core has. What has come by the sockets meanwhile
 * waits before everything else that this process hears of, and what this asks of the datapath before everything else that
 * is asked of it. Resolves when it is known what is there.
 */
export async function takeOver(
  saved: LcceState,
  tunnels: readonly TunnelConfiguration[],
  successor: Successor,
): Promise<void> {
  const configurations = new Map(tunnels.map((tunnel) => [tunnel.name, tunnel]));
  const sessions = groupedBy(saved.tunnels.flatMap((tunnel) => tunnel.sessions).filter(isInDatapath));
  const adoptions: Promise<void>[] = [];
  for (const connection of saved.connections) {
    const configuration = configurations.get(connection.tunnel);
    if (configuration === undefined) continue;
    const id = connection.localControlConnectionId;
    if (connection.socket === id && !adoptSocket(connection, configuration, successor)) {
      const reason = "its socket was not kept over the restart";
      adoptions.push(tell(successor, { type: "socket-failed", localControlConnectionId: id, reason }));
    } else if (isInUse(connection)) {
      adoptions.push(adoptTunnel(connection, configuration, sessions.get(id) ?? [], successor));
    }
  }
  // Policies may have gone meanwhile.
  for (const netns of new Set(tunnels.map((tunnel) => tunnel.netns))) successor.protection.changed(netns);
  await Promise.all(adoptions);
}

/** Before any thread is in another namespace: see `Namespaces.start`. */
export async function prepareTakeOver(): Promise<void> {
  await stat("/");
}

/** Behind what the sockets have brought. */
async function tell({ accept }: Successor, input: Input): Promise<void> {
  await Promise.resolve();
  accept(input);
}

function adoptSocket(connection: ControlConnectionState, configuration: TunnelConfiguration, to: Successor): boolean {
  const { localControlConnectionId: id, remote } = connection;
  const { netns, bindDevice: device, udpChecksum, requireIpsec } = configuration;
  const family = familyOf(remote.address);
  const local: LocalEndpoint = { address: anyAddress(family), port: 0, netns, device };
  const encapsulation = encapsulationOf(remote);
  // Before the peer has answered it may answer from another port.
  const connected = connection.state === "established" || configuration.static !== undefined;
  try {
    if (!to.transport.adopt(id, { encapsulation, local, remote: connected ? remote : undefined })) return false;
  } catch (error) {
    // What was kept by its name is something else.
    if (error instanceof KernelError) return false;
    throw error;
  }
  if (encapsulation === "udp" && !udpChecksum) to.transport.leaveDataBare(id, family);
  const bound = to.transport.boundTo(id);
  if (requireIpsec === true && bound !== undefined) guard(configuration.name, id, bound, remote, to);
  return true;
}

function guard(tunnel: string, id: number, local: LocalEndpoint, remote: Endpoint, to: Successor): void {
  try {
    to.protection.guard(tunnel, id, local, remote);
  } catch (error) {
    void tell(to, { type: "protection-lost", localControlConnectionId: id, reason: reasonOf(error) });
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function adoptTunnel(
  connection: ControlConnectionState,
  configuration: TunnelConfiguration,
  states: readonly SessionState[],
  { transport, datapath, accept }: Successor,
): Promise<void> {
  const { localControlConnectionId, remoteControlConnectionId, remote } = connection;
  const fd = datapath.readsSocket
    ? transport.handOver(localControlConnectionId)
    : transport.descriptor(localControlConnectionId);
  if (fd === undefined) return;
  const tunnel: TunnelRequest = {
    localControlConnectionId,
    remoteControlConnectionId,
    encapsulation: encapsulationOf(remote),
    netns: configuration.netns,
    fd,
    onControlDatagram: transport.receiverFor(localControlConnectionId),
  };
  const sessions = adoptedSessions(localControlConnectionId, configuration, states);
  try {
    const lost = await datapath.adoptTunnel(tunnel, sessions);
    accept({ type: "tunnel-created", localControlConnectionId });
    for (const { session, made } of sessions) {
      const { localSessionId } = session;
      const reason = lost.get(localSessionId);
      if (reason !== undefined) accept({ type: "session-refused", localSessionId, reason });
      else if (!made) accept({ type: "session-created", localSessionId });
    }
  } catch (error) {
    accept({ type: "tunnel-refused", localControlConnectionId, reason: reasonOf(error) });
  }
}

function adoptedSessions(
  id: number,
  { sessions }: TunnelConfiguration,
  states: readonly SessionState[],
): readonly AdoptedSession[] {
  const configurations = new Map(sessions.map((session) => [session.name, session]));
  return states.flatMap((state) => {
    const configuration = configurations.get(state.name);
    if (configuration === undefined) return [];
    const session = sessionParameters(id, state, configuration);
    return [{ session, made: state.datapath === "ready", raised: state.forwarding }];
  });
}

function groupedBy(sessions: readonly SessionState[]): ReadonlyMap<number, readonly SessionState[]> {
  const groups = new Map<number, SessionState[]>();
  for (const session of sessions) {
    const group = groups.get(session.localControlConnectionId);
    if (group === undefined) groups.set(session.localControlConnectionId, [session]);
    else group.push(session);
  }
  return groups;
}

/** The datapath has been asked for its tunnel, and not yet to delete it. A static one has it before it is established. */
function isInUse({ life, state, socket, initiator, localControlConnectionId }: ControlConnectionState): boolean {
  if (life !== "open" || socket !== localControlConnectionId) return false;
  return state === "established" || (state === "idle" && initiator);
}

function isInDatapath({ localSessionId, datapath }: SessionState): boolean {
  return localSessionId !== 0 && datapath !== "none";
}
