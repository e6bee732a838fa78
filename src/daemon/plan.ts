import type { Site } from "../config/site.ts";
import { type Change, isAnew, sessionChanges, tunnelChanges } from "../control/changes.ts";
import type { SessionConfiguration, TunnelConfiguration } from "../control/configuration.ts";
import { same } from "../control/same.ts";
import { differences, nameIn } from "./site-differences.ts";

/** What a reload does, or would do, with one part of the configuration. Names of keys, never their values. */
export interface PlannedChange {
  /** As in the file: "lcce", "tunnel.paris", "tunnel.paris.session.lan42". */
  readonly path: string;
  /** The keys within it that have changed; none where all of it comes or goes. */
  readonly keys: readonly string[];
  /**
   * add, remove: the tunnel or session comes, or goes. anew: it ends first. in-place: whoever is up goes on. next: the same, and
   * it counts from the next control connection on. restart: nothing is changed before the daemon is started again.
   */
  readonly action: "add" | "remove" | "anew" | "in-place" | "next" | "restart";
  /** A line for people: "tunnel.paris.session.lan42: addresses changed: applied without re-signalling". */
  readonly text: string;
  readonly tunnel?: string;
  readonly session?: string;
}

/** Keys of [lcce] that hold from the moment they are read. */
const LIVE: readonly string[] = ["lcce.log_level", "lcce.listen"];

/** What becomes of the daemon when `after` takes the place of `before`: in the order of the file, what goes comes last. */
export function planOf(before: Site, after: Site): readonly PlannedChange[] {
  const given = new Set([...before.given, ...after.given]);
  const known = new Map(before.tunnels.map((tunnel) => [tunnel.name, tunnel]));
  const wanted = new Set(after.tunnels.map(({ name }) => name));
  return [
    ...differences({ lcce: before.lcce }, { lcce: after.lcce }).flatMap((key) => lcceChange(nameIn(given, key))),
    ...differences({ hooks: before.hooks }, { hooks: after.hooks }).map((key) => applied("hooks", key)),
    ...after.tunnels.flatMap((tunnel) => tunnelPlan(known.get(tunnel.name), tunnel, given)),
    ...before.tunnels.filter(({ name }) => !wanted.has(name)).map(removedTunnel),
  ];
}

/** Of a default that follows from something else nobody needs to hear. */
function lcceChange(key: string | undefined): readonly PlannedChange[] {
  if (key === undefined) return [];
  if (LIVE.includes(key)) return [applied("lcce", key)];
  return [{ path: "lcce", keys: [lastOf(key)], action: "restart", text: `${key}: needs a restart` }];
}

function applied(path: string, key: string): PlannedChange {
  return { path, keys: [lastOf(key)], action: "in-place", text: `${key}: applied at once` };
}

function lastOf(key: string): string {
  return key.slice(key.indexOf(".") + 1);
}

function removedTunnel({ name }: TunnelConfiguration): PlannedChange {
  const path = `tunnel.${name}`;
  return { path, keys: [], action: "remove", text: `${path}: removed: closed`, tunnel: name };
}

type Given = ReadonlySet<string>;

function tunnelPlan(
  before: TunnelConfiguration | undefined,
  after: TunnelConfiguration,
  given: Given,
): readonly PlannedChange[] {
  const { name } = after;
  const path = `tunnel.${name}`;
  const of = { path, tunnel: name };
  if (before === undefined) {
    return [{ ...of, keys: [], action: "add", text: `${path}: new: ${opening(after)}` }];
  }
  const changes = tunnelChanges(before, after);
  const named = (manner: Change["manner"]) => keysOf(changes, manner, before, after, { path, given });
  if (isAnew(changes)) {
    const anew = named("anew").map(
      (key): PlannedChange => ({ ...of, keys: [key], action: "anew", text: `${path}.${key}: closed and opened anew` }),
    );
    const all = ["in-place", "next"] as const;
    const others = all.flatMap((manner) => keysOf(changes, manner, before, after, { path, given, strict: true }));
    return [...anew, ...described(of, others, "anew", "closed and opened anew"), ...withTunnel(before, after, given)];
  }
  return [
    ...described(of, named("in-place"), "in-place", isAbrupt(before, after) ? ABRUPT : "applied at once"),
    ...described(
      of,
      named("next"),
      "next",
      `from its next control connection on (l2tpv3-lcc close ${name}, then open)`,
    ),
    ...sessionsPlan(before, after, given),
  ];
}

const ABRUPT =
  "applied at once; what a peer says that has not got it yet is dropped (secret_previous keeps the one before meanwhile)";

