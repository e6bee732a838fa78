import { isCidr, isRoute } from "../config/format.ts";
import type { Findings } from "./findings.ts";
import type { DeviceFact, IpSession, IpState, IpTunnel } from "./ip-state.ts";
import { readCommands } from "./shell-words.ts";
import type { Line, Source } from "./source.ts";

interface Place {
  readonly state: IpState;
  readonly findings: Findings;
  readonly line: Line;
  readonly netns: string;
}

type Perform = (words: readonly string[], place: Place) => void;
type Reader = (word: string) => string | number | boolean | undefined;

/** As iproute2 reads numbers: decimal, or hexadecimal after 0x, or octal after 0. */
const number: Reader = (word) => {
  if (/^0[0-7]+$/.test(word)) return Number.parseInt(word, 8);
  return /^(?:\d+|0x[0-9a-f]+)$/i.test(word) ? Number(word) : undefined;
};
const text: Reader = (word) => word;
const cookie: Reader = (word) => (/^(?:[0-9a-f]{8}){1,2}$/i.test(word) ? word : undefined);
const onOff: Reader = (word) => ({ on: true, off: false })[word];
const oneOf =
  (...words: readonly string[]): Reader =>
  (word) =>
    words.find((each) => each === word.toLowerCase());

type Field<T> = readonly [field: keyof T, read: Reader];

/** The words of `ip l2tp add tunnel`, each with a value. */
const TUNNEL_WORDS: Readonly<Record<string, Field<IpTunnel>>> = {
  tunnel_id: ["tunnelId", number],
  tid: ["tunnelId", number],
  peer_tunnel_id: ["peerTunnelId", number],
  ptid: ["peerTunnelId", number],
  encap: ["encap", oneOf("udp", "ip")],
  local: ["local", text],
  remote: ["remote", text],
  udp_sport: ["localPort", number],
  udp_dport: ["peerPort", number],
  udp_csum: ["checksum", onOff],
  udp6_csum_tx: ["checksumTx", onOff],
  udp6_csum_rx: ["checksumRx", onOff],
};

/** What holds where they are not given. */
const TUNNEL_STANDARD = { encap: "udp", checksum: false, checksumTx: true, checksumRx: true } as const;

/** The words of `ip l2tp add session`, each with a value. */
const SESSION_WORDS: Readonly<Record<string, Field<IpSession & { readonly seq: string }>>> = {
  tunnel_id: ["tunnelId", number],
  tid: ["tunnelId", number],
  session_id: ["sessionId", number],
  sid: ["sessionId", number],
  peer_session_id: ["peerSessionId", number],
  psid: ["peerSessionId", number],
  name: ["interface", text],
  cookie: ["cookie", cookie],
  peer_cookie: ["peerCookie", cookie],
  l2spec_type: ["l2spec", oneOf("none", "default")],
  seq: ["seq", oneOf("none", "send", "recv", "both")],
};

/** iproute2 ignores them, and so do we. */
const IGNORED_WORDS = ["offset", "peer_offset"];

/** `ip OBJECT VERB …`; both words may be shortened, and the first row that fits is meant, as with ip. */
const IP_COMMANDS: readonly (readonly [object: string, verb: string, perform: Perform])[] = [
  ["address", "add", addAddress],
  ["address", "replace", addAddress],
  ["route", "add", addRoute],
  ["route", "replace", addRoute],
  ["route", "append", addRoute],
  ["link", "set", setLink],
  ["link", "add", addLink],
  ["link", "show", nothing],
  ["address", "show", nothing],
  ["l2tp", "add", addL2tp],
  ["l2tp", "show", nothing],
  ["netns", "exec", runInNamespace],
];

/** Other commands, by their first word. */
const COMMANDS: Readonly<Record<string, Perform>> = {
  ip: (words, place) => performIp(words, place),
  l2tp: (words, place) => performIp(["l2tp", ...words], place),
  brctl: performBrctl,
  bridge: performBridge,
  modprobe: ([module = ""], { findings, line }) => {
    if (module.startsWith("l2tp")) findings.needless(line, "the kernel's modules are loaded on demand");
    else findings.unknown(line);
  },
  set: nothing,
  echo: nothing,
  sleep: nothing,
  exit: nothing,
  true: nothing,
  ":": nothing,
};

