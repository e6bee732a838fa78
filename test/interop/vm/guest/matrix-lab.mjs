// What the matrix of encapsulations, cookies, sublayers and sequencing needs: the cells, frames through every device, the
// kernel's own counters, and files for tshark: what passed the wire, and what ought to be in it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { check, equal, sleep } from "./daemon-lab.mjs";

/** Files that the host takes out of the machine. */
const OUT = "/out";
const PATIENCE_MS = 20_000;
const POLL_MS = 20;
/** The last of them is as long as the device takes. */
export const FRAMES = 3;
const LINKTYPE_ETHERNET = 1;
/** An Ethernet frame of the wire's MTU. */
const WIRE_OCTETS = 1514;

/** Two sizes of cookies that are not alike: with 8 and 0 the packets of one direction are more than a VLAN tag longer. */
const [CLOSE, FAR] = [
  [4, 8],
  [8, 0],
];

/** What carries the sessions, each between addresses of its own. Ids of its static tunnel and sessions begin at `first`. */
export const CARRIERS = [
  { name: "u4", title: "UDP over IPv4", kind: "udp", ends: ["10.1.0.1", "10.1.0.2"], first: 1000, unlike: CLOSE },
  { name: "u6", title: "UDP over IPv6", kind: "udp", ends: ["fd01::1", "fd01::2"], first: 2000, unlike: FAR },
  { name: "i4", title: "IPv4", kind: "ip", ends: ["10.2.0.1", "10.2.0.2"], first: 3000, unlike: FAR },
  { name: "i6", title: "IPv6", kind: "ip", ends: ["fd02::1", "fd02::2"], first: 4000, unlike: CLOSE },
];

const LAYERS = [
  ["none", "none"],
  ["default", "none"],
  ["default", "all"],
];

/** Sessions that a carrier's tunnel has. `cookies`: octets of the cookie that each of the two ends wants. */
export function cellsOf({ unlike }) {
  const sizes = [[0, 0], [4, 4], [8, 8], unlike];
  return sizes.flatMap((cookies) =>
    LAYERS.map(([sublayer, sequencing]) => ({
      cookies,
      sublayer,
      sequencing,
      title: `cookies ${cookies.join(" and ")}, sublayer ${sublayer}, sequencing ${sequencing}`,
    })),
  );
}

/** Of all that is added now and later: nothing but our own frames passes the devices. */
export function beSilent({ a, b }) {
  for (const site of [a, b]) site.run("bash", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
}

/** Addresses for the wire's ends at "a" and at "b". */
export function addAddresses({ a, b }, ends) {
  for (const [i, site] of [a, b].entries()) {
    const words = ends[i].includes(":") ? [`${ends[i]}/64`, "nodad"] : [`${ends[i]}/24`];
    site.ip("address", "add", words[0], "dev", "wire", ...words.slice(1));
  }
}

function startIn(site, script) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const words = ["netns", "exec", site.name, process.execPath, path];
  return spawn("ip", words, { stdio: ["pipe", "pipe", "inherit"] });
}

/** frame-probe.mjs in the namespace of a site. */
export class Probe {
  #child;
  #answers = [];

