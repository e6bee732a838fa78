// Two initiators with the same source port behind one gateway that masquerades with ports of its own choice: frames, a NAT
// that forgets sooner than one of them says HELLO, a gateway that restarts, and one that gets another address.
import { mkdirSync, writeFileSync } from "node:fs";
import { check, configurationOf, equal, matches, note, within } from "./daemon-lab.mjs";
import { allUp, forward, masquerade, setup } from "./howto-lab.mjs";

const HQ = "198.51.100.2";
const OUTSIDE = ["198.51.100.1", "198.51.100.9"];
const SECRET_FILE = "/run/daemons/nat.secret";
/** Branch a says HELLO often enough for the NAT's timeout, branch b does not. */
const NAT_TIMEOUT_S = 4;
const USUAL_TIMEOUT_S = 120;
const HELLO = { a: "1s", b: "8s" };
/**
 * From the first message by the new mapping to the new connection: two messages to the old one stay unanswered (600 ms),
 * reconnect.min and a handshake, all in a machine that may be emulated. Giving up takes 53 s.
 */
const QUICK_MS = 25_000;
/** The same after a restart of the gateway, with the HELLO that has to come first. */
const BACK_MS = 35_000;

function tunnel(role, hello, more) {
  return {
    role,
    secret_file: SECRET_FILE,
    hello_interval: hello,
    retransmit: { initial: "200ms", max: "8s", retries: 10, sccrq_retries: 3 },
    reconnect: { min: "300ms", max: "1s" },
    ...more,
  };
}

function lcce(name) {
  return { hostname: name, admin_socket: `/run/daemons/${name}.sock`, log_level: "debug", datapath: "kernel" };
}

function headOffice() {
  const tables = { lcce: lcce("hq") };
  for (const [i, letter] of ["a", "b"].entries()) {
    tables[`tunnel.${letter}`] = tunnel("responder", HELLO[letter], { peer_hostname: `branch-${letter}` });
    tables[`tunnel.${letter}.session.lan`] = {
      interface: `l2-${letter}`,
      addresses: [`192.168.${i + 1}.1/24`],
    };
  }
  return configurationOf(tables);
}

function branch(letter, number) {
  return configurationOf({
    lcce: { ...lcce(`branch-${letter}`), listen: [] },
    "tunnel.hq": tunnel("initiator", HELLO[letter], { peer: HQ }),
    "tunnel.hq.session.lan": { interface: "l2-hq", addresses: [`192.168.${number}.2/24`] },
  });
}

/** What the head office's daemon shows of a branch's tunnel. */
async function shown(hq, letter) {
  return (await hq.show())?.tunnels.find(({ name }) => name === letter);
}

const portOf = ({ peer }) => Number(peer.split(":").pop());

function setTimeouts(gateway, seconds) {
  for (const name of ["udp_timeout", "udp_timeout_stream"]) {
    gateway.run("sysctl", "-q", "-w", `net.netfilter.nf_conntrack_${name}=${seconds}`);
  }
}

/** Both ends of a branch's tunnel are up by a connection that is not `old`, the local id at the head office. */
async function isBack({ hq, branches }, letter, old) {
  const [near, far] = [await branches[letter].isUp(), await shown(hq, letter)];
  const isUp = near && far?.state === "established" && far.sessions[0].state === "established";
  return isUp && far.local_ccid !== old.local_ccid && near.remote_ccid === far.local_ccid && far;
}

async function explained({ hq, branches }) {
  return (await Promise.all([hq, branches.a, branches.b].map((daemon) => daemon.explain()))).join("\n");
}

async function checkFrames(name, { sites }) {
  check(`${name}: frames flow from branch a`, await sites.a.ping("192.168.1.1"));
  check(`${name}: and to it`, await sites.hq.ping("192.168.1.2"));
  check(`${name}: from branch b`, await sites.b.ping("192.168.2.1"));
  check(`${name}: and to it too`, await sites.hq.ping("192.168.2.2"));
}

/** Where the branches are as the head office sees it: by the gateway's address and ports that are not theirs. */
async function checkPlaces(name, world, address) {
  const [a, b] = [await shown(world.hq, "a"), await shown(world.hq, "b")];
  note(`${name}: ${a.peer}, ${b.peer}`);
  check(
    `${name}: both come from ${address}`,
    [a, b].every(({ peer }) => peer.startsWith(`${address}:`)),
    a.peer,
  );
  const ports = [1701, portOf(a), portOf(b)];
  equal(`${name}: from ports that the gateway has chosen`, new Set(ports).size, 3);
  return { a, b };
}

