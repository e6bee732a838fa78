import {
  CLASS_ROWS,
  type ClassFacts,
  INTERFACE_ROWS,
  type InterfaceFacts,
  LENT_ROWS,
  MANUAL_ROWS,
  type ManualFacts,
  PSEUDOWIRE_ROWS,
  type PseudowireFacts,
  SEQUENCING,
  SERVICE_ROWS,
} from "./cisco-facts.ts";
import { carriesEthernet, interfaceKey, interfaceName } from "./cisco-interfaces.ts";
import { type Block, type Row, readBlocks } from "./cisco-lines.ts";
import type { Findings } from "./findings.ts";
import type { Line, Source } from "./source.ts";

/** An `xconnect` and all that belongs to it. */
export interface Xconnect {
  readonly line: Line;
  /** Our own address. */
  readonly peer: string;
  readonly vcId: number;
  readonly manual: ManualFacts | undefined;
  readonly pseudowire: PseudowireFacts;
  readonly interfaceName: string;
  readonly circuit: InterfaceFacts;
}

export interface CiscoConfig {
  readonly hostname: string | undefined;
  readonly classes: ReadonlyMap<string, ClassFacts>;
  /** By `interfaceKey`. */
  readonly interfaces: ReadonlyMap<string, InterfaceFacts>;
  readonly xconnects: readonly Xconnect[];
}

const XCONNECT =
  /^xconnect (?<peer>\S+) (?<vc>\d{1,10})(?: encapsulation (?<encapsulation>\S+))?(?<manual> manual)?(?: pw-class (?<pw>\S+))?(?: sequencing (?<sequencing>both|transmit|receive))?$/;

/** A running configuration, or the parts of one that concern L2TPv3. */
export function readCisco(source: Source, findings: Findings): CiscoConfig {
  const blocks = readBlocks(source);
  const named = <F extends object>(header: string, rows: readonly Row<F>[]) =>
    new Map(
      blocks
        .filter(({ text }) => text.startsWith(header))
        .map((block) => [nameOf(block), readRows(block.below, rows, findings)]),
    );
  const classes = named("l2tp-class ", CLASS_ROWS);
  const pseudowires = named("pseudowire-class ", PSEUDOWIRE_ROWS);
  const lenders = [...pseudowires.values()].map(({ localInterface = "" }) => interfaceKey(localInterface));
  const interfaces = new Map<string, InterfaceFacts>();
  const xconnects: Xconnect[] = [];
  for (const place of placesOf(blocks)) {
    const { carried, strange, own } = circuitsOf(place);
    for (const { line } of strange) findings.left(line, "only Ethernet and VLAN circuits are carried");
    if (carried.length > 0 || lenders.includes(interfaceKey(place.name))) {
      const circuit = readRows(own, carried.length > 0 ? place.rows : LENT_ROWS, findings);
      interfaces.set(interfaceKey(place.name), circuit);
      xconnects.push(...carried.flatMap((each) => readXconnect(each, { ...place, circuit, pseudowires }, findings)));
    } else if (strange.length === 0) leaveInterface(place, findings);
  }
  const hostname = blocks.find(({ text }) => text.startsWith("hostname "));
  leaveOthers(blocks, findings);
  return { hostname: hostname === undefined ? undefined : nameOf(hostname), classes, interfaces, xconnects };
}

/** Where an xconnect may stand. */
interface CircuitPlace {
  readonly name: string;
  readonly line: Line;
  readonly below: readonly Block[];
  readonly rows: readonly Row<InterfaceFacts>[];
  readonly ethernet: boolean;
}

function placesOf(blocks: readonly Block[]): readonly CircuitPlace[] {
  return blocks.filter(isInterface).flatMap((block): readonly CircuitPlace[] => {
    const [services, own] = split(block.below, ({ text }) => text.startsWith("service instance "));
    const name = interfaceName(block.text.replace(/^interface /, ""));
    const ethernet = carriesEthernet(name);
    const inner = services.map(({ line, text, below }) => ({
      name: `${name} ${text}`,
      line,
      below,
      rows: SERVICE_ROWS,
      ethernet,
    }));
    return [{ name, line: block.line, below: own, rows: INTERFACE_ROWS, ethernet }, ...inner];
  });
}

