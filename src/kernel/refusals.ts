import type { SessionRequest } from "./datapath.ts";
import { l2tpDeviceOf } from "./device-names.ts";
import type { LinkCall, NamedCall } from "./links.ts";

/** What a `KernelError` is made of: plain data, because it crosses from the worker thread to the main thread. */
export interface Refusal {
  readonly message: string;
  readonly errno: string;
  readonly command: string;
  readonly extendedAck: string;
}

interface Answer {
  readonly errno: string;
  readonly extendedAck: string;
}

/** Reasons that mean the same whatever was asked. */
const COMMON: Readonly<Record<string, string>> = {
  EPERM: "not permitted: the daemon needs CAP_NET_ADMIN",
  ENOMEM: "the kernel is out of memory",
  ENOBUFS: "the kernel is out of memory",
  ENOSYS: "this kernel has no L2TP: module l2tp_netlink is missing",
  ECANCELED: "it was deleted before it was made",
};

/** `trial`: what was tried, as in "cannot make session 5". `reason` overrides the error number's general meaning. */
function refusal(command: string, trial: string, { errno, extendedAck }: Answer, reason: string | undefined): Refusal {
  const because = reason ?? COMMON[errno] ?? "the kernel refused it";
  const words = extendedAck === "" ? "" : `; the kernel says: ${extendedAck}`;
  return { message: `${trial}: ${because} (${errno}${words})`, errno, command, extendedAck };
}

const TUNNEL_REASONS: Readonly<Record<string, string>> = {
  EEXIST: "this machine has a tunnel with that id already (see: ip l2tp show tunnel)",
  EBADF: "its socket is closed",
  ENOTSOCK: "its descriptor is not a socket",
  EBUSY: "its socket carries a tunnel already",
  EPROTONOSUPPORT: "its socket is of another encapsulation",
  ERANGE: "tunnel ids are 1 to 4294967295",
  EINVAL: "its socket belongs to another network namespace, or the kernel rejects the ids",
};

export function tunnelRefusal(local: number, remote: number, answer: Answer): Refusal {
  const trial = `cannot make kernel tunnel ${local} (peer's id ${remote})`;
  return refusal("L2TP_CMD_TUNNEL_CREATE", trial, answer, TUNNEL_REASONS[answer.errno]);
}

/** What EEXIST was about: the kernel has one error number for the two. */
export type Taken = "interface" | "session";

export function sessionRefusal(session: SessionRequest, answer: Answer, taken: Taken | undefined): Refusal {
  const { localSessionId, localControlConnectionId } = session;
  const trial = `cannot make session ${localSessionId} of tunnel ${localControlConnectionId}`;
  return refusal("L2TP_CMD_SESSION_CREATE", trial, answer, sessionReason(l2tpDeviceOf(session), answer.errno, taken));
}

/** A device has the name that the sub-interface of a VLAN is to get. The kernel was not asked to make the session. */
export function takenNameRefusal({ localSessionId, localControlConnectionId, interfaceName }: SessionRequest): Refusal {
  const trial = `cannot make session ${localSessionId} of tunnel ${localControlConnectionId}`;
  const reason = sessionReason(interfaceName, "EEXIST", "interface");
  return refusal("RTM_NEWLINK", trial, { errno: "EEXIST", extendedAck: "" }, reason);
}

/** The kernel was not asked. */
export function flawedSessionRefusal(session: SessionRequest, flaw: string): Refusal {
  const trial = `cannot make session ${session.localSessionId} of tunnel ${session.localControlConnectionId}`;
  return refusal("L2TP_CMD_SESSION_CREATE", trial, { errno: "EINVAL", extendedAck: "" }, flaw);
}

function sessionReason(interfaceName: string, errno: string, taken: Taken | undefined): string | undefined {
  switch (errno) {
    case "EEXIST":
      if (taken === "interface") return `interface ${interfaceName} exists already; choose another name or remove it`;
      return "this machine has a session with that id already (see: ip l2tp show session)";
    case "ENODEV":
      return "the kernel has no such tunnel; was its socket closed?";
    case "EPROTONOSUPPORT":
      return "the kernel has no Ethernet pseudowires: module l2tp_eth is missing";
    case "EINVAL":
      return `the kernel rejects the interface name ${interfaceName} or the ids`;
    default:
      return undefined;
  }
}

/** `bridge`: the name of the bridge, where the call was about one. */
export function linkRefusal(interfaceName: string, call: LinkCall, answer: Answer, bridge: string): Refusal {
  const reason = linkReason(interfaceName, call, answer.errno, bridge);
  return refusal(call.command, `cannot ${linkTrial(interfaceName, call, bridge)}`, answer, reason);
}

