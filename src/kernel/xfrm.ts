import * as libc from "./libc.ts";
import { dump } from "./netlink-dump.ts";
import {
  ACTION,
  addressOctets,
  BLOCK,
  DIRECTION,
  GUARD_MARK,
  LIMITS,
  NETLINK_XFRM,
  POLICY_ID_OCTETS,
  POLICY_OCTETS,
  PRIORITY,
  SELECTOR,
} from "./xfrm-layout.ts";

/** IPsec policies of this network namespace (linux/xfrm.h), and what they make of a tunnel's packets. */

const XFRM_MSG_NEWPOLICY = 19;
const XFRM_MSG_GETPOLICY = 21;
const DIRECTIONS: Readonly<Record<number, Direction>> = { 0: "in", 1: "out" };
const XFRMA_TMPL = 5;
const XFRMA_POLICY_TYPE = 16;
const XFRMA_MARK = 21;
const XFRMA_IF_ID = 31;
/** struct xfrm_user_tmpl. */
const TEMPLATE = { octets: 64, protocol: 20, optional: 50 } as const;
/** ESP and AH. */
const PROTECTING: readonly number[] = [50, 51];

export type Direction = "in" | "out";

/** Between which two ends, and by what: UDP, or protocol 115 without ports. */
export interface PacketFlow {
  readonly protocol: typeof libc.IPPROTO_UDP | typeof libc.IPPROTO_L2TP;
  /** `undefined`: not known. "0.0.0.0" and "::" in a guard: whatever address it is. Port 0: any, or none. */
  readonly local: { readonly address: string | undefined; readonly port: number };
  readonly remote: { readonly address: string; readonly port: number };
}

/** A policy that this program made: see `xfrm-guard.ts`. */
interface Guard {
  /** Whose it is. */
  readonly process: number;
  /** Inode of that process's PID namespace. */
  readonly namespace: number;
  /** The body of XFRM_MSG_DELPOLICY for it. */
  readonly id: Buffer;
}

interface Side {
  readonly address: Uint8Array;
  readonly prefixLength: number;
  readonly port: number;
  /** 0: any port. */
  readonly portMask: number;
}

/** A policy for what a socket without mark sends or receives. */
export interface Policy {
  readonly direction: Direction;
  readonly family: number;
  readonly source: Side;
  readonly destination: Side;
  /** IP protocol; 0: any. */
  readonly protocol: number;
  /** The lowest number wins. */
  readonly priority: number;
  /** transform: into IPsec, always; pass: as it is; block: not at all. */
  readonly verdict: "transform" | "pass" | "block";
  readonly guard: Guard | undefined;
}

/** Throws a `KernelError`: EPERM without CAP_NET_ADMIN, EPROTONOSUPPORT where the kernel has no IPsec. */
export function listPolicies(): Policy[] {
  const messages = dump(NETLINK_XFRM, XFRM_MSG_GETPOLICY, Buffer.alloc(POLICY_ID_OCTETS));
  return messages.flatMap(({ type, octets }) => (type === XFRM_MSG_NEWPOLICY ? (decodePolicy(octets) ?? []) : []));
}

/** The body of a XFRM_MSG_NEWPOLICY; `undefined` for one that a tunnel's packets never meet. */
export function decodePolicy(message: Buffer): Policy | undefined {
  const direction = DIRECTIONS[message.length < POLICY_OCTETS ? -1 : message.readUInt8(DIRECTION)];
  if (direction === undefined) return undefined;
  const attributes = attributesOf(message.subarray(POLICY_OCTETS));
  if (isForOthers(attributes)) return undefined;
  const isGuard = message.readUInt32LE(SELECTOR.user) === GUARD_MARK && message[ACTION] === BLOCK;
  const policy = {
    direction,
    family: message.readUInt16LE(SELECTOR.family),
    source: sideOf(message, SELECTOR.source, SELECTOR.sourcePrefix, SELECTOR.sourcePort),
    destination: sideOf(message, SELECTOR.destination, SELECTOR.destinationPrefix, SELECTOR.destinationPort),
    protocol: message.readUInt8(SELECTOR.protocol),
    priority: message.readUInt32LE(PRIORITY),
    verdict: message[ACTION] === BLOCK ? "block" : transforms(attributes.get(XFRMA_TMPL)) ? "transform" : "pass",
    guard: isGuard ? guardOf(message) : undefined,
  } as const;
  // For one device alone: that protects nothing for certain, while it may let something pass.
  const isOfDevice = message.readInt32LE(SELECTOR.device) !== 0;
  return isOfDevice && policy.verdict === "transform" ? undefined : policy;
}

function sideOf(message: Buffer, address: number, prefix: number, port: number): Side {
  const octets = message.readUInt16LE(SELECTOR.family) === libc.AF_INET ? 4 : 16;
  return {
    address: message.subarray(address, address + octets),
    prefixLength: message.readUInt8(prefix),
    port: message.readUInt16BE(port),
    portMask: message.readUInt16BE(port + 2),
  };
}

