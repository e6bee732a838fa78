import {
  type AttributeValues,
  decodeAttributes,
  encodeAttributes,
  genericAttributes,
  genericPayload,
  type NetlinkRequest,
  nested,
  octets,
  text,
  u8,
  u16,
  u32,
  u64,
} from "./netlink-messages.ts";
import type { NetlinkAnswer } from "./netlink-socket.ts";

/** The kernel's generic netlink family "l2tp" (include/uapi/linux/l2tp.h). *Tunnel* is its word for control connection. */

export const L2TP_FAMILY_NAME = "l2tp";
const L2TP_GENL_VERSION = 1;

export const L2TP_COMMANDS = {
  L2TP_CMD_TUNNEL_CREATE: 1,
  L2TP_CMD_TUNNEL_DELETE: 2,
  L2TP_CMD_TUNNEL_GET: 4,
  L2TP_CMD_SESSION_CREATE: 5,
  L2TP_CMD_SESSION_DELETE: 6,
  L2TP_CMD_SESSION_GET: 8,
} as const;

export type L2tpCommand = keyof typeof L2TP_COMMANDS;

/** Counted since the session was made. */
const STATISTICS = {
  sentPackets: [1, u64],
  sentOctets: [2, u64],
  sendErrors: [3, u64],
  receivedPackets: [4, u64],
  receivedOctets: [5, u64],
  sequenceDiscards: [6, u64],
  receiveErrors: [8, u64],
  cookieDiscards: [10, u64],
} as const;

export const L2TP_ATTRIBUTES = {
  pseudowireType: [1, u16],
  encapsulation: [2, u16],
  l2SublayerType: [5, u8],
  protocolVersion: [7, u8],
  interfaceName: [8, text],
  connectionId: [9, u32],
  peerConnectionId: [10, u32],
  sessionId: [11, u32],
  peerSessionId: [12, u32],
  /** What we put into packets: the peer's Assigned Cookie. */
  cookie: [15, octets],
  /** What we expect in packets: our own Assigned Cookie. */
  peerCookie: [16, octets],
  receiveSequencing: [18, u8],
  sendSequencing: [19, u8],
  lnsMode: [20, u8],
  /** Milliseconds. */
  reorderTimeout: [22, u64],
  fd: [23, u32],
  statistics: [30, nested(STATISTICS)],
} as const;

export type L2tpAttributes = AttributeValues<typeof L2TP_ATTRIBUTES>;

export const PROTOCOL_VERSION_3 = 3;
export const ENCAPSULATIONS = { udp: 0, ip: 1 } as const;
/** IANA pseudowire type Ethernet, the only one that the kernel makes. */
export const PSEUDOWIRE_ETHERNET = 5;
export const L2_SUBLAYER_TYPES = { none: 0, default: 1 } as const;

export interface L2tpCall {
  readonly command: L2tpCommand;
  readonly attributes: L2tpAttributes;
}

export interface L2tpAnswer {
  /** "": done; else "EEXIST". */
  readonly errno: string;
  readonly extendedAck: string;
  /** What GET commands bring. */
  readonly found: readonly L2tpAttributes[];
  /** The call may have been carried out or not. */
  readonly isUnknown?: true;
}

/** Sends the calls in their order; synchronous. `family` is what `resolveFamily` found. */
export function callL2tp(
  exchange: (requests: readonly NetlinkRequest[]) => readonly NetlinkAnswer[],
  family: number,
  calls: readonly L2tpCall[],
): L2tpAnswer[] {
  return exchange(calls.map((call) => encodeL2tpCall(family, call))).map(({ messages, ...answer }) => ({
    ...answer,
    found: messages.map((message) => decodeAttributes(L2TP_ATTRIBUTES, genericAttributes(message))),
  }));
}

export function encodeL2tpCall(family: number, { command, attributes }: L2tpCall): NetlinkRequest {
  const body = encodeAttributes(L2TP_ATTRIBUTES, attributes);
  return {
    type: family,
    flags: 0,
    payload: genericPayload(L2TP_COMMANDS[command], L2TP_GENL_VERSION, body),
  };
}

const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_VERSION = 1;
const CTRL_ATTRIBUTES = {
  familyId: [1, u16],
  familyName: [2, text],
  /** L2TP has one. */
  groups: [7, nested({ first: [1, nested({ id: [2, u32] } as const)] } as const)],
} as const;

export interface L2tpFamily {
  readonly id: number;
  /** The multicast group that hears of tunnels and sessions made and deleted. */
  readonly eventGroup: number | undefined;
}

/** A generic netlink family, `undefined` where the kernel has none. Asking makes it load the module. */
export function resolveFamily(
  exchange: (requests: readonly NetlinkRequest[]) => readonly NetlinkAnswer[],
  familyName: string,
): L2tpFamily | undefined {
  const payload = genericPayload(CTRL_CMD_GETFAMILY, CTRL_VERSION, encodeAttributes(CTRL_ATTRIBUTES, { familyName }));
  const [answer] = exchange([{ type: GENL_ID_CTRL, flags: 0, payload }]);
  const message = answer?.messages[0];
  const { familyId, groups } =
    message === undefined ? {} : decodeAttributes(CTRL_ATTRIBUTES, genericAttributes(message));
  return familyId === undefined ? undefined : { id: familyId, eventGroup: groups?.first?.id };
}

/** What the kernel announces of a deletion, before it has carried it out. */
export type L2tpNews =
  | { readonly type: "tunnel-deleted"; readonly connectionId: number; readonly peerConnectionId: number }
  | {
      readonly type: "session-deleted";
      readonly connectionId: number;
      readonly peerConnectionId: number;
      readonly sessionId: number;
      readonly peerSessionId: number;
    };

/** `undefined` for all other announcements. */
export function decodeL2tpNews(
  family: L2tpFamily,
  { type, octets: body }: { readonly type: number; readonly octets: Buffer },
): L2tpNews | undefined {
  if (type !== family.id) return undefined;
  const command = body[0];
  if (command !== L2TP_COMMANDS.L2TP_CMD_TUNNEL_DELETE && command !== L2TP_COMMANDS.L2TP_CMD_SESSION_DELETE)
    return undefined;
  const attributes = decodeAttributes(L2TP_ATTRIBUTES, genericAttributes(body));
  const { connectionId = 0, peerConnectionId = 0, sessionId = 0, peerSessionId = 0 } = attributes;
  return command === L2TP_COMMANDS.L2TP_CMD_TUNNEL_DELETE
    ? { type: "tunnel-deleted", connectionId, peerConnectionId }
    : { type: "session-deleted", connectionId, peerConnectionId, sessionId, peerSessionId };
}
