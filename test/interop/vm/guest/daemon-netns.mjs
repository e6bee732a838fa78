// One daemon in the machine's first network namespace serves tunnels in two others, with the same addresses and device
// names; and peers that come by a VRF.
import { attempt, check, equal, leftIn, matches, Namespace, run, scenario, within } from "./daemon-lab.mjs";

/** Daemons start here, each of which may take its time in an emulated machine. */
const SOON_MS = 240_000;
/** From a namespace's end to the daemon's being done with it: a device takes a while to go. */
const NOTICED_MS = 60_000;
const ADDRESSES = ["10.0.0.1", "10.0.0.2"];
const PAIRS = [
  { colour: "blue", near: "blue", far: "farblue", encapsulation: "udp" },
  { colour: "red", near: "red", far: "farred", encapsulation: "ip" },
];

function make(name) {
  run("ip", "netns", "add", name);
  run("ip", "-n", name, "link", "set", "lo", "up");
  return new Namespace(name);
}

function join(near, far) {
  run("ip", "link", "add", "wire", "netns", near, "type", "veth", "peer", "name", "wire", "netns", far);
  for (const [i, name] of [near, far].entries()) {
    run("ip", "-n", name, "link", "set", "wire", "up");
    run("ip", "-n", name, "address", "add", `${ADDRESSES[i]}/24`, "dev", "wire");
  }
}

function configuration(name, host) {
  const tunnels = PAIRS.map(({ colour, near, far, encapsulation }) => [
    `[tunnel.${colour}]`,
    `netns = "${host === 1 ? near : far}"`,
    `encapsulation = "${encapsulation}"`,
    `role = "${host === 1 ? "initiator" : "responder"}"`,
    `peer = "${ADDRESSES[2 - host]}"`,
    'hello_interval = "2s"',
    'retransmit = { initial = "300ms", retries = 4, sccrq_retries = 3 }',
    'reconnect = { min = "500ms", max = "2s" }',
    `[tunnel.${colour}.session.lan]`,
    'interface = "l2-lan"',
    `addresses = ["192.168.7.${host}/24"]`,
  ]);
  const lcce = [
    "[lcce]",
    `hostname = "site-${name}"`,
    'datapath = "kernel"',
    'log_level = "debug"',
    `admin_socket = "/run/daemons/${name}.sock"`,
  ];
  return [lcce, ...tunnels].flat().join("\n");
}

async function shown(daemon, colour) {
  return (await daemon.show())?.tunnels.find(({ name }) => name === colour);
}

/** The local ids, blue's and red's, when both are up. */
async function idsOf(daemon) {
  const tunnels = (await daemon.show())?.tunnels ?? [];
  const isUp = ({ state, sessions }) => state === "established" && sessions[0].state === "established";
  return tunnels.length === 2 && tunnels.every(isUp) && tunnels.map(({ local_ccid }) => local_ccid);
}

async function bothUp(name, ...daemons) {
  const explain = async () => (await Promise.all(daemons.map((daemon) => daemon.explain()))).join("\n");
  const all = async () => {
    const ids = await Promise.all(daemons.map(idsOf));
    return ids.every(Boolean) && ids[0];
  };
  return (await within(name, SOON_MS, all, explain)).value;
}

async function checkFrames(name, places) {
  for (const { colour, near } of PAIRS)
    check(`${name}: frames flow in ${colour}`, await places[near].ping("192.168.7.2"));
}

function checkKernel(places, root) {
  equal("the daemon's own namespace has no tunnel", root.l2tp("tunnel"), "");
  check("nor a device", !root.devices().includes("l2-lan"), root.devices().join(" "));
  for (const { colour, near, encapsulation } of PAIRS) {
    const [tunnel, session] = [places[near].l2tp("tunnel"), places[near].l2tp("session")];
    matches(
      `${colour} has its tunnel`,
      tunnel,
      new RegExp(`encap ${encapsulation.toUpperCase()}\\n +From 10.0.0.1 to`),
    );
    equal(`${colour} has no other tunnel`, tunnel.match(/^Tunnel/gm)?.length, 1);
    matches(`${colour} has its session`, session, /interface name: l2-lan/);
  }
}

/** In blue, with red's own ids but another peer's: red hears of the deletion as of one of its own. */
async function deleteNamesake(places, a) {
  const { local_ccid: tunnel, sessions } = await shown(a, "red");
  const ids = ["tunnel_id", String(tunnel), "session_id", String(sessions[0].local_session_id)];
  const addresses = ["local", "10.0.0.1", "remote", "10.0.0.2", "udp_sport", "9001", "udp_dport", "9001"];
  const peer = ["peer_tunnel_id", "7", "encap", "udp"];
  places.blue.ip("l2tp", "add", "tunnel", ...ids.slice(0, 2), ...peer, ...addresses);
  places.blue.ip("l2tp", "add", "session", ...ids, "peer_session_id", "9");
  places.blue.ip("l2tp", "del", "session", ...ids);
  places.blue.ip("l2tp", "del", "tunnel", ...ids.slice(0, 2));
  return sessions[0].local_session_id;
}

