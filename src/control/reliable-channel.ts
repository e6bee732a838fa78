import type { RetransmitConfiguration } from "./configuration.ts";
import {
  type CongestionWindow,
  collapseCongestionWindow,
  createCongestionWindow,
  openCongestionWindow,
} from "./congestion-window.ts";
import { isOldSequence, nextSequence, sequenceDistance } from "./sequence.ts";

/** A message that was sent and is not acknowledged. */
export interface Outstanding<Outgoing> {
  readonly ns: number;
  readonly message: Outgoing;
  /** It goes out again: a retransmission. */
  again: boolean;
  /** As encoded for the first transmission; Nr (and the digest over it) is renewed with every later one. */
  octets: Uint8Array;
}

/** Plain data: a restarted daemon goes on with a copy of it. */
export interface ChannelState<Outgoing, Incoming> {
  /** Ns of the next message that is sent for the first time. */
  nextNs: number;
  /** Ns that the peer's next message must carry: our Nr. */
  nr: number;
  /** Oldest first, with consecutive Ns that end before `nextNs`. */
  outstanding: Outstanding<Outgoing>[];
  /** How many of `outstanding`, from the oldest, went out since the last timeout. */
  inFlight: number;
  /** Not sent yet: the window is closed. */
  waiting: Outgoing[];
  /** Not sent yet either, and behind everything in `waiting`. */
  waitingBehind: Outgoing[];
  /** Received out of order, at most `ownWindow` of them. */
  early: { readonly ns: number; readonly item: Incoming }[];
  /** The peer's Receive Window Size: messages that it is ready to hold. */
  peerWindow: number;
  readonly ownWindow: number;
  congestion: CongestionWindow;
  /** Retransmissions of the oldest outstanding message so far. */
  retransmissions: number;
  /** Something was received that no sent message has acknowledged yet. */
  acknowledgementDue: boolean;
}

/** RFC 3931 5.4.3: what a peer can hold that has not said it. */
const DEFAULT_RECEIVE_WINDOW = 4;

/** Messages that wait, at which nothing more is taken on. */
const MOST_WAITING = 1_024;

export function createChannelState<Outgoing, Incoming>(ownWindow: number): ChannelState<Outgoing, Incoming> {
  return {
    nextNs: 0,
    nr: 0,
    outstanding: [],
    inFlight: 0,
    waiting: [],
    waitingBehind: [],
    early: [],
    peerWindow: DEFAULT_RECEIVE_WINDOW,
    ownWindow,
    congestion: createCongestionWindow(DEFAULT_RECEIVE_WINDOW),
    retransmissions: 0,
    acknowledgementDue: false,
  };
}

/**
 * Reliable, ordered delivery of control messages (RFC 3931 4.2, appendix A). Arithmetic on two counters and two queues:
 * it knows neither messages nor time. The caller encodes, sends, and keeps the retransmission timer.
 */
export class ReliableChannel<Outgoing, Incoming> {
  readonly state: ChannelState<Outgoing, Incoming>;

  constructor(state: ChannelState<Outgoing, Incoming>) {
    this.state = state;
  }

  setPeerWindow(size: number): void {
    this.state.peerWindow = size;
    this.state.congestion.threshold = size;
  }

  enqueue(message: Outgoing): void {
    this.state.waiting.push(message);
  }

  /** For what begins something new, while answers to what has begun go first. */
  enqueueBehind(message: Outgoing): void {
    this.state.waitingBehind.push(message);
  }

  /** Takes back a message that waits, unless it has been sent. Returns whether it did. */
  withdraw(unwanted: (message: Outgoing) => boolean): boolean {
    return [this.state.waiting, this.state.waitingBehind].some((queue) => {
      const index = queue.findIndex(unwanted);
      if (index >= 0) queue.splice(index, 1);
      return index >= 0;
    });
  }

  /** Whether such a message waits, or was sent and is not acknowledged. */
  holds(wanted: (message: Outgoing) => boolean): boolean {
    const { outstanding, waiting, waitingBehind } = this.state;
    return outstanding.some(({ message }) => wanted(message)) || waiting.some(wanted) || waitingBehind.some(wanted);
  }

  /** More waits than honest peers ever cause by what they ask at once. */
  get overloaded(): boolean {
    return this.state.waiting.length >= MOST_WAITING;
  }

  /** What still waits is given up: a StopCCN makes it pointless, and must not wait behind it. */
  discardWaiting(): void {
    this.state.waiting = [];
    this.state.waitingBehind = [];
  }

  /** Nothing of ours matters to the peer any more: it has closed the connection. */
  abandon(): void {
    this.discardWaiting();
    this.state.outstanding = [];
    this.state.inFlight = 0;
  }

  /** Nothing is left that the peer has not acknowledged. */
  get settled(): boolean {
    const { outstanding, waiting, waitingBehind } = this.state;
    return outstanding.length === 0 && waiting.length === 0 && waitingBehind.length === 0;
  }

  /** Takes the Nr of a received message. Returns whether it acknowledged something new. */
  acknowledge(nr: number): boolean {
    const { state } = this;
    const oldest = state.outstanding[0];
    if (oldest === undefined) return false;
    const count = sequenceDistance(oldest.ns, nr);
    // An Nr beyond what was sent is bogus, one before the oldest outstanding message is old news: both change nothing.
    if (count === 0 || count > state.outstanding.length) return false;
    state.outstanding.splice(0, count);
    state.inFlight = Math.max(0, state.inFlight - count);
    state.retransmissions = 0;
    for (let i = 0; i < count; i++) openCongestionWindow(state.congestion, state.peerWindow);
    return true;
  }

