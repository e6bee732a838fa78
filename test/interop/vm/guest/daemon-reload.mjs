// Another configuration while frames flow, on the kernel's datapath: what differs is changed, and nothing else notices.
import { writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { bothUp, check, equal, matches, SOON_MS, scenario, within } from "./daemon-lab.mjs";

const QUIETLY = "applied without re-signalling";
/** So long the echoes go on; the reloads take a part of it. */
const ECHOES = 400;

const NET = { interface: "l2-net", addresses: ["192.168.2.1/24"] };

/** What session "net" and "tag" of site a have instead, and sessions that are there besides. */
function sessionsOf(host, { net = {}, tag = {}, ...more } = {}) {
  return {
    lan: { interface: "l2-lan", addresses: [`192.168.1.${host}/24`] },
    net: { ...NET, addresses: [`192.168.2.${host}/24`], ...net },
    tag: { interface: "l2-tag", pseudowire: "vlan", vlan: 43, addresses: [`192.168.3.${host}/24`], ...tag },
    ...more,
  };
}

/** A peer that is slow, in an emulated machine, is not dead. */
const tunnel = { retransmit: { initial: "1s", retries: 4, sccrq_retries: 4 } };

function ask(daemon, request) {
  return new Promise((resolve) => {
    let text = "";
    const socket = createConnection(daemon.socket, () => socket.end(`${JSON.stringify(request)}\n`));
    socket.on("data", (octets) => {
      text += octets;
    });
    socket.on("error", () => resolve(undefined));
    socket.on("end", () => resolve(text === "" ? undefined : JSON.parse(text).result));
  });
}

/** The lines of the answer; the file is written before. */
async function reload(daemon, configuration) {
  writeFileSync(daemon.file, configuration);
  const planned = await ask(daemon, { command: "reload", dryRun: true });
  const { problems, changes } = await ask(daemon, { command: "reload" });
  equal("the plan says what the reload does", planned.changes, changes);
  return [...problems, ...changes.map(({ text }) => text)];
}

const addressesOf = (site, name) =>
  site
    .device(name)
    .addr_info.filter(({ scope }) => scope === "global")
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`)
    .sort();

const has = (site, name, ...wanted) => addressesOf(site, name).join() === wanted.toSorted().join();
const routes = (site) => site.ip("route");
const isUp = (site, name) => site.device(name).flags.includes("UP");
const idsOf = async (daemon, name) => {
  const { local_session_id, remote_session_id, state } = await daemon.session(name);
  return [local_session_id, remote_session_id, state];
};

async function changeInPlace({ a: site }, a, write) {
  const before = { net: await idsOf(a, "net"), tag: await idsOf(a, "tag"), index: site.device("l2-net").ifindex };
  const own = "192.168.2.1/24";
  const more = ["10.77.0.1/30", "fd00:77::1/64"];
  const line = (name, keys) => [`tunnel.wan.session.${name}: ${keys} changed: ${QUIETLY}`];
  const first = { addresses: [own, ...more], routes: ["10.78.0.0/16 via 10.77.0.2", "10.79.0.0/16"] };
  equal("new addresses and routes: told", await write({ net: first }), line("net", "addresses, routes"));
  await within("new addresses are there", SOON_MS, () => has(site, "l2-net", own, ...more));
  await within("routes are there", SOON_MS, () => /10\.78\.0\.0\/16 via 10\.77\.0\.2 dev l2-net/.test(routes(site)));

  const second = { addresses: ["192.168.2.9/24", own], routes: ["10.79.0.0/16"] };
  equal("other addresses: told", await write({ net: second }), line("net", "addresses, routes"));
  await within("the old ones are gone, the other is there", SOON_MS, () => has(site, "l2-net", own, "192.168.2.9/24"));
  matches("a route that stays is there", routes(site), /10\.79\.0\.0\/16 dev l2-net/);
  check("a route that goes is gone", !routes(site).includes("10.78.0.0/16"), routes(site));

  const third = { addresses: ["192.168.2.9/24"], routes: ["10.79.0.0/16"] };
  equal("the first address of a network goes: told", await write({ net: third }), line("net", "addresses"));
  await within("its second one stays", SOON_MS, () => has(site, "l2-net", "192.168.2.9/24"));
  matches("and so does the route", routes(site), /10\.79\.0\.0\/16 dev l2-net/);

  site.ip("link", "add", "br0", "type", "bridge");
  site.ip("link", "set", "br0", "up");
  const bridged = { addresses: [], bridge: "br0", isolated: true };
  equal("into a bridge: told", await write({ net: bridged }), line("net", "bridge, isolated, addresses, routes"));
  await within("it is a port of the bridge", SOON_MS, () => site.device("l2-net").master === "br0");
  await within("and isolated", SOON_MS, () => /isolated on/.test(site.ip("-d", "link", "show", "l2-net")));
  equal("out of it again: told", await write({}), line("net", "bridge, isolated, addresses"));
  await within("it is no port any more, with its address", SOON_MS, () => {
    return site.device("l2-net").master === undefined && has(site, "l2-net", own);
  });

  equal(
    "an address of a VLAN pseudowire: told",
    await write({ tag: { addresses: ["192.168.3.1/24", "10.80.0.1/24"] } }),
    line("tag", "addresses"),
  );
  await within("it is there", SOON_MS, () => has(site, "l2-tag", "192.168.3.1/24", "10.80.0.1/24"));
  equal("the sessions are the same", [await idsOf(a, "net"), await idsOf(a, "tag")], [before.net, before.tag]);
  equal("and so is the device", site.device("l2-net").ifindex, before.index);
  check(
    "all devices are up",
    ["l2-lan", "l2-net", "l2-tag"].every((name) => isUp(site, name)),
  );
  check("frames flow through the changed one", await site.ping("192.168.2.2"));
}

async function comeAndGo({ a: site }, a, b, write) {
  const more = { more: { interface: "l2-more", addresses: ["192.168.4.1/24"] } };
  equal("a new session: told", await write(more), [
    "tunnel.wan.session.tag: addresses changed: applied without re-signalling",
    "tunnel.wan.session.more: new: called",
  ]);
  await within(
    "it comes up",
    SOON_MS,
    async () => (await a.session("more"))?.state === "established",
    () => a.explain(),
  );
  check("frames flow through it", await site.ping("192.168.4.2"));
  const [id] = await idsOf(a, "more");
  const anew = { more: { ...more.more, cookie_size: 4 } };
  equal("another cookie size: told", await write(anew), [
    "tunnel.wan.session.more: cookie_size changed: ended and called anew",
  ]);
  await within("it is another call", SOON_MS, async () => {
    const [now, , state] = await idsOf(a, "more");
    return now !== id && state === "established";
  });
  check("frames flow through that", await site.ping("192.168.4.2"));
  equal("it is removed: told", await write({}), ["tunnel.wan.session.more: removed: ended"]);
  await within("its device is gone", SOON_MS, () => !site.devices().includes("l2-more"));
  await within("the peer knows", SOON_MS, async () => (await b.session("more")).last_error.includes("administrative"));
}

async function refused({ a: site }, a, write) {
  equal("a bridge that does not exist: told", await write({ net: { addresses: [], bridge: "br7" } }), [
    `tunnel.wan.session.net: bridge, addresses changed: ${QUIETLY}`,
  ]);
  await within("it ends, and says why", SOON_MS, async () => {
    return (await a.session("net")).last_error.includes("there is no bridge br7");
  });
  site.ip("link", "add", "br7", "type", "bridge");
  await within("it is back with the bridge", SOON_MS, async () => {
    return (await a.session("net")).state === "established" && site.device("l2-net").master === "br7";
  });
  const lines = await write({ net: { addresses: ["nowhere"] } });
  matches(
    "a broken file changes nothing, and says why",
    lines.join("\n"),
    /a\.toml:\d+: tunnel\.wan\.session\.net\.addresses: /,
  );
}

await scenario("reload", async (sites) => {
  const more = { more: { interface: "l2-more", addresses: ["192.168.4.2/24"] } };
  const settings = { a: { tunnel, sessions: sessionsOf(1) }, b: { tunnel, sessions: sessionsOf(2, more) } };
  const b = sites.start(sites.b, settings.b);
  const a = sites.start(sites.a, settings.a);
  const names = ["lan", "net", "tag"];
  await within(
    "both come up",
    SOON_MS,
    async () => (await a.isUp(names)) && (await b.isUp(names)),
    () => a.explain(),
  );
  const before = await idsOf(a, "lan");
  const echoes = sites.a.ping("192.168.1.2", { count: ECHOES, interval: 0.1 });
  const write = (changed) => reload(a, sites.configuration(sites.a, { tunnel, sessions: sessionsOf(1, changed) }));
  equal("the same file again: nothing", await write({}), []);
  await changeInPlace(sites, a, write);
  await comeAndGo(sites, a, b, write);
  await refused(sites, a, write);
  check(`${ECHOES} echoes through the session that nobody touched, and none lost`, await echoes);
  equal("it is the same session", await idsOf(a, "lan"), before);
  equal(
    "and neither end has closed it, or put anything back on a device",
    [a, b].flatMap((daemon) => daemon.lines(({ event }) => event === "device-restored")),
    [],
  );
});

await scenario("reload of a static tunnel", async (sites) => {
  const ids = { mode: "static", local_tunnel_id: 7, remote_tunnel_id: 7 };
  const session = (host, keys = {}) => ({
    lan: {
      interface: "l2-lan",
      local_session_id: 9,
      remote_session_id: 9,
      addresses: [`192.168.1.${host}/24`],
      mtu: 1400,
      ...keys,
    },
    tag: {
      interface: "l2-tag",
      pseudowire: "vlan",
      vlan: 7,
      local_session_id: 10,
      remote_session_id: 10,
      mtu: 1400,
      ...keys,
    },
  });
  // What a static tunnel has no use for would be refused.
  const useless = { role: undefined, hello_interval: undefined, retransmit: undefined };
  const text = (site, host, keys) =>
    sites
      .configuration(site, { tunnel: { ...ids, ...useless }, sessions: session(host, keys) })
      .replaceAll(/^.* = undefined$/gm, "");
  const b = sites.startWith(sites.b, text(sites.b, 2));
  const a = sites.startWith(sites.a, text(sites.a, 1));
  await bothUp("both are up", a, b);
  const echoes = sites.a.ping("192.168.1.2", { count: 30, interval: 0.1 });
  const { ifindex } = sites.a.device("l2-lan");
  equal("another MTU: told", await reload(a, text(sites.a, 1, { mtu: 1300 })), [
    `tunnel.wan.session.lan: mtu changed: ${QUIETLY}`,
    `tunnel.wan.session.tag: mtu changed: ${QUIETLY}`,
  ]);
  await within("the device has it", SOON_MS, () => sites.a.device("l2-lan").mtu === 1300);
  await within("and the VLAN's, with the one below it", SOON_MS, () => {
    return sites.a.device("l2-tag").mtu === 1300 && sites.a.device("l2pw-a").mtu === 1304;
  });
  equal("it is the same device", sites.a.device("l2-lan").ifindex, ifindex);
  check("no echo is lost", await echoes);
});
