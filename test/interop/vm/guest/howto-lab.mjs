// For daemon-howto.mjs and daemon-nat.mjs: several namespaces and the cables between them, and daemons that run the files of conf/examples.
import { readFileSync } from "node:fs";
import { attempt, check, Daemon, Namespace, note, run, SOON_MS, sleep, within } from "./daemon-lab.mjs";

const EXAMPLES = "/app/conf/examples";
const PAUSE_MS = 500;
const GUEST = "/app/test/interop/vm/guest";

export class Net {
  daemons = [];
  #namespaces = new Map();

  add(...names) {
    return names.map((name) => {
      run("ip", "netns", "add", name);
      const namespace = new Namespace(name);
      namespace.ip("link", "set", "lo", "up");
      this.#namespaces.set(name, namespace);
      return namespace;
    });
  }

  /** Each end: a namespace, the device's name there and perhaps its address with the prefix's length. */
  cable([one, oneDevice, oneAddress], [other, otherDevice, otherAddress]) {
    const peer = ["type", "veth", "peer", "name", otherDevice, "netns", other.name];
    run("ip", "link", "add", oneDevice, "netns", one.name, ...peer);
    for (const [site, device, address] of [
      [one, oneDevice, oneAddress],
      [other, otherDevice, otherAddress],
    ]) {
      if (address !== undefined) site.ip("address", "add", address, "dev", device);
      site.ip("link", "set", device, "up");
    }
  }

  /** Runs an example as it is, but for where its admin socket is and how much it logs. */
  start(site, example, change = (text) => text) {
    const file = readFileSync(`${EXAMPLES}/${example}.toml`, "utf8");
    const own = `admin_socket = "/run/daemons/${site.name}.sock"\nlog_level = "debug"\n`;
    return this.startWith(site, change(file).replace("[lcce]\n", `[lcce]\n${own}`));
  }

  /** Runs a configuration. */
  startWith(site, configuration) {
    const daemon = new Daemon(site, site.name, configuration);
    this.daemons.push(daemon);
    return daemon;
  }

  async remove() {
    await Promise.all(this.daemons.filter(({ running }) => running).map((daemon) => daemon.stop("SIGKILL")));
    for (const name of this.#namespaces.keys()) await attempt("ip", "netns", "delete", name);
  }
}

/** What the READMEs of the examples say is typed in at each site. */
export function addBridge(site) {
  site.ip("link", "add", "br0", "type", "bridge");
  site.ip("link", "set", "eth1", "master", "br0");
  site.ip("link", "set", "br0", "up");
  site.ip("link", "set", "eth1", "up");
}

export function forward(...sites) {
  for (const site of sites) site.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1");
}

export function masquerade(site, ...words) {
  run("modprobe", "-a", "nft_chain_nat", "nft_masq");
  site.run("node", `${GUEST}/masquerade.mjs`, ...words);
}

/** What df-ping.mjs says of echoes, each an address and the octets of the IPv4 packet. */
export async function dfPings(site, ...echoes) {
  const { stdout, stderr } = await site.attempt("node", `${GUEST}/df-ping.mjs`, ...echoes.flat().map(String));
  return stdout === "" ? [stderr] : stdout.trim().split("\n");
}

/** Every tunnel and session of every daemon is established. */
export async function allUp(name, daemons) {
  const isUp = ({ state, sessions }) => [{ state }, ...sessions].every((each) => each.state === "established");
  const condition = async () => {
    // Several daemons start at once in a machine that may be emulated: asking all the time would hold them up.
    await sleep(PAUSE_MS);
    const reports = await Promise.all(daemons.map((daemon) => daemon.show()));
    return reports.every((report) => report?.tunnels.every(isUp));
  };
  const explain = async () => (await Promise.all(daemons.map((daemon) => daemon.explain()))).join("\n");
  await within(name, 10 * SOON_MS, condition, explain);
}

/** Runs `body` with a net that is gone afterwards; an exception in it is a failed check. */
export async function setup(name, body) {
  const began = performance.now();
  const net = new Net();
  try {
    await body(net);
  } catch (error) {
    check(`${name}: the scenario comes to its end`, false, `${error.stack}\n${error.stderr ?? ""}`);
    for (const daemon of net.daemons) note((await daemon.explain()).replaceAll("\n", "\n# "));
  } finally {
    await net.remove();
  }
  note(`${name}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
}
