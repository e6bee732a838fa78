import { isInterfaceName, isUnicast } from "../config/format.ts";
import {
  type Draft,
  type DraftSession,
  type DraftTunnel,
  entry,
  Names,
  type SessionEntry,
  type TunnelEntry,
} from "./draft.ts";
import type { Findings } from "./findings.ts";
import type { DeviceFact, IpSession, IpState, IpTunnel, Told } from "./ip-state.ts";
import type { Line } from "./source.ts";

/** Of UDP (RFC 3931 4.1.2). */
const L2TP_PORT = 1701;

/** A session of the kernel and everything that was said of its device. */
interface Equipped extends Told<IpSession> {
  device: string;
  /** The kernel gave the device its name. */
  readonly named: boolean;
  readonly facts: DeviceFact[];
}

/** The same tunnels, typed in as they are: the file that this machine can have in place of its `ip l2tp` commands. */
export function draftFromIp(state: IpState, findings: Findings): Draft {
  const sessions = equip(state, findings);
  const names = new Names();
  const tunnels = state.tunnels.flatMap((tunnel) => draftTunnel(tunnel, sessions, names, findings));
  for (const { line, netns, thing } of sessions) {
    if (state.tunnels.some((tunnel) => tunnel.netns === netns && tunnel.thing.tunnelId === thing.tunnelId)) continue;
    findings.left(line, `tunnel ${thing.tunnelId} is not there: give what ip l2tp show tunnel prints too`);
  }
  return { listen: [], tunnels };
}

/** Sessions without a name get l2tpeth0, l2tpeth1 … in order, as from the kernel; then devices are told to their sessions. */
function equip(state: IpState, findings: Findings): readonly Equipped[] {
  const taken = new Set(state.sessions.map(({ netns, thing }) => `${netns} ${thing.interface}`));
  const sessions = state.sessions.map((told): Equipped => {
    const given = told.thing.interface;
    return { ...told, device: given ?? nextDevice(told.netns, taken), named: given !== undefined, facts: [] };
  });
  for (const { device, thing, line, netns } of state.devices) {
    const session = sessions.find((each) => each.netns === netns && each.device === device);
    if (session === undefined)
      findings.left(line, `${device} is no device of these sessions: it stays yours to set up`);
    else if (thing.about === "name") session.device = thing.value;
    else if (thing.about === "mtu" && !isMtu(thing.value)) findings.left(line, `an mtu has to be from 576 to 9216`);
    else session.facts.push(thing);
  }
  return sessions;
}

function nextDevice(netns: string, taken: Set<string>): string {
  let number = 0;
  while (taken.has(`${netns} l2tpeth${number}`)) number += 1;
  taken.add(`${netns} l2tpeth${number}`);
  return `l2tpeth${number}`;
}

function isMtu(value: string): boolean {
  return /^\d{3,4}$/.test(value) && Number(value) >= 576 && Number(value) <= 9216;
}

function draftTunnel(
  { thing: tunnel, netns, line }: Told<IpTunnel>,
  sessions: readonly Equipped[],
  names: Names,
  findings: Findings,
): readonly DraftTunnel[] {
  const { remote = "", tunnelId, peerTunnelId } = tunnel;
  if (!isUnicast(remote) || peerTunnelId === undefined || peerTunnelId === 0) {
    findings.left(line, "a static tunnel needs the peer's address and tunnel id");
    return [];
  }
  const entries: readonly TunnelEntry[] = [
    ...entry("mode", "static"),
    ...entry("peer", remote),
    ...localOf(tunnel, line, findings),
    ...entry("netns", netns === "" ? undefined : netns),
    ...entry("local_tunnel_id", tunnelId),
    ...entry("remote_tunnel_id", peerTunnelId),
    ...(tunnel.encap === "ip" ? entry("encapsulation", "ip") : overUdp(tunnel)),
  ];
  const own = sessions.filter((each) => each.netns === netns && each.thing.tunnelId === tunnelId);
  const sessionNames = new Names();
  return [
    {
      name: names.take(`tunnel-${tunnelId}`),
      notes: [],
      entries,
      sessions: own.flatMap((session) => draftSession(session, sessionNames, findings)),
    },
  ];
}

/** How ip and its output say that any address will do. */
const ANY_ADDRESS = ["any", "all", "default", "0.0.0.0", "::", ""];