async function checkInterference(places, a, b) {
  const before = await idsOf(a);
  const red = await deleteNamesake(places, a);
  const old = (await shown(a, "blue")).sessions[0].local_session_id;
  places.blue.ip("l2tp", "del", "session", "tunnel_id", String(before[0]), "session_id", String(old));
  const isAnew = async () => {
    const session = (await shown(a, "blue"))?.sessions[0];
    return session?.state === "established" && session.local_session_id !== old;
  };
  await within("a session that someone deletes in blue is made anew", SOON_MS, isAnew, () => a.explain());
  places.blue.ip("link", "set", "l2-lan", "down");
  const circuits = async () => {
    const tunnels = (await b.show())?.tunnels ?? [];
    return tunnels.map(({ sessions }) => sessions[0].circuit_status.remote).join(" ");
  };
  const isDown = async () => (await circuits()) === "down up";
  await within("a device that someone sets down in blue is told to blue's peer alone", SOON_MS, isDown, circuits);
  places.blue.ip("link", "set", "l2-lan", "up");
  await within("and set up again", SOON_MS, async () => (await circuits()) === "up up", circuits);
  equal("red's tunnel is still the same", (await idsOf(a))[1], before[1]);
  equal("and so is its session", (await shown(a, "red")).sessions[0].local_session_id, red);
  await checkFrames("after that", places);
}

async function checkDeletion(places, a, b) {
  const before = await idsOf(a);
  run("ip", "netns", "del", "blue");
  const isNoticed = async () =>
    /^network namespace blue .*waited for$/.test((await shown(a, "blue"))?.last_error ?? "");
  await within("blue is deleted: that is said", NOTICED_MS, isNoticed, () => a.explain());
  const isTold = async () => (await shown(b, "blue"))?.state !== "established";
  await within("and the peer is told", NOTICED_MS, isTold, () => b.explain());
  const hasWire = () => places.farblue.json("link", "show").some(({ ifname }) => ifname === "wire");
  await within("nothing of it is held: it ends, with its end of the wire", NOTICED_MS, () => !hasWire());
  equal("red's tunnel is still the same", (await shown(a, "red"))?.local_ccid, before[1]);
  check("and carries frames", await places.red.ping("192.168.7.2"));
  make("blue");
  join("blue", "farblue");
  const after = await bothUp("blue is made anew: it is served again", a, b);
  equal("red's tunnel is still the same then", after?.[1], before[1]);
  await checkFrames("then", places);
}

await scenario("netns", async (sites) => {
  run("ip", "netns", "attach", "root", "1");
  const root = new Namespace("root");
  const places = Object.fromEntries(PAIRS.flatMap(({ near, far }) => [near, far]).map((name) => [name, make(name)]));
  for (const { near, far } of PAIRS) join(near, far);
  try {
    const b = sites.startWith(sites.b, configuration("b", 2));
    const a = sites.startWith(root, configuration("root", 1), "root");
    await bothUp("netns: both tunnels come up", a, b);
    checkKernel(places, root);
    await checkFrames("netns", places);
    await checkInterference(places, a, b);
    await checkDeletion(places, a, b);
    equal(
      "nothing was an error of ours",
      a.lines(({ event }) => event === "internal-error"),
      [],
    );
    await a.stop("SIGKILL");
    const left = () => PAIRS.map(({ near }) => leftIn(places[near])).join("");
    await within("the daemon is killed: nothing is left in either", NOTICED_MS, () => left() === "", left);
    const again = sites.startWith(root, configuration("root", 1), "root");
    await bothUp("netns: started again, both are up", again, b);
    await checkFrames("started again", places);
    for (const daemon of [again, b]) equal(`netns: SIGTERM of ${daemon.name}`, (await daemon.stop()).end, 0);
    await within("netns: nothing is left at last", NOTICED_MS, () => left() === "", left);
  } finally {
    for (const name of ["root", ...Object.keys(places)]) await attempt("ip", "netns", "del", name);
  }
});

function makeVrf(site) {
  site.ip("link", "add", "vrf-red", "type", "vrf", "table", "10");
  site.ip("link", "set", "vrf-red", "up");
  site.ip("link", "set", "wire", "master", "vrf-red");
}

await scenario("vrf", async (sites) => {
  const session = (host) => ({ interface: "l2-lan", addresses: [`192.168.7.${host}/24`] });
  const b = sites.start(sites.b, { tunnel: { bind_device: "vrf-red" }, sessions: { lan: session(2) } });
  const a = sites.start(sites.a, { sessions: { lan: session(1) } });
  await within(
    "vrf: a listener for it waits",
    SOON_MS,
    () => b.logged("listener-waits"),
    () => b.explain(),
  );
  const isUp = async () => (await a.isUp()) && (await b.isUp());
  const explain = async () => `${await a.explain()}\n${await b.explain()}`;
  check("vrf: by another way than the VRF nobody comes", !(await a.isUp()));
  makeVrf(sites.b);
  equal("vrf: sockets bound to nothing hear nothing of it", vrfAccept(sites.b), "0");
  await within("vrf: the VRF is made, and the tunnel comes up", SOON_MS, isUp, explain);
  check("vrf: frames flow", await sites.a.ping("192.168.7.2"));
  sites.b.ip("link", "del", "vrf-red");
  await within("vrf: it is gone, and noticed", SOON_MS, async () => !(await b.isUp()), explain);
  makeVrf(sites.b);
  await within("vrf: it is made anew, and the tunnel comes up", SOON_MS, isUp, explain);
  check("vrf: frames flow again", await sites.a.ping("192.168.7.2"));
  for (const daemon of [a, b]) equal(`vrf: SIGTERM of ${daemon.name}`, (await daemon.stop()).end, 0);
});

function vrfAccept(site) {
  return site.run("cat", "/proc/sys/net/ipv4/udp_l3mdev_accept").trim();
}
