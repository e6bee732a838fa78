// A machine whose kernel cannot have L2TP, or must be asked twice; then conf/site.toml as it is shipped.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import {
  attempt,
  bothUp,
  check,
  equal,
  fileExists,
  leftIn,
  loadedModules,
  matches,
  run,
  scenario,
  startBoth,
} from "./daemon-lab.mjs";

const MODULES = "/usr/lib/modules";
const MODPROBE_FOLDER = "/etc/modprobe.d";
const RULE = `${MODPROBE_FOLDER}/l2tp.conf`;

/** Starts a daemon that needs the kernel's L2TP. The checks are that it ends with 1 and says why in one line. */
async function checkRefusal(sites, name, words) {
  const daemon = sites.start(sites.a, { lcce: { datapath: "kernel" } });
  equal(`${name}: exit code 1`, (await daemon.exited).code, 1);
  for (const pattern of words) matches(`${name}: says so`, daemon.stderr, pattern);
  equal(`${name}: one line on standard error`, daemon.stderr.trimEnd().split("\n").length, 1);
}

async function checkWithoutModules(sites) {
  const release = run("uname", "-r").trim();
  writeFileSync("/etc/os-release", "ID=debian\n");
  // A bare tmpfs is a container's view; then one that has modules, but not these.
  run("mount", "-t", "tmpfs", "none", MODULES);
  await checkRefusal(sites, "no modules at all", [/l2tp_netlink/, new RegExp(release)]);
  mkdirSync(`${MODULES}/${release}`);
  await checkRefusal(sites, "no L2TP module", [/l2tp_netlink is missing/, new RegExp(`linux-image-${release}`)]);
  const settings = (host) => ({
    lcce: { datapath: "auto" },
    sessions: { lan: { addresses: [`192.168.7.${host}/24`] } },
  });
  const { a, b } = await startBoth(sites, 'no L2TP module: "auto" comes up nonetheless', {
    a: settings(1),
    b: settings(2),
  });
  for (const daemon of [a, b]) {
    equal(`${daemon.name}: "auto" takes the datapath in user space`, (await daemon.show()).datapath, "userspace");
    const warnings = daemon.earlyWarnings();
    check(`${daemon.name}: with one warning`, warnings.length === 1, warnings.join("\n"));
    matches(`${daemon.name}: which names the module`, warnings[0] ?? "", /^warn datapath-fallback .*l2tp_netlink/);
  }
  check("no L2TP module: frames flow", await sites.a.ping("192.168.7.2"));
  for (const daemon of [a, b]) equal(`${daemon.name}: exit code 0 after SIGTERM`, (await daemon.stop()).end, 0);
  equal("no L2TP module: no device is left", [sites.a.devices(), sites.b.devices()], [[], []]);
  run("umount", MODULES);
}

async function checkModprobeRules(sites) {
  mkdirSync(MODPROBE_FOLDER, { recursive: true });
  writeFileSync(RULE, "install l2tp_netlink /bin/false\n");
  await checkRefusal(sites, "module disabled", [/l2tp_netlink is disabled/, /\/etc\/modprobe\.d\/l2tp\.conf/]);
  check("module disabled: it has not been loaded", !loadedModules().includes("l2tp_netlink"));
  rmSync(RULE);
}

/** Its addresses are those of the cable here, so that nothing in it has to be changed. */
async function checkSiteFile(sites) {
  // As Red Hat's packages have it: the kernel may not load them by itself, but who asks for them gets them.
  writeFileSync(RULE, "blacklist l2tp_netlink\nblacklist l2tp_eth\n");
  const file = "/app/conf/site.toml";
  const { code, stderr } = await attempt("l2tpv3-lcc", "check", "--conf", file);
  equal("conf/site.toml: check finds nothing", [code, stderr], [0, ""]);
  const text = readFileSync(file, "utf8");
  const peer = [
    ['hostname  = "site-a"', 'hostname = "site-b"'],
    ['router_id = "192.0.2.1"', 'router_id = "198.51.100.2"\nadmin_socket = "/run/daemons/peer.sock"'],
    ['peer     = "198.51.100.2"', 'peer = "198.51.100.1"'],
    ["10.0.0.1/30", "10.0.0.2/30"],
  ].reduce((changed, [from, to]) => changed.replace(from, to), text);
  const b = sites.startWith(sites.b, peer);
  const a = sites.startWith(sites.a, text);
  await bothUp("conf/site.toml, modules on a blacklist: the session comes up", a, b);
  check("conf/site.toml: frames flow", await sites.a.ping("10.0.0.2"));
  const device = sites.a.device("l2-paris42");
  const [{ local, prefixlen }] = device.addr_info;
  equal("conf/site.toml: device, MTU and address", [device.mtu, `${local}/${prefixlen}`], [1442, "10.0.0.1/30"]);
  const shown = await attempt("l2tpv3-lcc", "show");
  matches("conf/site.toml: show finds the daemon by itself", shown.stdout, /paris[\s\S]*established/);
  for (const daemon of [a, b]) equal(`conf/site.toml: exit code 0 of ${daemon.name}`, (await daemon.stop()).end, 0);
  equal("conf/site.toml: nothing is left", [leftIn(sites.a), leftIn(sites.b), fileExists(a.socket)], ["", "", false]);
}

equal("no L2TP module is loaded at the start", loadedModules(), []);
run("modprobe", "-a", "veth", "tun");
await scenario("no modules", checkWithoutModules);
await scenario("rules of modprobe", checkModprobeRules);
await scenario("conf/site.toml", checkSiteFile, ["198.51.100.1", "198.51.100.2"]);
