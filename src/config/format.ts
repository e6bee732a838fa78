import { isIPv4, isIPv6 } from "node:net";
import { canonicalAddress, familyOf, isAnyAddress, isLinkLocal } from "../control/endpoint.ts";

/** What a value must look like. `allowed` completes the sentence "allowed: …". */
export interface Format<T> {
  /** Unique: convict knows formats by name. */
  readonly name: string;
  readonly allowed: string;
  accepts(value: unknown): value is T;
  /** The words that may be written, for "did you mean". */
  readonly choices?: readonly string[];
  /** What was meant, in the right form, where that can be guessed from a value of a wrong type. */
  readonly guess?: (value: unknown) => T | undefined;
  /** What is found is never shown, only what kind of value it is. */
  readonly confidential?: true;
  /** Of a list: the element that is wrong. */
  readonly culprit?: (value: unknown) => unknown;
}

export function matching<T>(name: string, allowed: string, accepts: (value: unknown) => value is T): Format<T> {
  return { name, allowed, accepts };
}

export function text(name: string, allowed: string, accepts: (value: string) => boolean): Format<string> {
  return { name, allowed, accepts: (value): value is string => typeof value === "string" && accepts(value) };
}

/** One of a few literals. */
export function oneOf<const T extends string | number>(name: string, choices: readonly T[]): Format<T> {
  const known: readonly unknown[] = choices;
  const listed = choices.map((choice) => JSON.stringify(choice));
  return {
    name,
    allowed: [listed.slice(0, -1).join(", "), listed.at(-1)].filter((part) => part !== "").join(" or "),
    accepts: (value): value is T => known.includes(value),
    choices: choices.filter((choice) => typeof choice === "string"),
  };
}

export function integer(name: string, minimum: number, maximum: number): Format<number> {
  return {
    name,
    allowed: `an integer from ${minimum} to ${maximum}`,
    accepts: (value): value is number =>
      Number.isInteger(value) && Number(value) >= minimum && Number(value) <= maximum,
    guess: (value) => (typeof value === "string" && /^\d{1,10}$/.test(value) ? Number(value) : undefined),
  };
}

export function listOf<T>(name: string, element: Format<T>): Format<readonly T[]> {
  return {
    name,
    allowed: `a list, each element ${element.allowed}`,
    accepts: (value): value is readonly T[] => Array.isArray(value) && value.every((item) => element.accepts(item)),
    culprit: (value) => (Array.isArray(value) ? value.find((item) => !element.accepts(item)) : value),
  };
}

const UNIT_MS = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
]);

/** Milliseconds of "500ms", "1.5s", "2m", "1h"; `undefined` for everything else, fractions of a millisecond included. */
export function parseDuration(value: string): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h)$/.exec(value);
  const unit = UNIT_MS.get(match?.[2] ?? "");
  if (match === null || unit === undefined) return undefined;
  const milliseconds = Number(match[1]) * unit;
  const rounded = Math.round(milliseconds);
  return Math.abs(milliseconds - rounded) < 1e-6 ? rounded : undefined;
}

/** A duration with its unit. `minimum` and `maximum` are written as they would be in the file; `orZero`: 0 is off. */
export function duration(name: string, minimum: string, maximum: string, orZero = false): Format<string> {
  const from = parseDuration(minimum) ?? Number.NaN;
  const to = parseDuration(maximum) ?? Number.NaN;
  const range = `a duration with a unit (ms, s, m, h) from "${minimum}" to "${maximum}"`;
  const format = text(name, orZero ? `${range}, or "0s" for off` : range, (value) => {
    const milliseconds = parseDuration(value);
    if (milliseconds === undefined) return false;
    return (orZero && milliseconds === 0) || (milliseconds >= from && milliseconds <= to);
  });
  return { ...format, guess: (value) => (typeof value === "number" ? `${value}s` : undefined) };
}

/** An unsigned 32-bit value, written as such or in dotted notation. */
export function parseRouterId(value: unknown): number | undefined {
  if (typeof value === "number")
    return Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff ? value : undefined;
  if (typeof value !== "string" || !isIPv4(value)) return undefined;
  return value.split(".").reduce((whole, part) => whole * 256 + Number(part), 0);
}

/** An IPv4 address that one machine can have: not 0.0.0.0/8, not multicast, not broadcast. */
function isUnicastIpv4(value: string): boolean {
  const first = Number(value.split(".")[0]);
  return isIPv4(value) && first > 0 && first < 224;
}

/** Letters, digits, hyphens and underscores in labels of 1 to 63; not an address, and the last label not a number. */
export function isDnsName(value: string): boolean {
  const labels = value.replace(/\.$/, "").split(".");
  const labelsFit = labels.every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label));
  return value.length <= 253 && labelsFit && !/^\d+$/.test(labels.at(-1) ?? "");
}

