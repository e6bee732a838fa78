import type { ChildProcess } from "node:child_process";
import type { SiteCalls, SiteMessage, SiteRequest } from "../../bench/userspace-site.ts";
import type { NetworkNamespace } from "./namespaces.ts";

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

type Call = keyof SiteCalls;

/** What a site refused. `errno` is empty unless it was a `KernelError`. */
export class SiteRefusal extends Error {
  readonly errno: string;

  constructor(message: string, errno: string) {
    super(message);
    this.errno = errno;
  }
}

/** The parent's side of bench/userspace-site.ts: a process in a namespace that runs the userspace datapath. */
export class UserspaceSite {
  readonly namespace: NetworkNamespace;
  readonly controlDatagrams: Uint8Array[] = [];
  readonly troubles: string[] = [];
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #serial = 0;

  /** `script`: the compiled bench/userspace-site.js. */
  constructor(namespace: NetworkNamespace, script: string) {
    this.namespace = namespace;
    this.#child = namespace.spawn(process.execPath, [script], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      serialization: "advanced",
    });
    this.#child.on("message", (message) => this.#hear(message as SiteMessage));
    this.#exited = new Promise((resolve) => {
      this.#child.on("exit", () => {
        for (const { reject } of this.#pending.values()) reject(new Error("the site has ended"));
        resolve();
      });
    });
  }

  call<C extends Call>(call: C, ...args: Parameters<SiteCalls[C]>): Promise<Awaited<ReturnType<SiteCalls[C]>>> {
    const request: SiteRequest = { serial: this.#serial++, call, args };
    return new Promise((resolve, reject) => {
      this.#pending.set(request.serial, {
        resolve: (value) => resolve(value as Awaited<ReturnType<SiteCalls[C]>>),
        reject,
      });
      this.#child.send(request, (error) => {
        if (error !== null) reject(error);
      });
    });
  }

  /** Ends the process and waits for that. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal);
    await this.#exited;
  }

  /** Resolves when the process has ended. */
  ended(): Promise<void> {
    return this.#exited;
  }

  #hear(message: SiteMessage): void {
    switch (message.event) {
      case "answer":
        this.#take(message.serial)?.resolve(message.value);
        break;
      case "refusal":
        this.#take(message.serial)?.reject(new SiteRefusal(message.message, message.errno));
        break;
      case "control-datagram":
        this.controlDatagrams.push(message.octets);
        break;
      case "trouble":
        this.troubles.push(message.message);
        break;
    }
  }

  #take(serial: number): Pending | undefined {
    const pending = this.#pending.get(serial);
    this.#pending.delete(serial);
    return pending;
  }
}
