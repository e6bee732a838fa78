// Tunnels with require_ipsec on the kernel datapath, with policies and keys that are typed in: nothing of them is ever on
// the wire in clear, neither before the policies come nor after they go, and with them everything works.
import { bothUp, check, equal, matches, note, SOON_MS, scenario, sleep, within } from "./daemon-lab.mjs";
import { Sniffer } from "./sniffer.mjs";

/** In which a daemon that does not wait would have sent something, several times. */
const WAITING_MS = 3_000;
const KEY = `0x${"5a".repeat(16)}`;
const AUTHENTICATION_KEY = `0x${"a5".repeat(20)}`;
const GUARD = /dir (?:in|out) action block priority 4294967040/g;

const WAYS = [
  { name: "UDP over IPv4", encapsulation: "udp", what: "UDP", peers: ["10.0.0.1", "10.0.0.2"] },
  { name: "IPv4", encapsulation: "ip", what: "IP protocol 115", peers: ["10.0.0.1", "10.0.0.2"] },
];
const OVER_IPV6 = { encapsulation: "ip", what: "IP protocol 115", peers: ["fd00::1", "fd00::2"] };

/** Keys of both directions, as both ends need them. */
function addKeys(site, peers) {
  for (const [i, from] of peers.entries()) {
    site.ip(
      ...["xfrm", "state", "add", "src", from, "dst", peers[1 - i], "proto", "esp", "spi", String(0x100 + i)],
      ...["mode", "transport", "enc", "cbc(aes)", KEY, "auth", "hmac(sha1)", AUTHENTICATION_KEY],
    );
  }
}

function selectorOf(sites, site, direction, { encapsulation, peers }) {
  const [source, destination] = (site === sites.a) === (direction === "out") ? peers : peers.toReversed();
  return ["src", source, "dst", destination, "proto", encapsulation === "udp" ? "17" : "115"];
}

function protect(sites, site, way) {
  for (const direction of ["out", "in"]) {
    const template = ["dir", direction, "tmpl", "proto", "esp", "mode", "transport"];
    site.ip("xfrm", "policy", "add", ...selectorOf(sites, site, direction, way), ...template);
  }
}

function unprotect(sites, site, way) {
  for (const direction of ["out", "in"]) {
    site.ip("xfrm", "policy", "delete", ...selectorOf(sites, site, direction, way), "dir", direction);
  }
}

function guards(site) {
  return site.ip("xfrm", "policy", "show").match(GUARD)?.length ?? 0;
}

function settings(host, { encapsulation, peers }, tunnel = {}) {
  const session = { interface: "l2-lan", addresses: [`192.168.7.${host}/24`] };
  return {
    lcce: { log_level: "debug" },
    tunnel: { peer: peers[2 - host], encapsulation, require_ipsec: true, ...tunnel },
    sessions: { lan: session },
  };
}

function sentBy(sniffer, isA) {
  return sniffer.packets.filter(({ isSent }) => isSent === isA);
}

function packetsOfEsp(site) {
  const states = site.ip("-s", "xfrm", "state").split(/^(?=src )/m);
  return states.map((state) => Number(/(\d+)\(packets\)\n\s*add/.exec(state)?.[1] ?? 0));
}

/** Frames both ways, one after the other without an answer, until it is ended. */
function flood(site, address) {
  return site.attempt("ping", "-i", "0.02", "-c", "200", "-W", "1", address);
}

async function checkWaiting(name, { what, peers }, a, sniffer) {
  const words = new RegExp(`^require_ipsec: no IPsec policy protects ${what} between ${peers[0]}.* it is waited for$`);
  const waits = async () => words.test((await a.tunnel())?.last_error ?? "");
  await within(`${name}: without policies show says what is missing`, SOON_MS, waits, () => a.explain());
  await sleep(WAITING_MS);
  equal(`${name}: and nothing has been sent`, sniffer.packets.length, 0);
}

async function checkLoss(name, sites, way, { a, b }, sniffer) {
  const frames = [flood(sites.a, "192.168.7.2"), flood(sites.b, "192.168.7.1")];
  await sleep(500);
  unprotect(sites, sites.a, way);
  const notices = async () => {
    const { state, last_error } = (await a.tunnel()) ?? {};
    return state === "idle" && /^require_ipsec: no IPsec policy/.test(last_error);
  };
  const { tookMs } = await within(`${name}: the policies go, and so does the tunnel`, SOON_MS, notices, () =>
    a.explain(),
  );
  note(`${tookMs} ms`);
  equal(`${name}: the device is gone`, sites.a.devices(), []);
  await Promise.all(frames);
  await sleep(WAITING_MS);
  equal(`${name}: nothing has left in clear, no frame and no message`, sniffer.packets.length, 0);
  equal(`${name}: guards stand where the policies were`, guards(sites.a), 2);
  protect(sites, sites.a, way);
  await bothUp(`${name}: the policies come back, and the tunnel too`, a, b);
  check(`${name}: frames flow again`, await sites.a.ping("192.168.7.2"));
}

/** Whoever empties the list of policies takes guards too: a moment passes until they are back. */
async function checkFlush(name, sites, way, { a, b }, sniffer) {
  const before = sniffer.packets.length;
  const frames = flood(sites.a, "192.168.7.2");
  await sleep(500);
  sites.a.ip("xfrm", "policy", "flush");
  const isBack = () => guards(sites.a) === 2;
  const { tookMs } = await within(`${name}: all policies are flushed: the guards are put back`, SOON_MS, isBack);
  await frames;
  note(`${tookMs} ms, ${sniffer.packets.length - before} packets in clear meanwhile`);
  const packets = sniffer.packets.length;
  await sleep(WAITING_MS);
  equal(`${name}: then nothing leaves`, sniffer.packets.length, packets);
  protect(sites, sites.a, way);
  await bothUp(`${name}: up once more`, a, b);
}

