import { adoptTunnel } from "./adoption.ts";
import type { SessionCounters, SessionRequest } from "./datapath.ts";
import { changeDevice } from "./device-change.ts";
import { devicesOf, l2tpDeviceOf } from "./device-names.ts";
import { type DeviceFollower, Inventory, type MadeSession } from "./inventory.ts";
import {
  createSessions,
  createTunnel,
  deleteSession,
  deleteTunnel,
  existingDevices,
  type KernelCalls,
  type Outcome,
  readCounters,
  type Switching,
  switchDevices,
} from "./kernel-operations.ts";
import { isLeftover, ownerOf } from "./leftovers.ts";
import type { Link } from "./links.ts";
import { MAX_IN_FLIGHT } from "./netlink-socket.ts";
import type { Completion, Job } from "./operations.ts";
import { type Refusal, sessionRefusal, tunnelRefusal, unknownSessionRefusal } from "./refusals.ts";

/** What the queue needs of the world. */
export interface OperationQueuePorts {
  readonly calls: KernelCalls;
  /** Milliseconds, monotonic. */
  now(): number;
  complete(completion: Completion): void;
  closeDescriptor(fd: number): void;
  /** Hears of the devices that are ours. */
  readonly devices?: DeviceFollower;
}

/** Sets the device of a session up or down. */
type SwitchJob = Job<"raise-session" | "lower-session">;

interface WaitingSession {
  readonly job: Job<"create-session">;
  readonly switches: SwitchJob[];
}

interface Reading {
  readonly job: Job<"counters">;
  /** Those not read yet. */
  readonly sessions: MadeSession[];
  readonly counters: SessionCounters[];
}

interface Closing {
  readonly job: Job<"close">;
  names: readonly string[];
  readonly deadline: number;
}

const RETRY_INTERVAL_MS = 50;
const RETRIES_AT_ONCE = 16;
/** Deletions of sessions block for 37 ms each on Linux 6.1: after this long the creations have their turn again. */
const DELETION_BUDGET_MS = 20;
/** `close` waits so long for the last devices to go; the kernel removes them with or without us. */
const CLOSE_PATIENCE_MS = 2_000;
const CLOSE_INTERVAL_MS = 20;

/**
 * The order in which the kernel is asked. Operations are performed first come, first served, with three liberties:
 * neighbouring creations go to the kernel together; deletions of single sessions, which are slow, stand back behind the
 * creations that do not depend on them; and a session that fails because a device of its name, which we deleted, is not
 * gone yet is tried again while everything else goes on.
 */
export class OperationQueue {
  readonly #ports: OperationQueuePorts;
  readonly #inventory: Inventory;
  readonly #queue: Job[] = [];
  /** The batch that is being gathered. */
  #creations: Job<"create-session">[] = [];
  #switches: SwitchJob[] = [];
  readonly #deletions = new Map<number, Job<"delete-session">>();
  readonly #readings: Reading[] = [];
  readonly #waitingSessions = new Map<number, WaitingSession>();
  #retryAt = Number.POSITIVE_INFINITY;
  #closing: Closing | undefined;
  #closed = false;

  constructor(ports: OperationQueuePorts) {
    this.#ports = ports;
    this.#inventory = new Inventory(() => ports.now(), ports.devices);
  }

  /** What this process has in the kernel. */
  get inventory(): Inventory {
    return this.#inventory;
  }

  push(jobs: readonly Job[]): void {
    this.#queue.push(...jobs);
  }

  /** True when "close" is done. */
  get closed(): boolean {
    return this.#closed;
  }

