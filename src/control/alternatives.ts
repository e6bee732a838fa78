import { canonicalAddress, familyOf, familyOfLocal, isLinkLocal } from "./endpoint.ts";
import { ERROR, GENERAL_ERROR, type Result } from "./result-codes.ts";

const IPV6_IN_BRACKETS = /^\[([0-9A-Fa-f:.]+)\]$/;

/**
 * The LCCEs that a StopCCN or CDN with error 9, "try another, as directed", names: IPv4 addresses in dotted notation,
 * IPv6 addresses without their brackets, in the peer's order (RFC 3931 5.4.2). Whatever else stands there is left out;
 * none for any other result.
 */
export function alternativesOf(result: Result | undefined): readonly string[] {
  // An error code belongs to result 2 (RFC 3931 5.4.2).
  if (result?.result !== GENERAL_ERROR || result.error !== ERROR.tryAnotherDirected) return [];
  return (result.message ?? "").split(",").flatMap((part) => {
    const word = part.trim();
    const inBrackets = IPV6_IN_BRACKETS.exec(word)?.[1];
    const address = canonicalAddress(inBrackets ?? word);
    const hasBrackets = inBrackets !== undefined;
    return address !== undefined && (familyOf(address) === 6) === hasBrackets ? [address] : [];
  });
}

/** Those that can be reached from a local address; a link-local one from elsewhere says nothing without its link. */
export function reachableFrom(local: string, addresses: readonly string[]): string[] {
  const family = familyOfLocal(local);
  return addresses.filter((address) => !isLinkLocal(address) && (family === undefined || family === familyOf(address)));
}