for (const way of WAYS) {
  const { name, peers } = way;
  await scenario(`require_ipsec, ${name}`, async (sites) => {
    const sniffer = new Sniffer(sites.a);
    await sniffer.listening;
    const b = sites.start(sites.b, settings(2, way));
    const a = sites.start(sites.a, settings(1, way, { reconnect: { min: "60s", max: "60s" } }));
    await checkWaiting(name, way, a, sniffer);
    for (const site of [sites.a, sites.b]) addKeys(site, peers);
    for (const site of [sites.b, sites.a]) protect(sites, site, way);
    const tookMs = await bothUp(`${name}: the policies come, and the tunnel too`, a, b);
    note(`${tookMs} ms`);
    equal(
      `${name}: show says that it is protected`,
      [(await a.tunnel()).ipsec, (await b.tunnel()).ipsec],
      ["protected", "protected"],
    );
    check(`${name}: frames flow`, (await sites.a.ping("192.168.7.2")) && (await sites.b.ping("192.168.7.1")));
    equal(`${name}: nothing of that was in clear`, sniffer.packets.length, 0);
    check(
      `${name}: all of it was ESP`,
      packetsOfEsp(sites.a).every((count) => count > 10),
      `${packetsOfEsp(sites.a)}`,
    );
    await checkLoss(name, sites, way, { a, b }, sniffer);
    if (way === WAYS[0]) await checkFlush(name, sites, way, { a, b }, sniffer);
    equal(`${name}: b ends well`, (await b.stop()).end, 0);
    await a.stop("SIGKILL");
    equal(
      `${name}: who ends removes its guards, who is killed leaves them`,
      [guards(sites.b), guards(sites.a)],
      [0, 2],
    );
    matches(`${name}: nobody's policies are touched`, sites.b.ip("xfrm", "policy", "show"), /dir out/);
    sniffer.end();
  });
}

await scenario("require_ipsec at one end", async (sites) => {
  const [way] = WAYS;
  const sniffer = new Sniffer(sites.a);
  await sniffer.listening;
  // The peer is known by its name: its address is, when the SCCRQ is there.
  const responder = sites
    .configuration(sites.b, settings(2, way, { peer_hostname: "site-a" }))
    .replace(/^peer = .*$/m, "");
  const b = sites.startWith(sites.b, responder);
  const a = sites.start(sites.a, settings(1, way, { require_ipsec: false }));
  const told = async () => /^require_ipsec: no IPsec policy/.test((await b.tunnel())?.last_error ?? "");
  await within("a responder without policies says what is missing", SOON_MS, told, () => b.explain());
  await sleep(WAITING_MS);
  check("SCCRQs have come in clear", sentBy(sniffer, true).length > 2, `${sniffer.packets.length}`);
  equal("and none was answered", sentBy(sniffer, false).length, 0);
  for (const site of [sites.a, sites.b]) addKeys(site, way.peers);
  for (const site of [sites.b, sites.a]) protect(sites, site, way);
  await bothUp("with policies the responder answers", a, b);
  equal("never in clear", sentBy(sniffer, false).length, 0);
  check("frames flow", await sites.b.ping("192.168.7.1"));
  sniffer.end();
});

await scenario("require_ipsec of a static tunnel over IPv6", async (sites) => {
  const way = OVER_IPV6;
  for (const [i, site] of [sites.a, sites.b].entries()) {
    site.ip("address", "add", `${way.peers[i]}/64`, "dev", "wire", "nodad");
  }
  const sniffer = new Sniffer(sites.a);
  await sniffer.listening;
  const typedIn = (host) => {
    const { lcce, tunnel, sessions } = settings(host, way, {
      mode: "hello-only",
      reconnect: { min: "60s", max: "60s" },
    });
    const ids = { local_tunnel_id: host, remote_tunnel_id: 3 - host };
    const session = { ...sessions.lan, local_session_id: 10 + host, remote_session_id: 13 - host };
    const site = host === 1 ? sites.a : sites.b;
    const configuration = sites.configuration(site, {
      lcce,
      tunnel: { ...tunnel, ...ids },
      sessions: { lan: session },
    });
    return configuration.replace(/^role = .*$/m, "");
  };
  const a = sites.startWith(sites.a, typedIn(1));
  const b = sites.startWith(sites.b, typedIn(2));
  await checkWaiting("static", way, a, sniffer);
  equal("static: the kernel has no tunnel", sites.a.l2tp("tunnel"), "");
  for (const site of [sites.a, sites.b]) addKeys(site, way.peers);
  for (const site of [sites.b, sites.a]) protect(sites, site, way);
  await bothUp("static: the policies come, and the tunnel too", a, b);
  check("static: frames flow", await sites.a.ping("192.168.7.2"));
  unprotect(sites, sites.a, way);
  const isGone = () => sites.a.l2tp("tunnel") === "";
  await within("static: the policies go, and the tunnel too", SOON_MS, isGone, () => a.explain());
  await sleep(WAITING_MS);
  equal("static: nothing was ever in clear", sniffer.packets.length, 0);
  sniffer.end();
});
