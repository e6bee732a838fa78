import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { expect, onTestFinished, test, vi } from "vitest";
import type { LcceConfiguration } from "../../../src/control/configuration.ts";
import type { Core } from "../../../src/control/core.ts";
import { Lcce, type LcceState } from "../../../src/control/lcce.ts";
import type { LogEntry } from "../../../src/daemon/log.ts";
import { type Change, savedState } from "../../../src/daemon/saved-state.ts";
import { JournalError, StateJournal } from "../../../src/daemon/state-journal.ts";
import { WriteAhead } from "../../../src/daemon/write-ahead.ts";
import { authentication, SECRET } from "../../support/authenticated-sites.ts";
import { A, B, lcce, session, tunnel } from "../../support/sites.ts";
import { SeededEntropy, VirtualLink, type VirtualNode } from "../../support/virtual-link.ts";

const SALT = Uint8Array.of(1, 2, 3);
const SEEDS = 12;

/** A journal as it is on a disk: what is read from it is another thing than what was written. */
class Paper {
  readonly records = new Map<string, Buffer>();
  removed = false;

  append(changes: Iterable<Change>): void {
    for (const [key, value] of changes) {
      if (value === undefined) this.records.delete(key);
      else this.records.set(key, serialize(value));
    }
  }

  remove(): void {
    this.removed = true;
  }

  read() {
    return savedState(new Map([...this.records].map(([key, octets]) => [key, deserialize(octets)])));
  }
}

/** Without what cannot be compared: connections, and timers of the same instant, have no order on paper. */
function comparable({ timers, ...state }: LcceState) {
  const idOf = ({ localControlConnectionId }: LcceState["connections"][number]) => localControlConnectionId;
  const connections = [...state.connections].sort((a, b) => idOf(a) - idOf(b));
  const octets = serialize({
    ...state,
    connections,
    timers: [...timers].sort((a, b) => a.at - b.at || (a.key < b.key ? -1 : 1)),
  });
  return deserialize(octets);
}

const silent = { write: () => {} };

/** Every turn of the node is on paper before its effects are performed. */
function keep(node: VirtualNode, link: VirtualLink, configuration: LcceConfiguration, check: (paper: Paper) => void) {
  const paper = new Paper();
  const source = { save: () => node.core.save() };
  const ahead = new WriteAhead(source, paper, configuration.tunnels, SALT, silent);
  const core: Core = ahead.watch(node.core);
  node.receive = (input) => node.perform(core.receive(input, link.now));
  node.expire = () => node.perform(core.expire(link.now));
  const perform = node.perform.bind(node);
  node.perform = (effects) => {
    ahead.commit();
    check(paper);
    perform(effects);
  };
  return { paper, ahead };
}

const SESSIONS = [session("x"), session("y", { cookieSize: 4 })];
const ofSecret = { authentication: authentication({ hidden: true }) };

function sites() {
  return {
    [A]: lcce("site-a", tunnel("b", { peer: B, sessions: SESSIONS, ...ofSecret }), tunnel("c", { peer: "192.0.2.9" })),
    [B]: lcce("site-b", tunnel("a", { peer: A, sessions: SESSIONS, ...ofSecret })),
  };
}

test("what is on paper is what the core knows, after every turn on a bad link", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const link = new VirtualLink();
    const chance = new SeededEntropy(seed);
    link.fate = () => (chance.uint32() % 5 === 0 ? [] : [1 + (chance.uint32() % 50)]);
    const configurations = sites();
    const a = link.add(A, configurations[A], seed);
    link.add(B, configurations[B], seed);
    let turns = 0;
    keep(a, link, configurations[A], (paper) => {
      turns += 1;
      expect(comparable(paper.read().lcce), `seed ${seed}, turn ${turns}`).toEqual(comparable(a.core.save()));
    });
    link.start();
    link.run(100_000);
    a.receive({ type: "circuit", interfaceName: "l2-x", condition: "down" });
    a.receive({ type: "close", tunnel: "b", session: "y" });
    link.run(30_000);
    a.receive({ type: "close", tunnel: "b" });
    link.run(60_000);
    expect(turns).toBeGreaterThan(30);
  }
});