  /** A bounded piece of work. Returns in how many milliseconds the next is due; `undefined`: not before a `push`. */
  step(): number | undefined {
    if (this.#ports.now() >= this.#retryAt) this.#retry();
    this.#advance();
    this.#deleteSome();
    this.#readSome();
    this.#closeSome();
    if (this.#queue.length + this.#deletions.size + this.#readings.length > 0) return 0;
    if (this.#closing !== undefined) return CLOSE_INTERVAL_MS;
    return this.#retryAt === Number.POSITIVE_INFINITY ? undefined : Math.max(0, this.#retryAt - this.#ports.now());
  }

  #complete({ serial }: { readonly serial: number }, refusal: Outcome): void {
    this.#ports.complete(refusal === undefined ? { serial } : { serial, refusal });
  }

  /** Takes jobs off the queue until a batch is full or a job has to wait for the batch, then performs the batch. */
  #advance(): void {
    while (this.#creations.length + this.#switches.length < MAX_IN_FLIGHT) {
      const job = this.#queue[0];
      if (job === undefined || !this.#admit(job)) break;
      this.#queue.shift();
    }
    const [creations, switches] = [this.#creations, this.#switches];
    [this.#creations, this.#switches] = [[], []];
    if (creations.length > 0) this.#performCreations(creations);
    // The session may be one of those creations, and wait now.
    const ready = switches.filter((each) => !this.#joinsWaiting(each));
    if (ready.length > 0) this.#performSwitches(ready);
  }

  /** False: not before the batch is performed. */
  #admit({ serial, operation }: Job): boolean {
    switch (operation.type) {
      case "create-session":
        return this.#admitCreation({ serial, operation });
      case "raise-session":
      case "lower-session":
        this.#switches.push({ serial, operation });
        return true;
      case "create-tunnel":
        return this.#createTunnel({ serial, operation });
      case "adopt-tunnel":
        return this.#adoptTunnel({ serial, operation });
      case "counters":
        return this.#admitReading({ serial, operation });
      case "change-session":
        return this.#batchIsEmpty() && this.#changeSession({ serial, operation });
      case "delete-session":
        return this.#batchIsEmpty() && this.#admitDeletion({ serial, operation });
      case "delete-tunnel":
        return this.#batchIsEmpty() && this.#deleteTunnel({ serial, operation });
      case "remove-remnants":
        return this.#batchIsEmpty() && this.#removeRemnants({ serial, operation });
      case "close":
        return this.#batchIsEmpty() && this.#close({ serial, operation });
    }
  }

  #batchIsEmpty(): boolean {
    return this.#creations.length + this.#switches.length === 0;
  }

  // Tunnels

  #createTunnel(job: Job<"create-tunnel">): true {
    const { localControlConnectionId: local, remoteControlConnectionId: remote, encapsulation, fd } = job.operation;
    const refusal = this.#inventory.hasTunnel(local)
      ? tunnelRefusal(local, remote, { errno: "EEXIST", extendedAck: "" })
      : createTunnel(this.#ports.calls, local, remote, fd, encapsulation);
    this.#ports.closeDescriptor(fd);
    if (refusal === undefined) this.#inventory.addTunnel(local, remote);
    this.#complete(job, refusal);
    return true;
  }

  #adoptTunnel({ serial, operation }: Job<"adopt-tunnel">): true {
    const outcome = adoptTunnel(this.#ports.calls, this.#inventory, operation);
    this.#ports.closeDescriptor(operation.fd);
    this.#ports.complete({ serial, ...outcome });
    return true;
  }

  #deleteTunnel(job: Job<"delete-tunnel">): true {
    const { localControlConnectionId } = job.operation;
    this.#cancelSessions(localControlConnectionId);
    this.#complete(job, this.#removeTunnel(localControlConnectionId));
    return true;
  }

  #removeTunnel(localControlConnectionId: number): Outcome {
    if (!this.#inventory.hasTunnel(localControlConnectionId)) return undefined;
    const refusal = deleteTunnel(this.#ports.calls, localControlConnectionId);
    for (const { localSessionId } of this.#inventory.sessions(localControlConnectionId)) {
      const deletion = this.#deletions.get(localSessionId);
      this.#deletions.delete(localSessionId);
      if (deletion !== undefined) this.#complete(deletion, undefined);
    }
    this.#inventory.removeTunnel(localControlConnectionId);
    return refusal;
  }

  /** What a thread that died had left in the kernel goes; its names are free when the devices are gone. */
  #removeRemnants(job: Job<"remove-remnants">): true {
    const { tunnels, sessions } = job.operation;
    for (const local of tunnels) this.#inventory.addTunnel(local);
    for (const session of sessions) this.#inventory.addSession(session);
    const outcomes = tunnels.map((local) => this.#removeTunnel(local));
    this.#complete(
      job,
      outcomes.find((outcome) => outcome !== undefined),
    );
    return true;
  }

  /** Gives up the sessions of the tunnel that wait. */
  #cancelSessions(localControlConnectionId: number): void {
    for (const [localSessionId, { job }] of this.#waitingSessions) {
      if (job.operation.session.localControlConnectionId === localControlConnectionId) this.#cancel(localSessionId);
    }
  }

  // Creating sessions, setting their devices up and down

  #admitCreation(job: Job<"create-session">): boolean {
    const { session } = job.operation;
    const inTheWay = this.#deletionInTheWay(session);
    if (inTheWay !== undefined) {
      if (!this.#batchIsEmpty()) return false;
      this.#performDeletion(inTheWay);
    }
    if (this.#creations.some(({ operation }) => operation.session.localSessionId === session.localSessionId))
      return false;
    if (this.#isTaken(session.localSessionId)) {
      this.#complete(job, sessionRefusal(session, { errno: "EEXIST", extendedAck: "" }, "session"));
    } else {
      this.#creations.push(job);
    }
    return true;
  }

  /** From Linux 6.12 on the kernel makes a second session of the same id in the same tunnel. */
  #isTaken(localSessionId: number): boolean {
    return this.#inventory.session(localSessionId) !== undefined || this.#waitingSessions.has(localSessionId);
  }

  #deletionInTheWay({ interfaceName }: SessionRequest): Job<"delete-session"> | undefined {
    for (const [deletedId, deletion] of this.#deletions) {
      if (this.#inventory.session(deletedId)?.interfaceName === interfaceName) return deletion;
    }
    return undefined;
  }

  #performCreations(jobs: readonly Job<"create-session">[]): void {
    const outcomes = this.#createSessions(jobs);
    for (const [i, job] of jobs.entries()) {
      const refusal = outcomes[i];
      if (refusal !== undefined && this.#mayPass(refusal, job.operation.session)) this.#wait(job);
      else this.#complete(job, refusal);
    }
  }

  #createSessions(jobs: readonly Job<"create-session">[]): Outcome[] {
    const sessions = jobs.map(({ operation }) => operation.session);
    const outcomes = createSessions(this.#ports.calls, sessions, {
      withdrawn: (session) => {
        for (const name of devicesOf(session)) this.#inventory.markLeaving(name);
      },
      inTheWay: ({ interfaceName }, device) => this.#meet(interfaceName, device),
    });
    for (const [i, session] of sessions.entries()) {
      if (outcomes[i] === undefined) this.#inventory.addSession(session);
    }
    return outcomes;
  }

  /** What an earlier process left behind is on its way out. */
  #meet(interfaceName: string, device: Link): void {
    const owner = ownerOf(device);
    if (owner !== undefined && isLeftover(owner)) this.#inventory.markLeftover(interfaceName);
  }

  #mayPass({ errno, command }: Refusal, session: SessionRequest): boolean {
    const isOfName = command === "L2TP_CMD_SESSION_CREATE" || command === "RTM_NEWLINK";
    return errno === "EEXIST" && isOfName && this.#inventory.isLeaving(session.interfaceName);
  }

  #wait(job: Job<"create-session">): void {
    this.#waitingSessions.set(job.operation.session.localSessionId, { job, switches: [] });
    this.#retrySoon();
  }

  #joinsWaiting(job: SwitchJob): boolean {
    const waiting = this.#waitingSessions.get(job.operation.localSessionId);
    waiting?.switches.push(job);
    return waiting !== undefined;
  }

  #performSwitches(jobs: readonly SwitchJob[]): void {
    const outcomes = switchDevices(
      this.#ports.calls,
      jobs.map(({ operation }) => this.#switching(operation)),
    );
    for (const [i, job] of jobs.entries()) {
      const { type, localSessionId } = job.operation;
      if (outcomes[i] === undefined) this.#inventory.markSwitched(localSessionId, type === "raise-session");
      this.#complete(job, outcomes[i]);
    }
  }

  /** Called in the order of the jobs: a raise puts back what a lowering before it has cost. */
  #switching({ type, localSessionId }: SwitchJob["operation"]): Switching {
    const session = this.#deletions.has(localSessionId) ? undefined : this.#inventory.session(localSessionId);
    const up = type === "raise-session";
    const isRestored = up && this.#inventory.takeLowered(localSessionId);
    if (!up && session !== undefined) this.#inventory.markLowered(localSessionId);
    const { interfaceName, addresses = [], routes = [] } = session ?? {};
    const lowerName = session?.vlan === undefined ? undefined : l2tpDeviceOf(session);
    return {
      localSessionId,
      interfaceName,
      lowerName,
      up,
      addresses: isRestored ? addresses : [],
      routes: up ? routes : [],
    };
  }

  /** What is not made yet is made so. */
  #changeSession(job: Job<"change-session">): true {
    const { localSessionId, settings } = job.operation;
    const waiting = this.#waitingSessions.get(localSessionId);
    if (waiting !== undefined) {
      const { operation, serial } = waiting.job;
      const session = { ...operation.session, ...settings };
      this.#waitingSessions.set(localSessionId, { ...waiting, job: { serial, operation: { ...operation, session } } });
      this.#complete(job, undefined);
      return true;
    }
    const session = this.#deletions.has(localSessionId) ? undefined : this.#inventory.session(localSessionId);
    if (session === undefined) {
      this.#complete(job, unknownSessionRefusal(localSessionId, "change"));
      return true;
    }
    const lowerName = session.vlan === undefined ? undefined : l2tpDeviceOf(session);
    const device = { ...session, lowerName, raised: this.#inventory.isRaised(localSessionId) };
    const refusal = changeDevice(this.#ports.calls, device, settings);
    this.#inventory.changeSession(localSessionId, settings);
    this.#complete(job, refusal);
    return true;
  }

  // What waits for something to be gone

  #retrySoon(): void {
    this.#retryAt = Math.min(this.#retryAt, this.#ports.now() + RETRY_INTERVAL_MS);
  }

  #retry(): void {
    this.#retryAt = Number.POSITIVE_INFINITY;
    const allMade = this.#retrySessions();
    if (this.#waitingSessions.size === 0) return;
    // Where those tried could all be made, the next may be as well: in the next step, others want their turn.
    if (allMade) this.#retryAt = this.#ports.now();
    else this.#retrySoon();
  }

  /** True: none of those tried has to wait on. */
  #retrySessions(): boolean {
    const ready = [...this.#waitingSessions.values()].slice(0, RETRIES_AT_ONCE);
    const outcomes = this.#createSessions(ready.map(({ job }) => job));
    let stillWaiting = 0;
    for (const [i, waiting] of ready.entries()) {
      const { session } = waiting.job.operation;
      const refusal = outcomes[i];
      this.#waitingSessions.delete(session.localSessionId);
      if (refusal === undefined) {
        this.#complete(waiting.job, undefined);
        this.#queue.unshift(...waiting.switches);
      } else if (this.#mayPass(refusal, session)) {
        // To the end of the line: those behind may be free already.
        this.#waitingSessions.set(session.localSessionId, waiting);
        stillWaiting++;
      } else {
        this.#giveUp(waiting, refusal);
      }
    }
    return stillWaiting === 0;
  }

  #cancel(localSessionId: number): void {
    const waiting = this.#waitingSessions.get(localSessionId);
    if (waiting === undefined) return;
    this.#waitingSessions.delete(localSessionId);
    const answer = { errno: "ECANCELED", extendedAck: "" };
    this.#giveUp(waiting, sessionRefusal(waiting.job.operation.session, answer, undefined));
  }

  #giveUp({ job, switches }: WaitingSession, refusal: Refusal): void {
    this.#complete(job, refusal);
    for (const each of switches) this.#complete(each, refusal);
  }

  // Deleting sessions

  #admitDeletion(job: Job<"delete-session">): true {
    const { localSessionId } = job.operation;
    this.#cancel(localSessionId);
    if (this.#inventory.session(localSessionId) === undefined || this.#deletions.has(localSessionId)) {
      this.#complete(job, undefined);
    } else {
      this.#deletions.set(localSessionId, job);
    }
    return true;
  }

  #deleteSome(): void {
    const began = this.#ports.now();
    for (const deletion of this.#deletions.values()) {
      this.#performDeletion(deletion);
      if (this.#ports.now() - began >= DELETION_BUDGET_MS) return;
    }
  }

  #performDeletion(job: Job<"delete-session">): void {
    const { localSessionId } = job.operation;
    this.#deletions.delete(localSessionId);
    const tunnel = this.#inventory.session(localSessionId)?.localControlConnectionId;
    const refusal = tunnel === undefined ? undefined : deleteSession(this.#ports.calls, tunnel, localSessionId);
    this.#inventory.removeSession(localSessionId);
    this.#complete(job, refusal);
  }

  // Counters

  #admitReading(job: Job<"counters">): true {
    const sessions = this.#inventory.sessions(job.operation.localControlConnectionId);
    this.#readings.push({ job, sessions, counters: [] });
    return true;
  }

  /** A dump would be one request, but it takes quadratic time on Linux 6.1 and brings everyone's sessions. */
  #readSome(): void {
    const reading = this.#readings[0];
    if (reading === undefined) return;
    reading.counters.push(...readCounters(this.#ports.calls, reading.sessions.splice(0, MAX_IN_FLIGHT)));
    if (reading.sessions.length > 0) return;
    this.#readings.shift();
    this.#ports.complete({ serial: reading.job.serial, counters: reading.counters });
  }

  // The end

  #close(job: Job<"close">): true {
    for (const local of this.#inventory.tunnels()) {
      this.#cancelSessions(local);
      this.#removeTunnel(local);
    }
    const deadline = this.#ports.now() + CLOSE_PATIENCE_MS;
    this.#closing = { job, names: this.#inventory.leavingInterfaces(), deadline };
    return true;
  }

  #closeSome(): void {
    const closing = this.#closing;
    if (closing === undefined) return;
    closing.names = existingDevices(this.#ports.calls, closing.names);
    if (closing.names.length > 0 && this.#ports.now() < closing.deadline) return;
    this.#closing = undefined;
    this.#closed = true;
    this.#complete(closing.job, undefined);
  }
}
