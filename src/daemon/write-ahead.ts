import type { TunnelConfiguration } from "../control/configuration.ts";
import type { Core, Effect, Input } from "../control/core.ts";
import type { LcceState } from "../control/lcce.ts";
import type { Log } from "./log.ts";
import type { Change } from "./saved-state.ts";
import { StateChanges } from "./state-changes.ts";
import { watchedCore } from "./wrapped-core.ts";

/** Where in a control message the Control Connection ID stands (RFC 3931 3.2.1). */
const CCID_OFFSET = 4;

interface Journal {
  append(changes: Iterable<Change>): void;
  remove(): void;
}

/** What is there to be written. */
interface Source {
  save(): LcceState;
}

/**
 * Writes down what a core has come to before anybody hears of it: between `watch`ed turns and the messages that they send
 * stands `commit`. Only the tunnels that turns were about are looked at.
 */
export class WriteAhead {
  readonly #source: Source;
  readonly #journal: Journal;
  readonly #log: Pick<Log, "write">;
  readonly #changes: StateChanges;
  /** Tunnels that may have changed since the last commit. */
  readonly #touched = new Set<string>();
  #everything = true;
  /** Something went out by a listener, which does not say whose it was. */
  #answered = false;
  #turned = true;
  /** By local Control Connection ID: the tunnel's name. */
  #connections = new Map<number, string>();
  /** By local Session ID: the tunnel's name, of those that the datapath was asked for since the last commit. */
  readonly #asked = new Map<number, string>();
  #usable = true;

  /** `salt`: see `remembered`. */
  constructor(
    source: Source,
    journal: Journal,
    tunnels: readonly TunnelConfiguration[],
    salt: Uint8Array,
    log: Pick<Log, "write">,
  ) {
    this.#source = source;
    this.#journal = journal;
    this.#changes = new StateChanges(tunnels, salt);
    this.#log = log;
  }

  /**
   * Whether a next process may go on from what is written: not from what could not be kept right (`state-not-kept`), and not from
   * a daemon that says goodbye (`shutdown`). Once false it remains so.
   */
  get usable(): boolean {
    return this.#usable;
  }

  /** The core to be used in the place of the one that is watched. */
  watch(core: Core): Core {
    return watchedCore(core, (input, effects) => this.#turn(input, effects));
  }

  /** Everything that the turns so far have brought is written when this returns. */
  commit(): void {
    if (!this.#turned || !this.#usable) return;
    this.#turned = false;
    try {
      const state = this.#source.save();
      this.#findOwners(state);
      const isTouched = (tunnel: string) => this.#everything || this.#touched.has(tunnel);
      this.#journal.append(this.#changes.since(state, isTouched));
    } catch (error) {
      this.#giveUp(error);
    }
    this.#touched.clear();
    this.#asked.clear();
    this.#everything = false;
  }

  /** What cannot be kept right is not kept: the next process begins anew then. */
  #giveUp(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `the state cannot be written down, so a restart will close everything: ${reason}`;
    this.#log.write({ level: "error", event: "state-not-kept", message });
    this.#stop();
  }

  /** From a daemon that says goodbye to everybody nobody goes on. */
  #stop(): void {
    this.#usable = false;
    try {
      this.#journal.remove();
    } catch {
      // What is left may say what was true once: that is why there is `usable`.
    }
  }

  #turn(input: Input | undefined, effects: readonly Effect[]): void {
    if (input?.type === "shutdown") this.#stop();
    if (!this.#usable) return;
    this.#turned = true;
    if (input !== undefined) this.#touchBy(input);
    for (const effect of effects) this.#touchBy(effect);
  }

  #touchBy(subject: Input | Effect): void {
    if (subject.type === "reply") this.#answered = true;
    if (subject.type === "datagram") this.#touchConnection(connectionIdOf(subject.octets));
    else if (subject.type === "create-session") {
      const { localControlConnectionId, localSessionId } = subject.session;
      const tunnel = this.#touchConnection(localControlConnectionId);
      if (tunnel !== undefined) this.#asked.set(localSessionId, tunnel);
    } else if ("tunnel" in subject) this.#touch(subject.tunnel);
    else if ("localControlConnectionId" in subject) this.#touchConnection(subject.localControlConnectionId);
    else if ("localSessionId" in subject) this.#touchSession(subject.localSessionId);
    else if (!("octets" in subject) && subject.type !== "log") this.#everything = true;
    if (subject.type === "configuration-changed") this.#changes.configure(subject.tunnels);
  }

  #touch(tunnel: string | undefined): void {
    if (tunnel !== undefined) this.#touched.add(tunnel);
  }

  #touchConnection(id: number): string | undefined {
    const tunnel = this.#connections.get(id);
    this.#touch(tunnel);
    return tunnel;
  }

  /** One that is neither new nor written may be anybody's. */
  #touchSession(id: number): void {
    const tunnel = this.#asked.get(id) ?? this.#changes.tunnelOf(id);
    if (tunnel === undefined) this.#everything = true;
    this.#touch(tunnel);
  }

  /** Connections that have come or gone belong to tunnels that have changed, whoever told. */
  #findOwners({ connections }: LcceState): void {
    const owners = new Map(
      connections.map(({ localControlConnectionId, tunnel }) => [localControlConnectionId, tunnel]),
    );
    if (this.#answered) for (const { socket, tunnel } of connections) if (socket === 0) this.#touch(tunnel);
    this.#answered = false;
    for (const [id, tunnel] of owners) if (this.#connections.get(id) !== tunnel) this.#touch(tunnel);
    for (const [id, tunnel] of this.#connections) if (owners.get(id) !== tunnel) this.#touch(tunnel);
    this.#connections = owners;
  }
}

function connectionIdOf(octets: Uint8Array): number {
  if (octets.length < CCID_OFFSET + 4) return 0;
  return new DataView(octets.buffer, octets.byteOffset).getUint32(CCID_OFFSET);
}
