import type { SessionCounters, SessionRequest, TunnelRequest } from "./datapath.ts";
import { l2tpDeviceOf } from "./device-names.ts";
import { mtuReduction } from "./inner-mtu.ts";
import {
  ENCAPSULATIONS,
  L2_SUBLAYER_TYPES,
  type L2tpAnswer,
  type L2tpAttributes,
  type L2tpCall,
  PROTOCOL_VERSION_3,
  PSEUDOWIRE_ETHERNET,
} from "./l2tp-genl.ts";
import { aliasOf } from "./leftovers.ts";
import { applySettings, lookUpNames, type Setting, settingOutcome } from "./link-settings.ts";
import type { Link, LinkAnswer, LinkCall } from "./links.ts";
import {
  deletionRefusal,
  flawedSessionRefusal,
  noBridgeRefusal,
  type Refusal,
  sessionRefusal,
  type Taken,
  takenNameRefusal,
  tunnelRefusal,
  unknownSessionRefusal,
} from "./refusals.ts";
import { isId, sessionFlaw } from "./session-check.ts";
import { makeSubInterfaces, takenNames } from "./sub-interfaces.ts";

/**
 * The kernel as these operations see it: synchronous, many calls at once, an answer to each in the same order. Where the
 * way to the kernel itself fails, that is the answer.
 */
export interface KernelCalls {
  l2tp(calls: readonly L2tpCall[]): readonly L2tpAnswer[];
  links(calls: readonly LinkCall[]): readonly LinkAnswer[];
}

type FoundLinks = ReadonlyMap<string, LinkAnswer>;

/** `undefined`: done. */
export type Outcome = Refusal | undefined;

interface Answer {
  readonly errno: string;
  readonly extendedAck: string;
  readonly isUnknown?: true;
}

const NOT_ANSWERED: Answer = { errno: "EIO", extendedAck: "" };

/** A managed tunnel over the socket `fd`, which must be connected. */
export function createTunnel(
  calls: KernelCalls,
  local: number,
  remote: number,
  fd: number,
  encapsulation: TunnelRequest["encapsulation"] = "udp",
): Outcome {
  if (!isId(local) || !isId(remote) || fd < 0) {
    return tunnelRefusal(local, remote, { errno: fd < 0 ? "EBADF" : "ERANGE", extendedAck: "" });
  }
  const attributes = {
    connectionId: local,
    peerConnectionId: remote,
    protocolVersion: PROTOCOL_VERSION_3,
    encapsulation: ENCAPSULATIONS[encapsulation],
    fd,
  };
  const answer = only(calls.l2tp([{ command: "L2TP_CMD_TUNNEL_CREATE", attributes }]));
  if (answer.errno === "") return undefined;
  const refusal = tunnelRefusal(local, remote, answer);
  return answer.isUnknown === true ? withUndoing(refusal, deleteTunnel(calls, local)) : refusal;
}

/** The tunnel with all its sessions, whose devices go in the background. */
export function deleteTunnel(calls: KernelCalls, connectionId: number): Outcome {
  const command = "L2TP_CMD_TUNNEL_DELETE";
  const answer = only(calls.l2tp([{ command, attributes: { connectionId } }]));
  return isGone(answer.errno) ? undefined : deletionRefusal(command, `kernel tunnel ${connectionId}`, answer);
}

/** Blocks for some 37 ms on Linux 6.1, which waits for an RCU grace period, and for a third of a millisecond on 6.12. */
export function deleteSession(calls: KernelCalls, connectionId: number, sessionId: number): Outcome {
  const command = "L2TP_CMD_SESSION_DELETE";
  const answer = only(calls.l2tp([{ command, attributes: { connectionId, sessionId } }]));
  return isGone(answer.errno) ? undefined : deletionRefusal(command, `session ${sessionId}`, answer);
}

export interface SessionEvents {
  /** It was made and taken away again: its device may take a while to go. */
  withdrawn?(session: SessionRequest): void;
  /** It could not be made because this device has its name. */
  inTheWay?(session: SessionRequest, device: Link): void;
}

/**
 * Makes the devices, sets what is to be set on them, and leaves them down. What fails half-way, or may have been made
 * without our hearing of it, is taken away again.
 */
export function createSessions(
  calls: KernelCalls,
  sessions: readonly SessionRequest[],
  { withdrawn, inTheWay }: SessionEvents = {},
): Outcome[] {
  const bridges = lookUpNames(calls, new Set(sessions.flatMap(({ bridge }) => bridge ?? [])));
  const refused = refusedUnasked(calls, sessions, bridges, inTheWay);
  const sound = sessions.filter((session) => !refused.has(session));
  const answers = calls.l2tp(
    sound.map((session) => ({ command: "L2TP_CMD_SESSION_CREATE", attributes: sessionAttributes(session) })),
  );
  const halfMade = new Map<SessionRequest, Refusal>();
  for (const [i, session] of sound.entries()) {
    const answer = answers[i] ?? NOT_ANSWERED;
    if (answer.errno === "") continue;
    const refusal = sessionRefusal(session, answer, whatIsTaken(calls, session, answer.errno, inTheWay));
    (answer.isUnknown === true ? halfMade : refused).set(session, refusal);
  }
  const isMade = (session: SessionRequest) => !refused.has(session) && !halfMade.has(session);
  for (const [session, refusal] of makeSubInterfaces(calls, sound.filter(isMade))) halfMade.set(session, refusal);
  for (const [session, refusal] of [...halfMade, ...configureDevices(calls, sound.filter(isMade), bridges)]) {
    const undoing = deleteSession(calls, session.localControlConnectionId, session.localSessionId);
    refused.set(session, withUndoing(refusal, undoing));
    withdrawn?.(session);
  }
  return sessions.map((session) => refused.get(session));
}

