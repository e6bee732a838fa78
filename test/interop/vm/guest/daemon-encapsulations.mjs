// Two daemons over each of UDP and IP, IPv4 and IPv6 (RFC 3931 4.1), and what the packets on the wire look like.
import {
  bothUp,
  check,
  equal,
  leftIn,
  loadedModules,
  matches,
  SOON_MS,
  scenario,
  startBoth,
  within,
} from "./daemon-lab.mjs";
import { Sniffer } from "./sniffer.mjs";

/** Together in one ICRQ they are longer than the wire's MTU. */
const LONG = "x".repeat(1_000);

/** MTU: 1500 less IP header, UDP header or not, Session ID (over UDP with 4 octets before it), cookie 8, Ethernet 14. */
const WAYS = [
  { name: "UDP over IPv4", kind: "udp", version: 4, peers: ["10.0.0.1", "10.0.0.2"], mtu: 1442, encap: "UDP" },
  { name: "UDP over IPv6", kind: "udp", version: 6, peers: ["fd00::1", "fd00::2"], mtu: 1422, encap: "UDP" },
  { name: "IPv4", kind: "ip", version: 4, peers: ["10.0.0.1", "10.0.0.2"], mtu: 1454, encap: "IP" },
  { name: "IPv6", kind: "ip", version: 6, peers: ["fd00::1", "fd00::2"], mtu: 1434, encap: "IP" },
];

function settings(host, { kind, peers }, more = {}) {
  const session = { interface: "l2-lan", addresses: [`192.168.7.${host}/24`], remote_end_id: LONG, ...more };
  return {
    lcce: { log_level: "trace" },
    tunnel: { peer: peers[2 - host], encapsulation: kind, hello_interval: "60s", retransmit: { initial: "1s" } },
    sessions: { lan: { attachment_group: LONG, ...session } },
  };
}

async function addAddresses(sites) {
  for (const [i, site] of [sites.a, sites.b].entries()) {
    site.ip("address", "add", `fd00::${i + 1}/64`, "dev", "wire", "nodad");
    await within(`${site.name} has a link-local address`, SOON_MS, () => linkLocal(site) !== undefined);
  }
}

function linkLocal(site) {
  const addresses = site.device("wire").addr_info;
  return addresses.find(({ scope, tentative, local }) => scope === "link" && !tentative && local)?.local;
}

/** Octets of a control message where one stands; over IP behind four of zero. */
function controlOf({ kind, hex = "" }) {
  const octets = Buffer.from(hex, "hex");
  if (kind === "udp") return octets[0] & 0x80 ? octets : undefined;
  return octets.readUInt32BE(0) === 0 ? octets.subarray(4) : undefined;
}

function checkPackets({ name, kind, version }, packets, shown) {
  const ours = packets.filter((packet) => !packet.isFragment);
  equal(`F01 ${name}: all packets are of that encapsulation and IP version`, kindsOf(packets), [`${kind} ${version}`]);
  const control = ours.map(controlOf).filter((octets) => octets !== undefined);
  check(`F03 ${name}: control messages were seen`, control.length >= 8, `${control.length}`);
  const wrong = control.filter(
    (octets) => octets.readUInt16BE(0) !== 0xc803 || octets.readUInt16BE(2) !== octets.length,
  );
  equal(
    `F02 F03 ${name}: flags, version and length of each, which counts no zero octets before it`,
    wrong.map((octets) => octets.subarray(0, 4).toString("hex")),
    [],
  );
  check(
    `${name}: a control message longer than the MTU went in fragments`,
    packets.some((packet) => packet.isFragment && packet.isSent),
    `${packets.filter(({ isFragment }) => isFragment).length} fragments`,
  );
  const data = ours.filter((packet) => controlOf(packet) === undefined);
  const { local_session_id, remote_session_id } = shown.sessions[0];
  const ids = { true: remote_session_id, false: local_session_id };
  const strange = data.filter(({ hex, isSent }) => {
    const octets = Buffer.from(hex, "hex");
    if (kind === "ip") return octets.readUInt32BE(0) !== ids[isSent];
    return octets.readUInt32BE(0) !== 0x0003_0000 || octets.readUInt32BE(4) !== ids[isSent];
  });
  check(
    `F05 F06 ${name}: data carries the Session ID of its receiver`,
    data.length >= 6 && strange.length === 0,
    strange[0]?.hex,
  );
  if (kind === "udp") {
    equal(`F09 ${name}: both ports are 1701`, [...new Set(ours.flatMap(({ from, to }) => [from, to]))], [1701]);
    check(
      `F10 ${name}: control messages have a checksum`,
      ours.every((each) => !controlOf(each) || each.checksum !== 0),
    );
  }
}

function kindsOf(packets) {
  return [...new Set(packets.map(({ kind, version }) => `${kind} ${version}`))];
}

async function checkWay(sites, way) {
  const { name, version, peers, mtu, encap } = way;
  const sniffer = new Sniffer(sites.a);
  await sniffer.listening;
  const { a, b } = await startBoth(sites, `${name}: comes up`, {
    a: settings(1, way),
    b: settings(2, way),
  });
  check(`${name}: a reaches b`, await sites.a.ping("192.168.7.2"));
  check(`${name}: b reaches a`, await sites.b.ping("192.168.7.1"));
  equal(`${name}: MTU of the device`, sites.a.device("l2-lan").mtu, mtu);
  check(`${name}: a packet of the device's MTU passes`, await sites.a.ping("192.168.7.2", { size: mtu - 28 }));
  const tunnel = await a.tunnel();
  await within(`${name}: the last packets are seen`, SOON_MS, () => sniffer.packets.length > 14);
  checkPackets(way, sniffer.packets, tunnel);
  sniffer.end();
  matches(
    `${name}: ip l2tp shows the encapsulation`,
    sites.a.l2tp("tunnel"),
    new RegExp(`encap ${encap}\\n +From ${peers[0]} to ${peers[1]}`),
  );
  const where = way.kind === "ip" ? peers[1] : version === 6 ? `[${peers[1]}]:1701` : `${peers[1]}:1701`;
  equal(`${name}: show --json`, [tunnel.encapsulation, tunnel.peer], [way.kind, where]);
  await checkRestart(sites, way, b);
}

