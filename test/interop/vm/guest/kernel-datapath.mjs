// The kernel datapath by itself, on a real kernel: npm run vm -- test/interop/vm/guest/kernel-datapath.mjs
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { KernelDatapath } from "../../../../dist/src/kernel/kernel-datapath.js";
import * as libc from "../../../../dist/src/kernel/libc.js";
import { probeKernelL2tp } from "../../../../dist/src/kernel/modules.js";
import {
  check,
  connected,
  equal,
  events,
  ip,
  json,
  LOCAL,
  linkNames,
  lost,
  REMOTE,
  refused,
  session,
  tunnel,
  until,
  usePortsFrom,
} from "./datapath-lab.mjs";

const SESSIONS = Number(process.argv[2] ?? 2000);

async function oneSession(datapath) {
  const fd = connected();
  await datapath.createTunnel(tunnel(7, fd));
  const localCookie = Uint8Array.from([1, 2, 3, 4]);
  const remoteCookie = Uint8Array.from([8, 7, 6, 5, 4, 3, 2, 1]);
  const settings = { mtu: 1300, bridge: "br0", addresses: ["10.9.0.1/30", "2001:db8::1/64"], l2Sublayer: "default" };
  await datapath.createSession(session(7, 70, { localCookie, remoteCookie, ...settings }));
  const [made] = json("addr", "show", "dev", "l2-70");
  equal("the device is down", made.flags.includes("UP"), false);
  equal("the device has its MTU", made.mtu, 1300);
  equal("the device is a port of the bridge", made.master, "br0");
  equal(
    "the device has its addresses",
    made.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    ["10.9.0.1/30", "2001:db8::1/64"],
  );
  await datapath.raiseSession(70);
  equal("the device is up", json("link", "show", "dev", "l2-70")[0].flags.includes("UP"), true);

  const shown = ip("l2tp", "show", "tunnel");
  check(
    "ip l2tp shows the tunnel",
    /Tunnel 7, encap UDP[\s\S]*to 192\.0\.2\.2[\s\S]*Peer tunnel 1000007/.test(shown),
    shown,
  );
  const shownSession = ip("l2tp", "show", "session");
  check(
    "ip l2tp shows the session, its cookies and sublayer",
    /Session 70 in tunnel 7[\s\S]*Peer session 1000070, tunnel 1000007[\s\S]*interface name: l2-70/.test(
      shownSession,
    ) && /cookie 0807060504030201[\s\S]*peer cookie 01020304/.test(shownSession),
    shownSession,
  );
  const [counters] = await datapath.counters(7);
  equal("counters are those of the session", [counters.localControlConnectionId, counters.localSessionId], [7, 70]);
}

const NOTHING_FLOWS = /Network is unreachable|\b0 packets received/;

/** What ping says of three echoes. `words`: what runs it elsewhere. */
function pinged(address, ...words) {
  const [command, ...rest] = [...words, "ping", "-c", "3", "-W", "2", address];
  const { stdout, stderr } = spawnSync(command, rest, { encoding: "utf8" });
  return `${stdout}${stderr}`;
}

/** The other end is a static tunnel of iproute2 in a namespace: only right cookies get through, both ways. */
async function trafficFlows(datapath) {
  const port = 19_000;
  const fd = connected(port);
  const localCookie = Uint8Array.from([1, 2, 3, 4]);
  const remoteCookie = Uint8Array.from([8, 7, 6, 5, 4, 3, 2, 1]);
  await datapath.createTunnel(tunnel(6, fd));
  await datapath.createSession(
    session(6, 60, { localCookie, remoteCookie, addresses: ["10.8.0.1/24", "2001:db8:8::1/64"] }),
  );
  const peer = (...words) => ip("-netns", "peer", ...words);
  const addresses = ["local", REMOTE, "remote", LOCAL, "udp_sport", String(port), "udp_dport", String(port)];
  peer("l2tp", "add", "tunnel", "tunnel_id", "1000006", "peer_tunnel_id", "6", "encap", "udp", ...addresses);
  const cookies = ["cookie", "01020304", "peer_cookie", "0807060504030201", "l2spec_type", "none"];
  const ids = ["tunnel_id", "1000006", "session_id", "1000060", "peer_session_id", "60"];
  peer("l2tp", "add", "session", "name", "peer0", ...ids, ...cookies);
  peer("addr", "add", "10.8.0.2/24", "dev", "peer0");
  peer("link", "set", "peer0", "up");
  const ping = () => pinged("10.8.0.2");
  check("nothing flows while the device is down", NOTHING_FLOWS.test(ping()));
  await datapath.raiseSession(60);
  check("frames flow both ways once it is up", /3 packets received/.test(ping()), ping());
  await lowered(datapath, ping);
  const [counters] = await datapath.counters(6);
  check("counters move", counters.receivedPackets >= 3 && counters.sentOctets >= 300, JSON.stringify(counters));
  await datapath.deleteTunnel(6);
  libc.close(fd);
}