/** Those that the kernel need not be asked for: no device comes and goes at every attempt. */
function refusedUnasked(
  calls: KernelCalls,
  sessions: readonly SessionRequest[],
  bridges: FoundLinks,
  inTheWay: SessionEvents["inTheWay"],
): Map<SessionRequest, Refusal> {
  const refused = new Map<SessionRequest, Refusal>();
  for (const session of sessions) {
    const flaw = sessionFlaw(session);
    const refusal = flaw === undefined ? missingBridge(session, bridges) : flawedSessionRefusal(session, flaw);
    if (refusal !== undefined) refused.set(session, refusal);
  }
  const sound = sessions.filter((session) => !refused.has(session));
  for (const [session, device] of takenNames(calls, sound)) {
    refused.set(session, takenNameRefusal(session));
    inTheWay?.(session, device);
  }
  return refused;
}

function missingBridge({ interfaceName, bridge }: SessionRequest, bridges: FoundLinks): Refusal | undefined {
  if (bridge === undefined) return undefined;
  const answer: Answer & Partial<LinkAnswer> = bridges.get(bridge) ?? NOT_ANSWERED;
  return answer.link === undefined ? noBridgeRefusal(interfaceName, bridge, answer) : undefined;
}

/** A failure, and what became of taking away what it left. */
function withUndoing(refusal: Refusal, undoing: Outcome): Refusal {
  return undoing === undefined ? refusal : { ...refusal, message: `${refusal.message}; then: ${undoing.message}` };
}

/** What sets the device of a session up or down. */
export interface Switching {
  readonly localSessionId: number;
  /** `undefined`: there is no such session. */
  readonly interfaceName: string | undefined;
  /** The l2tpeth device, where that is another: the one cannot be up without the other. */
  readonly lowerName?: string | undefined;
  readonly up: boolean;
  /** Addresses that the device may have lost, in CIDR notation: given to it once more before it is set up. */
  readonly addresses: readonly string[];
  /** Networks that it leads to once it is up; when it goes down the kernel forgets them. */
  readonly routes: readonly string[];
}

/** In their order. */
export function switchDevices(calls: KernelCalls, switchings: readonly Switching[]): Outcome[] {
  const restored = switchings.flatMap(({ interfaceName, addresses, routes }) =>
    interfaceName === undefined || addresses.length + routes.length === 0 ? [] : [interfaceName],
  );
  const indices = lookUpNames(calls, new Set(restored));
  const settings = switchings.flatMap((switching) => {
    const { interfaceName: name, lowerName, up, addresses, routes } = switching;
    if (name === undefined) return [];
    const index = indices.get(name)?.link?.index ?? 0;
    const names = lowerName === undefined ? [name] : up ? [lowerName, name] : [name, lowerName];
    const linkCalls: LinkCall[] = [
      ...addresses.map((address) => ({ command: "RTM_NEWADDR", index, address }) as const),
      ...names.map((each) => ({ command: "RTM_SETLINK", name: each, up }) as const),
      ...routes.map((destination) => ({ command: "RTM_NEWROUTE", index, destination }) as const),
    ];
    return linkCalls.map((call) => ({ switching, name, call }));
  });
  const answers = calls.links(settings.map(({ call }) => call));
  const refused = new Map<Switching, Refusal>();
  for (const [i, { switching, name, call }] of settings.entries()) {
    const answer = answers[i];
    // An address of IPv4 stays on a device that is down.
    if (call.command === "RTM_NEWADDR" && answer?.errno === "EEXIST") continue;
    const refusal = settingOutcome(name, call, answer);
    if (refusal !== undefined && !refused.has(switching)) refused.set(switching, refusal);
  }
  return switchings.map((each) =>
    each.interfaceName === undefined
      ? unknownSessionRefusal(each.localSessionId, each.up ? "up" : "down")
      : refused.get(each),
  );
}

/** Sessions that the kernel does not have (any more) are left out. */
export function readCounters(
  calls: KernelCalls,
  sessions: readonly { readonly localControlConnectionId: number; readonly localSessionId: number }[],
): SessionCounters[] {
  const answers = calls.l2tp(
    sessions.map(({ localControlConnectionId, localSessionId }) => ({
      command: "L2TP_CMD_SESSION_GET",
      attributes: { connectionId: localControlConnectionId, sessionId: localSessionId },
    })),
  );
  return answers.flatMap(({ found }) => found.map(countersOf));
}

