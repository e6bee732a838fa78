// For daemon-strongswan.mjs: strongSwan and WireGuard of Debian in network namespaces, with the files of conf/examples, and
// what passes the Internet between two sites.
import { spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createInterface } from "node:readline";
import { attempt, check, equal, note, run, SOON_MS, within } from "./daemon-lab.mjs";
import { dfPings, forward } from "./howto-lab.mjs";

const EXAMPLES = "/app/conf/examples";
/** What the package strongswan-swanctl has below /etc/swanctl, and an archive of files has not. */
const SWANCTL_FOLDERS =
  "conf.d x509 x509ca x509aa x509ac x509crl x509ocsp pubkey private rsa ecdsa bliss pkcs8 pkcs12".split(" ");
/** charon-systemd logs to the journal, which is not there. */
const LOGGING =
  "charon-systemd {\n  filelog {\n    log {\n      path = /run/charon.log\n      flush_line = yes\n    }\n  }\n}\n";
const ICMP_KINDS = { 3: "ICMP unreachable" };
const [PROTOCOL_ICMP, PROTOCOL_UDP, PROTOCOL_ESP, PROTOCOL_L2TP] = [1, 17, 50, 115];
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
const PORTS = { 500: "IKE", 4500: "IKE", 1701: "L2TP over UDP", 51820: "WireGuard" };

/** The addresses at the ends of the pseudowire. */
export const [INNER_A, INNER_B] = ["10.0.0.1", "10.0.0.2"];

/** Two sites, each with an address of its own, and the Internet between them. */
export function twoSites(net) {
  const [a, internet, b] = net.add("site-a", "internet", "site-b");
  net.cable([a, "eth0", "192.0.2.1/24"], [internet, "to-a", "192.0.2.254/24"]);
  net.cable([b, "eth0", "198.51.100.2/24"], [internet, "to-b", "198.51.100.254/24"]);
  a.ip("route", "add", "default", "via", "192.0.2.254");
  b.ip("route", "add", "default", "via", "198.51.100.254");
  forward(internet);
  return { a, internet, b };
}

/** A certificate that others are signed with, and its key. */
export function makeAuthority(path) {
  const files = ["-keyout", `${path}.key`, "-out", `${path}.pem`];
  run("openssl", "req", "-x509", ...NEW_KEY, "-days", "3650", "-subj", "/CN=example.net", ...files);
  return path;
}

/** The folder that `ip netns exec` shows as /etc/NAME to what it starts in the site. */
function ownFolder(site, name) {
  const folder = `/etc/netns/${site.name}/${name}`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  mkdirSync(`/etc/${name}`, { recursive: true });
  return folder;
}

/** strongSwan as Debian has it, with /etc/swanctl and /run of its own. */
export class StrongSwan {
  constructor(net, site, example) {
    this.site = site;
    this.example = example;
    this.folder = ownFolder(site, "swanctl");
    this.runtime = `/run/sites/${site.name}`;
    rmSync(this.runtime, { recursive: true, force: true });
    mkdirSync(this.runtime, { recursive: true });
    for (const name of SWANCTL_FOLDERS) mkdirSync(`${this.folder}/${name}`, { recursive: true });
    copyFileSync("/etc/swanctl/swanctl.conf", `${this.folder}/swanctl.conf`);
    writeFileSync("/etc/strongswan.d/logging.conf", LOGGING);
    this.configure();
    net.daemons.push(this);
  }

  /** Puts the example where the administrator would. */
  configure(change = (text) => text) {
    const text = change(readFileSync(`${EXAMPLES}/${this.example}.conf`, "utf8"));
    writeFileSync(`${this.folder}/conf.d/l2tpv3.conf`, text, { mode: 0o600 });
  }

  /** Certificates in place of the shared secret, made with the commands of docs/ipsec.md. */
  certify(authority) {
    const { name } = this.site;
    const [key, certificate] = [`${this.folder}/private/${name}.key`, `${this.folder}/x509/${name}.pem`];
    const request = `/run/${name}.csr`;
    const names = ["-subj", `/CN=${name}.example.net`, "-addext", `subjectAltName=DNS:${name}.example.net`];
    run("openssl", "req", ...NEW_KEY, ...names, "-keyout", key, "-out", request);
    const signed = ["-CA", `${authority}.pem`, "-CAkey", `${authority}.key`, "-copy_extensions", "copy"];
    run("openssl", "x509", "-req", "-days", "825", "-in", request, ...signed, "-out", certificate);
    copyFileSync(`${authority}.pem`, `${this.folder}/x509ca/ca.pem`);
    this.configure((text) =>
      text
        .replaceAll("auth = psk", "auth = pubkey")
        .replace("local {\n", `local {\n      certs = ${name}.pem\n`)
        .replace(/^secrets [\s\S]*/m, ""),
    );
  }

