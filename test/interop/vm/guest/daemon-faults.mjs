// What others do to tunnels, sessions and devices of ours, on the real kernel, and what the daemon makes of it.
import { bothUp, check, equal, matches, note, run, SOON_MS, scenario, within } from "./daemon-lab.mjs";

/** Noticed within a second, and put back; the machine may be emulated, and others may keep it busy. */
const NOTICED_MS = 5_000;
const A = "192.168.7.1/24";
const ROUTE = "10.2.0.0/16";

const sessions = (host) => ({
  lan: { interface: "l2-lan", addresses: [`192.168.7.${host}/24`, `2001:db8:7::${host}/64`] },
  port: { interface: "l2-port", bridge: "br0", isolated: true },
});

function settings() {
  const [a, b] = [sessions(1), sessions(2)];
  a.lan.routes = [ROUTE, "2001:db8:2::/48"];
  return { a: { sessions: a }, b: { sessions: b } };
}

const addressesOf = (site, name) => (site.device(name)?.addr_info ?? []).filter(({ scope }) => scope === "global");
const hasAddress = (site, name, address) =>
  addressesOf(site, name).some(({ local, prefixlen }) => `${local}/${prefixlen}` === address);
const routesOf = (site) =>
  [...site.json("route", "show", "dev", "l2-lan"), ...site.json("-6", "route", "show", "dev", "l2-lan")].map(
    ({ dst }) => dst,
  );
const exists = (site, name) => site.json("link", "show").some(({ ifname }) => ifname === name);
const isPort = (site) =>
  exists(site, "l2-port") &&
  site.device("l2-port").master === "br0" &&
  site.device("l2-port").linkinfo.info_slave_data.isolated === true;
const idOf = async (daemon, name) => (await daemon.session(name))?.local_session_id;

function addBridges({ a, b }) {
  for (const site of [a, b]) {
    site.ip("link", "add", "br0", "type", "bridge");
    site.ip("link", "set", "br0", "up");
  }
}

/** What is put back without the session being the wiser. */
async function checkRestored(sites, { a, b }) {
  const ids = async () => [await idOf(a, "lan"), await idOf(a, "port"), await idOf(b, "lan"), await idOf(b, "port")];
  const before = await ids();
  const explain = () => a.explain();
  equal("routes lead through the device", routesOf(sites.a).includes(ROUTE), true);
  equal("and of IPv6", routesOf(sites.a).includes("2001:db8:2::/48"), true);
  check("the port is isolated in its bridge", isPort(sites.a));

  sites.a.ip("address", "delete", A, "dev", "l2-lan");
  const address = await within(
    "address removed: it is put back",
    NOTICED_MS,
    () => hasAddress(sites.a, "l2-lan", A),
    explain,
  );
  note(`address back after ${address.tookMs} ms`);
  sites.a.ip("route", "delete", ROUTE, "dev", "l2-lan");
  await within("route removed: it is put back", NOTICED_MS, () => routesOf(sites.a).includes(ROUTE), explain);
  sites.a.ip("link", "set", "l2-port", "nomaster");
  await within("taken out of the bridge: it is put back, isolated", NOTICED_MS, () => isPort(sites.a), explain);

  sites.a.ip("link", "set", "l2-lan", "down");
  sites.a.ip("link", "set", "l2-lan", "name", "other");
  await within("renamed: it has its name again", NOTICED_MS, () => exists(sites.a, "l2-lan"), explain);
  sites.a.ip("link", "set", "l2-lan", "up");
  const whole = () => hasAddress(sites.a, "l2-lan", "2001:db8:7::1/64") && routesOf(sites.a).includes(ROUTE);
  await within("renamed: and addresses and routes", SOON_MS, whole, explain);
  check("renamed: frames flow", await sites.a.ping("192.168.7.2"));

  sites.a.ip("link", "delete", "br0");
  const status = async (daemon, name) => (await daemon.session(name))?.circuit_status;
  await within(
    "bridge deleted: the peer is told",
    SOON_MS,
    async () => (await status(b, "port"))?.remote === "down",
    () => b.explain(),
  );
  sites.a.ip("link", "add", "br0", "type", "bridge");
  await within("bridge made anew: the port is in it", SOON_MS, () => isPort(sites.a), explain);
  await within("bridge made anew: the peer is told", SOON_MS, async () => (await status(b, "port"))?.remote === "up");

  sites.a.ip("link", "set", "l2-lan", "down");
  await within(
    "set down by hand: the peer is told",
    SOON_MS,
    async () => (await status(b, "lan"))?.remote === "down",
    explain,
  );
  check("set down by hand: it stays so", !sites.a.device("l2-lan").flags.includes("UP"));
  sites.a.ip("link", "set", "l2-lan", "up");
  await within(
    "set up by hand: the peer is told",
    SOON_MS,
    async () => (await status(b, "lan"))?.remote === "up",
    explain,
  );
  await within("set up by hand: with addresses and routes", NOTICED_MS, whole, explain);
  equal("none of this was a new session", await ids(), before);
  const said = a.lines(({ event }) => event === "device-restored").join("\n");
  matches("the log says what was put back", said, /put back address 192\.168\.7\.1\/24/);
  matches("of the bridge too", said, /l2-port: put back its place in bridge br0/);
  matches("of the name too", said, /l2-lan: put back its name.*renamed it to other/);
}

