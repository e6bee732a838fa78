import { isCidr, isRoute } from "../config/format.ts";
import { type Findings, shownWord } from "./findings.ts";
import { addL2tp, type Place } from "./ip-l2tp.ts";
import type { DeviceFact, IpState } from "./ip-state.ts";
import { readCommands } from "./shell-words.ts";
import type { Source } from "./source.ts";

type Perform = (words: readonly string[], place: Place) => void;

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
  // As in the files of ip -batch.
  l2tp: (words, place) => performIp(["l2tp", ...words], place),
  link: (words, place) => performIp(["link", ...words], place),
  addr: (words, place) => performIp(["address", ...words], place),
  address: (words, place) => performIp(["address", ...words], place),
  route: (words, place) => performIp(["route", ...words], place),
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
  for (const { words, line, unknownVariables, remarks } of readCommands(source)) {
    const place = { state, findings, line, netns: "" };
    for (const remark of remarks) findings.left(line, remark);
    if (unknownVariables.length > 0) findings.left(line, `no plain value here: ${unknownVariables.join(", ")}`);
    else if (words.length > 0) perform(words, place);
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
  if (words.some((word) => /^--?b(?:atch)?$/.test(word))) {
    place.findings.left(place.line, "its commands are not here: give their file too");
    return;
  }
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
  findings.left(line, `${shownWord(word, line)} of ${device} ${NO_EQUIVALENT}`);
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
  else if (strange !== undefined) findings.left(line, `${shownWord(strange[0], line)} of an address has no equivalent`);
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
  else if (word !== undefined) findings.left(line, `${shownWord(word, line)} of a route has no equivalent`);
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
