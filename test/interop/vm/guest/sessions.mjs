// Sessions per second on a real kernel, side by side: two daemons in two namespaces, and two `ip -batch` runs at once.
//   npm run vm -- test/interop/vm/guest/sessions.mjs [SESSIONS [ROUNDS]]
// Prints a line `result {"daemon":[…],"batch":[…],"residentMb":…,"blocks":{"kernel":…,"none":…}}` with sessions per
// second of each round, and how long the main thread of a daemon was busy with one thing at most while all sessions were set up
// and deleted, with the kernel datapath and with none.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { LOOP_PROBE } from "/app/dist/bench/daemon.js";

const SESSIONS = Number(process.argv[2] ?? 500);
const ROUNDS = Number(process.argv[3] ?? 3); // 0: blocks alone
const PATIENCE_MS = 120_000;
const POLL_MS = 200;
const IDLE_MS = 3_000;
const PORT = 1701;
const COOKIE = "0102030405060708";
const ENDS = [
  { namespace: "a", address: "10.0.0.1", peer: "10.0.0.2", role: "initiator" },
  { namespace: "b", address: "10.0.0.2", peer: "10.0.0.1", role: "responder" },
];

const ip = (...words) => execFileSync("ip", words, { encoding: "utf8" });
const QUIET = { stdio: ["ignore", "pipe", "ignore"] };
const indices = Array.from({ length: SESSIONS }, (_, index) => index + 1);