  #inside(...words) {
    const script = 'mount --bind "$0" /run && exec "$@"';
    return ["ip", "netns", "exec", this.site.name, "bash", "-c", script, this.runtime, ...words];
  }

  /** What the unit strongswan.service does: charon, and when that is there `swanctl --load-all`. */
  async start(name) {
    rmSync(`${this.runtime}/charon.vici`, { force: true });
    const [command, ...args] = this.#inside("/usr/sbin/charon-systemd");
    this.child = spawn(command, args, { stdio: "ignore" });
    this.exited = new Promise((resolve) => this.child.on("close", resolve));
    const ready = () => existsSync(`${this.runtime}/charon.vici`);
    await within(`${name}: charon runs`, SOON_MS, ready, () => this.explain());
    const { code, stdout, stderr } = await this.swanctl("--load-all", "--noprompt");
    check(`${name}: swanctl --load-all takes the file`, code === 0, `${stdout}${stderr}`);
    return stdout;
  }

  swanctl(...words) {
    return attempt(...this.#inside("swanctl", ...words));
  }

  get running() {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  async stop(signal = "SIGTERM") {
    this.child.kill(signal);
    await this.exited;
  }

  log() {
    const path = `${this.runtime}/charon.log`;
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  async explain() {
    return [`charon of ${this.site.name}:`, ...this.log().trimEnd().split("\n").slice(-25)].join("\n");
  }

  /** SPIs of the ESP that the kernel has. */
  spis() {
    const states = this.site.ip("xfrm", "state").matchAll(/proto esp spi (0x[0-9a-f]+)/g);
    return [...states]
      .map(([, spi]) => spi)
      .filter((spi) => spi !== "0x00000000")
      .sort();
  }
}

/** WireGuard by wg-quick, with a new pair of keys. Returns the public one. */
export function makeKey(site) {
  const folder = ownFolder(site, "wireguard");
  const key = run("wg", "genkey");
  writeFileSync(`${folder}/wg0.key`, key, { mode: 0o600 });
  return run("bash", "-c", `wg pubkey < ${folder}/wg0.key`).trim();
}

export async function startWireguard(name, site, example, peerKey) {
  // What a system with udev has, and bash needs for <(…).
  if (!existsSync("/dev/fd")) symlinkSync("/proc/self/fd", "/dev/fd");
  const path = `/etc/netns/${site.name}/wireguard/wg0.conf`;
  const text = readFileSync(`${EXAMPLES}/${example}.conf`, "utf8");
  writeFileSync(path, text.replace(/PUBLIC-KEY-OF-SITE-[AB]/, peerKey));
  chmodSync(path, 0o600);
  const { code, stderr } = await site.attempt("wg-quick", "up", "wg0");
  check(`${name}: wg-quick up wg0`, code === 0, stderr);
}

/** What a device carries, by kind. */
export class Capture {
  #kinds = new Map();
  #listening;

  constructor(site, device) {
    const words = ["netns", "exec", site.name, "node", `${process.env.LAB}/wire-capture.mjs`, device];
    this.child = spawn("ip", words, { stdio: ["pipe", "pipe", "inherit"] });
    this.exited = new Promise((resolve) => this.child.on("close", resolve));
    this.#listening = new Promise((resolve) => {
      createInterface(this.child.stdout).on("line", (line) => {
        if (line === "ready") resolve();
        else this.#count(Buffer.from(line, "hex"));
      });
    });
  }

  async ready() {
    await this.#listening;
    return this;
  }

  #count(frame) {
    const kind = kindOf(frame);
    if (kind !== undefined) this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1);
  }

  /** Ends it. */
  async kinds() {
    this.child.stdin.end();
    await this.exited;
    return Object.fromEntries([...this.#kinds].sort(([one], [other]) => (one < other ? -1 : 1)));
  }
}

/** `undefined`: what any two neighbours say to each other (ARP, ICMPv6 of link-local addresses). */
function kindOf(frame) {
  const type = frame.readUInt16BE(12);
  if (type === 0x0806) return undefined;
  if (type === 0x86dd) return [0, 58].includes(frame[20]) ? undefined : `IPv6 ${frame[20]}`;
  if (type !== 0x0800) return `type ${type.toString(16)}`;
  const protocol = frame[23];
  if ((frame.readUInt16BE(20) & 0x3fff) !== 0) return `fragment of protocol ${protocol}`;
  if (protocol === PROTOCOL_ESP) return "ESP";
  if (protocol === PROTOCOL_L2TP) return "L2TP over IP";
  const payload = frame.subarray(14 + (frame[14] & 15) * 4);
  if (protocol === PROTOCOL_ICMP) return ICMP_KINDS[payload[0]] ?? `ICMP type ${payload[0]}`;
  if (protocol !== PROTOCOL_UDP) return `protocol ${protocol}`;
  const port = payload.readUInt16BE(2);
  return PORTS[port] ?? `UDP ${port}`;
}

/** The MTU of Ethernet in place of the one that fits. */
export function longer(text) {
  return text.replace('mtu       = "auto"', "mtu       = 1500");
}

export function show(title, text) {
  note(`${title}:\n#   ${text.trimEnd().replaceAll("\n", "\n#   ")}`);
}

export async function checkFrames(name, { a, b }, mtu) {
  equal(`${name}: mtu = "auto" at both ends`, [a.device("l2-site-b").mtu, b.device("l2-site-a").mtu], [mtu, mtu]);
  check(`${name}: ping through the pseudowire, either way`, (await a.ping(INNER_B)) && (await b.ping(INNER_A)));
  const answers = await dfPings(a, [INNER_B, mtu], [INNER_B, mtu + 1]);
  equal(`${name}: the longest frames pass, longer ones do not`, answers, ["reply", `too long, MTU ${mtu}`]);
  equal(
    `${name}: none was fragmented`,
    [a, b].map((site) => site.snmp("Ip", "FragCreates")),
    [0, 0],
  );
}

/** What strongSwan says to a port that is closed while the other one is away is answered by the kernel, with ICMP. */
export async function checkWire(name, capture, ...expected) {
  const kinds = await capture.kinds();
  note(`${name}: on the wire ${JSON.stringify(kinds)}`);
  const found = Object.keys(kinds).filter((kind) => kind !== "ICMP unreachable");
  equal(`${name}: on the wire was ${expected.join(" and ")}, and nothing else`, found, expected);
}
