// Our daemon with L2TP over IP inside IPsec (strongSwan, the kernel's ESP) towards SoftEther VPN Server, which has IKE and
// ESP of its own and bridges the pseudowire to a TAP device through its virtual hub. The guest needs packages:
// npm run vm -- --packages softether-vpnserver,strongswan-charon,strongswan-swanctl,libc6 test/interop/vm/guest/daemons.mjs softether
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { check, equal, note, run, SOON_MS, scenario, within } from "./daemon-lab.mjs";

const FILES = `${process.env.LAB}/softether`;
const VPN_SERVER = "/usr/libexec/softether/vpnserver/vpnserver";
const TAP_ADDRESS = "5e:00:00:00:00:02";
/** Emulated, and with others on the machine, key exchanges take their time. */
const PATIENCE_MS = 6 * SOON_MS;

/** A program in a namespace, with what it prints. */
function start(site, ...words) {
  const child = spawn("ip", ["netns", "exec", site.name, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  const program = { child, output: "" };
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (octets) => {
      program.output += octets;
    });
  }
  return program;
}

function lastLines({ output }) {
  return output.trimEnd().split("\n").slice(-25).join("\n");
}

async function startSoftEther(site) {
  for (const folder of ["/var/lib/softether", "/var/log/softether", "/run/softether"])
    mkdirSync(folder, { recursive: true });
  copyFileSync(`${FILES}/vpn_server.config`, "/var/lib/softether/vpn_server.config");
  // It opens /dev/net/tun, which is there once the module is.
  run("modprobe", "tun");
  const server = start(site, VPN_SERVER, "start", "--foreground");
  const ready = () => site.devices().includes("tap_lan") && /:500 /.test(site.run("ss", "-Hlun"));
  await within("SoftEther has its TAP device and waits for IKE", PATIENCE_MS, ready, () => lastLines(server));
  site.ip("address", "add", "192.168.7.2/24", "dev", "tap_lan");
  return server;
}

async function startStrongSwan(site) {
  mkdirSync("/etc/swanctl", { recursive: true });
  copyFileSync(`${FILES}/strongswan.conf`, "/etc/strongswan.conf");
  copyFileSync(`${FILES}/swanctl.conf`, "/etc/swanctl/swanctl.conf");
  const charon = start(site, "/usr/lib/ipsec/charon");
  const ready = () => existsSync("/run/charon.vici");
  await within("charon waits for swanctl", PATIENCE_MS, ready, () => lastLines(charon));
  const loaded = await site.attempt("swanctl", "--load-all");
  check("swanctl loads the connection and a trap for protocol 115", loaded.code === 0, loaded.stderr);
  return charon;
}

/** Octets that the kernel's ESP has taken, by direction. */
function espPackets(site) {
  const states = site.ip("-s", "xfrm", "state").split(/^(?=src )/m);
  const packets = (from) =>
    states
      .filter((state) => state.startsWith(`src ${from} `))
      .reduce((sum, state) => sum + Number(/lifetime current:\s+\d+\(bytes\), (\d+)\(packets\)/.exec(state)?.[1]), 0);
  return { sent: packets("10.0.0.1"), received: packets("10.0.0.2") };
}

async function checkFrames(sites, listener) {
  check("ping from our end through the virtual hub", await sites.a.ping("192.168.7.2"));
  equal(
    "ARP found the TAP device behind it",
    sites.a.json("neigh", "show", "dev", "l2-hub").map(({ dst, lladdr }) => [dst, lladdr]),
    [["192.168.7.2", TAP_ADDRESS]],
  );
  check("ping from the TAP device", await sites.b.ping("192.168.7.1"));
  check("frames as long as fit", await sites.a.ping("192.168.7.2", { size: 1_300 }));
  const { sent, received } = espPackets(sites.a);
  check("the kernel's ESP carried them", sent >= 10 && received >= 10, `${sent} sent, ${received} received`);
  const seen = listener.output
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => JSON.parse(line));
  const ports = seen.filter(({ kind }) => kind === "udp").map(({ to }) => to);
  check("the cable carried IKE and ESP in UDP", ports.includes(500) && ports.includes(4500), `${ports}`);
  const clear = seen.filter(({ kind, to }) => kind === "ip" || to === 1701);
  equal("and no L2TP in the clear", clear, []);
}

await scenario("softether", async (sites) => {
  const server = await startSoftEther(sites.b);
  const charon = await startStrongSwan(sites.a);
  const listener = start(sites.a, "node", `${process.env.LAB}/sniff.mjs`);
  await within(
    "the cable is watched",
    PATIENCE_MS,
    () => listener.output.startsWith("listening"),
    () => listener.output,
  );
  const daemon = sites.start(sites.a, {
    lcce: { listen: [] },
    tunnel: {
      encapsulation: "ip",
      digest: "none",
      hello_interval: "30s",
      retransmit: { initial: "1s", retries: 8, sccrq_retries: 8 },
    },
    // It puts no cookie into what it sends.
    sessions: { lan: { remote_end_id: "L2H", interface: "l2-hub", addresses: ["192.168.7.1/24"], cookie_size: 0 } },
  });
  const explain = async () => [await daemon.explain(), lastLines(charon), lastLines(server)].join("\n");
  const { value } = await within("the session comes up inside IPsec", PATIENCE_MS, () => daemon.isUp(), explain);
  if (value) {
    await checkFrames(sites, listener);
    equal("our end stops as it should", (await daemon.stop()).end, 0);
    const closed = () => server.output.includes("EtherIP / L2TPv3 Module is stopped");
    await within("SoftEther has heard of it", SOON_MS, closed, () => lastLines(server));
  }
  for (const line of server.output.split("\n").filter((each) => /L2TP/.test(each))) note(line);
  for (const line of daemon.lines(({ level }) => level !== "debug")) note(line);
  for (const { child } of [listener, charon, server]) child.kill("SIGKILL");
});
