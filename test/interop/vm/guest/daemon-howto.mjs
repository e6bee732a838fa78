// The setups of conf/examples that have a folder of their own, with the files as they are shipped, on the real kernel.
import { check, equal, matches, note, SOON_MS, within } from "./daemon-lab.mjs";
import { addBridge, allUp, dfPings, forward, masquerade, setup } from "./howto-lab.mjs";

const TAGS = ["42", "43"];

const mtuWarnings = (daemons) => daemons.flatMap((daemon) => daemon.lines(({ event }) => event === "mtu-too-large"));

/** A host behind port eth1 of a site: untagged, in two VLANs, and in a VLAN of a provider's VLAN (QinQ). */
function addHost(net, site, host, number) {
  net.cable([site, "eth1"], [host, "eth0", `10.41.0.${number}/24`]);
  for (const tag of TAGS) {
    host.ip("link", "add", `eth0.${tag}`, "link", "eth0", "type", "vlan", "id", tag);
    host.ip("address", "add", `10.${tag}.0.${number}/24`, "dev", `eth0.${tag}`);
  }
  host.ip("link", "add", "provider", "link", "eth0", "type", "vlan", "protocol", "802.1ad", "id", "100");
  host.ip("link", "add", "customer", "link", "provider", "type", "vlan", "id", "7");
  host.ip("address", "add", `10.44.0.${number}/24`, "dev", "customer");
  for (const device of [...TAGS.map((tag) => `eth0.${tag}`), "provider", "customer"])
    host.ip("link", "set", device, "up");
}

/** All hosts' frames from `host` to the host with `number`. */
async function checkTrunk(name, host, number) {
  check(`${name}: untagged frames pass`, await host.ping(`10.41.0.${number}`));
  for (const tag of TAGS) check(`${name}: VLAN ${tag} passes`, await host.ping(`10.${tag}.0.${number}`));
  check(`${name}: a VLAN in a VLAN passes`, await host.ping(`10.44.0.${number}`));
  const before = host.snmp("Ip", "FragCreates");
  const answers = await dfPings(host, [`10.41.0.${number}`, 1500], [`10.42.0.${number}`, 1500]);
  equal(`${name}: 1500 octets with DF pass, untagged and in VLAN 42`, answers, ["reply", "reply"]);
  equal(`${name}: and the host has made no fragments`, host.snmp("Ip", "FragCreates"), before);
}

await setup("trunk behind a NAT", async (net) => {
  const [hq, gateway, a, b] = net.add("hq", "gateway", "branch-a", "branch-b");
  const [hostHq, hostA, hostB] = net.add("host-hq", "host-a", "host-b");
  net.cable([hq, "eth0", "198.51.100.2/24"], [gateway, "outside", "198.51.100.1/24"]);
  net.cable([a, "eth0", "10.8.1.2/24"], [gateway, "inside-a", "10.8.1.1/24"]);
  net.cable([b, "eth0", "10.8.2.2/24"], [gateway, "inside-b", "10.8.2.1/24"]);
  a.ip("route", "add", "default", "via", "10.8.1.1");
  b.ip("route", "add", "default", "via", "10.8.2.1");
  forward(gateway);
  masquerade(gateway);
  for (const [site, host, number] of [
    [hq, hostHq, 1],
    [a, hostA, 2],
    [b, hostB, 3],
  ]) {
    addHost(net, site, host, number);
    addBridge(site);
  }
  const daemons = [
    net.start(hq, "trunk-behind-nat/hq"),
    net.start(a, "trunk-behind-nat/branch-a"),
    net.start(b, "trunk-behind-nat/branch-b"),
  ];
  await allUp("trunk: both branches come up", daemons);
  const peers = (await daemons[0].show()).tunnels.map(({ peer }) => peer);
  note(`peers of the head office: ${peers.join(", ")}`);
  check(
    "trunk: both come from the NAT's address",
    peers.every((peer) => peer.startsWith("198.51.100.1")),
    peers.join(),
  );
  check("trunk: from a port each", new Set(peers).size === 2, peers.join());
  await checkTrunk("trunk, branch a", hostA, 1);
  await checkTrunk("trunk, branch b", hostB, 1);
  await checkTrunk("trunk, from the head office to branch b", hostHq, 3);
  check("trunk: branches do not reach each other", !(await hostA.ping("10.42.0.3", { count: 2 })));
  check("trunk: long frames cost fragments", a.snmp("Ip", "FragCreates") > 0);
  const warned = daemons[1].warnings().join("\n");
  matches("trunk: which the log says beforehand", warned, /1500.*1442|1442.*1500/);

  hostA.ip("link", "set", "eth0", "down");
  const remote = async () => (await daemons[0].show()).tunnels[0].sessions[0].circuit_status.remote;
  const explain = () => daemons[0].explain();
  await within(
    "trunk: a branch's port without carrier is told",
    SOON_MS,
    async () => (await remote()) === "down",
    explain,
  );
  const carrier = () => hq.json("link", "show", "dev", "l2-branch-a")[0].flags.includes("UP");
  await within("trunk: the head office's interface is down then", SOON_MS, () => !carrier(), explain);
  hostA.ip("link", "set", "eth0", "up");
  await within("trunk: and up again with it", SOON_MS, () => carrier(), explain);
  await within("trunk: frames flow again", SOON_MS, () => hostA.ping("10.41.0.1", { count: 1 }), explain);
});

