import { isIPv4 } from "node:net";
import { interfaceName } from "./cisco-interfaces.ts";
import type { Row } from "./cisco-lines.ts";
import { type Password, readPassword } from "./cisco-password.ts";

/** An `l2tp-class`: the control connection. */
export interface ClassFacts {
  readonly hostname?: string;
  /** Passwords of `digest secret`, the newest first; two while the secret is being changed. */
  readonly secrets?: readonly Password[];
  readonly digest?: "md5" | "sha1";
  readonly hidden?: boolean;
  /** Challenge and response, with the password of `password`. */
  readonly authentication?: boolean;
  readonly password?: Password;
  /** Seconds. */
  readonly hello?: number;
  readonly cookieSize?: 4 | 8;
  readonly receiveWindow?: number;
  readonly retransmit?: Readonly<Record<string, string | number>>;
}

export const SEQUENCING = ["both", "transmit", "receive"] as const;

/** A `pseudowire-class`. */
export interface PseudowireFacts {
  readonly encapsulation?: string;
  readonly protocol?: "l2tpv3" | "l2tpv3ietf" | "none";
  readonly className?: string;
  /** As `interfaceName` writes it. */
  readonly localInterface?: string;
  /** What the router puts sequence numbers into, or expects them in. */
  readonly sequencing?: (typeof SEQUENCING)[number];
  readonly tos?: number;
  readonly ttl?: number;
  readonly df?: boolean;
}

export interface InterfaceFacts {
  readonly addresses?: readonly string[];
  readonly description?: string;
  /** Of `encapsulation dot1Q`. */
  readonly vlan?: number;
}

/** What stands below an `xconnect … manual`. */
export interface ManualFacts {
  readonly localSessionId?: number;
  readonly remoteSessionId?: number;
  /** Hexadecimal digits. */
  readonly localCookie?: string;
  readonly remoteCookie?: string;
}

const OWN_BUSINESS = "the router's own affair";
const ALWAYS = "done here in any case";

export const CLASS_ROWS: readonly Row<ClassFacts>[] = [
  { pattern: /^hostname (?<name>\S+)$/, take: ({ name = "" }) => ({ hostname: name }) },
  {
    pattern: /^digest(?: secret (?:(?<type>\d) )?(?<secret>\S+))?(?: hash (?<hash>md5|sha))?$/i,
    take: ({ type = "", secret, hash }, { secrets = [], digest }) => ({
      digest: hash === undefined ? (digest ?? "md5") : hash.toLowerCase() === "sha" ? "sha1" : "md5",
      secrets: secret === undefined ? secrets : [...secrets, readPassword(type, secret)],
    }),
  },
  { pattern: /^hidden$/, take: () => ({ hidden: true }) },
  { pattern: /^authentication$/, take: () => ({ authentication: true }) },
  {
    pattern: /^password (?:(?<type>\d) )?(?<secret>\S+)$/,
    take: ({ type = "", secret = "" }) => ({ password: readPassword(type, secret) }),
  },
  { pattern: /^hello (?<seconds>\d{1,5})$/, take: ({ seconds }) => ({ hello: Number(seconds) }) },
  { pattern: /^cookie size (?<size>4|8)$/, take: ({ size }) => ({ cookieSize: size === "4" ? 4 : 8 }) },
  {
    pattern: /^receive-window (?<window>\d{1,5})$/,
    take: ({ window }) => ({ receiveWindow: Number(window) }),
  },
  retransmit(/^retransmit retries (?<value>\d{1,2}|100)$/, "retries", Number),
  retransmit(/^retransmit initial retries (?<value>\d{1,2}|100)$/, "sccrq_retries", Number),
  { pattern: /^retransmit (?:initial )?retries \d+$/, left: "at most 100 retransmissions" },
  retransmit(/^retransmit timeout min (?<value>\d{1,2})$/, "initial", (value) => `${value}s`),
  retransmit(/^retransmit timeout max (?<value>\d{1,2})$/, "max", (value) => `${value}s`),
  {
    pattern: /^retransmit initial timeout (?:min|max) \d+$/,
    left: "the SCCRQ has no times of its own: retransmit.initial and max hold for it too",
  },
  { pattern: /^timeout setup \d+$/, left: "retransmit and reconnect say how long an attempt lasts" },
  { pattern: /^congestion-control$/, needless: ALWAYS },
  { pattern: /^(?:no (?:digest|hidden|authentication)|description .*)$/, needless: "the default" },
  { pattern: /^security /, left: "IPsec is set up outside the daemon" },
];

function retransmit(pattern: RegExp, key: string, read: (value: string) => string | number): Row<ClassFacts> {
  return { pattern, take: ({ value = "" }, { retransmit }) => ({ retransmit: { ...retransmit, [key]: read(value) } }) };
}

