import type { Condition, Filter, Rule } from "./filter.ts";

/** What `iptables-save -t filter`, or `ip6tables-save`, prints. */
export function parseIptables(text: string, families: readonly number[]): Filter {
  const chains = new Map<string, Rule[]>();
  let drops = false;
  for (const line of text.split("\n")) {
    if (/^(?::INPUT|-P INPUT) DROP\b/.test(line)) drops = true;
    const [, chain, rest] = /^-A (\S+)(.*)$/.exec(line) ?? [];
    if (chain === undefined) continue;
    const rules = chains.get(chain) ?? [];
    chains.set(chain, [...rules, ...parseRule(line, wordsOf(rest ?? ""))]);
  }
  return { chains, inputs: [{ chain: "INPUT", drops, families }] };
}

function wordsOf(text: string): string[] {
  return Array.from(text.matchAll(/"(?:\\.|[^"])*"|\S+/g), ([word]) => word);
}

const KINDS: Readonly<Record<string, Condition["kind"]>> = {
  "-s": "source",
  "-p": "protocol",
  "-i": "device",
  "--dport": "port",
  "--dports": "port",
  "--state": "state",
  "--ctstate": "state",
};
/** Options with a word that says nothing of the packet, or whose meaning the options after it have. */
const SILENT = ["-m", "--comment", "--reject-with", "--log-prefix", "--log-level"];
const VERDICTS: Readonly<Record<string, "accept" | "drop" | "return">> = {
  ACCEPT: "accept",
  DROP: "drop",
  REJECT: "drop",
  RETURN: "return",
};
/** Targets after which the packet goes on. */
const GOING_ON = ["LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "AUDIT", "SET", "TRACE"];

function parseRule(text: string, words: readonly string[]): Rule[] {
  const conditions: Condition[] = [];
  let verdict: Rule["verdict"] | undefined;
  for (const [at, word] of words.entries()) {
    const value = words[at + 1] ?? "";
    if (!word.startsWith("-") || SILENT.includes(word)) continue;
    if (word === "-j" || word === "-g") verdict = verdictOf(word, value);
    else conditions.push(conditionOf(word, value, words[at - 1] === "!"));
  }
  return verdict === undefined ? [] : [{ text, conditions, verdict }];
}

function verdictOf(word: string, target: string): Rule["verdict"] | undefined {
  if (GOING_ON.includes(target)) return undefined;
  return VERDICTS[target] ?? { chain: target, comesBack: word === "-j" };
}

function conditionOf(word: string, value: string, negated: boolean): Condition {
  if (word === "--dst-type") return { kind: value === "LOCAL" ? "family" : "never", values: ["ipv4", "ipv6"], negated };
  return { kind: KINDS[word] ?? "unknown", values: value.split(","), negated };
}
