import type { Condition, Filter, Rule } from "./filter.ts";

const FAMILIES: Readonly<Record<string, readonly number[]>> = { ip: [4], ip6: [6], inet: [4, 6] };
const BASE = /^type \S+ hook (?:input|prerouting)\b.*?(?:policy (accept|drop))?;?$/;

/** What `nft list ruleset` prints. */
export function parseNft(text: string): Filter {
  const chains = new Map<string, Rule[]>();
  const inputs: Filter["inputs"][number][] = [];
  for (const { table, chain, lines } of blocksOf(text)) {
    const key = `${table} ${chain}`;
    const families = FAMILIES[table.split(" ")[0] ?? ""] ?? [];
    const bases = lines.flatMap((line) => BASE.exec(line) ?? []);
    if (bases.length > 0) inputs.push({ chain: key, drops: bases.includes("drop"), families });
    chains.set(
      key,
      lines.flatMap((line) => parseRule(line, table)),
    );
  }
  return { chains, inputs };
}

interface Block {
  readonly table: string;
  readonly chain: string;
  readonly lines: string[];
}

/** Its chains. Long sets within a rule go over several lines. */
function blocksOf(text: string): readonly Block[] {
  const blocks: Block[] = [];
  let table = "";
  let lines: string[] = [];
  for (const line of text.replace(/\{ [^{}]*\}/g, (set) => set.replace(/\s+/g, " ")).split("\n")) {
    const [word, first = "", second = ""] = line.trim().split(/\s+/);
    if (word === "table") table = `${first} ${second}`;
    // What stands in a set or a flowtable is no rule.
    if (/^\s*\}|\{$/.test(line)) lines = [];
    else lines.push(line.trim());
    if (word === "chain") blocks.push({ table, chain: first, lines });
  }
  return blocks;
}

const VERDICT = /(?:^|\s)(?:(accept|drop|reject|return)\b.*|(jump|goto)\s+(\S+))$/;
/** What says nothing of the packet. */
const SILENT =
  /\bcomment "[^"]*"|\bcounter(?: packets \d+ bytes \d+)?|\blog(?: (?:prefix "[^"]*"|level \S+|flags \S+|group \d+))*|\bxt target "LOG"/g;

function parseRule(text: string, table: string): Rule[] {
  if (BASE.test(text)) return [];
  const plain = text.replace(SILENT, " ").trim();
  if (/\bvmap\b/.test(plain)) return parseMap(text, plain, table);
  const [, word, jump, chain] = VERDICT.exec(plain) ?? [];
  const conditions = parseConditions(plain.replace(VERDICT, ""));
  if (jump !== undefined) {
    return [{ text, conditions, verdict: { chain: `${table} ${chain}`, comesBack: jump === "jump" } }];
  }
  if (word === undefined) return [];
  const verdict = word === "accept" || word === "return" ? word : "drop";
  return [{ text, conditions, verdict }];
}

/** A map of verdicts: each of its entries is a rule. "ct state vmap { established : accept, invalid : drop }" */
function parseMap(text: string, plain: string, table: string): Rule[] {
  const [, before = "", entries] = /^(.*)\bvmap \{([^}]*)\}$/.exec(plain) ?? [];
  if (entries === undefined) return [{ text, conditions: [UNKNOWN], verdict: "accept" }];
  return entries.split(",").flatMap((entry) => {
    const [, key, verdict] = /^\s*(.*\S)\s+:\s+(.*\S)\s*$/.exec(entry) ?? [];
    return key === undefined ? [] : parseRule(`${before}${key} ${verdict}`, table).map((rule) => ({ ...rule, text }));
  });
}

const UNKNOWN: Condition = { kind: "unknown", values: [], negated: false };
const VALUE = "(!= )?(\\{[^}]*\\}|\\S+)";
const MATCHES: readonly (readonly [RegExp, Condition["kind"]])[] = [
  [new RegExp(`\\b(?:udp|th) dport ${VALUE}`), "port"],
  [new RegExp(`\\bip6? saddr ${VALUE}`), "source"],
  [new RegExp(`\\b(?:ip protocol|ip6 nexthdr|meta l4proto) ${VALUE}`), "protocol"],
  [new RegExp(`\\bmeta nfproto ${VALUE}`), "family"],
  [new RegExp(`\\bct state ${VALUE}`), "state"],
  [new RegExp(`\\bct status ${VALUE}`), "never"],
  [new RegExp(`\\biif(?:name)? ${VALUE}`), "device"],
  [/\b(?:tcp|icmp|icmpv6|sctp|igmp) (?:\S+) (!= )?(\{[^}]*\}|\S+)/, "never"],
  [/\bfib daddr type (!= )?(broadcast|multicast|anycast)/, "never"],
];

function parseConditions(text: string): Condition[] {
  const conditions: Condition[] = [];
  let rest = text.replace(/\bfib daddr type local\b/, "");
  for (const [pattern, kind] of MATCHES) {
    const [found, not, written = ""] = pattern.exec(rest) ?? [];
    if (found === undefined) continue;
    conditions.push({
      kind,
      values: written.split(/[{},\s"]+/).filter((value) => value !== ""),
      negated: not !== undefined,
    });
    rest = rest.replace(found, "");
  }
  return rest.trim() === "" ? conditions : [...conditions, UNKNOWN];
}
