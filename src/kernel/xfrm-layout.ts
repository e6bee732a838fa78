import * as libc from "./libc.ts";

/** Messages about IPsec policies as the kernel lays them out (linux/xfrm.h), and what guards are known by. */

export const NETLINK_XFRM = 6;

/** struct xfrm_userpolicy_id: a selector, an index, a direction. */
export const POLICY_ID_OCTETS = 64;

/** struct xfrm_selector, which begins all of them. */
export const SELECTOR = {
  destination: 0,
  source: 16,
  destinationPort: 32,
  sourcePort: 36,
  family: 40,
  destinationPrefix: 42,
  sourcePrefix: 43,
  protocol: 44,
  device: 48,
  user: 52,
} as const;

/** struct xfrm_userpolicy_info. The limits are octets that the policy may carry: the kernel keeps them, no more. */
export const POLICY_OCTETS = 168;
export const LIMITS = { softOctets: 56, hardOctets: 64, end: 88 } as const;
export const PRIORITY = 152;
export const DIRECTION = 160;
export const ACTION = 161;
export const BLOCK = 1;

/**
 * "L2TP", in `SELECTOR.user`: the kernel compares that field of two selectors, and no packet with it. So no policy of
 * others has the selector of a guard, and asking for a guard finds nothing else.
 */
export const GUARD_MARK = 0x4c32_5450;

/** 4 or 16 octets. A link-local address without its link. */
export function addressOctets(address: string): Buffer {
  return libc.inetPton(address.includes(":") ? libc.AF_INET6 : libc.AF_INET, address.replace(/%.*/, ""));
}
