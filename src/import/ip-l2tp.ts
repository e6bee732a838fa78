import { type Findings, shownWord } from "./findings.ts";
import type { IpSession, IpState, IpTunnel } from "./ip-state.ts";
import type { Line } from "./source.ts";

/** Where a command stands, and what it tells. */
export interface Place {
  readonly state: IpState;
  readonly findings: Findings;
  readonly line: Line;
  readonly netns: string;
}

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

/** They say what is added, and have no value. */
const THINGS = ["tunnel", "session"] as const;

/** `ip l2tp add tunnel …` and `ip l2tp add session …` */
export function addL2tp(words: readonly string[], place: Place): void {
  const pairs = pairsOf(words);
  const thing = pairs.find(({ word }) => isThing(word))?.word;
  const fields = pairs.filter(({ word }) => !isThing(word));
  if (thing === "tunnel") addTunnel(fields, place);
  else if (thing === "session") addSession(fields, place);
  else place.findings.left(place.line, "is neither a tunnel nor a session");
}

interface Pair {
  readonly word: string;
  readonly value: string;
}

function pairsOf(words: readonly string[]): readonly Pair[] {
  const pairs: Pair[] = [];
  for (let at = 0; at < words.length; at += isThing(words[at] ?? "") ? 1 : 2) {
    pairs.push({ word: words[at] ?? "", value: words[at + 1] ?? "" });
  }
  return pairs;
}

function isThing(word: string): boolean {
  return THINGS.some((thing) => thing === word);
}

function addTunnel(pairs: readonly Pair[], { state, findings, line, netns }: Place): void {
  const { tunnelId, ...tunnel } = fieldsOf<IpTunnel>(pairs, TUNNEL_WORDS, findings, line);
  if (tunnelId === undefined) findings.left(line, "has no tunnel_id");
  else state.tunnel({ ...TUNNEL_STANDARD, ...tunnel, tunnelId }, line, netns);
}

function addSession(pairs: readonly Pair[], { state, findings, line, netns }: Place): void {
  const { seq, ...session } = fieldsOf<IpSession & { readonly seq: string }>(pairs, SESSION_WORDS, findings, line);
  const { tunnelId, sessionId } = session;
  if (tunnelId === undefined || sessionId === undefined) {
    findings.left(line, "needs tunnel_id and session_id");
    return;
  }
  const sequencing = { sendSeq: seq === "send" || seq === "both", recvSeq: seq === "recv" || seq === "both" };
  const standard = { l2spec: "default", reorderTimeout: 0 } as const;
  state.session({ ...standard, ...session, ...sequencing, tunnelId, sessionId }, line, netns);
}

/** Up to the first word that is unknown: whether it has a value, and so what the next ones are, is unknown too. */
function fieldsOf<T>(
  pairs: readonly Pair[],
  fields: Readonly<Record<string, Field<T>>>,
  findings: Findings,
  line: Line,
): Partial<T> {
  const found: Partial<Record<keyof T, unknown>> = {};
  for (const { word, value } of pairs) {
    if (IGNORED_WORDS.includes(word)) continue;
    const field = Object.hasOwn(fields, word) ? fields[word] : undefined;
    if (field === undefined) {
      findings.unknown(line, `: ${shownWord(word, line)}, and so what stands after it`);
      break;
    }
    const read = field[1](value);
    if (read === undefined) findings.unknown(line, `: the value of ${word}`);
    else found[field[0]] = read;
  }
  // Each field has the reader of its own type.
  return found as Partial<T>;
}
