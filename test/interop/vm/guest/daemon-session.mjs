// A session on the kernel's datapath, from modules loaded on demand to a killed daemon that comes back.
import {
  bothUp,
  check,
  equal,
  fileExists,
  leftIn,
  loadedModules,
  matches,
  note,
  SOON_MS,
  scenario,
  startBoth,
  within,
} from "./daemon-lab.mjs";

/** Address, interface, keys and MTU (1500, less IP 20, UDP 8, data header 8, cookie, sublayer and Ethernet header 14). */
const SESSIONS = {
  plain: { interface: "l2-plain", cookie_size: 8, subnet: "192.168.1", mtu: 1442 },
  fixed: { interface: "l2-fixed", cookie_size: 0, subnet: "192.168.2", mtu: 1300, keys: { mtu: 1300 } },
  sublayer: {
    interface: "l2-sublayer",
    cookie_size: 4,
    subnet: "192.168.3",
    mtu: 1442,
    keys: { l2_sublayer: "default" },
  },
  bridged: { interface: "l2-bridged", cookie_size: 0, subnet: "192.168.4", mtu: 1450, keys: { bridge: "br0" } },
};
const INTERFACES = Object.values(SESSIONS)
  .map((session) => session.interface)
  .sort();

function sessionsOf(host) {
  const tables = Object.entries(SESSIONS).map(([name, { interface: device, cookie_size, subnet, keys = {} }]) => {
    const addresses =
      keys.bridge === undefined ? { addresses: [`${subnet}.${host}/24`, `fd00:${subnet.at(-1)}::${host}/64`] } : {};
    return [name, { interface: device, cookie_size, ...addresses, ...keys }];
  });
  return Object.fromEntries(tables);
}

function settings(host) {
  return { lcce: { datapath: "auto" }, tunnel: { hello_interval: "60s" }, sessions: sessionsOf(host) };
}

function addBridge(site, host) {
  site.ip("link", "add", "br0", "type", "bridge");
  site.ip("link", "set", "br0", "up");
  site.ip("address", "add", `${SESSIONS.bridged.subnet}.${host}/24`, "dev", "br0");
}

function checkDevices(site, host) {
  equal(`${site.name}: one device for each session, named by the configuration`, site.devices("br0"), INTERFACES);
  for (const [name, { interface: device, mtu, subnet, keys = {} }] of Object.entries(SESSIONS)) {
    const found = site.device(device);
    equal(`${site.name}: MTU of session ${name}`, found.mtu, mtu);
    check(`${site.name}: device of session ${name} is up`, found.flags.includes("UP"), JSON.stringify(found.flags));
    equal(`${site.name}: bridge of session ${name}`, found.master, keys.bridge);
    const addresses = found.addr_info
      .filter(({ scope }) => scope === "global")
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
    const expected = keys.bridge === undefined ? [`${subnet}.${host}/24`, `fd00:${subnet.at(-1)}::${host}/64`] : [];
    equal(`${site.name}: addresses of session ${name}`, addresses, expected);
  }
}

/** The octets of the cookie after `label` in what `ip l2tp show session` tells; 0 where there is none. */
function cookieSize(text, label) {
  return (new RegExp(`(?<!peer )${label} ([0-9a-f]+)`).exec(text)?.[1] ?? "").length / 2;
}

function checkTunnel(site, peer, tunnel) {
  const { local_ccid, remote_ccid } = tunnel;
  const text = site.l2tp("tunnel");
  const name = `${site.name}: ip l2tp show tunnel agrees with show`;
  matches(
    name,
    text,
    new RegExp(
      `^Tunnel ${local_ccid}, encap UDP\\n +From ${site.addresses} to ${peer.addresses}\\n +Peer tunnel ${remote_ccid}\\n +UDP source / dest ports: 1701/1701\\n`,
    ),
  );
  equal(`${site.name}: there is no other tunnel`, text.match(/^Tunnel/gm)?.length, 1);
}

