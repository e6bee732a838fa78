// What the kernel refuses, and what becomes of it at both ends.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { bothUp, check, equal, matches, note, run, SOON_MS, scenario, sleep, within } from "./daemon-lab.mjs";

const MODPROBE_FOLDER = "/etc/modprobe.d";
const FORBIDDEN = `${MODPROBE_FOLDER}/forbidden.conf`;

/** Sessions that one end cannot make, and how that end says so. Those of "b" are refused after the call is connected. */
const REFUSED = {
  dummy: { site: "a", keys: { interface: "l2-dummy" }, words: /l2-dummy exists already/ },
  veth: { site: "b", keys: { interface: "l2-veth" }, words: /l2-veth exists already/ },
  nowhere: { site: "a", keys: { interface: "l2-nowhere", bridge: "br-missing" }, words: /no bridge br-missing/ },
  flat: { site: "b", keys: { interface: "l2-flat", bridge: "l2-veth-end" }, words: /l2-veth-end is not a bridge/ },
};

function sessionsOf(name, host) {
  const sessions = { fine: { interface: "l2-fine", addresses: [`192.168.7.${host}/24`] } };
  for (const [session, { site, keys }] of Object.entries(REFUSED)) {
    sessions[session] = site === name ? keys : { interface: keys.interface };
  }
  return { sessions, lcce: { log_level: "trace" } };
}

function obstruct({ a, b }) {
  a.ip("link", "add", "l2-dummy", "type", "dummy");
  b.ip("link", "add", "l2-veth", "type", "veth", "peer", "name", "l2-veth-end");
}

function clear({ a, b }) {
  a.ip("link", "delete", "l2-dummy");
  b.ip("link", "delete", "l2-veth");
  a.ip("link", "add", "br-missing", "type", "bridge");
}

async function checkRefusal(name, { site, words }, daemons) {
  const [here, there] = site === "a" ? [daemons.a, daemons.b] : [daemons.b, daemons.a];
  const explain = async () => [await here.explain(), await there.explain()].join("\n");
  const said = async () => words.test((await here.session(name)).last_error);
  await within(`${name}: ${site} says what is in the way`, SOON_MS, said, explain);
  const heard = async () => words.test((await there.session(name)).last_error);
  await within(`${name}: the peer has heard the same words in a CDN`, SOON_MS, heard, explain);
  note((await there.session(name)).last_error);
}

/** A tunnel of iproute2, with a session. */
function addStaticTunnel(site, port) {
  const ends = "encap udp local 10.0.0.1 remote 10.0.0.2".split(" ");
  const ports = ["udp_sport", String(port), "udp_dport", String(port)];
  site.ip("l2tp", "add", "tunnel", "tunnel_id", "77", "peer_tunnel_id", "88", ...ends, ...ports);
  site.ip(..."l2tp add session name static0 tunnel_id 77 session_id 7 peer_session_id 8".split(" "));
}

function removeStaticTunnel(site) {
  site.ip("l2tp", "delete", "tunnel", "tunnel_id", "77");
}

