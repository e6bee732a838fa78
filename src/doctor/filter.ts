import { BlockList, isIP } from "node:net";

/** A packet filter's rules for what arrives, of nft or iptables alike, as far as they tell whether a peer's datagrams get in. */
export interface Filter {
  /** By a name that is its own. */
  readonly chains: ReadonlyMap<string, readonly Rule[]>;
  /** Where a packet begins. It has to get through each of them. */
  readonly inputs: readonly { readonly chain: string; readonly drops: boolean; readonly families: readonly number[] }[];
}

export interface Rule {
  /** As the tool prints it. */
  readonly text: string;
  readonly conditions: readonly Condition[];
  readonly verdict: "accept" | "drop" | "return" | { readonly chain: string; readonly comesBack: boolean };
}

/** device, state: of what came in. never: about something else than L2TP. unknown: not understood here. */
export interface Condition {
  readonly kind: "source" | "port" | "protocol" | "state" | "device" | "family" | "never" | "unknown";
  readonly values: readonly string[];
  readonly negated: boolean;
}

/** The first datagram of a peer. */
export interface Datagram {
  readonly family: 4 | 6;
  readonly protocol: "udp" | "l2tp";
  /** `undefined`: not known. */
  readonly source: string | undefined;
  /** That it may be sent to. */
  readonly ports: ReadonlySet<number>;
}

/** What a filter does to a datagram, in words; none: it gets in. note: that cannot be told. */
export interface Doubt {
  readonly status: "note" | "warning";
  readonly found: string;
}

type Answer = "yes" | "no" | "perhaps";
/** named: by a rule that is about L2TP. */
type Outcome = { readonly verdict: "accept" | "drop"; readonly named: boolean; readonly text: string } | undefined;

/** Rules that call each other in a circle cannot be loaded; this is for texts that are not theirs. */
const MAX_DEPTH = 32;

export function judge(filter: Filter, datagram: Datagram): Doubt[] {
  const inputs = filter.inputs.filter(({ families }) => families.includes(datagram.family));
  return inputs.flatMap(({ chain, drops }) => {
    const walk = new Walk(filter.chains, datagram);
    const outcome = walk.through(chain, 0);
    if (outcome?.verdict === "accept" || (outcome === undefined && !drops)) return walk.doubts();
    return walk.refusal(outcome);
  });
}

class Walk {
  readonly #chains: Filter["chains"];
  readonly #datagram: Datagram;
  /** Rules that accept, or drop, something of which it cannot be told whether it is this datagram. */
  #accepting = false;
  readonly #dropping: string[] = [];

  constructor(chains: Filter["chains"], datagram: Datagram) {
    this.#chains = chains;
    this.#datagram = datagram;
  }

  doubts(): Doubt[] {
    return this.#dropping.map((text) => ({ status: "note", found: `whether this drops L2TP cannot be told: ${text}` }));
  }