function checkSessions(site, { local_ccid, remote_ccid, sessions }) {
  const texts = site.l2tp("session").split(/^(?=Session )/m);
  equal(`${site.name}: ip l2tp show session has as many as show`, texts.length, sessions.length);
  for (const session of sessions) {
    const { name, local_session_id, remote_session_id, local_cookie_size, remote_cookie_size } = session;
    const text = texts.find((each) => each.startsWith(`Session ${local_session_id} `)) ?? texts.join("");
    matches(
      `${site.name}: ip l2tp show session agrees with show on ids and interface of ${name}`,
      text,
      new RegExp(
        `^Session ${local_session_id} in tunnel ${local_ccid}\\n +Peer session ${remote_session_id}, tunnel ${remote_ccid}\\n +interface name: ${session.interface}\\n`,
      ),
    );
    // The dump of iproute2 repeats the cookie of the session before for one without; that one's MTU tells.
    if (local_cookie_size === 0) continue;
    // "cookie" is sent, "peer cookie" is expected: the one that we asked for.
    const sizes = [cookieSize(text, "cookie"), cookieSize(text, "peer cookie")];
    equal(`${site.name}: ip l2tp show session agrees with show on the cookies of ${name}`, sizes, [
      remote_cookie_size,
      local_cookie_size,
    ]);
  }
}

async function checkShownByCommand(daemon) {
  const { code, stdout } = await daemon.command("show", "--json");
  equal(`${daemon.name}: show --json ends with 0`, code, 0);
  const shown = JSON.parse(stdout);
  equal(`${daemon.name}: show --json tells the datapath`, shown.datapath, "kernel");
  return shown.tunnels[0];
}

async function checkAgreement(sites, a, b) {
  const [atA, atB] = [await checkShownByCommand(a), await checkShownByCommand(b)];
  equal(
    "the connection's ids are crosswise the same",
    [atA.local_ccid, atA.remote_ccid],
    [atB.remote_ccid, atB.local_ccid],
  );
  for (const [i, session] of atA.sessions.entries()) {
    const other = atB.sessions[i];
    equal(
      `ids of session ${session.name} are crosswise the same`,
      [session.local_session_id, session.remote_session_id],
      [other.remote_session_id, other.local_session_id],
    );
    equal(
      `cookie sizes of session ${session.name}`,
      [session.local_cookie_size, session.remote_cookie_size],
      Array(2).fill(SESSIONS[session.name].cookie_size),
    );
  }
  checkTunnel(sites.a, sites.b, atA);
  checkTunnel(sites.b, sites.a, atB);
  checkSessions(sites.a, atA);
  checkSessions(sites.b, atB);
}

async function checkTraffic({ a, b }) {
  for (const [name, { subnet }] of Object.entries(SESSIONS)) {
    check(`a reaches b through session ${name}`, await a.ping(`${subnet}.2`));
    check(`b reaches a through session ${name}`, await b.ping(`${subnet}.1`));
  }
  const before = a.snmp("Ip", "FragCreates");
  const size = SESSIONS.plain.mtu - 28;
  check("a packet of the device's MTU passes", await a.ping(`${SESSIONS.plain.subnet}.2`, { size }));
  equal("and is not fragmented on its way", a.snmp("Ip", "FragCreates") - before, 0);
}

/** 10 echoes of 1000 octets: 10 frames each way, and what neighbour discovery adds to them. */
async function checkCounters(sites, a, b) {
  const before = [(await a.session("plain")).counters, (await b.session("plain")).counters];
  await sites.a.ping(`${SESSIONS.plain.subnet}.2`, { count: 10, interval: 0.05, size: 1000 });
  const after = [(await a.session("plain")).counters, (await b.session("plain")).counters];
  const grown = (i, key) => after[i][key] - before[i][key];
  for (const i of [0, 1]) {
    for (const way of ["sent", "received"]) {
      const [packets, octets] = [grown(i, `${way}_packets`), grown(i, `${way}_octets`)];
      const name = `${"ab"[i]}: counters of what was ${way} have moved by what flowed`;
      check(
        name,
        packets >= 10 && packets <= 16 && octets >= 10_420 && octets <= 13_000,
        `${packets} packets, ${octets} octets`,
      );
    }
  }
  equal(
    "no errors are counted",
    after.map(({ receive_errors, send_errors }) => receive_errors + send_errors),
    [0, 0],
  );
  const device = sites.a.json("-statistics", "link", "show", "dev", "l2-plain")[0].stats64;
  // What came before the device was up, it has dropped.
  const received = device.rx.packets + device.rx.dropped;
  const differences = [device.tx.packets - after[0].sent_packets, received - after[0].received_packets];
  check(
    "the device's own counters agree with show",
    differences.every((each) => each >= 0 && each <= 2),
    JSON.stringify({ device, shown: after[0] }),
  );
}