const globalAddresses = (name) =>
  json("addr", "show", "dev", name)[0]
    .addr_info.filter(({ scope }) => scope === "global")
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`);

/** Session 60 of tunnel 6, which is up: RFC 3931 5.4.5, the peer's circuit is not active for a while. */
async function lowered(datapath, ping) {
  await datapath.lowerSession(60);
  equal("lowered: the device is down", json("link", "show", "dev", "l2-60")[0].flags.includes("UP"), false);
  equal("lowered: the kernel has dropped what it drops", globalAddresses("l2-60"), ["10.8.0.1/24"]);
  check("lowered: nothing flows", NOTHING_FLOWS.test(ping()));
  const transmitted = () => json("-stats", "link", "show", "dev", "l2-60")[0].stats64;
  const before = transmitted();
  // What the other end sends all the same gets as far as the device and no further.
  pinged("10.8.0.1", "ip", "netns", "exec", "peer");
  equal("lowered: nothing is answered", transmitted().tx.packets, before.tx.packets);
  await datapath.raiseSession(60);
  equal("raised again: it has its addresses", globalAddresses("l2-60"), ["10.8.0.1/24", "2001:db8:8::1/64"]);
  check(
    "raised again: the route of its IPv6 address is back",
    ip("-6", "route", "show", "dev", "l2-60").includes("2001:db8:8::/64"),
  );
  check("raised again: frames flow both ways", /3 packets received/.test(ping()), ping());
  const asked = ["lower", "raise", "lower", "lower", "raise"].map((each) => datapath[`${each}Session`](60));
  await Promise.all(asked);
  equal("lowered and raised at once: it is up", json("link", "show", "dev", "l2-60")[0].flags.includes("UP"), true);
  equal("lowered and raised at once: with its addresses", globalAddresses("l2-60"), [
    "10.8.0.1/24",
    "2001:db8:8::1/64",
  ]);
  await refused("a session that is not there is lowered", datapath.lowerSession(61), "ENODEV", /session 61 down/);
}

/** A daemon that is killed leaves nothing: its sockets are closed, and the tunnels go with them. */
async function killed() {
  const child = spawn(process.execPath, [process.argv[1], "child"], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  const made = linkNames().filter((name) => name.startsWith("l2-4")).length;
  child.kill("SIGKILL");
  await once(child, "exit");
  const killedAt = performance.now();
  const gone = await until(() => !linkNames().some((name) => name.startsWith("l2-4")));
  console.log(`# gone ${Math.round(performance.now() - killedAt)} ms after SIGKILL`);
  check(
    "SIGKILL leaves nothing",
    made === 5 && gone && !/Tunnel 40,/.test(ip("l2tp", "show", "tunnel")),
    `${made} were made`,
  );
}

/** Another process has the socket as well: the tunnel outlives the one that made it, and the next one removes it. */
async function keptLeftovers() {
  const child = spawn(process.execPath, [process.argv[1], "child", "kept"], { stdio: ["ignore", "pipe", "inherit"] });
  const [keeper] = (await once(child.stdout, "data")).map((line) => Number(/\d+/.exec(line)));
  child.kill("SIGKILL");
  await once(child, "exit");
  const foreign = ["l2-other", "l2-living"];
  const encapsulation = ["encap", "udp", "local", LOCAL, "remote", REMOTE, "udp_sport", "5000", "udp_dport", "5000"];
  ip("l2tp", "add", "tunnel", "tunnel_id", "48", "peer_tunnel_id", "48", ...encapsulation);
  for (const [i, name] of foreign.entries()) {
    const ids = ["session_id", `${480 + i}`, "peer_session_id", "480"];
    ip("l2tp", "add", "session", "name", name, "tunnel_id", "48", ...ids);
  }
  const [{ ifalias }] = json("link", "show", "dev", "l2-41");
  ip("link", "set", "dev", "l2-living", "alias", ifalias.replace(/process \d+/, "process 1"));
  const ours = () => linkNames().filter((name) => /^l2-4\d$/.test(name));
  equal("devices stay while their tunnel's socket is open somewhere", ours().length, 5);
  const datapath = new KernelDatapath(events);
  datapath.prepare();
  check("the next process removes what a killed one left", await until(() => ours().length === 0), ours().join());
  equal("the tunnel with it", /Tunnel 40,/.test(ip("l2tp", "show", "tunnel")), false);
  equal(
    "others' devices are not touched",
    linkNames()
      .filter((name) => foreign.includes(name))
      .sort(),
    [...foreign].sort(),
  );
  await datapath.close();
  process.kill(keeper, "SIGKILL");
  ip("l2tp", "del", "tunnel", "tunnel_id", "48");
}

