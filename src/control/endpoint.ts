import type { Endpoint } from "./core.ts";

export type Encapsulation = "udp" | "ip";

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port;
}

/** L2TP over IP (RFC 3931 4.1.1) has no ports, and no UDP peer has port 0. */
export function encapsulationOf({ port }: Endpoint): Encapsulation {
  return port === 0 ? "ip" : "udp";
}

/** "192.0.2.1:1701", "[2001:db8::1]:1701"; over IP the address alone. */
export function endpointText({ address, port }: Endpoint): string {
  if (port === 0) return address;
  return familyOf(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

/** An address, as opposed to a DNS name. */
export function isAddress(host: string): boolean {
  return canonicalAddress(host) !== undefined;
}

/** The IP version of an address. */
export function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

/** The IP version that a configured local address stands for; `undefined`: whatever the peer's is ("auto", "@eth0"). */
export function familyOfLocal(local: string): 4 | 6 | undefined {
  return local === "auto" || local.startsWith("@") ? undefined : familyOf(local);
}

/** The address of that IP version that stands for any. */
export function anyAddress(family: 4 | 6): string {
  return family === 4 ? "0.0.0.0" : "::";
}

export function isAnyAddress(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

/** fe80::/10, which means something together with a link only. */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/.test(address);
}

/** The one form in which addresses are compared: IPv4 dotted, IPv6 as RFC 5952 has it, "%" and a link's name behind it. */
export function canonicalAddress(text: string): string | undefined {
  const [address = "", zone, ...more] = text.split("%");
  if (more.length > 0 || zone === "") return undefined;
  if (!address.includes(":")) return zone === undefined && isDotted(address) ? address : undefined;
  const groups = groupsOf(address);
  if (groups === undefined) return undefined;
  return `${compress(groups)}${zone === undefined ? "" : `%${zone}`}`;
}

function isDotted(text: string): boolean {
  return /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(text);
}

/** The eight 16-bit groups of an IPv6 address. */
function groupsOf(address: string): readonly number[] | undefined {
  const words = withoutDots(address);
  if (words === undefined) return undefined;
  const [head = "", tail, ...more] = words.split("::");
  if (more.length > 0) return undefined;
  const [before, after] = [hextets(head), hextets(tail ?? "")];
  if (before === undefined || after === undefined) return undefined;
  const missing = 8 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  return [...before, ...new Array<number>(missing).fill(0), ...after];
}

/** An IPv4 address at the end stands for the last two groups. */
function withoutDots(address: string): string | undefined {
  if (!address.includes(".")) return address;
  const at = address.lastIndexOf(":") + 1;
  const dotted = address.slice(at);
  if (!isDotted(dotted)) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = dotted.split(".").map(Number);
  return `${address.slice(0, at)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

function hextets(text: string): readonly number[] | undefined {
  if (text === "") return [];
  const words = text.split(":");
  return words.every((word) => /^[0-9a-f]{1,4}$/i.test(word))
    ? words.map((word) => Number.parseInt(word, 16))
    : undefined;
}

/** RFC 5952 4: small letters, no leading zeros, "::" for the longest run of two or more zero groups, the first of equals. */
function compress(groups: readonly number[]): string {
  let [start, length] = [0, 1];
  for (let at = 0; at < groups.length; at++) {
    let end = at;
    while (groups[end] === 0) end++;
    if (end - at > length) [start, length] = [at, end - at];
  }
  const words = groups.map((group) => group.toString(16));
  if (length < 2) return words.join(":");
  return `${words.slice(0, start).join(":")}::${words.slice(start + length).join(":")}`;
}
