import * as libc from "./libc.ts";
import { dump } from "./netlink-dump.ts";

/** IPsec policies of this network namespace (linux/xfrm.h). */

const NETLINK_XFRM = 6;
const XFRM_MSG_NEWPOLICY = 19;
const XFRM_MSG_GETPOLICY = 21;
const XFRMA_TMPL = 5;
/** struct xfrm_userpolicy_id: a selector, an index, a direction. */
const POLICY_ID_OCTETS = 64;
/** Places in struct xfrm_userpolicy_info. */
const SELECTOR = { destination: 0, port: 32, portMask: 34, family: 40, destinationPrefix: 42, protocol: 44 } as const;
const DIRECTION = 160;
const ACTION = 161;
const POLICY_OCTETS = 168;
const OUT = 1;
const BLOCK = 1;

/** A policy for what is sent. */
export interface OutgoingPolicy {
  readonly family: number;
  readonly destination: Uint8Array;
  readonly prefixLength: number;
  /** IP protocol; 0: any. */
  readonly protocol: number;
  /** Of the destination; 0: any. */
  readonly port: number;
  /** transform: into IPsec; pass: as it is; block: not at all. */
  readonly verdict: "transform" | "pass" | "block";
}

/** Throws a `KernelError`: EPERM without CAP_NET_ADMIN, EPROTONOSUPPORT where the kernel has no IPsec. */
export function outgoingPolicies(): OutgoingPolicy[] {
  const messages = dump(NETLINK_XFRM, XFRM_MSG_GETPOLICY, Buffer.alloc(POLICY_ID_OCTETS));
  return messages.flatMap(({ type, octets }) => (type === XFRM_MSG_NEWPOLICY ? (decodePolicy(octets) ?? []) : []));
}

/** The body of a XFRM_MSG_NEWPOLICY; `undefined` for what is not sent. */
export function decodePolicy(message: Buffer): OutgoingPolicy | undefined {
  if (message.length < POLICY_OCTETS || message[DIRECTION] !== OUT) return undefined;
  const family = message.readUInt16LE(SELECTOR.family);
  const anyPort = message.readUInt16BE(SELECTOR.portMask) === 0;
  const transforms = hasAttribute(message.subarray(POLICY_OCTETS), XFRMA_TMPL);
  return {
    family,
    destination: message.subarray(SELECTOR.destination, family === libc.AF_INET ? 4 : 16),
    prefixLength: message.readUInt8(SELECTOR.destinationPrefix),
    protocol: message.readUInt8(SELECTOR.protocol),
    port: anyPort ? 0 : message.readUInt16BE(SELECTOR.port),
    verdict: message[ACTION] === BLOCK ? "block" : transforms ? "transform" : "pass",
  };
}

function hasAttribute(attributes: Buffer, wanted: number): boolean {
  for (let offset = 0; offset + 4 <= attributes.length; ) {
    const length = attributes.readUInt16LE(offset);
    if (attributes.readUInt16LE(offset + 2) === wanted && length > 4) return true;
    if (length < 4) return false;
    offset += (length + 3) & ~3;
  }
  return false;
}

/** What becomes of L2TP to an address: by the first policy that fits, in the order of the kernel. */
export function verdictFor(
  policies: readonly OutgoingPolicy[],
  to: { readonly address: string; readonly protocol: number; readonly port: number },
): "protected" | "discarded" | "none" {
  const family = to.address.includes(":") ? libc.AF_INET6 : libc.AF_INET;
  const address = libc.inetPton(family, to.address.replace(/%.*/, ""));
  const policy = policies.find(
    (each) =>
      each.family === family &&
      startsWith(address, each.destination, each.prefixLength) &&
      (each.protocol === 0 || each.protocol === to.protocol) &&
      (each.port === 0 || each.port === to.port),
  );
  if (policy === undefined || policy.verdict === "pass") return "none";
  return policy.verdict === "block" ? "discarded" : "protected";
}

function startsWith(address: Uint8Array, prefix: Uint8Array, length: number): boolean {
  for (let bit = 0; bit < length; bit++) {
    const mask = 0x80 >> (bit % 8);
    const index = bit >> 3;
    if (((address[index] ?? 0) & mask) !== ((prefix[index] ?? 0) & mask)) return false;
  }
  return true;
}