function localOf({ local = "" }: IpTunnel, line: Line, findings: Findings): readonly TunnelEntry[] {
  if (isUnicast(local)) return entry("local", local);
  if (!ANY_ADDRESS.includes(local)) findings.left(line, "its local is no address: the tunnel is made without one");
  return [];
}

function overUdp(tunnel: IpTunnel): readonly TunnelEntry[] {
  const { localPort = L2TP_PORT, peerPort = L2TP_PORT, remote = "" } = tunnel;
  return [
    ...entry("local_port", localPort === L2TP_PORT ? undefined : localPort),
    ...entry("peer_port", peerPort === L2TP_PORT ? undefined : peerPort),
    ...(remote.includes(":") ? checksumsOverIpv6(tunnel) : checksumsOverIpv4(tunnel)),
  ];
}

function checksumsOverIpv4({ checksum }: IpTunnel): readonly TunnelEntry[] {
  return entry("udp_checksum", checksum === false ? false : undefined, "as it was; true finds more errors");
}

function checksumsOverIpv6({ checksumTx = true, checksumRx = true }: IpTunnel): readonly TunnelEntry[] {
  if (checksumTx && checksumRx) return [];
  const note = checksumTx === checksumRx ? "" : "guessed: it differed in the two directions, here it cannot";
  return entry("udp_checksum", false, note);
}

const KERNEL_NAME = "guessed: the kernel's name for a device that was given none";

function draftSession(session: Equipped, names: Names, findings: Findings): readonly DraftSession[] {
  const { thing, line, device, named } = session;
  if (thing.peerSessionId === undefined || thing.sessionId === 0 || thing.peerSessionId === 0) {
    findings.left(line, "a static session needs both session ids");
    return [];
  }
  const isInterface = isInterfaceName(device);
  if (!isInterface) findings.left(line, "no interface can have its name: the session is made without one");
  const entries: readonly SessionEntry[] = [
    ...entry("local_session_id", thing.sessionId),
    ...entry("remote_session_id", thing.peerSessionId),
    ...entry("local_cookie", thing.peerCookie, "peer_cookie of ip l2tp"),
    ...entry("remote_cookie", thing.cookie, "cookie of ip l2tp"),
    ...layering(session, findings),
    ...(isInterface ? entry("interface", device, named ? "" : KERNEL_NAME) : []),
    ...deviceEntries(session.facts),
  ];
  const name = names.take(named && isInterface ? device : `session-${thing.sessionId}`);
  return [{ name, notes: [], entries }];
}

/** Sublayer and sequence numbers: one key each here, for both directions. */
function layering({ thing, line }: Equipped, findings: Findings): readonly SessionEntry[] {
  const { l2spec, sendSeq = false, recvSeq = false, reorderTimeout } = thing;
  const sublayer = l2spec ?? "default";
  const note = l2spec === undefined ? "guessed: ip l2tp show does not tell; it is the default of ip l2tp" : "";
  const entries = entry("l2_sublayer", sublayer, note);
  if (sendSeq !== recvSeq) {
    findings.left(line, `seq ${sendSeq ? "send" : "recv"}: sequencing of one direction has no equivalent`);
  }
  if (!(sendSeq && recvSeq)) return entries;
  if (sublayer === "none") {
    findings.left(line, "seq both without a sublayer does nothing: sequence numbers are carried in it");
    return entries;
  }
  return [...entries, ...entry("sequencing", "all"), ...entry("reorder_timeout", `${reorderTimeout ?? 0}ms`)];
}

function deviceEntries(facts: readonly DeviceFact[]): readonly SessionEntry[] {
  const last = (about: DeviceFact["about"]) => facts.findLast((fact) => fact.about === about)?.value;
  const all = (about: DeviceFact["about"]) => {
    const values = facts.filter((fact) => fact.about === about).map(({ value }) => value);
    return values.length === 0 ? undefined : [...new Set(values)];
  };
  const mtu = last("mtu");
  const bridge = last("bridge");
  return [
    ...entry("mtu", mtu === undefined ? undefined : Number(mtu)),
    ...entry("bridge", bridge),
    ...entry("isolated", bridge !== undefined && last("isolated") === "on" ? true : undefined),
    ...entry("addresses", all("address")),
    ...entry("routes", all("route")),
  ];
}