test("whatever a crash leaves of it, on paper is what the core knew at some commit", () => {
  const folder = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-ahead-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "state");
  const link = new VirtualLink();
  const configurations = sites();
  const a = link.add(A, configurations[A]);
  link.add(B, configurations[B]);
  const { paper } = keep(a, link, configurations[A], () => {});
  const journal = new StateJournal(path, "boot");
  const states: { readonly size: number; readonly state: LcceState }[] = [];
  vi.spyOn(paper, "append").mockImplementation((changes) => {
    const state: LcceState = comparable(a.core.save());
    journal.append(changes);
    states.push({ size: statSync(path).size, state });
  });
  link.start();
  link.run(100_000);
  a.receive({ type: "close", tunnel: "b" });
  link.run(60_000);
  const octets = readFileSync(path);
  expect(states.at(-1)?.size).toBe(octets.length);
  expect(states.length).toBeGreaterThan(20);
  for (const [index, { size, state }] of states.entries()) {
    const former = states[index - 1];
    if (former === undefined) continue;
    for (let length = size; length >= former.size; length -= Math.ceil((size - former.size) / 4) || 1) {
      writeFileSync(path, octets.subarray(0, length));
      const records = new StateJournal(path, "boot").read() ?? new Map();
      expect(comparable(savedState(records).lcce), `${length} octets`).toEqual(length === size ? state : former.state);
    }
  }
});

test("of a tunnel that nothing happens to nothing is written", () => {
  const link = new VirtualLink();
  const configurations = sites();
  const a = link.add(A, configurations[A]);
  link.add(B, configurations[B]);
  const { paper } = keep(a, link, configurations[A], () => {});
  link.start();
  link.run(5_000);
  const written: string[] = [];
  const append = paper.append.bind(paper);
  vi.spyOn(paper, "append").mockImplementation((changes) => {
    const all = [...changes];
    for (const [key] of all) written.push(key.split(" ")[0] ?? "");
    append(all);
  });
  // HELLO after a minute, at both ends; and an attempt to reach a peer that is not there.
  link.run(70_000);
  expect(new Set(written)).toEqual(new Set(["lcce", "timer", "connection", "tunnel"]));
  expect([...paper.records.keys()].filter((key) => key.startsWith("session "))).toHaveLength(3);
});

/** Names of tunnels that have been looked at meanwhile. */
function lookedAt(paper: Paper, act: () => void): ReadonlySet<string> {
  const keys: string[] = [];
  const append = paper.append.bind(paper);
  const spy = vi.spyOn(paper, "append").mockImplementation((changes) => {
    const all = [...changes];
    keys.push(...all.map(([key]) => key));
    append(all);
  });
  act();
  spy.mockRestore();
  return new Set(keys.filter((key) => key.startsWith("tunnel ")));
}

const localIdOf = (node: VirtualNode, name: string) =>
  node.core
    .save()
    .tunnels.flatMap(({ sessions }) => sessions)
    .find((each) => each.name === name)?.localSessionId ?? 0;

test("an id means its session's tunnel for as long as the session has it, however it ends", () => {
  const link = new VirtualLink();
  const configurations = sites();
  const a = link.add(A, configurations[A]);
  link.add(B, configurations[B]);
  const { paper } = keep(a, link, configurations[A], () => {});
  link.start();
  link.run(5_000);
  const created = (localSessionId: number) =>
    lookedAt(paper, () => a.receive({ type: "session-created", localSessionId }));
  const former = localIdOf(a, "x");
  expect(former).not.toBe(0);
  expect(created(former)).toEqual(new Set(["tunnel b"]));

  // The connection is lost as a whole, and another one comes.
  const [{ localControlConnectionId } = { localControlConnectionId: 0 }] = a.core.save().connections;
  a.receive({ type: "tunnel-refused", localControlConnectionId, reason: "somebody has deleted it" });
  link.run(60_000);
  const later = localIdOf(a, "x");
  expect([0, former]).not.toContain(later);
  expect(created(later)).toEqual(new Set(["tunnel b"]));
  expect(created(former)).toEqual(new Set(["tunnel b", "tunnel c"]));

  const other = localIdOf(a, "y");
  const [b, c] = configurations[A].tunnels;
  if (b === undefined || c === undefined) throw new Error("unreachable");
  a.receive({ type: "configuration-changed", tunnels: [{ ...b, sessions: SESSIONS.slice(1) }, c] });
  expect(created(later)).toEqual(new Set(["tunnel b", "tunnel c"]));
  expect(created(other)).toEqual(new Set(["tunnel b"]));
  a.receive({ type: "configuration-changed", tunnels: [c] });
  expect(created(other)).toEqual(new Set(["tunnel c"]));
});

