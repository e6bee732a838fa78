// For scripts in the guest: the real daemon in namespaces "a" and "b", joined by veth devices "wire". A check prints
// "ok NAME" or "not ok NAME".
import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { createInterface } from "node:readline";

const FOLDER = "/run/daemons";
const POLL_MS = 50;
/** Long enough for whatever only has to happen in the end: the machine may be emulated, and others may keep it busy. */
export const SOON_MS = 120_000;

let passed = 0;
let failed = 0;

export function check(name, holds, detail = "") {
  const lines = holds || detail === "" ? [] : detail.trimEnd().split("\n");
  console.log([`${holds ? "ok" : "not ok"} ${name}`, ...lines.map((line) => `# ${line}`)].join("\n"));
  if (holds) passed++;
  else failed++;
}

export function equal(name, actual, expected) {
  const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  check(name, found === wanted, `${found}\ninstead of ${wanted}`);
}

export function matches(name, text, pattern) {
  check(name, pattern.test(text), `no ${pattern} in:\n${text}`);
}

/** Waits until `condition` gives something, which is the check, and returns that and how long it took. */
export async function within(name, milliseconds, condition, explain = () => "") {
  const began = performance.now();
  let value = await condition();
  while (!value && performance.now() - began < milliseconds) {
    await sleep(POLL_MS);
    value = await condition();
  }
  const tookMs = Math.round(performance.now() - began);
  check(name, Boolean(value), `not within ${milliseconds} ms\n${value ? "" : await explain()}`);
  return { value, tookMs };
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function note(text) {
  console.log(`# ${text}`);
}

/** The last line, which a script that ended before does not have. */
export function finish() {
  console.log(`# end: ${passed} passed, ${failed} failed`);
  process.exit(failed > 0 ? 1 : 0);
}

/** A command's output; throws where it fails. */
export function run(...words) {
  const [command, ...args] = words;
  return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Code and output of a command, whatever comes of it. */
export function attempt(...words) {
  const [command, ...args] = words;
  return new Promise((resolve) => {
    execFile(command, args, { encoding: "utf8" }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

export function loadedModules() {
  const lines = readFileSync("/proc/modules", "utf8").split("\n");
  return lines.map((line) => line.split(" ")[0]).filter((name) => name.startsWith("l2tp_"));
}

export class Namespace {
  constructor(name, addresses) {
    this.name = name;
    this.addresses = addresses;
  }

  ip(...words) {
    return run("ip", "-n", this.name, ...words);
  }

  json(...words) {
    return JSON.parse(this.ip("-json", ...words) || "[]");
  }

  run(...words) {
    return run("ip", "netns", "exec", this.name, ...words);
  }

  attempt(...words) {
    return attempt("ip", "netns", "exec", this.name, ...words);
  }

  /** All but the loopback, the cable and what `except` names. */
  devices(...except) {
    const names = this.json("link", "show").map(({ ifname }) => ifname);
    return names.filter((name) => !["lo", "wire", ...except].includes(name)).sort();
  }

  device(name) {
    return this.json("-details", "address", "show", "dev", name)[0];
  }

  /** What `ip l2tp` shows, without line ends: empty where there is nothing. */
  l2tp(what, ...selector) {
    return this.ip("l2tp", "show", what, ...selector);
  }

  /** `count` echoes; true where each came back. */
  async ping(address, { count = 3, interval = 0.1, size = 56 } = {}) {
    const words = ["-c", String(count), "-i", String(interval), "-W", "3", "-s", String(size), address];
    const { stdout } = await this.attempt("ping", ...words);
    return new RegExp(`^${count} packets transmitted, ${count} packets received`, "m").test(stdout);
  }

  /** A counter of /proc/net/snmp, such as "Ip", "FragCreates". */
  snmp(protocol, counter) {
    const lines = this.run("cat", "/proc/net/snmp").split("\n");
    const [names, values] = lines.filter((line) => line.startsWith(`${protocol}:`)).map((line) => line.split(" "));
    return Number(values[names.indexOf(counter)]);
  }
}

export class Daemon {
  constructor(namespace, name, configuration) {
    this.namespace = namespace;
    this.name = name;
    this.file = `${FOLDER}/${name}.toml`;
    this.socket = /^admin_socket *= *"(.*)"/m.exec(configuration)?.[1] ?? "/run/l2tpv3-lcc/admin.sock";
    this.log = [];
    this.stderr = "";
    mkdirSync(FOLDER, { recursive: true });
    writeFileSync(this.file, configuration);
    const words = ["netns", "exec", namespace.name, "l2tpv3-lcc", "--conf", this.file];
    this.child = spawn("ip", words, { stdio: ["ignore", "pipe", "pipe"] });
    this.exited = new Promise((resolve) => this.child.on("close", (code, signal) => resolve({ code, signal })));
    this.child.stderr.on("data", (octets) => {
      this.stderr += octets;
    });
    createInterface(this.child.stdout).on("line", (line) => this.log.push(entryOf(line)));
  }

  get running() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  kill(signal) {
    this.child.kill(signal);
  }

  /** Resolves to the exit code or signal, and how long it took. */
  async stop(signal = "SIGTERM") {
    const began = performance.now();
    this.kill(signal);
    const { code, signal: endedBy } = await this.exited;
    return { end: code ?? endedBy, tookMs: Math.round(performance.now() - began) };
  }

  /** What `show --json` prints, without the half second that a command takes in here. */
  show() {
    return new Promise((resolve) => {
      let text = "";
      const socket = createConnection(this.socket, () => socket.end('{"command":"show"}\n'));
      socket.on("data", (octets) => {
        text += octets;
      });
      socket.on("error", () => resolve(undefined));
      socket.on("end", () => resolve(text === "" ? undefined : JSON.parse(text).result));
    });
  }

  async tunnel() {
    return (await this.show())?.tunnels[0];
  }

  async session(name) {
    return (await this.tunnel())?.sessions.find((session) => session.name === name);
  }

  command(...words) {
    return attempt("l2tpv3-lcc", ...words, "--conf", this.file);
  }

  /** Tunnel and all sessions, or those of `names`, are established. */
  async isUp(names) {
    const tunnel = await this.tunnel();
    if (tunnel?.state !== "established") return false;
    const wanted = tunnel.sessions.filter(({ name }) => names === undefined || names.includes(name));
    return wanted.every(({ state }) => state === "established") && tunnel;
  }

  /** Log lines, as text, of an event, of a level, or with a message. */
  lines(condition) {
    return this.log.filter(condition).map(({ level, event, message }) => `${level} ${event} ${message}`);
  }

  logged(event) {
    return this.log.some((entry) => entry.event === event);
  }

  warnings() {
    return this.lines(({ level }) => level === "warn" || level === "error");
  }

  /** Warnings about the machine, not about the peer. */
  earlyWarnings() {
    const ready = this.log.find(({ event }) => event === "ready")?.at ?? Number.POSITIVE_INFINITY;
    return this.lines(({ level, at }) => at <= ready && (level === "warn" || level === "error"));
  }

  /** For a failed check. */
  async explain() {
    const tunnel = await this.tunnel();
    const sessions = (tunnel?.sessions ?? []).slice(0, 5);
    const errors = sessions.map(({ name, state, last_error }) => `${name} ${state} ${last_error}`);
    const last = this.lines(({ level }) => level !== "trace").slice(-12);
    return [`${this.name}: ${tunnel?.state} ${tunnel?.last_error}`, ...errors, ...last, this.stderr].join("\n");
  }
}

function entryOf(line) {
  const at = performance.now();
  try {
    const { level, event = "", message, msg } = JSON.parse(line);
    return { at, level, event, message: message ?? msg ?? line };
  } catch {
    return { at, level: "", event: "", message: line };
  }
}

/** Two namespaces, the cable, and the daemons that a scenario starts there. */
class Sites {
  daemons = [];

  constructor(addresses) {
    const [a, b] = ["a", "b"].map((name, i) => new Namespace(name, addresses[i]));
    this.a = a;
    this.b = b;
    for (const { name } of [a, b]) run("ip", "netns", "add", name);
    run("ip", "link", "add", "wire", "netns", "a", "type", "veth", "peer", "name", "wire", "netns", "b");
    for (const site of [a, b]) {
      site.ip("link", "set", "lo", "up");
      site.ip("link", "set", "wire", "up");
      site.ip("address", "add", `${site.addresses}/24`, "dev", "wire");
    }
  }

  /** Starts the daemon of a site; `more` as for `configuration`. */
  start(site, more = {}) {
    return this.startWith(site, this.configuration(site, more));
  }

  startWith(site, configuration, name = site.name) {
    const daemon = new Daemon(site, name, configuration);
    this.daemons.push(daemon);
    return daemon;
  }

  /**
   * "a" opens the tunnel, "b" waits for it. Timing is short: a dead peer is noticed after about 7 s. Sessions are objects
   * of keys; without any there is one, "lan".
   */
  configuration(site, { lcce = {}, tunnel = {}, sessions = { lan: {} } } = {}) {
    const peer = site === this.a ? this.b : this.a;
    const timing = {
      hello_interval: "1s",
      retransmit: { initial: "200ms", retries: 4, sccrq_retries: 3 },
      reconnect: { min: "300ms", max: "1s" },
    };
    const tables = {
      lcce: {
        hostname: `site-${site.name}`,
        router_id: site.addresses,
        admin_socket: `${FOLDER}/${site.name}.sock`,
        log_level: "debug",
        datapath: "kernel",
        ...lcce,
      },
      "tunnel.wan": { peer: peer.addresses, role: site === this.a ? "initiator" : "responder", ...timing, ...tunnel },
    };
    for (const [name, keys] of Object.entries(sessions)) tables[`tunnel.wan.session.${name}`] = keys;
    return configurationOf(tables);
  }

  async remove() {
    const running = this.daemons.filter((daemon) => daemon.running);
    await Promise.all(running.map((daemon) => daemon.stop("SIGKILL")));
    for (const { name } of [this.a, this.b]) await attempt("ip", "netns", "delete", name);
  }
}

/** A configuration file. `tables`: keys and values by the name of the table. */
export function configurationOf(tables) {
  return Object.entries(tables)
    .flatMap(([name, keys]) => [`[${name}]`, ...Object.entries(keys).map(([key, value]) => `${key} = ${toml(value)}`)])
    .join("\n");
}

function toml(value) {
  if (typeof value !== "object" || Array.isArray(value)) return JSON.stringify(value);
  return `{ ${Object.entries(value)
    .map(([key, each]) => `${key} = ${toml(each)}`)
    .join(", ")} }`;
}

/** Runs `body` with two sites that are gone afterwards. An exception in it is a failed check of the scenario's name. */
export async function scenario(name, body, addresses = ["10.0.0.1", "10.0.0.2"]) {
  const began = performance.now();
  const sites = new Sites(addresses);
  try {
    await body(sites);
  } catch (error) {
    check(`${name}: the scenario comes to its end`, false, `${error.stack}\n${error.stderr ?? ""}`);
    for (const daemon of sites.daemons) note((await daemon.explain()).replaceAll("\n", "\n# "));
  } finally {
    await sites.remove();
  }
  note(`${name}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

/** Starts both; `more` for both. The check is that they come up. */
export async function startBoth(sites, name, { a: moreAtA, b: moreAtB, milliseconds = SOON_MS }) {
  const b = sites.start(sites.b, moreAtB);
  const a = sites.start(sites.a, moreAtA);
  await bothUp(name, a, b, { milliseconds });
  return { a, b };
}

/** The check is that both come up; returns how long that took. */
export async function bothUp(name, a, b, { names, milliseconds = SOON_MS } = {}) {
  const explain = async () => [await a.explain(), await b.explain()].join("\n");
  const isUp = async () => (await a.isUp(names)) && (await b.isUp(names));
  return (await within(name, milliseconds, isUp, explain)).tookMs;
}

/** Nothing of ours is in the namespace: neither tunnel nor session nor device. */
export function leftIn(site, ...except) {
  return [site.l2tp("tunnel"), site.l2tp("session"), ...site.devices(...except)]
    .filter((text) => text !== "")
    .join("\n");
}

export function fileExists(path) {
  return existsSync(path);
}
