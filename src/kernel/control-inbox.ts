/**
 * So many control datagrams of a tunnel may be under way between the forwarding thread and who handles them: far above
 * what a window lets a peer send, far below what memory and the main loop would feel. More are discarded, and
 * retransmitted by an honest peer (RFC 3931 4.2).
 */
export const MOST_UNHANDLED = 256;
/** In one turn of the event loop: some milliseconds, then timers and other sockets have theirs. */
const HANDLED_PER_TURN = 64;

/** How many datagrams of a tunnel are under way: both threads count in it. */
export type Backlog = Int32Array<SharedArrayBuffer>;

export function newBacklog(): Backlog {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
}

/** For who posts: false where the datagram must be discarded instead. */
export function admit(backlog: Backlog): boolean {
  if (Atomics.load(backlog, 0) >= MOST_UNHANDLED) return false;
  Atomics.add(backlog, 0, 1);
  return true;
}

/** Where the datagrams of one tunnel go. */
export interface ControlReceiver {
  readonly backlog: Backlog;
  readonly onControlDatagram: (octets: Uint8Array) => void;
}

/** The main thread's end: what has come is handled in its order, a bounded number in each turn of the event loop. */
export class ControlInbox {
  readonly #waiting: { readonly receiver: ControlReceiver; readonly octets: Uint8Array }[] = [];
  #isDue = false;

  push(receiver: ControlReceiver, octets: Uint8Array): void {
    this.#waiting.push({ receiver, octets });
    this.#handleSoon();
  }

  /** Hands over at once what waits for `receiver`. */
  flush(receiver: ControlReceiver): void {
    const all = this.#waiting.splice(0);
    const others = all.filter((each) => each.receiver !== receiver);
    this.#waiting.push(...others);
    for (const each of all) if (each.receiver === receiver) handle(each.receiver, each.octets);
  }

  #handleSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      for (let left = HANDLED_PER_TURN; left > 0; left--) {
        const next = this.#waiting.shift();
        if (next === undefined) return;
        handle(next.receiver, next.octets);
      }
      if (this.#waiting.length > 0) this.#handleSoon();
    });
  }
}

function handle({ backlog, onControlDatagram }: ControlReceiver, octets: Uint8Array): void {
  Atomics.sub(backlog, 0, 1);
  onControlDatagram(octets);
}
