import { VLAN_TAG_OCTETS } from "./inner-mtu.ts";

/**
 * The tag of IEEE 802.1Q in an Ethernet frame, behind its two addresses.
 *
 *     destination, source (12 octets) | 0x8100 (TPID) | priority, DEI, VLAN (TCI) | type and payload
 *
 * Both functions move the twelve octets of the addresses and nothing else: they run once per packet.
 */

const ADDRESS_OCTETS = 12;
const TPID_HIGH = 0x81;
const TPID_LOW = 0x00;
/** Of the TCI's first octet: the other four bits are priority and DEI. */
const VLAN_HIGH_BITS = 0x0f;

/**
 * Tags the frame that begins 4 octets behind `start`: afterwards it begins at `start`. Priority and DEI are 0, as the kernel has
 * them by default.
 */
export function pushTag(octets: Uint8Array, start: number, vlan: number): void {
  for (let index = start; index < start + ADDRESS_OCTETS; index++) {
    octets[index] = octets[index + VLAN_TAG_OCTETS] as number;
  }
  const tag = start + ADDRESS_OCTETS;
  octets[tag] = TPID_HIGH;
  octets[tag + 1] = TPID_LOW;
  octets[tag + 2] = vlan >>> 8;
  octets[tag + 3] = vlan;
}

/**
 * Takes the tag off the frame at `start`, which then begins 4 octets behind it. False, and nothing changed, where the
 * outermost tag is another or there is none; whatever its priority is.
 */
export function popTag(octets: Uint8Array, start: number, length: number, vlan: number): boolean {
  const tag = start + ADDRESS_OCTETS;
  if (length < ADDRESS_OCTETS + VLAN_TAG_OCTETS + 2) return false;
  if (octets[tag] !== TPID_HIGH || octets[tag + 1] !== TPID_LOW) return false;
  const found = (((octets[tag + 2] as number) & VLAN_HIGH_BITS) << 8) + (octets[tag + 3] as number);
  if (found !== vlan) return false;
  for (let index = tag - 1; index >= start; index--) octets[index + VLAN_TAG_OCTETS] = octets[index] as number;
  return true;
}