/** Its xconnects, those that are no Ethernet apart, and its other lines. */
function circuitsOf({
  below,
  ethernet,
}: CircuitPlace): Readonly<Record<"carried" | "strange" | "own", readonly Block[]>> {
  const [ports, own] = split(below, isXconnect);
  const deeper = own.flatMap(xconnectsBelow);
  return ethernet ? { carried: ports, strange: deeper, own } : { carried: [], strange: [...ports, ...deeper], own };
}

function isXconnect({ text }: Block): boolean {
  return text.startsWith("xconnect ");
}

/** Those of a circuit within the interface: a PVC, a DLCI. */
function xconnectsBelow({ below }: Block): readonly Block[] {
  return below.flatMap((block) => (isXconnect(block) ? [block] : xconnectsBelow(block)));
}

function isInterface({ text }: Block): boolean {
  return text.startsWith("interface ");
}

function leaveInterface({ line, name }: CircuitPlace, findings: Findings): void {
  if (/^pseudowire\d/i.test(name)) findings.left(line, "l2vpn contexts are not read: xconnect is");
  else findings.needless(line, "no xconnect, and no pseudowire-class has its address");
}

function split<T>(list: readonly T[], isFirst: (each: T) => boolean): readonly [readonly T[], readonly T[]] {
  return [list.filter(isFirst), list.filter((each) => !isFirst(each))];
}

const OURS = /^(?:l2tp-class|pseudowire-class|interface|hostname) /;

function leaveOthers(blocks: readonly Block[], findings: Findings): void {
  for (const { line, text, below } of blocks) {
    if (OURS.test(text)) continue;
    const count = below.length === 0 ? "" : `, with ${below.length} below it`;
    findings.unknown(line, count);
  }
}

function nameOf({ text }: Block): string {
  return text.split(" ")[1] ?? "";
}

function readXconnect(
  { line, text, below }: Block,
  place: {
    readonly name: string;
    readonly circuit: InterfaceFacts;
    readonly pseudowires: ReadonlyMap<string, PseudowireFacts>;
  },
  findings: Findings,
): readonly Xconnect[] {
  const groups = XCONNECT.exec(text)?.groups ?? {};
  const { peer = "", vc, manual } = groups;
  const pseudowire = pseudowireOf(groups, place.pseudowires);
  if (vc === undefined || typeof pseudowire === "string") {
    findings.left(line, typeof pseudowire === "string" ? pseudowire : "not understood");
    return [];
  }
  const facts = readRows(below, MANUAL_ROWS, findings);
  const isManual = manual !== undefined || facts.localSessionId !== undefined;
  const circuit = { interfaceName: place.name, circuit: place.circuit };
  const own = { line, peer, vcId: Number(vc), manual: isManual ? facts : undefined };
  return [{ ...own, pseudowire, ...circuit }];
}

/** What the words of an xconnect and its pseudowire-class say together, or why that is not L2TPv3. */
function pseudowireOf(
  { encapsulation, pw, sequencing }: Readonly<Record<string, string | undefined>>,
  pseudowires: ReadonlyMap<string, PseudowireFacts>,
): PseudowireFacts | string {
  const named = pw === undefined ? {} : pseudowires.get(pw);
  if (named === undefined) return `there is no pseudowire-class ${pw}`;
  const carried = encapsulation ?? named.encapsulation;
  if (carried === undefined) return "not understood, or its encapsulation is not said";
  if (carried !== "l2tpv3") return `its encapsulation is ${carried}`;
  const way = SEQUENCING.find((each) => each === sequencing);
  return way === undefined ? named : { ...named, sequencing: way };
}

function readRows<F extends object>(blocks: readonly Block[], rows: readonly Row<F>[], findings: Findings): F {
  let facts: Partial<F> = {};
  for (const { line, text, below } of blocks) {
    const row = rows.find(({ pattern }) => pattern.test(text));
    facts = { ...facts, ...judge(row, line, text, facts, findings) };
    for (const deeper of below) if (!isXconnect(deeper)) findings.unknown(deeper.line);
  }
  // All facts of a section are optional.
  return facts as F;
}

function judge<F extends object>(
  row: Row<F> | undefined,
  line: Line,
  text: string,
  facts: Partial<F>,
  findings: Findings,
): Partial<F> {
  if (row === undefined) findings.unknown(line);
  else if (row.left !== undefined) findings.left(line, row.left);
  else if (row.needless !== undefined) findings.needless(line, row.needless);
  else {
    const taken = row.take?.(row.pattern.exec(text)?.groups ?? {}, facts as F);
    if (taken !== undefined) return taken;
    findings.left(line, "this value has no equivalent");
  }
  return {};
}