  refusal(outcome: Outcome): Doubt[] {
    if (outcome?.named === true) return [{ status: "warning", found: outcome.text }];
    const how =
      outcome === undefined ? "input is dropped by default" : `what comes to this rule is dropped: ${outcome.text}`;
    if (!this.#accepting) return [{ status: "warning", found: `${how}, and no rule accepts L2TP` }];
    return [{ status: "note", found: `${how}, and whether a rule before accepts L2TP cannot be told` }];
  }

  /** `undefined`: it leaves the chain at its end. */
  through(chain: string, depth: number): Outcome {
    if (depth > MAX_DEPTH) return undefined;
    // After a rule that perhaps leaves the chain nothing is certain any more.
    let certain = true;
    for (const { rule, matches } of this.#concerned(chain)) {
      const sure = matches && certain;
      const outcome = this.#outcome(rule, depth);
      if (outcome !== undefined && (sure || outcome.named)) return outcome;
      this.#remember(outcome);
      if (outcome !== undefined || !leaves(rule)) continue;
      if (sure) return undefined;
      certain = false;
    }
    return undefined;
  }

  /** The rules that match, and those that perhaps do. */
  #concerned(chain: string) {
    const rules = this.#chains.get(chain) ?? [];
    return rules.flatMap((rule) => {
      const answer = allOf(rule.conditions.map((condition) => holds(condition, this.#datagram)));
      return answer === "no" ? [] : [{ rule, matches: answer === "yes" }];
    });
  }

  #outcome({ text, conditions, verdict }: Rule, depth: number): Outcome {
    if (typeof verdict === "object") return this.through(verdict.chain, depth + 1);
    if (verdict === "return") return undefined;
    const named = conditions.some((each) => isAboutL2tp(each) && holds(each, this.#datagram) === "yes");
    return { verdict, named, text };
  }

  #remember(outcome: Outcome): void {
    if (outcome?.verdict === "accept") this.#accepting = true;
    if (outcome?.verdict === "drop") this.#dropping.push(outcome.text);
  }
}

function leaves({ verdict }: Rule): boolean {
  return typeof verdict === "object" ? !verdict.comesBack : verdict === "return";
}

function allOf(answers: readonly Answer[]): Answer {
  if (answers.includes("no")) return "no";
  return answers.includes("perhaps") ? "perhaps" : "yes";
}

function isAboutL2tp({ kind, values, negated }: Condition): boolean {
  return !negated && (kind === "port" || (kind === "protocol" && values.some((value) => L2TP.includes(value))));
}

function holds(condition: Condition, datagram: Datagram): Answer {
  const answer = plainly(condition, datagram);
  if (!condition.negated || answer === "perhaps") return answer;
  return answer === "yes" ? "no" : "yes";
}

const UDP = ["udp", "17"];
const L2TP = ["l2tp", "115"];

function plainly({ kind, values }: Condition, { family, protocol, source, ports }: Datagram): Answer {
  switch (kind) {
    case "source":
      return source === undefined ? "perhaps" : anyOf(values, (value) => contains(value, source));
    case "port":
      return protocol === "udp" ? anyOf(values, (value) => isWithin(value, ports)) : "no";
    case "protocol":
      return anyOf(values, (value) => (protocol === "udp" ? UDP : L2TP).includes(value) || value === "all");
    case "state":
      return anyOf(values, (value) => value.toLowerCase() === "new");
    case "device":
      return values.every((value) => value === "lo") ? "no" : "perhaps";
    case "family":
      return anyOf(values, (value) => value === `ipv${family}`);
    case "never":
      return "no";
    case "unknown":
      return "perhaps";
  }
}

/** A named set ("@peers") is not looked into. */
function anyOf(values: readonly string[], matches: (value: string) => boolean): Answer {
  if (values.some(matches)) return "yes";
  return values.some((value) => value.startsWith("@")) ? "perhaps" : "no";
}

/** "192.0.2.0/24", "192.0.2.1-192.0.2.9", "2001:db8::1" */
function contains(value: string, address: string): boolean {
  const [from = "", to] = value.split("-");
  const [network = "", length] = from.split("/");
  if (isIP(network) === 0 || isIP(network) !== isIP(address)) return false;
  const family = isIP(network) === 4 ? "ipv4" : "ipv6";
  const list = new BlockList();
  try {
    if (to === undefined) list.addSubnet(network, Number(length ?? (family === "ipv4" ? 32 : 128)), family);
    else list.addRange(network, to, family);
    return list.check(address, family);
  } catch {
    return false;
  }
}

/** "1701", "1700-1710" of nft, "1700:1710" of iptables, "l2tp". */
function isWithin(value: string, ports: ReadonlySet<number>): boolean {
  const [from = Number.NaN, to = from] = value.split(/[-:]/).map((port) => (port === "l2tp" ? 1701 : Number(port)));
  return [...ports].some((port) => from <= port && port <= to);
}
