import * as libc from "../kernel/libc.ts";
import type { NotifySocket } from "./notify-socket.ts";

/** The first descriptor that a service manager passes (sd_listen_fds(3)). */
const FIRST_DESCRIPTOR = 3;
const PATIENCE_MS = 5_000;
const LOOK_MS = 5;

/** Sockets that outlive the process: whoever keeps them gives them to the next one. */
export interface SocketKeeper {
  /** `name`: at most 255 octets, without control characters and ":". */
  keep(name: string, fd: number): void;
  release(name: string): void;
  /** An earlier process's are around: that a port is in use need not be another program's doing. */
  readonly inherited: boolean;
  /** The socket that an earlier process had kept by this name; from now on it is the caller's, and still kept. */
  take(name: string): number | undefined;
}

/** What `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` say (sd_listen_fds(3)), where they are for the process `pid`. */
export function passedDescriptors(
  environment: NodeJS.ProcessEnv,
  pid: number,
): readonly { readonly name: string; readonly fd: number }[] {
  const { LISTEN_PID, LISTEN_FDS = "", LISTEN_FDNAMES = "" } = environment;
  if (LISTEN_PID !== String(pid) || !/^\d{1,6}$/.test(LISTEN_FDS)) return [];
  const names = LISTEN_FDNAMES.split(":");
  return Array.from({ length: Number(LISTEN_FDS) }, (_, i) => ({ name: names[i] ?? "", fd: FIRST_DESCRIPTOR + i }));
}

/** The file descriptor store of systemd (FDSTORE=1, FDSTOREREMOVE=1 in sd_pid_notify_with_fds(3)). */
export class KeptSockets implements SocketKeeper {
  readonly #notify: NotifySocket;
  /** Of an earlier process, and not taken yet. */
  readonly #passed = new Map<string, number>();
  /** Descriptors of one name; the manager tells them apart no better. */
  readonly #surplus: { readonly name: string; readonly fd: number }[] = [];

  /** Takes the descriptors that were passed: none goes on to a child process of ours. */
  constructor(notify: NotifySocket, environment: NodeJS.ProcessEnv, pid: number) {
    this.#notify = notify;
    for (const { name, fd } of passedDescriptors(environment, pid)) {
      const own = libc.dup(fd);
      libc.close(fd);
      if (this.#passed.has(name)) this.#surplus.push({ name, fd: own });
      else this.#passed.set(name, own);
    }
  }

  get inherited(): boolean {
    return this.#passed.size > 0;
  }

  keep(name: string, fd: number): void {
    // A socket with an error (ICMP unreachable) is as good as before: without FDPOLL=0 the manager would let go of it.
    this.#notify.sendLasting({ FDSTORE: "1", FDPOLL: "0", FDNAME: name }, fd);
  }

  release(name: string): void {
    this.#notify.sendLasting({ FDSTOREREMOVE: "1", FDNAME: name });
  }

  take(name: string): number | undefined {
    const fd = this.#passed.get(name);
    this.#passed.delete(name);
    return fd;
  }

  /**
   * Gives up what nobody has taken, and of which `unwanted` says so. Resolves when the manager has let go of it too: then
   * addresses and ports are free.
   */
  async discard(unwanted: (name: string) => boolean = () => true): Promise<void> {
    const gone = [...this.#passed].filter(([name]) => unwanted(name));
    const all = [...gone.map(([name, fd]) => ({ name, fd })), ...this.#surplus.splice(0)];
    for (const { name, fd } of all) {
      this.#passed.delete(name);
      libc.close(fd);
      this.release(name);
    }
    if (all.length > 0) await this.#barrier();
  }

  /** Everything that was said has left the process; or the manager takes nothing any more. */
  async settled(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS);
    });
    await Promise.race([this.#notify.settled(), patience]);
    clearTimeout(timer);
  }

  /** BARRIER=1: the manager closes the descriptor when it has come to this message. One that is too old never does. */
  async #barrier(): Promise<void> {
    const { reading, writing } = libc.pipe();
    this.#notify.sendLasting({ BARRIER: "1" }, writing);
    libc.close(writing);
    const polled = Buffer.alloc(8);
    polled.writeInt32LE(reading, 0);
    const deadline = performance.now() + PATIENCE_MS;
    while (libc.poll(polled, 1, 0) === 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    libc.close(reading);
  }
}