function guardOf(message: Buffer): Guard {
  const id = Buffer.alloc(POLICY_ID_OCTETS);
  message.copy(id, 0, 0, LIMITS.softOctets);
  id.writeUInt8(message.readUInt8(DIRECTION), POLICY_ID_OCTETS - 4);
  const [process = 0, namespace = 0] = [LIMITS.softOctets, LIMITS.hardOctets].map((place) =>
    Number(message.readBigUInt64LE(place)),
  );
  return { process, namespace, id };
}

function attributesOf(attributes: Buffer): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let offset = 0; offset + 4 <= attributes.length; ) {
    const length = attributes.readUInt16LE(offset);
    if (length < 4) break;
    found.set(attributes.readUInt16LE(offset + 2), attributes.subarray(offset + 4, offset + length));
    offset += (length + 3) & ~3;
  }
  return found;
}

/** For packets with a mark, for XFRM interfaces, or a sub-policy, which is looked at beside the others. */
function isForOthers(attributes: ReadonlyMap<number, Buffer>): boolean {
  const mark = attributes.get(XFRMA_MARK)?.readUInt32LE(0) ?? 0;
  const interfaceId = attributes.get(XFRMA_IF_ID)?.readUInt32LE(0) ?? 0;
  const type = attributes.get(XFRMA_POLICY_TYPE)?.readUInt8(0) ?? 0;
  return mark !== 0 || interfaceId !== 0 || type !== 0;
}

/** Whether one of the templates is ESP or AH that may not be left out ("level use"). */
function transforms(templates: Buffer | undefined): boolean {
  for (let at = 0; templates !== undefined && at + TEMPLATE.octets <= templates.length; at += TEMPLATE.octets) {
    const isOptional = templates.readUInt8(at + TEMPLATE.optional) !== 0;
    if (PROTECTING.includes(templates.readUInt8(at + TEMPLATE.protocol)) && !isOptional) return true;
  }
  return false;
}

/** What becomes of a flow's packets in one direction, guards apart; "none": no policy is for them. */
export function verdictFor(
  policies: readonly Policy[],
  flow: PacketFlow,
  direction: Direction,
): Policy["verdict"] | "none" {
  const family = flow.remote.address.includes(":") ? libc.AF_INET6 : libc.AF_INET;
  const [local, remote] = [endOf(flow.local), endOf(flow.remote)];
  const [source, destination] = direction === "out" ? [local, remote] : [remote, local];
  let best: Policy | undefined;
  for (const policy of policies) {
    const isOfKind = policy.direction === direction && policy.family === family && policy.guard === undefined;
    const isOfProtocol = policy.protocol === 0 || policy.protocol === flow.protocol;
    if (!isOfKind || !isOfProtocol || !covers(policy.source, source) || !covers(policy.destination, destination))
      continue;
    // The kernel lists the newest first, and among equals the oldest counts.
    if (best === undefined || policy.priority <= best.priority) best = policy;
  }
  return best?.verdict ?? "none";
}

interface End {
  readonly octets: Uint8Array | undefined;
  readonly port: number;
}

function endOf({ address, port }: PacketFlow["local"]): End {
  return { octets: address === undefined ? undefined : addressOctets(address), port };
}

function covers({ address, prefixLength, port, portMask }: Side, end: End): boolean {
  if (((end.port ^ port) & portMask) !== 0) return false;
  return end.octets === undefined || startsWith(end.octets, address, prefixLength);
}

function startsWith(address: Uint8Array, prefix: Uint8Array, length: number): boolean {
  for (let bit = 0; bit < length; bit++) {
    const mask = 0x80 >> (bit % 8);
    const index = bit >> 3;
    if (((address[index] ?? 0) & mask) !== ((prefix[index] ?? 0) & mask)) return false;
  }
  return true;
}

const WORDS = {
  none: "no IPsec policy protects",
  pass: "an IPsec policy lets pass in clear",
  block: "an IPsec policy discards",
} as const;

/** In words, what is missing for a flow to be protected both ways; `undefined`: nothing. */
export function protectionFlaw(policies: readonly Policy[], flow: PacketFlow): string | undefined {
  const [out, into] = [verdictFor(policies, flow, "out"), verdictFor(policies, flow, "in")];
  if (out === "transform" && into === "transform") return undefined;
  const what = flow.protocol === libc.IPPROTO_UDP ? "UDP" : "IP protocol 115";
  const [from, to] = [endText(flow.local), endText(flow.remote)];
  if (out === into && out !== "transform") return `${WORDS[out]} ${what} between ${from} and ${to}`;
  if (out !== "transform") return `${WORDS[out]} ${what} sent from ${from} to ${to}`;
  return `${WORDS[into === "transform" ? "none" : into]} ${what} received from ${to} at ${from}`;
}

function endText({ address = "this machine", port }: PacketFlow["local"]): string {
  return port === 0 ? address : `${address} port ${port}`;
}