await setup("three gateways", async (net) => {
  const sites = net.add("left", "middle", "right");
  const hosts = net.add("host-left", "host-middle", "host-right");
  const [lan] = net.add("lan");
  lan.ip("link", "add", "switch", "type", "bridge");
  lan.ip("link", "set", "switch", "up");
  for (const [index, site] of sites.entries()) {
    net.cable([site, "eth0", `192.0.2.${index + 1}/24`], [lan, `port${index}`]);
    lan.ip("link", "set", `port${index}`, "master", "switch");
    net.cable([site, "eth1"], [hosts[index], "eth0", `10.41.0.${index + 1}/24`]);
    hosts[index].ip("link", "set", "eth0", "mtu", "1442");
    addBridge(site);
  }
  const daemons = sites.map((site) => net.start(site, `three-gateways/${site.name}`));
  await allUp("three gateways: all come up", daemons);
  const kinds = (await daemons[1].show()).tunnels.map(({ encapsulation }) => encapsulation);
  equal("three gateways: one hop is UDP, the other IP", kinds, ["udp", "ip"]);
  const [left, middle, right] = hosts;
  check("three gateways: left reaches the middle", await left.ping("10.41.0.2"));
  check("three gateways: right reaches the middle", await right.ping("10.41.0.2"));
  check("three gateways: left reaches right", await left.ping("10.41.0.3"));
  check(
    "three gateways: the middle reaches both",
    (await middle.ping("10.41.0.1")) && (await middle.ping("10.41.0.3")),
  );
  equal("three gateways: 1442 octets with DF pass both hops", await dfPings(left, ["10.41.0.3", 1442]), ["reply"]);
  equal("three gateways: and back", await dfPings(right, ["10.41.0.1", 1442]), ["reply"]);
  equal(
    "three gateways: none was fragmented",
    sites.map((site) => site.snmp("Ip", "FragCreates")),
    [0, 0, 0],
  );
  equal("three gateways: no MTU is too long", mtuWarnings(daemons), []);
});

function routedNet(net) {
  const [a, internet, b] = net.add("site-a", "internet", "site-b");
  const [hostA, hostB] = net.add("host-a", "host-b");
  net.cable([a, "eth0", "192.0.2.1/24"], [internet, "to-a", "192.0.2.254/24"]);
  net.cable([b, "eth0", "198.51.100.2/24"], [internet, "to-b", "198.51.100.254/24"]);
  a.ip("route", "add", "default", "via", "192.0.2.254");
  b.ip("route", "add", "default", "via", "198.51.100.254");
  net.cable([a, "eth1", "10.1.0.1/16"], [hostA, "eth0", "10.1.0.2/16"]);
  net.cable([b, "eth1", "10.2.0.1/16"], [hostB, "eth0", "10.2.0.2/16"]);
  hostA.ip("route", "add", "default", "via", "10.1.0.1");
  hostB.ip("route", "add", "default", "via", "10.2.0.1");
  forward(a, internet, b);
  return { a, b, hostA, hostB };
}

await setup("routed", async (net) => {
  const { a, b, hostA, hostB } = routedNet(net);
  const daemons = [net.start(a, "routed/site-a"), net.start(b, "routed/site-b")];
  await allUp("routed: both come up", daemons);
  equal("routed: the MTU is what fits the path", a.device("l2-site-b").mtu, 1442);
  equal(
    "routed: the other site's network is reached through it",
    a.json("route", "show", "10.2.0.0/16")[0]?.dev,
    "l2-site-b",
  );
  check("routed: the gateways reach each other", await a.ping("10.0.0.2"));
  check("routed: hosts reach each other", (await hostA.ping("10.2.0.2")) && (await hostB.ping("10.1.0.2")));
  const answers = await dfPings(hostA, ["10.2.0.2", 1442], ["10.2.0.2", 1500]);
  equal("routed: 1442 octets with DF pass, and a host that sends more is told", answers, [
    "reply",
    "too long, MTU 1442",
  ]);
  equal(
    "routed: none was fragmented",
    [a, b].map((site) => site.snmp("Ip", "FragCreates")),
    [0, 0],
  );
  equal("routed: no MTU is too long", mtuWarnings(daemons), []);
  await daemons[1].stop();
  const isGone = () => a.json("route", "show", "10.2.0.0/16").length === 0;
  await within("routed: the route goes with the session", SOON_MS, isGone, () => daemons[0].explain());
});

await setup("routed with 1488", async (net) => {
  const { a, b, hostA } = routedNet(net);
  const longer = (text) => text.replace('mtu       = "auto"', "mtu       = 1488");
  const daemons = [net.start(a, "routed/site-a", longer), net.start(b, "routed/site-b", longer)];
  await allUp("routed with 1488: both come up", daemons);
  equal("routed with 1488: it is the interface's MTU", a.device("l2-site-b").mtu, 1488);
  const answers = await dfPings(hostA, ["10.2.0.2", 1488], ["10.2.0.2", 1500]);
  equal("routed with 1488: so many octets with DF pass, more do not", answers, ["reply", "too long, MTU 1488"]);
  check("routed with 1488: they cost fragments", a.snmp("Ip", "FragCreates") > 0);
  matches("routed with 1488: which the log says beforehand", daemons[0].warnings().join("\n"), /1488.*1442|1442.*1488/);
});