  /** Takes a sequenced message; returns what is now due in order, which may be nothing. */
  accept(ns: number, item: Incoming): readonly Incoming[] {
    const { state } = this;
    if (ns !== state.nr) {
      // A duplicate is acknowledged again: our acknowledgement may have been lost (RFC 3931 4.2).
      if (isOldSequence(ns, state.nr)) state.acknowledgementDue = true;
      else this.#keepEarly(ns, item);
      return [];
    }
    state.acknowledgementDue = true;
    state.nr = nextSequence(ns);
    const due = [item];
    for (let next = this.#takeEarly(); next !== undefined; next = this.#takeEarly()) {
      due.push(next);
      state.nr = nextSequence(state.nr);
    }
    return due;
  }

  #keepEarly(ns: number, item: Incoming): void {
    const { early, nr, ownWindow } = this.state;
    if (sequenceDistance(nr, ns) >= ownWindow || early.some((entry) => entry.ns === ns)) return;
    early.push({ ns, item });
  }

  #takeEarly(): Incoming | undefined {
    const { early, nr } = this.state;
    if (early.length === 0) return undefined;
    const index = early.findIndex((entry) => entry.ns === nr);
    return index < 0 ? undefined : early.splice(index, 1)[0]?.item;
  }

  /**
   * Hands out what may be sent now: first what a timeout took out of flight, then what waits, as far as the peer's and
   * the congestion window allow (RFC 3931 4.2, appendix A). Everything handed out counts as sent and as acknowledging.
   */
  *sendable(encode: (message: Outgoing, ns: number) => Uint8Array): Generator<Outstanding<Outgoing>> {
    const { state } = this;
    while (state.inFlight < Math.min(state.congestion.size, state.peerWindow)) {
      const outstanding = state.outstanding[state.inFlight] ?? this.#sendFirst(encode);
      if (outstanding === undefined) return;
      state.inFlight += 1;
      state.acknowledgementDue = false;
      yield outstanding;
      outstanding.again = true;
    }
  }

  /** Sends one message past closed windows: for a StopCCN, which must go out at once. */
  sendUrgent(message: Outgoing, encode: (message: Outgoing, ns: number) => Uint8Array): Outstanding<Outgoing> {
    const { state } = this;
    state.waiting.unshift(message);
    const sent = this.#sendFirst(encode) as Outstanding<Outgoing>;
    sent.again = true;
    if (state.inFlight === state.outstanding.length - 1) state.inFlight += 1;
    state.acknowledgementDue = false;
    return sent;
  }

  #sendFirst(encode: (message: Outgoing, ns: number) => Uint8Array): Outstanding<Outgoing> | undefined {
    const { state } = this;
    const message = state.waiting.shift() ?? state.waitingBehind.shift();
    if (message === undefined) return undefined;
    const outstanding = { ns: state.nextNs, message, octets: encode(message, state.nextNs), again: false };
    state.nextNs = nextSequence(state.nextNs);
    state.outstanding.push(outstanding);
    return outstanding;
  }

  /**
   * For two ends that agree on nothing beforehand, so that one that begins anew cannot say so (RFC 3931 has no word on
   * them). Both zero: the other end begins, and so do we. Else the numbers only go forward: to what it says it has sent,
   * and to what it says it has received. Returns whether what is outstanding has other numbers now and has to be encoded
   * again.
   */
  resynchronise(ns: number, nr: number): boolean {
    const { state } = this;
    if (isBeginning(ns, nr)) {
      state.nr = 0;
      return this.#renumber(0);
    }
    if (!isOldSequence(ns, state.nr)) state.nr = ns;
    return isOldSequence(nr, state.nextNs) || nr === state.nextNs ? false : this.#renumber(nr);
  }

  #renumber(first: number): boolean {
    const { state } = this;
    if (first === (state.outstanding[0]?.ns ?? state.nextNs)) return false;
    state.outstanding = state.outstanding.map((each, index) => ({ ...each, ns: (first + index) & 0xffff }));
    state.nextNs = (first + state.outstanding.length) & 0xffff;
    return true;
  }

  /** Forgets everything: both counters begin at 0 again. */
  reset(): void {
    Object.assign(this.state, createChannelState(this.state.ownWindow));
  }

  /** What is still to be acknowledged goes out in another form from now on. */
  encodeAgain(encode: (message: Outgoing, ns: number) => Uint8Array): void {
    for (const outstanding of this.state.outstanding) outstanding.octets = encode(outstanding.message, outstanding.ns);
  }

  /** The retransmission timer ran out. Returns false when the peer has used up its chances. */
  timeout(retries: number): boolean {
    const { state } = this;
    if (state.retransmissions >= retries) return false;
    state.retransmissions += 1;
    state.inFlight = 0;
    collapseCongestionWindow(state.congestion);
    return true;
  }
}

/** What an end sends that has neither sent nor received anything before. */
export function isBeginning(ns: number, nr: number): boolean {
  return ns === 0 && nr === 0;
}

/** The wait before retransmission number `retransmissions` + 1: doubling from initial to max (RFC 3931 4.2). */
export function retransmitDelayMs(policy: RetransmitConfiguration, retransmissions: number): number {
  return Math.min(policy.maxMs, policy.initialMs * 2 ** Math.min(retransmissions, 30));
}

/** A full retransmission cycle: from the first transmission of a message until its sender gives up. */
export function retransmissionCycleMs(policy: RetransmitConfiguration): number {
  let total = 0;
  for (let n = 0; n <= policy.retries; n++) total += retransmitDelayMs(policy, n);
  return total;
}

/** For a peer that acknowledges but does not go on. One that is silent runs out of retransmissions before. */
export function setupLimitMs(policy: RetransmitConfiguration): number {
  const retries = Math.max(policy.retries, policy.sccrqRetries);
  return retransmissionCycleMs({ ...policy, retries }) + policy.initialMs;
}
