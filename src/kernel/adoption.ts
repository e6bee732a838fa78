import type { AdoptedSession, Datapath, SessionRequest, TunnelRequest } from "./datapath.ts";
import { devicesOf, l2tpDeviceOf } from "./device-names.ts";
import type { Inventory } from "./inventory.ts";
import { createTunnel, deleteSession, type KernelCalls, switchDevices } from "./kernel-operations.ts";
import { ENCAPSULATIONS, type L2tpAnswer } from "./l2tp-genl.ts";
import { aliasOf } from "./leftovers.ts";
import type { LinkAnswer } from "./links.ts";
import type { Completion, Operation } from "./operations.ts";
import { tunnelRefusal } from "./refusals.ts";

/** Tunnels and sessions of an earlier process, whose sockets somebody kept: they carry frames all the while. */

type Adopting = Extract<Operation, { readonly type: "adopt-tunnel" }>;
type Adoption = Omit<Completion, "serial">;

/**
 * The kernel's tunnel and sessions are compared with what they are to be, and are in the inventory then. A tunnel that is not
 * there is made; a session that the earlier process had asked for without having had an answer is removed, so that it can be
 * made anew.
 */
export function adoptTunnel(calls: KernelCalls, inventory: Inventory, operation: Adopting): Adoption {
  const { localControlConnectionId: local, remoteControlConnectionId: remote, encapsulation, fd, sessions } = operation;
  const [answer] = calls.l2tp([{ command: "L2TP_CMD_TUNNEL_GET", attributes: { connectionId: local } }]);
  if (answer === undefined || !isThere(answer)) {
    const refusal = createTunnel(calls, local, remote, fd, encapsulation);
    if (refusal !== undefined) return { refusal };
    inventory.addTunnel(local, remote);
    const made = sessions.filter((each) => each.made);
    const lost = made.map(({ session }) => [session.localSessionId, "the kernel has its tunnel no longer"] as const);
    return { lost: new Map(lost) };
  }
  const { peerConnectionId, encapsulation: kind = 0 } = answer.found[0] ?? {};
  if (peerConnectionId !== remote || kind !== ENCAPSULATIONS[encapsulation]) {
    return { refusal: tunnelRefusal(local, remote, { errno: "EEXIST", extendedAck: "" }) };
  }
  inventory.addTunnel(local, remote);
  for (const { session, made } of sessions) if (!made) removeUnanswered(calls, inventory, session);
  return adoptSessions(
    calls,
    inventory,
    sessions.filter(({ made }) => made),
  );
}

function removeUnanswered(calls: KernelCalls, inventory: Inventory, session: SessionRequest): void {
  deleteSession(calls, session.localControlConnectionId, session.localSessionId);
  for (const name of devicesOf(session)) inventory.markLeaving(name);
}

function adoptSessions(calls: KernelCalls, inventory: Inventory, sessions: readonly AdoptedSession[]): Adoption {
  const answers = calls.l2tp(
    sessions.map(({ session: { localControlConnectionId: connectionId, localSessionId: sessionId } }) => ({
      command: "L2TP_CMD_SESSION_GET",
      attributes: { connectionId, sessionId },
    })),
  );
  const devices = calls.links(sessions.map(({ session }) => ({ command: "RTM_GETLINK", name: session.interfaceName })));
  const lost = new Map<number, string>();
  const found: AdoptedSession[] = [];
  const switched: AdoptedSession[] = [];
  for (const [i, adopted] of sessions.entries()) {
    const { session, raised } = adopted;
    const flaw = flawOf(session, answers[i], devices[i]);
    if (flaw !== undefined) {
      lost.set(session.localSessionId, flaw);
      continue;
    }
    found.push(adopted);
    if ((devices[i]?.link?.up === true) !== raised) switched.push(adopted);
  }
  for (const { session } of found) inventory.addSession(session);
  markAsOurs(calls, found);
  for (const [id, refusal] of switchAll(calls, switched)) lost.set(id, refusal);
  for (const { session, raised } of found) if (raised) inventory.markSwitched(session.localSessionId, true);
  return { lost };
}

/** The earlier process had not come to that. */
function switchAll(calls: KernelCalls, sessions: readonly AdoptedSession[]): ReadonlyMap<number, string> {
  const outcomes = switchDevices(
    calls,
    sessions.map(({ session, raised: up }) => {
      const { localSessionId, interfaceName, vlan, addresses, routes } = session;
      const lowerName = vlan === undefined ? undefined : l2tpDeviceOf(session);
      return { localSessionId, interfaceName, lowerName, up, addresses: up ? addresses : [], routes: up ? routes : [] };
    }),
  );
  return refusalsOf(
    sessions,
    outcomes.map((outcome) => outcome?.message),
  );
}

function flawOf(session: SessionRequest, answer: L2tpAnswer | undefined, device: LinkAnswer | undefined) {
  if (answer === undefined || !isThere(answer)) return `the kernel has session ${session.localSessionId} no longer`;
  if (answer.found[0]?.peerSessionId !== session.remoteSessionId) {
    return `the kernel has another session ${session.localSessionId}`;
  }
  return device?.link === undefined ? `interface ${session.interfaceName} is gone` : undefined;
}

/** Should this process die, too, the next one knows them by that. */
function markAsOurs(calls: KernelCalls, sessions: readonly AdoptedSession[]): void {
  calls.links(
    sessions.flatMap(({ session }) =>
      devicesOf(session).map((name) => ({ command: "RTM_SETLINK", name, alias: aliasOf(session) }) as const),
    ),
  );
}

function isThere({ errno, found }: L2tpAnswer): boolean {
  return errno === "" && found.length > 0;
}

/** Where nothing of it has outlived the earlier process, its tunnel and sessions are made again, with the same ids. */
export async function makeAgain(
  datapath: Datapath,
  tunnel: TunnelRequest,
  sessions: readonly AdoptedSession[],
): Promise<ReadonlyMap<number, string>> {
  const created = datapath.createTunnel(tunnel);
  const outcomes = sessions.map((each) => refusalOf(makeSession(datapath, each)));
  await created;
  return refusalsOf(sessions, await Promise.all(outcomes));
}

async function makeSession(datapath: Datapath, { session, raised }: AdoptedSession): Promise<void> {
  const created = datapath.createSession(session);
  if (!raised) return created;
  const raising = datapath.raiseSession(session.localSessionId);
  await Promise.all([created, raising]);
}

/** By local Session ID. */
export function refusalsOf(
  sessions: readonly AdoptedSession[],
  refusals: readonly (string | undefined)[],
): ReadonlyMap<number, string> {
  return new Map(
    sessions.flatMap(({ session }, i) => {
      const refusal = refusals[i];
      return refusal === undefined ? [] : [[session.localSessionId, refusal] as const];
    }),
  );
}

/** Of something that has been asked for. */
export async function refusalOf(asked: Promise<void>): Promise<string | undefined> {
  try {
    await asked;
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