async function checkForgottenMapping(world, before) {
  const name = "NAT timeout below HELLO";
  setTimeouts(world.gateway, NAT_TIMEOUT_S);
  const { value } = await within(
    `${name}: branch b is back by itself`,
    120_000,
    () => isBack(world, "b", before.b),
    () => explained(world),
  );
  setTimeouts(world.gateway, USUAL_TIMEOUT_S);
  check(`${name}: from another port`, portOf(value) !== portOf(before.b), value.peer);
  const { hq, branches } = world;
  const noticed = hq.log.find(({ event }) => event === "wrong-source")?.at;
  const established = branches.b.log.findLast(({ event }) => event === "control-connection-established")?.at;
  const tookMs = Math.round(established - noticed);
  check(`${name}: soon after the first message from there`, tookMs < QUICK_MS, `${tookMs} ms`);
  note(`${name}: ${tookMs} ms after the first message from the new port`);
  const words = /messages came from 198\.51\.100\.1:\d+, now they come from 198\.51\.100\.1:\d+: hello_interval/;
  for (const daemon of [hq, branches.b])
    matches(`${name}: ${daemon.name} says why`, daemon.warnings().join("\n"), words);
  const a = await shown(hq, "a");
  equal(`${name}: branch a, whose HELLO is below, has never been away`, a.local_ccid, before.a.local_ccid);
  equal(`${name}: and has kept its port`, a.peer, before.a.peer);
  await checkFrames(name, world);
  return { a, b: value };
}

/** Both branches lose their mappings by what `happen` does. */
async function checkLoss(name, world, address, happen) {
  const before = { a: await shown(world.hq, "a"), b: await shown(world.hq, "b") };
  happen();
  for (const letter of ["a", "b"]) {
    const { tookMs } = await within(
      `${name}: branch ${letter} is back soon`,
      BACK_MS,
      () => isBack(world, letter, before[letter]),
      () => explained(world),
    );
    note(`${name}: branch ${letter} after ${tookMs} ms`);
  }
  const after = await checkPlaces(name, world, address);
  for (const letter of ["a", "b"]) {
    check(`${name}: branch ${letter} has another port`, portOf(after[letter]) !== portOf(before[letter]));
  }
  await checkFrames(name, world);
}

await setup("NAT", async (net) => {
  const [hqSite, gateway, a, b] = net.add("hq", "gateway", "branch-a", "branch-b");
  const sites = { hq: hqSite, a, b };
  // A device's own neighbour discovery would keep the mappings.
  for (const site of Object.values(sites)) site.run("sysctl", "-q", "-w", "net.ipv6.conf.default.disable_ipv6=1");
  net.cable([hqSite, "eth0", `${HQ}/24`], [gateway, "outside", `${OUTSIDE[0]}/24`]);
  for (const [i, site] of [a, b].entries()) {
    net.cable([site, "eth0", `10.8.${i + 1}.2/24`], [gateway, `inside${i}`, `10.8.${i + 1}.1/24`]);
    site.ip("route", "add", "default", "via", `10.8.${i + 1}.1`);
  }
  forward(gateway);
  masquerade(gateway, "random");
  mkdirSync("/run/daemons", { recursive: true });
  writeFileSync(SECRET_FILE, "correct horse\n", { mode: 0o600 });

  const hq = net.startWith(hqSite, headOffice());
  const branches = { a: net.startWith(a, branch("a", 1)), b: net.startWith(b, branch("b", 2)) };
  const world = { gateway, sites, hq, branches };
  await allUp("NAT: both branches come up", net.daemons);
  const first = await checkPlaces("NAT", world, OUTSIDE[0]);
  for (const site of [a, b]) matches(`NAT: ${site.name} itself uses port 1701`, site.run("ss", "-Huan"), /:1701 /);
  await checkFrames("NAT", world);

  await checkForgottenMapping(world, first);
  // The gateway forgets what it has translated to a device's address when that device goes down, or the address goes.
  await checkLoss("restart of the gateway", world, OUTSIDE[0], () => {
    gateway.ip("link", "set", "outside", "down");
    gateway.ip("link", "set", "outside", "up");
  });
  await checkLoss("another address of the gateway", world, OUTSIDE[1], () => {
    gateway.ip("address", "del", `${OUTSIDE[0]}/24`, "dev", "outside");
    gateway.ip("address", "add", `${OUTSIDE[1]}/24`, "dev", "outside");
  });
});
