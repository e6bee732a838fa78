import { rmSync } from "node:fs";
import * as libc from "../../src/kernel/libc.ts";
import { unixAddress } from "../../src/kernel/unix-datagram.ts";
import { until } from "./daemon-process.ts";

/** What systemd is to a daemon: a Unix datagram socket that takes what sd_notify(3) says. */
export class NotifyReceiver {
  readonly name: string;
  /** Everything taken so far: one entry a datagram. */
  readonly heard: Readonly<Record<string, string>>[] = [];
  readonly #fd = libc.socket(libc.AF_UNIX, libc.SOCK_DGRAM, 0);
  readonly #octets = Buffer.alloc(4096);

  /** `name`: an absolute path, or "@name" in the abstract namespace. */
  constructor(name: string) {
    const address = unixAddress(name);
    if (address === undefined) throw new Error(`${name} is no address`);
    libc.bind(this.#fd, address);
    this.name = name;
  }

  /** Takes what has come. */
  read(): readonly Readonly<Record<string, string>>[] {
    for (;;) {
      const length = libc.recv(this.#fd, this.#octets, this.#octets.length, libc.MSG_DONTWAIT);
      if (length < 0) return this.heard;
      const lines = this.#octets.toString("utf8", 0, length).split("\n").filter(Boolean);
      this.heard.push(Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2))));
    }
  }

  /** Waits for a datagram, from the `from`-th on, that has all of `assignments`. */
  until(assignments: Readonly<Record<string, string | RegExp>>, deadlineMs = 5_000, from = 0) {
    const wanted = Object.entries(assignments);
    return until(`notification ${JSON.stringify(assignments)}`, deadlineMs, () =>
      this.read()
        .slice(from)
        .find((each) => wanted.every(([key, value]) => matches(each[key], value))),
    );
  }

  close(): void {
    libc.close(this.#fd);
    if (this.name.startsWith("/")) rmSync(this.name, { force: true });
  }
}

function matches(found: string | undefined, wanted: string | RegExp): boolean {
  return typeof wanted === "string" ? found === wanted : found !== undefined && wanted.test(found);
}