/** Of a VLAN sub-interface that is to be made. */
const SUB_INTERFACE_REASONS: Readonly<Record<string, string>> = {
  EEXIST: "there is an interface of that name already; choose another name or remove it",
  EOPNOTSUPP: 'the kernel has no VLANs, load them with "modprobe 8021q": module 8021q is missing',
  ENODEV: "the L2TP interface below it is gone",
};

/** Of a route by way of a router. */
const UNREACHED: ReadonlySet<string> = new Set(["ENETUNREACH", "EHOSTUNREACH"]);

/** RFC 8200 5. */
const LEAST_IPV6_MTU = 1280;

/** Below that MTU the kernel takes IPv6 off a device altogether, and has other words for it. */
function ipv6LinkReason(interfaceName: string, call: LinkCall, errno: string): string | undefined {
  if (call.command === "RTM_NEWADDR" && errno === "EINVAL" && call.address.includes(":"))
    return `an MTU below ${LEAST_IPV6_MTU} carries no IPv6`;
  if (call.command === "RTM_NEWROUTE" && errno === "ENODEV" && call.destination.includes(":"))
    return `there is no interface ${interfaceName} (any more), or its MTU is below ${LEAST_IPV6_MTU}, which carries no IPv6`;
  return undefined;
}

function linkReason(interfaceName: string, call: LinkCall, errno: string, bridge: string): string | undefined {
  if (errno === "EEXIST" && call.command === "RTM_NEWROUTE")
    return `there is another route to it (see: ${routeListing(call.destination)})`;
  const ipv6Reason = ipv6LinkReason(interfaceName, call, errno);
  if (ipv6Reason !== undefined) return ipv6Reason;
  if (call.command === "RTM_NEWROUTE" && UNREACHED.has(errno))
    return `no address of ${interfaceName} reaches that router`;
  if ("lower" in call && SUB_INTERFACE_REASONS[errno] !== undefined) return SUB_INTERFACE_REASONS[errno];
  if (errno === "ENODEV") return `there is no interface ${interfaceName} (any more)`;
  if (errno === "EOPNOTSUPP" && "master" in call) return `${bridge} is not a bridge`;
  return undefined;
}

/** What shows the routes to a destination. */
export function routeListing(destination: string): string {
  const [network = ""] = destination.split(" ");
  return `ip ${network.includes(":") ? "-6 " : ""}route show exact ${network}`;
}

function linkTrial(interfaceName: string, call: LinkCall, bridge: string): string {
  if ("address" in call) {
    return call.command === "RTM_NEWADDR"
      ? `give interface ${interfaceName} the address ${call.address}`
      : `take the address ${call.address} from interface ${interfaceName}`;
  }
  if ("destination" in call) {
    if (call.command === "RTM_GETROUTE") return `find the route ${call.destination}`;
    const what = call.command === "RTM_NEWROUTE" ? "route" : "remove the route";
    return `${what} ${call.destination} through interface ${interfaceName}`;
  }
  return settingTrial(interfaceName, call, bridge);
}

function settingTrial(interfaceName: string, call: NamedCall, bridge: string): string {
  if ("lower" in call) return `make interface ${interfaceName} for the frames of VLAN ${call.vlan}`;
  if ("quiet" in call) return `keep interface ${interfaceName} from talking ${call.quiet}`;
  if ("isolated" in call) return `isolate interface ${interfaceName} in its bridge`;
  if ("alias" in call) return `mark interface ${interfaceName} as ours`;
  if ("mtu" in call) return `set the MTU of interface ${interfaceName} to ${call.mtu}`;
  if ("master" in call) {
    return bridge === ""
      ? `take interface ${interfaceName} out of its bridge`
      : `attach interface ${interfaceName} to bridge ${bridge}`;
  }
  if ("up" in call) return `set interface ${interfaceName} ${call.up ? "up" : "down"}`;
  return `find interface ${interfaceName}`;
}

export function noBridgeRefusal(interfaceName: string, bridge: string, answer: Answer): Refusal {
  const trial = `cannot attach interface ${interfaceName} to bridge ${bridge}`;
  return refusal("RTM_GETLINK", trial, answer, answer.errno === "ENODEV" ? `there is no bridge ${bridge}` : undefined);
}

export function unknownSessionRefusal(localSessionId: number, what: "up" | "down" | "change"): Refusal {
  const answer = { errno: "ENODEV", extendedAck: "" };
  const reason = "it was not made, or is deleted already";
  const trial =
    what === "change" ? `cannot change session ${localSessionId}` : `cannot set session ${localSessionId} ${what}`;
  return refusal("RTM_SETLINK", trial, answer, reason);
}

export function deletionRefusal(command: string, what: string, answer: Answer): Refusal {
  return refusal(command, `cannot delete ${what}`, answer, undefined);
}
