import type { SpawnOptions } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import * as libc from "../../src/kernel/libc.ts";
import { unixAddress } from "../../src/kernel/unix-datagram.ts";
import type { NetworkNamespace } from "./namespaces.ts";

/** struct mmsghdr, iovec, and cmsghdr with a descriptor, one behind the other, and what comes. */
const [IOVEC, CONTROL, PAYLOAD] = [64, 80, 128];
const LOOK_MS = 2;
const MSG_CMSG_CLOEXEC = 0x40000000;

/**
 * What systemd is to a service with a file descriptor store: takes sockets that the daemon has it keep, and passes them to
 * the next process. It does its work beside the test, without being asked.
 */
export class StandInManager {
  readonly directory: string;
  readonly kept = new Map<string, number[]>();
  /** Everything heard, but for what is about descriptors. */
  readonly heard: string[] = [];
  readonly name: string;
  readonly #fd = libc.socket(libc.AF_UNIX, libc.SOCK_DGRAM, 0);
  readonly #timer: NodeJS.Timeout;

  constructor(directory: string) {
    this.name = join(directory, "notify");
    this.directory = join(directory, "run");
    mkdirSync(this.directory);
    const address = unixAddress(this.name);
    if (address === undefined) throw new Error(`${this.name} is no address`);
    libc.bind(this.#fd, address);
    this.#timer = setInterval(() => this.read(), LOOK_MS);
  }

  /** The file that a process leaves for the next one. */
  get stateFile(): string {
    return join(this.directory, "state");
  }

  /** Starts processes as a service manager does: with everything that is kept, and the same process number as said. */
  spawner(namespace: Pick<NetworkNamespace, "spawn">): Pick<NetworkNamespace, "spawn"> {
    return {
      spawn: (command: string, args: readonly string[], options: SpawnOptions) => {
        this.read();
        const passed = [...this.kept].flatMap(([name, fds]) => fds.map((fd) => ({ name, fd })));
        const env: NodeJS.ProcessEnv = { ...process.env, NOTIFY_SOCKET: this.name, RUNTIME_DIRECTORY: this.directory };
        if (passed.length > 0) env["LISTEN_FDS"] = String(passed.length);
        env["LISTEN_FDNAMES"] = passed.map(({ name }) => name).join(":");
        const stdio = [...(options.stdio as ("ignore" | "pipe")[]), ...passed.map(({ fd }) => fd)];
        const script = 'LISTEN_PID=$$ exec "$0" "$@"';
        return namespace.spawn("sh", ["-c", script, command, ...args], { ...options, stdio, env });
      },
    };
  }

  /** Takes what has come. */
  read(): void {
    const memory = Buffer.alloc(PAYLOAD + 8192);
    const base = libc.addressOf(memory);
    for (;;) {
      memory.fill(0);
      memory.writeBigUInt64LE(base + BigInt(IOVEC), 16);
      memory.writeBigUInt64LE(1n, 24);
      memory.writeBigUInt64LE(base + BigInt(PAYLOAD), IOVEC);
      memory.writeBigUInt64LE(8192n, IOVEC + 8);
      memory.writeBigUInt64LE(base + BigInt(CONTROL), 32);
      memory.writeBigUInt64LE(24n, 40);
      if (libc.recvmmsg(this.#fd, memory, 1, libc.MSG_DONTWAIT | MSG_CMSG_CLOEXEC) !== 1) return;
      const text = memory.toString("utf8", PAYLOAD, PAYLOAD + memory.readUInt32LE(56));
      const hasDescriptor = memory.readBigUInt64LE(40) > 0n;
      this.#take(text, hasDescriptor ? memory.readInt32LE(CONTROL + 16) : undefined);
    }
  }

  /** As if the service had been stopped: everything that is kept is closed. */
  forget(): void {
    for (const fds of this.kept.values()) for (const fd of fds) libc.close(fd);
    this.kept.clear();
  }

  close(): void {
    clearInterval(this.#timer);
    this.forget();
    libc.close(this.#fd);
  }

  #take(text: string, fd: number | undefined): void {
    const assignments = new Map(text.split("\n").map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]));
    const name = assignments.get("FDNAME") ?? "";
    if (assignments.has("FDSTORE") && fd !== undefined) this.kept.set(name, [...(this.kept.get(name) ?? []), fd]);
    else if (assignments.has("FDSTOREREMOVE")) {
      for (const each of this.kept.get(name) ?? []) libc.close(each);
      this.kept.delete(name);
    } else if (fd !== undefined) libc.close(fd);
    else this.heard.push(text);
  }
}