/** The initiator is killed, and comes back while the peer still has the old connection. */
async function checkRestart(sites, { name, ...way }, b) {
  await sites.daemons.find((daemon) => daemon.name === "a" && daemon.running).stop("SIGKILL");
  const nothingLeft = () => leftIn(sites.a) === "";
  await within(`${name}: killed, nothing is left`, 10_000, nothingLeft, () => leftIn(sites.a));
  const again = sites.start(sites.a, settings(1, way));
  await bothUp(`${name}: started again, it is up`, again, b);
  check(`${name}: and carries frames`, await sites.a.ping("192.168.7.2"));
  for (const daemon of [again, b]) equal(`${name}: SIGTERM of ${daemon.name}`, (await daemon.stop()).end, 0);
  const left = () => leftIn(sites.a) + leftIn(sites.b);
  await within(`${name}: nothing is left at last`, 10_000, () => left() === "", left);
}

/** Link-local peers: the address says nothing without the interface. */
async function checkLinkLocal(sites, kind) {
  const way = { kind, peers: [sites.a, sites.b].map((site) => `${linkLocal(site)}%wire`) };
  const { a, b } = await startBoth(sites, `link-local ${kind}: comes up`, {
    a: settings(1, way),
    b: settings(2, way),
  });
  check(`link-local ${kind}: frames flow`, await sites.a.ping("192.168.7.2"));
  const shown = [(await a.tunnel()).peer, (await b.tunnel()).peer];
  const expected = [way.peers[1], way.peers[0]].map((peer) => (kind === "ip" ? peer : `[${peer}]:1701`));
  equal(`link-local ${kind}: show names the interface`, shown, expected);
  for (const daemon of [a, b]) await daemon.stop();
}

/** The same tunnel once more, opened from the other end: an SCCRQ is for the one that waits for it. */
function twoTunnels(sites, site, host) {
  const first = settings(host, WAYS[2], { attachment_group: "one", remote_end_id: "one" });
  const text = sites.configuration(site, first);
  const second = text
    .slice(text.indexOf("[tunnel.wan]"))
    .replaceAll("tunnel.wan", "tunnel.second")
    .replaceAll("l2-lan", "l2-second")
    .replaceAll("192.168.7.", "192.168.8.")
    .replace(/role = "(\w+)"/, (_, role) => `role = "${role === "initiator" ? "responder" : "initiator"}"`);
  return `${text}\n${second}`;
}

/** Over IP the Control Connection ID alone tells two tunnels between the same addresses apart. */
async function checkTwoTunnels(sites) {
  const name = "two tunnels between the same addresses over IP";
  const daemons = [sites.a, sites.b].map((site, i) => sites.startWith(site, twoTunnels(sites, site, i + 1)));
  const [a, b] = daemons;
  const tunnels = async () => [...((await a.show())?.tunnels ?? []), ...((await b.show())?.tunnels ?? [])];
  const isUp = async () => (await tunnels()).filter((each) => each.sessions[0].state === "established").length === 4;
  const explain = async () => `${await a.explain()}\n${await b.explain()}`;
  await within(`${name}: both come up`, SOON_MS, isUp, explain);
  equal(`${name}: the kernel has two`, sites.a.l2tp("tunnel").match(/^Tunnel/gm)?.length, 2);
  const before = (await a.show()).tunnels.map(({ local_ccid }) => local_ccid);
  for (const subnet of ["192.168.7", "192.168.8"]) {
    check(`${name}: frames flow in ${subnet}.0/24`, await sites.a.ping(`${subnet}.2`));
  }
  await a.command("close", "second");
  const isClosed = async () => (await b.show()).tunnels[1].state === "idle";
  await within(`${name}: one is closed`, SOON_MS, isClosed, explain);
  check(`${name}: the other goes on`, await sites.a.ping("192.168.7.2"));
  await a.command("open", "second");
  await within(`${name}: and opened again`, SOON_MS, isUp, explain);
  check(`${name}: frames flow in it`, await sites.b.ping("192.168.8.1"));
  const after = (await a.show()).tunnels.map(({ local_ccid }) => local_ccid);
  equal(`${name}: the first is still the same`, [before[0] === after[0], before[1] === after[1]], [true, false]);
  for (const daemon of daemons) equal(`${name}: SIGTERM of ${daemon.name}`, (await daemon.stop()).end, 0);
}

await scenario("encapsulations", async (sites) => {
  await addAddresses(sites);
  for (const way of WAYS) await checkWay(sites, way);
  equal(
    "the modules of L2TP over IP are loaded on demand",
    loadedModules()
      .filter((name) => name.startsWith("l2tp_ip"))
      .sort(),
    ["l2tp_ip", "l2tp_ip6"],
  );
  for (const kind of ["udp", "ip"]) await checkLinkLocal(sites, kind);
  await checkTwoTunnels(sites);
});