test("an id that the datapath has refused means nothing any more", () => {
  const link = new VirtualLink();
  const configurations = sites();
  const a = link.add(A, configurations[A]);
  link.add(B, configurations[B]);
  const { paper } = keep(a, link, configurations[A], () => {});
  const refused: number[] = [];
  a.datapath = {
    ...a.datapath,
    refuseSession: ({ localSessionId }) => {
      refused.push(localSessionId);
      return "no such device";
    },
  };
  link.start();
  link.run(30_000);
  expect(new Set(refused).size).toBeGreaterThan(2);
  for (const localSessionId of refused) {
    const tunnels = lookedAt(paper, () => a.receive({ type: "session-created", localSessionId }));
    expect(tunnels).toEqual(new Set(["tunnel b", "tunnel c"]));
  }
});

test("from a daemon that says goodbye nobody goes on", () => {
  const link = new VirtualLink();
  const configurations = sites();
  const a = link.add(A, configurations[A]);
  link.add(B, configurations[B]);
  const { paper, ahead } = keep(a, link, configurations[A], () => {});
  link.start();
  link.run(5_000);
  expect(paper.removed).toBe(false);
  expect(ahead.usable).toBe(true);
  const append = vi.spyOn(paper, "append");
  a.receive({ type: "shutdown" });
  expect(ahead.usable).toBe(false);
  link.run(5_000);
  expect(ahead.usable).toBe(false);
  expect(paper.removed).toBe(true);
  expect(append).not.toHaveBeenCalled();
});

test("no secret of the configuration is on paper", () => {
  const link = new VirtualLink();
  const configurations = sites();
  const a = link.add(A, configurations[A]);
  link.add(B, configurations[B]);
  const { paper } = keep(a, link, configurations[A], () => {});
  link.start();
  link.run(5_000);
  const everything = Buffer.concat([...paper.records.values()]);
  expect(everything.includes(Buffer.from(SECRET))).toBe(false);
  expect(everything.length).toBeGreaterThan(1_000);
});

test("what another configuration leaves out goes from the paper, and what it changes is written", () => {
  const link = new VirtualLink();
  const configurations = sites();
  const a = link.add(A, configurations[A]);
  link.add(B, configurations[B]);
  const { paper } = keep(a, link, configurations[A], () => {});
  link.start();
  link.run(5_000);
  const tunnels = [tunnel("b", { peer: B, sessions: [session("x")], helloIntervalMs: 7_000, ...ofSecret })];
  a.receive({ type: "configuration-changed", tunnels });
  const { lcce: state, configurations: known } = paper.read();
  const keys = [...paper.records.keys()].filter((key) => !/^(timer|connection) /.test(key));
  expect(keys.sort()).toEqual(["configuration b", "lcce", 'session ["b","x"]', "tunnel b"]);
  expect(known.get("b")?.tunnel.helloIntervalMs).toBe(7_000);
  expect(state.tunnels.map(({ state: { name } }) => name)).toEqual(["b"]);
});

test("a paper that nothing can be written on is thrown away, once, and said so", () => {
  const entries: LogEntry[] = [];
  const paper = new Paper();
  const append = vi.spyOn(paper, "append").mockImplementation(() => {
    throw new Error("no space left");
  });
  const configuration = sites()[A];
  const core = new Lcce(configuration, new SeededEntropy(1), 0);
  const ahead = new WriteAhead(core, paper, configuration.tunnels, SALT, { write: (entry) => entries.push(entry) });
  const watched = ahead.watch(core);
  watched.receive({ type: "start" }, 0);
  expect(ahead.usable).toBe(true);
  ahead.commit();
  expect(ahead.usable).toBe(false);
  watched.expire(10_000);
  ahead.commit();
  expect(ahead.usable).toBe(false);
  expect(append).toHaveBeenCalledTimes(1);
  expect(paper.removed).toBe(true);
  expect(entries).toMatchObject([
    { level: "error", event: "state-not-kept", message: expect.stringMatching(/no space/) },
  ]);
});

test.each([
  ["nothing", []],
  [
    "no tunnel's configuration",
    [
      ["lcce", { serialNumber: 1, salt: SALT }],
      ["configuration b", { name: "b" }],
    ],
  ],
  ["a number", [["lcce", 5]]],
])("records that say %s are of no use", (_, records) => {
  expect(() => savedState(new Map(records as [string, unknown][]))).toThrow(JournalError);
});