async function child() {
  const datapath = new KernelDatapath(events);
  usePortsFrom(30_000);
  const fd = connected();
  await datapath.createTunnel(tunnel(40, fd));
  await Promise.all([41, 42, 43, 44, 45].map((id) => datapath.createSession(session(40, id))));
  const isKept = process.argv[3] === "kept";
  const keeper = isKept ? spawn("sleep", ["600"], { stdio: ["ignore", "ignore", "ignore", fd] }) : undefined;
  console.log(`ready ${keeper?.pid}`);
}

async function automaticMtu(datapath) {
  const sizes = [
    ["none", 0, 1500 - 20 - 8 - 8 - 14],
    ["default", 0, 1500 - 20 - 8 - 8 - 4 - 14],
    ["none", 8, 1500 - 20 - 8 - 8 - 8 - 14],
    ["default", 4, 1500 - 20 - 8 - 8 - 4 - 4 - 14],
  ];
  for (const [i, [l2Sublayer, cookieSize, mtu]] of sizes.entries()) {
    const remoteCookie = new Uint8Array(cookieSize).fill(9);
    await datapath.createSession(session(7, 80 + i, { l2Sublayer, remoteCookie }));
    equal(
      `mtu "auto" with sublayer ${l2Sublayer}, cookie ${cookieSize}`,
      json("link", "show", "dev", `l2-${80 + i}`)[0].mtu,
      mtu,
    );
    await datapath.deleteSession(80 + i);
  }
  equal(
    "deleted sessions are gone",
    linkNames().some((name) => name.startsWith("l2-8")),
    false,
  );
}

async function refusals(datapath) {
  const fd = connected();
  await refused(
    "interface name taken",
    datapath.createSession(session(7, 71, { interfaceName: "br0" })),
    "EEXIST",
    /interface br0 exists/,
  );
  await refused(
    "session id taken",
    datapath.createSession(session(7, 70, { interfaceName: "l2-x" })),
    "EEXIST",
    /session with that id|interface/,
  );
  await refused("no such tunnel", datapath.createSession(session(99, 72)), "ENODEV", /no such tunnel/);
  await refused("no such bridge", datapath.createSession(session(7, 73, { bridge: "br9" })), "ENODEV", /no bridge br9/);
  await refused("not a bridge", datapath.createSession(session(7, 74, { bridge: "lo" })), "EOPNOTSUPP", /bridge lo/);
  await refused("an impossible MTU", datapath.createSession(session(7, 75, { mtu: 70_000 })), "EINVAL", /MTU .* 70000/);
  await refused(
    "an impossible address",
    datapath.createSession(session(7, 76, { addresses: ["10.0.0.1/40"] })),
    "EINVAL",
    /10\.0\.0\.1\/40/,
  );
  await refused("session id 0", datapath.createSession(session(7, 0)), "EINVAL", /ids/);
  await refused(
    "a 5-octet cookie",
    datapath.createSession(session(7, 77, { localCookie: new Uint8Array(5) })),
    "EINVAL",
    /cookie/,
  );
  await refused("raising what was not made", datapath.raiseSession(77), "ENODEV", /session 77/);
  await refused("a closed socket", datapath.createTunnel(tunnel(8, 999)), "EBADF", /closed/);
  await refused("a file for a socket", datapath.createTunnel(tunnel(8, 0)), "ENOTSOCK", /not a socket/);
  await datapath.createTunnel(tunnel(8, fd));
  await refused("a socket used twice", datapath.createTunnel(tunnel(9, fd)), "EBUSY", /carries a tunnel/);
  const other = connected();
  await refused("a tunnel id used twice", datapath.createTunnel(tunnel(8, other)), "EEXIST", /tunnel/);
  libc.close(other);
  equal(
    "what failed half-way left nothing",
    linkNames().filter((name) => name.startsWith("l2-7")),
    ["l2-70"],
  );
  await datapath.deleteSession(77);
  await datapath.deleteTunnel(12345);
  check("deleting what is not there is no error", true);
  await datapath.deleteTunnel(8);
  libc.close(fd);
}

