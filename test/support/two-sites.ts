import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PingResult, TransferResult } from "../../demo/traffic.ts";
import { DaemonProcess, until } from "./daemon-process.ts";
import { Link, NetworkNamespace } from "./namespaces.ts";

export type SiteName = "paris" | "lyon";

/** A site: a namespace, its address on the link, and its address inside the pseudowire. */
export interface Site {
  readonly name: SiteName;
  readonly namespace: NetworkNamespace;
  readonly address: string;
  readonly pseudowireAddress: string;
  readonly adminSocket: string;
}

/** TOML lines put after those of the table. */
export interface Extra {
  readonly lcce?: string;
  readonly tunnel?: string;
  readonly session?: string;
}

const TRAFFIC_PORT = 5001;

/** Two sites joined by a cable, and nothing started yet. */
export class TwoSites {
  readonly paris: Site;
  readonly lyon: Site;
  readonly link: Link;
  /** Of configurations and admin sockets; removed with the rest. */
  readonly directory = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-sites-"));
  readonly #daemons: DaemonProcess[] = [];

  constructor() {
    process.on("exit", this.#removeDirectory);
    this.paris = this.#site("paris", "192.0.2.1", "10.42.0.1");
    this.lyon = this.#site("lyon", "192.0.2.2", "10.42.0.2");
    const addresses = [`${this.paris.address}/24`, `${this.lyon.address}/24`] as const;
    this.link = new Link(this.paris.namespace, this.lyon.namespace, { device: "wan", addresses });
  }

  other({ name }: Site): Site {
    return name === "paris" ? this.lyon : this.paris;
  }

  /**
   * A tunnel to the other site with one session "lan42". Timing is short, so that a dead peer is noticed after about 4 s;
   * keys of `extra` replace those written here.
   */
  configuration(site: Site, extra: Extra = {}): string {
    const peer = this.other(site);
    const lcce = {
      hostname: q(`site-${site.name}`),
      router_id: q(site.address),
      admin_socket: q(site.adminSocket),
      log_level: q("debug"),
    };
    const tunnel = {
      peer: q(peer.address),
      role: q(site.name === "paris" ? "initiator" : "responder"),
      hello_interval: q("1s"),
      retransmit: '{ initial = "200ms", retries = 3, sccrq_retries = 3 }',
      reconnect: '{ min = "500ms", max = "2s" }',
    };
    const session = { interface: q(`l2-${peer.name}`), addresses: `["${site.pseudowireAddress}/24"]` };
    return [
      ...table("lcce", lcce, extra.lcce),
      ...table(`tunnel.${peer.name}`, tunnel, extra.tunnel),
      ...table(`tunnel.${peer.name}.session.lan42`, session, extra.session),
    ].join("\n");
  }

  /** Runs the daemon at a site. `name` is that of its configuration file, for a site's second one. */
  start(
    site: Site,
    configuration = this.configuration(site),
    name: string = site.name,
    args: readonly string[] = [],
  ): DaemonProcess {
    const daemon = new DaemonProcess(site.namespace, { name, directory: this.directory, configuration, args });
    this.#daemons.push(daemon);
    return daemon;
  }

  /** ICMP echo from `site` to `address`, by default the other end of the pseudowire. */
  async ping(site: Site, count: number, address = this.other(site).pseudowireAddress): Promise<PingResult> {
    const { stdout, stderr } = await site.namespace.run(process.execPath, [traffic, "ping", address, String(count)]);
    return result<PingResult>(stdout, stderr);
  }

  /** TCP through the pseudowire from `site` to the other one. */
  async transfer(site: Site, seconds: number): Promise<TransferResult> {
    const { namespace, pseudowireAddress } = this.other(site);
    const where = [pseudowireAddress, String(TRAFFIC_PORT)];
    const server = namespace.spawn(process.execPath, [traffic, "serve", ...where], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    server.stdout?.on("data", (octets: Buffer) => {
      said += octets.toString();
    });
    await until("the TCP server listens", 10_000, () => said.includes("listening"));
    const timeoutMs = seconds * 1000 + 30_000;
    const client = await site.namespace.run(process.execPath, [traffic, "send", ...where, String(seconds)], timeoutMs);
    return result<TransferResult>(client.stdout, client.stderr);
  }

  /** The daemons that still run. */
  running(): readonly DaemonProcess[] {
    return this.#daemons.filter(({ running }) => running);
  }

  /** Kills and removes everything. A second time it does nothing. */
  remove(): void {
    for (const daemon of this.running()) daemon.signal("SIGKILL");
    this.paris.namespace.remove();
    this.lyon.namespace.remove();
    this.#removeDirectory();
    process.off("exit", this.#removeDirectory);
  }

  readonly #removeDirectory = (): void => rmSync(this.directory, { recursive: true, force: true });

  #site(name: SiteName, address: string, pseudowireAddress: string): Site {
    const adminSocket = join(this.directory, `${name}.sock`);
    return { name, namespace: new NetworkNamespace(), address, pseudowireAddress, adminSocket };
  }
}

const traffic = fileURLToPath(trafficProgram());

/** From test/support in the tree as well as from its compiled copy under dist. */
function trafficProgram(): URL {
  return new URL(
    import.meta.url.endsWith(".ts") ? "../../dist/demo/traffic.js" : "../../demo/traffic.js",
    import.meta.url,
  );
}

function q(text: string): string {
  return `"${text}"`;
}

function table(name: string, keys: Readonly<Record<string, string>>, extra = ""): readonly string[] {
  const replaced = new Set([...extra.matchAll(/^(\w+) *=/gm)].map(([, key]) => key));
  const kept = Object.entries(keys).filter(([key]) => !replaced.has(key));
  return [`[${name}]`, ...kept.map(([key, value]) => `${key} = ${value}`), extra, ""];
}

function result<T>(stdout: string, stderr: string): T {
  const last = stdout.trimEnd().split("\n").at(-1) ?? "";
  if (!last.startsWith("{")) throw new Error(`no result: ${stdout}${stderr}`);
  return JSON.parse(last);
}