/** Those of the names that a device of this machine has. */
export function existingDevices(calls: KernelCalls, names: readonly string[]): string[] {
  const answers = calls.links(names.map((name) => ({ command: "RTM_GETLINK", name })));
  return names.filter((_, i) => answers[i]?.errno === "");
}

function only(answers: readonly Answer[]): Answer {
  return answers[0] ?? NOT_ANSWERED;
}

function isGone(errno: string): boolean {
  return errno === "" || errno === "ENODEV" || errno === "ENOENT";
}

function sessionAttributes(session: SessionRequest): L2tpAttributes {
  const { localCookie, remoteCookie } = session;
  return {
    connectionId: session.localControlConnectionId,
    sessionId: session.localSessionId,
    peerSessionId: session.remoteSessionId,
    pseudowireType: PSEUDOWIRE_ETHERNET,
    // Without it the kernel assumes the default sublayer; the device's MTU follows from it and from the cookie.
    l2SublayerType: L2_SUBLAYER_TYPES[session.l2Sublayer],
    sendSequencing: session.sendSequencing ? 1 : 0,
    receiveSequencing: session.receiveSequencing === "all" ? 1 : 0,
    // Otherwise the kernel begins and ends to send sequence numbers as it receives them.
    lnsMode: 1,
    reorderTimeout: BigInt(session.reorderTimeoutMs),
    ...(remoteCookie.length > 0 && { cookie: remoteCookie }),
    ...(localCookie.length > 0 && { peerCookie: localCookie }),
    interfaceName: l2tpDeviceOf(session),
  };
}

function whatIsTaken(
  calls: KernelCalls,
  session: SessionRequest,
  errno: string,
  inTheWay: SessionEvents["inTheWay"],
): Taken | undefined {
  if (errno !== "EEXIST") return undefined;
  const blocker = deviceNamed(calls, l2tpDeviceOf(session));
  if (blocker !== undefined) inTheWay?.(session, blocker);
  return blocker === undefined ? "session" : "interface";
}

function deviceNamed(calls: KernelCalls, name: string): Link | undefined {
  return calls.links([{ command: "RTM_GETLINK", name }])[0]?.link;
}

/**
 * MTU, bridge and addresses, on devices that are down. "auto" is the MTU that the kernel gave the device: the path's MTU
 * (IP_MTU or IPV6_MTU of the tunnel's socket) less IP, UDP, data header, cookie, sublayer and Ethernet header. It is less
 * where the peer sends a longer cookie than we do.
 */
function configureDevices(
  calls: KernelCalls,
  sessions: readonly SessionRequest[],
  bridges: FoundLinks,
): Map<SessionRequest, Refusal> {
  const looked = sessions.filter((session) => session.addresses.length > 0 || mtuReduction(session) > 0);
  const devices = lookUpNames(calls, new Set(looked.map(({ interfaceName }) => interfaceName)));
  const settings = sessions.flatMap((session) => {
    const bridgeIndex = bridges.get(session.bridge ?? "")?.link?.index ?? 0;
    return settingsOf(session, devices.get(session.interfaceName)?.link, bridgeIndex);
  });
  return applySettings(calls, settings);
}

function settingsOf(session: SessionRequest, device: Link | undefined, bridgeIndex: number): Setting[] {
  const name = session.interfaceName;
  const index = device?.index ?? 0;
  const reduction = mtuReduction(session);
  const linkCalls: LinkCall[] = [{ command: "RTM_SETLINK", name, alias: aliasOf(session) }];
  const mtu = session.mtu === "auto" ? (device?.mtu ?? 0) - reduction : session.mtu;
  // A sub-interface was made with its MTU.
  if (session.vlan === undefined && (session.mtu !== "auto" || reduction > 0)) {
    linkCalls.push({ command: "RTM_SETLINK", name, mtu });
  }
  if (session.bridge !== undefined) linkCalls.push({ command: "RTM_SETLINK", name, master: bridgeIndex });
  if (session.isolated) linkCalls.push({ command: "RTM_NEWLINK", name, isolated: true });
  for (const address of session.addresses) linkCalls.push({ command: "RTM_NEWADDR", index, address });
  return linkCalls.map((call) => ({ session, name, call }));
}

function countersOf({ connectionId = 0, sessionId = 0, statistics = {} }: L2tpAttributes): SessionCounters {
  return {
    localControlConnectionId: connectionId,
    localSessionId: sessionId,
    receivedPackets: Number(statistics.receivedPackets ?? 0n),
    receivedOctets: Number(statistics.receivedOctets ?? 0n),
    receiveErrors: Number(statistics.receiveErrors ?? 0n),
    sequenceDiscards: Number(statistics.sequenceDiscards ?? 0n),
    cookieDiscards: Number(statistics.cookieDiscards ?? 0n),
    sentPackets: Number(statistics.sentPackets ?? 0n),
    sentOctets: Number(statistics.sentOctets ?? 0n),
    sendErrors: Number(statistics.sendErrors ?? 0n),
  };
}