async function manySessions(datapath) {
  const fd = connected();
  const ids = Array.from({ length: SESSIONS }, (_, i) => 10_000 + i);
  const began = performance.now();
  await datapath.createTunnel(tunnel(20, fd));
  const created = ids.map((id) => datapath.createSession(session(20, id)));
  const settled = await Promise.allSettled(created);
  const createdMs = performance.now() - began;
  const cpu = process.cpuUsage();
  const failed = settled.filter(({ status }) => status === "rejected");
  check(`${SESSIONS} sessions at once`, failed.length === 0, `${failed.length} failed: ${failed[0]?.reason}`);
  console.log(
    `# created at ${Math.round((SESSIONS / createdMs) * 1000)} sessions/s, ${Math.round((cpu.user + cpu.system) / SESSIONS)} µs of CPU each since the start`,
  );
  equal("the kernel has as many devices", linkNames().filter((name) => /^l2-1\d{4}$/.test(name)).length, SESSIONS);
  const raisedAt = performance.now();
  await Promise.all(ids.map((id) => datapath.raiseSession(id)));
  console.log(`# raised at ${Math.round((SESSIONS / (performance.now() - raisedAt)) * 1000)} sessions/s`);
  const readAt = performance.now();
  equal("counters of all of them", (await datapath.counters(20)).length, SESSIONS);
  console.log(`# counters of ${SESSIONS} sessions read in ${Math.round(performance.now() - readAt)} ms`);
  return { fd, ids };
}

/** Deletions are slow on 6.1: a creation must not have to wait for many of them. */
async function deletionsStandBack(datapath) {
  const ids = Array.from({ length: 40 }, (_, i) => 10_000 + i);
  let deleted = 0;
  const began = performance.now();
  const deletions = ids.map((id) => datapath.deleteSession(id).then(() => deleted++));
  await datapath.createSession(session(20, 50_000));
  console.log(
    `# a creation behind 40 deletions: ${Math.round(performance.now() - began)} ms, ${deleted} were deleted by then`,
  );
  await Promise.all(deletions);
  console.log(`# 40 deletions: ${Math.round(performance.now() - began)} ms`);
}

/** A tunnel goes at once, its devices later: names and ids that we freed are tried again until they are free. */
async function freedNames(datapath) {
  const ids = Array.from({ length: 100 }, (_, i) => 60_000 + i);
  const sockets = [connected(), connected()];
  await datapath.createTunnel(tunnel(30, sockets[0]));
  await Promise.all(ids.map((id) => datapath.createSession(session(30, id))));
  const began = performance.now();
  await datapath.deleteTunnel(30);
  await datapath.createTunnel(tunnel(31, sockets[1]));
  await Promise.all(ids.map((id) => datapath.createSession(session(31, id))));
  console.log(`# 100 names and ids in use again ${Math.round(performance.now() - began)} ms after their tunnel's end`);
  equal(
    "names and ids that were freed a moment ago",
    linkNames().filter((name) => name.startsWith("l2-60")).length,
    100,
  );
  lost.clear();
  for (const socket of sockets) libc.close(socket);
  check(
    "whose tunnel ends with its socket is lost",
    await until(() => ids.every((id) => lost.has(id))),
    `${lost.size}`,
  );
}

async function closeRemovesAll() {
  const datapath = new KernelDatapath(events);
  await datapath.createTunnel(tunnel(50, connected()));
  await Promise.all([501, 502, 503, 504, 505].map((id) => datapath.createSession(session(50, id))));
  const began = performance.now();
  await datapath.close();
  console.log(`# close with five sessions: ${Math.round(performance.now() - began)} ms`);
  equal(
    "close leaves no device",
    linkNames().filter((name) => name.startsWith("l2-50")),
    [],
  );
  equal("close leaves no tunnel", ip("l2tp", "show", "tunnel").includes("Tunnel 50,"), false);
}

async function main() {
  ip("netns", "add", "peer");
  ip("link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", "peer");
  ip("addr", "add", `${LOCAL}/24`, "dev", "v0");
  ip("link", "set", "v0", "up");
  ip("-netns", "peer", "addr", "add", `${REMOTE}/24`, "dev", "v1");
  ip("-netns", "peer", "link", "set", "v1", "up");
  ip("link", "add", "br0", "type", "bridge");

  equal("the kernel has L2TP, its modules loaded on demand", await probeKernelL2tp(), { available: true });
  const datapath = new KernelDatapath(events);
  await oneSession(datapath);
  await automaticMtu(datapath);
  await trafficFlows(datapath);
  await refusals(datapath);
  await killed();
  await keptLeftovers();
  await freedNames(datapath);
  await closeRemovesAll();
  const { fd, ids } = await manySessions(datapath);
  await deletionsStandBack(datapath);
  console.log(`# resident: ${readFileSync("/proc/self/status", "utf8").match(/VmRSS:\s*(.*)/)[1]}`);
  const began = performance.now();
  await datapath.deleteTunnel(20);
  console.log(`# deleting a tunnel of ${ids.length} sessions: ${Math.round(performance.now() - began)} ms`);
  libc.close(fd);
  await datapath.close();
}

await (process.argv[2] === "child" ? child() : main());