async function checkEnd(sites, a, b) {
  const { end, tookMs } = await a.stop("SIGTERM");
  equal("SIGTERM: exit code 0", end, 0);
  note(`SIGTERM took ${tookMs} ms`);
  equal("SIGTERM: ip l2tp and ip link show nothing afterwards", leftIn(sites.a, "br0"), "");
  equal("SIGTERM: the admin socket is gone", fileExists(a.socket), false);
  equal("SIGTERM: nothing on standard error", a.stderr, "");
  const isIdle = async () => {
    const tunnel = await b.tunnel();
    return tunnel.state === "idle" && tunnel;
  };
  const { value: tunnel } = await within("SIGTERM: StopCCN reaches the peer", 1_000, isIdle, () => b.explain());
  matches("SIGTERM: the peer's last_error says so", tunnel.last_error, /StopCCN|shut/i);
  equal("SIGTERM: the peer's sessions are idle", [...new Set(tunnel.sessions.map(({ state }) => state))], ["idle"]);
  await within(
    "SIGTERM: the peer's tunnel, sessions and devices go too",
    2_000,
    () => leftIn(sites.b, "br0") === "",
    () => leftIn(sites.b),
  );
}

/** The peer does not notice by itself: its keepalive is too slow for that. */
async function checkKill(sites, a, b) {
  await a.stop("SIGKILL");
  await within(
    "SIGKILL: within a second nothing is left",
    1_000,
    () => leftIn(sites.a, "br0") === "",
    () => leftIn(sites.a),
  );
  const again = sites.start(sites.a, settings(1));
  await within(
    "SIGKILL: started again, it gets ready",
    SOON_MS,
    () => again.logged("ready"),
    () => again.explain(),
  );
  // A reconnection would take longer than that: the old connection is replaced at once.
  const tookMs = await bothUp("SIGKILL: and is up at once", again, b, { milliseconds: 5_000 });
  note(`after SIGKILL it was up ${tookMs} ms after it was ready`);
  equal("SIGKILL: with the same interface names", sites.a.devices("br0"), INTERFACES);
  check("SIGKILL: and carries frames", await sites.a.ping(`${SESSIONS.plain.subnet}.2`));
  equal("SIGKILL: the peer's devices are those of the configuration", sites.b.devices("br0"), INTERFACES);
  return again;
}

async function checkSecondDaemon(sites, first) {
  const second = sites.startWith(
    sites.b,
    sites.configuration(sites.b, { lcce: { admin_socket: "/run/second.sock" } }),
    "second",
  );
  const { code } = await second.exited;
  equal("a second daemon on the same port ends with exit code 1", code, 1);
  matches("and names address and port", second.stderr, /0\.0\.0\.0.*1701/);
  check("the first one goes on", first.running && (await first.isUp()));
}

await scenario("one tunnel, four sessions", async (sites) => {
  addBridge(sites.a, 1);
  addBridge(sites.b, 2);
  equal("no L2TP module is loaded at the start", loadedModules(), []);
  const { a, b } = await startBoth(sites, 'datapath "auto": tunnel and sessions come up', {
    a: settings(1),
    b: settings(2),
  });
  equal('datapath "auto" is the kernel', [(await a.show()).datapath, (await b.show()).datapath], ["kernel", "kernel"]);
  equal(
    "the modules are loaded on demand",
    loadedModules()
      .filter((name) => name !== "l2tp_core")
      .sort(),
    ["l2tp_eth", "l2tp_netlink"],
  );
  equal("neither warns of anything", [...a.earlyWarnings(), ...b.earlyWarnings()], []);
  checkDevices(sites.a, 1);
  checkDevices(sites.b, 2);
  await checkAgreement(sites, a, b);
  await checkTraffic(sites);
  await checkCounters(sites, a, b);
  await checkSecondDaemon(sites, b);
  const again = await checkKill(sites, a, b);
  await checkEnd(sites, again, b);
});