async function checkSessions(sites) {
  obstruct(sites);
  const [b, a] = [sites.start(sites.b, sessionsOf("b", 2)), sites.start(sites.a, sessionsOf("a", 1))];
  await bothUp("the session that nothing is in the way of comes up", a, b, { names: ["fine"] });
  const before = await a.tunnel();
  const pings = sites.a.ping("192.168.7.2", { count: 30, interval: 0.1 });
  for (const [name, refused] of Object.entries(REFUSED)) await checkRefusal(name, refused, { a, b });
  check("frames of the session beside them flow meanwhile, without loss", await pings);
  const states = async (daemon) => Object.keys(REFUSED).map(async (name) => (await daemon.session(name)).state);
  for (const daemon of [a, b]) {
    const found = await Promise.all(await states(daemon));
    check(`${daemon.name}: none of the refused sessions is established`, !found.includes("established"), found.join());
  }
  equal("a has no device of a refused session but its own dummy", sites.a.devices(), ["l2-dummy", "l2-fine"]);
  // Where the other end refuses, the device is there for a moment at every attempt.
  const devicesOfB = () => sites.b.devices().join();
  const own = () => devicesOfB() === "l2-fine,l2-veth,l2-veth-end";
  await within("b takes away the device of a session that a refuses", 10_000, own, devicesOfB);
  const after = await a.tunnel();
  const idsOf = ({ local_ccid, remote_ccid, sessions }) => [local_ccid, remote_ccid, sessions[0].local_session_id];
  equal("connection and session beside them are the same as before", idsOf(after), idsOf(before));
  equal("the tunnel itself has no error", [after.last_error, (await b.tunnel()).last_error], ["", ""]);

  clear(sites);
  const names = ["fine", "dummy", "veth", "nowhere"];
  await bothUp("when the obstacles are removed the sessions come up by themselves", a, b, { names });
  equal("with their names", sites.a.devices("br-missing"), ["l2-dummy", "l2-fine", "l2-nowhere", "l2-veth"]);
  equal("and in their bridge", sites.a.device("l2-nowhere").master, "br-missing");
  equal("an established session has no error", (await a.session("dummy")).last_error, "");

  addStaticTunnel(sites.a, 1702);
  const { end } = await a.stop();
  equal("SIGTERM while a session is being refused: exit code 0", end, 0);
  const left = sites.a.devices("br-missing");
  equal("SIGTERM: of all devices the one of iproute2's static tunnel is left", left, ["static0"]);
  matches("SIGTERM: that tunnel is left with its session", sites.a.l2tp("session"), /^Session 7 in tunnel 77\n/);
  equal("SIGTERM: no other session is left", sites.a.l2tp("session").match(/^Session/gm)?.length, 1);
  equal("SIGTERM: no other tunnel is left", sites.a.l2tp("tunnel").match(/^Tunnel/gm)?.length, 1);
  removeStaticTunnel(sites.a);
}

/** Modules that go away while the daemon runs: without a peer nothing holds them. */
async function checkMissingModules(sites) {
  const a = sites.start(sites.a);
  await within(
    "modules taken away: the daemon is ready before",
    SOON_MS,
    () => a.logged("ready"),
    () => a.explain(),
  );
  // The thread that talks to the kernel has found it all in place.
  await sleep(500);
  run("modprobe", "-r", "-a", "l2tp_eth", "l2tp_netlink");
  writeFileSync(FORBIDDEN, "install l2tp_netlink /bin/false\ninstall l2tp_eth /bin/false\n");
  const b = sites.start(sites.b, { lcce: { datapath: "none" } });
  const explain = async () => [await a.explain(), await b.explain()].join("\n");
  const tunnelRefused = async (daemon) => /l2tp_netlink/.test((await daemon.tunnel())?.last_error ?? "");
  await within(
    "no l2tp_netlink: the tunnel is refused, and the module named",
    SOON_MS,
    () => tunnelRefused(a),
    explain,
  );
  await within("no l2tp_netlink: StopCCN tells the peer", SOON_MS, () => tunnelRefused(b), explain);

  writeFileSync(FORBIDDEN, "install l2tp_eth /bin/false\n");
  const sessionRefused = async (daemon) => /l2tp_eth is missing/.test((await daemon.session("lan"))?.last_error ?? "");
  await within("no l2tp_eth: the session is refused, and the module named", SOON_MS, () => sessionRefused(a), explain);
  await within("no l2tp_eth: a CDN tells the peer", SOON_MS, () => sessionRefused(b), explain);
  equal("no l2tp_eth: the control connection stays", (await a.tunnel()).state, "established");

  rmSync(FORBIDDEN);
  await bothUp("with both again: tunnel and session come up by themselves", a, b);
}

async function checkPortOfStaticTunnel(sites) {
  addStaticTunnel(sites.a, 1701);
  const daemon = sites.start(sites.a);
  equal("a static tunnel has the port: exit code 1", (await daemon.exited).code, 1);
  matches("a static tunnel has the port: address and port are named", daemon.stderr, /0\.0\.0\.0.*1701/);
  removeStaticTunnel(sites.a);
}

mkdirSync(MODPROBE_FOLDER, { recursive: true });
await scenario("refused sessions", checkSessions);
await scenario("modules taken away", checkMissingModules);
await scenario("port of a static tunnel", checkPortOfStaticTunnel);
