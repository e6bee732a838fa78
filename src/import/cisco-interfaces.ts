/**
 * Kinds whose frames are Ethernet, in full and as they are typed: Ethernet, FastEthernet, TenGigE, Vlan, Port-channel,
 * Bundle-Ether.
 */
const ETHERNET =
  /^(?:[a-z-]*ether(?:net)?|[a-z]*gige|vlan|port-channel|e|et|eth|fa|gi|gig|te|ten|tw|twe|fo|hu|vl|po|be)\d/i;

/** "Loopback 0" is Loopback0; what follows the number ("point-to-point") is no part of the name. */
export function interfaceName(words: string): string {
  const [kind = "", number = ""] = words.split(" ");
  return /\d/.test(kind) || !/^\d/.test(number) ? kind : `${kind}${number}`;
}

/** By what two names of one interface are the same. */
export function interfaceKey(name: string): string {
  return name.toLowerCase();
}

/** Whether its circuit is Ethernet or a VLAN. */
export function carriesEthernet(name: string): boolean {
  return ETHERNET.test(name);
}
