// Static tunnels on the real kernel: the daemon against plain `ip l2tp`, and two daemons that watch each other with HELLO.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { parse } from "smol-toml";
import {
  attempt,
  bothUp,
  check,
  equal,
  leftIn,
  matches,
  note,
  SOON_MS,
  scenario,
  sleep,
  within,
} from "./daemon-lab.mjs";

const COOKIES = { 0: "", 4: "01234567", 8: "89abcdef00ff55aa" };
/** Octets of the cookie towards the daemon, towards `ip l2tp`, and the sublayer of both. */
const SHAPES = [
  [0, 0, "none"],
  [0, 0, "default"],
  [4, 8, "none"],
  [8, 4, "default"],
  [8, 0, "none"],
  [0, 4, "default"],
];

const SESSIONS = SHAPES.map(([local, remote, sublayer], index) => ({
  name: `s${index}`,
  local: 100 + index,
  remote: 200 + index,
  localCookie: COOKIES[local],
  remoteCookie: COOKIES[remote],
  sublayer,
  subnet: `192.168.${20 + index}`,
  words: `cookies ${local}/${remote}, sublayer ${sublayer}`,
}));

function configuration(site, peer, { tunnel, mode, sessions, more = [] }) {
  return [
    "[lcce]",
    `admin_socket = "/run/daemons/${site.name}.sock"`,
    'log_level = "debug"',
    'datapath = "kernel"',
    "[tunnel.wan]",
    `mode = "${mode}"`,
    `peer = "${peer.addresses}"`,
    `local_tunnel_id = ${tunnel[0]}`,
    `remote_tunnel_id = ${tunnel[1]}`,
    'reconnect = { min = "200ms", max = "1s" }',
    ...more,
    ...sessions.flatMap(({ name, local, remote, localCookie, remoteCookie, sublayer, address }) => [
      `[tunnel.wan.session.${name}]`,
      `interface = "l2-${name}"`,
      `local_session_id = ${local}`,
      `remote_session_id = ${remote}`,
      `local_cookie = "${localCookie}"`,
      `remote_cookie = "${remoteCookie}"`,
      `l2_sublayer = "${sublayer}"`,
      `addresses = ["${address}/24"]`,
    ]),
  ].join("\n");
}

/** What an administrator types at the other end. */
function typeIn(site, peer) {
  site.ip(
    ...["l2tp", "add", "tunnel", "tunnel_id", "2000", "peer_tunnel_id", "1000", "encap", "udp"],
    ...["local", site.addresses, "remote", peer.addresses, "udp_sport", "1701", "udp_dport", "1701"],
  );
  for (const session of SESSIONS) typeInSession(site, session);
}

function typeInSession(site, { name, local, remote, localCookie, remoteCookie, sublayer, subnet }) {
  // Crosswise: its "cookie" is what it sends, which is what the daemon expects.
  site.ip(
    ...["l2tp", "add", "session", "name", name, "tunnel_id", "2000"],
    ...["session_id", String(remote), "peer_session_id", String(local)],
    ...(localCookie === "" ? [] : ["cookie", localCookie]),
    ...(remoteCookie === "" ? [] : ["peer_cookie", remoteCookie]),
    ...["l2spec_type", sublayer],
  );
  site.ip("address", "add", `${subnet}.2/24`, "dev", name);
  site.ip("link", "set", name, "up");
}

/** What import makes of what `ip l2tp show` prints at that end is what was typed in there, and can be checked. */
async function checkImport(title, site, peer, shown) {
  const input = ["tunnel", "session"].map((what) => shown(what)).join("\n");
  const file = `/run/imported-${site.name}.toml`;
  writeFileSync(file, execFileSync("l2tpv3-lcc", ["import", "-"], { input, encoding: "utf8" }));
  const { tunnel: tunnels } = parse(readFileSync(file, "utf8"));
  const [tunnel] = Object.values(tunnels);
  const { mode, peer: remote, local, local_tunnel_id, remote_tunnel_id } = tunnel;
  const wanted = ["static", peer.addresses, site.addresses, 2000, 1000];
  equal(
    `import, ${title}: the tunnel`,
    [Object.keys(tunnels).length, mode, remote, local, local_tunnel_id, remote_tunnel_id],
    [1, ...wanted],
  );
  const imported = Object.values(tunnel.session).sort((one, other) => one.local_session_id - other.local_session_id);
  const found = imported.map((each, index) => {
    const { localCookie, remoteCookie } = SESSIONS[index] ?? {};
    // ip shows a session without a cookie with that of the one before.
    const cookies = [localCookie === "" ? "" : each.remote_cookie, remoteCookie === "" ? "" : each.local_cookie];
    return [each.interface, each.local_session_id, each.remote_session_id, ...cookies];
  });
  const typed = SESSIONS.map(({ name, local, remote, localCookie, remoteCookie }) => {
    return [name, remote, local, localCookie, remoteCookie];
  });
  equal(`import, ${title}: names, ids and cookies of the sessions`, found, typed);
  const { code, stderr } = await attempt("l2tpv3-lcc", "check", "--conf", file);
  check(`import, ${title}: the file is good`, code === 0, stderr);
}