  constructor(site) {
    this.site = site;
    this.#child = startIn(site, "frame-probe.mjs");
    createInterface(this.#child.stdout).on("line", (line) => this.#answers.shift()(JSON.parse(line)));
  }

  async ask(question, more = {}) {
    const answer = new Promise((resolve) => this.#answers.push(resolve));
    this.#child.stdin.write(`${JSON.stringify({ question, ...more })}\n`);
    const { error, ...found } = await answer;
    if (error !== undefined) throw new Error(`${this.site.name}, ${question}: ${error}`);
    return found;
  }

  async end() {
    this.#child.stdin.end();
    await once(this.#child, "close");
  }
}

/** Everything that passes the wire, as site "b" sees it. */
export class Capture {
  #child;
  #frames = [];

  static async start({ b }) {
    const capture = new Capture();
    capture.#child = startIn(b, "wire-capture.mjs");
    await new Promise((resolve) => {
      createInterface(capture.#child.stdout).on("line", (line) => {
        if (line === "ready") resolve();
        else capture.#frames.push(Buffer.from(line, "hex"));
      });
    });
    return capture;
  }

  /** Leaves NAME.pcap and NAME.json for the host. `expected`: one for each session and direction, see `expectedOf`. */
  async finish(name, expected) {
    await sleep(100);
    this.#child.stdin.end();
    await once(this.#child, "close");
    mkdirSync(OUT, { recursive: true });
    writeFileSync(`${OUT}/${name}.pcap`, pcapOf(this.#frames));
    writeFileSync(`${OUT}/${name}.json`, JSON.stringify(expected));
    check(`${name}: the wire was seen`, this.#frames.length > 0);
  }
}

/** The format of libpcap: a header for the file and one for each frame. */
function pcapOf(frames) {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(262_144, 16);
  header.writeUInt32LE(LINKTYPE_ETHERNET, 20);
  const records = frames.map((frame, i) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(i, 0);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return Buffer.concat([record, frame]);
  });
  return Buffer.concat([header, ...records]);
}

/** What `count` frames through each device bring at the other end: only those, each once, in order. */
async function carry(from, to, devices) {
  await from.ask("send", { devices, count: FRAMES });
  const received = Object.fromEntries(devices.map((device) => [device, []]));
  const isOver = () => devices.every((device) => received[device].length >= FRAMES);
  for (const began = performance.now(); performance.now() - began < PATIENCE_MS && !isOver(); await sleep(POLL_MS)) {
    const more = await to.ask("receive", { devices });
    for (const device of devices) received[device].push(...more[device]);
  }
  return received;
}

/** Ready for frames: the devices are up at both ends. */
async function open(devices, probes) {
  for (const probe of probes) {
    await probe.ask("open", { devices });
    const areUp = async () => (await probe.ask("down", { devices })).devices.length === 0;
    for (const began = performance.now(); performance.now() - began < PATIENCE_MS && !(await areUp()); )
      await sleep(POLL_MS);
  }
}

function numbered(device) {
  return Array.from({ length: FRAMES }, (_, i) => `${device} ${i + 1}`);
}

/** Frames both ways through the devices of `cells`, which are called the same at both ends: { device, title }. */
export async function checkFrames(cells, a, b) {
  const devices = cells.map(({ device }) => device);
  await open(devices, [a, b]);
  const [atB, atA] = [await carry(a, b, devices), await carry(b, a, devices)];
  const again = [await b.ask("receive", { devices }), await a.ask("receive", { devices })];
  for (const { device, title } of cells) {
    const found = [
      [...atB[device], ...again[0][device]],
      [...atA[device], ...again[1][device]],
    ];
    equal(`${title}: frames pass both ways, in order, each once`, found, [numbered(device), numbered(device)]);
  }
  const sessions = [await a.ask("sessions"), await b.ask("sessions")];
  for (const { device, title } of cells) {
    const counted = sessions.map((each) => countersOf(each[device]));
    equal(`${title}: the kernels count these frames, and nothing wrong`, counted, [PERFECT, PERFECT]);
  }
  return sessions;
}

const COUNTERS = ["sentPackets", "receivedPackets"];
const ERRORS = ["sendErrors", "receiveErrors", "cookieDiscards", "sequenceDiscards", "outOfSequence", "invalid"];
const PERFECT = { ...Object.fromEntries(COUNTERS.map((name) => [name, FRAMES])) };

/** The errors only where there are some. */
function countersOf(session) {
  const errors = ERRORS.filter((name) => (session[name] ?? 0) !== 0);
  return Object.fromEntries([...COUNTERS, ...errors].map((name) => [name, session[name]]));
}

/** Nothing passes, because of the cookies; both kernels say so. */
export async function checkNothingPasses(cells, a, b) {
  const devices = cells.map(({ device }) => device);
  await open(devices, [a, b]);
  for (const probe of [a, b]) await probe.ask("send", { devices, count: FRAMES });
  const discards = async () => {
    const [atA, atB] = [await a.ask("sessions"), await b.ask("sessions")];
    return devices.map((device) => [atA[device], atB[device]].map(({ cookieDiscards }) => cookieDiscards));
  };
  let counted = await discards();
  const isOver = () => counted.flat().every((count) => count >= FRAMES);
  for (const began = performance.now(); performance.now() - began < PATIENCE_MS && !isOver(); await sleep(POLL_MS)) {
    counted = await discards();
  }
  const received = [await a.ask("receive", { devices }), await b.ask("receive", { devices })];
  for (const [i, { device, title }] of cells.entries()) {
    const found = received.map((each) => each[device]);
    equal(`${title}: nothing passes`, found, [[], []]);
    equal(`${title}: the kernels count the cookies`, counted[i], [FRAMES, FRAMES]);
  }
}

/**
 * For the host: what the packets of one direction of a session have to look like. `shorter`: octets that this direction's
 * cookie is shorter than the one which the sending device's MTU has room for.
 */
export function expectedOf({ carrier, from, title, shorter = 0, ...more }) {
  const [source, destination] = from === "a" ? carrier.ends : [...carrier.ends].reverse();
  const longest = WIRE_OCTETS - shorter;
  return { title: `${title}, from ${from}`, kind: carrier.kind, source, destination, frames: FRAMES, longest, ...more };
}

/** Octets by which the cookie to an end ("a" or "b") is shorter than the longer of the two. */
export function shorterBy([toA, toB], end) {
  return Math.max(toA, toB) - (end === "a" ? toA : toB);
}