/** The secret in force is none of the new ones: there is no time in which both ends may be changed one after the other. */
function isAbrupt({ authentication: { secrets: before } }: TunnelConfiguration, after: TunnelConfiguration): boolean {
  const [current] = before;
  return current !== undefined && !after.authentication.secrets.some((secret) => same(secret, current));
}

function opening(tunnel: TunnelConfiguration): string {
  if (tunnel.static !== undefined) return "made";
  return tunnel.role === "responder" ? "waits for its peer" : "opened";
}

function sessionsPlan(before: TunnelConfiguration, after: TunnelConfiguration, given: Given): readonly PlannedChange[] {
  return eachSession(before, after, (known, session, of) => {
    if (session === undefined) return [{ ...of, keys: [], action: "remove", text: `${of.path}: removed: ended` }];
    if (known === undefined) return [{ ...of, keys: [], action: "add", text: `${of.path}: new: ${calling(session)}` }];
    const changes = sessionChanges(known, session);
    const named = (manner: Change["manner"]) => keysOf(changes, manner, known, session, { path: of.path, given });
    const anew = session.static === undefined ? "ended and called anew" : "made anew";
    if (isAnew(changes)) return described(of, [...named("anew"), ...named("in-place")], "anew", anew);
    return described(of, named("in-place"), "in-place", "applied without re-signalling");
  });
}

function calling(session: SessionConfiguration): string {
  if (session.static !== undefined) return "made";
  return session.call === "responder" ? "waits for a call" : "called";
}

/** The sessions of a tunnel that is closed and opened anew: all of them end, and only what is different is worth a line. */
function withTunnel(before: TunnelConfiguration, after: TunnelConfiguration, given: Given): readonly PlannedChange[] {
  return eachSession(before, after, (known, session, of) => {
    if (session === undefined) return [{ ...of, keys: [], action: "remove", text: `${of.path}: removed: ended` }];
    if (known === undefined)
      return [{ ...of, keys: [], action: "add", text: `${of.path}: new: comes with its tunnel` }];
    const changes = sessionChanges(known, session);
    const place = { path: of.path, given };
    const keys = [
      ...keysOf(changes, "anew", known, session, place),
      ...keysOf(changes, "in-place", known, session, place),
    ];
    return described(of, keys, "anew", "comes with its tunnel");
  });
}

type Of = Pick<PlannedChange, "path" | "tunnel" | "session">;

function eachSession(
  before: TunnelConfiguration,
  after: TunnelConfiguration,
  plan: (
    known: SessionConfiguration | undefined,
    session: SessionConfiguration | undefined,
    of: Of,
  ) => readonly PlannedChange[],
): readonly PlannedChange[] {
  const known = new Map(before.sessions.map((session) => [session.name, session]));
  const wanted = new Set(after.sessions.map(({ name }) => name));
  const ofSession = ({ name }: SessionConfiguration): Of => ({
    path: `tunnel.${after.name}.session.${name}`,
    tunnel: after.name,
    session: name,
  });
  return [
    ...after.sessions.flatMap((session) => plan(known.get(session.name), session, ofSession(session))),
    ...before.sessions
      .filter(({ name }) => !wanted.has(name))
      .flatMap((gone) => plan(gone, undefined, ofSession(gone))),
  ];
}

function described(
  of: Of,
  keys: readonly string[],
  action: PlannedChange["action"],
  words: string,
): readonly PlannedChange[] {
  return keys.length === 0 ? [] : [{ ...of, keys, action, text: `${of.path}: ${keys.join(", ")} changed: ${words}` }];
}

/** As the file calls them. What follows from other keys is told by these, where there are any; `strict`: in no case. */
function keysOf<T extends object>(
  changes: readonly Change[],
  manner: Change["manner"],
  before: T,
  after: T,
  { path, given, strict = false }: { readonly path: string; readonly given: Given; readonly strict?: boolean },
): readonly string[] {
  const [one, other] = [
    new Map<string, unknown>(Object.entries(before)),
    new Map<string, unknown>(Object.entries(after)),
  ];
  const changed = changes.filter((change) => change.manner === manner).map(({ key }) => key);
  const part = (all: ReadonlyMap<string, unknown>) => Object.fromEntries(changed.map((key) => [key, all.get(key)]));
  const found = differences(part(one), part(other));
  const names = found.flatMap((key) => nameIn(given, `${path}.${key}`)?.slice(path.length + 1) ?? []);
  return [...new Set(names.length === 0 && !strict ? found : names)];
}
