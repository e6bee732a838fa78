import { LEAST_IPV6_MTU, usesIpv6 } from "../config/devices.ts";
import type { DeviceFact } from "../kernel/devices.ts";
import { longerCookie, overheadOf } from "../kernel/inner-mtu.ts";
import { type Finding, finding, ok } from "./finding.ts";
import type { Plan } from "./plan.ts";

type Tunnel = Plan["tunnels"][number];
type Session = Tunnel["sessions"][number];

/** The way to a tunnel's peer, as far as it limits what a session carries. */
export interface Way {
  /** Of the peer. */
  readonly address: string;
  readonly mtu: number;
  /** IPsec adds to packets what `mtu` does not count. */
  readonly isProtected: boolean;
}

/** For each session whether its frames fit the way, and the bridge that they come from. `devices`: those of its namespace. */
export function checkMtu(tunnel: Tunnel, way: Way, devices: ReadonlyMap<string, DeviceFact>): Finding[] {
  // Only the tunnel's own packets go into ESP, and how long that makes them is up to its algorithms.
  const less = way.isProtected ? " less what IPsec adds" : "";
  return tunnel.sessions.map((session) => {
    const room = way.mtu - overhead(tunnel, session, way.address);
    const situation = { check: `MTU of session ${tunnel.name}/${session.name}`, room, less, isIpv6: usesIpv6(session) };
    const { mtu, bridge } = session;
    if (bridge !== undefined)
      return checkBridged(situation, session, { bridge, ...widestPort(bridge, session, devices) });
    return mtu === "auto" ? checkAuto(situation) : checkFixed(situation, mtu);
  });
}

/** What a session adds to a payload. The cookie that a peer will ask for is not known: it is taken to be as long as ours. */
function overhead({ encapsulation }: Tunnel, session: Session, address: string): number {
  const cookie = session.static === undefined ? new Uint8Array(session.cookieSize) : longerCookie(session.static);
  const layers = { encapsulation, family: address.includes(":") ? 6 : 4, vlan: session.vlan } as const;
  return overheadOf({ cookie, l2Sublayer: session.l2Sublayer }, layers);
}

interface Situation {
  readonly check: string;
  /** What the way carries of a session in one packet. */
  readonly room: number;
  /** The end of that number, where it is not all of it. */
  readonly less: string;
  readonly isIpv6: boolean;
}

/** A bridge, and its other ports. */
interface Bridge {
  readonly bridge: string;
  /** The one with the largest MTU; `undefined`: there is none yet. */
  readonly widest: { readonly name: string; readonly mtu: number } | undefined;
  /** MTU of the session's own device; `undefined`: it is not a port now. */
  readonly own: number | undefined;
}

function widestPort(bridge: string, { interfaceName }: Session, devices: ReadonlyMap<string, DeviceFact>) {
  const ports = [...devices].filter(([, device]) => device.bridge === bridge);
  const others = ports.filter(([name]) => name !== interfaceName).map(([name, { mtu }]) => ({ name, mtu }));
  const [widest] = others.sort((one, other) => other.mtu - one.mtu);
  return { widest, own: ports.find(([name]) => name === interfaceName)?.[1].mtu };
}

/** Linux's bridge drops a frame that exceeds the MTU of the port it leaves by, without an ICMP message. */
function checkBridged(situation: Situation, { mtu }: Session, { bridge, widest, own }: Bridge): Finding {
  const { check, room, less } = situation;
  const used = mtu === "auto" ? (own ?? room) : mtu;
  if (widest !== undefined && widest.mtu > used) {
    const amount = mtu !== "auto" ? mtu : own === undefined ? `auto: about ${room}${less}` : `auto: ${own}`;
    const found = `${amount}, but ${widest.name} in bridge ${bridge} has ${widest.mtu}`;
    const silence = "a bridge tells nobody that a frame was too long, it drops it";
    const fragments = `mtu = ${widest.mtu} at both ends (packets are fragmented)`;
    return finding(
      check,
      "warning",
      `${found}: ${silence}`,
      `${fragments}, or MTU ${used} on every host of the segment`,
    );
  }
  if (mtu === "auto") return checkAuto(situation);
  if (mtu <= room) return checkFixed(situation, mtu);
  return ok(
    check,
    `${mtu}: packets are fragmented, for the route leaves room for ${room}${less}; bridge ${bridge} drops no frame`,
  );
}

function checkAuto({ check, room, less, isIpv6 }: Situation): Finding {
  if (isIpv6 && room < LEAST_IPV6_MTU) {
    const found = `auto: about ${room}${less}, and IPv6 needs ${LEAST_IPV6_MTU}: the session cannot come up`;
    const widen = `raise the MTU of the path by ${LEAST_IPV6_MTU - room}`;
    const anyway = `set mtu = ${LEAST_IPV6_MTU} (packets fragment)`;
    return finding(check, "error", found, `${widen}, ${anyway}, or leave out the IPv6 addresses and routes`);
  }
  if (room >= 1500) return ok(check, `auto: ${room}${less}`);
  const advice = "give every device in this segment that MTU, or raise the MTU of the path";
  return finding(check, "note", `auto: about ${room}${less}, not the 1500 of Ethernet`, advice);
}

function checkFixed({ check, room, less, isIpv6 }: Situation, mtu: number): Finding {
  if (mtu <= room) return ok(check, `${mtu} of ${room}${less}`);
  const widen = `raise the MTU of the path by ${mtu - room}`;
  const advice =
    isIpv6 && room < LEAST_IPV6_MTU
      ? `${widen}; less than ${LEAST_IPV6_MTU} carries no IPv6`
      : `set mtu = "auto" or ${room} at most, or ${widen}`;
  return finding(check, "warning", `${mtu}, but the route leaves room for ${room}${less}: packets fragment`, advice);
}