/** What Linux takes as the name of a network device (dev_valid_name), without the names that /proc/sys/net reserves. */
export function isInterfaceName(value: string): boolean {
  return /^[\x21-\x7e]{1,15}$/.test(value) && !/[/:%]/.test(value) && ![".", "..", "all", "default"].includes(value);
}

/** An address with its prefix length: "10.0.0.1/30", "2001:db8::1/64". */
export function isCidr(value: string): boolean {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(value);
  if (match === null) return false;
  const [, address = "", prefix = ""] = match;
  if (isIPv4(address)) return Number(prefix) <= 32;
  return isIPv6(address) && !address.includes("%") && Number(prefix) <= 128;
}

/** An address with its prefix length whose bits behind the prefix are 0: "10.2.0.0/16", "::/0". */
export function isNetwork(value: string): boolean {
  if (!isCidr(value)) return false;
  const [address = "", prefix = "0"] = value.split("/");
  return !bitsOf(address).slice(Number(prefix)).includes("1");
}

/** As the kernel writes it: "2001:DB8:0::/48" is "2001:db8::/48". */
export function canonicalNetwork(network: string): string {
  const [address = "", prefix = ""] = network.split("/");
  return `${canonicalAddress(address) ?? address}/${Number(prefix)}`;
}

/** `network`: an address with the length of the prefix that it shares with its neighbours. */
export function isWithin(address: string, network: string): boolean {
  const [start = "", prefix = ""] = network.split("/");
  if (isIPv4(start) !== isIPv4(address)) return false;
  return bitsOf(start).slice(0, Number(prefix)) === bitsOf(address).slice(0, Number(prefix));
}

/** A network, on the link itself or behind a router of it: "10.2.0.0/16", "10.2.0.0/16 via 10.0.0.2". */
export function isRoute(value: string): boolean {
  const [network = "", router, ...more] = value.split(" via ");
  if (!isNetwork(network) || more.length > 0) return false;
  if (router === undefined) return true;
  if (isIPv4(network.split("/")[0] ?? "")) return isUnicastIpv4(router);
  // The device is the link, so a link-local address needs no other.
  return isIPv6(router) && !router.includes("%") && (isUnicast(router) || isUnicast(`${router}%link`));
}

/** 32 or 128 zeros and ones. */
function bitsOf(address: string): string {
  if (isIPv4(address)) return binary(address.split(".").map(Number), 8);
  // A URL writes IPv6 in one way: lower case, no dotted part, at most one "::".
  const [before = "", after] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const [head, tail] = [before, after ?? ""].map((part) => (part === "" ? [] : part.split(":")));
  const known = [...(head ?? []), ...(tail ?? [])];
  const zeros = Array.from({ length: 8 - known.length }, () => "0");
  const groups = [...(head ?? []), ...zeros, ...(tail ?? [])];
  return binary(
    groups.map((group) => Number.parseInt(group, 16)),
    16,
  );
}

function binary(numbers: readonly number[], width: number): string {
  return numbers.map((number) => number.toString(2).padStart(width, "0")).join("");
}

/** A unicast address of either IP version; a link-local one needs its link ("fe80::1%eth0"), no other has one. */
export function isUnicast(value: string): boolean {
  if (isUnicastIpv4(value)) return true;
  const address = canonicalAddress(value);
  if (address === undefined || familyOf(address) === 4) return false;
  const [numbers = "", link] = address.split("%");
  // ff00::/8 is multicast, ::ffff:0:0/96 is IPv4 in disguise.
  if (/^ff..:|^::$|^::ffff:[^:]+:[^:]+$/.test(numbers)) return false;
  return isLinkLocal(numbers) ? link !== undefined && isInterfaceName(link) : link === undefined;
}

/** `undefined` unless it is udp:ADDRESS:PORT or ip:ADDRESS, IPv6 addresses in brackets. Port 0: over IP. */
export function parseListen(value: string): { readonly address: string; readonly port: number } | undefined {
  const match = /^(?:udp:(?<udp>.+):(?<port>\d{1,5})|ip:(?<ip>.+))$/.exec(value);
  const { udp, ip, port = "0" } = match?.groups ?? {};
  const address = listenAddress(udp ?? ip ?? "");
  if (address === undefined) return undefined;
  const fits = udp === undefined || (Number(port) >= 1 && Number(port) <= 65_535);
  return fits ? { address, port: Number(port) } : undefined;
}

/** `undefined` unless it is ADDRESS:PORT, an IPv6 address in brackets. */
export function parseHttpAddress(value: string): { readonly address: string; readonly port: number } | undefined {
  return parseListen(`udp:${value}`);
}

function listenAddress(text: string): string | undefined {
  const inBrackets = /^\[(.+)\]$/.exec(text)?.[1];
  const address = canonicalAddress(inBrackets ?? text);
  if (address === undefined || (familyOf(address) === 6) !== (inBrackets !== undefined)) return undefined;
  return isAnyAddress(address) || familyOf(address) === 4 || isUnicast(address) ? address : undefined;
}