export const PSEUDOWIRE_ROWS: readonly Row<PseudowireFacts>[] = [
  { pattern: /^encapsulation (?<name>\S+)$/, take: ({ name = "" }) => ({ encapsulation: name }) },
  { pattern: /^protocol none$/, take: () => ({ protocol: "none" }) },
  {
    pattern: /^protocol (?<name>l2tpv3|l2tpv3ietf)(?: (?<class>\S+))?$/,
    take: ({ name, class: className }) => ({
      protocol: name === "l2tpv3" ? name : "l2tpv3ietf",
      ...(className === undefined ? {} : { className }),
    }),
  },
  {
    pattern: /^ip local interface (?<name>\S+(?: \d\S*)?)$/,
    take: ({ name = "" }) => ({ localInterface: interfaceName(name) }),
  },
  {
    pattern: /^sequencing (?<way>both|transmit|receive)$/,
    take: ({ way }) => ({ sequencing: SEQUENCING.find((each) => each === way) ?? "both" }),
  },
  { pattern: /^ip tos value (?<value>\d{1,3})$/, take: ({ value }) => takeTos(Number(value)) },
  { pattern: /^ip tos reflect$/, left: "tos is one value for all packets" },
  { pattern: /^ip ttl (?<value>\d{1,3})$/, take: ({ value }) => ({ ttl: Number(value) }) },
  { pattern: /^ip dfbit set$/, take: () => ({ df: true }) },
  { pattern: /^ip pmtu(?: .*)?$/, needless: 'mtu = "auto", the default, follows the path' },
  { pattern: /^ip protocol (?:l2tp|115)$/, needless: "IP protocol 115 is meant by encapsulation" },
  { pattern: /^ip protocol /, left: "only IP protocol 115 is spoken here" },
  { pattern: /^interworking /, left: "frames are carried as Ethernet" },
];

/** ECN bits cannot be set (RFC 9601). */
function takeTos(value: number): Partial<PseudowireFacts> | undefined {
  return value <= 252 && value % 4 === 0 ? { tos: value } : undefined;
}

export const INTERFACE_ROWS: readonly Row<InterfaceFacts>[] = [
  { pattern: /^description (?<text>.*)$/, take: ({ text = "" }) => ({ description: text }) },
  {
    // Packets bear the primary address, wherever it stands.
    pattern: /^ip address (?<address>\S+) \d+(?:\.\d+){3}(?<secondary> secondary)?$/,
    take: ({ address = "", secondary }, { addresses = [] }) => {
      if (!isIPv4(address)) return undefined;
      return { addresses: secondary === undefined ? [address, ...addresses] : [...addresses, address] };
    },
  },
  {
    pattern: /^ipv6 address (?<address>[0-9a-f:]+)\/\d+$/i,
    take: ({ address = "" }, { addresses = [] }) => ({ addresses: [...addresses, address] }),
  },
  {
    pattern: /^encapsulation dot1q (?<vlan>\d{1,4})$/i,
    take: ({ vlan }) => ({ vlan: Number(vlan) }),
  },
  { pattern: /^encapsulation dot1q /i, left: "a pseudowire carries one VLAN tag, or frames as they are" },
  { pattern: /^mtu \d+$/, left: 'mtu = "auto" holds here; a number in octets of payload can be given' },
  {
    pattern:
      /^(?:no )?(?:ip|ipv6|cdp|lldp|keepalive|mop|duplex|speed|negotiation|media-type|load-interval|shutdown|bandwidth|delay|switchport)\b/,
    needless: OWN_BUSINESS,
  },
];

export const MANUAL_ROWS: readonly Row<ManualFacts>[] = [
  {
    pattern: /^l2tp id (?<local>\d{1,10}) (?<remote>\d{1,10})$/,
    take: ({ local, remote }) => ({ localSessionId: Number(local), remoteSessionId: Number(remote) }),
  },
  {
    pattern: /^l2tp cookie (?<side>local|remote) (?<size>4|8) (?<low>\w+)(?: (?<high>\w+))?$/,
    take: ({ side, size, low = "", high }) => {
      const cookie = cookieOf(size === "8" ? 8 : 4, low, high);
      if (cookie === undefined) return undefined;
      return side === "local" ? { localCookie: cookie } : { remoteCookie: cookie };
    },
  },
  {
    pattern: /^l2tp hello \S+$/,
    left: 'mode = "static" sends no HELLO, and "hello-only" would need ids of the control connection that are not here',
  },
];

/** A service instance (EVC): which tags are left on the frames is a matter of `rewrite`. */
export const SERVICE_ROWS: readonly Row<InterfaceFacts>[] = [
  {
    pattern: /^(?:encapsulation|rewrite) /,
    left: 'guessed: a service instance makes pseudowire = "ethernet"; see which tags its frames bear',
  },
  ...INTERFACE_ROWS,
];

/** For what is read without being told of: lines of an interface that only lends its address. */
export const LENT_ROWS: readonly Row<InterfaceFacts>[] = [...INTERFACE_ROWS, { pattern: /./, needless: OWN_BUSINESS }];

/** Octets as they go over the wire: the high word, if there is one, before the low one. */
function cookieOf(size: 4 | 8, low: string, high = "0"): string | undefined {
  const words = (size === 4 ? [low] : [high, low]).map(wordOf);
  if (words.some((word) => word === undefined)) return undefined;
  return words.map((word) => (word ?? 0).toString(16).padStart(8, "0")).join("");
}

/** Decimal, or hexadecimal where 0x or a letter says so. */
function wordOf(text: string): number | undefined {
  const isHex = /^0x/i.test(text) || /[a-f]/i.test(text);
  const digits = text.replace(/^0x/i, "");
  if (!/^[0-9a-f]{1,10}$/i.test(digits)) return undefined;
  const value = Number.parseInt(digits, isHex ? 16 : 10);
  return value <= 0xffff_ffff ? value : undefined;
}