const NO_EQUIVALENT = "has no equivalent: it stays to be done elsewhere";

/** `ip l2tp add …` and what else a script says of the same devices. */
export function readIpCommands(source: Source, state: IpState, findings: Findings): void {
  for (const { words, line, unknownVariables } of readCommands(source)) {
    const place = { state, findings, line, netns: "" };
    if (unknownVariables.length > 0)
      findings.left(line, `${[...new Set(unknownVariables)].join(" and ")} has no plain value here`);
    else perform(words, place);
  }
}

function perform([first = "", ...words]: readonly string[], place: Place): void {
  const name = first.split("/").at(-1) ?? "";
  if (Object.hasOwn(COMMANDS, name)) COMMANDS[name]?.(words, place);
  else place.findings.unknown(place.line);
}

function nothing(): void {
  // Changes nothing, so there is nothing to take over.
}

function performIp(words: readonly string[], place: Place): void {
  const { operands, netns } = withoutOptions(words, place.netns);
  const [object = "", verb = "", ...rest] = operands;
  const row = IP_COMMANDS.find(([first, second]) => isShort(object, first) && isShort(verb || "show", second));
  if (row === undefined) place.findings.left(place.line, NO_EQUIVALENT);
  else row[2](rest, { ...place, netns });
}

function isShort(word: string, whole: string): boolean {
  return word !== "" && (whole.startsWith(word) || (whole === "address" && word === "addr"));
}

/** `-n NAME` counts, all other options only say how things are shown or which IP version is meant. */
function withoutOptions(words: readonly string[], netns: string): { operands: readonly string[]; netns: string } {
  const [option = "", value = "", ...rest] = words;
  if (!option.startsWith("-")) return { operands: words, netns };
  if (/^--?n(?:etns)?$/.test(option)) return withoutOptions(rest, value);
  return withoutOptions(words.slice(1), netns);
}

function runInNamespace([netns = "", ...words]: readonly string[], place: Place): void {
  perform(words, { ...place, netns });
}

function addL2tp(words: readonly string[], place: Place): void {
  const rest = words.filter((word) => word !== "tunnel" && word !== "session");
  if (words.includes("session")) addSession(rest, place);
  else addTunnel(rest, place);
}

function addTunnel(words: readonly string[], { state, findings, line, netns }: Place): void {
  const { tunnelId, ...tunnel } = fieldsOf<IpTunnel>(words, TUNNEL_WORDS, findings, line);
  if (tunnelId === undefined) findings.left(line, "has no tunnel_id");
  else state.tunnel({ ...TUNNEL_STANDARD, ...tunnel, tunnelId }, line, netns);
}

function addSession(words: readonly string[], { state, findings, line, netns }: Place): void {
  const { seq, ...session } = fieldsOf<IpSession & { readonly seq: string }>(words, SESSION_WORDS, findings, line);
  const { tunnelId, sessionId } = session;
  if (tunnelId === undefined || sessionId === undefined) {
    findings.left(line, "needs tunnel_id and session_id");
    return;
  }
  const sequencing = { sendSeq: seq === "send" || seq === "both", recvSeq: seq === "recv" || seq === "both" };
  const standard = { l2spec: "default", reorderTimeout: 0 } as const;
  state.session({ ...standard, ...session, ...sequencing, tunnelId, sessionId }, line, netns);
}

function fieldsOf<T>(
  words: readonly string[],
  fields: Readonly<Record<string, Field<T>>>,
  findings: Findings,
  line: Line,
): Partial<T> {
  const found: Partial<Record<keyof T, unknown>> = {};
  for (const [word, value] of pairs(words)) {
    if (IGNORED_WORDS.includes(word)) continue;
    const field = Object.hasOwn(fields, word) ? fields[word] : undefined;
    const read = field?.[1](value);
    if (field === undefined || read === undefined)
      findings.unknown(line, `: ${field === undefined ? "" : "the value of "}${word}`);
    else found[field[0]] = read;
  }
  // Each field has the reader of its own type.
  return found as Partial<T>;
}

function pairs(words: readonly string[]): readonly (readonly [string, string])[] {
  return words.flatMap((word, index) => (index % 2 === 0 ? [[word, words[index + 1] ?? ""] as const] : []));
}