/** What ends a session or tunnel, and is set up anew. */
async function checkAnew(sites, { a, b }, what, harm) {
  const before = await idOf(a, "lan");
  harm();
  const isLost = () => a.log.some(({ message }) => message.includes(what));
  const noticed = await within(`${what}: noticed`, NOTICED_MS, isLost, () => a.explain());
  const anew = async () => {
    const [here, there] = [await a.isUp(), await b.isUp()];
    return here && there && (await idOf(a, "lan")) !== before;
  };
  const explain = async () => [await a.explain(), await b.explain()].join("\n");
  const { tookMs } = await within(`${what}: set up anew`, SOON_MS, anew, explain);
  check(`${what}: with name, address and route`, hasAddress(sites.a, "l2-lan", A) && routesOf(sites.a).includes(ROUTE));
  check(`${what}: frames flow`, await sites.a.ping("192.168.7.2"));
  note(`${what}: noticed after ${noticed.tookMs} ms, up again after ${tookMs} ms`);
}

await scenario("faults", async (sites) => {
  addBridges(sites);
  sites.a.ip("link", "add", "l2-port", "type", "dummy");
  const daemons = { b: sites.start(sites.b, settings().b), a: sites.start(sites.a, settings().a) };
  const { a, b } = daemons;
  await bothUp("a name that is taken at the start leaves the other session alone", a, b, {
    names: ["lan"],
  });
  matches("the name is told", (await a.session("port")).last_error, /l2-port exists already/);
  sites.a.ip("link", "delete", "l2-port");
  await bothUp("the name is free later: its session comes up", a, b);
  await checkRestored(sites, daemons);

  const ids = async () => {
    const { local_ccid: tunnel, sessions: all } = await a.tunnel();
    return { tunnel: String(tunnel), session: String(all.find(({ name }) => name === "lan").local_session_id) };
  };
  const { tunnel, session } = await ids();
  await checkAnew(sites, daemons, "someone deleted session", () =>
    sites.a.ip("l2tp", "delete", "session", "tunnel_id", tunnel, "session_id", session),
  );
  await checkAnew(sites, daemons, "someone deleted tunnel", () =>
    sites.a.ip("l2tp", "delete", "tunnel", "tunnel_id", tunnel),
  );
  run("ip", "netns", "add", "elsewhere");
  await checkAnew(sites, daemons, "moved it to another network namespace", () =>
    sites.a.ip("link", "set", "l2-lan", "netns", "elsewhere"),
  );
  const began = performance.now();
  await b.stop("SIGKILL");
  const again = sites.start(sites.b, settings().b);
  await bothUp("the peer is killed and started again: both come up", a, again);
  note(`a device is there again ${Math.round(performance.now() - began)} ms after its peer was killed`);
  // In a slow machine the kernel may need longer than the peer waits; what it must not meet is the device of before.
  const refused = again.warnings().filter((line) => !/time/.test(line));
  equal("killed and started again: nothing refused", refused, []);
  await a.stop();
  await again.stop();
});
