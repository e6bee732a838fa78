import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Site } from "../config/site.ts";
import type { LcceConfiguration, TunnelConfiguration } from "../control/configuration.ts";
import type { Core, Entropy, Input, Instant } from "../control/core.ts";
import { Lcce, type LcceState } from "../control/lcce.ts";
import type { Adopted } from "../kernel/leftovers.ts";
import { KeptSockets } from "./kept-sockets.ts";
import type { Log } from "./log.ts";
import type { NotifySocket } from "./notify-socket.ts";
import { asRemembered, isAsRemembered } from "./remembered.ts";
import { type SavedState, savedState } from "./saved-state.ts";
import type { Shell } from "./shell.ts";
import { StateJournal } from "./state-journal.ts";
import { adoptedOf, prepareTakeOver, type Successor, takeOver } from "./take-over.ts";
import { Tries } from "./tries.ts";
import { WriteAhead } from "./write-ahead.ts";

const SALT_OCTETS = 16;
const FILE = "state";
const TRIES = "state.tries";
const NOTHING: Adopted = new Map();

interface Means {
  readonly sockets: KeptSockets;
  readonly journal: StateJournal;
  readonly tries: Tries;
  readonly log: Pick<Log, "write">;
}

interface Circuit {
  readonly tunnel: string;
  readonly session: string;
  readonly interfaceName: string;
  readonly netns: string | undefined;
}

interface Inherited extends Pick<SavedState, "lcce" | "salt"> {
  /** What the earlier process went by, as far as that is known; it is the same, or the core hears of the difference. */
  readonly tunnels: readonly TunnelConfiguration[];
  readonly isChanged: boolean;
  /** Attachment circuits that were not up when the earlier process heard of them last. */
  readonly circuits: readonly Circuit[];
}

/**
 * The daemon as one of several that follow each other: it goes on where an earlier process was killed or restarted, if there
 * is something to go on from, and leaves the same to the next one. Both need a service manager that keeps sockets, and a
 * directory that outlives the process (RUNTIME_DIRECTORY, RuntimeDirectoryPreserve=).
 */
export class Succession {
  readonly sockets: KeptSockets;
  readonly #journal: StateJournal;
  readonly #tries: Tries;
  readonly #log: Pick<Log, "write">;
  readonly #salt: Uint8Array;
  #inherited: Inherited | undefined;
  #circuits: readonly Circuit[];
  #ahead: WriteAhead | undefined;
  #hasArrived = false;

  /**
   * `undefined`: whoever started the daemon keeps nothing for it, or it is not to be kept (`isKept`). What an earlier process
   * has left is given up then.
   */
  static async open(
    environment: NodeJS.ProcessEnv,
    { notify, isKept }: { readonly notify: NotifySocket | undefined; readonly isKept: boolean },
    site: Pick<Site, "tunnels">,
    log: Pick<Log, "write">,
  ): Promise<Succession | undefined> {
    if (notify === undefined) return undefined;
    const sockets = new KeptSockets(notify, environment, process.pid);
    const directory = environment["RUNTIME_DIRECTORY"]?.split(":")[0];
    if (!isKept || directory === undefined) {
      await sockets.discard();
      return undefined;
    }
    const journal = new StateJournal(join(directory, FILE), bootId());
    const tries = new Tries(join(directory, TRIES));
    const inherited = readState({ sockets, journal, tries, log }, site);
    const succession = new Succession({ sockets, journal, tries, log }, inherited);
    if (inherited === undefined) await succession.#beginAnew();
    else await prepareTakeOver();
    return succession;
  }

  private constructor({ sockets, journal, tries, log }: Means, inherited: Inherited | undefined) {
    this.sockets = sockets;
    this.#journal = journal;
    this.#tries = tries;
    this.#log = log;
    this.#salt = inherited?.salt ?? randomBytes(SALT_OCTETS);
    this.#inherited = inherited;
    this.#circuits = inherited?.circuits ?? [];
  }

  /** What the datapath must not take for something left behind. */
  get adopted(): Adopted {
    return this.#inherited === undefined ? NOTHING : adoptedOf(this.#inherited.lcce);
  }

  /** An earlier process was taken over from, and this one has not `arrive`d yet. */
  get isHeir(): boolean {
    return this.#inherited !== undefined && !this.#hasArrived;
  }

  /** Everything is open: from now on it is this process that closes it. */
  arrive(): void {
    this.#hasArrived = true;
  }

  /** Another process could go on from what is written down. */
  get isUsable(): boolean {
    this.commit();
    return this.#ahead?.usable === true;
  }