/** The words of `ip link set`, how many values follow each, and what they say. */
const LINK_WORDS: Readonly<Record<string, readonly [values: number, about: DeviceFact["about"] | undefined]>> = {
  up: [0, "up"],
  mtu: [1, "mtu"],
  master: [1, "bridge"],
  name: [1, "name"],
  isolated: [1, "isolated"],
  type: [1, undefined],
};

function setLink(words: readonly string[], place: Place): void {
  const { device: named, rest: others } = takeDevice(words);
  const [device = "", ...rest] = named === undefined ? words : [named, ...others];
  for (let at = 0; at < rest.length; ) {
    const word = rest[at] ?? "";
    const known = Object.hasOwn(LINK_WORDS, word) ? LINK_WORDS[word] : undefined;
    const value = known?.[0] === 0 ? "" : (rest[at + 1] ?? "");
    if (known === undefined) {
      // How many values an unknown word has is unknown too.
      tellRest(device, word, place);
      return;
    }
    if (known[1] !== undefined) place.state.device(device, { about: known[1], value }, place.line, place.netns);
    at += 1 + known[0];
  }
}

/** `dev DEVICE` may stand anywhere. */
function takeDevice(words: readonly string[]): {
  readonly device: string | undefined;
  readonly rest: readonly string[];
} {
  const at = words.indexOf("dev");
  return at < 0 ? { device: undefined, rest: words } : { device: words[at + 1], rest: words.toSpliced(at, 2) };
}

function tellRest(device: string, word: string, { findings, line }: Place): void {
  findings.left(line, `"${word}" of ${device} ${NO_EQUIVALENT}`);
}

function addLink(words: readonly string[], { findings, line }: Place): void {
  if (!words.join(" ").endsWith("type bridge")) findings.left(line, NO_EQUIVALENT);
  else findings.left(line, "a bridge has to be there before the daemon: it stays to be made elsewhere");
}

/** Words of `ip address add` whose value does not matter here. */
const ADDRESS_WORDS = ["brd", "broadcast", "label", "scope"];

function addAddress(words: readonly string[], { state, findings, line, netns }: Place): void {
  const { device, rest } = takeDevice(words);
  const [given = "", ...others] = rest[0] === "local" ? rest.slice(1) : rest;
  const address = withPrefix(given);
  const strange = pairs(others).find(([word]) => !ADDRESS_WORDS.includes(word));
  if (device === undefined || !isCidr(address)) findings.unknown(line);
  else if (strange !== undefined) findings.left(line, `"${strange[0]}" of an address has no equivalent`);
  else state.device(device, { about: "address", value: address }, line, netns);
}

function withPrefix(address: string): string {
  if (address.includes("/")) return address;
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

function addRoute(words: readonly string[], { state, findings, line, netns }: Place): void {
  const { device, rest } = takeDevice(words);
  const [network = "", ...others] = rest;
  const { via, ...strange } = Object.fromEntries(pairs(others));
  const any = via?.includes(":") === true ? "::/0" : "0.0.0.0/0";
  const route = `${network === "default" ? any : withPrefix(network)}${via === undefined ? "" : ` via ${via}`}`;
  const [word] = Object.keys(strange);
  if (device === undefined) findings.left(line, NO_EQUIVALENT);
  else if (word !== undefined) findings.left(line, `"${word}" of a route has no equivalent`);
  else if (!isRoute(route)) findings.unknown(line);
  else state.device(device, { about: "route", value: route }, line, netns);
}

/** `brctl addif BRIDGE DEVICE` */
function performBrctl(
  [verb, bridge = "", device = ""]: readonly string[],
  { state, findings, line, netns }: Place,
): void {
  if (verb === "addif") state.device(device, { about: "bridge", value: bridge }, line, netns);
  else findings.left(line, "a bridge has to be there before the daemon: it stays to be made elsewhere");
}

/** `bridge link set dev DEVICE isolated on` */
function performBridge(words: readonly string[], { state, findings, line, netns }: Place): void {
  const match = /^link set dev (\S+) isolated (on|off)$/.exec(words.join(" "));
  const [, device = "", value = ""] = match ?? [];
  if (match === null) findings.left(line, NO_EQUIVALENT);
  else state.device(device, { about: "isolated", value }, line, netns);
}
