import { close, dup } from "../kernel/libc.ts";
import { UnixDatagramSender, unixAddress } from "../kernel/unix-datagram.ts";
import type { Log } from "./log.ts";

/** A manager that is busy gets what it has missed later, the oldest first; of more than this nobody wants to know. */
const MOST_WAITING = 16;
const RETRY_MS = 500;
/** What concerns descriptors is not given up, and should not be late. */
const RETRY_SOON_MS = 10;

interface Message {
  readonly text: string;
  /** Ours until it is sent. */
  readonly descriptor: number | undefined;
  /** Other news do not make it worthless. */
  readonly lasting: boolean;
}

/**
 * The socket that the service manager listens at (sd_notify(3)). Nothing here ever waits or throws: the daemon does
 * without a manager that cannot be told.
 */
export class NotifySocket {
  readonly #name: string;
  readonly #sender: UnixDatagramSender;
  readonly #log: Pick<Log, "write">;
  readonly #waiting: Message[] = [];
  #retry: NodeJS.Timeout | undefined;
  #failing = false;
  #emptied: (() => void)[] = [];

  /** `undefined`, and a line in the log, where there is none to be told: the daemon was started by somebody else. */
  static open(name: string | undefined, log: Pick<Log, "write">): NotifySocket | undefined {
    const say = (words: string) => log.write({ level: "debug", event: "no-service-manager", message: words });
    if (name === undefined) {
      say("no service manager is told of anything: there is no NOTIFY_SOCKET");
      return undefined;
    }
    try {
      const address = unixAddress(name);
      if (address !== undefined) return new NotifySocket(name, new UnixDatagramSender(address), log);
      say(`no service manager is told of anything: NOTIFY_SOCKET=${name} is no Unix socket's address`);
    } catch (error) {
      say(`no service manager is told of anything: ${error instanceof Error ? error.message : String(error)}`);
    }
    return undefined;
  }

  private constructor(name: string, sender: UnixDatagramSender, log: Pick<Log, "write">) {
    this.#name = name;
    this.#sender = sender;
    this.#log = log;
  }

  /** Assignments, which the manager takes together. Every one is on a line of its own. */
  send(assignments: Readonly<Record<string, string>>): void {
    const superseded = this.#waiting.filter(({ lasting }) => !lasting);
    if (superseded.length >= MOST_WAITING) {
      this.#waiting.splice(this.#waiting.indexOf(superseded[0] as Message), 1);
    }
    this.#push({ text: linesOf(assignments), descriptor: undefined, lasting: false });
  }

  /** The same about descriptors, one of which may go with it: none is left out, and each in its order. */
  sendLasting(assignments: Readonly<Record<string, string>>, descriptor?: number): void {
    const own = descriptor === undefined ? undefined : dup(descriptor);
    this.#push({ text: linesOf(assignments), descriptor: own, lasting: true });
  }

  /** Resolves when the manager has been sent everything, or cannot be. */
  settled(): Promise<void> {
    if (this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#emptied.push(resolve));
  }

  #push(message: Message): void {
    this.#waiting.push(message);
    this.#flush();
  }

  #flush(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const outcome = this.#sender.send(next.text, next.descriptor);
      if (outcome === "full") {
        this.#tryAgain();
        return;
      }
      this.#waiting.shift();
      if (next.descriptor !== undefined) close(next.descriptor);
      if (outcome !== "sent") this.#complain(outcome);
      else this.#failing = false;
    }
    for (const resolve of this.#emptied.splice(0)) resolve();
  }

  #tryAgain(): void {
    clearTimeout(this.#retry);
    const delay = this.#waiting.some(({ lasting }) => lasting) ? RETRY_SOON_MS : RETRY_MS;
    this.#retry = setTimeout(() => this.#flush(), delay).unref();
  }

  /** Once, until it is reached again. */
  #complain(errno: string): void {
    if (this.#failing) return;
    this.#failing = true;
    const message = `the service manager cannot be told how things are: ${this.#name}: ${errno}`;
    this.#log.write({ level: "warn", event: "notify-failed", message });
  }
}

function linesOf(assignments: Readonly<Record<string, string>>): string {
  const lines = Object.entries(assignments).map(([key, value]) => `${key}=${value.replaceAll(/\s+/g, " ")}\n`);
  return lines.join("");
}