  /** The core, where the earlier process left it. */
  async core(configuration: LcceConfiguration, entropy: Entropy, now: Instant): Promise<Lcce> {
    if (this.#inherited === undefined) return new Lcce(configuration, entropy, now);
    try {
      const { lcce, tunnels } = this.#inherited;
      return new Lcce({ ...configuration, tunnels }, entropy, now, lcce);
    } catch (error) {
      this.#inherited = undefined;
      sayWhy(error, this.#log);
      await this.#beginAnew();
      return new Lcce(configuration, entropy, now);
    }
  }

  /** The tunnels that `core` was made with. */
  tunnels(site: Pick<Site, "tunnels">): readonly TunnelConfiguration[] {
    return this.#inherited?.tunnels ?? site.tunnels;
  }

  /** `core` with everything written down that it comes to; to be used in its place. `lcce` is what is in it. */
  watch(core: Core, lcce: Lcce, site: Pick<Site, "tunnels">): Core {
    this.#ahead = new WriteAhead(lcce, this.#journal, this.tunnels(site), this.#salt, this.#log);
    return this.#ahead.watch(core);
  }

  commit(): void {
    this.#ahead?.commit();
  }

  /** Before anything else comes to the core: what is in the sockets, and what the datapath has. */
  takeOver(shell: Shell, datapath: Successor["datapath"], site: Pick<Site, "tunnels">): void {
    if (this.#inherited === undefined) return;
    const { lcce, tunnels, isChanged } = this.#inherited;
    const { transport, protection } = shell;
    const accept = (input: Input) => shell.accept(input);
    const adopted = takeOver(lcce, tunnels, { transport, datapath, protection, accept });
    if (isChanged) void Promise.resolve().then(() => accept({ type: "configuration-changed", tunnels: site.tunnels }));
    this.#say(lcce);
    void adopted.then(() => this.sockets.discard(isOfConnection));
  }

  #say({ connections, tunnels }: LcceState): void {
    const sessions = tunnels.flatMap((tunnel) => tunnel.sessions).filter(({ state }) => state === "established");
    const established = connections.filter(({ state }) => state === "established");
    const what = `${count(established, "control connection")} and ${count(sessions, "session")}`;
    const message = `taking over ${what} of an earlier process`;
    this.#log.write({ level: "info", event: "taken-over", message });
  }

  /**
   * Of circuits that are up nothing is told from the start, and the earlier process may have left them otherwise. Called when
   * the others have been told of.
   */
  tellCircuits(lcce: Pick<Lcce, "save">, shell: Pick<Shell, "accept">): void {
    const former = this.#circuits;
    this.#circuits = [];
    if (former.length === 0) return;
    const states = new Map(lcce.save().tunnels.map(({ state, sessions }) => [state.name, sessions]));
    for (const { tunnel, session, ...circuit } of former) {
      const known = states.get(tunnel)?.find(({ name }) => name === session);
      if (known?.circuit.condition === "up") shell.accept({ type: "circuit", ...circuit, condition: "up" });
    }
  }

  /** Everything is open that is to be: what is left of the earlier process's sockets goes. */
  async settle(): Promise<void> {
    await this.sockets.discard((name) => !isOfConnection(name));
  }

  /** This process ends, and the next one goes on from here. */
  async handOver(): Promise<void> {
    this.commit();
    this.#journal.close();
    this.#tries.forget();
    await this.sockets.settled();
  }

  /** Everything has been closed: there is nothing to go on from. */
  async end(): Promise<void> {
    this.#journal.remove();
    this.#tries.forget();
    await this.sockets.settled();
  }

  async #beginAnew(): Promise<void> {
    this.#journal.remove();
    await this.sockets.discard(isOfConnection);
  }
}

function count(all: readonly unknown[], noun: string): string {
  return `${all.length} ${noun}${all.length === 1 ? "" : "s"}`;
}

function readState({ sockets, journal, tries, log }: Means, site: Pick<Site, "tunnels">): Inherited | undefined {
  try {
    const records = journal.read();
    if (records === undefined && !sockets.inherited) return undefined;
    if (records === undefined) throw new Error("it has left no state");
    const saved = savedState(records);
    // Without any there is still what an administrator has closed.
    const wantsSockets = saved.lcce.connections.some(({ socket }) => socket !== 0);
    if (wantsSockets && !sockets.inherited) throw new Error("nobody has kept its sockets");
    const inherited = inheritedFrom(saved, site);
    tries.begin();
    return inherited;
  } catch (error) {
    sayWhy(error, log);
    return undefined;
  }
}

function sayWhy(error: unknown, log: Pick<Log, "write">): void {
  const reason = error instanceof Error ? error.message : String(error);
  const message = `an earlier process cannot be succeeded, everything begins anew: ${reason}`;
  log.write({ level: "warn", event: "not-taken-over", message });
}

/** Of tunnels that are no more, and had a secret, nothing more can be said to the peer. */
function inheritedFrom({ lcce, configurations, salt }: SavedState, { tunnels }: Pick<Site, "tunnels">): Inherited {
  const present = new Map(tunnels.map((tunnel) => [tunnel.name, tunnel]));
  const former = new Map<string, TunnelConfiguration>();
  const proven = new Map<string, (index: number) => number>();
  for (const [name, known] of configurations) {
    const found = asRemembered(known, present.get(name), salt);
    if (found === undefined) continue;
    former.set(name, found.configuration);
    proven.set(name, found.secretNow);
  }
  for (const { tunnel, authentication } of lcce.connections) {
    authentication.provenSecret = proven.get(tunnel)?.(authentication.provenSecret) ?? -1;
  }
  const isChanged =
    former.size !== tunnels.length ||
    tunnels.some((tunnel) => !isAsRemembered(configurations.get(tunnel.name), tunnel, salt));
  const known = isChanged ? [...former.values()] : tunnels;
  return { lcce, salt, tunnels: known, isChanged, circuits: forgetConditions(lcce, known) };
}

function isOfConnection(name: string): boolean {
  return name.startsWith("connection-");
}

/** They count as up until something else is told of them. */
function forgetConditions(lcce: LcceState, tunnels: readonly TunnelConfiguration[]): readonly Circuit[] {
  const configurations = new Map(tunnels.map((tunnel) => [tunnel.name, tunnel]));
  return lcce.tunnels.flatMap(({ state, sessions }) => {
    const { netns, sessions: configured = [] } = configurations.get(state.name) ?? {};
    return sessions.flatMap(({ name, circuit }) => {
      const configuration = configured.find((session) => session.name === name);
      if (circuit.condition === "up" || configuration === undefined) return [];
      circuit.condition = "up";
      const interfaceName = configuration.circuit ?? configuration.interfaceName;
      return [{ tunnel: state.name, session: name, interfaceName, netns }];
    });
  });
}

/** Instants are those of one boot. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return "";
  }
}