async function until(what, condition) {
  const end = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${PATIENCE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Two namespaces joined by veth. */
function addNamespaces() {
  for (const { namespace } of ENDS) ip("netns", "add", namespace);
  ip("link", "add", "wire", "netns", "a", "type", "veth", "peer", "name", "wire", "netns", "b");
  for (const { namespace, address } of ENDS) {
    ip("-n", namespace, "link", "set", "lo", "up");
    ip("-n", namespace, "link", "set", "wire", "up");
    ip("-n", namespace, "address", "add", `${address}/24`, "dev", "wire");
  }
}

function hasDevices() {
  const devices = (namespace) => execFileSync("ip", ["-n", namespace, "-o", "link"], QUIET).toString();
  return ENDS.some(({ namespace }) => devices(namespace).includes(": l2-"));
}

/** A round must not meet the last one's devices, nor their removal. */
async function removeNamespaces() {
  await until("no device is left", () => !hasDevices());
  for (const { namespace } of ENDS) ip("netns", "delete", namespace);
  await until("the namespaces are gone", () => ip("netns", "list") === "");
}

function configuration({ namespace, address, peer, role }, datapath) {
  return [
    "[lcce]",
    `hostname = "${namespace}"`,
    `router_id = "${address}"`,
    `listen = ["udp:${address}:${PORT}"]`,
    `datapath = "${datapath}"`,
    `admin_socket = "/run/${namespace}.sock"`,
    "[tunnel.t]",
    `role = "${role}"`,
    `peer = "${peer}"`,
    ...indices.flatMap((n) => [`[tunnel.t.session.s${n}]`, "cookie_size = 8", `interface = "l2-${n}"`]),
    "",
  ].join("\n");
}

/** What the daemon has logged about an event, in milliseconds of the epoch. */
function times(daemon, event) {
  if (daemon.child.exitCode !== null) throw new Error(`a daemon ended:\n${readFileSync(daemon.log, "utf8")}`);
  const lines = readFileSync(daemon.log, "utf8").split("\n");
  const wanted = lines.filter((line) => line.includes(`"event":"${event}"`) && line.endsWith("}"));
  return wanted.map((line) => Date.parse(JSON.parse(line).time));
}

function startDaemon(end, datapath = "kernel", nodeArguments = []) {
  const [file, log] = [`/run/${end.namespace}.toml`, `/run/${end.namespace}.log`];
  writeFileSync(file, configuration(end, datapath));
  const output = openSync(log, "w");
  const words = [
    "netns",
    "exec",
    end.namespace,
    process.execPath,
    ...nodeArguments,
    "dist/bin/main.js",
    "--conf",
    file,
  ];
  const child = spawn("ip", words, { stdio: ["ignore", output, "inherit"] });
  closeSync(output);
  return { child, log };
}

/**
 * Sessions per second of daemons that run, from the established control connection to the last session up at the later end.
 * The tunnel is closed and opened for that: how long a daemon takes to start is another question (bench/start.ts).
 */
async function measureDaemons() {
  const [initiatorEnd, responderEnd] = ENDS;
  const responder = startDaemon(responderEnd);
  await until("the responder is ready", () => times(responder, "ready").length > 0);
  const initiator = startDaemon(initiatorEnd);
  const daemons = [initiator, responder];
  const each = (event, count) => () => daemons.every((daemon) => times(daemon, event).length === count);
  await until("all sessions are up", each("session-established", SESSIONS));
  await command(initiatorEnd, "close");
  await until("all sessions are closed", each("session-closed", SESSIONS));
  await until("no device is left", () => !hasDevices());
  await command(initiatorEnd, "open");
  await until("all sessions are up again", each("session-established", 2 * SESSIONS));
  const began = Math.min(...daemons.map((daemon) => times(daemon, "control-connection-established").at(-1)));
  const seconds = (Math.max(...daemons.flatMap((daemon) => times(daemon, "session-established"))) - began) / 1000;
  const status = readFileSync(`/proc/${initiator.child.pid}/status`, "utf8");
  for (const { child } of daemons) {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }
  return { rate: SESSIONS / seconds, residentMb: (Number(/VmRSS:\s+(\d+)/.exec(status)[1]) * 1024) / 1e6 };
}

/** The longest block of either daemon since the last call, as LOOP_PROBE tells it. */
async function longestBlock(daemons) {
  const told = (daemon) => {
    const lines = readFileSync(daemon.log, "utf8").split("\n");
    return lines.filter((line) => line.includes('"event":"longest-block"') && line.endsWith("}"));
  };
  const before = daemons.map((daemon) => told(daemon).length);
  for (const { child } of daemons) child.kill("SIGPWR");
  await until("the blocks are told", () => daemons.every((daemon, index) => told(daemon).length > before[index]));
  const blocks = daemons.map((daemon) => JSON.parse(told(daemon).at(-1)).msg);
  return {
    clockMs: Math.max(...blocks.map(({ clockMs }) => clockMs)),
    ownMs: Math.max(...blocks.map(({ ownMs }) => ownMs)),
  };
}

/** To the tunnel: "close" or "open". */
function command({ namespace }, name) {
  return new Promise((resolve, reject) => {
    const request = JSON.stringify({ command: name, tunnel: "t" });
    const socket = connect(`/run/${namespace}.sock`, () => socket.end(`${request}\n`));
    socket.on("error", reject);
    socket.on("end", resolve);
    socket.resume();
  });
}

async function measureBlocks(datapath) {
  const [initiatorEnd, responderEnd] = ENDS;
  const responder = startDaemon(responderEnd, datapath, LOOP_PROBE);
  await until("the responder is ready", () => times(responder, "ready").length > 0);
  const initiator = startDaemon(initiatorEnd, datapath, LOOP_PROBE);
  const daemons = [initiator, responder];
  await until("the initiator is ready", () => times(initiator, "ready").length > 0);
  await longestBlock(daemons);
  await until("all sessions are up", () =>
    daemons.every((daemon) => times(daemon, "session-established").length === SESSIONS),
  );
  const setUp = await longestBlock(daemons);
  await command(initiatorEnd, "close");
  await until("all sessions are closed", () =>
    daemons.every((daemon) => times(daemon, "session-closed").length === SESSIONS),
  );
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const deleted = await longestBlock(daemons);
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const idle = await longestBlock(daemons);
  for (const { child } of daemons) {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }
  return { setUp, deleted, idle };
}

function batch({ address, peer, role }) {
  const [own, other] = role === "initiator" ? [1, 2] : [2, 1];
  const base = 100_000;
  return [
    `l2tp add tunnel tunnel_id ${own} peer_tunnel_id ${other} encap udp local ${address} remote ${peer} udp_sport ${PORT} udp_dport ${PORT}`,
    ...indices.map(
      (n) =>
        `l2tp add session name l2-${n} tunnel_id ${own} session_id ${own * base + n} peer_session_id ${other * base + n} cookie ${COOKIE} peer_cookie ${COOKIE} l2spec_type none`,
    ),
    "",
  ].join("\n");
}

async function measureBatches() {
  for (const end of ENDS) writeFileSync(`/run/${end.namespace}.batch`, batch(end));
  const began = performance.now();
  const exits = ENDS.map(({ namespace }) =>
    once(spawn("ip", ["-n", namespace, "-batch", `/run/${namespace}.batch`], { stdio: "inherit" }), "exit"),
  );
  const codes = (await Promise.all(exits)).map(([code]) => code);
  const seconds = (performance.now() - began) / 1000;
  if (codes.some((code) => code !== 0)) throw new Error(`ip -batch ended with ${codes.join(" and ")}`);
  for (const [index, { namespace }] of ENDS.entries()) {
    ip("-n", namespace, "l2tp", "del", "tunnel", "tunnel_id", String(index + 1));
  }
  return SESSIONS / seconds;
}

const result = { daemon: [], batch: [], residentMb: 0, blocks: {} };
// The modules are loaded before anything is measured.
execFileSync("modprobe", ["-a", "l2tp_eth", "l2tp_netlink"]);
for (let round = 0; round < ROUNDS; round++) {
  addNamespaces();
  const { rate, residentMb } = await measureDaemons();
  await removeNamespaces();
  addNamespaces();
  const batchRate = await measureBatches();
  await removeNamespaces();
  console.log(`# round ${round + 1}: daemons ${Math.round(rate)}, ip -batch ${Math.round(batchRate)} sessions/s`);
  result.daemon.push(rate);
  result.batch.push(batchRate);
  result.residentMb = residentMb;
}
// Without any datapath is what the rest of the daemon takes: the difference is what the kernel's costs the main thread.
for (const datapath of ["kernel", "none"]) {
  addNamespaces();
  result.blocks[datapath] = await measureBlocks(datapath);
  await removeNamespaces();
}
console.log(`result ${JSON.stringify(result)}`);
