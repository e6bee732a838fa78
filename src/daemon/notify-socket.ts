import { UnixDatagramSender, unixAddress } from "../kernel/unix-datagram.ts";
import type { Log } from "./log.ts";

/** A manager that is busy gets what it has missed later, the oldest first; of more than this nobody wants to know. */
const MOST_WAITING = 16;
const RETRY_MS = 500;

/**
 * The socket that the service manager listens at (sd_notify(3)). Nothing here ever waits or throws: the daemon does
 * without a manager that cannot be told.
 */
export class NotifySocket {
  readonly #name: string;
  readonly #sender: UnixDatagramSender;
  readonly #log: Pick<Log, "write">;
  readonly #waiting: string[] = [];
  #retry: NodeJS.Timeout | undefined;
  #failing = false;

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
    const lines = Object.entries(assignments).map(([key, value]) => `${key}=${value.replaceAll(/\s+/g, " ")}\n`);
    this.#waiting.push(lines.join(""));
    if (this.#waiting.length > MOST_WAITING) this.#waiting.shift();
    this.#flush();
  }

  #flush(): void {
    for (let text = this.#waiting[0]; text !== undefined; text = this.#waiting[0]) {
      const outcome = this.#sender.send(text);
      if (outcome === "full") {
        this.#tryAgain();
        return;
      }
      this.#waiting.shift();
      if (outcome !== "sent") this.#complain(outcome);
      else this.#failing = false;
    }
  }

  #tryAgain(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#flush(), RETRY_MS).unref();
  }

  /** Once, until it is reached again. */
  #complain(errno: string): void {
    if (this.#failing) return;
    this.#failing = true;
    const message = `the service manager cannot be told how things are: ${this.#name}: ${errno}`;
    this.#log.write({ level: "warn", event: "notify-failed", message });
  }
}
