import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DaemonProcess, until } from "../../support/daemon-process.ts";
import { Link, NetworkNamespace, namespacesMissing } from "../../support/namespaces.ts";
import { type Capture, captureIn, tsharkMissing } from "../../support/tshark.ts";
import { libraryPath, providePackages } from "../vm/package-trees.ts";

const SITE = "192.0.2.1";
export const SERVER = "192.0.2.2";
/** Under emulation and beside other tests SoftEther takes its time; by itself it answers after 2 s. */
const READY_MS = 30_000;
const CONFIGURATION = readFileSync(new URL("vpn_server.config", import.meta.url));

/** Its configuration comes by standard input; what it writes stays in memory that goes away with it. */
const START = `
set -e
for folder in /var/lib /var/log /run; do
  mount -t tmpfs tmpfs $folder
  mkdir $folder/softether
done
cat >/var/lib/softether/vpn_server.config
exec "$0" start --foreground
`;

/** Prints whether an SCCRP comes. To tunnels of before HELLO, CDN and StopCCN may come. */
const ASK = `
const [hex, site, server] = process.argv.slice(1);
const socket = require("node:dgram").createSocket("udp4");
function end(text) {
  process.stdout.write(text);
  process.exit();
}
socket.on("message", (octets) => {
  if (octets.length > 20 && octets.readUInt16BE(18) === 2) end("SCCRP");
});
socket.bind(1701, site, () => {
  for (const delay of [0, 700, 1400]) setTimeout(() => socket.send(Buffer.from(hex, "hex"), 1701, server), delay);
  setTimeout(end, 2000, "silence");
});
`;

/** The folder of SoftEther's packages, or why they cannot be had, as the end of a sentence. */
export async function softEther(): Promise<{ readonly folder: string } | { readonly missing: string }> {
  const missing = namespacesMissing() ?? tsharkMissing();
  if (missing !== undefined) return { missing };
  try {
    return { folder: await providePackages(["softether-vpnserver"]) };
  } catch (error) {
    return {
      missing: `needs the Debian package softether-vpnserver: ${error instanceof Error ? error.message : error}`,
    };
  }
}

/** SoftEther VPN Server in a namespace and a mount namespace of its own. It accepts one tunnel at a time. */
export class SoftEtherServer {
  /** Its own log, which tells nothing of L2TPv3. */
  readonly log: string[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(namespace: NetworkNamespace, folder: string) {
    const program = join(folder, "usr/libexec/softether/vpnserver/vpnserver");
    this.#child = namespace.spawn("bash", ["-c", START, program], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, LD_LIBRARY_PATH: libraryPath(folder) },
    });
    this.#ended = new Promise((resolve) => this.#child.on("close", () => resolve()));
    if (this.#child.stdout !== null) createInterface(this.#child.stdout).on("line", (line) => this.log.push(line));
    this.#child.stdin?.end(CONFIGURATION);
  }

  /** Sends the signal, waits for the end and gives the milliseconds that it took. */
  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<number> {
    const began = Date.now();
    this.#child.kill(signal);
    await this.#ended;
    return Date.now() - began;
  }
}

/** TOML lines put after those of a table. */
export interface Extra {
  readonly tunnel?: string;
  /** The names of the sessions; default: lan42. */
  readonly sessions?: readonly string[];
}

/** Our site and a SoftEther server, each in a namespace, joined by a cable. */
export class SoftEtherLab {
  readonly site = new NetworkNamespace();
  readonly server = new NetworkNamespace();
  readonly directory = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-softether-"));
  readonly #folder: string;
  #daemons = 0;

  constructor(folder: string) {
    this.#folder = folder;
    new Link(this.site, this.server, { device: "wan", addresses: [`${SITE}/24`, `${SERVER}/24`] });
  }

  /** Starts the server and waits until it takes control messages. */
  async startServer(): Promise<SoftEtherServer> {
    const server = new SoftEtherServer(this.server, this.#folder);
    await until("SoftEther has UDP 1701", READY_MS, async () => {
      const { stdout } = await this.server.run("ss", ["-Hlun", "sport = :1701"]);
      return stdout !== "";
    });
    return server;
  }

  /** Timing is short: a dead peer is noticed after about 6 s. */
  startDaemon({ tunnel = "", sessions = ["lan42"] }: Extra = {}): DaemonProcess {
    this.#daemons += 1;
    const name = `site${this.#daemons}`;
    const keys = {
      peer: `"${SERVER}"`,
      role: '"initiator"',
      hello_interval: '"2s"',
      retransmit: '{ initial = "500ms", retries = 4, sccrq_retries = 4 }',
      reconnect: '{ min = "500ms", max = "2s" }',
    };
    const replaced = new Set([...tunnel.matchAll(/^(\w+) *=/gm)].map(([, key]) => key));
    const kept = Object.entries(keys).filter(([key]) => !replaced.has(key));
    const configuration = [
      "[lcce]",
      `hostname = "site-a"\nrouter_id = "${SITE}"\nlisten = []\ndatapath = "none"\nlog_level = "debug"`,
      `admin_socket = "${join(this.directory, `${name}.sock`)}"`,
      "[tunnel.hub]",
      ...kept.map(([key, value]) => `${key} = ${value}`),
      tunnel,
      ...sessions.map((session) => `[tunnel.hub.session.${session}]`),
    ].join("\n");
    return new DaemonProcess(this.site, { name, directory: this.directory, configuration });
  }

  /** Of what passes the cable, or another device of the site. */
  capture(options: { readonly device?: string; readonly filter?: string } = {}): Promise<Capture> {
    return captureIn(this.site, join(this.directory, "exchange.pcap"), options);
  }

  /** Sends a control message (hex, its Length is put right) from UDP 1701 thrice within 2 s: "SCCRP" or "silence". */
  async ask(hex: string): Promise<string> {
    const octets = Buffer.from(hex, "hex");
    octets.writeUInt16BE(octets.length, 2);
    const { stdout } = await this.site.run(process.execPath, ["-e", ASK, octets.toString("hex"), SITE, SERVER]);
    return stdout;
  }

  /** Kills what runs and removes everything. */
  remove(): void {
    this.site.remove();
    this.server.remove();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
