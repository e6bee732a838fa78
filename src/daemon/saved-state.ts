import type { LcceState } from "../control/lcce.ts";
import type { SavedTunnel } from "../control/tunnel-state.ts";
import type { RememberedTunnel } from "./remembered.ts";
import { JournalError } from "./state-journal.ts";

/** A record of the state's file, and its contents; `undefined`: no longer. */
export type Change = readonly [key: string, value: unknown];

export const lcceKey = "lcce";
export const tunnelKey = (tunnel: string): string => `tunnel ${tunnel}`;
export const connectionKey = (localControlConnectionId: number): string => `connection ${localControlConnectionId}`;
/** Of one that waits to be sent; connections refer to it by its number. */
export const messageKey = (number: number): string => `message ${number}`;
export const timerKey = (key: string): string => `timer ${key}`;
export const configurationKey = (tunnel: string): string => `configuration ${tunnel}`;
export const sessionKey = (tunnel: string, session: string): string => `session ${JSON.stringify([tunnel, session])}`;

/** What an earlier process has left. */
export interface SavedState {
  readonly lcce: LcceState;
  /** By name: what its tunnels were configured as. */
  readonly configurations: ReadonlyMap<string, RememberedTunnel>;
  readonly salt: Uint8Array;
}

interface LcceRecord {
  readonly serialNumber: number;
  readonly salt: Uint8Array;
}

interface TunnelRecord {
  readonly state: SavedTunnel["state"];
}

type ConnectionState = LcceState["connections"][number];
type Message = ConnectionState["channel"]["waiting"][number];

interface ConnectionRecord {
  readonly state: Omit<ConnectionState, "channel"> & {
    readonly channel: Omit<ConnectionState["channel"], "waiting" | "waitingBehind"> & {
      readonly waiting: readonly number[];
      readonly waitingBehind: readonly number[];
    };
  };
}

interface SessionRecord {
  readonly tunnel: string;
  readonly state: SavedTunnel["sessions"][number];
}

/** Puts together what the records of one format say. Throws `JournalError` where they do not say enough. */
export function savedState(records: ReadonlyMap<string, unknown>): SavedState {
  const { serialNumber, salt } = only<LcceRecord>(records, lcceKey, ["serialNumber", "salt"]);
  const sessions = new Map<string, SessionRecord["state"][]>();
  for (const { tunnel, state } of all<SessionRecord>(records, "session ", ["tunnel", "state"])) {
    const ofTunnel = sessions.get(tunnel);
    if (ofTunnel === undefined) sessions.set(tunnel, [state]);
    else ofTunnel.push(state);
  }
  const configurations = all<RememberedTunnel & { readonly name: string }>(records, "configuration ", [
    "name",
    "tunnel",
    "authentication",
    "sessions",
  ]);
  const tunnels = all<TunnelRecord>(records, "tunnel ", ["state"]);
  const connections = all<ConnectionRecord>(records, "connection ", ["state"]);
  const timers = all<LcceState["timers"][number]>(records, "timer ", ["key", "timer", "at"]);
  return {
    lcce: {
      serialNumber,
      tunnels: tunnels.map(({ state }) => ({ state, sessions: sessions.get(state.name) ?? [] })),
      connections: connections.map(({ state }) => withMessages(state, records)),
      timers: timers.sort((one, other) => one.at - other.at),
    },
    configurations: new Map(configurations.map((each) => [each.name, each])),
    salt,
  };
}

function withMessages(state: ConnectionRecord["state"], records: ReadonlyMap<string, unknown>): ConnectionState {
  const messages = (numbers: readonly number[]) =>
    numbers.map((number) => checked<Message>(records.get(messageKey(number)), ["name"]));
  const { waiting, waitingBehind, ...channel } = state.channel;
  return {
    ...state,
    channel: { ...channel, waiting: messages(waiting), waitingBehind: messages(waitingBehind) },
  };
}

function only<T>(records: ReadonlyMap<string, unknown>, key: string, fields: readonly (keyof T & string)[]): T {
  return checked<T>(records.get(key), fields);
}

function all<T>(records: ReadonlyMap<string, unknown>, prefix: string, fields: readonly (keyof T & string)[]): T[] {
  const found = [...records].filter(([key]) => key.startsWith(prefix));
  return found.map(([, value]) => checked<T>(value, fields));
}

function checked<T>(value: unknown, fields: readonly (keyof T & string)[]): T {
  if (typeof value !== "object" || value === null || !fields.every((field) => field in value)) {
    throw new JournalError("it is damaged: something is missing");
  }
  return value as T;
}
