import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Endpoint } from "../../../src/control/core.ts";
import { DaemonProcess, until } from "../../support/daemon-process.ts";

const START_MS = 60_000;

/** The host itself, where NetworkNamespace is a network of its own. */
const HOST = { spawn: (command: string, args: readonly string[], options = {}) => spawn(command, args, options) };

/**
 * The real daemon on a loopback address: over UDP without a datapath, so that nothing of the machine is touched, over IP
 * with that of the kernel, which has no other sockets for it.
 */
export class DaemonOnLoopback {
  readonly endpoint: Endpoint;
  readonly directory = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-peers-"));
  readonly #daemons: DaemonProcess[] = [];

  private constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
  }

  /** Over UDP. Nothing is started yet, but its address and port are known. */
  static async at(address: string): Promise<DaemonOnLoopback> {
    const socket = createSocket("udp4");
    socket.bind(0, address);
    await once(socket, "listening");
    const { port } = socket.address();
    await new Promise<void>((resolve) => socket.close(() => resolve()));
    return new DaemonOnLoopback({ address, port });
  }

  static overIp(address: string): DaemonOnLoopback {
    return new DaemonOnLoopback({ address, port: 0 });
  }

  /** Starts it with these tunnels, in TOML, and waits until it answers. Later calls start it anew. */
  async start(tunnels: string): Promise<DaemonProcess> {
    const { address, port } = this.endpoint;
    const configuration = `[lcce]
hostname = "site-a"
router_id = "${address}"
listen = ["${port === 0 ? `ip:${address}` : `udp:${address}:${port}`}"]
datapath = "${port === 0 ? "kernel" : "none"}"
admin_socket = "${join(this.directory, "admin.sock")}"
log_level = "debug"
${tunnels}`;
    const daemon = new DaemonProcess(HOST, { name: "site", directory: this.directory, configuration });
    this.#daemons.push(daemon);
    await until(`the daemon answers: ${daemon.stderr}`, START_MS, () => daemon.show());
    return daemon;
  }

  remove(): void {
    for (const daemon of this.#daemons) daemon.signal("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  }
}
