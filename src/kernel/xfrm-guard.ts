import { readlinkSync } from "node:fs";
import { KernelError } from "./kernel-error.ts";
import { isLeftover } from "./leftovers.ts";
import * as libc from "./libc.ts";
import type { NetlinkRequest } from "./netlink-messages.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import type { Direction, PacketFlow, Policy } from "./xfrm.ts";
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

/**
 * Guards: policies that discard the packets of exactly one flow, both ways. Every other policy that covers it wins, so they
 * count only when there is none: then nothing leaves in clear, whoever sends it, and even when this process is gone.
 */

const XFRM_MSG_DELPOLICY = 20;
/** As XFRM_MSG_NEWPOLICY, but that one may exist. */
const XFRM_MSG_UPDPOLICY = 25;
/** Any other policy has a smaller number. */
const GUARD_PRIORITY = 0xffff_ff00;
const DIRECTIONS: readonly Direction[] = ["out", "in"];

/** Throws a `KernelError`: EPERM without CAP_NET_ADMIN. */
export function addGuard(flow: PacketFlow): void {
  const payloads = DIRECTIONS.map((direction) => guardMessage(flow, direction));
  const failed = ask(XFRM_MSG_UPDPOLICY, payloads).find((errno) => errno !== "");
  if (failed === undefined) return;
  const message = `cannot add an IPsec policy that keeps packets from leaving in clear: ${failed}`;
  throw new KernelError(message, { errno: failed, command: "XFRM_MSG_UPDPOLICY" });
}

/** It may be gone. Throws a `KernelError` where the kernel cannot be asked. */
export function removeGuard(flow: PacketFlow): void {
  ask(
    XFRM_MSG_DELPOLICY,
    DIRECTIONS.map((direction) => guardId(flow, direction)),
  );
}

/** Removes those among the policies that a process of ours has left behind which is dead for certain. */
export function removeLeftGuards(policies: readonly Policy[]): number {
  const left = policies.flatMap(({ guard }) => (guard !== undefined && isLeft(guard) ? [guard.id] : []));
  ask(XFRM_MSG_DELPOLICY, left);
  return left.length;
}

/** One with the number of this process is not its own: it has made none yet. */
function isLeft({ process: pid, namespace }: NonNullable<Policy["guard"]>): boolean {
  if (pid === process.pid && namespace === OWN_NAMESPACE) return true;
  return isLeftover({ process: pid, namespace: `pid:[${namespace}]` });
}

function ask(type: number, payloads: readonly Buffer[]): readonly string[] {
  if (payloads.length === 0) return [];
  const socket = new NetlinkSocket(NETLINK_XFRM);
  try {
    const requests = payloads.map((payload): NetlinkRequest => ({ type, flags: 0, payload: [payload] }));
    return socket.exchange(requests).map(({ errno }) => errno);
  } finally {
    socket.close();
  }
}

const OWN_NAMESPACE = readNamespace();

/** Inode of this process's PID namespace; 0: not known. */
function readNamespace(): number {
  try {
    return Number(/\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? 0);
  } catch {
    return 0;
  }
}

/** The body of XFRM_MSG_UPDPOLICY. */
export function guardMessage(flow: PacketFlow, direction: Direction): Buffer {
  const message = Buffer.alloc(POLICY_OCTETS);
  guardSelector(flow, direction).copy(message);
  // No limits, but two that say whose it is.
  message.fill(0xff, LIMITS.softOctets, LIMITS.end);
  message.writeBigUInt64LE(BigInt(process.pid), LIMITS.softOctets);
  message.writeBigUInt64LE(BigInt(OWN_NAMESPACE), LIMITS.hardOctets);
  message.writeUInt32LE(GUARD_PRIORITY, PRIORITY);
  message.writeUInt8(direction === "in" ? 0 : 1, DIRECTION);
  message.writeUInt8(BLOCK, ACTION);
  return message;
}

/** The body of XFRM_MSG_DELPOLICY, which is for a guard and for nothing else. */
export function guardId(flow: PacketFlow, direction: Direction): Buffer {
  const id = Buffer.alloc(POLICY_ID_OCTETS);
  guardSelector(flow, direction).copy(id);
  id.writeUInt8(direction === "in" ? 0 : 1, POLICY_ID_OCTETS - 4);
  return id;
}

function guardSelector({ protocol, local, remote }: PacketFlow, direction: Direction): Buffer {
  const selector = Buffer.alloc(SELECTOR.user + 4);
  const [source, destination] = direction === "out" ? [local, remote] : [remote, local];
  writeSide(selector, destination, [SELECTOR.destination, SELECTOR.destinationPrefix, SELECTOR.destinationPort]);
  writeSide(selector, source, [SELECTOR.source, SELECTOR.sourcePrefix, SELECTOR.sourcePort]);
  selector.writeUInt16LE(remote.address.includes(":") ? libc.AF_INET6 : libc.AF_INET, SELECTOR.family);
  selector.writeUInt8(protocol, SELECTOR.protocol);
  selector.writeUInt32LE(GUARD_MARK, SELECTOR.user);
  return selector;
}

/** The address 0.0.0.0 or "::" stands for any, as port 0 does. */
function writeSide(
  selector: Buffer,
  { address, port }: PacketFlow["local"],
  [at, prefix, ports]: readonly [number, number, number],
): void {
  const octets = address === undefined ? Buffer.alloc(0) : addressOctets(address);
  octets.copy(selector, at);
  selector.writeUInt8(octets.every((octet) => octet === 0) ? 0 : octets.length * 8, prefix);
  if (port === 0) return;
  selector.writeUInt16BE(port, ports);
  selector.writeUInt16BE(0xffff, ports + 2);
}