await scenario("static, against ip l2tp", async (sites) => {
  const { a, b } = sites;
  typeIn(b, a);
  await checkImport("ip -json l2tp show", b, a, (what) => b.ip("-json", "l2tp", "show", what));
  await checkImport("ip l2tp show", b, a, (what) => b.l2tp(what));
  const sessions = SESSIONS.map((each) => ({ ...each, address: `${each.subnet}.1` }));
  // The name of one is taken: the others come up, and it follows when it is free.
  a.ip("link", "add", "l2-s0", "type", "dummy");
  const daemon = sites.startWith(a, configuration(a, b, { tunnel: [1000, 2000], mode: "static", sessions }));
  const others = SESSIONS.slice(1).map(({ name }) => name);
  const explain = () => daemon.explain();
  await within("static: all but one session come up", SOON_MS, () => daemon.isUp(others), explain);
  const { state, last_error } = await daemon.session("s0");
  equal("static: the one whose interface name is taken is idle", state, "idle");
  matches("static: and says why", last_error, /l2-s0.*exists|exists.*l2-s0/);
  a.ip("link", "delete", "l2-s0");
  await within("static: it comes up when the name is free", SOON_MS, () => daemon.isUp(), explain);
  matches(
    "static: ip l2tp shows the ids that were typed in",
    a.l2tp("tunnel"),
    /^Tunnel 1000, encap UDP\n.*\n +Peer tunnel 2000\n/,
  );
  for (const { subnet, words } of SESSIONS) {
    check(`static: ping from the daemon's side, ${words}`, await a.ping(`${subnet}.2`));
    check(`static: ping from the side of ip l2tp, ${words}`, await b.ping(`${subnet}.1`));
  }
  const { counters } = await daemon.session("s3");
  check(
    "static: counters move",
    counters.received_packets >= 6 && counters.sent_packets >= 6,
    JSON.stringify(counters),
  );
  await daemon.command("close", "wan");
  await within(
    "static: close removes everything",
    5_000,
    () => leftIn(a) === "",
    () => leftIn(a),
  );
  await daemon.command("open", "wan");
  const began = performance.now();
  await within("static: open makes it again, with the same ids", SOON_MS, () => daemon.isUp(), explain);
  note(`up again after ${Math.round(performance.now() - began)} ms`);
  check("static: and frames flow again", await a.ping(`${SESSIONS[2].subnet}.2`));
  const mistyped = { ...SESSIONS[3], localCookie: "0000000000000001" };
  b.ip("l2tp", "del", "session", "tunnel_id", "2000", "session_id", String(mistyped.remote));
  typeInSession(b, mistyped);
  check("static: with a mistyped cookie nothing passes", !(await b.ping(`${mistyped.subnet}.1`, { count: 1 })));
  const { receive_errors, cookie_discards, sequence_discards } = (await daemon.session("s3")).counters;
  check("static: and show says that it is the cookie", cookie_discards > 0 && cookie_discards === receive_errors);
  equal("static: which is no matter of sequence", sequence_discards, 0);
  await daemon.command("close", "wan/s1");
  check("static: a session that is closed carries nothing", !(await a.ping(`${SESSIONS[1].subnet}.2`, { count: 1 })));
  check("static: the others go on", await a.ping(`${SESSIONS[4].subnet}.2`));
  const { end } = await daemon.stop();
  equal("static: SIGTERM ends it with 0", end, 0);
  equal("static: nothing is left", leftIn(a), "");
});

function isDeviceUp(site, name) {
  return site.json("link", "show", "dev", name)[0].flags.includes("UP");
}

await scenario("hello-only, two daemons", async (sites) => {
  const { a, b } = sites;
  const timing = ['hello_interval = "1s"', 'retransmit = { initial = "200ms", retries = 3 }'];
  const lan = { name: "lan", localCookie: COOKIES[4], remoteCookie: COOKIES[4], sublayer: "none" };
  const start = (site, host) => {
    const [mine, theirs] = site === a ? [1, 2] : [2, 1];
    const sessions = [{ ...lan, local: mine, remote: theirs, address: `192.168.9.${host}` }];
    const options = { tunnel: [mine, theirs], mode: "hello-only", sessions, more: timing };
    return sites.startWith(site, configuration(site, site === a ? b : a, options));
  };
  const first = start(a, 1);
  const waiting = async () => {
    const tunnel = await first.tunnel();
    return tunnel?.last_error !== "" && tunnel;
  };
  const { value: alone } = await within("hello-only: without a peer it says so", SOON_MS, waiting, () =>
    first.explain(),
  );
  equal("hello-only: and is idle, with its device down", [alone.state, isDeviceUp(a, "l2-lan")], ["idle", false]);
  const second = start(b, 2);
  await bothUp("hello-only: both come up", first, second);
  check("hello-only: frames flow", await a.ping("192.168.9.2"));
  b.ip("link", "set", "wire", "down");
  const bothDown = () => !isDeviceUp(a, "l2-lan") && !isDeviceUp(b, "l2-lan");
  const { tookMs } = await within("hello-only: a cut takes both devices down", 20_000, bothDown, () => first.explain());
  note(`down after ${tookMs} ms`);
  equal("hello-only: the tunnel stays", a.l2tp("session").match(/^Session/gm)?.length, 1);
  b.ip("link", "set", "wire", "up");
  await bothUp("hello-only: both come back", first, second);
  check("hello-only: frames flow again, with the addresses of the configuration", await a.ping("192.168.9.2"));
  await second.stop("SIGKILL");
  await sleep(500);
  const again = start(b, 2);
  await bothUp("hello-only: one that is killed and started again comes up", first, again);
  check("hello-only: and frames flow", await b.ping("192.168.9.1"));
});
