// VLAN pseudowires (RFC 4719) on the real kernel: each LAN has a tag of its own on its trunk, the wire a third one.
import { spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { attempt, bothUp, check, equal, leftIn, matches, note, run, SOON_MS, scenario, within } from "./daemon-lab.mjs";

const NOTICED_MS = 10_000;
/** Until two daemons have started and found each other. */
const START_MS = 240_000;
const MODPROBE_FOLDER = "/etc/modprobe.d";
const RULE = `${MODPROBE_FOLDER}/vlan.conf`;
/** The tag of each trunk, and of the two pseudowires on the wire. */
const TRUNK = { a: 10, b: 20 };
const [BRIDGED, ROUTED] = [42, 43];
/** Path 1500, less IP, UDP, data header with cookie, Ethernet header and tag. */
const MTU = 1500 - 20 - 8 - 16 - 14 - 4;

const sessions = (host) => ({
  lan: { pseudowire: "vlan", vlan: BRIDGED, interface: "l2-lan", bridge: "br0" },
  net: {
    pseudowire: "vlan",
    vlan: ROUTED,
    interface: "l2-net",
    addresses: [`192.168.7.${host}/24`, `2001:db8:7::${host}/64`],
    routes: host === 1 ? ["10.2.0.0/16"] : [],
  },
});

/** Sessions of two devices each, made slowly in an emulated machine: nobody shall lose patience. */
const tunnel = { retransmit: { initial: "1s", retries: 4, sccrq_retries: 4 } };
const settings = { a: { tunnel, sessions: sessions(1) }, b: { tunnel, sessions: sessions(2) } };
const exists = (site, name) => site.json("link", "show").some(({ ifname }) => ifname === name);
const lowerOf = async (daemon, name) => `l2pw-${(await daemon.session(name)).local_session_id.toString(16)}`;
const isUp = (site, name) => site.device(name).flags.includes("UP");

/** A machine in a LAN behind the trunk of a site, whose frames bear the trunk's tag; and the bridge that the trunk is in. */
function addLan(site, host) {
  const lan = `lan-${site.name}`;
  const tag = String(TRUNK[site.name]);
  run("ip", "netns", "add", lan);
  site.ip("link", "add", "br0", "type", "bridge");
  site.ip("link", "add", "trunk", "type", "veth", "peer", "name", "eth0", "netns", lan);
  site.ip("link", "add", "trunk.tag", "link", "trunk", "type", "vlan", "id", tag);
  site.ip("link", "set", "trunk.tag", "master", "br0");
  for (const name of ["br0", "trunk", "trunk.tag"]) site.ip("link", "set", name, "up");
  run("ip", "-n", lan, "link", "add", "lan", "link", "eth0", "type", "vlan", "id", tag);
  for (const name of ["eth0", "lan"]) run("ip", "-n", lan, "link", "set", name, "up");
  run("ip", "-n", lan, "address", "add", `192.168.50.${host}/24`, "dev", "lan");
  run("ip", "-n", lan, "link", "set", "lan", "mtu", String(MTU));
}

async function pingFrom(lan, address, size = 56) {
  const words = ["-c", "3", "-i", "0.1", "-W", "3", "-s", String(size), address];
  const { stdout } = await attempt("ip", "netns", "exec", lan, "ping", ...words);
  return /^3 packets transmitted, 3 packets received/m.test(stdout);
}

/** The frames of `body` on the wire or another device of a site, in hexadecimal digits. */
async function captured(site, body, device = "wire") {
  const script = fileURLToPath(new URL("wire-capture.mjs", import.meta.url));
  const child = spawn("ip", ["netns", "exec", site.name, process.execPath, script, device], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = [];
  const ended = new Promise((resolve) => child.on("close", resolve));
  await new Promise((resolve) => {
    createInterface(child.stdout).on("line", (line) => (line === "ready" ? resolve() : lines.push(line)));
  });
  await body();
  child.stdin.end();
  await ended;
  return lines;
}

/** Without the kernel's VLANs the peer gets a CDN, and a port next to it comes up. */
async function checkWithoutModule(sites) {
  equal("no VLAN module is loaded at the start", run("lsmod").includes("8021q"), false);
  mkdirSync(MODPROBE_FOLDER, { recursive: true });
  writeFileSync(RULE, "install 8021q /bin/false\n");
  const port = { port: { interface: "l2-port" } };
  const at = (side) => ({ tunnel, sessions: { net: settings[side].sessions.net, ...port } });
  const b = sites.start(sites.b, at("b"));
  const a = sites.start(sites.a, at("a"));
  await bothUp("no module 8021q: other sessions come up", a, b, { names: ["port"], milliseconds: START_MS });
  const said = async (daemon) => (await daemon.session("net")).last_error;
  await within("no module 8021q: it is told in words", SOON_MS, async () => /8021q/.test(await said(b)));
  matches("and what to do", await said(b), /cannot make interface l2-net .*modprobe 8021q.*\(EOPNOTSUPP/);
  await within("no module 8021q: the peer has them, from the CDN", SOON_MS, async () =>
    /CDN.*8021q/.test(await said(a)),
  );
  // It is tried again and again, and each attempt has its device for a moment.
  const nothingLeft = () => [sites.a, sites.b].every((site) => site.devices().join() === "l2-port");
  await within("no module 8021q: nothing is left of it", SOON_MS, nothingLeft);
  rmSync(RULE);
  await bothUp("the module may be loaded: the session comes up by itself", a, b);
  await a.stop();
  await b.stop();
}

async function checkFrames(sites, { a }) {
  check("LAN to LAN, other tags on both trunks", await pingFrom("lan-a", "192.168.50.2"));
  check("the routed pseudowire beside it", await sites.a.ping("192.168.7.2"));
  const frames = await captured(sites.b, async () => {
    await pingFrom("lan-a", "192.168.50.2", MTU - 28);
    await sites.a.ping("192.168.7.2", { size: MTU - 28 });
  });
  const bearing = (vlan) => frames.filter((hex) => hex.includes(`8100${vlan.toString(16).padStart(4, "0")}0800`));
  check("the bridged one's frames bear its tag on the wire", bearing(BRIDGED).length >= 6, frames.join("\n"));
  check("the routed one's frames bear its own", bearing(ROUTED).length >= 6, frames.join("\n"));
  equal("no frame bears a trunk's", [bearing(TRUNK.a).length, bearing(TRUNK.b).length], [0, 0]);
  const longest = Math.max(...frames.map((hex) => hex.length / 2 - 14));
  equal("the longest frame fills the path, and is not fragmented", longest, 1500);
  for (const name of ["lan", "net"]) {
    const lower = await lowerOf(a, name);
    const [{ mtu: above }, { mtu: below, addr_info: addresses }] = [`l2-${name}`, lower].map((each) =>
      sites.a.device(each),
    );
    equal(`${name}: MTU of interface and l2tpeth device`, [above, below], [MTU, MTU + 4]);
    equal(`${name}: the l2tpeth device has no address`, addresses, []);
  }
}

/** What bears another tag, or none, reaches the far l2tpeth device and not the interface. */
async function checkOtherTags(sites, { a, b }) {
  const [here, there] = [await lowerOf(a, "net"), await lowerOf(b, "net")];
  sites.a.ip("link", "add", "other", "link", here, "type", "vlan", "id", "99");
  sites.a.ip("address", "add", "192.168.99.1/24", "dev", "other");
  sites.a.ip("link", "set", "other", "up");
  sites.a.ip("address", "add", "192.168.98.1/24", "dev", here);
  // The far end would answer for any address of its own, whatever interface it is asked by.
  sites.b.ip("address", "add", "192.168.98.2/24", "dev", "lo");
  sites.b.ip("address", "add", "192.168.99.2/24", "dev", "lo");
  let above = [];
  const below = await captured(
    sites.b,
    async () => {
      above = await captured(sites.b, () => checkSilence(sites.a), "l2-net");
    },
    there,
  );
  // Their senders, as an ARP request has them.
  const from = (frames) => ["c0a86301", "c0a86201"].map((address) => frames.some((hex) => hex.includes(address)));
  equal("the frames have come to the far l2tpeth device", from(below), [true, true]);
  equal("and not to the interface", from(above), [false, false]);
  sites.a.ip("link", "delete", "other");
  sites.a.ip("address", "delete", "192.168.98.1/24", "dev", here);
}

async function checkSilence(site) {
  equal("another tag: no answer", await site.ping("192.168.99.2", { count: 2 }), false);
  equal("no tag: no answer", await site.ping("192.168.98.2", { count: 2 }), false);
}

/** Both devices go and come with the session, and what others do to them is noticed. */
async function checkFaults(sites, { a, b }) {
  const explain = async () => [await a.explain(), await b.explain()].join("\n");
  const status = async (name) => (await b.session(name))?.circuit_status.remote;
  sites.a.ip("link", "set", "l2-lan", "down");
  sites.a.ip("link", "set", "l2-lan", "name", "other");
  await within("renamed: it has its name again", NOTICED_MS, () => exists(sites.a, "l2-lan"), explain);
  sites.a.ip("link", "set", "l2-lan", "up");
  sites.a.ip("link", "set", "l2-lan", "nomaster");
  const inBridge = () => sites.a.device("l2-lan").master === "br0";
  await within("taken out of the bridge: it is put back", NOTICED_MS, inBridge, explain);
  sites.a.ip("address", "delete", "192.168.7.1/24", "dev", "l2-net");
  await within("address removed: it is put back", NOTICED_MS, () => sites.a.ping("192.168.7.2", { count: 1 }), explain);

  const lower = await lowerOf(a, "net");
  sites.a.ip("link", "set", lower, "down");
  await within(
    "l2tpeth device set down: the peer is told",
    SOON_MS,
    async () => (await status("net")) === "down",
    explain,
  );
  sites.a.ip("link", "set", lower, "up");
  await within("set up again: the peer is told", SOON_MS, async () => (await status("net")) === "up", explain);
  await within("set up again: frames flow", SOON_MS, () => sites.a.ping("192.168.7.2"), explain);
  const routes = () => sites.a.json("route", "show", "dev", "l2-net").map(({ dst }) => dst);
  await within("set up again: with its route", NOTICED_MS, () => routes().includes("10.2.0.0/16"), explain);

  const before = (await a.session("lan")).local_session_id;
  sites.a.ip("link", "delete", "l2-lan");
  const anew = async () => (await a.isUp()) && (await b.isUp()) && (await a.session("lan")).local_session_id !== before;
  const { tookMs } = await within("interface deleted: the session is set up anew", SOON_MS, anew, explain);
  await within("interface deleted: LAN to LAN again", SOON_MS, () => pingFrom("lan-a", "192.168.50.2"), explain);
  note(`up again ${tookMs} ms after the interface was deleted`);
}

async function checkEnds(sites, { a, b }) {
  const own = ["br0", "trunk", "trunk.tag"];
  const lower = { a: await lowerOf(a, "net"), b: await lowerOf(b, "net") };
  equal("close", (await a.command("close", "wan/lan")).code, 0);
  await within("closed: both devices are gone, at both ends; those of the other session stay", SOON_MS, () =>
    ["a", "b"].every((side) => sites[side].devices(...own).join() === ["l2-net", lower[side]].sort().join()),
  );
  equal("open", (await a.command("open", "wan/lan")).code, 0);
  await bothUp("opened: it is up", a, b);
  await within("opened: LAN to LAN", SOON_MS, () => pingFrom("lan-a", "192.168.50.2"));
  await b.stop("SIGKILL");
  const again = sites.start(sites.b, settings.b);
  const tookMs = await bothUp("the peer is killed and started again: both come up", a, again, {
    milliseconds: START_MS,
  });
  note(`up again ${tookMs} ms after the peer was killed`);
  // Devices of the one that was killed are waited for.
  equal(
    "killed and started again: no name is taken",
    again.warnings().filter((line) => /exist/.test(line)),
    [],
  );
  await within("killed and started again: LAN to LAN", SOON_MS, () => pingFrom("lan-a", "192.168.50.2"));
  for (const daemon of [a, again]) equal(`exit code 0 of ${daemon.name}`, (await daemon.stop()).end, 0);
  equal("nothing is left", [leftIn(sites.a, ...own), leftIn(sites.b, ...own)], ["", ""]);
}

await scenario("vlan without its module", checkWithoutModule);
await scenario("vlan", async (sites) => {
  for (const [site, host] of [
    [sites.a, 1],
    [sites.b, 2],
  ])
    addLan(site, host);
  sites.a.ip("link", "add", "l2-net", "type", "dummy");
  const b = sites.start(sites.b, settings.b);
  const a = sites.start(sites.a, settings.a);
  await bothUp("two VLANs in one tunnel, the name of one is taken: the other comes up", a, b, {
    names: ["lan"],
    milliseconds: START_MS,
  });
  matches("the name is told", (await a.session("net")).last_error, /l2-net exists already/);
  sites.a.ip("link", "delete", "l2-net");
  await bothUp("the name is free: both are up", a, b);
  check("both devices of each are up", isUp(sites.a, "l2-net") && isUp(sites.a, await lowerOf(a, "net")));
  await checkFrames(sites, { a, b });
  await checkOtherTags(sites, { a, b });
  await checkFaults(sites, { a, b });
  await checkEnds(sites, { a, b });
  for (const name of ["lan-a", "lan-b"]) await attempt("ip", "netns", "delete", name);
});
