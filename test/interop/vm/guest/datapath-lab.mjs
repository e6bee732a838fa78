// Checks, and requests to the datapath, for scripts that talk to it without a daemon.
import { execFileSync } from "node:child_process";
import { connectSocket, openConnectionSocket } from "../../../../dist/src/kernel/sockets.js";

export const LOCAL = "192.0.2.1";
export const REMOTE = "192.0.2.2";
const PATIENCE_MS = 120_000;
/** The process fails where a check did. */
let failures = 0;

export function check(name, passed, detail = "") {
  console.log(`${passed ? "ok" : "not ok"} ${name}${passed || detail === "" ? "" : `\n# ${detail}`}`);
  if (!passed) failures++;
  process.exitCode = failures === 0 ? 0 : 1;
}

export function equal(name, actual, expected) {
  const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  check(name, found === wanted, `${found} instead of ${wanted}`);
}

export const ip = (...words) => execFileSync("ip", words, { encoding: "utf8" });
export const json = (...words) => JSON.parse(ip("-json", ...words) || "[]");
export const linkNames = () => json("link", "show").map((link) => link.ifname);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(condition) {
  const began = performance.now();
  while (!condition()) {
    if (performance.now() - began > PATIENCE_MS) return false;
    await sleep(50);
  }
  return true;
}

export async function refused(name, promise, errno, words) {
  const error = await promise.then(
    () => undefined,
    (refusal) => refusal,
  );
  check(
    `${name}: ${errno}`,
    error?.name === "KernelError" && error.errno === errno && words.test(error.message),
    String(error),
  );
  if (error !== undefined) console.log(`# ${error.message}`);
}

/** What the daemon would hear. */
export const lost = new Set();
export const events = {
  sessionLost: (id) => lost.add(id),
  tunnelLost() {},
  portChanged() {},
  noticed() {},
};

let nextPort = 20_000;

/** Two processes must not use the same. */
export function usePortsFrom(port) {
  nextPort = port;
}

/** The socket of a tunnel to the same port at the other address. */
export function connected(port = nextPort++) {
  const fd = openConnectionSocket({ local: { address: LOCAL, port } });
  connectSocket(fd, { address: REMOTE, port });
  return fd;
}

export const tunnel = (id, fd) => ({
  localControlConnectionId: id,
  remoteControlConnectionId: id + 1_000_000,
  encapsulation: "udp",
  fd,
  onControlDatagram() {},
});

export const session = (connection, id, more = {}) => ({
  localControlConnectionId: connection,
  localSessionId: id,
  remoteSessionId: id + 1_000_000,
  localCookie: new Uint8Array(0),
  remoteCookie: new Uint8Array(0),
  l2Sublayer: "none",
  sendSequencing: false,
  receiveSequencing: "none",
  reorderTimeoutMs: 20,
  sequenceWindow: 2 ** 23,
  resyncAfter: 5,
  interfaceName: `l2-${id}`,
  mtu: "auto",
  bridge: undefined,
  isolated: false,
  routes: [],
  addresses: [],
  ...more,
});
